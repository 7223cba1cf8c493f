//! The editions of the database engine that have databases but no server for logins.

/// The expression for the edition of the engine: the number in [SERVERPROPERTY][doc].
///
/// [doc]: https://learn.microsoft.com/sql/t-sql/functions/serverproperty-transact-sql
pub(crate) const EDITION: &str = "CAST(SERVERPROPERTY('EngineEdition') AS int)";

/// The database in which Azure SQL Database has its logins.
pub(crate) const MASTER: &str = "master";

/// Returns `true` for Azure SQL Database (5), the pools of Azure Synapse (6 and 11) and databases
/// in Microsoft Fabric (12).
///
/// There, [users with a password][contained] are always allowed, a session [cannot enter][use]
/// another database, and logins have no permissions on a server. Azure SQL Managed Instance (8)
/// behaves like SQL Server.
///
/// [contained]: https://learn.microsoft.com/sql/database-engine/configure-windows/contained-database-authentication-server-configuration-option
/// [use]: https://learn.microsoft.com/sql/t-sql/language-elements/use-transact-sql
pub(crate) fn is_azure_database(edition: i32) -> bool {
    matches!(edition, 5 | 6 | 11 | 12)
}
