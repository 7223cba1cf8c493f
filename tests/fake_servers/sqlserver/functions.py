"""The functions of T-SQL that queries of the catalog call.

Each follows its page under https://learn.microsoft.com/sql/t-sql/functions/.
"""


def register(tables) -> None:
    """Registers the functions in the SQLite database of the catalog's tables."""
    lite = tables.lite

    def has_perms(securable, kind, permission):
        # An unknown permission is not an error:
        # https://learn.microsoft.com/sql/t-sql/functions/has-perms-by-name-transact-sql
        if not tables.session.release.has_permission(permission):
            return None
        if kind is None:
            # Azure SQL Database has no permissions on a server.
            if tables.session.is_azure():
                return None
            return int(tables.session.has_server(permission))
        session = tables.session
        database = session.server.database(unquoted(securable))
        roles = {
            "ALTER ANY USER": ("db_accessadmin",),
            "ALTER ANY ROLE": ("db_securityadmin",),
        }.get(permission, ())
        covers = "VIEW DEFINITION" if permission == "VIEW SECURITY DEFINITION" else permission
        return int(
            database is not None
            and not session.is_denied(database, permission)
            and not (covers != permission and session.is_denied_security_definitions())
            and (
                session.has(database, permission, roles)
                or session.has(database, covers, roles)
                or session.has_server(permission.replace("VIEW", "VIEW ANY"))
            )
        )

    def has_dbaccess(name):
        database = tables.session.server.database(name)
        return None if database is None else int(tables.session.may_enter(database))

    def loginproperty(name, what):
        login = tables.session.server.find(name, "S")
        return (
            {"IsLocked": int(login.is_locked), "IsMustChange": int(login.must_change)}.get(what)
            if login
            else None
        )

    def sid(name=None):
        if name is None and tables.session.contained:
            # The SID with which the session was authenticated, even if another principal has the
            # name now.
            return tables.session.contained.sid
        login = tables.session.server.find(name or tables.session.name, "S")
        return login and login.sid

    def suser_sname(sid=None):
        if sid is None:
            return tables.session.name
        found = [one for one in tables.session.server.principals.values() if one.sid == sid]
        return found[0].name if found else None

    def user_id(name):
        user = tables.session.database.find(name)
        return user and user.id

    def unquoted(name):
        """Returns one part of a name, without its quotes. Unquoted names are Python identifiers."""
        if name.startswith("["):
            return name[1:-1].replace("]]", "]")
        return name if name.isidentifier() else ""

    def updateability(name, what):
        """Returns a `sql_variant`. Two of them are equal only if their collations are equal, too,
        and no page says which collation this one has. So it never equals a literal here:
        https://learn.microsoft.com/sql/t-sql/data-types/sql-variant-transact-sql
        """
        database = tables.session.server.database(name)
        return database and (b"READ_WRITE" if database.is_writable() else b"READ_ONLY")

    def db_name(id):
        """https://learn.microsoft.com/sql/t-sql/functions/db-name-transact-sql"""
        session = tables.session
        sees_all = session.changes_databases() or session.has_server("VIEW ANY DATABASE")
        found = [one for one in session.server.databases.values() if one.id == id]
        return found[0].name if found and (sees_all or session.sees_database(found[0])) else None

    lite.create_function("HAS_PERMS_BY_NAME", 3, has_perms)
    lite.create_function("HAS_DBACCESS", 1, has_dbaccess)
    lite.create_function("LOGINPROPERTY", 2, loginproperty)
    lite.create_function("DATABASEPROPERTYEX", 2, updateability)
    lite.create_function(
        "SERVERPROPERTY", 1, lambda name: tables.session.release.property(name)
    )
    lite.create_function(
        "DATABASE_PRINCIPAL_ID", 0, lambda: tables.session.user(tables.session.database).id
    )
    lite.create_function(
        "QUOTENAME",
        1,
        lambda name: None if len(name) > 128 else "[" + name.replace("]", "]]") + "]",
    )
    lite.create_function("DB_NAME", 0, lambda: tables.session.database.name)
    lite.create_function("DB_NAME", 1, db_name)
    lite.create_function("SUSER_SNAME_OF", -1, suser_sname)
    lite.create_function("ORIGINAL_LOGIN", 0, lambda: tables.session.name)
    lite.create_function("SUSER_SID", -1, sid)
    lite.create_function("DATABASE_PRINCIPAL_ID", 1, user_id)
    lite.create_function("USER_NAME", 0, lambda: tables.session.user(tables.session.database).name)
    lite.create_function("AT_AT_SPID", 0, lambda: tables.session.id)
    lite.create_function(
        "AT_AT_TRANCOUNT",
        0,
        lambda: tables.session.transaction.depth if tables.session.transaction else 0,
    )
    lite.create_function("AT_AT_VERSION", 0, lambda: tables.session.release.at_at_version)
