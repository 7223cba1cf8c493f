"""Statements that the parsers reject although the servers accept them, with their pages."""

import re

SQL_REFERENCE = "https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/"
T_SQL = "https://learn.microsoft.com/sql/t-sql/statements/"

# The start of a statement, and what the parsers lack.
KNOWN: dict[str, list[tuple[str, str]]] = {
    "sqlserver": [
        (
            r"(USE .*; )?(CREATE|(GRANT|DENY|REVOKE) .* ON) EXTERNAL LANGUAGE\b",
            f"external languages ({T_SQL}create-external-language-transact-sql)",
        ),
        (
            r"(USE .*; )?(GRANT|DENY|REVOKE) .* ON DATABASE SCOPED CREDENTIAL\b",
            f"permissions on credentials ({T_SQL}grant-database-scoped-credential-transact-sql)",
        ),
    ],
    "oracle": [
        (r"(CREATE|ALTER) PROFILE ", f"profiles ({SQL_REFERENCE}CREATE-PROFILE.html)"),
        (r"CREATE DIRECTORY ", f"directories ({SQL_REFERENCE}CREATE-DIRECTORY.html)"),
        (r"DROP TABLESPACE ", f"tablespaces ({SQL_REFERENCE}DROP-TABLESPACE.html)"),
        (
            r"ALTER USER \S+ PROFILE DEFAULT$",
            f"the profile DEFAULT ({SQL_REFERENCE}ALTER-USER.html)",
        ),
        (
            r"ALTER USER \S+ READ (ONLY|WRITE)$",
            f"read-only users of release 23 ({SQL_REFERENCE}ALTER-USER.html)",
        ),
        (
            r"(GRANT|REVOKE) GRANT ANY SCHEMA PRIVILEGE ",
            f"privileges of release 23 ({SQL_REFERENCE}GRANT.html)",
        ),
    ],
}

# The error and the start of a statement that the parsers accept, although the servers of a test
# reject it.
REJECTED: dict[str, list[tuple[int, str]]] = {
    # SQL Server 2022 has introduced the permission.
    "sqlserver": [(102, r"GRANT VIEW SECURITY DEFINITION ")],
    "oracle": [
        # A package grants it instead of GRANT: DBA_RSRC_MANAGER_SYSTEM_PRIVS in the Database
        # Reference of release 19.
        (990, r"(GRANT|REVOKE) ADMINISTER RESOURCE MANAGER "),
        # The limit of names depends on the parameter COMPATIBLE.
        (972, r"CREATE USER "),
        # Releases before 23ai have neither privileges on schemas nor read-only users, and lack
        # columns of the dictionary.
        (905, r"GRANT SELECT ANY TABLE ON SCHEMA "),
        (922, r"CREATE USER reader IDENTIFIED BY x READ ONLY$"),
        (904, r"SELECT \w+ FROM [\w$]+$"),
    ],
}


def is_rejected(engine: str, error: int, sql: str) -> bool:
    """Returns True if the servers reject a statement that the parsers accept."""
    return any(error == number and re.match(start, sql) for number, start in REJECTED[engine])


def reason(engine: str, sql: str) -> str | None:
    """Returns what the parsers lack for a statement, or None."""
    return next(
        (f"not judged: {why}" for start, why in KNOWN[engine] if re.match(start, sql)), None
    )
