//! Reads the roles, permissions and objects of two principals, in many scopes with few round trips.

use std::collections::BTreeSet;

use rotation_database::EngineError;
use tiberius::Row;

use super::permission_rows::PermissionReader;
use super::permissions::Permissions;
use super::state::UserState;
use crate::scope::Scope;
use crate::session::{Session, column, flag, text, unexpected};

/// The number of scopes that are read in one round trip. A request then has about 50 KB.
const SCOPES_PER_REQUEST: usize = 50;

/// Two principals in a scope.
#[derive(Debug)]
pub(crate) struct Principals<'a> {
    pub(crate) scope: Scope<'a>,
    /// The ID of the base principal.
    pub(crate) base: i32,
    /// The ID of the alternate principal, if it exists.
    pub(crate) alternate: Option<i32>,
    /// The name of the alternate principal.
    pub(crate) name: &'a str,
}

/// The roles and permissions of two principals in one scope, and what they own.
#[derive(Debug)]
pub(crate) struct Rights {
    /// The name of the alternate principal in this scope.
    pub(crate) alternate: String,
    pub(crate) base_roles: Roles,
    pub(crate) alternate_roles: Roles,
    pub(crate) base_permissions: Permissions,
    pub(crate) alternate_permissions: Permissions,
    /// The objects that the base user owns in a database, each as a kind and a name.
    pub(crate) owned_by_base: Vec<String>,
    /// The objects that the alternate user owns.
    pub(crate) owned_by_alternate: Vec<String>,
}

/// The names of roles, each with `true` if it is a fixed role.
pub(crate) type Roles = BTreeSet<(String, bool)>;

/// Reads the rights of the principals in each scope.
pub(super) async fn read(
    session: &mut Session,
    principals: &[Principals<'_>],
) -> Result<Vec<Rights>, EngineError> {
    let mut rights = Vec::new();
    for several in principals.chunks(SCOPES_PER_REQUEST) {
        rights.extend(read_at_once(session, several).await?);
    }
    Ok(rights)
}

/// Reads the rights in several scopes in two round trips.
async fn read_at_once(
    session: &mut Session,
    principals: &[Principals<'_>],
) -> Result<Vec<Rights>, EngineError> {
    let action = match principals {
        [only] => format!("read the roles and permissions in {}", only.scope),
        many => format!("read the roles and permissions in {} databases", many.len()),
    };
    let mut readers: Vec<_> = principals
        .iter()
        .map(|pair| PermissionReader::new(pair.scope, pair.ids().collect()))
        .collect();
    let queries = principals
        .iter()
        .zip(&readers)
        .flat_map(|(pair, reader)| [Some(pair.roles()), pair.owned(), Some(reader.query())]);
    let mut results = answers(session, &action, queries.flatten().collect()).await?;
    let mut roles_and_owned = Vec::new();
    for (pair, reader) in principals.iter().zip(&mut readers) {
        let mut next = || results.next().unwrap_or_default();
        let roles = pair.read_roles(&next())?;
        let owned = match pair.scope {
            Scope::Server => Default::default(),
            Scope::Database(_) => pair.read_owned(&next())?,
        };
        reader.read(&next())?;
        roles_and_owned.push((roles, owned));
    }
    let queries = readers.iter().flat_map(PermissionReader::queries_of_classes).collect();
    let mut results = answers(session, &action, queries).await?;
    let mut all_rights = Vec::new();
    for ((pair, mut reader), (roles, owned)) in principals.iter().zip(readers).zip(roles_and_owned)
    {
        reader.read_classes(&mut results)?;
        let (base_roles, alternate_roles) = roles;
        let (owned_by_base, owned_by_alternate) = owned;
        all_rights.push(Rights {
            alternate: pair.name.to_owned(),
            base_roles,
            alternate_roles,
            base_permissions: reader.take(pair.base),
            alternate_permissions: pair.alternate.map(|id| reader.take(id)).unwrap_or_default(),
            owned_by_base,
            owned_by_alternate,
        });
    }
    Ok(all_rights)
}

/// Returns the rows of each query.
async fn answers(
    session: &mut Session,
    action: &str,
    queries: Vec<String>,
) -> Result<std::vec::IntoIter<Vec<Row>>, EngineError> {
    if queries.is_empty() {
        return Ok(Vec::new().into_iter());
    }
    let results = session.results(action, &queries.join("; "), &[]).await?;
    match results.len() == queries.len() {
        true => Ok(results.into_iter()),
        false => Err(unexpected("the server did not return a result for every query")),
    }
}

impl<'a> Principals<'a> {
    /// Returns both users of a database.
    pub(crate) fn of(scope: Scope<'a>, base: &UserState, alternate: &'a UserState) -> Self {
        Self { scope, base: base.id, alternate: Some(alternate.id), name: &alternate.name }
    }

    fn ids(&self) -> impl Iterator<Item = i32> {
        [self.base].into_iter().chain(self.alternate)
    }

    /// Returns the IDs in the syntax of a list.
    fn id_list(&self) -> String {
        self.ids().map(|id| id.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Returns the query for the roles that contain a principal.
    fn roles(&self) -> String {
        let scope = self.scope;
        format!(
            "SELECT CAST(m.member_principal_id AS int), r.name, CAST(r.is_fixed_role AS int) FROM \
             {sys}.{} m JOIN {sys}.{} r ON r.principal_id = m.role_principal_id WHERE \
             m.member_principal_id IN ({})",
            scope.role_members(),
            scope.principals(),
            self.id_list(),
            sys = scope.sys(),
        )
    }

    fn read_roles(&self, rows: &[Row]) -> Result<(Roles, Roles), EngineError> {
        let (mut of_base, mut of_alternate) = (Roles::new(), Roles::new());
        for row in rows {
            let is_base = column::<i32>(row, 0)? == self.base;
            let roles = if is_base { &mut of_base } else { &mut of_alternate };
            roles.insert((text(row, 1)?, flag(row, 2)?));
        }
        Ok((of_base, of_alternate))
    }

    /// Returns the query for the objects that a principal owns in a database.
    fn owned(&self) -> Option<String> {
        let (sys, ids) = (self.scope.sys(), format!("IN ({})", self.id_list()));
        (self.scope != Scope::Server).then(|| {
            format!(
                "SELECT N'schema', s.name, CAST(s.principal_id AS int) FROM {sys}.schemas s WHERE \
                 s.principal_id {ids} UNION ALL SELECT N'role', r.name, \
                 CAST(r.owning_principal_id AS int) FROM {sys}.database_principals r WHERE \
                 r.owning_principal_id {ids} UNION ALL SELECT N'object', o.name, \
                 CAST(o.principal_id AS int) FROM {sys}.objects o WHERE o.principal_id {ids}"
            )
        })
    }

    fn read_owned(&self, rows: &[Row]) -> Result<(Vec<String>, Vec<String>), EngineError> {
        let (mut by_base, mut by_alternate) = (Vec::new(), Vec::new());
        for row in rows {
            let is_base = column::<i32>(row, 2)? == self.base;
            let owned = if is_base { &mut by_base } else { &mut by_alternate };
            owned.push(format!("{} {}", text(row, 0)?, text(row, 1)?));
        }
        Ok((by_base, by_alternate))
    }
}
