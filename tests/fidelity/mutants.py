"""Changes a valid statement at one token, so that a parser should reject most of the results."""

import random
import re

TOKEN = re.compile(
    r"""\s+ | N?'(?:''|[^'])*' | \[(?:\]\]|[^\]])*\] | "(?:""|[^"])*" | [@:]{0,2}[\w$\#]+ | ::
    | <> | <= | >= | .""",
    re.VERBOSE | re.DOTALL,
)


def mutants(sql: str, most: int) -> list[str]:
    """Returns at most this number of mutants. A statement always has the same ones."""
    tokens = [one.group() for one in TOKEN.finditer(sql) if not one.group().isspace()]
    found = {}
    for at, token in enumerate(tokens):
        before, after = tokens[:at], tokens[at + 1 :]
        changed = [
            before + after,
            [*before, token, token, *after],
            [*before, ",", token, *after],
            [*before, token, "(", *after],
            before,
        ]
        if after:
            changed.append([*before, after[0], token, *after[1:]])
        if token.isalpha():
            changed += [[*before, token + "X", *after], [*before, "'text'", *after]]
        elif token[0] in "N'[\"":
            changed += [[*before, "SELECT", *after], [*before, "5", *after]]
        for one in changed:
            found[joined(one)] = None
    found.pop(joined(tokens), None)
    all = list(found)
    return random.Random(sql).sample(all, most) if len(all) > most else all


def joined(tokens: list[str]) -> str:
    """Joins tokens without a change of meaning: `::` and `.` have no space around them."""
    return re.sub(r" ?(::|\.) ?", r"\1", " ".join(tokens))
