"""The releases as which the server can answer: their versions, permissions and catalog views.

The builds are those of the first release without service packs or updates:
https://learn.microsoft.com/troubleshoot/sql/releases/download-and-install-latest-updates. The
versions of Azure SQL Database cannot be compared with them:
https://learn.microsoft.com/sql/t-sql/functions/serverproperty-transact-sql.
"""

import functools
from dataclasses import dataclass

from pysqlbridge.tds.prelogin import Version

import catalog_table

# The permissions that a release has introduced, from the pages
# relational-databases/security/permissions-database-engine ("New granular permissions added to SQL
# Server 2022") and t-sql/statements/grant-database-permissions-transact-sql under
# https://learn.microsoft.com/sql/. The other permissions are older than SQL Server 2017.
NEW_PERMISSIONS = {
    2017: """
        ALTER ANY EXTERNAL LIBRARY, CREATE EXTERNAL LIBRARY
        """,
    2019: """
        ALTER ANY EXTERNAL LANGUAGE, CREATE EXTERNAL LANGUAGE, ALTER ANY SENSITIVITY CLASSIFICATION,
        VIEW ANY SENSITIVITY CLASSIFICATION, EXECUTE EXTERNAL SCRIPT
        """,
    2022: """
        VIEW ANY SECURITY DEFINITION, VIEW ANY PERFORMANCE DEFINITION, VIEW SERVER SECURITY STATE,
        VIEW SERVER PERFORMANCE STATE, VIEW ANY CRYPTOGRAPHICALLY SECURED DEFINITION,
        VIEW DATABASE SECURITY STATE, VIEW DATABASE PERFORMANCE STATE, VIEW SECURITY DEFINITION,
        VIEW PERFORMANCE DEFINITION, VIEW CRYPTOGRAPHICALLY SECURED DEFINITION,
        CREATE ANY EVENT SESSION, DROP ANY EVENT SESSION, ALTER ANY EVENT SESSION OPTION,
        ALTER ANY EVENT SESSION ADD EVENT, ALTER ANY EVENT SESSION DROP EVENT,
        ALTER ANY EVENT SESSION ENABLE, ALTER ANY EVENT SESSION DISABLE,
        ALTER ANY EVENT SESSION ADD TARGET, ALTER ANY EVENT SESSION DROP TARGET,
        CREATE ANY DATABASE EVENT SESSION, DROP ANY DATABASE EVENT SESSION,
        ALTER ANY DATABASE EVENT SESSION OPTION, ALTER ANY DATABASE EVENT SESSION ADD EVENT,
        ALTER ANY DATABASE EVENT SESSION DROP EVENT, ALTER ANY DATABASE EVENT SESSION ENABLE,
        ALTER ANY DATABASE EVENT SESSION DISABLE, ALTER ANY DATABASE EVENT SESSION ADD TARGET,
        ALTER ANY DATABASE EVENT SESSION DROP TARGET, CREATE LOGIN, CREATE USER,
        VIEW ANY ERROR LOG, VIEW SERVER SECURITY AUDIT, VIEW DATABASE SECURITY AUDIT, ALTER LEDGER,
        ALTER LEDGER CONFIGURATION, ENABLE LEDGER, VIEW LEDGER CONTENT, ALTER ANY EXTERNAL JOB,
        ALTER ANY EXTERNAL STREAM, EXECUTE ANY EXTERNAL ENDPOINT
        """,
}
# https://learn.microsoft.com/sql/relational-databases/security/permissions-database-engine
ONLY_AZURE = {"KILL DATABASE CONNECTION"}
# The page "Server-level roles" of the documentation (`rights.py` has its address).
NEW_SERVER_ROLES = {
    2022: [
        "##MS_DatabaseConnector##",
        "##MS_DatabaseManager##",
        "##MS_DefinitionReader##",
        "##MS_LoginManager##",
        "##MS_PerformanceDefinitionReader##",
        "##MS_SecurityDefinitionReader##",
        "##MS_ServerPerformanceStateReader##",
        "##MS_ServerSecurityStateReader##",
        "##MS_ServerStateManager##",
        "##MS_ServerStateReader##",
    ]
}
# The classes of securables that a release has introduced, by the keyword before `::`.
NEW_CLASSES = {"EXTERNAL LIBRARY": 2017, "EXTERNAL LANGUAGE": 2019}


@functools.cache
def first_release_of_permissions() -> dict[str, int]:
    return {
        " ".join(name.split()): year
        for year, names in NEW_PERMISSIONS.items()
        for name in names.split(",")
    }


@dataclass(frozen=True)
class Release:
    """A release of SQL Server, or Azure SQL Database, which has all that the newest release has."""

    name: str
    year: int
    version: Version
    compatibility: int
    is_azure: bool = False

    @property
    def product_version(self) -> str:
        return f"{self.version}.{self.version.subbuild}"

    @property
    def at_at_version(self) -> str:
        product = "SQL Azure" if self.is_azure else f"SQL Server {self.year}"
        return f"Microsoft {product} (RTM) - {self.product_version} (a fake server of the tests)"

    def property(self, name: str):
        """Returns what SERVERPROPERTY returns, or None for an unknown property."""
        return {
            "productversion": self.product_version,
            "productmajorversion": str(self.version.major),
            "productlevel": "RTM",
            "edition": "SQL Azure" if self.is_azure else "Developer Edition (64-bit)",
            "engineedition": 5 if self.is_azure else 3,
        }.get(name.lower())

    def has_permission(self, name: str) -> bool:
        if name in ONLY_AZURE:
            return self.is_azure
        return first_release_of_permissions().get(name, 0) <= self.year

    def has_class(self, keyword: str) -> bool:
        return NEW_CLASSES.get(keyword, 0) <= self.year

    def server_roles(self) -> list[str]:
        return [name for year, all in NEW_SERVER_ROLES.items() if year <= self.year for name in all]

    @functools.cache
    def views(self) -> dict[str, set[str]]:
        """Returns the catalog views and their columns."""
        all = catalog_table.views("sqlserver", self.has_column)
        return {view: set(columns) for view, columns in all.items()}

    def has_column(self, first: str, azure: str) -> bool:
        return azure == "azure" if self.is_azure else int(first) <= self.year

    def on_server(self) -> "Release":
        """Returns the release of SQL Server with the same features."""
        return RELEASES[str(self.year)]


RELEASES = {
    one.name: one
    for one in (
        Release("2017", 2017, Version(14, 0, 1000, 169), 140),
        Release("2019", 2019, Version(15, 0, 2000, 5), 150),
        Release("2022", 2022, Version(16, 0, 1000, 6), 160),
        Release("azure", 2022, Version(12, 0, 2000, 8), 160, is_azure=True),
    )
}
DEFAULT = "2022"
