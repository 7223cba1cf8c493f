"""Finds the columns of the views that a query reads.

SQLite, which runs the queries of the fake servers, takes an unknown name in double quotes for a
text. So a column that a view does not have must be found before.
"""

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

# Names that have a value without a table.
PSEUDO = {"ROWNUM", "SYSDATE", "USER"}


class UnknownColumn(Exception):
    """A query reads a column that none of its views has. The argument is the name."""


def read(tree: exp.Expression, views: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Returns each view and column that a query reads, in the case of `views`."""
    found = set()
    for scope in traverse_scope(tree):
        named = {one.alias.upper() for one in scope.expression.selects if one.alias}
        for column in scope.columns:
            name = column.name.upper()
            place = resolve(scope, column.table.upper(), name, views)
            if place:
                found.add(place)
            elif place is None and name not in PSEUDO and (column.table or name not in named):
                raise UnknownColumn(column.name)
    return found


def resolve(scope: Scope | None, table: str, name: str, views) -> tuple[str, str] | tuple | None:
    """Returns the view and the column, an empty tuple for a column of a subquery, or None."""
    while scope:
        for alias, source in scope.sources.items():
            if table and alias.upper() != table:
                continue
            if isinstance(source, Scope):
                if name in {one.alias_or_name.upper() for one in source.expression.selects}:
                    return ()
                continue
            view = next((one for one in views if one.upper() == source.name.upper()), None)
            columns = {one.upper(): one for one in views[view]} if view else {}
            if name in columns:
                return view, columns[name]
            if source.name.upper() == "DUAL":
                continue
        scope = scope.parent
    return None
