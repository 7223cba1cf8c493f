"""Runs one script on a fake server with clients that this project did not write, and compares each
answer with the documented one.

    python clients.py sqlserver|oracle CLIENT PORT PASSWORD-OF-THE-SUPERUSER AUTHORITY.pem

Each client needs a server of its own, because the script creates users.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from judges import HERE, JUDGES

CLIENTS = HERE / "clients"
# With `-B`, Python leaves no compiled files in the project.
PYTHON = [JUDGES / "python" / "bin" / "python", "-B"]
COMMANDS = {
    "mssql-python": [*PYTHON, CLIENTS / "mssql_python_client.py"],
    "pymssql": [*PYTHON, CLIENTS / "pymssql_client.py"],
    "tsql": [*PYTHON, CLIENTS / "tsql_client.py"],
    "tedious": ["node", CLIENTS / "tedious_client.js"],
    "python-oracledb": [*PYTHON, CLIENTS / "python_oracledb_client.py"],
    "node-oracledb": ["node", CLIENTS / "node_oracledb_client.js"],
}
SECONDS = 120


def ask(client: str, server: dict, sessions: list[dict]) -> list[dict]:
    """Returns what the client reports for each session."""
    task = {
        "server": server,
        "sessions": [
            {**session, "batches": [entry["batch"] for entry in session.get("steps", [])]}
            for session in sessions
        ],
    }
    environment = {
        **os.environ,
        "NODE_PATH": str(JUDGES / "node_modules"),
        "SSL_CERT_FILE": server["authority"],
        "NODE_EXTRA_CA_CERTS": server["authority"],
    }
    done = subprocess.run(
        [str(word) for word in COMMANDS[client]],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        env=environment,
        timeout=SECONDS,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if len(results) != len(sessions):
        raise SystemExit(f"{client} ran {len(results)} of {len(sessions)} sessions: {done.stderr}")
    return results


def differences(session: dict, result: dict) -> list[str]:
    """Compares the result of a session with the documented one."""
    who = f"login as {session['user']}"
    if "errors" in session:
        if "number" not in result and "message" not in result:
            return [f"{who}: no error instead of {session['errors'][0]}: {result}"]
        # Some clients report the last error, and others the first.
        is_last = "last" in session and session["last"] in result["message"]
        if result.get("number", session["errors"][0]) not in session["errors"]:
            return [f"{who}: error {result['number']} instead of {session['errors'][0]}"]
        return [] if is_last else compare_text(who, session["message"], result["message"])
    if "answers" not in result and "rows" not in result:
        return [f"{who}: {result}"]
    entries, found = session["steps"], []
    if "answers" in result:
        answers = result["answers"]
    else:
        # tsql has two lists, and shows every value as text.
        errors = iter(result["errors"])
        answers = [
            next(errors, {"rows": rows}) if "error" in entry else {"rows": rows}
            for entry, rows in zip(entries, result["rows"])
        ]
        found += [f"{who}: an error that is not documented: {error}" for error in errors]
        entries = [
            (
                {**entry, "rows": [[text(value) for value in row] for row in entry["rows"]]}
                if "rows" in entry
                else entry
            )
            for entry in entries
        ]
    for entry, answer in zip(entries, answers, strict=True):
        batch = entry["batch"]
        if "error" not in entry:
            if "rows" not in answer:
                found.append(f"{batch}: {answer}")
            elif [[value_of(one) for one in row] for row in answer["rows"]] != entry["rows"]:
                found.append(f"{batch}: {answer['rows']} instead of {entry['rows']}")
        elif "rows" in answer:
            found.append(f"{batch}: no error instead of {entry['error']}")
        elif answer.get("number", entry["error"]) != entry["error"]:
            found.append(f"{batch}: error {answer['number']} instead of {entry['error']}")
        else:
            found += compare_text(batch, entry["message"], answer["message"])
    return found


def value_of(value):
    """The clients differ in the type of a bit, and in the spaces after a char value."""
    return (
        int(value)
        if isinstance(value, bool)
        else value.rstrip() if isinstance(value, str) else value
    )


def text(value) -> str:
    return "NULL" if value is None else str(value)


def compare_text(what: str, documented: str, shown: str) -> list[str]:
    same = " ".join(documented.split()) in " ".join(re.sub(r"^.*?ORA-", "ORA-", shown).split())
    return [] if same else [f"{what}: the message {shown!r} instead of {documented!r}"]


def main() -> None:
    engine, client, port, password, authority = sys.argv[1:]
    script = json.loads((CLIENTS / f"{engine}.json").read_text())
    sessions = []
    for session in script:
        if session["password"] == "SUPERUSER":
            session["password"] = password
        sessions += [session] * session.get("times", 1)
    server = {"host": "localhost", "port": int(port), "authority": authority}
    found = []
    for session, result in zip(sessions, ask(client, server, sessions)):
        found += differences(session, result)
    for one in found:
        print(one)
    if found:
        raise SystemExit(f"{client}: {len(found)} answers differ from the documentation")
    count = sum(len(session.get("steps", [])) for session in sessions)
    print(f"{client}: all {count} answers and {len(sessions)} logins are as documented")


if __name__ == "__main__":
    main()
