#!/usr/bin/env python3
"""Checks the text of the project: the length of lines, and words that its style avoids.

Comments, documentation and string literals use plain English and the terms of AWS and of the
databases. CONTRIBUTING.md has the rules.
"""

import pathlib
import re
import subprocess
import sys

MAX_COLUMNS = 100
ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = (".rs", ".ts", ".js", ".mjs", ".css", ".html", ".py", ".sh")
SUFFIXES = (*CODE, ".md", ".yaml", ".yml", ".toml", "Makefile")

# The word and what to write instead.
AVOIDED = {
    "whoever": "the actor, such as the operator or an attacker",
    "whomever": "the actor, such as the operator or an attacker",
    "anew": "again",
    "once more": "again",
    "in step": "in sync",
    "gave up a": "cancelled",
    "taken back": "revoked",
    "at hand": "available",
    "throw-away": "temporary",
    "readable password": "cleartext password",
    "whose turn": "the target user",
    "makes nothing of": "ignores",
    "mended": "fixed",
}
WORDS = re.compile(r"\b(" + "|".join(map(re.escape, AVOIDED)) + r")\b", re.IGNORECASE)

# A generated table, and this list.
LONG_LINES_ALLOWED = ("docs/reliability.md",)
WORDS_ALLOWED = ("scripts/check_text.py",)


def is_too_long(line: str) -> bool:
    """Returns `True` for a line that could be shorter. A URL or a recorded text cannot be split."""
    return len(line) > MAX_COLUMNS and "http" not in line and not re.search(r"\S{80}", line)


def main() -> int:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    problems = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not name.endswith(SUFFIXES) or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if name not in LONG_LINES_ALLOWED and is_too_long(line):
                problems.append(f"{name}:{number}: {len(line)} columns, at most {MAX_COLUMNS}")
            if name not in WORDS_ALLOWED and (word := WORDS.search(line)):
                instead = AVOIDED[word[0].lower()]
                problems.append(f'{name}:{number}: "{word[0]}": write {instead}')
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
