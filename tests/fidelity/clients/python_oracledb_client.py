"""Runs sessions with python-oracledb in its thin mode, Oracle's implementation in Python."""

import json
import shutil
import sys
import tempfile

import dbapi
import oracledb

task = json.load(sys.stdin)
server = task["server"]


def failure(error: Exception) -> dict:
    first = error.args[0]
    return {"number": first.code, "message": first.message}


with tempfile.TemporaryDirectory() as wallet:
    shutil.copy(server["authority"], f"{wallet}/ewallet.pem")

    def connect(session: dict) -> oracledb.Connection:
        return oracledb.connect(
            user=session["user"],
            password=session["password"],
            dsn=f"tcps://{server['host']}:{server['port']}/{session['database']}",
            wallet_location=wallet,
            tcp_connect_timeout=15,
        )

    for session in task["sessions"]:
        print(json.dumps(dbapi.run(session, connect, failure)), flush=True)
