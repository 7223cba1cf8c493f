"""Reads a grammar in the notation of Microsoft's syntax diagrams, and checks tokens with it.

    rule = WORD name "=" text [ OPTIONAL ] { "," REPEATED } ( ONE | OTHER )

Words in upper case are keywords, words in lower case are rules or kinds of tokens, and `|` tries
its alternatives in their order.
"""

import re

NOTATION = re.compile(r'"[^"]+"|[A-Za-z_@][A-Za-z_@0-9]*|[][{}()|=]')


class Grammar:
    """A grammar whose rules are in a text, one on each line.

    A line that begins with a space continues the line before it.
    """

    def __init__(self, text: str, kinds: dict) -> None:
        self.rules = dict(kinds)
        for line in re.sub(r"\n\s+", " ", text).strip().splitlines():
            name, rest = line.split(" = ", 1)
            words = NOTATION.findall(rest)
            self.rules[name], end = self.choice(words, 0)
            assert end == len(words), f"{name}: {words[end:]}"

    def choice(self, words: list[str], at: int):
        options = []
        while True:
            option, at = self.sequence(words, at)
            options.append(option)
            if at == len(words) or words[at] != "|":
                break
            at += 1
        return (options[0] if len(options) == 1 else first_of(options)), at

    def sequence(self, words: list[str], at: int):
        parts = []
        while at < len(words) and words[at] not in "|)]}":
            word = words[at]
            if word in "([{":
                inner, end = self.choice(words, at + 1)
                parts.append({"(": inner, "[": optional(inner), "{": repeated(inner)}[word])
                at = end + 1
                continue
            if word[0] == '"':
                parts.append(sign(word[1:-1]))
            elif word.isupper():
                parts.append(keyword(word))
            else:
                parts.append(self.reference(word))
            at += 1
        return all_of(parts), at

    def reference(self, name: str):
        return lambda tokens, at: self.rules[name](tokens, at)


# A part of a grammar is a function from a position to the position after it, or None.


class Input:
    """Tokens, and the last position that any part of the grammar has rejected."""

    def __init__(self, all: tuple) -> None:
        self.all, self.furthest = all, 0

    def at(self, at: int):
        self.furthest = max(self.furthest, at)
        return self.all[at][:2] if at < len(self.all) else ("end", "")


def of_kind(kind: str):
    """Matches one token of a kind."""

    def match(tokens: Input, at: int) -> int | None:
        return at + 1 if tokens.at(at)[0] == kind else None

    return match


def keyword(word: str):
    def match(tokens: Input, at: int) -> int | None:
        kind, text = tokens.at(at)
        return at + 1 if kind == "word" and text.upper() == word else None

    return match


def sign(text: str):
    def match(tokens: Input, at: int) -> int | None:
        return at + 1 if tokens.at(at) == ("sign", text) else None

    return match


def all_of(parts: list):
    def match(tokens: Input, at: int) -> int | None:
        for part in parts:
            at = part(tokens, at)
            if at is None:
                return None
        return at

    return match


def first_of(options: list):
    def match(tokens: Input, at: int) -> int | None:
        for option in options:
            if (end := option(tokens, at)) is not None:
                return end
        return None

    return match


def optional(part):
    def match(tokens: Input, at: int) -> int:
        end = part(tokens, at)
        return at if end is None else end

    return match


def repeated(part):
    def match(tokens: Input, at: int) -> int:
        while (end := part(tokens, at)) is not None and end > at:
            at = end
        return at

    return match
