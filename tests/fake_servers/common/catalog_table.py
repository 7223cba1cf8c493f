"""The views and columns of a server, from `tests/fidelity/catalog`.

A query that reads another column fails, so a column that the functions read must be in the table,
with its documentation.
"""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "fidelity" / "catalog"


def views(name: str) -> dict[str, list[str]]:
    """Returns the columns of each view, in the order of the table."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / f"{name}.tsv").read_text().splitlines():
        if line and line[0] != "#":
            view, column, *_ = line.split("\t")
            found.setdefault(view, []).append(column)
    return found
