"""Changes how seerdb answers logins: the verifier, the warnings, the limits of profiles, messages.

`IN_GRACE.user` is true if the login that a thread is about to answer has a password in its grace
period.
"""

import threading
from types import SimpleNamespace

import seerdb.common.tns as tns
import seerdb.server.session as session
from seerdb.common.crypto import VFR_12C_SHA2

from containers import Containers
from model import MESSAGES, User
from releases import NEW_MESSAGES, Release

IN_GRACE = threading.local()


def warn_of_expiry() -> None:
    """Sends ORA-28002 with the answer to a login, as a separate message: TTC's warning, 15."""
    encode = session.encode_result

    def warned(*positional, **more) -> bytes:
        if not getattr(IN_GRACE, "user", False):
            return encode(*positional, **more)
        text = b"ORA-28002: the password will expire within 7 days"
        warning = (
            b"\x0f"
            + b"\x02"
            + (28002).to_bytes(2, "big")
            + bytes([1, len(text)])
            + b"\0"
            + bytes([len(text)])
            + text
        )
        return warning + encode(*positional, **more)

    session.encode_result = warned


def use_twelve_c_verifier(has_fields: bool) -> None:
    """Makes the server offer the 12C verifier, the only one that the tested driver accepts."""
    make = session.make_challenge
    session.make_challenge = lambda password, **more: make(
        password, **{**more, "verifier_type": VFR_12C_SHA2}
    )

    def encode(challenge) -> bytes:
        hexadecimal = tns._hexval
        stretched = [
            (b"AUTH_PBKDF2_CSK_SALT", hexadecimal(challenge.derived_salt)),
            (b"AUTH_PBKDF2_VGEN_COUNT", b"4096"),
            (b"AUTH_PBKDF2_SDER_COUNT", b"3"),
        ]
        return (
            tns.encode_rpa_kv(
                [
                    (b"AUTH_SESSKEY", hexadecimal(challenge.auth_sesskey)),
                    (b"AUTH_VFR_DATA", hexadecimal(challenge.salt), challenge.verifier_type),
                    *(stretched if has_fields else []),
                    (b"AUTH_GLOBALLY_UNIQUE_DBID\x00", tns.AUTH_GLOBALLY_UNIQUE_DBID),
                ]
            )
            + tns.encode_status()
        )

    session.encode_challenge = encode


def count_failures(containers: Containers, log) -> None:
    """Applies FAILED_LOGIN_ATTEMPTS of the users' profiles."""

    def user(written: str) -> User | None:
        name = written[1:-1] if written.startswith('"') else written.upper()
        return containers.current().users.get(name)

    def is_locked(written: str) -> bool:
        one = user(written)
        if one and (one.is_locked or one.is_locked_by_failures):
            log(f"Login failed for user '{one.name}': ORA-28000")
            return True
        return False

    def failed(written: str) -> float:
        is_quoted = written.startswith('"')
        name = written[1:-1] if is_quoted else written.strip('"').upper()
        log(f"Login failed for user '{name}': ORA-01017")
        if one := user(written):
            model = containers.current()
            one.failures += 1
            limit = model.limit(one, "FAILED_LOGIN_ATTEMPTS")
            one.is_locked_by_failures = limit != "UNLIMITED" and one.failures >= int(limit)
            model.changed()
        return 0.0

    def succeeded(written: str) -> None:
        if one := user(written):
            one.failures = 0

    session.lockout = SimpleNamespace(is_locked=is_locked, failed=failed, succeeded=succeeded)


def use_messages(release: Release) -> None:
    """Makes the server use the messages of a release, also for the logins that seerdb rejects."""
    if not release.has("23ai"):
        return
    MESSAGES.update(NEW_MESSAGES)
    deny = session._deny_login
    rejected = f"ORA-01017: {MESSAGES[1017]}"
    session._deny_login = lambda *positional, message=None, **more: deny(
        *positional, message=message or rejected, **more
    )
