"""Transactions of a session, without isolation from other sessions.

https://learn.microsoft.com/sql/t-sql/language-elements/transactions-transact-sql. A rollback
restores the whole model, so it fails if another session has changed something in the meantime.
"""

import copy

from pysqlbridge.tds import QueryError

from model import Server
from tokens import Tokens

TRANSACTION = ("TRANSACTION", "TRAN")
# These statements are not allowed in a transaction:
# https://learn.microsoft.com/sql/t-sql/statements/create-database-transact-sql
NEVER_IN_TRANSACTION = ("CREATE DATABASE", "ALTER DATABASE", "DROP DATABASE", "RECONFIGURE")


def objects(server: Server) -> list:
    """Returns the objects that a statement can change."""
    found: list = [server]
    for scope in (server, *server.databases.values()):
        found += [*scope.principals.values(), *scope.permissions, *scope.triggers]
    for database in server.databases.values():
        found += [database, *database.things]
    return found


class Transaction:
    """An open transaction. `depth` is @@TRANCOUNT."""

    def __init__(self, server: Server) -> None:
        self.server, self.depth = server, 1
        self.saved = [
            (one, {name: copy.copy(value) for name, value in vars(one).items()})
            for one in objects(server)
        ]
        # The revisions that this session has caused.
        self.changes, self.revision = 0, server.revision

    def restore(self) -> None:
        revision = self.server.revision
        if revision != self.revision + self.changes:
            raise QueryError(
                "The fake server cannot roll back, because another session has changed it."
            )
        for one, attributes in self.saved:
            vars(one).clear()
            vars(one).update(attributes)
        self.server.revision = revision + 1


def begin(session, tokens: Tokens) -> None:
    tokens.accept(TRANSACTION[0]) or tokens.expect(TRANSACTION[1])
    name_of(tokens)
    if session.transaction:
        session.transaction.depth += 1
    else:
        session.transaction = Transaction(session.server)


def commit(session, tokens: Tokens) -> None:
    end_of(tokens)
    if not session.transaction:
        raise QueryError(
            "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.", number=3902
        )
    session.transaction.depth -= 1
    if session.transaction.depth == 0:
        session.transaction = None


def rollback(session, tokens: Tokens) -> None:
    end_of(tokens)
    if not session.transaction:
        raise QueryError(
            "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.", number=3903
        )
    transaction, session.transaction = session.transaction, None
    transaction.restore()


def end_of(tokens: Tokens) -> None:
    if not tokens.accept("WORK"):
        tokens.accept(TRANSACTION[0]) or tokens.accept(TRANSACTION[1])
        name_of(tokens)


def name_of(tokens: Tokens) -> None:
    if not tokens.ends():
        tokens.name()


HANDLERS = {"BEGIN": begin, "COMMIT": commit, "ROLLBACK": rollback}
