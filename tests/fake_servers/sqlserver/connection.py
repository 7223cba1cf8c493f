"""One client's connection: PRELOGIN, TLS, LOGIN7 and the answers, with pysqlbridge's TDS.

Answers to logins:
https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error
and https://learn.microsoft.com/sql/connect/oledb/features/changing-passwords-programmatically.
"""

import functools
import re
import struct

from pysqlbridge import certificate
from pysqlbridge.tds import Encryption, connection
from pysqlbridge.tds.connection import Connection, ConnectionState
from pysqlbridge.tds.login import deobfuscate_password
from pysqlbridge.tds.prelogin import Version, server_response
from pysqlbridge.tds.packet import (
    DEFAULT_PACKET_SIZE,
    PacketType,
    build_message,
    build_packet,
)
from pysqlbridge.tds.token import DoneStatus, done, error, login_ack

import statements
import triggers
from model import LOCK, Principal, Server
from rights import Session

# All clients share one context. A new context for each client would read the certificate each time.
connection.server_context = functools.cache(certificate.server_context)

NAME = "PEER"
# The type of an ENVCHANGE token that redirects the client.
ROUTING = 20


class NoTunnel:
    """Replaces the TLS tunnel of pysqlbridge for a login without TLS, or already inside of TLS."""

    @staticmethod
    def wrap(data: bytes) -> bytes:
        return data

    unwrap = wrap


NO_TUNNEL = NoTunnel()


def redirection(host: str, port: int, version: Version) -> bytes:
    """Returns the answer to a login that moves the client to another server.

    Section 2.2.7.9 of MS-TDS (ENVCHANGE, type 20).
    """
    name = host.encode("utf-16-le")
    value = struct.pack("<BHH", 0, port, len(host)) + name
    body = bytes([ROUTING]) + struct.pack("<H", len(value)) + value + bytes(2)
    acknowledged = login_ack(version=(version.major, version.minor, version.build))
    return acknowledged + b"\xe3" + struct.pack("<H", len(body)) + body + done()


class RecordedTunnel:
    """A TLS tunnel whose decrypted input is recorded."""

    def __init__(self, tunnel, wire) -> None:
        self.tunnel, self.wire = tunnel, wire

    def unwrap(self, data: bytes) -> bytes:
        plain = self.tunnel.unwrap(data)
        self.wire.client(plain)
        return plain

    def __getattr__(self, name: str):
        return getattr(self.tunnel, name)


class Client(Connection):
    def __init__(self, server: Server, log, certificate, mode: str, recorder=None) -> None:
        super().__init__(
            certificate,
            version=server.release.version,
            query_handler=self.answer,
            server_name=NAME,
        )
        self.server, self.log, self.mode, self.session = server, log, mode, None
        self.recorder, self.wire = recorder, recorder and recorder.connection()

    def answer(self, query):
        text = query.sql
        if re.search("password", text, re.IGNORECASE):
            # The server also does this before it traces or audits a statement:
            # https://learn.microsoft.com/sql/relational-databases/event-classes/sql-batchstarting-event-class
            text = (
                "-- 'password' was found in the text of this event. The text has been replaced with"
                " this comment for security reasons."
            )
        self.log(f"{self.session.name}: {text}")

        def run():
            return statements.run(
                self.session, query.sql, query.parameters, self.request is PacketType.RPC
            )

        if not self.recorder:
            return run()
        with LOCK:
            return self.recorder.run(query.sql, self.session.snapshot, run)

    def _take_message(self):
        message = super()._take_message()
        self.request = message and message.type
        return message

    def close(self) -> None:
        """Rolls back the open transaction."""
        if self.session and self.session.transaction:
            with LOCK:
                self.session.transaction.restore()
        if self.wire:
            self.wire.close()

    def receive(self, data: bytes) -> list[bytes]:
        is_cleartext = (
            self._state is ConnectionState.EXPECT_PRELOGIN
            or self._tunnel is NO_TUNNEL
            or self._state is ConnectionState.READY
            and not self._session_encrypted
        )
        if self.wire and is_cleartext:
            self.wire.client(data)
        return super().receive(data)

    def _send(self, responses: list[bytes], payload: bytes, packet_id: int = 1) -> None:
        if self.wire:
            for packet in build_message(
                PacketType.TABULAR_RESULT,
                payload,
                packet_size=DEFAULT_PACKET_SIZE,
                spid=self._spid,
                packet_id_start=packet_id,
            ):
                self.wire.server(packet)
        super()._send(responses, payload, packet_id)

    def _step_prelogin(self, responses: list[bytes]) -> bool:
        moved = self._agree_on_encryption(responses)
        if moved and self.wire:
            self.wire.server(responses[-1])
            if self._tunnel is not NO_TUNNEL:
                self._tunnel = RecordedTunnel(self._tunnel, self.wire)
        return moved

    def _agree_on_encryption(self, responses: list[bytes]) -> bool:
        if not super()._step_prelogin(responses):
            return False
        asked = self.client_prelogin.encryption
        inside, client_has_none = self.mode == "strict", asked is Encryption.NOT_SUPPORTED
        if self.mode == "tls" and not client_has_none:
            return True
        # Section 2.2.6.5 of MS-TDS (PRELOGIN).
        agreed = Encryption.REQUIRED if self.mode == "require" else Encryption.NOT_SUPPORTED
        if self.mode == "require" and not client_has_none:
            return True
        response = server_response(
            version=self._version,
            encryption=Encryption.ON if inside else agreed,
            asked=self.client_prelogin,
        )
        responses[-1] = build_packet(PacketType.TABULAR_RESULT, response.build())
        self._session_encrypted, self._tunnel = False, NO_TUNNEL
        self._state = (
            ConnectionState.FAILED if self.mode == "require" else ConnectionState.EXPECT_LOGIN
        )
        return True

    def _answer_sql_login(self, responses: list[bytes]) -> bool:
        user, password = self._login.user_name, deobfuscate_password(self._login.password)
        if self.server.redirect:
            self.log(f"Login of user '{user}' is redirected. [CLIENT: 127.0.0.1]")
            self._send(responses, redirection(*self.server.redirect, self.server.release.version))
            return True
        with LOCK:
            refused = self.log_in(user, password, self._login.database)
        if refused is None:
            self.log(
                f"Login succeeded for user '{user}'. Connection made using SQL Server"
                " authentication. [CLIENT: 127.0.0.1]"
            )
            self._database = self.session.database.name
            self._finish_login(responses)
            self.session.id = self._spid
            self.session.log = self.log
            self.session.run = lambda sql: statements.run(self.session, sql, {})
            with LOCK:
                triggers.fire(self.session, "LOGON", of_server=True)
            return True
        self.log(
            f"Login failed for user '{user}'. Reason: error {refused[0][0]}. [CLIENT: 127.0.0.1]"
        )
        tokens = [
            error(number, text, server=NAME, severity=14, tds_version=self._tds_version)
            for number, text in refused
        ]
        self._send(
            responses,
            b"".join(tokens) + done(status=DoneStatus.ERROR, tds_version=self._tds_version),
        )
        self._state = ConnectionState.FAILED
        return True

    def log_in(self, user: str, password: str, wanted: str) -> list[tuple[int, str]] | None:
        """Creates the session, or returns the errors."""
        failed = (18456, f"Login failed for user '{user}'.")
        database = self.server.database(wanted) if wanted else None
        # If the contained database has a user of this name, only that user is checked.
        if (
            database
            and (
                database.contained
                and self.server.contained_authentication
                or self.server.release.is_azure
            )
            and (contained := database.find(user, "S"))
            and contained.authentication == 2
        ):
            if contained.password != password:
                return [failed]
            self.session = Session(self.server, None, contained, database)
            return None
        login = self.server.find(user, "S")
        if login is None or login.password is None:
            return [failed]
        if refused := self.refuse(login, password):
            return [refused]
        login = self.server.find(self.server.aliases.get(user, user), "S")
        session = Session(self.server, login, None, database)
        database = database or self.server.database(wanted or login.database)
        if database is None or not session.may_enter(database):
            number = 4060 if wanted else 4064
            return [
                (
                    number,
                    (
                        f'Cannot open database "{wanted or login.database}" requested by the login.'
                        " The login failed."
                    ),
                ),
                failed,
            ]
        session.database = database
        self.session = session
        return None

    def refuse(self, login: Principal, password: str) -> tuple[int, str] | None:
        start = f"Login failed for user '{login.name}'. "
        if login.is_locked:
            return (
                18486,
                (
                    f"Login failed for user '{login.name}' because the account is currently locked"
                    " out. The system administrator can unlock it."
                ),
            )
        if login.password != password:
            login.failures += 1
            # CHECK_POLICY applies the lockout of the Windows policy.
            login.is_locked = login.policy and 0 < self.server.lockout <= login.failures
            return 18456, start.strip()
        login.failures = 0
        # This is state 12 of the error:
        # https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error
        if (
            3 not in self.server.groups(login.id)
            and self.server.says(login.id, "CONNECT SQL", [(100, 0, 0)]) != "GRANT"
        ):
            return 18456, start.strip()
        if login.is_disabled:
            return 18470, start + "Reason: The account is disabled."
        if login.must_change:
            return 18488, start + " Reason: The password of the account must be changed."
        if login.expiration and self.server.expired:
            return 18487, start + " Reason: The password of the account has expired."
        return None
