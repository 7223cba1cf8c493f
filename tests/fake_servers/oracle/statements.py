"""Runs statements on users, roles, profiles and grants, and on tables to test privileges.

Each statement follows its page under
https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/; error numbers are those of
https://docs.oracle.com/en/error-help/db/.
"""

from seerdb.server import Result

import containers
import dictionary
import grants
import names
import syntax
from granted import Grant
from model import Dependent, Model, User, fault
from names import qualified
from tokens import Tokens


def run(model: Model, me: str, sql: str, binds: list) -> Result:
    syntax.check(sql)
    tokens = Tokens(sql)
    if tokens.is_word("SELECT"):
        table = table_of(tokens)
        if table is None or table in model.release.views() or table == "DUAL":
            return dictionary.query(model, me, sql, binds)
        return select(model, me, tokens)
    for words, handler in HANDLERS.items():
        if tokens.accept(*words.split()):
            if words not in READING:
                check_writable(model, me)
            try:
                handler(model, me, tokens)
            finally:
                # A statement that fails may also have changed something.
                model.changed()
            if not tokens.ends():
                raise fault(933, f"SQL command not properly ended near {tokens.peek()[1]!r}")
            return Result()
    raise fault(900, "invalid SQL statement")


def check_writable(model: Model, me: str) -> None:
    """Raises an error if the user is read-only: its sessions work as in a read-only database.

    CREATE USER, the clause READ ONLY: the SQL Language Reference of 23ai. ORA-28194.
    """
    if model.users[me].is_read_only:
        raise fault(28194, "Can perform read operations only")


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
            if user.name in model.users:
                containers.check_password_change(model, user.name)
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
            user.tablespace = tablespace(model, tokens)
        elif tokens.accept("TEMPORARY", "TABLESPACE"):
            user.temporary = tablespace(model, tokens)
        elif tokens.accept("QUOTA"):
            amount = -1 if tokens.accept("UNLIMITED") else int(tokens.peek()[1])
            tokens.at += amount != -1
            tokens.expect("ON")
            name = tablespace(model, tokens)
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
        elif model.release.has("19c") and tokens.accept("EXPIRE", "PASSWORD", "ROLLOVER", "PERIOD"):
            user.rolled = None
        elif model.release.has("23ai") and tokens.accept("READ"):
            read_only(user, tokens)
        elif tokens.accept("DEFAULT", "ROLE"):
            default_role(model, user, tokens)
        else:
            raise fault(922, f"missing or invalid option near {tokens.peek()[1]!r}")
    return has_password


def read_only(user: User, tokens: Tokens) -> None:
    is_read_only = not tokens.accept("WRITE")
    if is_read_only:
        tokens.expect("ONLY")
    if user.is_common:
        raise fault(
            28192, "Enabling or disabling read-only property is not allowed on a common user."
        )
    user.is_read_only = is_read_only


def default_role(model: Model, user: User, tokens: Tokens) -> None:
    if tokens.accept("ALL"):
        user.default_roles = None
    elif tokens.accept("NONE"):
        user.default_roles = set()
    else:
        roles = {tokens.name()}
        while tokens.accept(","):
            roles.add(tokens.name())
        granted = {one.privilege for one in model.grants.of(user.name) if one.kind == "role"}
        if not roles <= granted:
            raise fault(1955, f"DEFAULT ROLE '{(roles - granted).pop()}' not granted to user")
        user.default_roles = roles


def tablespace(model: Model, tokens: Tokens) -> str:
    name = tokens.name()
    if name not in model.tablespaces:
        raise fault(959, f"tablespace '{name}' does not exist")
    return name


def create_user(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE USER")
    if name in model.users or name in model.roles:
        raise fault(1920, f"user name '{name}' conflicts with another user or role name")
    where = containers.of_new_user(model, name)
    user = User(name, "", is_common=len(where) > 1)
    clauses(model, user, tokens)
    for one in where:
        one.users[name] = user


def alter_user(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    if name != me:
        need(model, me, "ALTER USER")
    clauses(model, model.user(name), tokens)


def drop_user(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "DROP USER")
    is_common = model.user(name).is_common
    tokens.accept("CASCADE")
    for one in model.all if is_common else [model]:
        one.drop_user(name)


def drop_tablespace(model: Model, me: str, tokens: Tokens) -> None:
    """Drops a tablespace. The users whose default tablespace it is keep its name."""
    need(model, me, "DROP TABLESPACE")
    model.tablespaces.remove(tablespace(model, tokens))


def create_role(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE ROLE")
    if name in model.roles or name in model.users:
        raise fault(1921, f"role name '{name}' conflicts with another user or role name")
    for one in containers.of_new_user(model, name):
        one.roles.add(name)
    model.grants.add(Grant(me, "role", name, option=True))


def drop_role(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "DROP ANY ROLE")
    if name not in model.roles:
        raise fault(1919, f"role '{name}' does not exist")
    model.roles.remove(name)
    model.grants.remove(
        lambda one: name == one.grantee or (one.kind, one.privilege) == ("role", name)
    )


def profile(model: Model, me: str, tokens: Tokens) -> None:
    name = tokens.name()
    need(model, me, "CREATE PROFILE")
    limits: dict[str, str] = {}
    tokens.expect("LIMIT")
    while not tokens.ends():
        limit = tokens.name()
        if limit not in model.profiles["DEFAULT"] or limit in limits:
            raise fault(2376, "invalid or redundant resource")
        limits[limit] = tokens.peek()[1].upper()
        tokens.at += 1
    model.profiles.setdefault(name, {}).update(limits)


def create_table(model: Model, me: str, tokens: Tokens) -> None:
    owner, name = qualified(me, tokens)
    need(model, me, "CREATE TABLE" if owner == me else "CREATE ANY TABLE")
    columns, dependents = [], []
    while tokens.accept("(") or tokens.accept(","):
        columns.append(tokens.name())
        type = qualified(me, tokens)
        if type in model.objects:
            check_use(model, owner, "EXECUTE", *type)
            dependents.append(Dependent("EXECUTE", type, (owner, name)))
        if tokens.accept("REFERENCES"):
            parent = qualified(me, tokens)
            check_use(model, owner, "REFERENCES", *parent)
            dependents.append(Dependent("REFERENCES", parent, (owner, name)))
            if tokens.accept("("):
                tokens.name()
                tokens.expect(")")
    tokens.expect(")")
    model.objects[owner, name] = ("TABLE", columns)
    model.dependents += dependents


def create_type(model: Model, me: str, tokens: Tokens) -> None:
    owner, name = qualified(me, tokens)
    need(model, me, "CREATE TYPE" if owner == me else "CREATE ANY TYPE")
    tokens.at = len(tokens.all)
    model.objects[owner, name] = ("TYPE", [])


def check_use(model: Model, user: str, privilege: str, owner: str, name: str) -> None:
    if not model.may_use(user, privilege, owner, name):
        raise fault(1031, "insufficient privileges")


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
        if model.release.has("23ai"):
            raise fault(41900, f'missing {privilege} privilege on "{owner}"."{name}"')
        raise fault(1031, "insufficient privileges")


def end_transaction(_model: Model, _me: str, tokens: Tokens) -> None:
    """Every supported statement commits, so a transaction never has a change."""
    tokens.accept("WORK")


# The statements that change nothing in the database.
READING = {"COMMIT", "ROLLBACK", "ALTER SESSION SET"}

HANDLERS = {
    "COMMIT": end_transaction,
    "ROLLBACK": end_transaction,
    "CREATE USER": create_user,
    "ALTER USER": alter_user,
    "DROP USER": drop_user,
    "DROP TABLESPACE": drop_tablespace,
    "CREATE ROLE": create_role,
    "DROP ROLE": drop_role,
    "CREATE PROFILE": profile,
    "ALTER PROFILE": profile,
    "CREATE TABLE": create_table,
    "CREATE TYPE": create_type,
    "CREATE DIRECTORY": create_directory,
    "INSERT INTO": insert,
    **grants.HANDLERS,
    "ALTER SESSION SET": lambda _model, _me, tokens: setattr(tokens, "at", len(tokens.all)),
    **names.HANDLERS,
}
