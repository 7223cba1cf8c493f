"""Generates docs/catalog.md: the catalog views and columns that the functions read.

    target/tools/bin/python scripts/generate_catalog.py [--check]

The script takes the queries out of the sources (`rust_queries.py`) and looks up each column in
`tests/fidelity/catalog`, which has the vendors' facts. A column that is missing there is an error.
With `--check`, the page is compared, not written.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "catalog.md"
UPDATE = "sh tests/setup.sh lint && target/tools/bin/python scripts/generate_catalog.py"
sys.path.append(str(ROOT / "tests" / "fake_servers" / "common"))

import catalog_table
import rust_queries
import sqlglot
from columns import UnknownColumn, read

# A view in a string literal, even if no query has been found there.
VIEW = re.compile(r"\b(?:FROM|JOIN)\s+(?:[\w\[\]{}]+\.)+(\w+)")
# The number of characters of a query in a message.
SHOWN = 160


@dataclass(frozen=True)
class Engine:
    """An engine whose functions read a catalog."""

    name: str
    title: str
    dialect: str
    # The heading of the column about the cloud, and the value of the table that means yes.
    cloud: str | None
    pages: str
    facts: str


ENGINES = [
    Engine(
        "sqlserver",
        "SQL Server",
        "tsql",
        "Azure",
        "https://learn.microsoft.com/sql/relational-databases/",
        "\"Since\" is the first release that has the column. 2016 also means an older\n"
        "release. \"Azure\" is Azure SQL Database.",
    ),
    Engine(
        "oracle",
        "Oracle",
        "oracle",
        None,
        "https://docs.oracle.com/en/database/oracle/oracle-database/23/refrn/",
        "\"Since\" is the first release that has the column. 12.2 also means an older\n"
        "release. Amazon RDS for Oracle has the same views as the release of the instance.",
    ),
]

INTRODUCTION = f"""\
# Catalog columns

This page lists the catalog views and columns that the functions for SQL Server and Oracle read, so
that you can check them on your server.

`scripts/generate_catalog.py` generates the page: it takes the queries out of the sources, and the
facts from the tables in `tests/fidelity/catalog`. Below each table are the views' pages in the
vendor's documentation. `make lint` fails if a query reads a column that the tables do not have, or
if this page is not up to date. This command updates the page:

```sh needs-build
{UPDATE}
```

The fake servers of the tests have the columns of these tables, and reject every other column
([fidelity.md](fidelity.md#catalog-columns)).
"""


class CatalogError(Exception):
    """The sources read something that the tables do not have."""


def columns_of(engine: Engine) -> set[tuple[str, str]]:
    """Returns each view and column that the sources of an engine read."""
    folder = ROOT / "crates" / f"rotation-{engine.name}" / "src"
    crate = rust_queries.Crate(folder)
    views = {view: set(names) for view, names in catalog_table.views(engine.name).items()}
    found: set[tuple[str, str]] = set()
    problems = []
    for query in crate.queries():
        place = Path(query.place).relative_to(ROOT)
        try:
            for tree in sqlglot.parse(re.sub(r":\d", "1", query.sql), read=engine.dialect):
                found |= read(tree, views)
        except UnknownColumn as column:
            problems.append(f"{place}: {column} is not in the table: {query.sql[:SHOWN]}")
        except sqlglot.errors.ParseError as error:
            problems.append(f"{place}: {str(error).splitlines()[0]}: {query.sql[:SHOWN]}")
    known = {view.upper() for view, _ in found}
    for view, place in named_views(folder):
        if view.upper() not in known | {"DUAL"}:
            problems.append(f"{place}: no query was found that reads the view {view}")
    if problems:
        table = f"tests/fidelity/catalog/{engine.name}.tsv"
        problems.append(f"Add what is missing to {table}, with its page.")
        raise CatalogError("\n".join(problems))
    return found


def named_views(folder: Path) -> list[tuple[str, str]]:
    """Returns the views that string literals name, and the places."""
    found = []
    for file in sorted(folder.rglob("*.rs")):
        source = rust_queries.without_tests(rust_queries.without_comments(file.read_text()))
        for start, end in rust_queries.literals(source):
            text = rust_queries.unescaped(source[start:end])
            place = f"{file.relative_to(ROOT)}:{source.count(chr(10), 0, start) + 1}"
            found += [(match[1], place) for match in VIEW.finditer(text)]
    return found


def section(engine: Engine) -> str:
    """Returns the table of an engine, and how many columns only the tests read."""
    columns, pages, unread = columns_of(engine), {}, 0
    heads = ["View", "Column", "Type", "Null", "Since"] + ([engine.cloud] if engine.cloud else [])
    lines = [heads, ["---"] * len(heads)]
    for view, column, type, null, since, *cloud, page in catalog_table.rows(engine.name):
        if (view, column) not in columns:
            unread += 1
            continue
        pages[view] = page
        cells = [f"`{view}`", f"`{column}`", type, "yes" if null == "null" else "no", since]
        lines.append(cells + ["no" if one == "-" else "yes" for one in cloud[: len(heads) - 5]])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    # A view and its page in one line would be too long.
    list_of_pages = "\n".join(f"- `{view}`:\n  `{page}`" for view, page in pages.items())
    return (
        f"\n## {engine.title}\n\n{engine.facts}\n\n{table}\n\n"
        f"The tests read {unread} more columns. The pages of the views are under\n"
        f"<{engine.pages}>:\n\n{list_of_pages}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    try:
        page = INTRODUCTION + "".join(section(engine) for engine in ENGINES)
    except CatalogError as error:
        raise SystemExit(str(error)) from None
    if not chosen.check:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        raise SystemExit(f"docs/catalog.md is not up to date. Run: {UPDATE}")


if __name__ == "__main__":
    main()
