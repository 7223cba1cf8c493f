"""Records what the fake servers receive and send, so that independent judges can examine it.

A fake server records if the environment variable `FIDELITY_RECORD` names a folder:

    FOLDER/ENGINE/statements/SHAPE.json    a statement, and the error that answered it
    FOLDER/ENGINE/statements/SHAPE.pickle  the model before a statement that succeeded
    FOLDER/ENGINE/PORT.pcap                the decrypted bytes of all connections, for Wireshark

Statements that differ only in names and values have the same shape, and only the first of them is
kept. The folder contains the passwords of the tests. It must not be published.
"""

import hashlib
import json
import os
import pickle
import re
import socket
import struct
import threading
import time
from pathlib import Path

VALUE = re.compile(
    r"""N?'(?:''|[^'])*' | \[(?:\]\]|[^\]])*\] | "(?:""|[^"])*" | \b0x[0-9A-Fa-f]* | \b\d+\b""",
    re.VERBOSE,
)
# The last segment must fit into an IP packet, whose length has 16 bits.
LARGEST_SEGMENT = 32_000
FLAGS = {"SYN": 0x02, "ACK": 0x10, "PSH": 0x18, "FIN": 0x11}


def shape(sql: str) -> str:
    """Returns a statement without its names and values."""
    return VALUE.sub("?", " ".join(sql.split()))


class Recorder:
    """The recordings of one fake server."""

    def __init__(self, folder: Path, engine: str, port: int, wire_port: int) -> None:
        self.statements = folder / engine / "statements"
        self.statements.mkdir(parents=True, exist_ok=True)
        self.wire_port, self.lock, self.connections = wire_port, threading.RLock(), 0
        self.capture = open(folder / engine / f"{port}.pcap", "wb", buffering=0)
        # The format of libpcap, with packets that begin with an IP header.
        self.capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))

    def run(self, sql: str, state, run):
        """Runs a statement and records it. `state` returns the model and the session."""
        name = hashlib.sha256(shape(sql).encode()).hexdigest()[:24]
        report, before = self.statements / f"{name}.json", self.statements / f"{name}.pickle"
        snapshot = None if before.exists() else pickle.dumps((sql, *state()))
        try:
            result = run()
        except Exception as error:
            if not report.exists():
                number = getattr(error, "number", getattr(error, "ora_code", None))
                write(report, json.dumps({"sql": sql, "error": number}).encode())
            raise
        if snapshot:
            write(report, json.dumps({"sql": sql, "error": None}).encode())
            write(before, snapshot)
        return result

    def connection(self) -> "Wire":
        with self.lock:
            self.connections += 1
            return Wire(self, 10_000 + self.connections % 50_000)


def write(path: Path, content: bytes) -> None:
    """Writes a file at once, because several fake servers share a folder."""
    part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    part.write_bytes(content)
    part.replace(path)


class Wire:
    """The bytes of one connection, as TCP segments without loss."""

    def __init__(self, recorder: Recorder, port: int) -> None:
        self.recorder, self.port = recorder, port
        self.sent = {"client": 1, "server": 1}
        self.segment("client", "SYN", b"", 0)
        self.segment("server", "SYN", b"", 0)
        self.segment("client", "ACK", b"", 1)

    def client(self, data: bytes) -> None:
        self.bytes("client", data)

    def server(self, data: bytes) -> None:
        self.bytes("server", data)

    def close(self) -> None:
        for side in ("client", "server"):
            self.segment(side, "FIN", b"", self.sent[side])

    def bytes(self, side: str, data: bytes) -> None:
        for start in range(0, len(data), LARGEST_SEGMENT):
            part = data[start : start + LARGEST_SEGMENT]
            self.segment(side, "PSH", part, self.sent[side])
            self.sent[side] += len(part)

    def segment(self, side: str, flags: str, data: bytes, sequence: int) -> None:
        other = "server" if side == "client" else "client"
        bits = FLAGS[flags] | (FLAGS["ACK"] if (flags, side) == ("SYN", "server") else 0)
        acknowledged = self.sent[other] if bits & FLAGS["ACK"] else 0
        ports = {"client": self.port, "server": self.recorder.wire_port}
        addresses = {"client": "192.0.2.1", "server": "192.0.2.2"}
        tcp = struct.pack(
            ">HHIIBBHHH",
            ports[side],
            ports[other],
            sequence % 2**32,
            acknowledged % 2**32,
            5 << 4,
            bits,
            65535,
            0,
            0,
        )
        ip = struct.pack(
            ">BBHHHBBH4s4s",
            0x45,
            0,
            40 + len(data),
            0,
            0,
            64,
            6,
            0,
            socket.inet_aton(addresses[side]),
            socket.inet_aton(addresses[other]),
        )
        packet = ip + tcp + data
        seconds, rest = divmod(time.time(), 1)
        head = struct.pack("<IIII", int(seconds), int(rest * 1e6), len(packet), len(packet))
        # One write, so that the end of the process cannot leave half a packet.
        with self.recorder.lock:
            self.recorder.capture.write(head + packet)


class Tap:
    """A socket whose bytes are recorded."""

    def __init__(self, stream, wire: Wire) -> None:
        self.stream, self.wire = stream, wire

    def recv(self, *arguments) -> bytes:
        data = self.stream.recv(*arguments)
        self.wire.client(data)
        return data

    def sendall(self, data: bytes) -> None:
        self.wire.server(bytes(data))
        self.stream.sendall(data)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def of_environment(engine: str, port: int, wire_port: int) -> Recorder | None:
    """Returns a recorder if the environment asks for one."""
    folder = os.environ.get("FIDELITY_RECORD")
    return Recorder(Path(folder), engine, port, wire_port) if folder else None
