//! The alternate user in one database.

use rotation_database::{EngineError, administrator};
use tiberius::Row;

use crate::alternate::Step;
use crate::databases::Users;
use crate::principal::BY_SERVER;
use crate::quote::identifier;
use crate::rights::Ids;
use crate::scope::Scope;
use crate::session::{column, nullable, nullable_text, text, unexpected};

/// A user of a database.
#[derive(Debug, Clone)]
pub(crate) struct UserState {
    pub(crate) name: String,
    pub(crate) id: i32,
    pub(crate) sid: Vec<u8>,
    pub(crate) schema: Option<String>,
    /// Of contained users only.
    pub(crate) language: Option<String>,
    /// `true` if it is a user of a login, and no role or something else.
    pub(crate) is_of_a_login: bool,
}

/// Reads a user whose columns begin at `first`: name, id, identifier, schema, language, type,
/// authentication.
pub(crate) fn user(row: &Row, first: usize) -> Result<UserState, EngineError> {
    Ok(UserState {
        name: text(row, first)?,
        id: column(row, first + 1)?,
        sid: nullable::<&[u8]>(row, first + 2)?.unwrap_or_default().to_vec(),
        schema: nullable_text(row, first + 3)?,
        language: nullable_text(row, first + 4)?,
        is_of_a_login: text(row, first + 5)?.trim_end() == "S"
            && column::<i32>(row, first + 6)? == BY_SERVER,
    })
}

/// The user that the owner of a database is there.
pub(crate) const DBO: &str = "dbo";

impl Step<'_> {
    /// Brings the alternate login's user in a database in step.
    pub(crate) async fn in_database(
        &mut self,
        database: &str,
        users: Users,
    ) -> Result<(), EngineError> {
        let scope = Scope::Database(database);
        let Users { base, alternate, namesake } = users;
        let (base, alternate) = match (base, alternate) {
            (_, Some(alternate)) if alternate.name.eq_ignore_ascii_case(DBO) => {
                self.copied
                    .notes
                    .push(format!("{} owns {scope}, so it may do all there.", self.copy.alternate));
                return Ok(());
            }
            (Some(base), Some(alternate)) => (base, alternate),
            (Some(_), None) if self.dry_run => {
                return self.tell_missing(scope).await;
            }
            (Some(base), None) => {
                let alternate = self.make_user(database, &base, namesake).await?;
                (base, alternate)
            }
            (None, Some(alternate)) => return self.drop_user(scope, &alternate).await,
            (None, None) => return Ok(()),
        };
        self.user_in_step(scope, &base, &alternate).await
    }

    /// Brings one user in step with another.
    pub(crate) async fn user_in_step(
        &mut self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        self.attributes_in_step(scope, base, alternate).await?;
        let ids = Ids { base: base.id, alternate: alternate.id };
        self.rights_in_step(scope, ids, &alternate.name).await?;
        self.report_ownership(scope, base, alternate).await
    }

    /// What the base user has that an alternate one has not: default schema, and for contained
    /// users the language.
    async fn attributes_in_step(
        &mut self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        let mut clauses = Vec::new();
        if let Some(schema) = base.schema.as_deref().filter(|_| base.schema != alternate.schema) {
            clauses.push(format!("DEFAULT_SCHEMA = {}", identifier(schema)));
        }
        if base.language != alternate.language {
            let language = base.language.as_deref().map_or_else(|| "NONE".to_owned(), identifier);
            clauses.push(format!("DEFAULT_LANGUAGE = {language}"));
        }
        if clauses.is_empty() {
            return Ok(());
        }
        let statement =
            format!("ALTER USER {} WITH {}", identifier(&alternate.name), clauses.join(", "));
        self.change_user(scope, &statement).await
    }

    async fn make_user(
        &mut self,
        database: &str,
        base: &UserState,
        namesake: Option<UserState>,
    ) -> Result<UserState, EngineError> {
        let scope = Scope::Database(database);
        let name = identifier(self.copy.alternate);
        let statement = match namesake {
            // Its login is gone, as after a database was restored on another server: nobody logs in
            // as it.
            Some(orphan) if orphan.is_of_a_login && self.is_orphan(&orphan).await? => {
                format!("ALTER USER {name} WITH LOGIN = {name}")
            }
            Some(namesake) => {
                return Err(EngineError::NeedsDecision {
                    what: format!(
                        "in {scope} there is a user or role {} that is not of that login",
                        namesake.name
                    ),
                    remedy: administrator(&format!(
                        "{}ALTER USER {name} WITH NAME = another name (a role: ALTER ROLE {name} WITH NAME), or drop it",
                        scope.enter()
                    )),
                });
            }
            None => {
                let schema = base
                    .schema
                    .as_deref()
                    .map(|schema| format!(" WITH DEFAULT_SCHEMA = {}", identifier(schema)));
                format!("CREATE USER {name} FOR LOGIN {name}{}", schema.unwrap_or_default())
            }
        };
        self.change_user(scope, &statement).await?;
        self.user_now(scope, self.copy.alternate)
            .await?
            .ok_or_else(|| unexpected("the user that was made is not there"))
    }

    pub(crate) async fn change_user(
        &mut self,
        scope: Scope<'_>,
        statement: &str,
    ) -> Result<(), EngineError> {
        let remedy = self.make_owner(scope);
        self.change(scope, statement, &remedy).await
    }

    /// The base user has left this database, so its alternate does: when nobody is logged in as it.
    async fn drop_user(
        &mut self,
        scope: Scope<'_>,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        let statement = format!("DROP USER {}", identifier(&alternate.name));
        if !self.copy.is_alternates_turn() {
            self.copied.defer(&alternate.name, format!("{statement} in {scope}"));
            return Ok(());
        }
        self.change_user(scope, &statement).await
    }

    async fn is_orphan(&mut self, user: &UserState) -> Result<bool, EngineError> {
        let query = format!(
            "SELECT l.name FROM [master].sys.server_principals l WHERE l.sid = {}",
            crate::quote::binary(&user.sid)
        );
        Ok(self.session.rows("look for the login of a user", &query, &[]).await?.is_empty())
    }

    /// A user of a database by its name.
    pub(crate) async fn user_now(
        &mut self,
        scope: Scope<'_>,
        name: &str,
    ) -> Result<Option<UserState>, EngineError> {
        let query = format!(
            "SELECT p.name, CAST(p.principal_id AS int), p.sid, p.default_schema_name, p.default_language_name, \
             p.type, CAST(p.authentication_type AS int) FROM {}.database_principals p WHERE p.name = @P1 AND p.type = 'S'",
            scope.sys()
        );
        let rows =
            self.session.rows(&format!("look for {name} in {scope}"), &query, &[name]).await?;
        rows.first().map(|row| user(row, 0)).transpose()
    }

    /// What belongs to one of the two stays with it; a person must know that the other has no part
    /// in it.
    async fn report_ownership(
        &mut self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        if base.name.eq_ignore_ascii_case(DBO) {
            self.copied.notes.push(format!(
                "{} owns {scope}; {} is in db_owner there.",
                self.copy.base, self.copy.alternate
            ));
        }
        let (sys, ids) = (scope.sys(), format!("IN ({}, {})", base.id, alternate.id));
        let query = format!(
            "SELECT N'schema', s.name, CAST(s.principal_id AS int) FROM {sys}.schemas s WHERE s.principal_id {ids} \
             UNION ALL SELECT N'role', r.name, CAST(r.owning_principal_id AS int) FROM {sys}.database_principals r \
             WHERE r.owning_principal_id {ids} \
             UNION ALL SELECT N'object', o.name, CAST(o.principal_id AS int) FROM {sys}.objects o WHERE o.principal_id {ids}"
        );
        let (mut of_base, mut of_alternate) = (Vec::new(), Vec::new());
        for row in self.session.rows(&format!("read what is owned in {scope}"), &query, &[]).await?
        {
            let owned =
                if column::<i32>(&row, 2)? == base.id { &mut of_base } else { &mut of_alternate };
            owned.push(format!("{} {}", text(&row, 0)?, text(&row, 1)?));
        }
        if !of_base.is_empty() && !base.name.eq_ignore_ascii_case(DBO) {
            self.copied.notes.push(format!(
                "In {scope}, {} owns {}: {} does not, and has only what was granted.",
                base.name,
                of_base.join(", "),
                alternate.name
            ));
        }
        if !of_alternate.is_empty() {
            self.copied.notes.push(format!(
                "In {scope}, {} owns {}: {} does not (ALTER AUTHORIZATION ON SCHEMA::… TO {} changes that).",
                alternate.name,
                of_alternate.join(", "),
                base.name,
                identifier(&base.name)
            ));
        }
        Ok(())
    }
}
