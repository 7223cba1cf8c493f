"""The statements that create securables which have only a name here, to grant permissions on them.

Each statement follows its page under https://learn.microsoft.com/sql/t-sql/statements/ in one form.
"""

from pysqlbridge.tds import QueryError

from model import Thing
from rights import Session, refused
from tokens import Tokens

# The class of each securable of a database, by the keyword before `::`.
IN_DATABASE = {
    "ASSEMBLY": 5,
    "XML SCHEMA COLLECTION": 10,
    "MESSAGE TYPE": 15,
    "CONTRACT": 16,
    "SERVICE": 17,
    "REMOTE SERVICE BINDING": 18,
    "ROUTE": 19,
    "FULLTEXT CATALOG": 23,
    "SYMMETRIC KEY": 24,
    "CERTIFICATE": 25,
    "ASYMMETRIC KEY": 26,
    "FULLTEXT STOPLIST": 29,
    "SEARCH PROPERTY LIST": 31,
    "DATABASE SCOPED CREDENTIAL": 32,
    "EXTERNAL LANGUAGE": 34,
}
ON_SERVER = {"ENDPOINT": 105, "AVAILABILITY GROUP": 108}

GRAMMAR = r"""
securables = CREATE ASSEMBLY name FROM binary WITH PERMISSION_SET "=" SAFE
  | CREATE XML SCHEMA COLLECTION parts AS text
  | CREATE MESSAGE TYPE name VALIDATION "=" NONE
  | CREATE CONTRACT name "(" name SENT BY ANY ")"
  | CREATE QUEUE parts
  | CREATE SERVICE name ON QUEUE parts "(" name ")"
  | CREATE REMOTE SERVICE BINDING name TO SERVICE text WITH USER "=" name
  | CREATE ROUTE name WITH ADDRESS "=" text
  | CREATE FULLTEXT CATALOG name
  | CREATE SYMMETRIC KEY name WITH ALGORITHM "=" AES_256 ENCRYPTION BY CERTIFICATE name
  | CREATE CERTIFICATE name [ ENCRYPTION BY PASSWORD "=" text ] WITH SUBJECT "=" text
  | CREATE ASYMMETRIC KEY name WITH ALGORITHM "=" RSA_2048 ENCRYPTION BY PASSWORD "=" text
  | CREATE FULLTEXT STOPLIST name ";"
  | CREATE SEARCH PROPERTY LIST name ";"
  | CREATE DATABASE SCOPED CREDENTIAL name WITH IDENTITY "=" text
  | CREATE EXTERNAL LANGUAGE name FROM "(" CONTENT "=" text "," FILE_NAME "=" text ")"
  | CREATE APPLICATION ROLE name WITH PASSWORD "=" text
  | CREATE ENDPOINT name STATE "=" STARTED AS TCP "(" LISTENER_PORT "=" number ")" FOR TSQL
  "(" ")"
  | CREATE AVAILABILITY GROUP name FOR REPLICA ON text WITH "(" ENDPOINT_URL "=" text ","
  AVAILABILITY_MODE "=" SYNCHRONOUS_COMMIT "," FAILOVER_MODE "=" MANUAL ")"
"""


def create_in_database(keyword: str):
    def create(session: Session, tokens: Tokens) -> None:
        if not session.release.has_class(keyword):
            raise QueryError(f"Incorrect syntax near '{keyword}'.", number=102, severity=15)
        schema, name = name_in_schema(session, tokens)
        tokens.rest_of_statement() if not tokens.ends() else None
        if not session.has(session.database, "ALTER", ("db_ddladmin",)):
            raise refused()
        in_schema = {"schema": schema} if keyword == "XML SCHEMA COLLECTION" else {}
        owner = {} if in_schema else {"owner": 1}
        session.database.add_thing(IN_DATABASE[keyword], name, **in_schema, **owner)

    return create


def name_in_schema(session: Session, tokens: Tokens) -> tuple[int, str]:
    names = [tokens.name()]
    while tokens.accept("."):
        names.append(tokens.name())
    return session.database.thing(3, names[-2] if len(names) > 1 else "dbo").id, names[-1]


def create_queue(session: Session, tokens: Tokens) -> None:
    schema, name = name_in_schema(session, tokens)
    session.database.add_thing(1, name, schema=schema, type="SQ")


def create_application_role(session: Session, tokens: Tokens) -> None:
    name = tokens.name()
    tokens.rest_of_statement()
    if not session.has(session.database, "ALTER ANY APPLICATION ROLE", ("db_securityadmin",)):
        raise refused()
    session.database.add(name, type="A", schema="dbo")


def create_on_server(keyword: str):
    def create(session: Session, tokens: Tokens) -> None:
        name = tokens.name()
        tokens.rest_of_statement()
        if not session.has_server(f"CREATE {keyword}"):
            raise refused()
        # The first IDs belong to the endpoints of the system.
        id = 65536 + len(session.server.things)
        session.server.things.append(Thing(ON_SERVER[keyword], id, name))

    return create


HANDLERS = {
    **{f"CREATE {keyword}": create_in_database(keyword) for keyword in IN_DATABASE},
    **{f"CREATE {keyword}": create_on_server(keyword) for keyword in ON_SERVER},
    "CREATE QUEUE": create_queue,
    "CREATE APPLICATION ROLE": create_application_role,
}
