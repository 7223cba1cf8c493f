//! What ties the alternate role to its base role: membership, and what it owns.

use rotation_database::{EngineError, administrator};
use sqlx::Row;

use crate::alternate::{ADMIN_OPTION_COUNTS, Step};
use crate::failure::failure;
use crate::quote::identifier;

impl Step<'_> {
    /// Two roles whose names happen to look like a pair are not one: nothing of either may be
    /// touched.
    pub(crate) async fn belongs_together(&mut self) -> Result<(), EngineError> {
        const QUERY: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_auth_members m \
            JOIN pg_catalog.pg_roles b ON b.oid = m.roleid AND b.rolname::text = $1 \
            JOIN pg_catalog.pg_roles a ON a.oid = m.member AND a.rolname::text = $2)";
        const DOING: &str = "see whether the two roles belong together";
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let rows = self.transaction.rows(DOING, QUERY, &[base, alternate]).await?;
        let is_member = rows.first().map_or(Ok(false), |row| row.try_get(0));
        if is_member.map_err(|error| failure(&error, DOING, ""))? {
            return Ok(());
        }
        Err(EngineError::NeedsDecision {
            what: format!(
                "there are roles {base} and {alternate}, and {alternate} is no member of {base}: they may belong to \
                 different people"
            ),
            remedy: format!(
                "If {alternate} is meant to be the second user of {base}, confirm it as an administrator of the \
                 database: GRANT {} TO {}. Otherwise rename one of them.",
                identifier(base),
                identifier(alternate)
            ),
        })
    }

    /// A member of the base role, and of no role that the base role is not a member of.
    pub(crate) async fn membership(&mut self) -> Result<(), EngineError> {
        const QUERY: &str = "SELECT g.rolname::text, grantor.rolname::text, \
            coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true) \
                AND coalesce((to_jsonb(m) ->> 'set_option')::bool, true) AS whole, \
            pg_catalog.pg_has_role(b.oid, g.oid, 'MEMBER') AS shared \
            FROM pg_catalog.pg_auth_members m \
            JOIN pg_catalog.pg_roles a ON a.oid = m.member AND a.rolname::text = $2 \
            JOIN pg_catalog.pg_roles b ON b.rolname::text = $1 \
            JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
            LEFT JOIN pg_catalog.pg_roles grantor ON grantor.oid = m.grantor";
        const DOING: &str = "read the memberships of the roles";
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let with_options = self.transaction.version() >= ADMIN_OPTION_COUNTS;
        let rows = self.transaction.rows(DOING, QUERY, &[base, alternate]).await?;
        let mut is_member = false;
        for row in rows {
            let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
            let (role, grantor, whole, shared): (String, Option<String>, bool, bool) =
                read().map_err(|error| failure(&error, DOING, ""))?;
            if role == base {
                is_member |= whole;
            } else if !shared {
                let by = match grantor {
                    Some(grantor) if with_options => {
                        format!(" GRANTED BY {}", identifier(&grantor))
                    }
                    _ => String::new(),
                };
                let statement =
                    format!("REVOKE {} FROM {}{by}", identifier(&role), identifier(alternate));
                let remedy = administrator(&statement);
                let doing =
                    format!("take role {role} from {alternate}, which {base} does not have");
                self.change(format!("no longer a member of {role}"), &doing, &statement, &remedy)
                    .await?;
            }
        }
        if !is_member {
            let options = if with_options { " WITH INHERIT TRUE, SET TRUE" } else { "" };
            let statement =
                format!("GRANT {} TO {}{options}", identifier(base), identifier(alternate));
            let remedy = self.administer(base);
            let doing = format!("grant role {base} to {alternate}");
            self.change(format!("member of {base}"), &doing, &statement, &remedy).await?;
        }
        Ok(())
    }

    /// What an alternate role owns from the time before it acted as the base role goes to the base
    /// role: otherwise its own sessions, which now act as the base role, could no longer use it.
    ///
    /// Default privileges and user mappings are not among it. `REASSIGN OWNED` leaves them as they
    /// are, and they do not count while the role acts as the base role.
    pub(crate) async fn ownership(&mut self) -> Result<(), EngineError> {
        const QUERY: &str = "SELECT coalesce(d.datname::text, ''), s.dbid = 0 OR d.datname = current_database(), \
            s.deptype = 'o' FROM pg_catalog.pg_shdepend s \
            JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid AND r.rolname::text = $1 \
            LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
            WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.deptype IN ('o', 'a') \
            AND s.classid NOT IN ('pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_user_mapping'::regclass) \
            GROUP BY 1, 2, 3";
        const DOING: &str = "look for what the alternate role owns";
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let (base_name, name) = (identifier(base), identifier(alternate));
        let mut elsewhere = Vec::new();
        let mut owns_here = false;
        for row in self.transaction.rows(DOING, QUERY, &[alternate]).await? {
            let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
            let (database, here, owned): (String, bool, bool) =
                read().map_err(|error| failure(&error, DOING, ""))?;
            match (owned, here) {
                (true, true) => owns_here = true,
                (true, false) => elsewhere.push(database),
                (false, _) => self.copied.notes.push(format!(
                    "{alternate} has privileges of its own{}. They count only after SET ROLE NONE; \
                     DROP OWNED BY {name} there would take them away.",
                    if database.is_empty() {
                        String::new()
                    } else {
                        format!(" in database {database}")
                    }
                )),
            }
        }
        if !elsewhere.is_empty() {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "{alternate} owns objects in {}, which {base} could not use after this rotation",
                    elsewhere.join(", ")
                ),
                remedy: format!(
                    "As an administrator, in each of these databases: REASSIGN OWNED BY {name} TO {base_name}."
                ),
            });
        }
        if owns_here {
            let (doing, statement, remedy) = self.reassignment();
            let what = format!("what it owned belongs to {base} now");
            self.change(what, &doing, &statement, &remedy).await?;
            self.reassigns = true;
        }
        Ok(())
    }

    /// What is done to give away what the alternate role owns, the statement, and what lets the
    /// master run it.
    fn reassignment(&self) -> (String, String, String) {
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let (base_name, name) = (identifier(base), identifier(alternate));
        let statement = format!("REASSIGN OWNED BY {name} TO {base_name}");
        // A master that has created a role is a member of it already, without its privileges.
        let options = match self.transaction.version() >= ADMIN_OPTION_COUNTS {
            true => " WITH INHERIT TRUE",
            false => "",
        };
        let remedy = format!(
            "As an administrator, in the secret's database: {statement}. Or let the master do it: \
             GRANT {name}, {base_name} TO {}{options}.",
            identifier(self.copy.master)
        );
        (format!("give what {alternate} owns to {base}"), statement, remedy)
    }

    /// What the master lacks to give away what the alternate role owns: the privileges of both
    /// roles.
    pub(crate) async fn lacks_for_reassignment(
        &mut self,
    ) -> Result<Option<EngineError>, EngineError> {
        const QUERY: &str = "SELECT bool_and(pg_catalog.pg_has_role(session_user, r.oid, 'USAGE')) \
            FROM pg_catalog.pg_roles r WHERE r.rolname::text IN ($1, $2)";
        const DOING: &str = "see whether the master has the privileges of both roles";
        if !self.reassigns {
            return Ok(None);
        }
        let rows =
            self.transaction.rows(DOING, QUERY, &[self.copy.base, self.copy.alternate]).await?;
        let may = rows.first().map_or(Ok(false), |row| row.try_get(0));
        if may.map_err(|error| failure(&error, DOING, ""))? {
            return Ok(None);
        }
        let (doing, _, remedy) = self.reassignment();
        Ok(Some(EngineError::lacks(doing, self.copy.master, "membership in both roles", remedy)))
    }
}
