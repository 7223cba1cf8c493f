"""The model of a server: principals, roles and permissions, on the server and in each database.

The names and numbers of fixed principals are those of
the pages "security/authentication-access/server-level-roles" and
"system-catalog-views/sys-database-principals-transact-sql" under
https://learn.microsoft.com/sql/relational-databases/.
"""

import os
import threading
from dataclasses import dataclass, field

from pysqlbridge.tds import QueryError

import releases

LOCK = threading.RLock()

SERVER_ROLES = [
    "sysadmin",
    "securityadmin",
    "serveradmin",
    "setupadmin",
    "processadmin",
    "diskadmin",
    "dbcreator",
    "bulkadmin",
]
DATABASE_ROLES = {
    "db_owner": 16384,
    "db_accessadmin": 16385,
    "db_securityadmin": 16386,
    "db_ddladmin": 16387,
    "db_backupoperator": 16389,
    "db_datareader": 16390,
    "db_datawriter": 16391,
    "db_denydatareader": 16392,
    "db_denydatawriter": 16393,
}
SA_SID = b"\x01"
# This prefix precedes the unique bytes of a contained user's SID:
# https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql
CONTAINED_SID = bytes.fromhex("010500000000000903000000")


@dataclass
class Principal:
    id: int
    name: str
    type: str = "S"
    sid: bytes | None = None
    owner: int | None = None
    is_fixed: bool = False
    password: str | None = None
    # The attributes of logins.
    is_disabled: bool = False
    policy: bool = True
    expiration: bool = False
    must_change: bool = False
    failures: int = 0
    is_locked: bool = False
    database: str = "master"
    language: str | None = "us_english"
    # The attributes of database users.
    schema: str | None = None
    authentication: int = 0


@dataclass
class Permission:
    cls: int
    major: int
    minor: int
    grantee: int
    grantor: int
    name: str
    state: str


@dataclass
class Trigger:
    """A DDL trigger or a logon trigger."""

    id: int
    name: str
    events: list[str]
    body: str
    is_disabled: bool = False


class Scope:
    """The server, or a database."""

    own_class = 0
    public = 0

    def __init__(self) -> None:
        self.principals: dict[int, Principal] = {}
        self.members: set[tuple[int, int]] = set()
        self.permissions: list[Permission] = []
        self.triggers: list[Trigger] = []

    def find(self, name: str, types: str = "SR") -> Principal | None:
        """Finds a principal. Names are case-insensitive, as under the usual collations."""
        same = (
            one
            for one in self.principals.values()
            if one.name.casefold() == name.casefold() and one.type in types
        )
        return next(same, None)

    def add(self, name: str, first: int = 5, **more) -> Principal:
        free = max([first - 1, *(id for id in self.principals if id < 16384)]) + 1
        principal = Principal(free, name, **more)
        self.principals[free] = principal
        return principal

    def drop(self, principal: Principal) -> None:
        del self.principals[principal.id]
        self.members = {pair for pair in self.members if principal.id not in pair}
        self.permissions = [
            one
            for one in self.permissions
            if one.grantee != principal.id
            and not (one.cls in (4, 101) and one.major == principal.id)
        ]

    def groups(self, principal: int) -> set[int]:
        """Returns the principal, its roles, their roles, and public."""
        groups = {principal, self.public}
        while True:
            more = {role for role, member in self.members if member in groups} - groups
            if not more:
                return groups
            groups |= more

    def says(self, principal: int, permission: str, securables: list[tuple[int, int, int]]) -> str:
        """Returns GRANT, DENY or an empty text, over all roles and from column up to scope."""
        groups = self.groups(principal)
        said = [
            one.state
            for one in self.permissions
            if one.grantee in groups
            and one.name in (permission, "CONTROL", "CONTROL SERVER")
            and (one.cls, one.major, one.minor) in securables
            and not (one.state == "D" and one.name != permission)
        ]
        return "DENY" if "D" in said else "GRANT" if "G" in said or "W" in said else ""


@dataclass
class Thing:
    """A securable such as a schema or a table: class, id, name, schema, owner, columns."""

    cls: int
    id: int
    name: str
    schema: int | None = None
    owner: int | None = None
    type: str = ""
    columns: list[str] = field(default_factory=list)


class Database(Scope):
    def __init__(self, id: int, name: str, contained: bool, owner: bytes) -> None:
        super().__init__()
        self.id, self.name, self.contained, self.owner = id, name, contained, owner
        self.state, self.read_only, self.user_access = "ONLINE", False, "MULTI_USER"
        # Whether log backups of another server are restored in it (STANDBY).
        self.standby = False
        # The role in an availability group: primary or secondary.
        self.replica = ""
        self.things: list[Thing] = []
        for id, fixed in enumerate(["public", "dbo", "guest", "INFORMATION_SCHEMA", "sys"]):
            type = "R" if fixed == "public" else "S"
            self.principals[id] = Principal(
                id,
                fixed,
                type,
                is_fixed=fixed == "public",
                schema="dbo" if fixed == "dbo" else None,
            )
        self.principals[1].sid, self.principals[1].authentication = owner, 1
        for fixed, id in DATABASE_ROLES.items():
            self.principals[id] = Principal(id, fixed, "R", is_fixed=True, owner=1)
        self.members.add((DATABASE_ROLES["db_owner"], 1))
        self.permissions.append(Permission(0, 0, 0, 1, 1, "CONNECT", "G"))
        for id, fixed in enumerate(["dbo", "guest", "INFORMATION_SCHEMA", "sys"], 1):
            self.things.append(Thing(3, id, fixed, owner=id))
        if name in ("master", "tempdb", "msdb"):
            self.permissions.append(Permission(0, 0, 0, 2, 1, "CONNECT", "G"))

    def is_writable(self) -> bool:
        return not (self.read_only or self.standby or self.replica == "secondary")

    def user_of(self, sid: bytes) -> Principal | None:
        return next(
            (one for one in self.principals.values() if one.type == "S" and one.sid == sid), None
        )

    def lets_guests_in(self) -> bool:
        return any(
            one.grantee == 2 and one.name == "CONNECT" and one.state in "GW"
            for one in self.permissions
        )

    def thing(self, cls: int, name: str, schema: str = "dbo") -> Thing | None:
        of_schema = next(
            (
                one.id
                for one in self.things
                if one.cls == 3 and one.name.casefold() == schema.casefold()
            ),
            None,
        )
        for one in self.things:
            if (
                one.cls == cls
                and one.name.casefold() == name.casefold()
                and (cls == 3 or one.schema in (None, of_schema))
            ):
                return one
        return None

    def add_thing(self, cls: int, name: str, **more) -> Thing:
        thing = Thing(cls, 1000 + len(self.things), name, **more)
        self.things.append(thing)
        return thing


class Server(Scope):
    own_class = 100
    public = 2

    def __init__(
        self, password: str, lockout: int, expired: bool, release: str = releases.DEFAULT
    ) -> None:
        super().__init__()
        self.release = releases.RELEASES[release]
        self.lockout, self.expired, self.contained_authentication = lockout, expired, False
        # The number of changes of what the catalog shows. Data derived from the model is valid for
        # one revision.
        self.revision = 0
        # The host and port of the server to which this one redirects all clients.
        self.redirect: tuple[str, int] | None = None
        # The login as whom another login's sessions run.
        self.aliases: dict[str, str] = {}
        self.principals[1] = Principal(1, "sa", sid=SA_SID, password=password, policy=False)
        self.principals[2] = Principal(2, "public", "R", is_fixed=True)
        for id, role in enumerate([*SERVER_ROLES, *self.release.server_roles()], 3):
            self.principals[id] = Principal(id, role, "R", is_fixed=True, owner=1)
        self.members.add((3, 1))
        # The predefined permission of public.
        self.permissions.append(Permission(100, 0, 0, 2, 1, "VIEW ANY DATABASE", "G"))
        # The endpoints and availability groups.
        self.things: list[Thing] = []
        self.databases: dict[str, Database] = {}
        for name in ["master", "tempdb", "model", "msdb"]:
            self.add_database(name, False, SA_SID)

    def add_database(self, name: str, contained: bool, owner: bytes) -> Database:
        id = max([0, *(one.id for one in self.databases.values())]) + 1
        self.databases[name.casefold()] = Database(id, name, contained, owner)
        return self.databases[name.casefold()]

    def database(self, name: str) -> Database | None:
        return self.databases.get(name.casefold())

    def add_login(self, name: str, **more) -> Principal:
        login = self.add(name, 257, **more)
        login.sid = login.sid or os.urandom(16)
        if any(one.sid == login.sid and one is not login for one in self.principals.values()):
            del self.principals[login.id]
            raise QueryError("Supplied parameter sid is in use.", number=15433)
        self.permissions.append(Permission(100, 0, 0, login.id, 1, "CONNECT SQL", "G"))
        return login
