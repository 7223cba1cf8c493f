"""Tests of zip_function.py."""

import pathlib
import tempfile
import unittest
import zipfile

from zip_function import problems_of, zip_program


class Zip(unittest.TestCase):
    def test_same_program_gives_same_bytes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            one, other = pathlib.Path(folder, "one.zip"), pathlib.Path(folder, "other.zip")
            zip_program(b"\x7fELF program", one)
            other.write_bytes(b"an earlier archive")
            zip_program(b"\x7fELF program", other)
            self.assertEqual(one.read_bytes(), other.read_bytes())

    def test_program_is_executable_bootstrap(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder, "bootstrap.zip")
            zip_program(b"\x7fELF program", target)
            with zipfile.ZipFile(target) as archive:
                (entry,) = archive.infolist()
                self.assertEqual(entry.filename, "bootstrap")
                self.assertEqual(entry.external_attr >> 16, 0o100755)
                self.assertEqual(archive.read("bootstrap"), b"\x7fELF program")

    def test_path_of_the_machine_is_a_problem(self) -> None:
        program = b"panicked at /home/user/.cargo/registry/src/lib.rs"
        self.assertEqual(problems_of(program, ["/keywheel", "/root"]), [])
        (problem,) = problems_of(program, ["/home/user"])
        self.assertIn("/home/user", problem)

    def test_newer_glibc_is_a_problem(self) -> None:
        self.assertEqual(problems_of(b"GLIBC_2.34 GLIBC_2.4", []), [])
        (problem,) = problems_of(b"GLIBC_2.4 GLIBC_2.39", [])
        self.assertIn("it needs glibc 2.39", problem)


if __name__ == "__main__":
    unittest.main()
