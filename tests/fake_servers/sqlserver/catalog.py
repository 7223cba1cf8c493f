"""Answers queries on the catalog views, from a SQLite database of what the session may see.

The library sqlglot translates T-SQL into SQLite's SQL. Queries that T-SQL or this fake server does
not support are rejected.

The columns are those of the pages under
https://learn.microsoft.com/sql/relational-databases/system-catalog-views/; a session sees the rows
that the page "metadata-visibility-configuration" lists, which is under
https://learn.microsoft.com/sql/relational-databases/security/.
"""

import functools
import re
import sqlite3

import sqlglot
from pysqlbridge.tds import Column, Integer, NVarChar, QueryError
from pysqlbridge.tds.result import VarBinary
from sqlglot import exp

import catalog_table
import columns
import functions
from answer import Result
from model import Database, Thing
from releases import Release
from rights import Session

STATES = {"G": "GRANT", "W": "GRANT_WITH_GRANT_OPTION", "D": "DENY", "R": "REVOKE"}
CLASS_DESC = {
    0: "DATABASE",
    1: "OBJECT_OR_COLUMN",
    3: "SCHEMA",
    4: "DATABASE_PRINCIPAL",
    5: "ASSEMBLY",
    6: "TYPE",
    10: "XML_SCHEMA_COLLECTION",
    15: "MESSAGE_TYPE",
    16: "SERVICE_CONTRACT",
    17: "SERVICE",
    18: "REMOTE_SERVICE_BINDING",
    19: "ROUTE",
    23: "FULLTEXT_CATALOG",
    24: "SYMMETRIC_KEYS",
    25: "CERTIFICATE",
    26: "ASYMMETRIC_KEY",
    29: "FULLTEXT_STOPLIST",
    31: "SEARCH_PROPERTY_LIST",
    32: "DATABASE_SCOPED_CREDENTIAL",
    34: "EXTERNAL_LANGUAGE",
    100: "SERVER",
    101: "SERVER_PRINCIPAL",
    105: "ENDPOINT",
    108: "AVAILABILITY GROUP",
}
COLUMNS = catalog_table.views("sqlserver")
SERVER_VIEWS = (
    "server_principals",
    "sql_logins",
    "server_role_members",
    "server_permissions",
    "endpoints",
    "availability_groups",
    "availability_replicas",
    "databases",
    "master_files",
    "configurations",
    "server_triggers",
    "server_trigger_events",
    "dm_exec_sessions",
)
# The logical names of the primary files of system databases. A user database's is its own name.
PRIMARY_FILES = {"tempdb": "tempdev", "model": "modeldev", "msdb": "MSDBData"}
USER_ACCESS = ("MULTI_USER", "SINGLE_USER", "RESTRICTED_USER")
# The Resource database, which sys.databases never shows:
# https://learn.microsoft.com/sql/relational-databases/databases/resource-database
RESOURCE_DATABASE = 32767
# The system databases whose recovery model is SIMPLE by default:
# https://learn.microsoft.com/sql/relational-databases/databases/system-databases
SIMPLE_RECOVERY = ("master", "tempdb", "msdb")
NAMED = {
    5: ("assemblies", "assembly_id"),
    15: ("service_message_types", "message_type_id"),
    16: ("service_contracts", "service_contract_id"),
    17: ("services", "service_id"),
    18: ("remote_service_bindings", "remote_service_binding_id"),
    19: ("routes", "route_id"),
    23: ("fulltext_catalogs", "fulltext_catalog_id"),
    24: ("symmetric_keys", "symmetric_key_id"),
    25: ("certificates", "certificate_id"),
    26: ("asymmetric_keys", "asymmetric_key_id"),
    29: ("fulltext_stoplists", "stoplist_id"),
    31: ("registered_search_property_lists", "property_list_id"),
    32: ("database_scoped_credentials", "credential_id"),
    34: ("external_languages", "external_language_id"),
}


@functools.cache
def understood(sql: str, release: Release):
    """Returns the query for SQLite, the views that it reads: (database or None, view), and for each
    column whether it is an `int`, even if all its values are NULL."""
    try:
        # sqlglot takes SUSER_SNAME() for CURRENT_USER, which is a user of a database.
        renamed = re.sub(r"\bSUSER_SNAME(?=\s*\()", "SUSER_SNAME_OF", sql, flags=re.IGNORECASE)
        tree = sqlglot.parse_one(renamed, read="tsql")
    except sqlglot.errors.ParseError as error:
        raise QueryError(f"Incorrect syntax: {error}", number=102, severity=15) from None
    if not isinstance(tree, exp.Query):
        raise QueryError(f"Incorrect syntax near '{sql[:20]}'.", number=102, severity=15)
    for foreign in (exp.Limit, exp.Boolean, exp.DPipe, exp.Interval):
        if tree.find(foreign):
            raise QueryError(
                f"Incorrect syntax near '{foreign.__name__}'.", number=102, severity=15
            )
    check_columns(tree, release)
    integers = tuple(
        isinstance(one.unalias(), exp.Cast) and one.unalias().to.is_type("int")
        for one in tree.selects
    )
    views = set()
    for table in tree.find_all(exp.Table):
        if table.db.lower() != "sys":
            raise QueryError(f"Invalid object name '{table.sql(dialect='tsql')}'.", number=208)
        database, view = table.catalog or None, table.name.lower()
        views.add((database, view))
        table.set("this", exp.to_identifier(f"{database or ''}|{view}", quoted=True))
        table.set("db", None)
        table.set("catalog", None)
    for dot in list(tree.find_all(exp.Dot)):
        # Functions such as sys.fn_…().
        if isinstance(dot.expression, exp.Func):
            dot.replace(dot.expression)
    for parameter in list(tree.find_all(exp.Parameter)):
        # Variables such as @@SPID.
        if isinstance(parameter.this, exp.Parameter):
            parameter.replace(exp.Anonymous(this=f"AT_AT_{parameter.this.name}"))
    for text in list(tree.find_all(exp.National)):
        text.replace(exp.Literal.string(text.name))
    return tree.sql(dialect="sqlite"), frozenset(views), integers


def check_columns(tree: exp.Expression, release: Release) -> None:
    """Raises the error 208 or 207 for a view or column that the release does not have."""
    views = release.views()
    if unknown := next(
        (one for one in tree.find_all(exp.Table) if one.name.lower() not in views), None
    ):
        raise QueryError(f"Invalid object name '{unknown.sql(dialect='tsql')}'.", number=208)
    try:
        columns.read(tree, views)
    except columns.UnknownColumn as error:
        raise QueryError(f"Invalid column name '{error}'.", number=207) from None


def query(session: Session, sql: str, parameters: dict) -> Result:
    """Runs a query. The caller must hold the lock."""
    values, names = {name.lstrip("@"): value for name, value in parameters.items()}, []

    def binary(match) -> str:
        values[f"b{len(values)}"] = bytes.fromhex(match.group(1))
        return f"@b{len(values) - 1}"

    def database(match) -> str:
        names.append(match.group(1).replace("]]", "]"))
        return f"[{len(names) - 1}].sys."

    # Values that differ between fixtures become parameters, because translating a query takes
    # longer than running it.
    general = re.sub(
        r"\[((?:[^\]]|\]\])+)\]\.sys\.", database, re.sub(r"\b0x([0-9A-Fa-f]+)", binary, sql)
    )
    sqlite, views, integers = understood(general, session.release)
    for at, view in views:
        TABLES.fill(session, at, None if at is None else names[int(at)], view)
    TABLES.session = session
    try:
        cursor = TABLES.lite.execute(sqlite, values)
        rows = [list(row) for row in cursor.fetchall()]
    except sqlite3.Error as error:
        raise QueryError(f"Invalid column name or expression: {error}", number=207) from None
    # A column of an expression has no name.
    names = [one[0] if one[0].isidentifier() else "" for one in cursor.description]
    return Result(
        columns=[
            Column(name, kind([row[at] for row in rows], at < len(integers) and integers[at]))
            for at, name in enumerate(names)
        ],
        rows=rows,
    )


def kind(values: list, is_integer: bool):
    value = next((one for one in values if one is not None), 0 if is_integer else "")
    return (
        Integer(4)
        if isinstance(value, int)
        else VarBinary(85) if isinstance(value, bytes) else NVarChar(4000)
    )


class Tables:
    """The views as tables of one SQLite database.

    A table is filled again if its rows may differ.
    """

    def __init__(self) -> None:
        self.lite = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None, cached_statements=1000
        )
        self.lite.execute("PRAGMA journal_mode = OFF")
        # The session that runs the current query.
        self.session: Session | None = None
        # What each table shows: the revision, the principal, and the databases.
        self.shown: dict[str, tuple] = {}
        # The rows of each table. Those of several databases are often the same.
        self.rows: dict[str, list[tuple]] = {}
        functions.register(self)

    def fill(self, session: Session, at: str | None, database: str | None, view: str) -> None:
        if database and session.is_azure() and database != session.database.name:
            raise QueryError(
                f"Reference to database and/or server name in '{database}.sys.{view}' is not"
                " supported in this version of SQL Server.",
                number=40515,
                severity=15,
            )
        inside = session.database if view in SERVER_VIEWS else entered(session, database)
        table = f"{at or ''}|{view}"
        who = session.login.id if session.login else (session.database.id, session.contained.id)
        shows = (
            session.server.revision,
            who,
            session.database.id,
            inside.id,
            session.id if view == "dm_exec_sessions" else 0,
        )
        if self.shown.get(table) == shows:
            return
        rows = list(
            server_rows(session, view)
            if view in SERVER_VIEWS
            else database_rows(session, inside, view)
        )
        self.shown[table] = shows
        if self.rows.get(table) == rows:
            return
        columns = [
            f"{column} COLLATE NOCASE" if "name" in column else column for column in COLUMNS[view]
        ]
        self.lite.execute("BEGIN")
        if table in self.rows:
            self.lite.execute(f'DELETE FROM "{table}"')
        else:
            self.lite.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
        self.lite.executemany(
            f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(columns))})', rows
        )
        self.lite.execute("COMMIT")
        self.rows[table] = rows


def entered(session: Session, name: str | None) -> Database:
    """Returns a database that the session can access. Raises the errors 911, 942 and 916."""
    if name is None:
        return session.database
    database = session.server.database(name)
    if database is None:
        raise QueryError(
            f"Database '{name}' does not exist. Make sure that the name is entered correctly.",
            number=911,
        )
    if database.state != "ONLINE":
        raise QueryError(
            f"Database '{name}' cannot be opened because it is offline.", number=942, severity=14
        )
    if session.user(database) is not None and not session.may_enter(database):
        raise QueryError(
            f"Database '{name}' is already open and can only have one user at a time.",
            number=924,
            severity=14,
        )
    if session.user(database) is None:
        raise QueryError(
            f'The server principal "{session.name}" is not able to access the database "{name}"'
            " under the current security context.",
            number=916,
            severity=14,
        )
    return database


def server_rows(session: Session, view: str):
    server, all = session.server, session.sees_all_of_server()
    own = server.groups(session.login.id) if session.login else set()

    def seen(one) -> bool:
        return all or one.is_fixed or one.id in own or one.id == 1

    if view in ("server_principals", "sql_logins"):
        for one in filter(seen, server.principals.values()):
            is_login = one.type == "S"
            row = (
                one.name,
                one.id,
                one.sid,
                one.type,
                one.is_disabled,
                one.database if is_login else None,
                one.language if is_login else None,
                one.owner,
                one.is_fixed,
            )
            if view == "server_principals":
                yield row
            elif is_login:
                yield (*row, one.policy, one.expiration)
    elif view == "server_role_members":
        yield from sorted(server.members)
    elif view == "server_permissions":
        yield from permissions(server, all, own)
    elif view == "endpoints":
        yield from ((one.name, one.id) for one in server.things if one.cls == 105)
    elif view == "availability_groups":
        yield from ((one.name, group_id(one)) for one in server.things if one.cls == 108)
    elif view == "availability_replicas":
        yield from ((one.id, group_id(one)) for one in server.things if one.cls == 108)
    elif view == "databases":
        for one in filter(session.sees_database, server.databases.values()):
            state = {"ONLINE": 0, "RESTORING": 1, "OFFLINE": 6}[one.state]
            yield (
                one.name,
                one.id,
                state,
                one.state,
                None,
                one.replica or None,
                one.owner,
                int(one.read_only or one.standby),
                int(one.contained),
                "PARTIAL" if one.contained else "NONE",
                server.release.compatibility,
                "SQL_Latin1_General_CP1_CI_AS",
                USER_ACCESS.index(one.user_access),
                one.user_access,
                3 if one.name in SIMPLE_RECOVERY else 1,
                "SIMPLE" if one.name in SIMPLE_RECOVERY else "FULL",
                int(one.standby),
            )
    elif view == "master_files":
        if session.has_server("VIEW ANY DEFINITION") or session.changes_databases():
            for one in server.databases.values():
                yield one.id, 1, PRIMARY_FILES.get(one.name, one.name), 0
                yield one.id, 2, f"{one.name}_log", 0
            yield RESOURCE_DATABASE, 1, "data", 0
    elif view in ("server_triggers", "server_trigger_events"):
        yield from triggers(server, session.has_server("VIEW ANY DEFINITION"), view)
    elif view == "configurations":
        yield "contained database authentication", int(server.contained_authentication)
    elif view == "dm_exec_sessions":
        # For logins, the documentation says 0, but real servers return 1, the id of master.
        yield session.id, session.name, session.database.id if session.contained else 1


def group_id(group: Thing) -> str:
    """Returns a `uniqueidentifier`."""
    return f"00000000-0000-0000-0000-{group.id:012X}"


def triggers(scope, all: bool, view: str):
    """The numeric type of an event is not modelled, because nothing reads it."""
    for one in scope.triggers if all else []:
        if view.endswith("events"):
            yield from ((one.id, None, event) for event in one.events)
        else:
            yield one.name, one.id, 100 if scope.own_class == 100 else 0, 0, 0, int(one.is_disabled)


def permissions(scope, all: bool, own: set[int]):
    for one in scope.permissions:
        if all or one.grantee in own:
            yield (
                one.cls,
                CLASS_DESC.get(one.cls, f"CLASS_{one.cls}"),
                one.major,
                one.minor,
                one.grantee,
                one.grantor,
                one.name,
                one.state,
                STATES[one.state],
            )


def database_rows(session: Session, database: Database, view: str):
    all, me = session.sees_all_of(database), session.user(database)
    own = database.groups(me.id)
    if view == "database_principals":
        for one in database.principals.values():
            if all or one.is_fixed or one.id in own or one.id < 5:
                yield (
                    one.name,
                    one.id,
                    one.type,
                    one.schema,
                    one.sid,
                    one.owner,
                    one.authentication,
                    one.language if one.password else None,
                    one.is_fixed,
                )
    elif view == "database_role_members":
        yield from sorted(pair for pair in database.members if all or pair[1] in own)
    elif view == "database_permissions":
        yield from permissions(database, all, own)
    elif view in ("triggers", "trigger_events"):
        sees = all or session.has(database, "ALTER ANY DATABASE DDL TRIGGER", ("db_ddladmin",))
        yield from triggers(database, sees, view)
    elif view == "schemas":
        yield from ((one.name, one.id, one.owner) for one in database.things if one.cls == 3)
    elif view in ("objects", "all_objects"):
        yield from (
            (one.name, one.id, one.schema, one.owner, one.type)
            for one in database.things
            if one.cls == 1
        )
    elif view == "all_columns":
        for one in database.things:
            if one.cls == 1:
                yield from ((one.id, column, at) for at, column in enumerate(one.columns, 1))
    elif view in ("types", "xml_schema_collections"):
        cls = 6 if view == "types" else 10
        yield from ((one.name, one.id, one.schema) for one in database.things if one.cls == cls)
    else:
        cls = next((cls for cls, (name, _) in NAMED.items() if name == view), None)
        yield from ((one.name, one.id) for one in database.things if one.cls == cls)


# There is one model in a process.
TABLES = Tables()
