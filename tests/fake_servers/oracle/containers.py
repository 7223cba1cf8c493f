"""The containers of a multitenant database: the root and one pluggable database (PDB).

Each container has a model with its own dictionary. The models share the common users, which exist
in every container with the same password.

The pages are CREATE USER, ALTER USER, GRANT and REVOKE (the CONTAINER clause) in
https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/; error numbers are those of
https://docs.oracle.com/en/error-help/db/.
"""

import threading

from model import Model, fault
from releases import Release
from tokens import Tokens

ROOT, PDB = "CDB$ROOT", "PDB"

# The value of the parameter COMMON_USER_PREFIX, which is C## by default.
PREFIX = "C##"

# `service` is the service to which the connection of this thread belongs.
CONNECTED = threading.local()


class Containers:
    """The models of a server, and the service of each. Without a root, there is one model."""

    def __init__(self, password: str, release: Release, service: str, root: str | None) -> None:
        self.default = Model(password, release)
        self.by_service = {service.upper(): self.default}
        if root is None:
            return
        model = Model(password, release)
        model.users = dict(self.default.users)
        for user in model.users.values():
            user.is_common = True
        self.by_service[root.upper()] = model
        model.container, self.default.container = ROOT, PDB
        model.all = self.default.all = [model, self.default]

    def current(self) -> Model:
        """Returns the model of the connection that this thread serves."""
        return self.by_service.get(getattr(CONNECTED, "service", ""), self.default)


def of_new_user(model: Model, name: str) -> list[Model]:
    """Checks the name of a new user or role, and returns the models in which it will exist."""
    if model.container == ROOT:
        if not name.startswith(PREFIX):
            raise fault(65096, "invalid common user or role name")
        return model.all
    if model.container == PDB and name.startswith(PREFIX):
        raise fault(65094, "invalid local user or role name")
    return [model]


def check_password_change(model: Model, name: str) -> None:
    """Raises an error if the password of a user cannot be changed in this container."""
    if model.container == PDB and model.users[name].is_common:
        raise fault(65066, "The specified changes must apply to all containers")


def of_grant(model: Model, tokens: Tokens, grantee: str) -> tuple[list[Model], bool]:
    """Reads the CONTAINER clause of GRANT or REVOKE. The default is CONTAINER = CURRENT.

    Returns the models that the statement changes, and True if it grants or revokes commonly.
    """
    if not tokens.accept("CONTAINER", "="):
        return [model], False
    if not model.container:
        raise fault(
            65117, "CONTAINER clause may only be specified when connected to a container database"
        )
    if tokens.accept("CURRENT"):
        return [model], False
    tokens.expect("ALL")
    if model.container != ROOT:
        raise fault(65050, "Common DDLs only allowed in CDB$ROOT or application root")
    if grantee in model.users and not model.users[grantee].is_common:
        raise fault(65030, "cannot grant a privilege commonly to a local user or role")
    return model.all, True
