"""Answers queries on the dictionary views, from a SQLite database of what the session may see.

The library sqlglot translates Oracle's SQL into SQLite's.
"""

import functools
import re
import sqlite3

import sqlglot
from seerdb.common.tns_consts import TNS_TYPE_NUMBER, TNS_TYPE_VARCHAR
from seerdb.server import ColumnMeta, Result
from sqlglot import exp

import columns
from containers import PDB
from model import CATALOG, Model, fault
from releases import KERNEL_LIMITS, Release

def text_column(name: str) -> ColumnMeta:
    return ColumnMeta(
        name=name.encode(), data_type=TNS_TYPE_VARCHAR, data_length=4000, max_size=4000
    )


def number_column(name: str) -> ColumnMeta:
    # A number has no character set. node-oracledb rejects one with a character set.
    return ColumnMeta(
        name=name.encode(),
        data_type=TNS_TYPE_NUMBER,
        data_length=22,
        max_size=22,
        charset=0,
        csfrm=0,
    )


@functools.cache
def understood(sql: str, release: Release):
    """Returns the query in SQLite's SQL, and its views. Checks them, and their columns."""
    try:
        tree = sqlglot.parse_one(re.sub(r":(\d+)", r":p\1", sql), read="oracle")
    except sqlglot.errors.ParseError as error:
        raise fault(900, f"invalid SQL statement: {error}") from None
    views = {table.name.upper() for table in tree.find_all(exp.Table)}
    known = release.views()
    if views <= {*known, "DUAL"}:
        try:
            columns.read(tree, {name: set(names) for name, names in known.items()})
        except columns.UnknownColumn as error:
            raise fault(904, f'"{str(error).upper()}": invalid identifier') from None
    for table in list(tree.find_all(exp.Table)):
        if table.db.upper() == "SYS":
            table.set("db", None)
        if table.name.upper() == "DUAL":
            tree.set("from_", None)
            tree.set("from", None)
    for cast in list(tree.find_all(exp.ToChar)):
        cast.replace(exp.Cast(this=cast.this, to=exp.DataType.build("text")))
    for dot in list(tree.find_all(exp.Dot)):
        if dot.this.name.upper() == "DBMS_ASSERT":
            dot.replace(
                exp.Anonymous(
                    this=dot.expression.name.lower(), expressions=dot.expression.expressions
                )
            )
    return tree.sql(dialect="sqlite", identify=True), views - {"DUAL"}


def enquote_name(text: str) -> str:
    """Follows DBMS_ASSERT.ENQUOTE_NAME, and converts to upper case as it does by default.

    https://docs.oracle.com/en/database/oracle/oracle-database/23/arpls/DBMS_ASSERT.html
    """
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text.upper()
    if '"' in inner.replace('""', ""):
        raise ValueError("ORA-06502")
    return f'"{inner}"'


def simple_sql_name(text: str) -> str:
    if not re.fullmatch(r'\s*(?:"[^"]+"|[^\W\d][\w$#]*)\s*', text):
        raise ValueError("ORA-44003")
    return text.strip()


class Tables:
    """The views as tables of one SQLite database. A table is filled again if its rows may differ.

    The DBA_ views show the same to every session until the model changes. The others are small.
    """

    def __init__(self, views: dict[str, list[str]]) -> None:
        self.views = views
        self.lite = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None, cached_statements=1000
        )
        self.lite.create_function("enquote_name", 1, enquote_name, deterministic=True)
        self.lite.create_function("simple_sql_name", 1, simple_sql_name, deterministic=True)
        self.context: dict[str, str] = {}
        self.lite.create_function("sys_context", 2, lambda _namespace, name: self.context.get(name))
        self.revisions: dict[str, int] = {}
        for view, columns in views.items():
            quoted = ", ".join(f'"{column}"' for column in columns)
            self.lite.execute(f'CREATE TABLE "{view}" ({quoted})')

    def fill(self, model: Model, me: str, view: str) -> None:
        is_shared = view.startswith("DBA_")
        if is_shared and self.revisions.get(view) == model.revision:
            return
        # A row can have more columns than the release.
        many = len(self.views[view])
        places = ", ".join("?" for _ in range(many))
        found = [tuple(row)[:many] for row in rows(model, me, view)]
        self.lite.execute("BEGIN")
        self.lite.execute(f'DELETE FROM "{view}"')
        self.lite.executemany(f'INSERT INTO "{view}" VALUES ({places})', found)
        self.lite.execute("COMMIT")
        if is_shared:
            self.revisions[view] = model.revision


# The tables of each container.
TABLES: dict[tuple[Release, str], Tables] = {}


def query(model: Model, me: str, sql: str, binds: list) -> Result:
    """Runs a query. The caller must hold the lock."""
    sqlite, views = understood(sql, model.release)
    known, place = model.release.views(), (model.release, model.container)
    if place not in TABLES:
        TABLES[place] = Tables(known)
    tables = TABLES[place]
    for view in views:
        if view not in known or view.startswith("DBA_") and not may_look(model, me):
            raise fault(942, "table or view does not exist")
        tables.fill(model, me, view)
    tables.context = {
        "SESSION_USER": me,
        "NETWORK_PROTOCOL": model.protocol,
        "DATABASE_ROLE": "PRIMARY",
    }
    try:
        cursor = tables.lite.execute(
            sqlite, {f"p{at}": getattr(bind, "value", bind) for at, bind in enumerate(binds, 1)}
        )
        found = [tuple(row) for row in cursor.fetchall()]
    except sqlite3.Error as error:
        raise fault(904, f"invalid identifier: {error}") from None
    names = [one[0].upper()[:30] for one in cursor.description]
    is_number = [any(isinstance(row[at], int) for row in found) for at in range(len(names))]
    columns = [
        number_column(name) if number else text_column(name)
        for name, number in zip(names, is_number)
    ]
    return Result(columns, found, len(found))


def may_look(model: Model, me: str) -> bool:
    return model.has(me, "SELECT ANY DICTIONARY") or bool(model.groups(me) & set(CATALOG))


def yes(is_so: bool) -> str:
    return "YES" if is_so else "NO"


VIEWS_OF_GRANTS = {
    "DBA_SYS_PRIVS",
    "DBA_SCHEMA_PRIVS",
    "DBA_ROLE_PRIVS",
    "DBA_TAB_PRIVS",
    "DBA_COL_PRIVS",
}


def rows(model: Model, me: str, view: str):
    if view == "DBA_USERS":
        for one in model.users.values():
            yield (
                one.name,
                one.status,
                one.profile,
                one.tablespace,
                one.temporary,
                "PASSWORD",
                "Y" if one.name in ("SYS", "SYSTEM") else "N",
                yes(one.is_common),
                yes(one.is_common and model.container == PDB),
                # ALLOWED_LOGON_VERSION_SERVER is 12 by default, with which no 10G verifier exists.
                "11G 12C ",
                yes(one.is_read_only),
            )
    elif view == "DBA_OBJECTS":
        yield from model.objects
    elif view == "SESSION_PRIVS":
        # The privileges of the user and of the active roles.
        groups = model.groups(me)
        held = {one.privilege for one in model.grants.of(*groups) if one.kind == "system"}
        yield from ((privilege,) for privilege in sorted(held))
    elif view in ("ROLE_SYS_PRIVS", "ROLE_ROLE_PRIVS"):
        kind, roles = "system" if view == "ROLE_SYS_PRIVS" else "role", model.groups(me) - {me}
        yield from (
            (one.grantee, one.privilege, yes(one.option))
            for one in model.grants.of(*roles)
            if one.kind == kind
        )
    elif view == "USER_USERS":
        user = model.users[me]
        is_inherited = user.is_common and model.container == PDB
        yield me, user.status, yes(user.is_common), yes(is_inherited), yes(user.is_read_only)
    elif view == "DBA_TS_QUOTAS":
        for user in model.users.values():
            yield from ((name, user.name, amount, "NO") for name, amount in user.quotas.items())
    elif view == "DBA_PROFILES":
        for profile, limits in model.profiles.items():
            yield from (
                (profile, name, limits.get(name, "DEFAULT")) for name in model.profiles["DEFAULT"]
            )
    elif view == "USER_PASSWORD_LIMITS":
        yield from (
            (name, model.limit(model.users[me], name))
            for name in model.profiles["DEFAULT"]
            if name not in KERNEL_LIMITS
        )
    elif view == "V$VERSION":
        release = model.release
        yield release.banner, release.banner_full, release.banner
    elif view == "PRODUCT_COMPONENT_VERSION":
        product, _, status = model.release.banner.partition(" Release ")
        version, status = model.release.base_version, status.partition(" - ")[2]
        yield f"{product} ", version, status, model.release.version
    for one in model.grants if view in VIEWS_OF_GRANTS else ():
        if view == "DBA_SYS_PRIVS" and one.kind == "system":
            yield one.grantee, one.privilege, yes(one.option)
        elif view == "DBA_SCHEMA_PRIVS" and one.kind == "schema":
            yield one.grantee, one.privilege, one.owner, yes(one.option)
        elif view == "DBA_ROLE_PRIVS" and one.kind == "role":
            user = model.users.get(one.grantee)
            default = (
                user is None or user.default_roles is None or one.privilege in user.default_roles
            )
            yield one.grantee, one.privilege, yes(one.option), yes(default)
        elif view == "DBA_TAB_PRIVS" and one.kind == "object" and not one.column:
            kind, _ = model.objects.get((one.owner, one.object), ("USER", []))
            yield (
                one.grantee,
                one.owner,
                one.object,
                one.grantor,
                one.privilege,
                yes(one.option),
                "NO",
                kind,
            )
        elif view == "DBA_COL_PRIVS" and one.kind == "object" and one.column:
            yield (
                one.grantee,
                one.owner,
                one.object,
                one.column,
                one.grantor,
                one.privilege,
                yes(one.option),
            )
