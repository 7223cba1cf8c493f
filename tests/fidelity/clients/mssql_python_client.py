"""Runs sessions with Microsoft's ODBC Driver 18, which the package mssql-python contains.

The Python interface of the driver shows the text of an error, but not its number. The driver trusts
the certificates in SSL_CERT_FILE.
"""

import json
import sys

import mssql_python

MARK = "[SQL Server]"
# A pooled session would not log in again.
mssql_python.pooling(enabled=False)


def failure(error: Exception) -> dict:
    text = str(error)
    return {"message": text.split(MARK, 1)[1] if MARK in text else text}


def run(session: dict, server: dict) -> dict:
    try:
        connection = mssql_python.connect(
            f"Server={server['host']},{server['port']};Database={session['database']};"
            f"UID={{{session['user']}}};PWD={{{session['password']}}};Encrypt=yes;"
            "ConnectRetryCount=0",
            autocommit=True,
        )
    except Exception as error:
        return failure(error)
    answers = []
    for batch in session["batches"]:
        cursor = connection.cursor()
        try:
            cursor.execute(batch)
            # A statement without columns also has a result.
            while not cursor.description and cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
            answers.append({"rows": [list(row) for row in rows]})
        except Exception as error:
            answers.append(failure(error))
        cursor.close()
    connection.close()
    return {"answers": answers}


task = json.load(sys.stdin)
for session in task["sessions"]:
    print(json.dumps(run(session, task["server"]), default=lambda value: value.hex()), flush=True)
