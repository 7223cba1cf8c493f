#!/usr/bin/env python3
"""Compares the AWS model that the tests of the local Secrets Manager use with the newest one.

    python3 scripts/compare_aws_model.py

The tests read AWS's model of the service from one version of botocore, which tests/setup.sh names.
This script downloads that version and the newest one with pip, and prints what differs: operations,
members of requests and responses, their types and limits, errors, and changed documentation.

Exit code: 0 if operations, members, limits and errors are the same; 1 if any of them differs; 2 if
the models could not be compared. Changed documentation alone is printed, but does not fail.
"""
import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "tests/setup.sh"
MODEL = "botocore/data/secretsmanager/2017-10-17/service-2.json"
LIMITS = ("min", "max", "pattern", "enum", "sensitive")


class CannotCompare(Exception):
    """The reason why there is no model to compare."""


def pinned_version():
    found = re.search(r"^botocore=(\S+)$", SETUP.read_text(), re.MULTILINE)
    if not found:
        raise CannotCompare(f"{SETUP} has no line botocore=VERSION")
    return found[1]


def download(package):
    """Returns a version of the model, and its name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--disable-pip-version-check", "--dest", folder, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise CannotCompare(f"pip could not download {package}: {done.stderr.strip()}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name in (MODEL + ".gz", MODEL):
                if name in wheel.namelist():
                    return parse(wheel.read(name)), wheels[0].name.split("-py")[0]
    raise CannotCompare(f"{package} has no file {MODEL}")


def parse(content):
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    model = json.loads(content)
    if "operations" not in model or "shapes" not in model:
        raise CannotCompare("the file is not a model of a service")
    return model


def read(path):
    try:
        return parse(Path(path).read_bytes()), str(path)
    except (OSError, ValueError) as error:
        raise CannotCompare(f"could not read {path}: {error}") from error


def flatten(model):
    """Returns a description of each operation, member and error, and their documentation."""
    described, documented = {}, {}

    def shape(place, name, seen):
        one = model["shapes"][name]
        limits = [f"{limit} {one[limit]}" for limit in LIMITS if limit in one]
        described[place] = ", ".join([f"{place in required and 'required ' or ''}{one['type']}",
                                      *limits])
        if name in seen:
            return
        if one["type"] == "list":
            shape(place + "[]", one["member"]["shape"], [*seen, name])
        elif one["type"] == "map":
            shape(place + "{}", one["value"]["shape"], [*seen, name])
        required.update(f"{place}.{member}" for member in one.get("required", ()))
        for member, its in one.get("members", {}).items():
            shape(f"{place}.{member}", its["shape"], [*seen, name])
            documented[f"{place}.{member}"] = its.get("documentation")

    for operation, its in model["operations"].items():
        described[operation] = "an operation"
        documented[operation] = its.get("documentation")
        for side in ("input", "output"):
            required = set()
            if side in its:
                shape(f"{operation} {side}", its[side]["shape"], [])
        for error in its.get("errors", ()):
            described[f"{operation} error {error['shape']}"] = "an error"
    return described, documented


def differences(before, after):
    lines = [f"new:     {place}: {after[place]}" for place in after if place not in before]
    lines += [f"gone:    {place}" for place in before if place not in after]
    lines += [f"changed: {place}: {before[place]} -> {after[place]}"
              for place in after if place in before and after[place] != before[place]]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pinned", metavar="PATH", help="a model instead of the pinned version")
    parser.add_argument("--newest", metavar="PATH", help="a model instead of the newest version")
    args = parser.parse_args()
    try:
        pinned, pinned_name = (read(args.pinned) if args.pinned
                               else download(f"botocore=={pinned_version()}"))
        newest, newest_name = read(args.newest) if args.newest else download("botocore")
    except CannotCompare as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    print(f"comparing {pinned_name} (tests) with {newest_name}")
    (before, words_before), (after, words_after) = flatten(pinned), flatten(newest)
    lines = differences(before, after)
    print(*lines, sep="\n", end="\n" if lines else "")
    # Behavior that is documented in words only can change, too.
    words = [place for place, text in words_after.items()
             if place in words_before and words_before[place] != text]
    print(*(f"documentation changed: {place}" for place in words), sep="\n",
          end="\n" if words else "")
    if lines:
        print(f"{len(lines)} differences. Update crates/secretsmanager-emulator, then botocore= in "
              "tests/setup.sh.")
        return 1
    print("The operations, members, limits and errors are the same.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
