"""The parsers that judge the statements, as programs that read and write lines."""

import base64
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = Path(
    os.environ.get("ROTATION_SERVERS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rotation-servers"
)
# Where `tests/setup.sh fidelity` installs the judges.
JUDGES = SERVERS / "fidelity"


def ask(command: list, statements: list[str], folder: Path = JUDGES) -> list[str]:
    """Returns the verdict on each statement: "ok", or an error."""
    if not statements:
        return []
    lines = "".join(base64.b64encode(one.encode()).decode() + "\n" for one in statements)
    done = subprocess.run(
        [str(word) for word in command],
        input=lines,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "NODE_PATH": str(JUDGES / "node_modules")},
    )
    verdicts = done.stdout.splitlines()
    if done.returncode or len(verdicts) != len(statements):
        raise SystemExit(f"{command[0]} judged {len(verdicts)} statements: {done.stderr[-2000:]}")
    return verdicts


def scriptdom(statements: list[str]) -> list[str]:
    return ask(["mono", JUDGES / "scriptdom" / "scriptdom.exe"], statements)


def sqlfluff(statements: list[str]) -> list[str]:
    return ask([JUDGES / "python" / "bin" / "python", HERE / "sqlfluff_judge.py"], statements)


def plsql(statements: list[str]) -> list[str]:
    return ask(["node", HERE / "plsql.js"], statements)
