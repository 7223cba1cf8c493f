"""DDL triggers and logon triggers, which run with the privileges of the session that fires them.

https://learn.microsoft.com/sql/t-sql/statements/create-trigger-transact-sql and
https://learn.microsoft.com/sql/relational-databases/triggers/ddl-event-groups. The server runs the
body of a trigger unchanged. A failure in it is logged and does not end the statement, as if the
body began with TRY.
"""

from pysqlbridge.tds import QueryError

from model import Database, Scope, Trigger
from rights import Session, not_found, refused
from tokens import Tokens

# The statements and their events. Those of logins and server roles are events of the server only.
OF_SERVER = {
    "CREATE LOGIN": "CREATE_LOGIN",
    "ALTER LOGIN": "ALTER_LOGIN",
    "DROP LOGIN": "DROP_LOGIN",
    "CREATE SERVER ROLE": "CREATE_SERVER_ROLE",
    "ALTER SERVER ROLE": "ADD_SERVER_ROLE_MEMBER",
}
OF_DATABASE = {
    "CREATE USER": "CREATE_USER",
    "ALTER USER": "ALTER_USER",
    "DROP USER": "DROP_USER",
    "CREATE ROLE": "CREATE_ROLE",
    "ALTER ROLE": "ADD_ROLE_MEMBER",
    "CREATE TABLE": "CREATE_TABLE",
    "CREATE SCHEMA": "CREATE_SCHEMA",
}
VERBS = ("GRANT", "DENY", "REVOKE")
DATABASE_EVENTS = [*OF_DATABASE.values(), *(f"{verb}_DATABASE" for verb in VERBS)]
SERVER_EVENTS = [*OF_SERVER.values(), *(f"{verb}_SERVER" for verb in VERBS)]
GROUPS = {
    "DDL_DATABASE_LEVEL_EVENTS": DATABASE_EVENTS,
    "DDL_DATABASE_SECURITY_EVENTS": [one for one in DATABASE_EVENTS if one != "CREATE_TABLE"],
    "DDL_TABLE_EVENTS": ["CREATE_TABLE"],
    "DDL_USER_EVENTS": ["CREATE_USER", "ALTER_USER", "DROP_USER"],
    "DDL_SERVER_LEVEL_EVENTS": SERVER_EVENTS,
    "DDL_SERVER_SECURITY_EVENTS": SERVER_EVENTS,
    "DDL_LOGIN_EVENTS": ["CREATE_LOGIN", "ALTER_LOGIN", "DROP_LOGIN"],
    "DDL_EVENTS": DATABASE_EVENTS + SERVER_EVENTS,
    "LOGON": ["LOGON"],
}


def scope_of(session: Session, tokens: Tokens) -> Scope:
    """Reads `ON DATABASE` or `ON ALL SERVER`, and checks the session's permission for it."""
    tokens.expect("ON")
    if tokens.accept("ALL", "SERVER"):
        if not session.has_server("CONTROL SERVER"):
            raise refused()
        return session.server
    tokens.expect("DATABASE")
    if not session.has(session.database, "ALTER ANY DATABASE DDL TRIGGER", ("db_ddladmin",)):
        raise refused()
    return session.database


def create(session: Session, tokens: Tokens) -> None:
    if tokens.at != 2:
        raise QueryError(
            "'CREATE TRIGGER' must be the first statement in a query batch.",
            number=111,
            severity=15,
        )
    name = tokens.name()
    scope = scope_of(session, tokens)
    if not (tokens.accept("FOR") or tokens.accept("AFTER")):
        raise tokens.wrong()
    events, all = [], DATABASE_EVENTS + (SERVER_EVENTS if scope is session.server else [])
    while not events or tokens.accept(","):
        event = tokens.name().upper()
        if event not in GROUPS and event not in all:
            raise QueryError(
                f"The specified event type(s) is/are not valid on the specified target object.",
                number=1098,
                severity=15,
            )
        events += GROUPS.get(event, [event])
    tokens.expect("AS")
    if any(one.name.casefold() == name.casefold() for one in scope.triggers):
        raise QueryError(f"There is already an object named '{name}' in the database.", number=2714)
    body = tokens.sql[tokens.all[tokens.at][2] :]
    tokens.at = len(tokens.all)
    scope.triggers.append(Trigger(2000 + len(scope.triggers), name, events, body))


def change(state: str):
    def run(session: Session, tokens: Tokens) -> None:
        name = tokens.name()
        scope = scope_of(session, tokens)
        found = next(
            (one for one in scope.triggers if one.name.casefold() == name.casefold()), None
        )
        if found is None:
            raise not_found("alter", "trigger", name)
        if state == "dropped":
            scope.triggers.remove(found)
        found.is_disabled = state == "disabled"

    return run


def fire(session: Session, event: str, of_server: bool = False) -> None:
    """Runs the enabled triggers of an event with the privileges of the session."""
    if session.in_trigger:
        return
    home = session.database
    scopes: list[Scope] = [session.server] if of_server else [home, session.server]
    for scope in scopes:
        for trigger in [
            one for one in scope.triggers if event in one.events and not one.is_disabled
        ]:
            where = f"database {scope.name}" if isinstance(scope, Database) else "the server"
            session.log(f"{session.name}: trigger {trigger.name} of {where} runs for {event}")
            session.in_trigger = True
            try:
                session.run(trigger.body)
            except QueryError as error:
                session.log(f"{session.name}: trigger {trigger.name} failed: {error}")
            finally:
                session.in_trigger, session.database = False, home


HANDLERS = {
    "CREATE TRIGGER": create,
    "DISABLE TRIGGER": change("disabled"),
    "ENABLE TRIGGER": change("enabled"),
    "DROP TRIGGER": change("dropped"),
}
