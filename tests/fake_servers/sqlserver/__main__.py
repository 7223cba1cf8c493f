"""A fake SQL Server, for tests where no real one can be installed.

It checks passwords, permissions and lockouts as a real server does.

    python tests/fake_servers/sqlserver PORT LOG [--certificate FILE --key FILE] [--mode MODE] …
"""

import argparse
import os
import socket
import socketserver
import ssl
import sys
import threading
import time
from pathlib import Path

from pysqlbridge.certificate import load, self_signed, server_context
from pysqlbridge.tds.connection import ConnectionState

sys.path.append(str(Path(__file__).parents[1] / "common"))
import recorder
from connection import Client
from model import Server
from releases import DEFAULT, RELEASES


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("log", help="file for the log of logins and statements")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument(
        "--mode",
        choices=["tls", "none", "require", "strict"],
        help=(
            "tls: TLS for clients that request it; none: no TLS; require: TLS for all clients;"
            " strict: TDS 8.0 only"
        ),
    )
    parser.add_argument(
        "--lockout",
        type=int,
        default=5,
        help="number of wrong passwords that lock a login; 0: never",
    )
    parser.add_argument(
        "--alias",
        action="append",
        default=[],
        metavar="NAME=LOGIN",
        help="run the sessions of NAME as LOGIN, as behind a proxy with its own login",
    )
    parser.add_argument(
        "--expired", action="store_true", help="every password that can expire has expired"
    )
    parser.add_argument(
        "--release",
        choices=RELEASES,
        default=DEFAULT,
        help="the release of SQL Server; azure: answer everyone but sa as Azure SQL Database does",
    )
    parser.add_argument(
        "--redirect",
        metavar="HOST:PORT",
        help="redirect each client to another server, as the gateway of Azure SQL Database does",
    )
    return parser.parse_args()


class Sockets(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100
    has_both = socket.has_dualstack_ipv6()
    address_family = socket.AF_INET6 if has_both else socket.AF_INET

    def server_bind(self) -> None:
        if self.has_both:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        fake, stream = self.server, self.request
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.settimeout(120)
        client = Client(fake.model, fake.log, fake.certificate, fake.mode, fake.recorder)
        try:
            if fake.mode == "strict":
                if stream.recv(1, socket.MSG_PEEK) != b"\x16":
                    return
                stream = fake.tls.wrap_socket(stream, server_side=True)
            while data := stream.recv(65536):
                for response in client.receive(data):
                    stream.sendall(response)
                if client.state is ConnectionState.FAILED:
                    return
        except (OSError, ssl.SSLError) as error:
            fake.log(f"connection ended: {error}")
        except Exception as error:
            fake.log(f"connection failed: {type(error).__name__}: {error}")
        finally:
            client.close()


def main() -> None:
    chosen = arguments()
    password = sys.stdin.readline().strip()
    log, lock = open(chosen.log, "a", buffering=1), threading.Lock()

    def write(line: str) -> None:
        with lock:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} spid {line}\n")

    sockets = Sockets(("", chosen.port), Handler)
    sockets.certificate = (
        load(chosen.certificate, chosen.key) if chosen.certificate else self_signed()
    )
    chosen.mode = chosen.mode or ("tls" if chosen.certificate else "none")
    if chosen.mode == "strict":
        sockets.tls = server_context(sockets.certificate)
        sockets.tls.set_alpn_protocols(["tds/8.0"])
    sockets.mode, sockets.log = chosen.mode, write
    sockets.recorder = recorder.of_environment("sqlserver", chosen.port, 1433)
    sockets.model = Server(password, chosen.lockout, chosen.expired, chosen.release)
    if chosen.redirect:
        host, port = chosen.redirect.rsplit(":", 1)
        sockets.model.redirect = host, int(port)
    sockets.model.aliases = dict(pair.split("=") for pair in chosen.alias)
    # The process that has started this one holds its standard input open. When it closes, this
    # process ends.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    sockets.serve_forever()


if __name__ == "__main__":
    main()
