"""Resolves names without an owner: the current schema, private synonyms and public synonyms.

https://docs.oracle.com/en/database/oracle/oracle-database/23/admin/managing-schema-objects.html,
"Name Resolution in SQL Statements", and CREATE SYNONYM, CREATE VIEW, CREATE TRIGGER, ALTER SESSION
in the SQL Language Reference. The server stores only the names of views, and supports one form of
trigger: `AFTER LOGON ON DATABASE`, which sets CURRENT_SCHEMA.
"""

import functools
import re

import sqlglot
from sqlglot import exp

from model import Model, fault
from tokens import Tokens

SET_SCHEMA = re.compile(
    r'ALTER\s+SESSION\s+SET\s+CURRENT_SCHEMA\s*=\s*("[^"]+"|[\w$#]+)', re.IGNORECASE
)


@functools.cache
def tables(sql: str) -> tuple[tuple[str, str], ...]:
    """Returns the tables of a query: the owner (empty if the query names none) and the name."""
    tree = sqlglot.parse_one(re.sub(r":(\d+)", r":p\1", sql), read="oracle")
    found = tree.find_all(exp.Table)
    return tuple(
        (one.db, one.name) if one.this.args.get("quoted") else (one.db.upper(), one.name.upper())
        for one in found
    )


def planted(model: Model, schema: str, sql: str) -> list[str]:
    """Returns the users' objects that a query reads instead of the dictionary's."""
    found = []
    for owner, name in tables(sql):
        place = (owner, name) if owner else resolve(model, schema, name)
        if place and place[0] != "SYS" and model.objects.get(place, ("", []))[0] == "VIEW":
            found.append(".".join(place))
    return found


def resolve(model: Model, schema: str, name: str) -> tuple[str, str] | None:
    for place in ((schema, name), ("PUBLIC", name)):
        if place in model.objects:
            return place
        if place in model.synonyms:
            return model.synonyms[place]
    return None


def alter_session(sql: str) -> str | None:
    """Returns the new current schema, if the statement sets one."""
    match = SET_SCHEMA.search(sql)
    return match and (match.group(1)[1:-1] if match.group(1)[0] == '"' else match.group(1).upper())


def qualified(me: str, tokens: Tokens) -> tuple[str, str]:
    first = tokens.name()
    return (first, tokens.name()) if tokens.accept(".") else (me, first)


def create_synonym(model: Model, me: str, tokens: Tokens) -> None:
    is_public = tokens.accept("PUBLIC")
    tokens.expect("SYNONYM")
    owner, name = ("PUBLIC", tokens.name()) if is_public else qualified(me, tokens)
    if not model.has(
        me,
        (
            "CREATE PUBLIC SYNONYM"
            if is_public
            else "CREATE SYNONYM" if owner == me else "CREATE ANY SYNONYM"
        ),
    ):
        raise fault(1031, "insufficient privileges")
    tokens.expect("FOR")
    model.synonyms[owner, name] = qualified(me, tokens)


def create_view(model: Model, me: str, tokens: Tokens) -> None:
    owner, name = qualified(me, tokens)
    if not model.has(me, "CREATE VIEW" if owner == me else "CREATE ANY VIEW"):
        raise fault(1031, "insufficient privileges")
    tokens.expect("AS")
    tokens.at = len(tokens.all)
    model.objects[owner, name] = ("VIEW", ["A"])


def create_trigger(model: Model, me: str, tokens: Tokens) -> None:
    qualified(me, tokens)
    tokens.expect("AFTER", "LOGON", "ON", "DATABASE")
    if not model.has(me, "ADMINISTER DATABASE TRIGGER"):
        raise fault(1031, "insufficient privileges")
    body = " ".join(text for _, text in tokens.all[tokens.at :])
    tokens.at = len(tokens.all)
    model.logon_schema = alter_session(body)


HANDLERS = {
    "CREATE OR REPLACE VIEW": create_view,
    "CREATE VIEW": create_view,
    "CREATE OR REPLACE TRIGGER": create_trigger,
    "CREATE TRIGGER": create_trigger,
    "CREATE OR REPLACE SYNONYM": lambda model, me, tokens: (
        back(tokens),
        create_synonym(model, me, tokens),
    ),
    "CREATE SYNONYM": lambda model, me, tokens: (back(tokens), create_synonym(model, me, tokens)),
    "CREATE OR REPLACE PUBLIC SYNONYM": lambda model, me, tokens: (
        back(tokens, 2),
        create_synonym(model, me, tokens),
    ),
    "CREATE PUBLIC SYNONYM": lambda model, me, tokens: (
        back(tokens, 2),
        create_synonym(model, me, tokens),
    ),
}


def back(tokens: Tokens, words: int = 1) -> None:
    """Moves back by a number of words."""
    tokens.at -= words
