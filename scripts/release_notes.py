#!/usr/bin/env python3
"""Prints the notes of a release, which are its section of CHANGELOG.md.

    python3 scripts/release_notes.py v0.1.0

Fails if the release is not ready: if a version in the project differs from the tag, if the section
has no date or no content, or if the address of the repository is still a placeholder.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATED = re.compile(r"^## (\S+) - \d{4}-\d{2}-\d{2}$")


class NotReadyError(Exception):
    """The release cannot be published. The message has the cause and the remedy."""


def section(changelog: str, version: str) -> str:
    """Returns the text of a version's section, without its heading."""
    found: list[str] | None = None
    for line in changelog.splitlines():
        if line.startswith("## "):
            if found is not None:
                break
            heading = DATED.match(line)
            if heading and heading[1] == version:
                found = []
        elif found is not None:
            found.append(line)
    if found is None:
        raise NotReadyError(
            f'CHANGELOG.md has no section of the version: add the heading "## {version} - DATE", '
            "with a date such as 2026-12-31"
        )
    text = "\n".join(found).strip()
    if not text:
        raise NotReadyError(f"the section {version} of CHANGELOG.md is empty")
    return text


def check_version(file: str, pattern: str, text: str, version: str) -> None:
    """Checks every version in a file. At least one is expected."""
    versions = re.findall(pattern, text, re.MULTILINE)
    if not versions or set(versions) != {version}:
        found = ", ".join(sorted(set(versions))) or "no version"
        raise NotReadyError(f"{file} has {found}: set it to {version}, as in the tag")


def check_repository(manifest: str, address: str) -> None:
    """Checks that the crates name the repository that publishes the release."""
    found = re.search(r'^repository = "(.*)"$', manifest, re.MULTILINE)
    if not found or found[1] != address:
        value = found[1] if found else "nothing"
        raise NotReadyError(f"the repository in Cargo.toml is {value}: set it to {address}")


def notes(tag: str, root: pathlib.Path, environment: dict[str, str]) -> str:
    """Returns the notes of the release with this tag."""
    version = tag.removeprefix("v")
    manifest = (root / "Cargo.toml").read_text(encoding="utf-8")
    check_version("Cargo.toml", r'^version = "(.*)"$', manifest, version)
    in_workspace = r'(?:path = "crates/.*|^[a-z-]+\.)version = "(.*)"'
    check_version("Cargo.toml", in_workspace, manifest, version)
    for path in [root / "template.yaml", *sorted(root.glob("deploy/sar/*.yaml"))]:
        name = path.relative_to(root).as_posix()
        template = path.read_text(encoding="utf-8")
        check_version(name, r"^ *SemanticVersion: (.*)$", template, version)
    package = (root / "deploy/cdk/package.json").read_text(encoding="utf-8")
    check_version("deploy/cdk/package.json", r'^ +"version": "(.*)"', package, version)
    if repository := environment.get("GITHUB_REPOSITORY"):
        check_repository(manifest, f"{environment['GITHUB_SERVER_URL']}/{repository}")
    return section((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(notes(sys.argv[1], ROOT, dict(os.environ)))
    except NotReadyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
