"""The grammar of the supported SQL. The server checks a statement before it runs it.

Each statement has its page under
https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/, and GRANT has the table of the
system privileges. The reserved words are in "Oracle SQL Reserved Words".
"""

import functools

from model import fault
from peg import Grammar, Input, of_kind
from tokens import split

RESERVED = frozenset("""
    ACCESS ADD ALL ALTER AND ANY AS ASC AUDIT BETWEEN BY CHAR CHECK CLUSTER COLUMN COMMENT
    COMPRESS CREATE CURRENT DATE DECIMAL DEFAULT DELETE DESC DISTINCT DROP ELSE EXCLUSIVE EXISTS
    FILE FLOAT FOR FROM GRANT GROUP HAVING IDENTIFIED IMMEDIATE IN INCREMENT INDEX INITIAL
    INSERT INTEGER INTERSECT INTO IS LEVEL LIKE LOCK LONG MAXEXTENTS MINUS MODE MODIFY NOAUDIT
    NOCOMPRESS NOT NOWAIT NULL NUMBER OF OFFLINE ON ONLINE OPTION OR ORDER PCTFREE PRIOR PUBLIC
    RAW RENAME REVOKE ROW ROWID ROWNUM ROWS SELECT SESSION SET SHARE SIZE SMALLINT START
    SUCCESSFUL SYNONYM SYSDATE TABLE THEN TO TRIGGER UID UNION UNIQUE UPDATE USER VALIDATE
    VALUES VARCHAR VARCHAR2 VIEW WHENEVER WHERE WITH
    """.split())

GRAMMAR = r"""
statement = select | users | grants | objects | session | call
container = CONTAINER "=" ( CURRENT | ALL )
users = CREATE USER name new_password { user_clause } | ALTER USER name alteration { alteration }
  | DROP USER name [ CASCADE ] | DROP TABLESPACE name | CREATE ROLE name | DROP ROLE name
  | ( CREATE | ALTER ) PROFILE name LIMIT limit { limit }
new_password = IDENTIFIED BY password
password = name
user_clause = DEFAULT TABLESPACE name | TEMPORARY TABLESPACE name
  | QUOTA ( UNLIMITED | number [ name ] ) ON name | PROFILE ( DEFAULT | name )
  | PASSWORD EXPIRE | ACCOUNT ( LOCK | UNLOCK ) | READ ( ONLY | WRITE )
alteration = new_password [ REPLACE password ] | EXPIRE PASSWORD ROLLOVER PERIOD
  | DEFAULT ROLE ( ALL | NONE | name { "," name } ) | user_clause
limit = word ( UNLIMITED | DEFAULT | NULL | number [ "/" number ] | name )
grants = GRANT ( object_right ON object TO grantees [ WITH HIERARCHY OPTION ] [ WITH GRANT OPTION
  ]
  | system_right { "," system_right } ON SCHEMA name TO grantees [ WITH ADMIN OPTION ]
  | ( system_right | name ) { "," ( system_right | name ) } TO grantees [ WITH ADMIN OPTION ] )
  [ container ]
  | REVOKE ( object_right ON object FROM grantees [ CASCADE CONSTRAINTS | FORCE ]
  | system_right ON SCHEMA name FROM grantees | ( system_right | name ) FROM grantees )
  [ container ]
call = BEGIN parts "(" argument { "," argument } ")" ";" END
argument = [ name "=" ">" ] ( text | TRUE | FALSE | NULL | parts )
grantees = grantee { "," grantee }
grantee = PUBLIC | name
object_right = ( ALL [ PRIVILEGES ] | ON COMMIT REFRESH | QUERY REWRITE | FLASHBACK ARCHIVE
  | TRANSLATE SQL | INHERIT REMOTE PRIVILEGES | INHERIT PRIVILEGES | MERGE VIEW | KEEP SEQUENCE
  | SELECT | INSERT | UPDATE | DELETE | READ | WRITE | EXECUTE | REFERENCES | ALTER | INDEX |
  DEBUG
  | UNDER | USE | FLASHBACK | ENQUEUE | DEQUEUE ) [ "(" name { "," name } ")" ]
object = ( DIRECTORY | EDITION | USER | MINING MODEL | JAVA ( SOURCE | RESOURCE )
  | SQL TRANSLATION PROFILE ) parts | parts
system_right = GRANT ANY ( OBJECT PRIVILEGE | SCHEMA PRIVILEGE | PRIVILEGE | ROLE )
  | ( CREATE | ALTER | DROP ) [ ANY | PUBLIC ] thing | GLOBAL QUERY REWRITE | QUERY REWRITE
  | ( SELECT | INSERT | UPDATE | DELETE | READ | LOCK | FLASHBACK | COMMENT | UNDER | EXECUTE |
  DEBUG
  | ANALYZE | AUDIT | BACKUP | USE | MERGE ) ANY thing | UNLIMITED TABLESPACE | BECOME USER
  | RESTRICTED SESSION | DEBUG CONNECT SESSION | DEBUG CONNECT ANY | FORCE [ ANY ] TRANSACTION
  | ( ENQUEUE | DEQUEUE | MANAGE ) ANY QUEUE | MANAGE ( TABLESPACE | SCHEDULER )
  | ADMINISTER ( RESOURCE MANAGER | DATABASE TRIGGER | SQL TUNING SET | ANY SQL TUNING SET
  | SQL MANAGEMENT OBJECT | KEY MANAGEMENT | FINE GRAINED AUDIT POLICY | REDACTION POLICY
  | ROW LEVEL SECURITY POLICY ) | ( ADVISOR | LOGMINING | SYSDBA | SYSOPER | RESUMABLE )
  | CHANGE NOTIFICATION | EXEMPT ( ACCESS | REDACTION | IDENTITY ) POLICY | AUDIT SYSTEM
  | FLASHBACK ARCHIVE ADMINISTER | EXPORT FULL DATABASE | IMPORT FULL DATABASE | SET CONTAINER
  | PURGE DBA_RECYCLEBIN | INHERIT ANY [ REMOTE ] PRIVILEGES | TRANSLATE ANY SQL | SELECT ANY
  TRANSACTION
  | ON COMMIT REFRESH | KEEP DATE TIME | KEEP SYSGUID | REDEFINE ANY TABLE | ENABLE DIAGNOSTICS
thing = SESSION | TABLE | TABLESPACE | USER | ROLE | PROFILE | VIEW | SYNONYM | SEQUENCE |
  PROCEDURE
  | TRIGGER | TYPE | DIRECTORY | INDEX | INDEXTYPE | CLUSTER | DATABASE LINK | DATABASE | SYSTEM
  | MATERIALIZED VIEW | LIBRARY | CONTEXT | DICTIONARY | ROLLBACK SEGMENT | OPERATOR | OUTLINE
  | DIMENSION | EDITION | EXTERNAL JOB | JOB | MINING MODEL | CUBE DIMENSION | CUBE BUILD PROCESS
  | CUBE | MEASURE FOLDER | ASSEMBLY | SQL PROFILE | SQL TRANSLATION PROFILE | RESOURCE COST
  | ATTRIBUTE DIMENSION | HIERARCHY | ANALYTIC VIEW | PLUGGABLE DATABASE | LOCKDOWN PROFILE |
  RULE SET
  | RULE | EVALUATION CONTEXT | PROGRAM | CLASS | PUBLIC | DOMAIN | PROPERTY GRAPH | MLE
objects = CREATE TABLE parts "(" column { "," column } ")"
  | CREATE TYPE parts AS OBJECT "(" name type { "," name type } ")"
  | CREATE DIRECTORY name AS text | CREATE [ OR REPLACE ] VIEW parts AS select
  | CREATE [ OR REPLACE ] [ PUBLIC ] SYNONYM parts FOR parts
  | CREATE [ OR REPLACE ] TRIGGER parts AFTER LOGON ON DATABASE BEGIN EXECUTE
  IMMEDIATE text ";" END
  | INSERT INTO parts [ "(" name { "," name } ")" ] VALUES "(" expression { "," expression } ")"
session = ALTER SESSION SET setting { setting } | ( COMMIT | ROLLBACK ) [ WORK ]
setting = word "=" ( text | name | number | TRUE | FALSE )
select = query { UNION [ ALL ] query | MINUS query } [ ORDER BY expression [ ASC | DESC ]
  { "," expression [ ASC | DESC ] } ]
query = SELECT [ DISTINCT ] item { "," item } FROM table { "," table | [ LEFT ] JOIN table ON
  condition }
  [ WHERE condition ] [ GROUP BY expression { "," expression } ] | "(" select ")"
item = "*" | expression [ [ AS ] name ]
table = ( "(" select ")" | parts ) [ name ]
condition = conjunction { OR conjunction }
conjunction = negation { AND negation }
negation = NOT negation | EXISTS "(" select ")" | predicate | "(" condition ")"
predicate = expression ( ( "=" | "<" ">" | "<" "=" | ">" "=" | "!" "=" | "<" | ">" ) expression
  | IS [ NOT ] NULL | [ NOT ] IN "(" ( select | expression { "," expression } ) ")"
  | [ NOT ] LIKE expression | [ NOT ] BETWEEN expression AND expression )
expression = term { ( "+" | "-" | "*" | "/" | "|" "|" ) term }
term = [ "-" ] primary
primary = CASE ( WHEN condition THEN expression { WHEN condition THEN expression } | expression
  WHEN
  expression THEN expression { WHEN expression THEN expression } ) [ ELSE expression ] END
  | CAST "(" expression AS type ")" | number | text | NULL | ":" number | ":" name
  | SYSDATE | USER | ROWNUM | parts "(" [ expression { "," expression } | "*" ] ")" | parts
  | "(" select ")" | "(" expression ")"
column = name type [ REFERENCES parts [ "(" name ")" ] ]
type = ( NUMBER | VARCHAR2 | CHAR | DATE | INTEGER | parts ) [ "(" number [ name ] [ "," number ]
  ")" ]
parts = name { "." name }
"""


# END is not reserved, but the judges do not take it for a name.
NO_NAMES = RESERVED | {"END"}


def name(tokens: Input, at: int) -> int | None:
    kind, text = tokens.at(at)
    is_word = kind == "word" and not is_number(text) and text.upper() not in NO_NAMES
    return at + 1 if kind == "name" or is_word else None


def word(tokens: Input, at: int) -> int | None:
    kind, text = tokens.at(at)
    return at + 1 if kind == "word" and not is_number(text) else None


def number(tokens: Input, at: int) -> int | None:
    kind, text = tokens.at(at)
    return at + 1 if kind == "word" and is_number(text) else None


def is_number(text: str) -> bool:
    return text.lstrip("-")[0] in ".0123456789"


SQL = Grammar(
    GRAMMAR,
    {"name": name, "text": of_kind("text"), "word": word, "number": number},
)
# The number and the message of the error for a statement that cannot be read, by its first word.
ERRORS = {
    "SELECT": (936, "missing expression"),
    "GRANT": (990, "missing or invalid privilege"),
    "REVOKE": (990, "missing or invalid privilege"),
    "CREATE": (922, "missing or invalid option"),
    "ALTER": (922, "missing or invalid option"),
    "DROP": (933, "SQL command not properly ended"),
    "INSERT": (926, "missing VALUES keyword"),
}


@functools.lru_cache(1000)
def check(sql: str) -> None:
    """Raises an error if a statement is not valid."""
    all = split(sql)
    if all and all[-1][1] == ";":
        all = all[:-1]
    tokens = Input(all)
    end = SQL.rules["statement"](tokens, 0)
    if end is None or end < len(all):
        first = all[0][1].upper() if all else ""
        raise fault(*ERRORS.get(first, (900, "invalid SQL statement")))
