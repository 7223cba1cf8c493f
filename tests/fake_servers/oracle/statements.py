"""Runs statements on users, roles, profiles and grants, and on tables to test privileges.

Each statement follows its page under
https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/; error numbers are those of
https://docs.oracle.com/en/error-help/db/.
"""

from seerdb.server import Result

import dictionary
import names
import syntax
from model import TABLESPACES, Grant, Model, User, fault
from tokens import Tokens


def run(model: Model, me: str, sql: str, binds: list) -> Result:
    syntax.check(sql)
    tokens = Tokens(sql)
    if tokens.is_word("SELECT"):
        table = table_of(tokens)
        if table is None or table in dictionary.VIEWS or table == "DUAL":
            return dictionary.query(model, me, sql, binds)
        return select(model, me, tokens)
    for words, handler in HANDLERS.items():
        if tokens.accept(*words.split()):
            try:
                handler(model, me, tokens)
            finally:
                # A statement that fails may also have changed something.
                model.revision += 1
            if not tokens.ends():
                raise fault(933, f"SQL command not properly ended near {tokens.peek()[1]!r}")
            return Result()
    raise fault(900, "invalid SQL statement")


def table_of(tokens: Tokens) -> str | None:
    for at in range(len(tokens.all)):
        if tokens.peek(at)[1].upper() == "FROM":
            is_of_sys = tokens.peek(at + 1)[1].upper() == "SYS" and tokens.peek(at + 2)[1] == "."
            return tokens.peek(at + (3 if is_of_sys else 1))[1].upper()
    return None


def need(model: Model, me: str, privilege: str) -> None:
    if not model.has(me, privilege):
        raise fault(1031, "insufficient privileges")


def clauses(model: Model, user: User, tokens: Tokens) -> bool:
    """Applies the clauses of CREATE USER and ALTER USER. Returns True if they set a password."""
    has_password = False
    while not tokens.ends():
        if tokens.accept("IDENTIFIED", "BY"):
            password = tokens.quoted()
            if tokens.accept("REPLACE") and tokens.quoted() not in (user.password, user.rolled):
                # https://docs.oracle.com/en/error-help/db/ora-28008/
                raise fault(28008, "invalid old password")
            model.set_password(user, password)
            has_password = True
        elif tokens.accept("PROFILE"):
            name = tokens.name()
            if name not in model.profiles:
                raise fault(2380, f"profile {name} does not exist")
            user.profile = name
        elif tokens.accept("DEFAULT", "TABLESPACE"):
            user.tablespace = tablespace(tokens)
        elif tokens.accept("TEMPORARY", "TABLESPACE"):
            user.temporary = tablespace(tokens)
        elif tokens.accept("QUOTA"):
            amount = -1 if tokens.accept("UNLIMITED") else int(tokens.peek()[1])
            tokens.at += amount != -1
            tokens.expect("ON")
            name = tablespace(tokens)
            user.quotas[name] = amount
            if amount == 0:
                del user.quotas[name]
        elif tokens.accept("ACCOUNT", "LOCK"):
            user.is_locked = True
        elif tokens.accept("ACCOUNT", "UNLOCK"):
            user.is_locked = user.is_locked_by_failures = False
            user.failures = 0
        elif tokens.accept("PASSWORD", "EXPIRE"):
            user.is_expired = True
        elif tokens.accept("DEFAULT", "ROLE"):
            default_role(model, user, tokens)
        else:
            raise fault(922, f"missing or invalid option near {tokens.peek()[1]!r}")
    return has_password


def default_role(model: Model, user: User, tokens: Tokens) -> None:
    if tokens.accept("ALL"):
        user.default_roles = None
    elif tokens.accept("NONE"):
        user.default_roles = set()
    else:
        roles = {tokens.name()}
        while tokens.accept(","):
            roles.add(tokens.name())
        granted = {
            one.privilege for one in model.grants if one.kind == "role" and one.grantee == user.name
        }
        if not roles <= granted:
            raise fault(1955, f"DEFAULT ROLE '{(roles - granted).pop()}' not granted to user")
        user.default_roles = roles


def tablespace(tokens: Tokens) -> str:
    name = tokens.name()
    if name not in TABLESPACES:
        raise fault(959, f"tablespace '{name}' does not exist")
    return name


def create_user(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE USER")
    if name in model.users or name in model.roles:
        raise fault(1920, f"user name '{name}' conflicts with another user or role name")
    user = User(name, "")
    clauses(model, user, tokens)
    model.users[name] = user


def alter_user(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    if name != me:
        need(model, me, "ALTER USER")
    clauses(model, model.user(name), tokens)


def drop_user(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "DROP USER")
    model.user(name)
    tokens.accept("CASCADE")
    del model.users[name]
    model.grants = [one for one in model.grants if name not in (one.grantee, one.owner)]
    model.objects = {key: thing for key, thing in model.objects.items() if key[0] != name}


def create_role(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE ROLE")
    if name in model.roles or name in model.users:
        raise fault(1921, f"role name '{name}' conflicts with another user or role name")
    model.roles.add(name)
    model.grants.append(Grant(me, "role", name, option=True))


def drop_role(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "DROP ANY ROLE")
    if name not in model.roles:
        raise fault(1919, f"role '{name}' does not exist")
    model.roles.remove(name)
    model.grants = [
        one
        for one in model.grants
        if name != one.grantee and (one.kind, one.privilege) != ("role", name)
    ]


def profile(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE PROFILE")
    limits = model.profiles.setdefault(name, {})
    tokens.expect("LIMIT")
    while not tokens.ends():
        limit = tokens.name()
        limits[limit] = tokens.peek()[1].upper()
        tokens.at += 1


def qualified(me: str, tokens: Tokens) -> tuple[str, str]:
    first = tokens.name()
    return (first, tokens.name()) if tokens.accept(".") else (me, first)


def create_table(model: Model, me: str, tokens: Tokens) -> None:
    owner, name = qualified(me, tokens)
    need(model, me, "CREATE TABLE" if owner == me else "CREATE ANY TABLE")
    columns = []
    while tokens.accept("(") or tokens.accept(","):
        columns.append(tokens.name())
        tokens.name()
    tokens.expect(")")
    model.objects[owner, name] = ("TABLE", columns)


def create_directory(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE ANY DIRECTORY")
    tokens.expect("AS")
    tokens.at += 1
    model.objects["SYS", name] = ("DIRECTORY", [])


def select(model: Model, me: str, tokens: Tokens) -> Result:
    """Runs `SELECT … FROM table`: checks only whether the session may."""
    while not tokens.accept("FROM"):
        tokens.at += 1
    check(model, me, "SELECT", *qualified(me, tokens))
    return Result([dictionary.text_column("A")], [], 0)


def insert(model: Model, me: str, tokens: Tokens) -> None:
    check(model, me, "INSERT", *qualified(me, tokens))
    while not tokens.ends():
        tokens.at += 1


def check(model: Model, me: str, privilege: str, owner: str, name: str) -> None:
    anything = [
        model.may_use(me, one, owner, name) for one in ("SELECT", "INSERT", "UPDATE", "DELETE")
    ]
    if (owner, name) not in model.objects or not any(anything):
        raise fault(942, "table or view does not exist")
    if not model.may_use(me, privilege, owner, name):
        raise fault(1031, "insufficient privileges")


def grant(model: Model, me: str, tokens: Tokens) -> None:
    change(model, me, tokens, True)


def revoke(model: Model, me: str, tokens: Tokens) -> None:
    change(model, me, tokens, False)


def change(model: Model, me: str, tokens: Tokens, gives: bool) -> None:
    words, is_quoted = [], tokens.peek()[0] == "name"
    while not any(tokens.is_word(word) for word in ("TO", "FROM", "ON", "(")):
        if tokens.ends():
            raise fault(990, "missing or invalid privilege")
        words.append(tokens.name())
    what, columns = " ".join(words), []
    while tokens.accept("(") or columns and tokens.accept(","):
        columns.append(tokens.name())
    if columns:
        tokens.expect(")")
    owner = name = ""
    # A single word that is not a role cannot be a system privilege, because these have two or more.
    is_role = is_quoted or what in model.roles or len(words) == 1
    kind = "role" if is_role else "system"
    if kind == "system" and not tokens.is_word("ON") and words[0] not in SYSTEM_VERBS:
        raise fault(990, "missing or invalid privilege")
    if tokens.accept("ON", "SCHEMA"):
        if model.version != "23ai":
            raise fault(905, "missing keyword")
        kind, owner = "schema", tokens.name()
        model.user(owner)
        if not model.may_grant(me, kind, what, owner):
            raise fault(1031, "insufficient privileges")
    elif tokens.accept("ON"):
        kind = "object"
        if tokens.accept("DIRECTORY"):
            owner, name = "SYS", tokens.name()
        else:
            owner, name = qualified(me, tokens)
        if (owner, name) not in model.objects:
            raise fault(942, "table or view does not exist")
        if not model.may_grant(me, kind, what, owner, name):
            # A session that cannot see the object must not learn that it exists.
            sees = any(
                model.may_use(me, one, owner, name)
                for one in ("SELECT", "INSERT", "UPDATE", "DELETE", "READ")
            )
            raise (
                fault(1031, "insufficient privileges")
                if sees
                else fault(942, "table or view does not exist")
            )
    elif kind == "role" and what not in model.roles:
        raise fault(1919, f"role '{what}' does not exist")
    elif not model.may_grant(me, kind, what):
        raise (
            fault(1932, "ADMIN option not granted for role '%s'" % what)
            if kind == "role"
            else fault(1031, "insufficient privileges")
        )
    tokens.expect("TO" if gives else "FROM")
    grantee = tokens.name()
    if kind == "object" and grantee in (owner, me):
        # https://docs.oracle.com/en/error-help/db/ora-01749/
        raise fault(1749, "you may not GRANT/REVOKE privileges to/from yourself")
    if grantee not in model.users and grantee not in model.roles:
        raise fault(1917, f"user or role '{grantee}' does not exist")
    option = tokens.accept("WITH", "ADMIN", "OPTION") or tokens.accept("WITH", "GRANT", "OPTION")
    grantor = (
        owner
        if kind == "object" and (me == owner or model.has(me, "GRANT ANY OBJECT PRIVILEGE"))
        else me
    )

    def same(one: Grant) -> bool:
        return (one.grantee, one.kind, one.privilege, one.owner, one.object) == (
            grantee,
            kind,
            what,
            owner,
            name,
        )

    if not gives:
        held = [
            one
            for one in model.grants
            if same(one) and (kind != "object" or one.grantor == grantor)
        ]
        if not held:
            raise {
                "system": fault(1952, f"system privileges not granted to '{grantee}'"),
                "schema": fault(1952, f"system privileges not granted to '{grantee}'"),
                "role": fault(1951, f"ROLE '{what}' not granted to '{grantee}'"),
                "object": fault(1927, "cannot REVOKE privileges you did not grant"),
            }[kind]
        if kind == "object" and columns:
            raise fault(
                1750, "UPDATE/REFERENCES may only be REVOKEd from the whole table, not by column"
            )
        model.grants = [one for one in model.grants if one not in held]
        return
    for column in columns or [""]:
        old = next(
            (
                one
                for one in model.grants
                if same(one)
                and one.column == column
                and (kind != "object" or one.grantor == grantor)
            ),
            None,
        )
        if old:
            old.option = old.option or option
        else:
            model.grants.append(Grant(grantee, kind, what, owner, name, column, option, grantor))


def end_transaction(_model: Model, _me: str, tokens: Tokens) -> None:
    """Every supported statement commits, so a transaction never has a change."""
    tokens.accept("WORK")


# The words with which system privileges begin, in the table "System Privileges" of GRANT.
SYSTEM_VERBS = frozenset("""
    ADMINISTER ADVISOR ALTER ANALYZE AUDIT BACKUP BECOME CHANGE COMMENT CREATE DEBUG DELETE DEQUEUE
    DROP ENABLE ENQUEUE EXECUTE EXEMPT EXPORT FLASHBACK FORCE GLOBAL GRANT IMPORT INHERIT INSERT
    KEEP LOCK LOGMINING MANAGE MERGE ON PURGE QUERY READ REDEFINE RESTRICTED RESUMABLE SELECT SET
    TEXT TRANSLATE UNDER UNLIMITED UPDATE USE
    """.split())
HANDLERS = {
    "COMMIT": end_transaction,
    "ROLLBACK": end_transaction,
    "CREATE USER": create_user,
    "ALTER USER": alter_user,
    "DROP USER": drop_user,
    "CREATE ROLE": create_role,
    "DROP ROLE": drop_role,
    "CREATE PROFILE": profile,
    "ALTER PROFILE": profile,
    "CREATE TABLE": create_table,
    "CREATE DIRECTORY": create_directory,
    "INSERT INTO": insert,
    "GRANT": grant,
    "REVOKE": revoke,
    "ALTER SESSION SET": lambda _model, _me, tokens: setattr(tokens, "at", len(tokens.all)),
    **names.HANDLERS,
}
