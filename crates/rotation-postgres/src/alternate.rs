//! The alternate role, kept in step with its base role.
//!
//! It has nothing of its own. It is a member of the base role and acts as it from the first statement
//! (`ALTER ROLE alternate SET role = base`), so every privilege, row policy, default privilege, user mapping and
//! ownership of the base role counts for it, now and later, and whatever it creates belongs to the base role. What
//! PostgreSQL looks up under the name that logged in (attributes, settings) is copied.
//!
//! All of it, with the password, is one transaction: a rotation that dies leaves the role as it was.

use rotation_database::{Copied, EngineError, UserCopy, UserPair, administrator};
use sqlx::Row;

use crate::attributes::{self, Attributes};
use crate::failure::failure;
use crate::md5;
use crate::quote::identifier;
use crate::role_settings;
use crate::session::Session;

/// The first version where CREATEROLE alone administers no role: that takes ADMIN OPTION on it.
pub(crate) const ADMIN_OPTION_COUNTS: u32 = 160_000;

pub(crate) async fn bring_in_step(session: &mut Session, copy: &UserCopy<'_>) -> Result<Copied, EngineError> {
    let encryption = session.begin().await?;
    let mut step = Step { session, copy, copied: Copied::default() };
    step.role().await?;
    let remedy = step.administer(copy.turn);
    step.session.set_password(copy.turn, copy.password, encryption, &remedy).await?;
    let copied = step.copied;
    session.commit().await?;
    md5::keep_usable(session, copy.turn, copy.password, encryption, &remedy).await?;
    Ok(copied)
}

/// Whether a session of the alternate role acts as the base role, or as whom that acts. A `role` setting that fails
/// at login is only a warning to the server.
pub(crate) async fn stands_in(session: &mut Session, pair: &UserPair) -> Result<(), EngineError> {
    const QUERY: &str = "SELECT session_user = $1 OR (current_user <> session_user \
        AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')), session_user::text, current_user::text \
        FROM pg_catalog.pg_roles r WHERE r.rolname::text = $1";
    const DOING: &str = "see whom the session acts as";
    let rows = session.rows(DOING, QUERY, &[&pair.base]).await?;
    let row = rows.first().ok_or_else(|| EngineError::NoSuchUser { user: pair.base.clone() })?;
    let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    let (fine, login, acts_as): (bool, String, String) =
        read().map_err(|error| failure(&error, DOING, ""))?;
    if fine {
        return Ok(());
    }
    Err(EngineError::NeedsDecision {
        what: format!("{login} logs in, but acts as {acts_as} instead of {}", pair.base),
        remedy: format!(
            "As an administrator of the database: GRANT {0} TO {1}; ALTER ROLE {1} SET role = {0}. Then let the \
             rotation be repeated.",
            identifier(&pair.base),
            identifier(&pair.alternate)
        ),
    })
}

struct Step<'a> {
    session: &'a mut Session,
    copy: &'a UserCopy<'a>,
    copied: Copied,
}

impl Step<'_> {
    async fn role(&mut self) -> Result<(), EngineError> {
        let copy = self.copy;
        let rows =
            self.session.rows("read the roles", attributes::QUERY, &[copy.base, copy.alternate]).await?;
        let mut base = None;
        let mut alternate = None;
        for row in &rows {
            let (name, attributes) = Attributes::read(row)?;
            if name == copy.base { base = Some(attributes) } else { alternate = Some(attributes) }
        }
        let base = base.ok_or_else(|| EngineError::NoSuchUser { user: copy.base.to_owned() })?;
        if base.expired {
            return Err(EngineError::AccountExpired {
                said: format!("VALID UNTIL of role {} has passed", copy.base),
                remedy: format!(
                    "As an administrator of the database: ALTER ROLE {} VALID UNTIL 'infinity'.",
                    identifier(copy.base)
                ),
            });
        }
        if alternate.is_none() && !copy.is_alternates_turn() {
            return Ok(());
        }
        if alternate.is_some() {
            self.belongs_together().await?;
        }
        self.attributes(alternate, &base.for_alternate()).await?;
        self.membership().await?;
        self.ownership().await?;
        self.settings().await
    }

    /// Two roles whose names happen to look like a pair are not one: nothing of either may be touched.
    async fn belongs_together(&mut self) -> Result<(), EngineError> {
        const QUERY: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_auth_members m \
            JOIN pg_catalog.pg_roles b ON b.oid = m.roleid AND b.rolname::text = $1 \
            JOIN pg_catalog.pg_roles a ON a.oid = m.member AND a.rolname::text = $2)";
        const DOING: &str = "see whether the two roles belong together";
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let rows = self.session.rows(DOING, QUERY, &[base, alternate]).await?;
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

    async fn attributes(&mut self, has: Option<Attributes>, wanted: &Attributes) -> Result<(), EngineError> {
        let alternate = self.copy.alternate;
        let name = identifier(alternate);
        let created = has.is_none();
        let options = has.unwrap_or_else(Attributes::of_a_new_role).options_to_become(wanted);
        if created {
            let statement = format!("CREATE ROLE {name} {}", options.join(" "));
            let remedy = self.creation(&options, &statement);
            self.session.run_or(&format!("create role {alternate}"), &statement, &remedy).await?;
            self.copied.created = true;
        } else if !options.is_empty() {
            let statement = format!("ALTER ROLE {name} {}", options.join(" "));
            let remedy = self.administer(alternate);
            self.session
                .run_or(&format!("change the attributes of role {alternate}"), &statement, &remedy)
                .await?;
            self.copied.changes.push(format!("attributes: {}", options.join(" ")));
        }
        Ok(())
    }

    /// A member of the base role, and of no role that the base role is not a member of.
    async fn membership(&mut self) -> Result<(), EngineError> {
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
        let with_options = self.session.version() >= ADMIN_OPTION_COUNTS;
        let rows = self.session.rows(DOING, QUERY, &[base, alternate]).await?;
        let mut is_member = false;
        for row in rows {
            let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
            let (role, grantor, whole, shared): (String, Option<String>, bool, bool) =
                read().map_err(|error| failure(&error, DOING, ""))?;
            if role == base {
                is_member |= whole;
            } else if !shared {
                let by = match grantor {
                    Some(grantor) if with_options => format!(" GRANTED BY {}", identifier(&grantor)),
                    _ => String::new(),
                };
                let statement = format!("REVOKE {} FROM {}{by}", identifier(&role), identifier(alternate));
                let remedy = administrator(&statement);
                let doing = format!("take role {role} from {alternate}, which {base} does not have");
                self.session.run_or(&doing, &statement, &remedy).await?;
                self.copied.changes.push(format!("no longer a member of {role}"));
            }
        }
        if !is_member {
            let options = if with_options { " WITH INHERIT TRUE, SET TRUE" } else { "" };
            let statement = format!("GRANT {} TO {}{options}", identifier(base), identifier(alternate));
            let remedy = self.administer(base);
            self.session.run_or(&format!("grant role {base} to {alternate}"), &statement, &remedy).await?;
            self.copied.changes.push(format!("member of {base}"));
        }
        Ok(())
    }

    /// What an alternate role owns from the time before it acted as the base role goes to the base role: otherwise
    /// its own sessions, which now act as the base role, could no longer use it.
    async fn ownership(&mut self) -> Result<(), EngineError> {
        const QUERY: &str = "SELECT coalesce(d.datname::text, ''), s.dbid = 0 OR d.datname = current_database(), \
            s.deptype = 'o' FROM pg_catalog.pg_shdepend s \
            JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid AND r.rolname::text = $1 \
            LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
            WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.deptype IN ('o', 'a') GROUP BY 1, 2, 3";
        const DOING: &str = "look for what the alternate role owns";
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let (base_name, name) = (identifier(base), identifier(alternate));
        let mut elsewhere = Vec::new();
        let mut owns_here = false;
        for row in self.session.rows(DOING, QUERY, &[alternate]).await? {
            let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
            let (database, here, owned): (String, bool, bool) =
                read().map_err(|error| failure(&error, DOING, ""))?;
            match (owned, here) {
                (true, true) => owns_here = true,
                (true, false) => elsewhere.push(database),
                (false, _) => self.copied.notes.push(format!(
                    "{alternate} has privileges of its own{}. They count only after SET ROLE NONE; \
                     DROP OWNED BY {name} there would take them away.",
                    if database.is_empty() { String::new() } else { format!(" in database {database}") }
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
            let statement = format!("REASSIGN OWNED BY {name} TO {base_name}");
            let master = identifier(self.copy.master);
            let remedy = format!(
                "As an administrator, in the secret's database: {statement}. Or let the master do it: \
                 GRANT {name}, {base_name} TO {master}."
            );
            let doing = format!("give what {alternate} owns to {base}");
            self.session.run_or(&doing, &statement, &remedy).await?;
            self.copied.changes.push(format!("what it owned belongs to {base} now"));
        }
        Ok(())
    }

    async fn settings(&mut self) -> Result<(), EngineError> {
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let doing = "read the settings of the roles";
        let rows = self.session.rows(doing, role_settings::QUERY, &[base, alternate]).await?;
        let mut roles = role_settings::read(&rows)?;
        let wanted = role_settings::for_alternate(base, &roles.remove(base).unwrap_or_default());
        let has = roles.remove(alternate).unwrap_or_default();
        for change in role_settings::changes(&has, &wanted) {
            let statement = format!("ALTER ROLE {} {}", identifier(alternate), change.clause);
            let remedy = format!(
                "As a superuser: GRANT SET ON PARAMETER {} TO {} (PostgreSQL 15 and later), or {statement}. {}",
                identifier(&change.name),
                identifier(self.copy.master),
                self.administer(alternate),
            );
            let doing = format!("copy the setting {} to {alternate}", change.name);
            self.session.run_or(&doing, &statement, &remedy).await?;
            self.copied.changes.push(format!("setting {}", change.name));
        }
        Ok(())
    }

    /// What lets the master create the alternate role. Some attributes can only be given by who has them, and before
    /// PostgreSQL 16 only by a superuser.
    fn creation(&self, options: &[String], statement: &str) -> String {
        let master = identifier(self.copy.master);
        let own = |option: &&String| ["CREATEDB", "REPLICATION", "BYPASSRLS"].contains(&option.as_str());
        let by_superuser = |option: &String| match option.as_str() {
            "SUPERUSER" => true,
            "REPLICATION" | "BYPASSRLS" => self.session.version() < ADMIN_OPTION_COUNTS,
            _ => false,
        };
        if options.iter().any(by_superuser) {
            return format!(
                "As a superuser of the database: {statement}; GRANT {} TO {}.",
                identifier(self.copy.base),
                identifier(self.copy.alternate)
            );
        }
        let list: String = options.iter().filter(own).map(|option| format!(" {option}")).collect();
        format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE{list}.")
    }

    fn administer(&self, role: &str) -> String {
        administer(self.session, self.copy.master, role)
    }
}

/// What lets a master administer a role.
pub(crate) fn administer(session: &Session, master: &str, role: &str) -> String {
    let master = identifier(master);
    let mut remedy = format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE");
    if session.version() >= ADMIN_OPTION_COUNTS {
        remedy.push_str(&format!("; GRANT {} TO {master} WITH ADMIN OPTION", identifier(role)));
    }
    remedy.push_str(". (A role with SUPERUSER takes a master that is a superuser.)");
    remedy
}
