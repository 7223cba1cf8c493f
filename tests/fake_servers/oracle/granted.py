"""The grants of a database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass
class Grant:
    """A grant of a system privilege, a role, or a privilege on an object, a column or a schema."""

    grantee: str
    kind: str
    privilege: str
    owner: str = ""
    object: str = ""
    column: str = ""
    option: bool = False
    grantor: str = ""
    # True if it was granted with CONTAINER = ALL.
    is_common: bool = False

    def whole(self) -> tuple:
        """Returns what is granted, without columns and option. An object has several grantors."""
        grantor = self.grantor if self.kind == "object" else None
        return self.kind, self.privilege, self.owner, self.object, self.is_common, grantor

    def right(self) -> tuple:
        """Returns what is granted, without the option."""
        return *self.whole(), self.column


class Grants:
    """All grants, by grantee, so that a user with thousands of them does not slow the others."""

    def __init__(self, *grants: Grant) -> None:
        self.by_grantee: dict[str, dict[tuple, Grant]] = {}
        for one in grants:
            self.add(one)

    def __iter__(self) -> Iterator[Grant]:
        for held in self.by_grantee.values():
            yield from held.values()

    def of(self, *grantees: str) -> Iterator[Grant]:
        """Returns the grants of these users and roles."""
        for grantee in grantees:
            yield from self.by_grantee.get(grantee, {}).values()

    def add(self, new: Grant) -> None:
        """Adds a grant, or its option to the same grant."""
        held = self.by_grantee.setdefault(new.grantee, {})
        old = held.setdefault(new.right(), new)
        old.option = old.option or new.option

    def remove(self, is_gone: Callable[[Grant], bool]) -> None:
        for grantee, held in self.by_grantee.items():
            self.by_grantee[grantee] = {
                right: one for right, one in held.items() if not is_gone(one)
            }
