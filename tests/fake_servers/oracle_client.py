"""Checks logins and statements on an Oracle server with Oracle's own client for Python.

Usage: python tests/fake_servers/oracle_client.py HOST:PORT/SERVICE PASSWORD-OF-SYSTEM
"""

import sys
import time

import oracledb

dsn, password = sys.argv[1:]


def connect(user: str, secret: str, **more):
    return oracledb.connect(user=user, password=secret, dsn=dsn, **more)


def refused(number: int, call) -> None:
    try:
        call()
    except oracledb.DatabaseError as error:
        assert error.args[0].code == number, f"{error} instead of ORA-{number:05d}"
        return
    raise AssertionError(f"ORA-{number:05d} was not raised")


with connect("system", password) as admin:
    cursor = admin.cursor()
    for statement in [
        'CREATE USER "A Client" IDENTIFIED BY "first-Password-1"',
        'GRANT CREATE SESSION TO "A Client"',
        "CREATE TABLE system.things (a NUMBER)",
        'GRANT SELECT ON system.things TO "A Client" WITH GRANT OPTION',
    ]:
        cursor.execute(statement)
    refused(1920, lambda: cursor.execute('CREATE USER "A Client" IDENTIFIED BY "x"'))
    refused(1917, lambda: cursor.execute("GRANT CREATE SESSION TO nobody_at_all"))
    cursor.execute(
        "SELECT privilege, grantable FROM dba_tab_privs WHERE grantee = :1", ["A Client"]
    )
    assert cursor.fetchall() == [("SELECT", "YES")], "the dictionary shows another grant"

refused(1017, lambda: connect('"A Client"', "wrong"))
refused(1017, lambda: connect("nobody_at_all", "wrong"))
with connect('"A Client"', "first-Password-1") as session:
    cursor = session.cursor()
    cursor.execute("SELECT a FROM system.things")
    refused(942, lambda: cursor.execute("SELECT username FROM dba_users"))
    refused(1031, lambda: cursor.execute('CREATE USER somebody IDENTIFIED BY "x"'))
    session.changepassword("first-Password-1", "second-Password-2")
refused(1017, lambda: connect('"A Client"', "first-Password-1"))
connect('"A Client"', "second-Password-2").close()
with connect("system", password) as admin:
    admin.cursor().execute("CREATE PROFILE brief LIMIT PASSWORD_LIFE_TIME 0.000001")
    admin.cursor().execute('ALTER USER "A Client" PROFILE brief')
time.sleep(0.5)
with connect('"A Client"', "second-Password-2") as session:
    assert "ORA-28002" in str(session.warning), "no warning that the password expires"
    session.cursor().execute("SELECT a FROM system.things")
with connect("system", password) as admin:
    admin.cursor().execute('ALTER USER "A Client" ACCOUNT LOCK')
refused(28000, lambda: connect('"A Client"', "second-Password-2"))
print("all as expected")
