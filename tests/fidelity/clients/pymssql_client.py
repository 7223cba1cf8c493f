"""Runs sessions with pymssql, which uses FreeTDS's DB-Library."""

import json
import os
import re
import sys

import dbapi
import pymssql

task = json.load(sys.stdin)
server = task["server"]


def failure(error: Exception) -> dict:
    number, text = error.args[0] if isinstance(error.args[0], tuple) else error.args[:2]
    text = text.decode()
    # For a failed login, DB-Library has its own number, and the server's in the text.
    return {
        "number": number,
        "message": re.sub(r"DB-Lib error message.*", "", text, flags=re.DOTALL).strip() or text,
    }


def connect(session: dict) -> pymssql.Connection:
    return pymssql.connect(
        server=server["host"],
        port=server["port"],
        user=session["user"],
        password=session["password"],
        database=session["database"],
        tds_version="7.4",
        encryption="require",
        login_timeout=15,
        timeout=15,
        autocommit=True,
    )


for session in task["sessions"]:
    # DB-Library reports the error of an earlier login if a process has several failed ones.
    if os.fork():
        os.wait()
        continue
    result = dbapi.run(session, connect, failure)
    print(json.dumps(result, default=lambda value: value.hex()), flush=True)
    os._exit(0)
