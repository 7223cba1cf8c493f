"""Tests of rust_queries.py."""

import tempfile
import unittest
from pathlib import Path

from rust_queries import Crate

SCOPE = """
const GROUPS: i32 = 108;
const ON_SERVER: &[Class] = &[
    class(101, "LOGIN", "server_principals", "principal_id"),
    class(GROUPS, "GROUP", "groups", "group_id"),
];
const IN_DATABASE: &[Class] = &[
    in_schema(6, "TYPE", "types", "user_type_id"),
    Class { name: "language", ..class(34, "LANGUAGE", "languages", "language_id") },
];
impl Scope<'_> {
    fn sys(self) -> String {
        match self {
            Self::Server => "[master].sys".into(),
            Self::Database(name) => format!("{}.sys", identifier(name)),
        }
    }
    fn permissions(self) -> &'static str {
        if self == Self::Server { "server_permissions" } else { "database_permissions" }
    }
}
"""


def queries(source: str, scope: str = "") -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "scope.rs").write_text(scope)
        Path(folder, "lib.rs").write_text(source)
        return [query.sql for query in Crate(Path(folder)).queries()]


class Queries(unittest.TestCase):
    def test_constant_is_found_without_its_line_breaks(self) -> None:
        source = 'fn f() {\n    const Q: &str = "SELECT a \\\n        FROM v";\n}\n'
        self.assertEqual(queries(source), ["SELECT a FROM v"])

    def test_comments_and_tests_are_left_out(self) -> None:
        query = '"SELECT a FROM v"'
        source = f"// {query}\n#[cfg(test)]\nmod tests {{ fn f() {{ g({query}) }} }}\n"
        self.assertEqual(queries(source), [])

    def test_server_and_database_have_views_of_their_own(self) -> None:
        source = """
            fn f(scope: Scope<'_>) {
                let (sys, view) = (scope.sys(), scope.permissions());
                let ids = ids.join(", ");
                let query = format!("SELECT p.state FROM {sys}.{view} p WHERE p.id IN ({ids})");
            }
        """
        self.assertEqual(
            queries(source, SCOPE),
            [
                "SELECT p.state FROM [master].sys.server_permissions p WHERE p.id IN (1)",
                "SELECT p.state FROM [name].sys.database_permissions p WHERE p.id IN (1)",
            ],
        )

    def test_match_gives_one_query_for_each_possible_arm(self) -> None:
        source = """
            fn f(scope: Scope<'_>) {
                let (view, name) = match scope {
                    Scope::Server => ("a", "x"),
                    Scope::Database(_) => ("b", "y"),
                };
                let query = format!("SELECT {name} FROM sys.{view}");
            }
        """
        self.assertEqual(queries(source), ["SELECT x FROM sys.a", "SELECT y FROM sys.b"])

    def test_unknown_condition_gives_both_queries(self) -> None:
        source = """
            fn f(is_new: bool) {
                let column = if is_new { "a" } else { "b" };
                let query = format!("SELECT {column} FROM {}.v", identifier(name));
            }
        """
        self.assertEqual(queries(source), ["SELECT a FROM [name].v", "SELECT b FROM [name].v"])

    def test_query_of_classes_is_resolved_for_each_class(self) -> None:
        source = """
            fn named(scope: Scope<'_>, class: &Class) -> String {
                let owner = match class.number {
                    GROUPS => "NULL",
                    _ if class.in_schema => "s.principal_id",
                    _ if class.is_of_principals() => "x.owning_principal_id",
                    _ => "x.owner",
                };
                format!("SELECT x.{}, {owner} FROM sys.{} x", class.name, class.view)
            }
        """
        self.assertEqual(
            queries(source, SCOPE),
            [
                "SELECT x.name, x.owning_principal_id FROM sys.server_principals x",
                "SELECT x.name, NULL FROM sys.groups x",
                "SELECT x.name, s.principal_id FROM sys.types x",
                "SELECT x.language, x.owner FROM sys.languages x",
            ],
        )


if __name__ == "__main__":
    unittest.main()
