#!/usr/bin/env python3
"""Packs the program of a function for Lambda, and checks that Amazon Linux 2023 can run it.

    python3 scripts/zip_function.py PROGRAM ZIP [PATH…]

The same program always gives the same bytes: the date in the archive is constant, and the archive
holds nothing of the machine. Fails if the program contains one of the paths, which would make it
differ from the program that another machine builds.
"""

import hashlib
import pathlib
import re
import sys
import zipfile

# The version of glibc in Amazon Linux 2023.
NEWEST_GLIBC = (2, 34)


def zip_program(program: bytes, target: pathlib.Path) -> None:
    """Writes an archive with the program as `bootstrap`, which is the name that Lambda runs."""
    # The earliest date that an archive can have.
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(entry, program, compresslevel=9)


def newest_glibc(program: bytes) -> tuple[int, ...]:
    """Returns the newest version of glibc that the program needs."""
    versions = re.findall(rb"GLIBC_(\d+(?:\.\d+)+)", program)
    return max((tuple(map(int, version.split(b"."))) for version in versions), default=())


def problems_of(program: bytes, paths: list[str]) -> list[str]:
    """Returns why the program must not be published."""
    found = [f"it contains the path {path}" for path in paths if path.encode() in program]
    if newest_glibc(program) > NEWEST_GLIBC:
        needed, newest = (".".join(map(str, v)) for v in (newest_glibc(program), NEWEST_GLIBC))
        found.append(f"it needs glibc {needed}, and Amazon Linux 2023 has {newest}")
    return found


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = map(pathlib.Path, sys.argv[1:3])
    program = source.read_bytes()
    zip_program(program, target)
    packed = target.read_bytes()
    glibc = ".".join(map(str, newest_glibc(program)))
    print(
        f"{target}  {len(program) / 1e6:.1f} MB, zipped {len(packed) / 1e6:.1f} MB, glibc {glibc}, "
        f"sha256 {hashlib.sha256(packed).hexdigest()}"
    )
    problems = problems_of(program, sys.argv[3:])
    for problem in problems:
        print(f"error: {source} cannot be published: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
