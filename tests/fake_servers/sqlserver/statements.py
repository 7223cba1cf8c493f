"""Runs batches: statements on principals, roles and permissions, and on tables to test permissions.

Each statement follows its page under https://learn.microsoft.com/sql/t-sql/statements/; the numbers
and texts of errors are those of sys.messages:
https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
"""

from pysqlbridge.tds import Column, Integer, QueryError

import catalog
import permissions
import principals
import securables
import syntax
import transactions
import triggers
from answer import Answer, Result
from model import LOCK, Thing
from rights import Session, not_found, refused
from tokens import Tokens


def run(session: Session, sql: str, parameters: dict, is_procedure: bool = False) -> Answer:
    """Runs a batch, if the syntax of all its statements is correct."""
    spans, results = syntax.check(sql), []
    with LOCK:
        for start, end in spans:
            tokens = Tokens(sql, start, end)
            result = statement(session, tokens, parameters) or Result()
            result.words = " ".join(one[1].upper() for one in tokens.all[start : start + 2])
            results.append(result)
            if not tokens.ends():
                raise tokens.wrong()
    return Answer(results, is_procedure)


def statement(session: Session, tokens: Tokens, parameters: dict) -> Result | None:
    if tokens.is_word("SELECT"):
        return select(session, tokens, parameters)
    if tokens.accept("IF"):
        return conditional(session, tokens, parameters)
    # A statement that fails may also have changed something.
    session.server.revision += 1
    outer, session.is_changing = session.is_changing, True
    try:
        return change(session, tokens)
    finally:
        session.is_changing = outer


def change(session: Session, tokens: Tokens) -> Result | None:
    """Runs a statement that is not a query."""
    if session.transaction:
        session.transaction.changes += 1
        for words in transactions.NEVER_IN_TRANSACTION:
            if tokens.is_word(*words.split()):
                raise QueryError(
                    f"{words} statement not allowed within multi-statement transaction.", number=226
                )
    for verb in triggers.VERBS:
        if tokens.accept(verb):
            of_server = permissions.run(session, verb, tokens) is session.server
            return triggers.fire(
                session, f"{verb}_{'SERVER' if of_server else 'DATABASE'}", of_server
            )
    for words, handler in HANDLERS.items():
        if tokens.accept(*words.split()):
            result = handler(session, tokens)
            if event := {**triggers.OF_SERVER, **triggers.OF_DATABASE}.get(words):
                triggers.fire(session, event, words in triggers.OF_SERVER)
            return result
    raise tokens.wrong()


def conditional(session: Session, tokens: Tokens, parameters: dict) -> Result | None:
    """Runs `IF condition statement`."""
    end = syntax.end_of_condition(tokens.all, tokens.at)
    condition = tokens.sql[tokens.all[tokens.at][2] : tokens.all[end - 1][3]]
    query = f"SELECT CASE WHEN {condition} THEN 1 ELSE 0 END"
    tokens.at = end
    if catalog.query(session, query, parameters).rows == [[1]]:
        return statement(session, tokens, parameters)
    tokens.at = len(tokens.all)
    return None


def select(session: Session, tokens: Tokens, parameters: dict) -> Result:
    """Runs SELECT on the catalog, whose views are all in the schema sys, or on a table."""
    source = tokens.after("FROM")
    if source and "sys" not in (source[0].lower(), source[2].lower()):
        return select_from_table(session, tokens)
    return catalog.query(session, tokens.rest_of_statement(), parameters)


def select_from_table(session: Session, tokens: Tokens) -> Result:
    """Runs `SELECT * | column, … FROM table`: checks only whether the session may, and returns no
    row."""
    tokens.expect("SELECT")
    columns = []
    if not tokens.accept("*"):
        columns.append(tokens.name())
        while tokens.accept(","):
            columns.append(tokens.name())
    tokens.expect("FROM")
    table = named_table(session, tokens)
    for column in columns or table.columns:
        session.check_access("SELECT", table, column)
    return Result([Column(column, Integer(4)) for column in columns or table.columns])


def named_table(session: Session, tokens: Tokens) -> Thing:
    names = [tokens.name()]
    while tokens.accept("."):
        names.append(tokens.name())
    schemas = (
        [names[-2]] if len(names) > 1 else [session.user(session.database).schema or "dbo", "dbo"]
    )
    for schema in schemas:
        if table := session.database.thing(1, names[-1], schema):
            return table
    raise QueryError(f"Invalid object name '{'.'.join(names)}'.", number=208)


def delete(session: Session, tokens: Tokens) -> None:
    """Runs `DELETE FROM table`: checks only whether the session may."""
    session.check_access("DELETE", named_table(session, tokens))


def insert(session: Session, tokens: Tokens) -> Result:
    """Runs `INSERT INTO table … VALUES`: checks only whether the session may."""
    session.check_access("INSERT", named_table(session, tokens))
    tokens.at = len(tokens.all)
    return Result(changed=1)


def execute(session: Session, tokens: Tokens) -> None:
    """Runs `EXEC (N'batch')`, `EXEC sp_configure …` and `EXEC procedure`.

    For a procedure, it checks only whether the session may execute it.
    """
    if tokens.accept("("):
        batch = tokens.literal()
        tokens.expect(")")
        session.run(batch)
        return
    if tokens.peek()[1].lower() in ("sp_configure", "sp_addrolemember"):
        if not session.in_server_role("serveradmin"):
            raise refused()
        option = tokens.rest_of_statement()
        if "contained database authentication" in option:
            session.server.contained_authentication = option.rstrip().endswith("1")
        return
    session.check_access("EXECUTE", named_table(session, tokens))


def use(session: Session, tokens: Tokens) -> Result:
    if session.is_azure():
        name = tokens.name()
        if name != session.database.name:
            raise QueryError(
                "USE statement is not supported to switch between databases. Use a new connection"
                " to connect to a different database.",
                number=40508,
            )
        return Result(used=(name, name))
    old, session.database = session.database, catalog.entered(session, tokens.name())
    return Result(used=(old.name, session.database.name))


def create_database(session: Session, tokens: Tokens) -> None:
    name = tokens.name()
    contained = tokens.accept("CONTAINMENT", "=", "PARTIAL")
    if not session.in_server_role("dbcreator"):
        raise QueryError(
            f"CREATE DATABASE permission denied in database 'master'.", number=262, severity=14
        )
    if session.server.database(name):
        raise QueryError(
            f"Database '{name}' already exists. Choose a different database name.", number=1801
        )
    session.server.add_database(name, contained, session.login.sid)


def alter_database(session: Session, tokens: Tokens) -> None:
    database = session.server.database(tokens.name())
    if database is None or not session.in_server_role():
        raise QueryError(
            "User does not have permission to alter the database, or it does not exist.",
            number=5011,
            severity=14,
        )
    tokens.expect("SET")
    if tokens.accept("READ_ONLY") or tokens.accept("READ_WRITE"):
        database.read_only = tokens.peek(-1)[1].upper() == "READ_ONLY"
    elif tokens.accept("HADR", "AVAILABILITY", "GROUP", "="):
        tokens.name()
        database.replica = "secondary"
    elif any(tokens.accept(access) for access in catalog.USER_ACCESS):
        database.user_access = tokens.peek(-1)[1].upper()
    else:
        database.state = tokens.name().upper()
    tokens.accept("WITH", "ROLLBACK", "IMMEDIATE")


def alter_availability_group(session: Session, tokens: Tokens) -> None:
    """Runs `ALTER AVAILABILITY GROUP name ADD DATABASE name` on the primary replica."""
    tokens.name()
    tokens.expect("ADD")
    tokens.expect("DATABASE")
    session.server.database(tokens.name()).replica = "primary"


def restore_log(session: Session, tokens: Tokens) -> None:
    """Runs `RESTORE LOG name FROM DISK = 'file' WITH STANDBY = 'file'`, as log shipping does."""
    session.server.database(tokens.name()).standby = True
    tokens.rest_of_statement()


def drop_database(session: Session, tokens: Tokens) -> None:
    name = tokens.name()
    if not session.in_server_role() or not session.server.database(name):
        raise QueryError(
            f"Cannot drop the database '{name}', because it does not exist or you do not have"
            " permission.",
            number=3701,
        )
    del session.server.databases[name.casefold()]


def alter_authorization(session: Session, tokens: Tokens) -> None:
    """Runs `ALTER AUTHORIZATION ON DATABASE::d TO login` and `… ON SCHEMA::s TO user`."""
    tokens.expect("ON")
    of_database = tokens.accept("DATABASE")
    if not of_database:
        tokens.expect("SCHEMA")
    tokens.expect("::")
    name = tokens.name()
    tokens.expect("TO")
    owner = tokens.name()
    if of_database:
        database, login = session.server.database(name), session.server.find(owner, "S")
        if not (database and login and session.in_server_role()):
            raise not_found("find", "database", name)
        if database.user_of(login.sid):
            raise QueryError(
                "The proposed new database owner is already a user or aliased in the database.",
                number=15110,
            )
        database.owner = database.principals[1].sid = login.sid
        return
    schema, user = session.database.thing(3, name), session.database.find(owner)
    if not (schema and user and session.in_role(session.database)):
        raise not_found("find", "schema", name)
    schema.owner = user.id


def create_schema(session: Session, tokens: Tokens) -> None:
    name, owner = tokens.name(), session.user(session.database)
    if tokens.accept("AUTHORIZATION"):
        owner = session.database.find(tokens.name())
    if not session.has(session.database, "CREATE SCHEMA", ("db_ddladmin",)):
        raise refused()
    session.database.add_thing(3, name, owner=owner.id)


def type_of_column(tokens: Tokens) -> None:
    """Skips a type such as `char(30) NOT NULL`."""
    tokens.name()
    while not (tokens.is_word(",") or tokens.is_word(")") or tokens.ends()):
        if tokens.accept("("):
            while not tokens.accept(")"):
                tokens.at += 1
        else:
            tokens.at += 1


def drop_table(session: Session, tokens: Tokens) -> None:
    table = named_table(session, tokens)
    if not session.has(session.database, "ALTER", ("db_ddladmin",), table):
        raise not_found("drop", "table", table.name)
    session.database.things.remove(table)


def create_thing(cls: int, type: str):
    def create(session: Session, tokens: Tokens) -> None:
        names = [tokens.name()]
        while tokens.accept("."):
            names.append(tokens.name())
        if not session.has(
            session.database, f"CREATE {'TABLE' if type == 'U' else 'PROCEDURE'}", ("db_ddladmin",)
        ):
            raise refused()
        schema = session.database.thing(3, names[-2] if len(names) > 1 else "dbo")
        if schema is None:
            raise QueryError(
                f'The specified schema name "{names[-2]}" either does not exist or you do not have'
                " permission to use it.",
                number=2760,
            )
        columns = []
        while type == "U" and (tokens.accept("(") or tokens.accept(",")):
            columns.append(tokens.name())
            type_of_column(tokens)
        tokens.rest_of_statement() if type != "U" else tokens.expect(")")
        session.database.add_thing(cls, names[-1], schema=schema.id, type=type, columns=columns)

    return create


def create_type(session: Session, tokens: Tokens) -> None:
    """Runs `CREATE TYPE [s].[t] FROM int`."""
    names = [tokens.name()]
    while tokens.accept("."):
        names.append(tokens.name())
    tokens.expect("FROM")
    tokens.name()
    schema = session.database.thing(3, names[-2] if len(names) > 1 else "dbo")
    session.database.add_thing(6, names[-1], schema=schema.id)


def ignore(session: Session, tokens: Tokens) -> None:
    if not tokens.ends():
        tokens.rest_of_statement()


HANDLERS = {
    # This comes first, because the names of its statements have more words than other ones.
    **securables.HANDLERS,
    "SET": ignore,
    "RECONFIGURE": ignore,
    "USE": use,
    "DELETE FROM": delete,
    "INSERT INTO": insert,
    "EXEC": execute,
    "CREATE DATABASE": create_database,
    "ALTER DATABASE": alter_database,
    "ALTER AVAILABILITY GROUP": alter_availability_group,
    "RESTORE LOG": restore_log,
    "DROP DATABASE": drop_database,
    "ALTER AUTHORIZATION": alter_authorization,
    "CREATE SCHEMA": create_schema,
    "CREATE TABLE": create_thing(1, "U"),
    "DROP TABLE": drop_table,
    "CREATE PROCEDURE": create_thing(1, "P"),
    "CREATE TYPE": create_type,
    **principals.HANDLERS,
    **transactions.HANDLERS,
    **triggers.HANDLERS,
}
