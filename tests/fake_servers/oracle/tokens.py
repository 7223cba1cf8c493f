"""Splits Oracle's SQL into tokens.

https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/Basic-Elements-of-Oracle-SQL.html
"""

import functools
import re

from model import fault

TOKEN = re.compile(
    r"""\s+ | --[^\n]*
    | (?P<text>'(?:''|[^'])*')
    | (?P<name>"[^"]*")
    | (?P<word>[^\W\d][\w$\#]* | -?\d*\.?\d+)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


@functools.lru_cache(1000)
def split(sql: str) -> tuple:
    """Returns the kind and the text of each token of a statement."""
    return tuple(
        (match.lastgroup, match.group()) for match in TOKEN.finditer(sql) if match.lastgroup
    )


class Tokens:
    """The tokens of a statement, and the current position."""

    # The limit of names in bytes.
    longest_name = 128

    def __init__(self, sql: str) -> None:
        self.all = split(sql)
        self.at = 0

    def peek(self, offset: int = 0):
        at = self.at + offset
        return self.all[at] if at < len(self.all) else ("end", "")

    def is_word(self, *words: str) -> bool:
        return all(
            self.peek(at)[0] in ("word", "sign") and self.peek(at)[1].upper() == word
            for at, word in enumerate(words)
        )

    def accept(self, *words: str) -> bool:
        if self.is_word(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise fault(922, f"missing or invalid option near {self.peek()[1]!r}")

    def name(self) -> str:
        """Reads an identifier: quoted, or converted to upper case."""
        kind, text = self.peek()
        if kind == "name":
            text = text[1:-1]
        elif kind == "word" and not text[0].isdigit():
            text = "".join(one.upper() if len(one.upper()) == 1 else one for one in text)
        else:
            raise fault(1935, "missing user or role name")
        if not text or len(text.encode()) > self.longest_name:
            raise fault(972, "identifier is too long")
        self.at += 1
        return text

    def quoted(self) -> str:
        """Reads a password: the text in double quotes."""
        kind, text = self.peek()
        if kind not in ("name", "word"):
            raise fault(988, "missing or invalid password(s)")
        self.at += 1
        return text[1:-1] if kind == "name" else text

    def ends(self) -> bool:
        return self.peek()[0] == "end" or self.peek()[1] == ";"
