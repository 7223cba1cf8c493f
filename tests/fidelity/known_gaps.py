"""Statements that the parsers reject although the servers accept them, with their pages."""

import re

SQL_REFERENCE = "https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/"

# The start of a statement, and what the parsers lack.
KNOWN: dict[str, list[tuple[str, str]]] = {
    "sqlserver": [],
    "oracle": [
        (r"(CREATE|ALTER) PROFILE ", f"profiles ({SQL_REFERENCE}CREATE-PROFILE.html)"),
        (r"CREATE DIRECTORY ", f"directories ({SQL_REFERENCE}CREATE-DIRECTORY.html)"),
        (
            r"ALTER USER \S+ PROFILE DEFAULT$",
            f"the profile DEFAULT ({SQL_REFERENCE}ALTER-USER.html)",
        ),
        (
            r"(GRANT|REVOKE) GRANT ANY SCHEMA PRIVILEGE ",
            f"privileges of release 23 ({SQL_REFERENCE}GRANT.html)",
        ),
    ],
}


def reason(engine: str, sql: str) -> str | None:
    """Returns what the parsers lack for a statement, or None."""
    return next(
        (f"not judged: {why}" for start, why in KNOWN[engine] if re.match(start, sql)), None
    )
