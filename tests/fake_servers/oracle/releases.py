"""The releases as which the server can answer.

A column of `tests/fidelity/catalog/oracle.tsv` names the first release that has it. What else
differs is here, or asks `Release.has`. The numbers in the protocol are those of the package seerdb,
which has them from recordings of real servers (11.2, 21c and 23ai), and from Oracle's own drivers.
"""

import functools
from dataclasses import dataclass

import seerdb.common.tns_consts as tns
from seerdb.server.identity import ServerIdentity

import catalog_table

# The releases in their order. 18c has no server here, but introduced columns.
ORDER = ("11.2", "12.1", "12.2", "18c", "19c", "21c", "23ai")

# The password limits of the profile DEFAULT, and the first release that has them. CREATE PROFILE in
# the SQL Language Reference has their values. PASSWORD_ROLLOVER_TIME is new in 21c, and 19c has it
# from 19.12 on: "Gradual Database Password Rollover" in the Security Guide.
PASSWORD_LIMITS = {
    "FAILED_LOGIN_ATTEMPTS": ("11.2", "10"),
    "PASSWORD_LIFE_TIME": ("11.2", "180"),
    "PASSWORD_REUSE_TIME": ("11.2", "UNLIMITED"),
    "PASSWORD_REUSE_MAX": ("11.2", "UNLIMITED"),
    "PASSWORD_VERIFY_FUNCTION": ("11.2", "NULL"),
    "PASSWORD_LOCK_TIME": ("11.2", "1"),
    "PASSWORD_GRACE_TIME": ("11.2", "7"),
    "INACTIVE_ACCOUNT_TIME": ("12.2", "UNLIMITED"),
    "PASSWORD_ROLLOVER_TIME": ("19c", "0"),
}
# The other limits, which every release has.
KERNEL_LIMITS = """
    COMPOSITE_LIMIT SESSIONS_PER_USER CPU_PER_SESSION CPU_PER_CALL LOGICAL_READS_PER_SESSION
    LOGICAL_READS_PER_CALL IDLE_TIME CONNECT_TIME PRIVATE_SGA
    """.split()

# The messages of 23ai that differ from those of older releases:
# https://docs.oracle.com/en/error-help/db/.
NEW_MESSAGES = {
    972: "The identifier XXXXXXXXXX...XXXXXXXXXX exceeds the maximum length of 128 bytes.",
    1017: "invalid credential or not authorized; logon denied",
}


@dataclass(frozen=True)
class Release:
    """A release of Oracle Database.

    `field_version` is the version of the messages after the handshake (TTC), and `tns_version` the
    version in the ACCEPT packet. `version` is the full version, in five parts.
    """

    name: str
    field_version: int
    tns_version: int
    version: str
    banner: str

    def has(self, first: str) -> bool:
        """Returns True if this release is not older than another one."""
        return ORDER.index(self.name) >= ORDER.index(first)

    @property
    def base_version(self) -> str:
        """The version without the release update, which PRODUCT_COMPONENT_VERSION shows."""
        return self.version.split(".")[0] + ".0.0.0.0" if self.has("18c") else self.version

    @property
    def banner_full(self) -> str:
        return f"{self.banner}\nVersion {self.version}"

    @property
    def longest_password(self) -> int:
        """The limit in bytes: "Minimum Requirements for Passwords" in the Security Guide."""
        return 1024 if self.has("23ai") else 30

    def identity(self) -> ServerIdentity:
        """Returns what the answer to a login reports."""
        packed = pack(self.version, is_new=self.has("18c"))
        return ServerIdentity(
            version_no=packed,
            version_sql=b"26" if self.has("23ai") else b"25" if self.has("18c") else b"23",
            version_string=b"- Production" if self.has("18c") else b"- 64bit Production",
            banner=self.banner.encode(),
            release=pack(self.base_version, is_new=self.has("18c")),
            release_full=packed,
            banner_full=(self.banner_full if self.has("18c") else self.banner).encode(),
        )

    def limits(self) -> dict[str, str]:
        """Returns the limits of the profile DEFAULT."""
        return dict.fromkeys(KERNEL_LIMITS, "UNLIMITED") | {
            name: value for name, (first, value) in PASSWORD_LIMITS.items() if self.has(first)
        }

    @functools.cache
    def views(self) -> dict[str, list[str]]:
        """Returns the dictionary views and their columns."""
        return catalog_table.views("oracle", self.has)


def pack(version: str, is_new: bool) -> int:
    """Returns a version in the form of AUTH_VERSION_NO, which 18c has changed."""
    parts = [int(part) for part in version.split(".")]
    shifts = (24, 16, 12, 4, 0) if is_new else (24, 20, 12, 8, 0)
    return sum(part << shift for part, shift in zip(parts, shifts))


RELEASES = {
    one.name: one
    for one in (
        Release(
            "11.2",
            tns.FIELD_VERSION_11_2,
            tns.TNS_VERSION_11_2,
            "11.2.0.4.0",
            "Oracle Database 11g Enterprise Edition Release 11.2.0.4.0 - 64bit Production",
        ),
        Release(
            "12.1",
            tns.FIELD_VERSION_12_1,
            tns.TNS_VERSION_12_1,
            "12.1.0.2.0",
            "Oracle Database 12c Enterprise Edition Release 12.1.0.2.0 - 64bit Production",
        ),
        Release(
            "12.2",
            tns.FIELD_VERSION_12_2,
            tns.TNS_VERSION_12_2,
            "12.2.0.1.0",
            "Oracle Database 12c Enterprise Edition Release 12.2.0.1.0 - 64bit Production",
        ),
        Release(
            "19c",
            tns.FIELD_VERSION_19_1,
            tns.TNS_VERSION_21_1,
            "19.28.0.0.0",
            "Oracle Database 19c Enterprise Edition Release 19.0.0.0.0 - Production",
        ),
        Release(
            "21c",
            tns.FIELD_VERSION_21_1,
            tns.TNS_VERSION_21_1,
            "21.3.0.0.0",
            "Oracle Database 21c Express Edition Release 21.0.0.0.0 - Production",
        ),
        Release(
            "23ai",
            tns.FIELD_VERSION_23_4,
            tns.TNS_VERSION_23_1,
            "23.6.0.24.10",
            "Oracle Database 23ai Free Release 23.0.0.0.0 - Develop, Learn, and Run for Free",
        ),
    )
}
DEFAULT = "19c"
