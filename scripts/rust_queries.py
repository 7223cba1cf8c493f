"""Finds the SQL queries in the Rust sources of an engine, without compiling them.

A query is a string literal that begins with SELECT, or a `format!` of one. Its placeholders are
resolved in the function around it: string literals, `format!`, bindings with `let`, `match` and
`if`, constants, and functions of the crate that return a text. What has two values, such as the
name of a view of the server and of a database, gives two queries. Every other value, such as the
name of a database, stands for a name before a dot and for a number elsewhere.

The code of SQL Server has one query for all classes of securables (`permission_rows.rs`). Its
values depend on the entry of the table in `scope.rs`, so the query is resolved for each entry.
"""

import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path

TEXT = re.compile(r'r#"(?P<raw>.*?)"#|b?"(?P<text>(?:\\.|[^"\\])*)"', re.DOTALL)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
CHARACTER = re.compile(r"b?'(?:\\.[^']*|[^'\\])'")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z")
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}:]*)(?::[^{}]*)?\}")
OPEN, CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Class:
    """An entry of the table of classes in `scope.rs`."""

    of_server: bool
    fields: tuple

    def get(self, name: str):
        return dict(self.fields)[name]


@dataclass
class Function:
    name: str
    file: Path
    line: int
    body: str


@dataclass
class Query:
    sql: str
    place: str


@dataclass
class Case:
    """One case of what a query depends on: the server or a database, and a class."""

    of_server: bool | None = None
    cls: Class | None = None
    # The functions that are being resolved, so that a recursion ends.
    within: tuple = field(default_factory=tuple)


class Crate:
    """The sources of one crate."""

    def __init__(self, folder: Path) -> None:
        self.functions: dict[str, list[Function]] = {}
        self.constants: dict[str, str] = {}
        self.classes: list[Class] = []
        self.roots: list[tuple[Function, str]] = []
        for file in sorted(folder.rglob("*.rs")):
            if not file.name.endswith("tests.rs"):
                self.read(file, without_tests(without_comments(file.read_text())))

    def read(self, file: Path, source: str) -> None:
        for match in re.finditer(r"\bconst (\w+): (?:&'static )?&?str\b[^=]*=", source):
            self.constants[match[1]] = source[match.end() : end_of(source, match.end(), ";")]
        for match in re.finditer(r"\bconst (\w+): i32 = (\d+);", source):
            self.constants[match[1]] = match[2]
        if file.name == "scope.rs":
            self.read_classes(source)
        for match in re.finditer(r"\bfn (\w+)", source):
            start = source.find("{", match.end())
            if start < 0 or ";" in source[match.end() : start].replace("; ", ""):
                continue
            end = closing(source, start)
            line = source.count("\n", 0, match.start()) + 1
            function = Function(match[1], file, line, source[start + 1 : end])
            self.functions.setdefault(match[1], []).append(function)
            self.find_roots(function)
        whole = Function("", file, 1, source)
        for name, value in re.findall(r"\nconst (\w+): &str =(.*?);\n", source, re.DOTALL):
            self.roots.append((whole, value.strip())) if is_query(value) else None

    def find_roots(self, function: Function) -> None:
        """Finds the queries of a function. Fragments of a query do not begin with SELECT."""
        for start, end in literals(function.body):
            literal = function.body[start:end]
            before = function.body[:start].rstrip()
            is_format = before.endswith("format!(")
            if is_query(literal):
                self.roots.append((function, call(before, function.body) if is_format else literal))
            elif is_format and re.match(r'"\{\} WHERE', literal):
                self.roots.append((function, call(before, function.body)))

    def read_classes(self, source: str) -> None:
        for table in ("ON_SERVER", "IN_DATABASE"):
            match = re.search(rf"const {table}: &\[Class\] = &\[", source)
            if not match:
                continue
            body = source[match.end() : closing(source, match.end() - 1)]
            for entry in split(body):
                named = dict(re.findall(r'(\w+): "(\w+)"', entry))
                found = re.search(r"\b(class|in_schema)\((.*)\)", entry, re.DOTALL)
                number, _, view, id = (one.strip().strip('"') for one in split(found[2]))
                number = int(self.constants.get(number, number))
                fields = {"number": number, "view": view, "id": id, "name": "name"}
                fields |= {"in_schema": found[1] == "in_schema", **named}
                self.classes.append(Class(table == "ON_SERVER", tuple(fields.items())))

    def queries(self) -> list[Query]:
        found = {}
        for function, root in self.roots:
            for case in self.cases(function.body + root):
                for sql in self.resolve(root, function, case):
                    if " FROM " in sql:
                        found.setdefault(sql, f"{function.file}:{function.line}")
        return [Query(sql, place) for sql, place in found.items()]

    def cases(self, body: str) -> list[Case]:
        if "named(scope, class)" in body or "class.view" in body:
            return [Case(one.of_server, one) for one in self.classes]
        return [Case(True), Case(False)] if "scope" in body else [Case()]

    # Expressions.

    def resolve(self, expression: str, function: Function, case: Case) -> list[str]:
        """Returns the possible values of an expression."""
        expression = expression.strip().lstrip("&").strip()
        expression = re.sub(r"\.(into|to_owned|to_string|as_str)\(\)\Z", "", expression)
        if expression == "String::new()":
            return [""]
        if TEXT.fullmatch(expression):
            return [self.fill(unescaped(expression), [], function, case, is_format=False)[0]]
        if expression.startswith("format!(") and closing(expression, 7) == len(expression) - 1:
            parts = split(expression[8:-1])
            return self.fill(unescaped(parts[0]), parts[1:], function, case, is_format=True)
        if expression.startswith(("match ", "if ")):
            values = [self.resolve(one, function, case) for one in self.arms(expression, case)]
            return unique(itertools.chain(*values))
        if expression.startswith("{") and closing(expression, 0) == len(expression) - 1:
            return self.resolve(tail(expression[1:-1]), function, case)
        if match := re.fullmatch(r"class\.(\w+)", expression):
            return [str(case.cls.get(match[1]))] if case.cls else OPAQUE
        if IDENTIFIER.match(expression):
            if (bound := self.binding(expression, function, case)) is not None:
                return bound
            if expression in self.constants:
                return self.resolve(self.constants[expression], function, case)
        if match := re.fullmatch(r"(?:\w+\.)?(\w+)\(([\w, ]*)\)", expression):
            return self.result(match[1], case)
        return OPAQUE

    def result(self, name: str, case: Case) -> list[str]:
        """Returns what a function of the crate returns, if that is a text."""
        found = self.functions.get(name, [])
        if len(found) != 1 or name in case.within:
            return OPAQUE
        inner = Case(case.of_server, case.cls, (*case.within, name))
        return self.resolve(tail(found[0].body), found[0], inner)

    def fill(self, template: str, arguments: list[str], function: Function, case: Case, is_format):
        """Returns a template with every combination of the values of its placeholders."""
        if not is_format:
            return [template]
        named = dict(
            (one.split("=", 1)[0].strip(), one.split("=", 1)[1])
            for one in arguments
            if re.match(r"\w+ = ", one.strip())
        )
        positional = iter([one for one in arguments if not re.match(r"\w+ = ", one.strip())])
        parts: list[list[str]] = []
        at, known = 0, {}
        for match in PLACEHOLDER.finditer(template):
            parts.append([template[at : match.start()]])
            at = match.end()
            if match[0] in ("{{", "}}"):
                parts.append([match[0][0]])
                continue
            expression = named.get(match[1], match[1]) if match[1] else next(positional, "")
            if expression not in known:
                known[expression] = self.resolve(expression, function, case)
            values = known[expression]
            if values is OPAQUE:
                values = ["[name]" if template[at : at + 1] == "." else "1"]
            parts.append(values)
        parts.append([template[at:]])
        return ["".join(one) for one in itertools.product(*parts)]

    def binding(self, name: str, function: Function, case: Case) -> list[str] | None:
        """Returns the values of a variable that `let` binds, alone or in a tuple."""
        for match in reversed(list(re.finditer(r"\blet (?:mut )?", function.body))):
            end = end_of(function.body, match.end(), "=")
            pattern = function.body[match.end() : end].strip()
            pattern = re.sub(r": [^()]*\Z", "", pattern)
            value = function.body[end + 1 : end_of(function.body, end + 1, ";")].strip()
            names = [one.strip() for one in split(pattern.strip("()"))]
            if name not in names:
                continue
            if not pattern.startswith("("):
                return self.resolve(value, function, case)
            at, found = names.index(name), []
            for one in self.arms(value, case) if value.startswith(("match ", "if ")) else [value]:
                if not one.startswith("(") or closing(one, 0) != len(one) - 1:
                    return OPAQUE
                found.append(self.resolve(split(one[1:-1])[at], function, case))
            return OPAQUE if OPAQUE in found else unique(itertools.chain(*found))
        return None

    def arms(self, expression: str, case: Case) -> list[str]:
        """Returns the values of `match` or `if` that are possible in a case."""
        start = expression.index("{")
        subject = expression[expression.index(" ") + 1 : start].strip()
        end = closing(expression, start)
        if expression.startswith("if "):
            rest = expression[end + 1 :].strip()
            other = rest.removeprefix("else").strip()
            truth = self.truth(subject, case)
            values = [tail(expression[start + 1 : end])] if truth is not False else []
            if truth is True:
                return values
            inner = other[1:-1] if other.startswith("{") else other
            return values + [tail(inner)]
        found = []
        for arm in split_arms(expression[start + 1 : end]):
            pattern, value = arm.split("=>", 1)
            fits = self.fits(subject, pattern.strip(), case)
            if fits is not False:
                found.append(value.strip().rstrip(",").strip())
            if fits is True:
                break
        return found

    def truth(self, condition: str, case: Case) -> bool | None:
        if case.cls and condition == "class.is_of_principals()":
            return case.cls.get("id") == "principal_id"
        if case.cls and condition == "class.in_schema":
            return bool(case.cls.get("in_schema"))
        if re.fullmatch(r"(self|scope) == (Self|Scope)::Server", condition):
            return case.of_server
        return None

    def fits(self, subject: str, pattern: str, case: Case) -> bool | None:
        """Returns whether a pattern matches, or None if that is not known."""
        pattern, _, guard = pattern.partition(" if ")
        if subject in ("self", "scope") and case.of_server is not None:
            matches = ("::Server" in pattern) == case.of_server or pattern == "_"
        elif subject == "class.number" and case.cls and pattern != "_":
            number = self.constants.get(pattern, pattern)
            matches = number == str(case.cls.get("number"))
        elif pattern in ("true", "false"):
            truth = self.truth(subject, case)
            if truth is None:
                return None
            matches = truth == (pattern == "true")
        elif pattern == "_":
            matches = True
        else:
            return None
        if not matches:
            return False
        return self.truth(guard.strip(), case) if guard else True


# A value that does not change which views and columns a query reads.
OPAQUE = ["1"]


def is_query(text: str) -> bool:
    return re.match(r'\s*"SELECT\s', text) is not None


def unique(values) -> list[str]:
    return list(dict.fromkeys(values))


def without_comments(source: str) -> str:
    """Replaces comments and character literals, which may have quotes, with blanks."""
    kept = re.compile(f"{TEXT.pattern}|{COMMENT.pattern}|{CHARACTER.pattern}", re.DOTALL)

    def blank(match: re.Match) -> str:
        is_text = match["raw"] is not None or match["text"] is not None
        return match[0] if is_text else re.sub(r"[^\n]", " ", match[0])

    return kept.sub(blank, source)


def without_tests(source: str) -> str:
    at = source.find("#[cfg(test)]\nmod ")
    return source if at < 0 else source[:at]


def unescaped(literal: str) -> str:
    text = TEXT.fullmatch(literal.strip())
    if text["raw"] is not None:
        return text["raw"]
    joined = re.sub(r"\\\n\s*", "", text["text"])
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), joined)


def literals(source: str) -> list[tuple[int, int]]:
    return [match.span() for match in TEXT.finditer(source)]


def walk(source: str, start: int):
    """Yields the positions of the characters outside of string literals, and the depth."""
    at, depth = start, 0
    while at < len(source):
        if match := TEXT.match(source, at):
            at = match.end()
            continue
        if source[at] in CLOSE:
            depth -= 1
        yield at, depth
        if source[at] in OPEN:
            depth += 1
        at += 1


def closing(source: str, start: int) -> int:
    """Returns the position of the bracket that closes the one at `start`."""
    return next(at for at, depth in walk(source, start) if at > start and depth == 0)


def end_of(source: str, start: int, sign: str) -> int:
    """Returns the position of a sign outside of brackets, literals and longer operators."""
    for at, depth in walk(source, start):
        around = source[at - 1 : at + 2]
        if source[at] == sign and depth == 0 and not re.search(r"=[=>]|[=!<>]=", around):
            return at
    return len(source)


def split(source: str) -> list[str]:
    """Splits at the commas outside of brackets and literals."""
    parts, begin = [], 0
    for at, depth in walk(source, 0):
        if source[at] == "," and depth == 0:
            parts.append(source[begin:at])
            begin = at + 1
    return [part.strip() for part in [*parts, source[begin:]] if part.strip()]


def split_arms(source: str) -> list[str]:
    """Splits the arms of `match`: each ends with a comma, or with the block that is its value."""
    parts, begin, arrow = [], 0, False
    for at, depth in walk(source, 0):
        if depth:
            continue
        if source.startswith("=>", at):
            arrow = True
        ends_block = source[at] == "}" and re.search(r"=>\s*\{", source[begin:at])
        if arrow and (source[at] == "," or ends_block):
            parts.append(source[begin : at + 1])
            begin, arrow = at + 1, False
    return [part.strip(" \n,") for part in [*parts, source[begin:]] if "=>" in part]


def tail(body: str) -> str:
    """Returns the expression at the end of a block."""
    begin = 0
    for at, depth in walk(body, 0):
        if body[at] == ";" and depth == 0:
            begin = at + 1
    return body[begin:].strip()


def call(before: str, body: str) -> str:
    """Returns the call of `format!` whose opening bracket ends `before`."""
    start = len(before) - len("format!(")
    return body[start : closing(body, len(before) - 1) + 1]
