"""Runs GRANT and REVOKE, and the packages that grant what GRANT does not.

The pages are GRANT and REVOKE in
https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/ and, for the packages,
https://docs.oracle.com/en/database/oracle/oracle-database/23/arpls/; error numbers are those of
https://docs.oracle.com/en/error-help/db/.
"""

from dataclasses import replace

import containers
from granted import Grant
from model import DBA, Model, fault
from names import qualified
from tokens import Tokens

UNLIMITED = "UNLIMITED TABLESPACE"

# "This privilege is not granted through the GRANT SQL statement":
# https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/DBA_RSRC_MANAGER_SYSTEM_PRIVS.html
RESOURCE_MANAGER = "ADMINISTER RESOURCE MANAGER"

# The words with which system privileges begin, in the table "System Privileges" of GRANT.
SYSTEM_VERBS = frozenset("""
    ADMINISTER ADVISOR ALTER ANALYZE AUDIT BACKUP BECOME CHANGE COMMENT CREATE DEBUG DELETE DEQUEUE
    DROP ENABLE ENQUEUE EXECUTE EXEMPT EXPORT FLASHBACK FORCE GLOBAL GRANT IMPORT INHERIT INSERT
    KEEP LOCK LOGMINING MANAGE MERGE ON PURGE QUERY READ REDEFINE RESTRICTED RESUMABLE SELECT SET
    TEXT TRANSLATE UNDER UNLIMITED UPDATE USE
    """.split())


def grant(model: Model, me: str, tokens: Tokens) -> None:
    change(model, me, tokens, True)


def revoke(model: Model, me: str, tokens: Tokens) -> None:
    change(model, me, tokens, False)


def change(model: Model, me: str, tokens: Tokens, gives: bool) -> None:
    words, is_quoted = [], tokens.peek()[0] == "name"
    while not any(tokens.is_word(word) for word in ("TO", "FROM", "ON", "(")):
        if tokens.ends():
            raise fault(990, "missing or invalid privilege")
        words.append(tokens.name())
    what, columns = " ".join(words), []
    while tokens.accept("(") or columns and tokens.accept(","):
        columns.append(tokens.name())
    if columns:
        tokens.expect(")")
    # A single word that is not a role cannot be a system privilege, because these have two or more.
    is_role = is_quoted or what in model.roles or len(words) == 1
    kind, owner, name = place(model, me, tokens, "role" if is_role else "system", what)
    tokens.expect("TO" if gives else "FROM")
    grantee = tokens.name()
    is_on_user = (owner, name) not in model.objects
    if kind == "object" and grantee in (name if is_on_user else owner, me):
        # https://docs.oracle.com/en/error-help/db/ora-01749/
        raise fault(1749, "you may not GRANT/REVOKE privileges to/from yourself")
    if grantee not in model.users and grantee not in model.roles:
        raise fault(1917, f"user or role '{grantee}' does not exist")
    if what == UNLIMITED and gives and grantee in model.roles:
        raise fault(1931, "cannot grant UNLIMITED TABLESPACE to a role")
    option = tokens.accept("WITH", "ADMIN", "OPTION") or tokens.accept("WITH", "GRANT", "OPTION")
    forces = {
        "REFERENCES": tokens.accept("CASCADE", "CONSTRAINTS"),
        "EXECUTE": tokens.accept("FORCE"),
    }
    by_owner = kind == "object" and (me == owner or model.has(me, "GRANT ANY OBJECT PRIVILEGE"))
    models, is_common = containers.of_grant(model, tokens, grantee)
    new = Grant(
        grantee,
        kind,
        what,
        owner,
        name,
        option=option,
        grantor=owner if by_owner else me,
        is_common=is_common,
    )
    for one in models:
        if gives:
            add(one, new, columns)
        else:
            remove(one, new, columns, forces.get(what, False))


def place(model: Model, me: str, tokens: Tokens, kind: str, what: str) -> tuple[str, str, str]:
    """Reads the object of the privilege. Returns the kind of the grant, the owner and the name.

    Checks whether the session may grant it.
    """
    if kind == "system" and not tokens.is_word("ON"):
        if what.split()[0] not in SYSTEM_VERBS or what == RESOURCE_MANAGER:
            raise fault(990, "missing or invalid privilege")
    if tokens.accept("ON", "SCHEMA"):
        if not model.release.has("23ai"):
            raise fault(905, "missing keyword")
        owner = tokens.name()
        model.user(owner)
        if not model.may_grant(me, "schema", what, owner):
            raise fault(1031, "insufficient privileges")
        return "schema", owner, ""
    if tokens.accept("ON"):
        if tokens.accept("USER"):
            name = model.user(tokens.name()).name
            if me != name and not model.may_grant(me, "object", what, "SYS", name):
                raise fault(1031, "insufficient privileges")
            return "object", "SYS", name
        if tokens.accept("DIRECTORY"):
            owner, name = "SYS", tokens.name()
        else:
            owner, name = qualified(me, tokens)
        if (owner, name) not in model.objects:
            raise fault(942, "table or view does not exist")
        if not model.may_grant(me, "object", what, owner, name):
            # A session that cannot see the object must not learn that it exists.
            sees = any(
                model.may_use(me, one, owner, name)
                for one in ("SELECT", "INSERT", "UPDATE", "DELETE", "READ")
            )
            raise (
                fault(1031, "insufficient privileges")
                if sees
                else fault(942, "table or view does not exist")
            )
        return "object", owner, name
    if kind == "role" and what not in model.roles:
        raise fault(1919, f"role '{what}' does not exist")
    if not model.may_grant(me, kind, what):
        raise (
            fault(1932, "ADMIN option not granted for role '%s'" % what)
            if kind == "role"
            else fault(1031, "insufficient privileges")
        )
    return kind, "", ""


def is_same(one: Grant, new: Grant) -> bool:
    """Returns True for a grant of the same right, whatever its columns and options are."""
    return one.grantee == new.grantee and one.whole() == new.whole()


def add(model: Model, new: Grant, columns: list[str]) -> None:
    for column in columns or [""]:
        model.grants.add(replace(new, column=column))
    if (new.kind, new.privilege) == ("role", DBA) and new.grantee in model.users:
        # The role cannot contain UNLIMITED TABLESPACE, so the server grants it to the user.
        model.grants.add(Grant(new.grantee, "system", UNLIMITED, is_common=new.is_common))


def remove(model: Model, gone: Grant, columns: list[str], forces: bool) -> None:
    if not any(is_same(one, gone) for one in model.grants.of(gone.grantee)):
        raise {
            "system": fault(1952, f"system privileges not granted to '{gone.grantee}'"),
            "schema": fault(1952, f"system privileges not granted to '{gone.grantee}'"),
            "role": fault(1951, f"ROLE '{gone.privilege}' not granted to '{gone.grantee}'"),
            "object": fault(1927, "cannot REVOKE privileges you did not grant"),
        }[gone.kind]
    if gone.kind == "object" and columns:
        raise fault(
            1750, "UPDATE/REFERENCES may only be REVOKEd from the whole table, not by column"
        )
    dependents = [
        one
        for one in model.dependents
        if (one.privilege, one.object) == (gone.privilege, (gone.owner, gone.object))
        and one.table[0] == gone.grantee
    ]
    if dependents and not forces:
        raise {
            "REFERENCES": fault(
                1981, "CASCADE CONSTRAINTS must be specified to perform this revoke"
            ),
            "EXECUTE": fault(2344, "cannot revoke execute on a type with table dependents"),
        }[gone.privilege]
    model.dependents = [one for one in model.dependents if one not in dependents]
    model.grants.remove(lambda one: is_same(one, gone))
    if gone.grantee not in model.users:
        return
    if (gone.kind, gone.privilege) == ("role", DBA):
        unlimited = (gone.grantee, "system", UNLIMITED)
        model.grants.remove(lambda one: (one.grantee, one.kind, one.privilege) == unlimited)
    if gone.privilege in (DBA, UNLIMITED):
        model.users[gone.grantee].quotas.clear()


def call(model: Model, me: str, tokens: Tokens) -> None:
    """Runs a procedure of a package."""
    package = tokens.name()
    tokens.expect(".")
    procedure, arguments = f"{package}.{tokens.name()}", {}
    while tokens.accept("(") or tokens.accept(","):
        parameter = tokens.name()
        tokens.expect("=", ">")
        arguments[parameter] = tokens.peek()[1].strip("'")
        tokens.at += 1
        if tokens.accept("."):
            # A constant of a package: DBMS_RULE_ADM.EXECUTE_ON_RULE.
            arguments[parameter] = tokens.name()
    tokens.expect(")", ";", "END")
    if procedure not in PROCEDURES:
        raise fault(6550, f"component '{procedure}' must be declared")
    PROCEDURES[procedure](model, me, arguments)


def system_privilege(model: Model, me: str, arguments: dict[str, str]) -> None:
    """Follows DBMS_RESOURCE_MANAGER_PRIVS.GRANT_SYSTEM_PRIVILEGE and REVOKE_SYSTEM_PRIVILEGE."""
    if not model.may_grant(me, "system", RESOURCE_MANAGER):
        raise fault(1031, "insufficient privileges")
    gives = "GRANTEE_NAME" in arguments
    user = arguments["GRANTEE_NAME" if gives else "REVOKEE_NAME"]
    option = arguments.get("ADMIN_OPTION", "FALSE").upper() == "TRUE"
    new = Grant(user, "system", RESOURCE_MANAGER, option=option, grantor=me)
    if gives:
        add(model, new, [])
    else:
        remove(model, new, [], False)


def create_rule(model: Model, me: str, arguments: dict[str, str]) -> None:
    """Follows DBMS_RULE_ADM.CREATE_RULE."""
    owner, name = arguments["RULE_NAME"].upper().split(".")
    if not model.has(me, "CREATE RULE" if owner == me else "CREATE ANY RULE"):
        raise fault(1031, "insufficient privileges")
    model.objects[owner, name] = ("RULE", [])


def object_privilege(model: Model, me: str, arguments: dict[str, str]) -> None:
    """Follows DBMS_RULE_ADM.GRANT_OBJECT_PRIVILEGE."""
    owner, name = arguments["OBJECT_NAME"].upper().split(".")
    privilege, _, kind = arguments["PRIVILEGE"].partition("_ON_")
    if model.objects.get((owner, name), ("", []))[0] != kind.replace("_", " "):
        raise fault(24170, f"{owner}.{name} is not an object of this kind")
    if not model.may_grant(me, "object", privilege, owner, name):
        raise fault(1031, "insufficient privileges")
    add(model, Grant(arguments["GRANTEE"], "object", privilege, owner, name, grantor=owner), [])


PROCEDURES = {
    "DBMS_RESOURCE_MANAGER_PRIVS.GRANT_SYSTEM_PRIVILEGE": system_privilege,
    "DBMS_RESOURCE_MANAGER_PRIVS.REVOKE_SYSTEM_PRIVILEGE": system_privilege,
    "DBMS_RULE_ADM.CREATE_RULE": create_rule,
    "DBMS_RULE_ADM.GRANT_OBJECT_PRIVILEGE": object_privilege,
}
HANDLERS = {"GRANT": grant, "REVOKE": revoke, "BEGIN": call}
