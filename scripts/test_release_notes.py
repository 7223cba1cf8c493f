"""Tests of release_notes.py with a project of their own."""

import pathlib
import tempfile
import unittest

from release_notes import ROOT, NotReadyError, notes, section

CHANGELOG = """# Changelog

## Unreleased

- Not yet.

## 1.2.0 - 2026-12-31

### Added

- The new thing.

## 1.1.0 - 2026-11-30

- The old thing.
"""
MANIFEST = """[workspace.package]
version = "1.2.0"
repository = "https://forge.example/us/keywheel"
[workspace.dependencies]
rotation = { path = "crates/rotation", version = "1.2.0" }
rotation-database.path = "crates/rotation-database"
rotation-database.version = "1.2.0"
"""
TEMPLATE = "    SemanticVersion: 1.2.0\n"
PACKAGE = '{\n    "name": "keywheel-cdk",\n    "version": "1.2.0",\n}\n'
GITHUB = {"GITHUB_SERVER_URL": "https://forge.example", "GITHUB_REPOSITORY": "us/keywheel"}


class Notes(unittest.TestCase):
    def project(self, **files: str) -> pathlib.Path:
        """Creates a project. The arguments replace the content of files."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        (root / "Cargo.toml").write_text(files.get("manifest", MANIFEST), encoding="utf-8")
        (root / "template.yaml").write_text(files.get("template", TEMPLATE), encoding="utf-8")
        (root / "deploy/sar").mkdir(parents=True)
        (root / "deploy/cdk").mkdir()
        application = files.get("application", TEMPLATE)
        (root / "deploy/sar/One.yaml").write_text(application, encoding="utf-8")
        package = files.get("package", PACKAGE)
        (root / "deploy/cdk/package.json").write_text(package, encoding="utf-8")
        (root / "CHANGELOG.md").write_text(files.get("changelog", CHANGELOG), encoding="utf-8")
        return root

    def assert_not_ready(self, message: str, tag: str = "v1.2.0", **files: str) -> None:
        with self.assertRaisesRegex(NotReadyError, message):
            notes(tag, self.project(**files), GITHUB)

    def test_notes_are_the_section_of_the_version(self) -> None:
        expected = "### Added\n\n- The new thing."
        self.assertEqual(notes("v1.2.0", self.project(), GITHUB), expected)
        self.assertEqual(section(CHANGELOG, "1.1.0"), "- The old thing.")

    def test_tag_of_another_version_is_not_ready(self) -> None:
        self.assert_not_ready("Cargo.toml has 1.2.0: set it to 1.3.0", tag="v1.3.0")

    def test_other_versions_in_the_project_are_not_ready(self) -> None:
        manifest = MANIFEST.replace('rotation", version = "1.2.0"', 'rotation", version = "1.1.0"')
        self.assert_not_ready("Cargo.toml has 1.1.0", manifest=manifest)
        manifest = MANIFEST.replace('database.version = "1.2.0"', 'database.version = "1.1.0"')
        self.assert_not_ready("Cargo.toml has 1.1.0", manifest=manifest)
        self.assert_not_ready("template.yaml has 1.0.0", template=TEMPLATE.replace("1.2", "1.0"))
        self.assert_not_ready("template.yaml has no version", template="")
        application = TEMPLATE.replace("1.2", "1.0")
        self.assert_not_ready("deploy/sar/One.yaml has 1.0.0", application=application)
        package = PACKAGE.replace("1.2", "1.0")
        self.assert_not_ready("deploy/cdk/package.json has 1.0.0", package=package)

    def test_section_without_date_or_content_is_not_ready(self) -> None:
        undated = CHANGELOG.replace("1.2.0 - 2026-12-31", "1.2.0")
        self.assert_not_ready("no section of the version", changelog=undated)
        empty = "## 1.2.0 - 2026-12-31\n\n## 1.1.0 - 2026-11-30\n\n- The old thing.\n"
        self.assert_not_ready("is empty", changelog=empty)

    def test_placeholder_of_the_repository_is_not_ready(self) -> None:
        manifest = MANIFEST.replace("forge.example/us", "example.com")
        self.assert_not_ready("set it to https://forge.example/us/keywheel", manifest=manifest)

    def test_the_project_itself_has_one_version(self) -> None:
        """Only the section with a date is missing before a release."""
        manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
        version = manifest.split('\nversion = "')[1].split('"')[0]
        try:
            notes(f"v{version}", ROOT, {})
        except NotReadyError as error:
            self.assertIn("CHANGELOG.md", str(error))


if __name__ == "__main__":
    unittest.main()
