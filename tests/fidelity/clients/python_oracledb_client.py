"""Runs sessions with python-oracledb in its thin mode, Oracle's implementation in Python."""

import json
import shutil
import sys
import tempfile

import oracledb


def failure(error: Exception) -> dict:
    first = error.args[0]
    return {"number": first.code, "message": first.message}


def run(session: dict, server: dict, wallet: str) -> dict:
    try:
        connection = oracledb.connect(
            user=session["user"],
            password=session["password"],
            dsn=f"tcps://{server['host']}:{server['port']}/{session['database']}",
            wallet_location=wallet,
            tcp_connect_timeout=15,
        )
    except oracledb.Error as error:
        return failure(error)
    answers = []
    for batch in session["batches"]:
        cursor = connection.cursor()
        try:
            cursor.execute(batch)
            answers.append(
                {"rows": [list(row) for row in cursor.fetchall()] if cursor.description else []}
            )
        except oracledb.Error as error:
            answers.append(failure(error))
    connection.close()
    return {"answers": answers}


task = json.load(sys.stdin)
with tempfile.TemporaryDirectory() as wallet:
    shutil.copy(task["server"]["authority"], f"{wallet}/ewallet.pem")
    for session in task["sessions"]:
        print(json.dumps(run(session, task["server"], wallet)), flush=True)
