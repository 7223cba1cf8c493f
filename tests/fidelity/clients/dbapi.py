"""Runs a session through a driver with Python's database API (PEP 249)."""

from collections.abc import Callable


def run(session: dict, connect: Callable, failure: Callable[[Exception], dict]) -> dict:
    """Connects, and runs the batches of a session. `failure` describes an error of the driver."""
    try:
        connection = connect(session)
    except Exception as error:
        return failure(error)
    answers = []
    for batch in session["batches"]:
        cursor = connection.cursor()
        try:
            cursor.execute(batch)
            answers.append({"rows": rows(cursor)})
        except Exception as error:
            answers.append(failure(error))
        cursor.close()
    connection.close()
    return {"answers": answers}


def rows(cursor) -> list[list]:
    # On SQL Server, a statement without columns also has a result. python-oracledb has no
    # `nextset`, which is optional.
    while not cursor.description and hasattr(cursor, "nextset") and cursor.nextset():
        pass
    return [list(row) for row in cursor.fetchall()] if cursor.description else []
