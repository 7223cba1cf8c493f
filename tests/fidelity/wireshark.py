"""Looks for malformed frames with Wireshark's dissectors, in the recordings of the fake servers.

python wireshark.py RECORDING
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

# What the dissector cannot read although Oracle's own clients send it or accept it. It only knows
# the fixed lengths of OCI clients in the parameters of a login, but thin clients negotiate variable
# ones. A CONNECT packet whose descriptor is longer than 230 bytes has it in the next packet.
NOT_DISSECTED = {
    "oracle": {"Response, Data (6), Return OPI Parameter", "Request, Connect (1)"},
    "sqlserver": set(),
}
PROTOCOLS = {"oracle": "tns", "sqlserver": "tds"}
MALFORMED = "[Malformed Packet]"


def frames(capture: Path, protocol: str) -> list[str]:
    """Returns the summary of each frame of a protocol."""
    done = subprocess.run(
        ["tshark", "-n", "-r", str(capture), "-Y", f"{protocol} or _ws.malformed"]
        + ["-T", "fields", "-e", "_ws.col.Info"],
        capture_output=True,
        text=True,
    )
    # A recording can end in the middle of a packet, because the tests end the servers.
    if done.returncode and "cut short" not in done.stderr:
        raise SystemExit(done.stderr)
    return done.stdout.splitlines()


def main() -> None:
    recording, problems = Path(sys.argv[1]), 0
    for engine, protocol in PROTOCOLS.items():
        counts, malformed = Counter(), Counter()
        captures = sorted((recording / engine).glob("*.pcap"))
        for capture in captures:
            for info in frames(capture, protocol):
                counts["from the client" if is_request(info) else "from the server"] += 1
                if MALFORMED in info:
                    malformed[info.replace(MALFORMED, "")] += 1
        unexpected = {
            info: count for info, count in malformed.items() if info not in NOT_DISSECTED[engine]
        }
        problems += len(unexpected)
        both = ", ".join(f"{count} {side}" for side, count in sorted(counts.items()))
        print(
            f"{engine}: {len(captures)} captures, frames: {both}; malformed: {unexpected or 'none'}"
        )
        for info in malformed.keys() & NOT_DISSECTED[engine]:
            print(f"{engine}: {malformed[info]} frames that the dissector does not know: {info}")
        if len(counts) < 2:
            raise SystemExit(f"{engine}: the recording does not have both directions")
    if problems:
        raise SystemExit(f"{problems} kinds of malformed frames")


def is_request(info: str) -> bool:
    return not info.startswith("Response")


if __name__ == "__main__":
    main()
