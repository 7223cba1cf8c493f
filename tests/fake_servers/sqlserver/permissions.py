"""The statements GRANT, DENY and REVOKE.

https://learn.microsoft.com/sql/t-sql/statements/grant-transact-sql and the pages of the other two.
"""

from pysqlbridge.tds import QueryError

import securables
from catalog import NAMED
from model import Permission, Principal, Scope
from rights import Session, not_found
from tokens import Tokens

CLASSES = {
    "OBJECT": 1,
    "SCHEMA": 3,
    "USER": 4,
    "ROLE": 4,
    "APPLICATION ROLE": 4,
    "TYPE": 6,
    "LOGIN": 101,
    "SERVER ROLE": 101,
    **securables.IN_DATABASE,
    **securables.ON_SERVER,
}
ON_SERVER = (
    "SERVER",
    "ENDPOINT",
    "LINKED",
    "TRACE",
    "BULK",
    "RESOURCES",
    "AUTHENTICATE SERVER",
    "ANY DATABASE",
    "ANY DEFINITION",
    "ANY SECURITY DEFINITION",
    "ANY PERFORMANCE DEFINITION",
    "ANY CRYPTOGRAPHICALLY SECURED DEFINITION",
    "ANY ERROR LOG",
    "ANY LOGIN",
    "CREATE LOGIN",
    "CONNECT SQL",
    "SHUTDOWN",
    "ANY CONNECTION",
    "ANY CREDENTIAL",
    "ANY EVENT SESSION",
)
# Such as ALTER ANY DATABASE DDL TRIGGER, which is a permission on one database.
ON_DATABASE = "ANY DATABASE "


def run(session: Session, verb: str, tokens: Tokens) -> Scope:
    """Runs one of the three statements, and returns the scope that it has changed."""
    only_option = verb == "REVOKE" and tokens.accept("GRANT", "OPTION", "FOR")
    words = []
    while not (
        tokens.is_word("ON")
        or tokens.is_word("TO")
        or tokens.is_word("FROM")
        or tokens.is_word("(")
    ):
        if tokens.ends():
            raise tokens.wrong()
        words.append(tokens.name().upper())
    permission = " ".join(words)
    if not session.release.has_permission(permission):
        raise QueryError(f"Incorrect syntax near '{permission}'.", number=102, severity=15)
    columns = column_list(tokens)
    scope, cls, major = session.database, 0, 0
    thing = None
    if tokens.accept("ON"):
        scope, cls, major, thing = securable(session, tokens)
        columns = columns or column_list(tokens)
    elif ON_DATABASE not in permission and any(part in permission for part in ON_SERVER):
        scope, cls = session.server, 100
    if not (tokens.accept("TO") or tokens.accept("FROM")):
        raise tokens.wrong()
    name = tokens.name()
    with_option = tokens.accept("WITH", "GRANT", "OPTION")
    cascade = tokens.accept("CASCADE")
    grantor_name = tokens.name() if tokens.accept("AS") else None
    if scope is session.server and session.database.name != "master":
        raise QueryError(
            "Permissions at the server scope can only be granted when the current database is"
            " master.",
            number=4621,
        )
    if scope is session.database and not session.database.is_writable():
        raise QueryError(
            f'Failed to update database "{scope.name}" because the database is read-only.',
            number=3906,
        )
    grantee = scope.find(name)
    if grantee is None:
        raise not_found("find", "login" if scope is session.server else "user", name)
    if permission == "CONNECT ANY DATABASE" and session.server.database("rdsadmin"):
        # Amazon RDS does not allow this:
        # https://docs.datadoghq.com/database_monitoring/setup_sql_server/rds/
        raise QueryError("Grantor does not have GRANT permission.", number=4613)
    me = session.login if scope is session.server else session.user(scope)
    if (
        grantee is me
        or grantee.id == 1
        or thing
        and thing.owner == grantee.id
        or scope is not session.server
        and grantee.id in (3, 4)
    ):
        raise QueryError(
            "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner,"
            " information_schema, sys, or yourself.",
            number=4624,
        )
    grantor = implied_grantor(session, scope, me, permission, cls, major, thing)
    if grantor_name and grantor == 1:
        grantor = scope.find(grantor_name).id
    minors = [thing.columns.index(column) + 1 for column in columns] if columns else [0]
    for minor in minors:
        change(
            scope,
            verb,
            Permission(cls, major, minor, grantee.id, grantor, permission, "G"),
            with_option,
            only_option,
            cascade,
        )
    return scope


def column_list(tokens: Tokens) -> list[str]:
    columns = []
    while tokens.accept("(") or columns and tokens.accept(","):
        columns.append(tokens.name())
    if columns:
        tokens.expect(")")
    return columns


def securable(session: Session, tokens: Tokens):
    """Reads the securable after ON. Returns the scope, the class, the id and the object."""
    words, at = [], tokens.at
    while tokens.peek()[0] == "word" and not tokens.is_word("TO"):
        words.append(tokens.name().upper())
    if not tokens.accept("::"):
        words, tokens.at = ["OBJECT"], at
    cls, database = CLASSES.get(" ".join(words)), session.database
    if words == ["DATABASE"]:
        tokens.name()
        return database, 0, 0, None
    if cls is None or not session.release.has_class(" ".join(words)):
        raise tokens.wrong()
    names = [tokens.name()]
    while tokens.accept("."):
        names.append(tokens.name())
    if cls in (101, 4):
        scope: Scope = session.server if cls == 101 else database
        kinds = {"APPLICATION ROLE": "A", "ROLE": "R", "SERVER ROLE": "R"}
        types = kinds.get(" ".join(words), "S")
        found: Principal | None = scope.find(names[-1], types)
        if found is None:
            raise not_found("find", " ".join(words).lower(), names[-1])
        return scope, cls, found.id, None
    if cls in securables.ON_SERVER.values():
        for one in session.server.things:
            if (one.cls, one.name.casefold()) == (cls, names[-1].casefold()):
                return session.server, cls, one.id, None
        raise not_found("find", " ".join(words).lower(), names[-1])
    if cls in NAMED and database.thing(cls, names[-1]) is None:
        raise not_found("find", " ".join(words).lower(), names[-1])
    thing = database.thing(cls, names[-1], names[-2] if len(names) > 1 else "dbo")
    if thing is None:
        raise not_found("find", " ".join(words).lower(), names[-1])
    return database, cls, thing.id, thing


def implied_grantor(
    session: Session, scope: Scope, me: Principal, permission: str, cls: int, major: int, thing
) -> int:
    """Returns the grantor: the owner for an administrator, otherwise the session's principal.

    Raises the error 4613 if the session may not grant the permission.
    """
    if scope is session.server:
        if session.in_server_role("securityadmin"):
            return 1
    elif session.in_role(scope, "db_securityadmin") or me.id == 1:
        return 1
    elif thing and thing.owner == me.id:
        return me.id
    groups = scope.groups(me.id)
    own = [
        one
        for one in scope.permissions
        if one.grantee in groups and one.state == "W" and one.name == permission
    ]
    if any((one.cls, one.major) in ((cls, major), (scope.own_class, 0)) for one in own):
        return me.id
    raise QueryError("Grantor does not have GRANT permission.", number=4613)


def change(
    scope: Scope, verb: str, new: Permission, with_option: bool, only_option: bool, cascade: bool
) -> None:
    def same(one: Permission, any_minor: bool = False) -> bool:
        keys = (one.cls, one.major, one.grantee, one.grantor, one.name) == (
            new.cls,
            new.major,
            new.grantee,
            new.grantor,
            new.name,
        )
        return keys and (any_minor or one.minor == new.minor)

    old = next((one for one in scope.permissions if same(one)), None)
    if verb in ("DENY", "REVOKE") and old and old.state == "W" and not cascade:
        raise QueryError(
            "To revoke or deny grantable privileges, specify the CASCADE option.", number=4611
        )
    if only_option:
        if old and old.state == "W":
            old.state = "G"
        return
    # A statement on a whole object removes the permissions on its columns.
    wiped = [one for one in scope.permissions if same(one, any_minor=new.minor == 0)]
    scope.permissions = [one for one in scope.permissions if one not in wiped]
    if verb == "REVOKE":
        whole = any(
            (one.cls, one.major, one.minor, one.grantee, one.name)
            == (new.cls, new.major, 0, new.grantee, new.name)
            and one.state in "GW"
            for one in scope.permissions
        )
        if new.minor and whole:
            new.state = "R"
            scope.permissions.append(new)
        return
    new.state = "D" if verb == "DENY" else "W" if with_option else "G"
    scope.permissions.append(new)
