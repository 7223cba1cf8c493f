"""Replays recorded traffic of real servers on the fake servers, and compares the tokens or packets.

python recorded_traffic.py sqlserver
python recorded_traffic.py oracle PORT
"""

import socket
import sys
from pathlib import Path

HERE = Path(__file__).parent
# The widths of tokens are those since TDS 7.2.
TDS_72 = 0x72090002
NAMES = {0x81: "COLMETADATA", 0xD1: "ROW", 0xAC: "RETURNVALUE", 0x79: "RETURNSTATUS"}
ENDS = {0xFD: "DONE", 0xFE: "DONEPROC", 0xFF: "DONEINPROC"}


def recorded(name: str) -> list[tuple[str, bytes]]:
    """Returns the packets of a file, each with its direction."""
    packets: list[tuple[str, str]] = []
    for line in (HERE / "recorded" / f"{name}.txt").read_text().splitlines():
        if line.startswith("  "):
            packets[-1] = (packets[-1][0], packets[-1][1] + line.strip())
        elif line and line[0] != "#":
            packets.append((line, ""))
    return [(side, bytes.fromhex(text)) for side, text in packets]


def number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")


def tokens(data: bytes) -> list[str]:
    """Names the tokens of an answer, with the flags and the statement of a DONE token.

    Knows the types of the recorded columns: char, nchar, int and nullable int.
    """
    found, at, columns = [], 0, []
    while at < len(data):
        token, at = data[at], at + 1
        if token in ENDS:
            flags, command = number(data, at, 2), number(data, at + 2, 2)
            found.append(f"{ENDS[token]} {flags:#04x} {command:#04x}")
            at += 12
        elif token == 0x81:
            columns, at = metadata(data, at)
            found.append(NAMES[token])
        elif token == 0xD1:
            for kind in columns:
                at = value(data, at, kind)
            found.append(NAMES[token])
        elif token == 0x79:
            found.append(NAMES[token])
            at += 4
        elif token == 0xAC:
            # The ordinal, the name, the status, the user type, the flags and an integer.
            at += 2
            at += 1 + 2 * data[at] + 1 + 4 + 2 + 2
            at += 1 + data[at]
            found.append(NAMES[token])
        else:
            raise SystemExit(f"unknown token {token:#x} at {at}")
    return found


def metadata(data: bytes, at: int) -> tuple[list[int], int]:
    columns, count, at = [], number(data, at, 2), at + 2
    for _ in range(count):
        kind, at = data[at + 6], at + 7
        # A length and a collation, a length, or nothing.
        at += 7 if kind in (0xAF, 0xEF, 0xE7) else 1 if kind == 0x26 else 0
        at += 1 + 2 * data[at]
        columns.append(kind)
    return columns, at


def value(data: bytes, at: int, kind: int) -> int:
    if kind == 0x38:
        return at + 4
    if kind == 0x26:
        return at + 1 + data[at]
    length = number(data, at, 2)
    return at + 2 + (0 if length == 0xFFFF else length)


def comparable(sequence: list[str]) -> list[str]:
    """Leaves out the handle that sp_prepexec returns, and the rows, which the fake server lacks."""
    return [one for one in sequence if one not in ("RETURNVALUE", "ROW")]


def sql_server() -> list[str]:
    """Answers the recorded requests in this process. Returns the differences."""
    servers = HERE.parent / "fake_servers"
    sys.path[:0] = [str(servers / "sqlserver"), str(servers / "common")]
    import statements
    from model import Server
    from pysqlbridge.tds.batch import parse_sql_batch
    from pysqlbridge.tds.rpc import parse_rpc
    from rights import Session

    server = Server("password", 0, False)
    session = Session(server, server.principals[1], None, server.database("master"))
    packets, found = recorded("sqlserver"), []
    for (_, request), (_, answer) in zip(packets[::2], packets[1::2]):
        is_procedure = request[0] == 3
        if is_procedure:
            # The parameters of sp_prepexec: the handle, the declarations and the statement.
            sql = parse_rpc(request[8:], TDS_72).parameters[2].value
        else:
            sql = parse_sql_batch(request[8:], TDS_72)
        ours = statements.run(session, sql, {}, is_procedure).encode(TDS_72)
        expected, got = comparable(tokens(answer[8:])), comparable(tokens(ours))
        print(f"{sql.strip()[:60]}: {', '.join(got)}")
        if got != expected:
            found.append(f"{sql}: {got} instead of {expected}")
    return found


def oracle(port: int) -> list[str]:
    """Sends the recorded requests to a fake server. Returns the differences."""
    stream = socket.create_connection(("localhost", port), timeout=10)
    file, found, count = stream.makefile("rb"), [], 0
    packets = recorded("oracle")
    # A listener that hands a connection to another process first asks for the CONNECT packet again
    # (RESEND, type 11). The fake server does not, and clients accept both.
    packets = packets[2:]
    for side, packet in packets:
        if side == "request":
            stream.sendall(packet)
            continue
        # From version 315 on, the length of packets after the ACCEPT packet has four bytes.
        head = file.read(8)
        length = int.from_bytes(head[:2], "big") or int.from_bytes(head[:4], "big")
        ours = head + file.read(length - 8)
        got, expected = kind(ours), kind(packet)
        count += 1
        print(f"answer {count}: {got}")
        if got != expected:
            found.append(f"answer {count}: {got} instead of {expected}")
    return found


def kind(packet: bytes) -> str:
    """Names the type of a packet, and the message in a DATA packet."""
    names = {2: "ACCEPT", 4: "REFUSE", 6: "DATA", 11: "RESEND"}
    name = names.get(packet[4], str(packet[4]))
    if name != "DATA":
        return name
    message = packet[10:]
    if message[:4] == bytes.fromhex("deadbeef"):
        return "DATA, network services"
    messages = {1: "protocol", 2: "data types", 8: "parameters"}
    return f"DATA, {messages.get(message[0], message[0])}"


def main() -> None:
    found = sql_server() if sys.argv[1] == "sqlserver" else oracle(int(sys.argv[2]))
    for one in found:
        print(one)
    if found:
        raise SystemExit(f"{len(found)} answers differ from the recorded ones")


if __name__ == "__main__":
    main()
