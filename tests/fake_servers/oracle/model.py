"""The model of a database: users, roles, profiles and grants.

The views and their columns: https://docs.oracle.com/en/database/oracle/oracle-database/23/refrn/.
"""

import threading
import time
from dataclasses import dataclass, field

from seerdb.server import BackendError

from granted import Grant, Grants
from releases import Release

LOCK = threading.RLock()

# The predefined privileges, as far as the tests need them.
DBA = "DBA"
CATALOG = ("SELECT_CATALOG_ROLE", DBA)
TABLESPACES = ("SYSTEM", "USERS", "DATA", "TEMP", "TEMP2")


# The messages that the release of this server has in place of older ones.
MESSAGES: dict[int, str] = {}


def fault(number: int, message: str) -> BackendError:
    return BackendError(MESSAGES.get(number, message), ora_code=number)


@dataclass
class User:
    name: str
    password: str
    profile: str = "DEFAULT"
    tablespace: str = "USERS"
    temporary: str = "TEMP"
    quotas: dict[str, int] = field(default_factory=dict)
    is_locked: bool = False
    is_locked_by_failures: bool = False
    # True if it exists in every container of a multitenant database.
    is_common: bool = False
    is_expired: bool = False
    # True if its sessions cannot change anything (23ai).
    is_read_only: bool = False
    failures: int = 0
    history: list[str] = field(default_factory=list)
    changed: float = field(default_factory=time.time)
    # The previous password, during a gradual rollover.
    rolled: str | None = None
    # None if all roles are active by default.
    default_roles: set[str] | None = None

    @property
    def status(self) -> str:
        parts = ["EXPIRED"] if self.is_expired else []
        if self.is_locked or self.is_locked_by_failures:
            parts.append("LOCKED" if self.is_locked else "LOCKED(TIMED)")
        parts = parts or ["OPEN"]
        return " & ".join([*parts, "IN ROLLOVER"] if self.rolled else parts)


@dataclass
class Dependent:
    """A table whose owner needs a privilege on another object for it."""

    privilege: str
    object: tuple[str, str]
    table: tuple[str, str]


class Model:
    def __init__(self, password: str, release: Release) -> None:
        self.release = release
        # The container of a multitenant database, and the models of all containers.
        self.container = ""
        self.all = [self]
        # The number of changes of what the dictionary shows. Data derived from the model is valid
        # for one revision.
        self.revision = 0
        self._groups: dict[str, frozenset[str]] = {}
        self._groups_of = 0
        self.users = {
            "SYSTEM": User("SYSTEM", password),
            "SYS": User("SYS", password, is_locked=True),
        }
        self.roles = {"CONNECT", "RESOURCE", *CATALOG}
        self.tablespaces = set(TABLESPACES)
        self.profiles = {"DEFAULT": release.limits()}
        self.objects: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self.dependents: list[Dependent] = []
        # The object behind each synonym, by its owner (or PUBLIC) and name.
        self.synonyms: dict[tuple[str, str], tuple[str, str]] = {}
        # The current schema that a logon trigger sets, and the protocol that SYS_CONTEXT shows.
        self.logon_schema: str | None = None
        self.protocol = "tcp"
        # The user as whom another user's sessions run.
        self.aliases: dict[str, str] = {}
        self.grants = Grants(
            Grant("SYSTEM", "role", DBA, option=True),
            Grant("CONNECT", "system", "CREATE SESSION"),
            Grant("RESOURCE", "system", "CREATE TABLE"),
        )

    def user(self, name: str) -> User:
        if name not in self.users:
            raise fault(1918, f"user '{name}' does not exist")
        return self.users[name]

    def changed(self) -> None:
        """Marks what was derived from the model as old, also in the other containers."""
        for one in self.all:
            one.revision += 1

    def drop_user(self, name: str) -> None:
        del self.users[name]
        self.grants.remove(
            lambda one: (
                name in (one.grantee, one.owner) or (one.owner, one.object) == ("SYS", name)
            )
        )
        self.objects = {key: thing for key, thing in self.objects.items() if key[0] != name}
        self.dependents = [
            one for one in self.dependents if name not in (one.object[0], one.table[0])
        ]

    def limit(self, user: User, name: str) -> str | None:
        """Returns a limit of the user's profile, or None if the release does not have the limit."""
        value = self.profiles[user.profile].get(name, "DEFAULT")
        return self.profiles["DEFAULT"].get(name) if value == "DEFAULT" else value

    def is_in_grace(self, user: User) -> bool:
        """Returns True if the password is older than PASSWORD_LIFE_TIME, in days.

        A real server also detects this at the next login.
        """
        life = self.limit(user, "PASSWORD_LIFE_TIME")
        return life != "UNLIMITED" and time.time() - user.changed > float(life) * 86400

    def groups(self, name: str) -> frozenset[str]:
        """Returns a user or role, its roles, and their roles."""
        with LOCK:
            if self._groups_of != self.revision:
                self._groups, self._groups_of = {}, self.revision
            if name not in self._groups:
                groups, found = set(), {name, "PUBLIC"}
                while found:
                    groups |= found
                    found = {
                        one.privilege for one in self.grants.of(*found) if one.kind == "role"
                    } - groups
                self._groups[name] = frozenset(groups)
            return self._groups[name]

    def has(self, name: str, privilege: str) -> bool:
        groups = self.groups(name)
        return DBA in groups or any(
            one.kind == "system" and one.privilege == privilege
            for one in self.grants.of(*groups)
        )

    def may_grant(
        self, name: str, kind: str, privilege: str, owner: str = "", object: str = ""
    ) -> bool:
        groups = self.groups(name)
        if DBA in groups or owner == name and kind == "object":
            return True
        if kind == "schema" and owner == name:
            return True
        if kind == "object" and owner == "SYS":
            # For objects of SYS, GRANT ANY OBJECT PRIVILEGE has no effect.
            return self._has_option(groups, kind, privilege, owner, object)
        anything = {
            "system": "GRANT ANY PRIVILEGE",
            "role": "GRANT ANY ROLE",
            "object": "GRANT ANY OBJECT PRIVILEGE",
            "schema": "GRANT ANY SCHEMA PRIVILEGE",
        }[kind]
        if self.has(name, anything):
            return True
        return self._has_option(groups, kind, privilege, owner, object)

    def _has_option(self, groups: frozenset[str], *right: str) -> bool:
        """Returns True if one of these users and roles has a right with the option to grant it."""
        return any(
            one.option and (one.kind, one.privilege, one.owner, one.object) == right
            for one in self.grants.of(*groups)
        )

    def may_use(self, name: str, privilege: str, owner: str, object: str, column: str = "") -> bool:
        groups = self.groups(name)
        if owner == name or DBA in groups:
            return True
        return any(
            one.kind == "object"
            and (one.owner, one.object, one.privilege) == (owner, object, privilege)
            and one.column in ("", column)
            for one in self.grants.of(*groups)
        )

    def set_password(self, user: User, password: str) -> None:
        """Applies the profile's verify function and reuse limit: ORA-28003, ORA-28007."""
        self.changed()
        longest = self.release.longest_password
        if len(password.encode()) > longest:
            raise fault(28218, f"password length more than {longest} bytes")
        if '"' in password:
            raise fault(988, "missing or invalid password(s)")
        function = self.limit(user, "PASSWORD_VERIFY_FUNCTION")
        if function != "NULL":
            # Like ora12c_strong_verify_function, it requires two characters of each kind.
            kinds = [str.isupper, str.islower, str.isdigit, lambda one: not one.isalnum()]
            if len(password) < 9 or any(sum(kind(one) for one in password) < 2 for kind in kinds):
                raise fault(
                    28003,
                    "password verification for the specified password failed: ORA-20001: password"
                    " must contain 2 or more of each kind",
                )
        reuse = self.limit(user, "PASSWORD_REUSE_MAX")
        if reuse != "UNLIMITED" and password in user.history[-int(reuse) :]:
            raise fault(28007, "the password cannot be reused")
        rollover = self.limit(user, "PASSWORD_ROLLOVER_TIME")
        if password != user.password and rollover and float(rollover) > 0:
            user.rolled = user.rolled or user.password
        user.password, user.is_expired, user.changed = password, False, time.time()
        user.history.append(password)
