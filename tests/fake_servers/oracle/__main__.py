"""A fake Oracle server, for tests where no real one can be installed.

It checks passwords, privileges and profiles as a real server does.

    python tests/fake_servers/oracle PORT LOG [--certificate FILE --key FILE] …

The protocol implementation is the server of the package seerdb.
"""

import argparse
import os
import re
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import seerdb.server.service as service
import seerdb.server.session as session
from seerdb.common.tns_consts import TNS_REFUSE
from seerdb.server import Capability, Server
from seerdb.server.framing import PacketStream

sys.path.append(str(Path(__file__).parents[1] / "common"))
import logins
import names
import recorder
import statements
from containers import CONNECTED, Containers, check_password_change
from model import LOCK, Model, User, fault
from releases import DEFAULT, RELEASES
from tokens import Tokens


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("log", help="file for the log of logins and statements")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument(
        "--legacy-tls",
        choices=["1.0", "1.2"],
        help="TLS version of a server with the cipher suite SSL_RSA_WITH_AES_256_CBC_SHA",
    )
    parser.add_argument("--service", default="FREEPDB1")
    parser.add_argument("--sid", default="FREE")
    parser.add_argument("--root", help="service of the root, which makes --service that of a PDB")
    parser.add_argument("--release", choices=RELEASES, default=DEFAULT)
    parser.add_argument(
        "--longest-name",
        type=int,
        default=128,
        help="limit of names in bytes, which is 30 if COMPATIBLE is lower than 12.2",
    )
    parser.add_argument(
        "--encryption",
        choices=["accepted", "required"],
        default="accepted",
        help="native network encryption",
    )
    parser.add_argument(
        "--verifier",
        choices=["12c", "without-pbkdf2"],
        default="12c",
        help="whether the challenge has the PBKDF2 fields that the 12C verifier needs",
    )
    parser.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="NAME=USER",
        help="run the sessions of NAME as USER, as with users of a directory service",
    )
    parser.add_argument(
        "--on-hello",
        choices=["refuse", "reset", "wait"],
        default="refuse",
        help="reaction of a server without TLS to a TLS handshake",
    )
    return parser.parse_args()


class Refused(Exception):
    """The listener rejects the connection with this error number."""


class Backend:
    """The session of one client."""

    capabilities = frozenset({Capability.TRANSACTIONS})

    def __init__(self, containers: Containers, log, recorder) -> None:
        self.containers, self.log, self.user, self.recorder = containers, log, None, recorder
        self.schema = ""
        # The package reads the release that it reports in the answer to the login here.
        self.server_identity = containers.default.release.identity()

    @property
    def model(self) -> Model:
        return self.containers.current()

    def known(self, written: str) -> User | None:
        name = written[1:-1] if written.startswith('"') else written.upper()
        return self.model.users.get(name)

    def authenticate(self, written: str) -> str | None:
        self.user = self.known(written)
        return self.user.password if self.user else None

    def open_session(self, *_attributes, **_more) -> None:
        """Called after the password was correct. Checks whether the user may log in."""
        if self.user.is_expired:
            self.refuse(28001, "the account has expired")
        if not self.model.has(self.user.name, "CREATE SESSION"):
            self.refuse(1045, f"user {self.user.name} lacks CREATE SESSION privilege; logon denied")
        logins.IN_GRACE.user = self.model.is_in_grace(self.user)
        self.user = self.model.users[self.model.aliases.get(self.user.name, self.user.name)]
        self.schema = self.model.logon_schema or self.user.name
        self.log(f"Login succeeded for user '{self.user.name}'.")

    def refuse(self, number: int, message: str) -> None:
        self.log(f"Login failed for user '{self.user.name}': ORA-{number:05d}")
        raise fault(number, message)

    def execute(self, sql: str, binds=()):
        with LOCK:
            # The log has the statements as the audit trail has them, without passwords.
            self.log(
                f"{self.user.name}: "
                + re.sub(r'(?i)(IDENTIFIED\s+BY|REPLACE)\s+("[^"]*"|\S+)', r"\1 *", sql)
            )
            self.schema = names.alter_session(sql) or self.schema
            for view in (
                names.planted(self.model, self.schema, sql) if sql.startswith("SELECT") else []
            ):
                self.log(f"{self.user.name}: reads {view} in place of the dictionary")
            values = [getattr(bind, "value", bind) for bind in binds]

            def run():
                return statements.run(self.model, self.user.name, sql, values)

            if not self.recorder:
                return run()
            return self.recorder.run(sql, lambda: (self.model, self.user.name, values), run)

    def change_password(self, _user: str, old: str, new: str) -> None:
        with LOCK:
            if old not in (self.user.password, self.user.rolled):
                raise fault(28008, "invalid old password")
            check_password_change(self.model, self.user.name)
            statements.check_writable(self.model, self.user.name)
            self.model.set_password(self.user, new)
            self.log(f"{self.user.name}: password changed")

    def commit(self) -> None:
        pass

    rollback = close = commit


def check_service(containers: Containers, sid: str) -> None:
    parse = session.parse_connect

    def checked(body):
        request = parse(body)
        descriptor = bytes(body).decode("latin-1").upper()
        is_sid = "SERVICE_NAME=" not in descriptor
        wanted = (request.service_name or "").upper()
        if wanted not in ({sid.upper()} if is_sid else containers.by_service):
            raise Refused(12505 if is_sid else 12514)
        CONNECTED.service = wanted
        return request

    session.parse_connect = checked


def announce_native_encryption(is_required: bool) -> None:
    """Sets the flags of the ACCEPT packet for native network encryption.

    SQLNET.ENCRYPTION_SERVER=REQUIRED sets NSI_NA_REQUIRED. Otherwise NSI_DISABLE_NA makes clients
    skip the negotiation, because the server of seerdb takes every client that negotiates for an OCI
    client, and node-oracledb is not one.
    """
    encode = session.encode_accept

    def demanding(request, **more) -> bytes:
        packet = bytearray(encode(request, **more))
        # The flags follow the header and 14 bytes.
        packet[8 + 14] |= 0x10 if is_required else 0x04
        return bytes(packet)

    session.encode_accept = demanding


def tls_context(chosen) -> ssl.SSLContext | None:
    if not chosen.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chosen.certificate, chosen.key)
    if chosen.legacy_tls:
        # "Oracle Secure Sockets Layer" in the user guide of Amazon RDS has these settings. The
        # library accepts TLS 1.0 only at the lowest security level.
        versions = {"1.0": ssl.TLSVersion.TLSv1, "1.2": ssl.TLSVersion.TLSv1_2}
        context.set_ciphers("AES256-SHA:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = versions[chosen.legacy_tls]
    return context


# With a short backlog, two tests at once can open more connections than the server accepts. A
# client whose connection is not accepted tries again only after seconds.
service._BACKLOG = 128


class Database(Server):
    """Rejects unknown services, and TLS handshakes without a certificate, as a listener does."""

    def _serve(self, client: socket.socket, addr) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream, wire = None, self.recorder and self.recorder.connection()
        try:
            if self._ssl_context is not None:
                client = self._ssl_context.wrap_socket(client, server_side=True)
            elif client.recv(1, socket.MSG_PEEK) == b"\x16":
                # Real listeners without TLS differ here: some answer, some close the connection,
                # and some wait for the rest of what they take for a long packet.
                if self.on_hello == "wait":
                    while client.recv(1_000_000):
                        pass
                    return
                if self.on_hello == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    return
                stream = PacketStream(client)
                raise Refused(12599)
            stream = PacketStream(recorder.Tap(client, wire) if wire else client)
            session.serve_session(
                stream,
                self._backend_factory(),
                encryption=self._encryption,
                field_version=self._field_version,
                tns_version=self._tns_version,
            )
        except Refused as refused:
            text = (
                f"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR={refused})"
                f"(ERROR_STACK=(ERROR=(CODE={refused})(EMFI=4))))"
            ).encode()
            stream.write_packet(TNS_REFUSE, bytes([4, 0]) + len(text).to_bytes(2, "big") + text)
        except Exception as error:
            self.log(f"connection ended: {type(error).__name__}: {error}")
        finally:
            client.close()
            if wire:
                wire.close()


def main() -> None:
    chosen = arguments()
    password = sys.stdin.readline().strip()
    file, lock = open(chosen.log, "a", buffering=1), threading.Lock()

    def log(line: str) -> None:
        with lock:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    release = RELEASES[chosen.release]
    containers = Containers(password, release, chosen.service, chosen.root)
    for model in containers.by_service.values():
        model.protocol = "tcps" if chosen.certificate else "tcp"
        model.aliases = dict(pair.split("=") for pair in chosen.alias)
    logins.use_twelve_c_verifier(has_fields=chosen.verifier == "12c")
    logins.warn_of_expiry()
    logins.use_messages(release)
    logins.count_failures(containers, log)
    check_service(containers, chosen.sid)
    announce_native_encryption(is_required=chosen.encryption == "required")
    Tokens.longest_name = chosen.longest_name
    server = Database(
        "",
        chosen.port,
        backend_factory=lambda: Backend(containers, log, server.recorder),
        ssl_context=tls_context(chosen),
        field_version=release.field_version,
        tns_version=release.tns_version,
    )
    server.log, server.on_hello = log, chosen.on_hello
    server.recorder = recorder.of_environment("oracle", chosen.port, 1521)
    # The process that has started this one holds its standard input open. When it closes, this
    # process ends.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
