"""Changes a valid statement at one token, so that a parser should reject most of the results."""

import random
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "fake_servers" / "common"))
from recorder import shape

TOKEN = re.compile(
    r"""\s+ | N?'(?:''|[^'])*' | \[(?:\]\]|[^\]])*\] | "(?:""|[^"])*" | [@:]{0,2}[\w$\#]+ | ::
    | <> | <= | >= | .""",
    re.VERBOSE | re.DOTALL,
)


def mutants(sql: str, most: int) -> list[str]:
    """Returns at most this number of mutants.

    Statements of the same shape are changed at the same places. A run thus judges the same mutants
    as the runs before it, although the names in its statements are random.
    """
    tokens = [one.group() for one in TOKEN.finditer(sql) if not one.group().isspace()]
    changes = [change for at in range(len(tokens)) for change in changed(tokens, at)]
    if len(changes) > most:
        changes = random.Random(shape(sql)).sample(changes, most)
    found = dict.fromkeys(joined(change) for change in changes)
    found.pop(joined(tokens), None)
    return list(found)


def changed(tokens: list[str], at: int) -> list[list[str]]:
    """Returns the statements that differ from this one at one token."""
    before, token, after = tokens[:at], tokens[at], tokens[at + 1 :]
    changes = [
        before + after,
        [*before, token, token, *after],
        [*before, ",", token, *after],
        [*before, token, "(", *after],
        before,
    ]
    if after:
        changes.append([*before, after[0], token, *after[1:]])
    if token.isalpha():
        changes += [[*before, token + "X", *after], [*before, "'text'", *after]]
    elif token[0] in "'[\"" or token.startswith("N'"):
        changes += [[*before, "SELECT", *after], [*before, "5", *after]]
    return changes


def joined(tokens: list[str]) -> str:
    """Joins tokens without a change of meaning: `::` and `.` have no space around them."""
    return re.sub(r" ?(::|\.) ?", r"\1", " ".join(tokens))
