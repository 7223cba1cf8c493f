#!/usr/bin/env python3
"""Measures the local Secrets Manager and moto in one run, and prints a table for docs/local.md.

    target/tools/bin/python scripts/measure_service.py [--secrets 10000] [--versions 100]

Both services run on this machine, one after the other. One client sends one request after the
other, so the rates are the inverse of the latency, and the client's own time is
in them. The memory is that of the process (VmRSS). moto compares the name in a request with the
names of all secrets, so that many requests would take days: it is filled from inside its process,
with the objects that its PutSecretValue creates.
"""
import argparse
import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"


class Client:
    """A client that sends one request after the other. It connects again if the service closes the
    connection after each response, as moto does."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.connect()
        self.head = (
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.1\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={key}/20261129/{REGION}/secretsmanager/"
            "aws4_request, SignedHeaders=host, Signature=0\r\n"
        )

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def call(self, operation: str, **body: object) -> dict:
        """Performs an operation. Raises `RuntimeError` if the service refuses it."""
        content = json.dumps(body).encode()
        self.socket.sendall(
            f"{self.head}X-Amz-Target: secretsmanager.{operation}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        status = self.file.readline()
        length, closes = 0, False
        while (line := self.file.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            closes |= line == b"connection: close"
        answer = self.file.read(length)
        if closes:
            self.connect()
        if b" 200 " not in status:
            raise RuntimeError(f"{operation}: {status!r} {answer!r}")
        return json.loads(answer)


def name(index: int) -> str:
    return f"app/secret-{index:05}"


def version() -> tuple[str, str]:
    """Returns a new token and a value."""
    token = str(uuid.uuid4())
    value = {
        "engine": "postgres",
        "host": "app.cluster-abcdefghijkl.us-east-1.rds.amazonaws.com",
        "port": 5432,
        "username": "app",
        "password": token[:32],
        "dbname": "app",
    }
    return token, json.dumps(value)


def put(client: Client, secret: str) -> None:
    token, value = version()
    client.call("PutSecretValue", SecretId=secret, SecretString=value, ClientRequestToken=token)


def rate(operation, seconds: float) -> float:
    """Returns how often an operation is performed in a second."""
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        operation()
        count += 1
    return count / elapsed


def memory(pid: int) -> float:
    """Returns the memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000


def start_local(arguments: argparse.Namespace) -> tuple[subprocess.Popen, Client]:
    command = [arguments.program, "serve", "--port", str(arguments.port), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    key = json.loads(process.stdout.readline())["accessKeyId"]
    return process, Client(arguments.port, key)


def fill_local(client: Client, arguments: argparse.Namespace) -> None:
    for index in range(arguments.secrets):
        token, value = version()
        client.call(
            "CreateSecret", Name=name(index), SecretString=value, ClientRequestToken=token
        )
        for _ in range(arguments.versions - 1):
            put(client, name(index))


def start_moto(arguments: argparse.Namespace) -> tuple[subprocess.Popen, Client]:
    command = [sys.executable, __file__, "--moto", "--port", str(arguments.port)]
    command += ["--secrets", str(arguments.secrets), "--versions", str(arguments.versions)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.stdout.readline()
    return process, Client(arguments.port, "test")


def fill_moto(process: subprocess.Popen) -> None:
    process.stdin.write("fill\n")
    process.stdin.flush()
    process.stdout.readline()


def run_moto(arguments: argparse.Namespace) -> None:
    """Runs moto's server, and fills it when a line is read."""
    from moto.secretsmanager.models import secretsmanager_backends
    from moto.server import ThreadedMotoServer

    ThreadedMotoServer(ip_address="127.0.0.1", port=arguments.port, verbose=False).start()
    print("ready", flush=True)
    for _ in sys.stdin:
        backend = secretsmanager_backends["123456789012"][REGION]
        for index in range(arguments.secrets):
            token, value = version()
            secret, _ = backend._add_secret(name(index), value, version_id=token, tags=[])
            for _ in range(arguments.versions - 1):
                token, value = version()
                secret.reset_default_version(
                    {
                        "createdate": int(time.time()),
                        "version_id": token,
                        "version_stages": ["AWSCURRENT"],
                        "secret_string": value,
                    },
                    token,
                )
        print("filled", flush=True)


@contextlib.contextmanager
def started(start, arguments: argparse.Namespace):
    """Starts a service, and ends its process even after an error."""
    process, client = start(arguments)
    try:
        yield process, client
    finally:
        process.kill()
        process.wait()


def measure(client: Client, pid: int, fill, arguments: argparse.Namespace) -> list[str]:
    """Returns the cells of a service's column."""
    client.call("ListSecrets")
    empty = memory(pid)
    fill()
    full = memory(pid)
    secret = name(arguments.secrets // 2)
    seconds = arguments.seconds
    operations = [
        rate(lambda: client.call("GetSecretValue", SecretId=secret), seconds),
        rate(lambda: put(client, secret), seconds),
        rate(lambda: client.call("DescribeSecret", SecretId=secret), seconds),
        rate(lambda: client.call("ListSecrets", MaxResults=100), seconds),
    ]
    return [f"{value:,.0f}" for value in [*operations, empty, full]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secrets", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=100, help="versions of each secret")
    parser.add_argument("--seconds", type=float, default=5, help="duration of each measurement")
    parser.add_argument("--program", default=ROOT / "target/release/rotation-local")
    parser.add_argument("--port", type=int, default=4699)
    parser.add_argument("--moto", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.moto:
        run_moto(arguments)
        return
    with started(start_local, arguments) as (process, client):
        ours = measure(client, process.pid, lambda: fill_local(client, arguments), arguments)
    with started(start_moto, arguments) as (process, client):
        theirs = measure(client, process.pid, lambda: fill_moto(process), arguments)
    filled = f"memory with {arguments.secrets:,} secrets of {arguments.versions} versions (MB)"
    rows = [
        "`GetSecretValue` a second",
        "`PutSecretValue` a second",
        "`DescribeSecret` a second",
        "`ListSecrets` of 100 secrets a second",
        "memory without secrets (MB)",
        filled,
    ]
    print("| | this service | moto |\n| --- | ---: | ---: |")
    for row in zip(rows, ours, theirs):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
