"""The tokens of an answer: the result of each statement, and the changes that the client must know.

https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/ describes them: an SQL batch is
answered with a DONE token for each statement, a procedure call with DONEINPROC tokens, the status
that the procedure returns, and a DONEPROC token.
"""

from dataclasses import dataclass, field

from pysqlbridge.tds import Column, EnvChangeType, env_change, info
from pysqlbridge.tds.result import col_metadata, row
from pysqlbridge.tds.token import DoneStatus, done

DONE_PROC, DONE_IN_PROC, RETURN_STATUS = b"\xfe", b"\xff", b"\x79"
# The numbers of statements in DONE tokens, which MS-TDS does not list. They are those of a recorded
# server: `tests/fidelity/recorded/sqlserver.txt`.
COMMANDS = {
    "SELECT": 0xC1,
    "INSERT": 0xC3,
    "CREATE TABLE": 0xC6,
    "DROP TABLE": 0xC7,
    "SET TRANSACTION": 0xF9,
    "SET": 0xBA,
}
PROCEDURE_COMMAND = 0xE0


@dataclass
class Result:
    """The result of a statement. Only a query has columns."""

    columns: list[Column] = field(default_factory=list)
    rows: list[list] = field(default_factory=list)
    # The database that USE has left, and the one that it has entered.
    used: tuple[str, str] | None = None
    # The number of rows that a statement without columns has changed.
    changed: int | None = None
    # The first words of the statement.
    words: str = ""

    @property
    def count(self) -> int | None:
        return len(self.rows) if self.columns else self.changed

    @property
    def command(self) -> int:
        return next((code for words, code in COMMANDS.items() if self.words.startswith(words)), 0)


class Answer:
    """The results of all statements of a request."""

    def __init__(self, results: list[Result], is_procedure: bool = False) -> None:
        self.results, self.is_procedure = results, is_procedure

    def encode(self, tds_version: int, server: str = "") -> bytes:
        tokens = b""
        for at, result in enumerate(self.results):
            is_last = at == len(self.results) - 1 and not self.is_procedure
            if result.used:
                old, new = result.used
                tokens += env_change(EnvChangeType.DATABASE, new, old)
                tokens += info(
                    5701,
                    f"Changed database context to '{new}'.",
                    state=1,
                    server=server,
                    tds_version=tds_version,
                )
            if result.columns:
                tokens += col_metadata(result.columns, tds_version)
                tokens += b"".join(row(result.columns, one) for one in result.rows)
            token = done(
                status=(DoneStatus.FINAL if is_last else DoneStatus.MORE)
                | (DoneStatus.FINAL if result.count is None else DoneStatus.COUNT),
                current_command=result.command,
                row_count=result.count or 0,
                tds_version=tds_version,
            )
            tokens += DONE_IN_PROC + token[1:] if self.is_procedure else token
        last = done(status=DoneStatus.FINAL, tds_version=tds_version)
        if self.is_procedure:
            end = done(current_command=PROCEDURE_COMMAND, tds_version=tds_version)
            tokens += RETURN_STATUS + bytes(4) + DONE_PROC + end[1:]
        return tokens or last
