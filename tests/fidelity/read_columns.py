"""Reports which columns of the catalog tables the recorded queries read.

    python read_columns.py RECORDING

The fake servers reject a column that the table does not have. This finds rows of the table that no
query needs.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "fake_servers" / "common"))
import catalog_table
import columns
import sqlglot
from grammar import recorded

DIALECTS = {"sqlserver": "tsql", "oracle": "oracle"}


def main() -> None:
    for engine, dialect in DIALECTS.items():
        views = {view: set(names) for view, names in catalog_table.views(engine).items()}
        read: set[tuple[str, str]] = set()
        for one in recorded(Path(sys.argv[1]) / engine).values():
            sql = one["sql"].replace(":1", "1").replace(":2", "2")
            if one["error"] is not None or not sql.startswith("SELECT"):
                continue
            for tree in sqlglot.parse(sql, read=dialect):
                if isinstance(tree, sqlglot.exp.Query):
                    try:
                        read |= columns.read(tree, views)
                    except columns.UnknownColumn:
                        # The query reads a table of the tests.
                        continue
        every = {(view, column) for view, names in views.items() for column in names}
        print(f"{engine}: {len(read)} of {len(every)} columns are read")
        for view, column in sorted(every - read):
            print(f"  not read in this run: {view}.{column}")


if __name__ == "__main__":
    main()
