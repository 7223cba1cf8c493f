"""Compares the grammar of the fake servers with parsers that this project did not write.

    python grammar.py RECORDING [--mutants N] [--engine sqlserver|oracle]

Every recorded statement must be accepted by the parsers, unless the fake server also rejected it.
The fake server must reject every mutant that the parsers reject.
"""

import argparse
import json
import pickle
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
import known_gaps
import judges
from mutants import mutants


def recorded(folder: Path) -> dict[str, dict]:
    """Returns the recorded statements by their shape."""
    return {
        file.stem: json.loads(file.read_bytes())
        for file in sorted((folder / "statements").glob("*.json"))
    }


class SqlServer:
    """Microsoft's ScriptDom judges the fake SQL Server."""

    folder = "sqlserver"
    # The errors with which the server rejects a statement that it cannot parse.
    SYNTAX = {102, 103, 111, 156, 170, 319}

    def verdicts(self, statements: list[str]) -> list[str]:
        return judges.scriptdom(statements)

    def load(self) -> None:
        import statements
        from rights import Session

        self.statements, self.session = statements, Session
        self.revision = 1_000_000

    def run(self, state: bytes, mutant: str) -> None:
        _, server, login, contained, database = pickle.loads(state)
        # The fake server keeps what the catalog shows until the revision changes.
        self.revision += 1000
        server.revision = self.revision
        session = self.session(server, login, contained, database)
        session.run = lambda sql: self.statements.run(session, sql, {})
        parameters = {f"@P{at}": "x" for at in range(1, 10)}
        self.statements.run(session, mutant, parameters)


class Oracle:
    """sqlfluff and an ANTLR grammar judge the fake Oracle server.

    Each of them lacks statements, so a statement is valid if one of them accepts it.
    """

    folder = "oracle"
    SYNTAX = {900, 904, 905, 906, 907, 911, 922, 923, 933, 936, 972, 987, 988, 990, 1935}

    def verdicts(self, statements: list[str]) -> list[str]:
        verdicts = judges.plsql(statements)
        left = [at for at, verdict in enumerate(verdicts) if verdict != "ok"]
        for at, verdict in zip(left, judges.sqlfluff([statements[at] for at in left])):
            if verdict == "ok":
                verdicts[at] = "ok"
        return verdicts

    def load(self) -> None:
        import statements

        self.statements, self.revision = statements, 1_000_000

    def run(self, state: bytes, mutant: str) -> None:
        _, model, me, values = pickle.loads(state)
        self.revision += 1000
        model.revision = self.revision
        self.statements.run(model, me, mutant, values)


def judge_statements(engine, folder: Path) -> list[str]:
    """Judges the recorded statements, and returns the problems."""
    all = list(recorded(folder).values())
    if len(all) < 50:
        return [f"only {len(all)} statements were recorded"]
    problems, counts = [], Counter()
    for one, verdict in zip(all, engine.verdicts([one["sql"] for one in all])):
        rejected = one["error"] in engine.SYNTAX
        if verdict == "ok":
            counts["valid"] += 1
            if rejected and not known_gaps.is_rejected(engine.folder, one["error"], one["sql"]):
                problems.append(f"valid, but rejected with {one['error']}: {one['sql']}")
        elif rejected:
            counts["invalid for both"] += 1
        elif reason := known_gaps.reason(engine.folder, one["sql"]):
            counts[reason] += 1
        else:
            problems.append(f"invalid ({verdict}): {one['sql']}")
    print(f"{engine.folder}: {len(all)} statements: " + summary(counts))
    return problems


def judge_mutants(engine, folder: Path, most: int) -> list[str]:
    """Runs mutants on the fake server, each in the state before the original statement."""
    servers = HERE.parent / "fake_servers"
    sys.path[:0] = [str(servers / engine.folder), str(servers / "common")]
    engine.load()
    cases, problems, counts = [], [], Counter()
    states = [file.read_bytes() for file in sorted((folder / "statements").glob("*.pickle"))]
    originals = [pickle.loads(state)[0] for state in states]
    for state, sql, verdict in zip(states, originals, engine.verdicts(originals)):
        if verdict == "ok":
            cases += [(state, mutant) for mutant in mutants(sql, most)]
    for (state, mutant), verdict in zip(cases, engine.verdicts([mutant for _, mutant in cases])):
        if verdict == "ok":
            counts["valid for the parser"] += 1
            continue
        try:
            engine.run(state, mutant)
        except Exception as error:
            number = getattr(error, "number", getattr(error, "ora_code", None))
            if number is None:
                problems.append(f"{type(error).__name__}: {error}: {mutant}")
            syntax = number in engine.SYNTAX
            counts["rejected as invalid" if syntax else "rejected for another reason"] += 1
        else:
            if reason := known_gaps.reason(engine.folder, mutant):
                counts[reason] += 1
            else:
                problems.append(f"accepted a mutant ({verdict}): {mutant}")
    print(f"{engine.folder}: {len(cases)} mutants: " + summary(counts))
    return problems


def summary(counts: Counter) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--mutants", type=int, default=40, help="mutants of each statement")
    parser.add_argument("--engine", choices=["sqlserver", "oracle"], required=True)
    chosen = parser.parse_args()
    engine = {"sqlserver": SqlServer, "oracle": Oracle}[chosen.engine]()
    folder = chosen.recording / engine.folder
    problems = judge_statements(engine, folder) + judge_mutants(engine, folder, chosen.mutants)
    for problem in problems[:40]:
        print(problem)
    if problems:
        raise SystemExit(f"{len(problems)} problems")


if __name__ == "__main__":
    main()
