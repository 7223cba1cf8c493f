//! Reads the permissions of principals from the catalog.

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::{EngineError, administrator};
use tiberius::Row;

use super::permissions::{Permissions, Right, State};
use crate::quote::identifier;
use crate::scope::{AVAILABILITY_GROUPS, Class, OBJECTS, SCHEMAS, Scope};
use crate::session::{column, nullable_text, text, unexpected};

/// Reads the permissions of principals in one scope.
///
/// An unknown row is an error, because the sync would revoke the privilege of a row that was left
/// out. Only permissions on a securable that one of the principals owns are left out. Its owner has
/// no permission to compare with, so the sync does not change the permissions on it that an
/// administrator has granted to the other principal.
#[derive(Debug)]
pub(crate) struct PermissionReader<'a> {
    scope: Scope<'a>,
    /// The principals in the syntax of a list.
    ids: String,
    permissions: BTreeMap<i32, Permissions>,
    /// The classes of securables on which the principals have permissions, and the number of
    /// permissions on each.
    classes: BTreeMap<i32, (&'static Class, usize)>,
}

impl<'a> PermissionReader<'a> {
    pub(crate) fn new(scope: Scope<'a>, principals: Vec<i32>) -> Self {
        Self {
            scope,
            ids: principals.iter().map(i32::to_string).collect::<Vec<_>>().join(", "),
            permissions: principals.into_iter().map(|id| (id, Permissions::default())).collect(),
            classes: BTreeMap::new(),
        }
    }

    /// Returns the query whose rows [`Self::read`] expects.
    pub(crate) fn query(&self) -> String {
        let scope = self.scope;
        let (sys, view) = (scope.sys(), scope.permissions());
        format!(
            "SELECT CAST(p.grantee_principal_id AS int), CAST(p.state AS nchar(1)), \
             p.permission_name, CAST(p.class AS int), p.class_desc FROM {sys}.{view} p WHERE \
             p.grantee_principal_id IN ({})",
            self.ids
        )
    }

    pub(crate) fn read(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        let mut unknown = BTreeSet::new();
        for row in rows {
            let class: i32 = column(row, 3)?;
            if class == self.scope.own_class() {
                self.insert(row, None, None)?;
            } else if let Some(found) = self.scope.class(class) {
                self.classes.entry(class).or_insert((found, 0)).1 += 1;
            } else {
                unknown.insert(nullable_text(row, 4)?.unwrap_or_else(|| class.to_string()));
            }
        }
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(unsupported(self.scope, &unknown)),
        }
    }

    /// Returns the query for each class of securables, whose rows [`Self::read_classes`] expects.
    pub(crate) fn queries_of_classes(&self) -> Vec<String> {
        let query = |(number, (class, _)): (&i32, &(&Class, usize))| {
            format!(
                "{} WHERE p.class = {number} AND p.grantee_principal_id IN ({})",
                named(self.scope, class),
                self.ids
            )
        };
        self.classes.iter().map(query).collect()
    }

    pub(crate) fn read_classes(
        &mut self,
        results: &mut impl Iterator<Item = Vec<Row>>,
    ) -> Result<(), EngineError> {
        for (class, count) in std::mem::take(&mut self.classes).into_values() {
            let rows = results.next().unwrap_or_default();
            if rows.len() != count {
                return Err(unexpected(&format!(
                    "{} has {count} permissions on securables of class {}, but only {} of them \
                     are visible",
                    self.scope,
                    class.keyword(None),
                    rows.len()
                )));
            }
            for row in rows {
                let owner = nullable_text(&row, 8)?;
                let is_one_of_them = |owner: String| {
                    self.permissions.keys().any(|principal| principal.to_string() == owner)
                };
                if owner.is_some_and(is_one_of_them) {
                    continue;
                }
                let (securable, column) = securable(class, &row)?;
                self.insert(&row, Some(securable), column)?;
            }
        }
        Ok(())
    }

    /// Returns the permissions of a principal, when all rows have been read.
    pub(crate) fn take(&mut self, principal: i32) -> Permissions {
        self.permissions.remove(&principal).unwrap_or_default()
    }

    fn insert(
        &mut self,
        row: &Row,
        securable: Option<String>,
        column_name: Option<String>,
    ) -> Result<(), EngineError> {
        let state = State::of(column(row, 1)?)
            .ok_or_else(|| unexpected("the state of a permission is unknown"))?;
        let right = Right { securable, column: column_name, permission: text(row, 2)? };
        let principal = self
            .permissions
            .get_mut(&column(row, 0)?)
            .ok_or_else(|| unexpected("a permission belongs to another principal"))?;
        principal.insert(right, state);
        Ok(())
    }
}

/// Creates the error for permissions on classes of securables that the sync does not know, such as
/// those of a new release.
fn unsupported(scope: Scope<'_>, classes: &BTreeSet<String>) -> EngineError {
    let classes = classes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    EngineError::NeedsDecision {
        what: format!(
            "in {scope}, one of the users has permissions on securables of a class that the sync \
             does not support: {classes}"
        ),
        remedy: administrator(
            "create a role, grant these permissions to it, add the base user to it, and revoke \
             the permissions from both users: the sync copies memberships in roles",
        ),
    }
}

/// Returns the query for the permissions of a class, with the names of the securables.
fn named(scope: Scope<'_>, class: &Class) -> String {
    const NONE: &str = "CAST(NULL AS nvarchar(128))";
    let (sys, view) = (scope.sys(), scope.permissions());
    let about = match class.number {
        AVAILABILITY_GROUPS => format!(
            "{sys}.availability_replicas r ON r.replica_metadata_id = p.major_id \
             JOIN {sys}.{} x ON x.{} = r.group_id",
            class.view, class.id
        ),
        _ => format!("{sys}.{} x ON x.{} = p.major_id", class.view, class.id),
    };
    let (schema, of_schema) = match class.in_schema {
        true => ("s.name", format!(" JOIN {sys}.schemas s ON s.schema_id = x.schema_id")),
        false => (NONE, String::new()),
    };
    let (column, of_column) = match class.number {
        OBJECTS => (
            "c.name",
            format!(
                " LEFT JOIN {sys}.all_columns c ON c.object_id = p.major_id AND c.column_id = \
                 p.minor_id AND p.minor_id > 0"
            ),
        ),
        _ => (NONE, String::new()),
    };
    let kind = if class.is_of_principals() { "x.type" } else { NONE };
    let owner = match class.number {
        OBJECTS => "COALESCE(x.principal_id, s.principal_id)",
        SCHEMAS => "x.principal_id",
        _ if class.in_schema => "s.principal_id",
        _ if class.is_of_principals() => "x.owning_principal_id",
        _ => "NULL",
    };
    format!(
        "SELECT CAST(p.grantee_principal_id AS int), CAST(p.state AS nchar(1)), p.permission_name, \
         CAST(p.minor_id AS int), x.{}, {schema}, {column}, {kind}, CAST({owner} AS \
         nvarchar(12)) FROM {sys}.{view} p JOIN {about}{of_schema}{of_column}",
        class.name
    )
}

fn securable(class: &Class, row: &Row) -> Result<(String, Option<String>), EngineError> {
    let (minor, name) = (column::<i32>(row, 3)?, text(row, 4)?);
    let (schema, column, kind) =
        (nullable_text(row, 5)?, nullable_text(row, 6)?, nullable_text(row, 7)?);
    if class.number == OBJECTS && (minor != 0) != column.is_some() {
        return Err(unexpected("the column of a permission is not visible"));
    }
    let name = match schema {
        Some(schema) => format!("{}.{}", identifier(&schema), identifier(&name)),
        None => identifier(&name),
    };
    Ok((format!("{}::{name}", class.keyword(kind.as_deref())), column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_classes_are_named_with_remedy() {
        let classes = ["EXTERNAL_MODEL", "EXTERNAL_LIBRARY"].map(str::to_owned).into();
        let EngineError::NeedsDecision { what, remedy } =
            unsupported(Scope::Database("shop"), &classes)
        else {
            panic!("another error")
        };
        assert!(what.contains("database shop"), "{what}");
        assert!(what.ends_with("not support: EXTERNAL_LIBRARY, EXTERNAL_MODEL"), "{what}");
        assert!(remedy.contains("create a role"), "{remedy}");
    }
}
