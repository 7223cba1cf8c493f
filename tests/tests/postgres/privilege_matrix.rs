//! The matrix of PostgreSQL's privileges: one case for each kind of privilege that a user can have.

/// A kind of privilege. `{u}` is the base user, `{t}` a tag that is unique to the test.
pub(crate) struct May {
    pub(crate) what: &'static str,
    /// The statement with which a superuser grants the privilege.
    pub(crate) allow: &'static str,
    /// The statement with which a superuser revokes the privilege.
    pub(crate) revoke: &'static str,
    /// The statement that needs the privilege. It fails without it.
    pub(crate) act: &'static str,
}

pub(crate) const PRIVILEGES: &[May] = &[
    May {
        what: "SELECT",
        allow: "GRANT SELECT ON s.t TO {u}",
        revoke: "REVOKE SELECT ON s.t FROM {u}",
        act: "SELECT * FROM s.t",
    },
    May {
        what: "INSERT",
        allow: "GRANT INSERT ON s.t_ins TO {u}",
        revoke: "REVOKE INSERT ON s.t_ins FROM {u}",
        act: "INSERT INTO s.t_ins VALUES (1)",
    },
    May {
        what: "UPDATE of a column",
        allow: "GRANT SELECT (a), UPDATE (a) ON s.t_col TO {u}",
        revoke: "REVOKE UPDATE (a) ON s.t_col FROM {u}",
        act: "UPDATE s.t_col SET a = a",
    },
    May {
        what: "SELECT of a column",
        allow: "GRANT SELECT (b) ON s.t_col TO {u}",
        revoke: "REVOKE SELECT (b) ON s.t_col FROM {u}",
        act: "SELECT b FROM s.t_col",
    },
    May {
        what: "DELETE",
        allow: "GRANT DELETE ON s.t_del TO {u}",
        revoke: "REVOKE DELETE ON s.t_del FROM {u}",
        act: "DELETE FROM s.t_del",
    },
    May {
        what: "TRUNCATE",
        allow: "GRANT TRUNCATE ON s.t_del TO {u}",
        revoke: "REVOKE TRUNCATE ON s.t_del FROM {u}",
        act: "TRUNCATE s.t_del",
    },
    May {
        what: "REFERENCES",
        allow: "GRANT REFERENCES ON s.t_ref TO {u}",
        revoke: "REVOKE REFERENCES ON s.t_ref FROM {u}",
        act: "CREATE TEMP TABLE r (a int); DROP TABLE r; CREATE TABLE own.r (a int REFERENCES \
            s.t_ref (a)); DROP TABLE own.r",
    },
    May {
        what: "TRIGGER",
        allow: "GRANT TRIGGER ON s.t_ref TO {u}",
        revoke: "REVOKE TRIGGER ON s.t_ref FROM {u}",
        act: "CREATE TRIGGER g BEFORE INSERT ON s.t_ref EXECUTE FUNCTION \
            suppress_redundant_updates_trigger(); ",
    },
    May {
        what: "a sequence",
        allow: "GRANT USAGE ON SEQUENCE s.q TO {u}",
        revoke: "REVOKE USAGE ON SEQUENCE s.q FROM {u}",
        act: "SELECT nextval('s.q')",
    },
    May {
        what: "a function",
        allow: "GRANT EXECUTE ON FUNCTION s.f() TO {u}",
        revoke: "REVOKE EXECUTE ON FUNCTION s.f() FROM {u}",
        act: "SELECT s.f()",
    },
    May {
        what: "a procedure",
        allow: "GRANT EXECUTE ON PROCEDURE s.p() TO {u}",
        revoke: "REVOKE EXECUTE ON PROCEDURE s.p() FROM {u}",
        act: "CALL s.p()",
    },
    May {
        what: "a type",
        allow: "GRANT USAGE ON TYPE s.ty TO {u}",
        revoke: "REVOKE USAGE ON TYPE s.ty FROM {u}",
        act: "CREATE TABLE own.ty (a s.ty); DROP TABLE own.ty",
    },
    May {
        what: "a language",
        allow: "GRANT USAGE ON LANGUAGE plpgsql TO {u}",
        revoke: "REVOKE USAGE ON LANGUAGE plpgsql FROM {u}",
        act: "DO $$ BEGIN END $$ LANGUAGE plpgsql",
    },
    May {
        what: "CREATE in a schema",
        allow: "GRANT CREATE ON SCHEMA s2 TO {u}",
        revoke: "REVOKE CREATE ON SCHEMA s2 FROM {u}",
        act: "CREATE TABLE s2.x (); DROP TABLE s2.x",
    },
    May {
        what: "CREATE in the database",
        allow: "GRANT CREATE ON DATABASE {d} TO {u}",
        revoke: "REVOKE CREATE ON DATABASE {d} FROM {u}",
        act: "CREATE SCHEMA made; DROP SCHEMA made",
    },
    May {
        what: "temporary tables",
        allow: "GRANT TEMP ON DATABASE {d} TO {u}",
        revoke: "REVOKE TEMP ON DATABASE {d} FROM {u}",
        act: "CREATE TEMP TABLE x (); DROP TABLE x",
    },
    May {
        what: "a large object",
        allow: "GRANT SELECT ON LARGE OBJECT {lo} TO {u}",
        revoke: "REVOKE SELECT ON LARGE OBJECT {lo} FROM {u}",
        act: "SELECT lo_get({lo})",
    },
    May {
        what: "a foreign-data wrapper",
        allow: "GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {u}",
        revoke: "REVOKE USAGE ON FOREIGN DATA WRAPPER postgres_fdw FROM {u}",
        act: "CREATE SERVER made FOREIGN DATA WRAPPER postgres_fdw; DROP SERVER made",
    },
    May {
        what: "a foreign server",
        allow: "GRANT USAGE ON FOREIGN SERVER here TO {u}",
        revoke: "REVOKE USAGE ON FOREIGN SERVER here FROM {u}",
        act: "CREATE FOREIGN TABLE own.f2 (a int) SERVER here; DROP FOREIGN TABLE own.f2",
    },
    May {
        what: "a user mapping",
        allow: "CREATE USER MAPPING FOR {u} SERVER here OPTIONS (user {su}, password {sp}); GRANT \
            SELECT ON s.foreign_t TO {u}",
        revoke: "DROP USER MAPPING FOR {u} SERVER here",
        act: "SELECT * FROM s.foreign_t",
    },
    May {
        what: "rows by a policy",
        allow: "GRANT SELECT ON s.rows TO {u}; CREATE POLICY mine ON s.rows TO {u} USING (owner = \
            {ul})",
        revoke: "DROP POLICY mine ON s.rows",
        act: "SELECT 1 / (count(*) = 1)::int FROM s.rows",
    },
    May {
        what: "a role's privileges",
        allow: "GRANT readers_{t} TO {u}",
        revoke: "REVOKE readers_{t} FROM {u}",
        act: "SELECT * FROM s.t_readers",
    },
    May {
        what: "SET ROLE",
        allow: "GRANT readers2_{t} TO {u}",
        revoke: "REVOKE readers2_{t} FROM {u}",
        act: "SET ROLE readers2_{t}; RESET ROLE",
    },
    May {
        what: "ADMIN OPTION",
        allow: "GRANT readers3_{t} TO {u} WITH ADMIN OPTION",
        revoke: "REVOKE readers3_{t} FROM {u}",
        act: "GRANT readers3_{t} TO readers_{t}",
    },
    May {
        what: "GRANT OPTION",
        allow: "GRANT SELECT ON s.t_opt TO {u} WITH GRANT OPTION",
        revoke: "REVOKE SELECT ON s.t_opt FROM {u} CASCADE",
        act: "GRANT SELECT ON s.t_opt TO readers_{t}; SELECT 1 / \
            has_table_privilege('readers_{t}', 's.t_opt', 'SELECT')::int",
    },
    May {
        what: "default privileges",
        allow: "ALTER DEFAULT PRIVILEGES IN SCHEMA s2 GRANT SELECT ON TABLES TO {u}; CREATE TABLE \
            s2.later_{n} ()",
        revoke: "REVOKE SELECT ON s2.later_{n} FROM {u}",
        act: "SELECT * FROM s2.later_{n}",
    },
    May {
        what: "an owned table",
        allow: "ALTER TABLE s.owned OWNER TO {u}",
        revoke: "ALTER TABLE s.owned OWNER TO CURRENT_USER",
        act: "ALTER TABLE s.owned ADD COLUMN x int; ALTER TABLE s.owned DROP COLUMN x",
    },
    May {
        what: "CREATEDB",
        allow: "ALTER ROLE {u} CREATEDB; ALTER ROLE {m} CREATEDB",
        revoke: "ALTER ROLE {u} NOCREATEDB",
        act: "CREATE DATABASE made_{t}; DROP DATABASE made_{t}",
    },
    May {
        what: "CREATEROLE",
        allow: "ALTER ROLE {u} CREATEROLE",
        revoke: "ALTER ROLE {u} NOCREATEROLE",
        act: "CREATE ROLE made_{t}; DROP ROLE made_{t}",
    },
    May {
        what: "a setting",
        allow: "ALTER ROLE {u} SET work_mem = '9MB'",
        revoke: "ALTER ROLE {u} RESET work_mem",
        act: "SELECT 1 / (current_setting('work_mem') = '9MB')::int",
    },
    May {
        what: "a setting for one database",
        allow: "ALTER ROLE {u} IN DATABASE {d} SET lock_timeout = '77s'",
        revoke: "ALTER ROLE {u} IN DATABASE {d} RESET lock_timeout",
        act: "SELECT 1 / (current_setting('lock_timeout') = '77s')::int",
    },
    May {
        what: "a search path",
        allow: "ALTER ROLE {u} SET search_path = s, \"Odd \"\"name\", public",
        revoke: "ALTER ROLE {u} RESET search_path",
        act: "SELECT 1 / (current_setting('search_path') = 's, \"Odd \"\"name\", public')::int",
    },
    May {
        what: "a predefined role",
        allow: "GRANT pg_read_all_settings TO {u}",
        revoke: "REVOKE pg_read_all_settings FROM {u}",
        act: "SHOW data_directory",
    },
];

/// The cases for PostgreSQL 15 and later.
pub(crate) const PRIVILEGES_SINCE_15: &[May] = &[
    May {
        what: "a setting of the application's own",
        allow: "GRANT SET ON PARAMETER app.tenant TO {m}; ALTER ROLE {u} SET app.tenant = 'it''s \
            \\ 42'",
        revoke: "ALTER ROLE {u} RESET app.tenant",
        act: "SELECT 1 / (current_setting('app.tenant') = 'it''s \\ 42')::int",
    },
    May {
        what: "a parameter",
        allow: "GRANT SET ON PARAMETER log_min_messages TO {u}",
        revoke: "REVOKE SET ON PARAMETER log_min_messages FROM {u}",
        act: "SET log_min_messages = 'warning'",
    },
];
