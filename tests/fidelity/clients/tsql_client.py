"""Runs sessions with FreeTDS's program tsql, and reads its output."""

import json
import os
import re
import subprocess
import sys
import tempfile

ERROR = re.compile(r"^Msg (\d+) \(severity \d+, state \d+\) from \S+ Line \d+:\n\t\"(.*)\"$", re.M)
END = "end of the answer"
SEPARATOR = "\x1f"


def run(session: dict, server: dict, folder: str) -> dict:
    configuration = os.path.join(folder, "freetds.conf")
    with open(configuration, "w") as file:
        file.write(
            f"[judged]\nhost = {server['host']}\nport = {server['port']}\ntds version = 7.4\n"
            f"encryption = require\nca file = {server['authority']}\n"
        )
    # One process for all batches, each of which is followed by a marker.
    lines = "".join(f"{batch}\ngo\nSELECT N'{END}'\ngo\n" for batch in session["batches"])
    done = subprocess.run(
        [
            "tsql",
            "-S",
            "judged",
            "-U",
            session["user"],
            "-P",
            session["password"],
            "-D",
            session["database"],
            "-o",
            "fhq",
            "-t",
            SEPARATOR,
        ],
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "FREETDSCONF": configuration},
    )
    errors = [failure(found) for found in ERROR.finditer(done.stderr)]
    if END not in done.stdout:
        return errors[0] if errors else {"message": done.stdout + done.stderr}
    # The standard output and the standard error are separate, so errors are assigned to the batches
    # without rows, in the order of both.
    outputs = done.stdout.split(END + "\n")[: len(session["batches"])]
    rows = [[line.split(SEPARATOR) for line in output.splitlines()] for output in outputs]
    return {"rows": rows, "errors": errors}


def failure(found) -> dict:
    return {"number": int(found[1]), "message": found[2]}


task = json.load(sys.stdin)
with tempfile.TemporaryDirectory() as folder:
    for session in task["sessions"]:
        print(json.dumps(run(session, task["server"], folder)), flush=True)
