"""The permissions of sessions.

The permissions that each statement needs are those of its page under
https://learn.microsoft.com/sql/t-sql/statements/, section "Permissions".
"""

import functools

from pysqlbridge.tds import QueryError

from model import DATABASE_ROLES, Database, Principal, Server, Thing
from releases import Release


# The higher permissions of the table on the page grant-server-permissions-transact-sql.
IMPLIED_BY = {
    "VIEW ANY DATABASE": ("VIEW ANY DEFINITION",),
    "CREATE ANY DATABASE": ("ALTER ANY DATABASE",),
    "VIEW SERVER STATE": ("ALTER SERVER STATE",),
    "CREATE LOGIN": ("ALTER ANY LOGIN",),
    "VIEW ANY SECURITY DEFINITION": ("VIEW ANY DEFINITION",),
}


def role_with(permission: str) -> str | None:
    """Returns the fixed server role that has a permission."""
    return {
        "ALTER ANY LOGIN": "securityadmin",
        "ALTER ANY DATABASE": "dbcreator",
        "CREATE ANY DATABASE": "dbcreator",
    }.get(permission)


def cached(method):
    """Keeps the answers of a method of Session for queries, until a statement changes the model."""

    @functools.wraps(method)
    def answer(self, *args):
        if self.is_changing:
            return method(self, *args)
        if self.answers_for != self.server.revision:
            self.answers, self.answers_for = {}, self.server.revision
        key = (method.__name__, self.database, *args)
        if key not in self.answers:
            self.answers[key] = method(self, *args)
        return self.answers[key]

    return answer


class Session:
    """A session of a login, or of a user of a contained database."""

    def __init__(
        self,
        server: Server,
        login: Principal | None,
        contained: Principal | None,
        database: Database,
    ) -> None:
        self.server, self.login, self.contained, self.database = server, login, contained, database
        self.id = 0
        # True while a statement changes the model. Answers of cached methods, and their revision.
        self.is_changing, self.answers, self.answers_for = False, {}, -1
        self.transaction = None
        # The attributes for triggers: the server's log, the function that runs a batch, and whether
        # a trigger is running.
        self.log, self.run, self.in_trigger = lambda _line: None, lambda _sql: None, False

    @property
    def name(self) -> str:
        return (self.login or self.contained).name

    def snapshot(self) -> tuple:
        """Returns the model, and what the session is, in a form that can be stored."""
        return self.server, self.login, self.contained, self.database

    @property
    def release(self) -> Release:
        """The release as which the server answers this session.

        `sa`, which does not exist in Azure SQL Database, prepares the tests as on a server.
        """
        release = self.server.release
        return release.on_server() if self.name == "sa" else release

    def is_azure(self) -> bool:
        return self.release.is_azure

    # Permissions on the server.

    @cached
    def in_server_role(self, *roles: str) -> bool:
        if not self.login:
            return False
        groups = self.server.groups(self.login.id)
        return any(self.server.find(role, "R").id in groups for role in ("sysadmin", *roles))

    @cached
    def has_server(self, permission: str) -> bool:
        if self.in_server_role():
            return True
        said = self.login and self.server.says(self.login.id, permission, [(100, 0, 0)])
        if said == "GRANT" or role_with(permission) and self.in_server_role(role_with(permission)):
            return True
        return said != "DENY" and any(map(self.has_server, IMPLIED_BY.get(permission, ())))

    def sees_all_of_server(self) -> bool:
        if self.is_denied_security_definitions():
            return False
        return self.has_server("VIEW ANY DEFINITION") or self.has_server("ALTER ANY LOGIN")

    def is_denied_security_definitions(self) -> bool:
        """Returns whether the session may not see principals and their permissions on the server.

        The permission covers the catalog views of ##MS_SecurityDefinitionReader##:
        https://learn.microsoft.com/sql/relational-databases/security/authentication-access/server-level-roles
        """
        if not self.login or self.in_server_role():
            return False
        permission = "VIEW ANY SECURITY DEFINITION"
        return self.server.says(self.login.id, permission, [(100, 0, 0)]) == "DENY"

    @cached
    def sees_database(self, database: Database) -> bool:
        """Returns whether the session sees a database in sys.databases.

        https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
        has the rules, also that for OFFLINE databases, and
        https://learn.microsoft.com/en-us/previous-versions/sql/sql-server-2008/ms189077(v=sql.100)
        the effect of DENY.
        """
        if self.is_azure():
            return database is self.database or database.name == "master"
        owns = self.login and self.login.sid == database.owner
        if owns or database is self.database or database.name in ("master", "tempdb"):
            return True
        denied = "VIEW ANY DATABASE", [(100, 0, 0)]
        if self.login and not self.in_server_role():
            if self.server.says(self.login.id, *denied) == "DENY":
                return False
        return self.changes_databases() or (
            database.state != "OFFLINE" and self.has_server("VIEW ANY DATABASE")
        )

    def changes_databases(self) -> bool:
        return self.has_server("ALTER ANY DATABASE") or self.has_server("CREATE ANY DATABASE")

    # Permissions in databases.

    @cached
    def user(self, database: Database) -> Principal | None:
        """Returns the session's user in a database, or None if it has no access."""
        if self.contained:
            return self.contained if database is self.database else None
        if self.in_server_role():
            return database.principals[1]
        user = database.user_of(self.login.sid)
        if user and database.says(user.id, "CONNECT", [(0, 0, 0)]) != "DENY":
            return user
        if database.lets_guests_in() or self.has_server("CONNECT ANY DATABASE"):
            return database.principals[2]
        return None

    def may_enter(self, database: Database) -> bool:
        """Returns what HAS_DBACCESS returns.

        https://learn.microsoft.com/sql/t-sql/statements/alter-database-transact-sql-set-options has
        the members who may enter a RESTRICTED_USER database. The one user of a SINGLE_USER database
        is an administrator.
        """
        if database.state != "ONLINE" or self.user(database) is None:
            return False
        if database.user_access == "MULTI_USER" or self.in_server_role():
            return True
        return database.user_access == "RESTRICTED_USER" and (
            self.in_role(database) or self.in_server_role("dbcreator")
        )

    def in_role(self, database: Database, *roles: str) -> bool:
        user = self.user(database)
        groups = database.groups(user.id) if user else set()
        return any(DATABASE_ROLES[role] in groups for role in ("db_owner", *roles))

    def has(
        self,
        database: Database,
        permission: str,
        roles: tuple[str, ...] = (),
        thing: Thing | None = None,
    ) -> bool:
        user = self.user(database)
        if user is None:
            return False
        if user.id == 1:
            return True
        said = database.says(
            user.id, permission, [(0, 0, 0), *([(thing.cls, thing.id, 0)] if thing else [])]
        )
        return said != "DENY" and (said == "GRANT" or self.in_role(database, *roles))

    def is_denied(self, database: Database, permission: str) -> bool:
        user = self.user(database)
        return (
            user is not None
            and user.id != 1
            and database.says(user.id, permission, [(0, 0, 0)]) == "DENY"
        )

    @cached
    def sees_all_of(self, database: Database) -> bool:
        if self.is_denied(database, "VIEW DEFINITION"):
            return False
        if self.is_denied(database, "VIEW SECURITY DEFINITION"):
            return False
        if self.is_denied_security_definitions():
            return False
        if self.login and self.has_server("VIEW ANY DEFINITION"):
            return True
        return self.has(database, "VIEW DEFINITION", ("db_securityadmin",)) or self.has(
            database, "ALTER ANY USER", ("db_accessadmin",)
        )

    def check_access(self, permission: str, table: Thing, column: str | None = None) -> None:
        """Raises the error 229 or 230 if the session may not access a table or column."""
        database, user = self.database, self.user(self.database)
        if user.id == 1:
            return
        whole = [(1, table.id, 0), (3, table.schema, 0), (0, 0, 0)]
        minor = table.columns.index(column) + 1 if column else 0
        groups = database.groups(user.id)
        on_column = [
            one.state
            for one in database.permissions
            if minor
            and one.grantee in groups
            and one.name == permission
            and (one.cls, one.major, one.minor) == (1, table.id, minor)
        ]
        said = database.says(user.id, permission, whole)
        fixed = "db_datareader" if permission == "SELECT" else "db_datawriter"
        denies = "db_denydatareader" if permission == "SELECT" else "db_denydatawriter"
        owns = any(
            one.cls == 3 and one.id == table.schema and one.owner in groups
            for one in database.things
        )
        allowed = (
            owns
            or said == "GRANT"
            or "G" in on_column
            or "W" in on_column
            or self.in_role(database, fixed)
        )
        denied = said == "DENY" or "D" in on_column or DATABASE_ROLES[denies] in groups
        if on_column and "R" in on_column and not owns:
            allowed = False
        if denied or not allowed:
            schema = next(
                one.name for one in database.things if one.cls == 3 and one.id == table.schema
            )
            if column and (on_column or said == "GRANT"):
                raise QueryError(
                    f"The {permission} permission was denied on the column '{column}' of the object"
                    f" '{table.name}', database '{database.name}', schema '{schema}'.",
                    number=230,
                    severity=14,
                )
            raise QueryError(
                f"The {permission} permission was denied on the object '{table.name}', database"
                f" '{database.name}', schema '{schema}'.",
                number=229,
                severity=14,
            )


def refused(what: str = "perform this action") -> QueryError:
    return QueryError(f"User does not have permission to {what}.", number=15247)


def not_found(verb: str, kind: str, name: str) -> QueryError:
    """The same error for a securable that does not exist and one without permission."""
    return QueryError(
        f"Cannot {verb} the {kind} '{name}', because it does not exist or you do not have"
        " permission.",
        number=15151,
    )
