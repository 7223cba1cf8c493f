"""Runs sessions with Microsoft's ODBC Driver 18, which the package mssql-python contains.

The Python interface of the driver shows the text of an error, but not its number. The driver trusts
the certificates in SSL_CERT_FILE.
"""

import json
import sys

import dbapi
import mssql_python

MARK = "[SQL Server]"
# A pooled session would not log in again.
mssql_python.pooling(enabled=False)
task = json.load(sys.stdin)
server = task["server"]


def failure(error: Exception) -> dict:
    text = str(error)
    return {"message": text.split(MARK, 1)[1] if MARK in text else text}


def connect(session: dict) -> mssql_python.Connection:
    return mssql_python.connect(
        f"Server={server['host']},{server['port']};Database={session['database']};"
        f"UID={{{session['user']}}};PWD={{{session['password']}}};Encrypt=yes;"
        "ConnectRetryCount=0",
        autocommit=True,
    )


for session in task["sessions"]:
    result = dbapi.run(session, connect, failure)
    print(json.dumps(result, default=lambda value: value.hex()), flush=True)
