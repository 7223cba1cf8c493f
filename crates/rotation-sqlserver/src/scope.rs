//! The scopes of roles and permissions. The server and each database have the same catalog views
//! under different names.

use crate::quote::identifier;

/// The scope of a principal, its roles and its permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// The server, with logins and server roles.
    Server,
    /// A database, with users and database roles.
    Database(&'a str),
}

/// A [class of securables][doc] on which permissions are granted.
///
/// [doc]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-database-permissions-transact-sql
#[derive(Debug)]
pub(crate) struct Class {
    /// The value of the column `class`.
    pub(crate) number: i32,
    /// The keyword before `::`. The keyword of principals depends on their kind: see
    /// [`Class::keyword`].
    keyword: &'static str,
    /// The catalog view with the names of the securables.
    pub(crate) view: &'static str,
    /// The column of the view to which `major_id` refers.
    pub(crate) id: &'static str,
    /// The column of the view with the name of the securable.
    pub(crate) name: &'static str,
    /// `true` if the securables are in a schema.
    pub(crate) in_schema: bool,
}

const fn class(number: i32, keyword: &'static str, view: &'static str, id: &'static str) -> Class {
    Class { number, keyword, view, id, name: "name", in_schema: false }
}

const fn in_schema(
    number: i32,
    keyword: &'static str,
    view: &'static str,
    id: &'static str,
) -> Class {
    Class { number, keyword, view, id, name: "name", in_schema: true }
}

/// The class of tables, views, procedures and functions, whose permissions can be on a column.
pub(crate) const OBJECTS: i32 = 1;
/// The class of schemas.
pub(crate) const SCHEMAS: i32 = 3;
/// The class of availability groups. `major_id` refers to the replica of the group on this server.
pub(crate) const AVAILABILITY_GROUPS: i32 = 108;

const ON_SERVER: &[Class] = &[
    class(101, "LOGIN", "server_principals", "principal_id"),
    class(105, "ENDPOINT", "endpoints", "endpoint_id"),
    class(AVAILABILITY_GROUPS, "AVAILABILITY GROUP", "availability_groups", "group_id"),
];

const IN_DATABASE: &[Class] = &[
    in_schema(OBJECTS, "OBJECT", "all_objects", "object_id"),
    class(SCHEMAS, "SCHEMA", "schemas", "schema_id"),
    class(4, "USER", "database_principals", "principal_id"),
    class(5, "ASSEMBLY", "assemblies", "assembly_id"),
    in_schema(6, "TYPE", "types", "user_type_id"),
    in_schema(10, "XML SCHEMA COLLECTION", "xml_schema_collections", "xml_collection_id"),
    class(15, "MESSAGE TYPE", "service_message_types", "message_type_id"),
    class(16, "CONTRACT", "service_contracts", "service_contract_id"),
    class(17, "SERVICE", "services", "service_id"),
    class(18, "REMOTE SERVICE BINDING", "remote_service_bindings", "remote_service_binding_id"),
    class(19, "ROUTE", "routes", "route_id"),
    class(23, "FULLTEXT CATALOG", "fulltext_catalogs", "fulltext_catalog_id"),
    class(24, "SYMMETRIC KEY", "symmetric_keys", "symmetric_key_id"),
    class(25, "CERTIFICATE", "certificates", "certificate_id"),
    class(26, "ASYMMETRIC KEY", "asymmetric_keys", "asymmetric_key_id"),
    class(29, "FULLTEXT STOPLIST", "fulltext_stoplists", "stoplist_id"),
    class(31, "SEARCH PROPERTY LIST", "registered_search_property_lists", "property_list_id"),
    class(32, "DATABASE SCOPED CREDENTIAL", "database_scoped_credentials", "credential_id"),
    Class {
        name: "language",
        ..class(34, "EXTERNAL LANGUAGE", "external_languages", "external_language_id")
    },
];

impl Class {
    /// Returns the keyword before `::`. `kind` is the value of the column `type` of a principal.
    pub(crate) fn keyword(&self, kind: Option<&str>) -> &'static str {
        match (self.view, kind.map(str::trim_end)) {
            ("server_principals", Some("R")) => "SERVER ROLE",
            ("database_principals", Some("R")) => "ROLE",
            ("database_principals", Some("A")) => "APPLICATION ROLE",
            _ => self.keyword,
        }
    }

    /// Returns `true` if the securables are principals, whose view has the column `type`.
    pub(crate) fn is_of_principals(&self) -> bool {
        self.id == "principal_id"
    }
}

impl Scope<'_> {
    /// Returns the schema of the catalog views.
    pub(crate) fn sys(self) -> String {
        match self {
            Self::Server => "[master].sys".into(),
            Self::Database(name) => format!("{}.sys", identifier(name)),
        }
    }

    /// Returns the statement that changes to the database of the scope. Permissions on the server
    /// can only be granted in `master`.
    pub(crate) fn enter(self) -> String {
        match self {
            Self::Server => "USE [master]; ".into(),
            Self::Database(name) => format!("USE {}; ", identifier(name)),
        }
    }

    pub(crate) fn principals(self) -> &'static str {
        if self == Self::Server { "server_principals" } else { "database_principals" }
    }

    pub(crate) fn role_members(self) -> &'static str {
        if self == Self::Server { "server_role_members" } else { "database_role_members" }
    }

    pub(crate) fn permissions(self) -> &'static str {
        if self == Self::Server { "server_permissions" } else { "database_permissions" }
    }

    /// Returns the keyword of a role in `ALTER … ADD MEMBER`.
    pub(crate) fn role(self) -> &'static str {
        if self == Self::Server { "SERVER ROLE" } else { "ROLE" }
    }

    /// Returns the class of the scope itself.
    pub(crate) fn own_class(self) -> i32 {
        if self == Self::Server { 100 } else { 0 }
    }

    /// Returns a class of securables in the scope.
    pub(crate) fn class(self, number: i32) -> Option<&'static Class> {
        let classes = if self == Self::Server { ON_SERVER } else { IN_DATABASE };
        classes.iter().find(|class| class.number == number)
    }
}

impl std::fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => f.write_str("the server"),
            Self::Database(name) => write!(f, "database {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IN_DATABASE, ON_SERVER};

    /// The documented columns of the catalog views.
    const CATALOG: &str = include_str!("../../../tests/fidelity/catalog/sqlserver.tsv");

    #[test]
    fn columns_of_every_class_are_documented() {
        for class in ON_SERVER.iter().chain(IN_DATABASE) {
            let mut columns = vec![class.id, class.name];
            if class.in_schema {
                columns.push("schema_id");
            }
            if class.is_of_principals() {
                columns.extend(["type", "owning_principal_id"]);
            }
            for column in columns {
                let row = format!("{}\t{column}\t", class.view);
                assert!(
                    CATALOG.lines().any(|line| line.starts_with(&row)),
                    "sys.{} has no column {column}",
                    class.view
                );
            }
        }
    }

    /// <https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-external-languages-transact-sql>
    #[test]
    fn name_of_external_language_is_in_column_language() {
        let languages = IN_DATABASE.iter().find(|class| class.number == 34);
        assert_eq!(languages.map(|class| class.name), Some("language"));
    }
}
