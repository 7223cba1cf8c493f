"""Splits T-SQL into tokens.

Constants and identifiers follow
https://learn.microsoft.com/sql/t-sql/data-types/constants-transact-sql and
https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers.
"""

import functools
import re

from pysqlbridge.tds import QueryError

TOKEN = re.compile(
    r"""\s+ | --[^\n]*
    | (?P<text>N?'(?:''|[^'])*')
    | (?P<name>\[(?:\]\]|[^\]])*\] | "(?:""|[^"])*")
    | (?P<binary>0x[0-9A-Fa-f]*)
    | (?P<word>@{0,2}[^\W\d][\w$\#]* | \d+)
    | (?P<sign>:: | <> | .)""",
    re.VERBOSE | re.DOTALL,
)


@functools.lru_cache(1000)
def split(sql: str) -> tuple:
    """Returns the kind, the text, the start and the end of each token of a batch."""
    matches = TOKEN.finditer(sql)
    return tuple(
        (match.lastgroup, match.group(), match.start(), match.end())
        for match in matches
        if match.lastgroup
    )


class Tokens:
    """The tokens of a batch up to the end of a statement, and the current position."""

    def __init__(self, sql: str, start: int = 0, end: int | None = None) -> None:
        self.sql, self.all = sql, split(sql)[:end]
        self.at = start

    def peek(self, offset: int = 0):
        at = self.at + offset
        return self.all[at][:2] if at < len(self.all) else ("end", "")

    def is_word(self, *words: str) -> bool:
        """Returns True if these words come next."""
        return all(
            self.peek(offset)[0] in ("word", "sign") and self.peek(offset)[1].upper() == word
            for offset, word in enumerate(words)
        )

    def after(self, word: str) -> list[str]:
        """Returns the three tokens after the next occurrence of a word, if there is one."""
        at = self.at
        while at < len(self.all) and self.all[at][1] != ";":
            if self.all[at][1].upper() == word:
                return [
                    self.peek(offset)[1] for offset in range(at + 1 - self.at, at + 4 - self.at)
                ]
            at += 1
        return []

    def accept(self, *words: str) -> bool:
        if self.is_word(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.wrong()

    def wrong(self) -> QueryError:
        """Returns the error 102, near the next token."""
        return QueryError(f"Incorrect syntax near '{self.peek()[1]}'.", number=102, severity=15)

    def name(self) -> str:
        """Reads an identifier, quoted or not."""
        kind, text = self.peek()
        if kind == "name":
            close = "]" if text[0] == "[" else '"'
            text = text[1:-1].replace(close * 2, close)
            if not text or len(text) > 128:
                raise QueryError(
                    f"The identifier that starts with '{text[:100]}' is too long. Maximum length is"
                    " 128.",
                    number=103,
                    severity=15,
                )
        elif kind != "word" or text[0] in "@0123456789":
            raise self.wrong()
        self.at += 1
        return text

    def literal(self) -> str:
        """Reads a string constant. A backslash at the end of a line continues it on the next line:
        https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
        """
        kind, text = self.peek()
        if kind != "text":
            raise self.wrong()
        self.at += 1
        text = text[2:-1] if text[0] == "N" else text[1:-1]
        return re.sub(r"\\\r?\n", "", text.replace("''", "'"))

    def binary(self) -> bytes:
        kind, text = self.peek()
        if kind != "binary":
            raise self.wrong()
        self.at += 1
        return bytes.fromhex(text[2:].zfill(len(text[2:]) + len(text[2:]) % 2))

    def rest_of_statement(self) -> str:
        """Returns the text up to the next semicolon."""
        start = self.all[self.at][2]
        while self.at < len(self.all) and self.peek() != ("sign", ";"):
            self.at += 1
        return self.sql[start : self.all[self.at - 1][3]]

    def ends(self) -> bool:
        """Returns True if a statement ends here."""
        return self.peek()[0] == "end" or self.peek() == ("sign", ";")
