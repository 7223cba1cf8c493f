#!/usr/bin/env python3
"""Checks that the crates that others can use are complete, and packages each of them.

A crate is published unless its manifest has `publish = false`. Published crates need the metadata
that the registry shows, the texts of both licences, and a version for every dependency. The test
`cargo package` does not compile anything: clippy and the tests have done that.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
METADATA = ("description", "license", "repository", "readme", "keywords", "categories")
LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")


def problems_of(package: dict) -> list[str]:
    """Returns what a published crate lacks."""
    folder = pathlib.Path(package["manifest_path"]).parent
    problems = [f"no {key}" for key in METADATA if not package[key]]
    problems += [f"no {name}" for name in LICENCES if not (folder / name).is_file()]
    if package["readme"] and not (folder / package["readme"]).is_file():
        problems.append(f"the readme {package['readme']} does not exist")
    if len(package["keywords"]) > 5 or len(package["categories"]) > 5:
        problems.append("more than 5 keywords or categories")
    for dependency in package["dependencies"]:
        if dependency.get("path") and dependency["req"] == "*":
            problems.append(f"no version of the dependency {dependency['name']}")
    return problems


def main() -> int:
    cargo = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"]
    output = subprocess.run(cargo, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    packages = json.loads(output)["packages"]
    private = [package["name"] for package in packages if package["publish"] == []]
    problems = [
        f"{package['name']}: {problem}"
        for package in packages
        if package["name"] not in private
        for problem in problems_of(package)
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    cargo = ["cargo", "package", "--workspace", "--no-verify", "--allow-dirty", "--offline"]
    for name in private:
        cargo += ["--exclude", name]
    # Cargo reports incomplete metadata and unusable paths as warnings.
    done = subprocess.run(cargo, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "warning:" in done.stderr:
        print(done.stderr, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
