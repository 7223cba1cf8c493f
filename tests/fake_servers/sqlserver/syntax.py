"""The grammar of the supported T-SQL. The server checks a whole batch before it runs a part of it.

https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-go describes
batches,
https://learn.microsoft.com/sql/t-sql/language-elements/reserved-keywords-transact-sql lists the
reserved words, and each statement has its page under
https://learn.microsoft.com/sql/t-sql/statements/.
"""

import functools

from pysqlbridge.tds import QueryError

import securables
from peg import Grammar, Input, of_kind
from tokens import split

RESERVED = frozenset("""
    ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE
    CASE CHECK CHECKPOINT CLOSE CLUSTERED COALESCE COLLATE COLUMN COMMIT COMPUTE CONSTRAINT
    CONTAINS CONTAINSTABLE CONTINUE CONVERT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME
    CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DBCC DEALLOCATE DECLARE DEFAULT DELETE DENY
    DESC DISTINCT DISTRIBUTED DOUBLE DROP ELSE END ERRLVL ESCAPE EXCEPT EXEC EXECUTE EXISTS EXIT
    EXTERNAL FETCH FILE FILLFACTOR FOR FOREIGN FREETEXT FREETEXTTABLE FROM FULL FUNCTION GOTO
    GRANT GROUP HAVING HOLDLOCK IDENTITY IDENTITYCOL IDENTITY_INSERT IF IN INDEX INNER INSERT
    INTERSECT INTO IS JOIN KEY KILL LEFT LIKE LINENO MERGE NATIONAL NOCHECK NONCLUSTERED NOT
    NULL NULLIF OF OFF OFFSETS ON OPEN OPENDATASOURCE OPENQUERY OPENROWSET OPENXML OPTION OR
    ORDER OUTER OVER PERCENT PIVOT PLAN PRIMARY PRINT PROC PROCEDURE PUBLIC RAISERROR READ
    READTEXT RECONFIGURE REFERENCES REPLICATION RESTORE RESTRICT RETURN REVERT REVOKE RIGHT
    ROLLBACK ROWCOUNT ROWGUIDCOL RULE SAVE SCHEMA SELECT SESSION_USER SET SETUSER SHUTDOWN SOME
    STATISTICS SYSTEM_USER TABLE TABLESAMPLE TEXTSIZE THEN TO TOP TRAN TRANSACTION TRIGGER
    TRUNCATE UNION UNIQUE UNPIVOT UPDATE UPDATETEXT USE USER VALUES VARYING VIEW WAITFOR WHEN
    WHERE WHILE WITH WRITETEXT
    """.split())

GRAMMAR = r"""
statement = select | securables | principals | permissions | databases | objects | session
principals = CREATE LOGIN name WITH password { "," new_login } | ALTER LOGIN name ( ENABLE |
  DISABLE |
  WITH login_change { "," login_change } ) | DROP LOGIN name
  | CREATE USER name [ FOR LOGIN name | WITHOUT LOGIN ] [ WITH user_option { "," user_option } ]
  | ALTER USER name WITH user_option { "," user_option }
  | DROP USER [ IF EXISTS ] name
  | CREATE SERVER ROLE name [ AUTHORIZATION name ] | CREATE ROLE name [ AUTHORIZATION name ]
  | DROP SERVER ROLE name | DROP ROLE [ IF EXISTS ] name
  | ALTER SERVER ROLE name member | ALTER ROLE name member
  | ALTER AUTHORIZATION ON [ class ] parts TO name
member = ( ADD | DROP ) MEMBER name
password = PASSWORD "=" text [ MUST_CHANGE ]
new_login = SID "=" binary | login_option
login_change = PASSWORD "=" text [ OLD_PASSWORD "=" text | MUST_CHANGE [ UNLOCK ]
  | UNLOCK [ MUST_CHANGE ] ]
  | NAME "=" name | login_option
login_option = ( CHECK_POLICY | CHECK_EXPIRATION ) "=" ( ON | OFF )
  | ( DEFAULT_DATABASE | DEFAULT_LANGUAGE ) "=" name
user_option = PASSWORD "=" text [ OLD_PASSWORD "=" text ] | SID "=" binary
  | ( DEFAULT_SCHEMA | DEFAULT_LANGUAGE | NAME | LOGIN ) "=" name
permissions = GRANT permission [ ON securable ] TO grantee [ WITH GRANT OPTION ] [ AS name ]
  | DENY permission [ ON securable ] TO grantee [ CASCADE ] [ AS name ]
  | REVOKE [ GRANT OPTION FOR ] permission [ ON securable ] ( TO | FROM ) grantee [ CASCADE ]
  [ AS name ]
grantee = PUBLIC | name
permission = permission_word { permission_word } [ columns ]
securable = [ class ] parts [ columns ]
class = ( DATABASE SCOPED CREDENTIAL | DATABASE | LOGIN | USER | SCHEMA | OBJECT | TYPE | ROLE
  | SERVER ROLE | APPLICATION ROLE | ENDPOINT | ASSEMBLY | CERTIFICATE | CONTRACT | SERVICE | ROUTE
  | MESSAGE TYPE | SYMMETRIC KEY | ASYMMETRIC KEY | XML SCHEMA COLLECTION | AVAILABILITY GROUP
  | FULLTEXT CATALOG | FULLTEXT STOPLIST | REMOTE SERVICE BINDING | SEARCH PROPERTY LIST
  | EXTERNAL LANGUAGE ) "::"
columns = "(" name { "," name } ")"
parts = name { "." name }
databases = USE name | CREATE DATABASE name [ CONTAINMENT "=" ( NONE | PARTIAL ) ]
  | DROP DATABASE [ IF EXISTS ] name | ALTER DATABASE name SET state [ WITH ROLLBACK IMMEDIATE ]
  | ALTER AVAILABILITY GROUP name ADD DATABASE name
  | RESTORE LOG name FROM DISK "=" text WITH STANDBY "=" text
state = READ_ONLY | READ_WRITE | SINGLE_USER | RESTRICTED_USER | MULTI_USER
  | HADR AVAILABILITY GROUP "=" name | ONLINE | OFFLINE | RESTORING
objects = CREATE SCHEMA name [ AUTHORIZATION name ] | CREATE TABLE parts "(" column { "," column
  } ")"
  | CREATE ( PROCEDURE | PROC ) parts AS statement { [ ";" ] statement }
  | CREATE TYPE parts FROM type
  | CREATE TRIGGER parts ON ( ALL SERVER | DATABASE ) ( FOR | AFTER ) name { "," name } AS
  statement
  { [ ";" ] statement }
  | ( ENABLE | DISABLE ) TRIGGER parts ON ( ALL SERVER | DATABASE )
  | DROP TRIGGER parts ON ( ALL SERVER | DATABASE )
  | DROP TABLE parts
  | DELETE FROM parts [ WHERE condition ] | INSERT [ INTO ] parts ( DEFAULT VALUES
  | [ columns ] VALUES "(" expression { "," expression } ")" )
column = name type [ NULL | NOT NULL ]
session = ( BEGIN ( TRANSACTION | TRAN ) | SAVE ( TRANSACTION | TRAN ) ) [ name ]
  | ( COMMIT | ROLLBACK ) [ WORK | ( TRANSACTION | TRAN ) [ name ] ]
  | IF condition statement
  | SET TRANSACTION ISOLATION LEVEL isolation | SET TEXTSIZE number | SET ROWCOUNT number
  | SET LOCK_TIMEOUT [ "-" ] number | SET DATEFIRST number | SET LANGUAGE ( name | text )
  | SET DATEFORMAT name | SET set_option { "," set_option } ( ON | OFF )
  | RECONFIGURE [ WITH OVERRIDE ]
  | ( EXECUTE | EXEC ) "(" text { "+" text } ")" | ( EXECUTE | EXEC ) parts [ argument { ","
  argument } ]
set_option = ANSI_DEFAULTS | ANSI_NULL_DFLT_OFF | ANSI_NULL_DFLT_ON | ANSI_NULLS | ANSI_PADDING
  | ANSI_WARNINGS | ARITHABORT | ARITHIGNORE | CONCAT_NULL_YIELDS_NULL | CURSOR_CLOSE_ON_COMMIT
  | FMTONLY | FORCEPLAN | IMPLICIT_TRANSACTIONS | NOCOUNT | NOEXEC | NUMERIC_ROUNDABORT | PARSEONLY
  | QUOTED_IDENTIFIER | REMOTE_PROC_TRANSACTIONS | XACT_ABORT
isolation = READ ( COMMITTED | UNCOMMITTED ) | REPEATABLE READ | SNAPSHOT | SERIALIZABLE
argument = variable "=" argument_value | argument_value
argument_value = [ "-" ] number | text | binary | NULL | DEFAULT | variable [ OUTPUT ] | name
select = query { UNION [ ALL ] query } [ ORDER BY expression [ ASC | DESC ]
  { "," expression [ ASC | DESC ] } ]
query = SELECT [ DISTINCT | ALL ] [ TOP ( number | "(" expression ")" ) ] item { "," item }
  [ FROM source { "," source } ] [ WHERE condition ] [ GROUP BY expression { "," expression } ]
  [ HAVING condition ] | "(" select ")"
item = "*" | name "." "*" | expression [ AS ( name | text ) | name | text ]
source = table { [ INNER | ( LEFT | RIGHT | FULL ) [ OUTER ] ] JOIN table ON condition
  | CROSS JOIN table }
table = ( "(" select ")" | parts ) [ [ AS ] name ]
condition = conjunction { OR conjunction }
conjunction = negation { AND negation }
negation = NOT negation | EXISTS "(" select ")" | predicate | "(" condition ")"
predicate = expression ( comparison expression | IS [ NOT ] NULL | [ NOT ] IN "(" ( select |
  expression { "," expression } ) ")" | [ NOT ] LIKE expression
  | [ NOT ] BETWEEN expression AND expression )
comparison = "=" | "<>" | "<" "=" | ">" "=" | "!" "=" | "<" | ">"
expression = term { ( "+" | "-" | "*" | "/" | "%" | "&" | "^" ) term }
term = [ "-" | "~" ] primary [ COLLATE name ]
primary = CASE ( WHEN condition THEN expression { WHEN condition THEN expression } | expression
  WHEN
  expression THEN expression { WHEN expression THEN expression } ) [ ELSE expression ] END
  | CAST "(" expression AS type ")" | CONVERT "(" type "," expression [ "," number ] ")"
  | ( COALESCE | NULLIF ) "(" expression { "," expression } ")"
  | number [ "." [ number ] ] | text | binary | NULL | variable | CURRENT_USER | SYSTEM_USER
  | parts "(" [ expression { "," expression } | "*" ] ")"
  | parts | "(" select ")" | "(" expression ")"
type = parts [ "(" ( number | MAX ) [ "," number ] ")" ]
"""


def word(test):
    def match(tokens: Input, at: int) -> int | None:
        kind, text = tokens.at(at)
        return at + 1 if kind == "word" and test(text) else None

    return match


def is_name(text: str) -> bool:
    return text[0] not in "@0123456789" and text.upper() not in RESERVED


def name(tokens: Input, at: int) -> int | None:
    kind, text = tokens.at(at)
    return at + 1 if kind == "name" or kind == "word" and is_name(text) else None


# The name of a permission may have other reserved words, as in ALTER ANY USER.
NOT_IN_PERMISSION = ("ON", "TO", "FROM", "WITH", "AS", "GRANT", "DENY", "REVOKE", "FOR")
KINDS = {
    "name": name,
    "text": of_kind("text"),
    "binary": of_kind("binary"),
    "number": word(str.isdigit),
    "variable": word(lambda text: text[0] == "@" and len(text) > 1),
    "permission_word": word(
        lambda text: text[0] not in "@0123456789" and text.upper() not in NOT_IN_PERMISSION
    ),
}
T_SQL = Grammar(GRAMMAR + securables.GRAMMAR.lstrip(), KINDS)


@functools.lru_cache(1000)
def check(sql: str) -> tuple[tuple[int, int], ...]:
    """Returns the first and the last token of each statement. Raises the error 102."""
    all = split(sql)
    tokens, at, found = Input(all), 0, []
    while at < len(all):
        if all[at][:2] == ("sign", ";"):
            at += 1
            continue
        end = T_SQL.rules["statement"](tokens, at)
        if end is None:
            near = tokens.at(tokens.furthest)[1]
            raise QueryError(f"Incorrect syntax near '{near}'.", number=102, severity=15)
        found.append((at, end))
        at = end
    return tuple(found)


def end_of_condition(all: tuple, at: int) -> int:
    """Returns the position after the condition of IF."""
    return T_SQL.rules["condition"](Input(all), at)
