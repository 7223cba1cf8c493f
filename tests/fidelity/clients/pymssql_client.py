"""Runs sessions with pymssql, which uses FreeTDS's DB-Library."""

import json
import os
import re
import sys

import pymssql


def failure(error: Exception) -> dict:
    number, text = error.args[0] if isinstance(error.args[0], tuple) else error.args[:2]
    text = text.decode()
    # For a failed login, DB-Library has its own number, and the server's in the text.
    return {
        "number": number,
        "message": re.sub(r"DB-Lib error message.*", "", text, flags=re.DOTALL).strip() or text,
    }


def run(session: dict, server: dict) -> dict:
    try:
        connection = pymssql.connect(
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
    connection.close()
    return {"answers": answers}


task = json.load(sys.stdin)
for session in task["sessions"]:
    # DB-Library reports the error of an earlier login if a process has several failed ones.
    if os.fork():
        os.wait()
        continue
    print(json.dumps(run(session, task["server"]), default=lambda value: value.hex()), flush=True)
    os._exit(0)
