"""The views and columns of a server, from `tests/fidelity/catalog`.

A query that reads another column fails, so a column that the functions read must be in the table,
with its documentation.
"""

from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "fidelity" / "catalog"


def rows(name: str) -> list[list[str]]:
    """Returns the rows of the table: the view, the column, its type, and more."""
    lines = (FOLDER / f"{name}.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if line and line[0] != "#"]


def views(name: str, has: Callable[..., bool] | None = None) -> dict[str, list[str]]:
    """Returns the columns of each view, in the order of the table.

    `has` gets the first release that has a column, and the cells between it and the page. It
    returns whether the server has the column.
    """
    found: dict[str, list[str]] = {}
    for view, column, _, _, *release, _ in rows(name):
        if has is None or has(*release):
            found.setdefault(view, []).append(column)
    return found
