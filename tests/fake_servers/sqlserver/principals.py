"""The statements CREATE, ALTER and DROP for logins, users and roles.

https://learn.microsoft.com/sql/t-sql/statements/create-login-transact-sql, and the pages of
alter-login, create-user, alter-user, alter-role and alter-server-role.
"""

from pysqlbridge.tds import QueryError

from model import CONTAINED_SID, DATABASE_ROLES, Permission, Principal
from rights import Session, not_found, refused
from tokens import Tokens

POLICY = "Password validation failed. The password does not meet"


def check_policy(password: str, policy: bool) -> None:
    """Applies Windows' password policy with its defaults.

    On Linux, a server applies only its length and complexity:
    https://learn.microsoft.com/sql/relational-databases/security/password-policy
    """
    if len(password) > 128:
        raise QueryError(
            f"{POLICY} the operating system policy requirements because it is too long.",
            number=15117,
        )
    if not policy:
        return
    if len(password) < 8:
        raise QueryError(
            f"{POLICY} the operating system policy requirements because it is too short.",
            number=15116,
        )
    kinds = [str.isupper, str.islower, str.isdigit, lambda one: not one.isalnum()]
    if sum(any(kind(one) for one in password) for kind in kinds) < 3:
        raise QueryError(
            f"{POLICY} the operating system policy requirements because it is not complex enough.",
            number=15118,
        )


def on_or_off(tokens: Tokens) -> bool:
    if tokens.accept("ON"):
        return True
    tokens.expect("OFF")
    return False


def options(tokens: Tokens) -> dict:
    """Reads `OPTION = value, …`, with the words that may follow a password."""
    found = {}
    while True:
        name = tokens.name().upper()
        tokens.expect("=")
        if name in ("PASSWORD", "OLD_PASSWORD"):
            found[name] = tokens.literal()
            # OLD_PASSWORD follows PASSWORD without a comma, instead of MUST_CHANGE and UNLOCK.
            if name == "PASSWORD" and tokens.is_word("OLD_PASSWORD"):
                continue
            while name == "PASSWORD" and (
                tokens.is_word("MUST_CHANGE") or tokens.is_word("UNLOCK")
            ):
                found[tokens.name().upper()] = True
        elif name == "SID":
            found[name] = tokens.binary()
        elif name in ("CHECK_POLICY", "CHECK_EXPIRATION"):
            found[name] = on_or_off(tokens)
        elif name in ("DEFAULT_DATABASE", "DEFAULT_LANGUAGE", "DEFAULT_SCHEMA", "NAME", "LOGIN"):
            found[name] = tokens.name()
        else:
            raise tokens.wrong()
        if not tokens.accept(","):
            return found


def must_change() -> QueryError:
    return QueryError(
        "The CHECK_POLICY and CHECK_EXPIRATION options cannot be turned OFF when MUST_CHANGE"
        " is ON.",
        number=15128,
    )


def apply_login_options(session: Session, login: Principal, found: dict) -> None:
    if "DEFAULT_DATABASE" in found:
        if not session.server.database(found["DEFAULT_DATABASE"]):
            raise QueryError(
                f"The database '{found['DEFAULT_DATABASE']}' does not exist. Supply a valid"
                " database name.",
                number=15010,
            )
        login.database = found["DEFAULT_DATABASE"]
    login.language = found.get("DEFAULT_LANGUAGE", login.language)
    login.name = found.get("NAME", login.name)
    if login.must_change and False in (found.get("CHECK_POLICY"), found.get("CHECK_EXPIRATION")):
        raise must_change()
    if "CHECK_POLICY" in found:
        login.policy = found["CHECK_POLICY"]
        login.expiration = login.expiration and login.policy
    login.expiration = found.get("CHECK_EXPIRATION", login.expiration)
    if login.expiration and not login.policy:
        raise QueryError(
            "The CHECK_EXPIRATION option cannot be used when CHECK_POLICY is OFF.", number=15122
        )
    if "MUST_CHANGE" in found and not (login.policy and login.expiration):
        # https://learn.microsoft.com/sql/t-sql/statements/create-login-transact-sql
        raise must_change()
    if "PASSWORD" in found:
        login.must_change = "MUST_CHANGE" in found


def create_login(session: Session, tokens: Tokens) -> None:
    check_in_master(session)
    name = tokens.name()
    tokens.expect("WITH")
    found = options(tokens)
    needed = "CREATE LOGIN"
    if not session.has_server(
        needed if session.release.has_permission(needed) else "ALTER ANY LOGIN"
    ):
        raise refused()
    if "\\" in name or not name:
        raise QueryError(
            f"'{name}' is not a valid name because it contains invalid characters.", number=15006
        )
    if session.server.find(name):
        raise QueryError(f"The server principal '{name}' already exists.", number=15025)
    check_policy(found["PASSWORD"], found.get("CHECK_POLICY", True))
    if len(found.get("SID", bytes(16))) != 16:
        raise QueryError("The sid is not 16 bytes long.", number=15419)
    login = session.server.add_login(name, password=found["PASSWORD"], sid=found.get("SID"))
    try:
        apply_login_options(session, login, found)
    except QueryError:
        session.server.drop(login)
        raise


def check_in_master(session: Session) -> None:
    """Azure SQL Database has logins only in `master`."""
    if session.is_azure() and session.database.name != "master":
        raise QueryError("User must be in the master database.", number=5001)


def alter_login(session: Session, tokens: Tokens) -> None:
    check_in_master(session)
    name = tokens.name()
    login = session.server.find(name, "S")
    is_self, may_alter = login and login is session.login, session.has_server("ALTER ANY LOGIN")
    if login and login.id != 1 and not may_alter:
        may_alter = (
            session.server.says(session.login.id, "ALTER", [(101, login.id, 0)]) == "GRANT"
            if session.login
            else False
        )
    # Only CONTROL SERVER suffices for a member of sysadmin and for a login with CONTROL SERVER.
    if login and not session.has_server("CONTROL SERVER"):
        controls = session.server.says(login.id, "CONTROL SERVER", [(100, 0, 0)]) == "GRANT"
        may_alter = may_alter and not controls and 3 not in session.server.groups(login.id)
    if login is None or not (may_alter or is_self):
        raise not_found("alter", "login", name)
    if tokens.accept("ENABLE") or tokens.accept("DISABLE"):
        if not may_alter:
            raise not_found("alter", "login", name)
        login.is_disabled = tokens.peek(-1)[1].upper() == "DISABLE"
        return
    tokens.expect("WITH")
    found = options(tokens)
    if "PASSWORD" in found:
        # A login can change its own password with the old one, and without any other option.
        if (
            "OLD_PASSWORD" in found
            and found["OLD_PASSWORD"] != login.password
            or "OLD_PASSWORD" not in found
            and not may_alter
        ):
            raise not_found("alter", "login", name)
        check_policy(found["PASSWORD"], found.get("CHECK_POLICY", login.policy))
        login.password, login.failures = found["PASSWORD"], 0
        if "UNLOCK" in found:
            login.is_locked = False
    elif not may_alter and not set(found) <= {"DEFAULT_DATABASE", "DEFAULT_LANGUAGE"}:
        raise not_found("alter", "login", name)
    apply_login_options(session, login, found)


def drop_login(session: Session, tokens: Tokens) -> None:
    name = tokens.name()
    login = session.server.find(name, "S")
    if login is None or not session.has_server("ALTER ANY LOGIN"):
        raise not_found("drop", "login", name)
    session.server.drop(login)


def check_writable(session: Session) -> None:
    if not session.database.is_writable():
        raise QueryError(
            f'Failed to update database "{session.database.name}" because the database is'
            " read-only.",
            number=3906,
        )


def create_user(session: Session, tokens: Tokens) -> None:
    check_writable(session)
    name, database = tokens.name(), session.database
    login, found = None, {}
    if tokens.accept("FOR", "LOGIN"):
        login_name = tokens.name()
        login = session.server.find(login_name, "S")
        if login is None:
            raise QueryError(
                f"'{login_name}' is not a valid login or you do not have permission.", number=15007
            )
    without = tokens.accept("WITHOUT", "LOGIN")
    if tokens.accept("WITH"):
        found = options(tokens)
    if not session.has(database, "ALTER ANY USER", ("db_accessadmin",)):
        raise refused()
    if database.find(name):
        raise QueryError(
            f"User, group, or role '{name}' already exists in the current database.", number=15023
        )
    if "PASSWORD" in found and not (database.contained or session.server.release.is_azure):
        raise QueryError(
            "You can only create a user with a password in a contained database.", number=33233
        )
    if login is None and "PASSWORD" not in found and not without:
        login = session.server.find(name, "S")
        if login is None:
            raise QueryError(
                f"'{name}' is not a valid login or you do not have permission.", number=15007
            )
    if login and database.user_of(login.sid):
        raise QueryError(
            f"The login already has an account under a different user name.", number=15063
        )
    user = database.add(name, schema=found.get("DEFAULT_SCHEMA", "dbo"), language=None)
    if "PASSWORD" in found:
        check_policy(found["PASSWORD"], True)
        user.password, user.authentication, user.language = (
            found["PASSWORD"],
            2,
            found.get("DEFAULT_LANGUAGE"),
        )
        user.sid = found.get("SID", CONTAINED_SID + user.id.to_bytes(16, "big"))
    elif login:
        user.sid, user.authentication = login.sid, 1
    if not without:
        database.permissions.append(Permission(0, 0, 0, user.id, 1, "CONNECT", "G"))


def alter_user(session: Session, tokens: Tokens) -> None:
    check_writable(session)
    name, database = tokens.name(), session.database
    user = database.find(name, "S")
    tokens.expect("WITH")
    found = options(tokens)
    may_alter = session.has(database, "ALTER ANY USER", ("db_accessadmin",))
    is_self = user is not None and user is session.user(database)
    if user is None or not (may_alter or is_self and "OLD_PASSWORD" in found):
        raise not_found("alter", "user", name)
    if "PASSWORD" in found:
        if (
            user.authentication != 2
            or "OLD_PASSWORD" in found
            and found["OLD_PASSWORD"] != user.password
        ):
            raise not_found("alter", "user", name)
        check_policy(found["PASSWORD"], True)
        user.password = found["PASSWORD"]
    if "LOGIN" in found:
        if not session.has(database, "CONTROL", ("db_owner",)):
            raise not_found("alter", "user", name)
        login = session.server.find(found["LOGIN"], "S")
        if login is None:
            raise QueryError(
                f"'{found['LOGIN']}' is not a valid login or you do not have permission.",
                number=15007,
            )
        if user.authentication != 1:
            raise QueryError(
                "The user cannot be remapped to a login. Remapping can only be done for users that"
                " were mapped to Windows or SQL logins.",
                number=33016,
            )
        user.sid = login.sid
    user.name = found.get("NAME", user.name)
    user.schema = found.get("DEFAULT_SCHEMA", user.schema)
    if "DEFAULT_LANGUAGE" in found:
        user.language = (
            None if found["DEFAULT_LANGUAGE"].upper() == "NONE" else found["DEFAULT_LANGUAGE"]
        )


def drop_user(session: Session, tokens: Tokens) -> None:
    check_writable(session)
    if_exists = tokens.accept("IF", "EXISTS")
    name, database = tokens.name(), session.database
    user = database.find(name, "S")
    if user is None and if_exists:
        return
    if (
        user is None
        or user.id < 5
        or not session.has(database, "ALTER ANY USER", ("db_accessadmin",))
    ):
        raise not_found("drop", "user", name)
    if any(one.owner == user.id for one in database.things if one.cls == 3):
        raise QueryError(
            "The database principal owns a schema in the database, and cannot be dropped.",
            number=15138,
        )
    if any(one.owner == user.id for one in database.principals.values() if one.type == "R"):
        raise QueryError(
            "The database principal owns a database role and cannot be dropped.", number=15421
        )
    if any(one.grantor == user.id for one in database.permissions):
        raise QueryError(
            "The database principal has granted or denied permissions to objects in the database"
            " and cannot be dropped.",
            number=15284,
        )
    database.drop(user)


def create_role(session: Session, tokens: Tokens) -> None:
    name = tokens.name()
    owner = (
        session.database.find(tokens.name())
        if tokens.accept("AUTHORIZATION")
        else session.user(session.database)
    )
    if not session.has(session.database, "CREATE ROLE", ("db_securityadmin",)):
        raise refused()
    session.database.add(name, type="R", owner=owner.id)


def create_server_role(session: Session, tokens: Tokens) -> None:
    name = tokens.name()
    if not session.has_server("CREATE SERVER ROLE"):
        raise refused()
    session.server.add(name, 257, type="R", owner=session.login.id)


def member(tokens: Tokens) -> tuple[str, str, str]:
    role = tokens.name()
    verb = "ADD" if tokens.accept("ADD") else "DROP"
    if verb == "DROP":
        tokens.expect("DROP")
    tokens.expect("MEMBER")
    return role, verb, tokens.name()


def alter_role(session: Session, tokens: Tokens) -> None:
    check_writable(session)
    (role_name, verb, name), database = member(tokens), session.database
    role, user = database.find(role_name, "R"), database.find(name)
    is_fixed = role_name.casefold() in DATABASE_ROLES
    may = (
        session.in_role(database)
        or not is_fixed
        and session.has(database, "ALTER ANY ROLE", ("db_securityadmin",))
    )
    if role is None or not may:
        raise not_found("alter", "role", role_name)
    if user is None:
        raise QueryError(
            f"Cannot add the principal '{name}', because it does not exist or you do not have"
            " permission.",
            number=15151,
        )
    pair = (role.id, user.id)
    database.members.add(pair) if verb == "ADD" else database.members.discard(pair)


def alter_server_role(session: Session, tokens: Tokens) -> None:
    (role_name, verb, name), server = member(tokens), session.server
    role, login = server.find(role_name, "R"), server.find(name)
    may = (
        session.in_server_role()
        or role
        and role.is_fixed
        and role.id in server.groups(session.login.id)
    )
    may = (
        may
        or role
        and not role.is_fixed
        and (role.owner == session.login.id or session.has_server("ALTER ANY SERVER ROLE"))
    )
    if role is None or not may:
        raise not_found("alter", "server role", role_name)
    if login is None:
        raise QueryError(
            f"Cannot add the server principal '{name}', because it does not exist or you do not"
            " have permission.",
            number=15151,
        )
    pair = (role.id, login.id)
    server.members.add(pair) if verb == "ADD" else server.members.discard(pair)


HANDLERS = {
    "CREATE LOGIN": create_login,
    "ALTER LOGIN": alter_login,
    "DROP LOGIN": drop_login,
    "CREATE USER": create_user,
    "ALTER USER": alter_user,
    "DROP USER": drop_user,
    "CREATE ROLE": create_role,
    "ALTER ROLE": alter_role,
    "CREATE SERVER ROLE": create_server_role,
    "ALTER SERVER ROLE": alter_server_role,
}
