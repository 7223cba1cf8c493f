#!/usr/bin/env python3
"""Generates template.yaml and the templates of deploy/sar from deploy/source.

    target/tools/bin/python scripts/generate_templates.py [--check]

With --check, the script changes nothing, and fails if a file differs. It needs Jinja2, which
`sh tests/setup.sh template` installs.
"""

import pathlib
import sys
import tomllib
from dataclasses import dataclass, field, replace

import jinja2

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "deploy/source"


@dataclass(frozen=True)
class Engine:
    """A database engine, or `Custom`."""

    id: str
    switch: str
    binary: str
    # The name with its article.
    name: str
    # The defaults of AWS's functions.
    exclude: str = "/@\"'\\"
    length: int = 32


ENGINES = [
    Engine("PostgreSQL", "postgreSQL", "rotation-postgres", "a PostgreSQL", exclude=":/@\"'\\"),
    Engine("MySQL", "mySQL", "rotation-mysql", "a MySQL"),
    Engine("MariaDB", "mariaDB", "rotation-mariadb", "a MariaDB"),
    Engine("SQLServer", "sqlServer", "rotation-sqlserver", "a SQL Server"),
    Engine("Oracle", "oracle", "rotation-oracle", "an Oracle", length=30),
]
CUSTOM = Engine("Custom", "custom", "rotation-custom", "a credential")


@dataclass(frozen=True)
class Function:
    """A function of template.yaml, and its application in deploy/sar."""

    id: str
    application: str
    engine: Engine
    # Whether the role may read master secrets.
    has_master: bool
    description: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def binary(self) -> str:
        return self.engine.binary

    @property
    def name_limit(self) -> bool:
        """Returns whether the engine has a configurable limit of user names."""
        return self.engine.id in ("MySQL", "MariaDB")


def functions_of(engine: Engine) -> list[Function]:
    """Returns the two functions of an engine: for a single user, and with a master user."""
    common, single, master = {}, {}, {}
    if engine.id == "PostgreSQL":
        common["POSTGRES_PASSWORD_FORM"] = "!Ref postgresPasswordForm"
    if engine.id == "MySQL":
        single["KEEP_PREVIOUS_PASSWORD"] = "!Ref keepPreviousPassword"
    if engine.id == "SQLServer":
        master["ACCEPT_DDL_TRIGGERS"] = "!Ref acceptDdlTriggers"
    if engine.id == "Oracle":
        common["TLS_MODE"] = "!Ref oracleTlsMode"
    return [
        Function(
            f"{engine.id}SingleUser",
            f"SecretsManagerRDS{engine.id}RotationSingleUser",
            engine,
            False,
            f"Rotates the password of {engine.name} user (single user).",
            {"ROTATION_STRATEGY": "single-user"} | common | single,
        ),
        Function(
            f"{engine.id}MasterUser",
            f"SecretsManagerRDS{engine.id}RotationMultiUser",
            engine,
            True,
            f"Rotates {engine.name.split(' ', 1)[1]} users with a master user.",
            {"ROTATION_STRATEGY": "!Ref masterStrategy"} | common | master,
        ),
    ]


CUSTOM_FUNCTION = Function(
    "CustomRotation",
    "SecretsManagerRotationTemplate",
    CUSTOM,
    False,
    "Rotates a credential of your own.",
)
FUNCTIONS = [function for engine in ENGINES for function in functions_of(engine)]
FUNCTIONS.append(CUSTOM_FUNCTION)

# The parameters of template.yaml, as the console groups them. `functionName` is in the source.
GROUPS = [
    (
        "What to deploy",
        "functionName postgreSQL mySQL mariaDB sqlServer oracle custom architecture memorySize",
    ),
    (
        "Where the functions run",
        "vpcSubnetIds vpcSecurityGroupIds endpoint endpointVpcId tlsMode oracleTlsMode tlsCaFile"
        " tlsCaLayerArn",
    ),
    (
        "Secrets and keys that the functions may use",
        "kmsKeyArn replicaKmsKeyArn secretAccountIds assumeRoleArn masterSecretArn"
        " superuserSecretArn masterSecretTag masterSecretKmsKeyArn superuserSecretKmsKeyArn"
        " masterStrategy customPermissionBoundary denyCredentialsElsewhere",
    ),
    (
        "New passwords",
        "passwordLength excludeCharacters excludeNumbers excludePunctuation excludeUppercase"
        " excludeLowercase requireEachIncludedType keepPreviousPassword acceptDdlTriggers"
        " postgresPasswordForm usernameCharacterLimit",
    ),
    (
        "Logs and alarms",
        "logRetentionInDays logKmsKeyArn tracing alarmTopicArn notRotatedForDays dashboard",
    ),
]


def uses_master(function: Function) -> bool:
    """Returns whether AWS's application has parameters for a master secret."""
    return function.has_master or function is CUSTOM_FUNCTION


def interface(function: Function) -> list[str]:
    """Returns the parameters of AWS's application, except `functionName`."""
    names = "endpoint invokingServicePrincipal vpcSubnetIds vpcSecurityGroupIds kmsKeyArn"
    if uses_master(function):
        names += " masterSecretArn masterSecretKmsKeyArn superuserSecretArn"
        names += " superuserSecretKmsKeyArn"
    names += " excludeCharacters passwordLength excludeNumbers excludePunctuation"
    names += " excludeUppercase excludeLowercase requireEachIncludedType"
    if function.name_limit:
        names += " usernameLimit"
    names += " runtime customPermissionBoundary rotationRoleArn"
    return names.split()


def additional(function: Function) -> list[str]:
    """Returns the parameters that AWS's application does not have."""
    names = "architecture memorySize tlsMode tlsCaFile tlsCaLayerArn endpointVpcId"
    if uses_master(function):
        names += " masterSecretTag"
    for value in function.environment.values():
        name = value.removeprefix("!Ref ")
        # The application for Oracle has the parameter tlsMode, as those of the other engines.
        if name not in (value, "oracleTlsMode", *names.split(), *interface(function)):
            names += f" {name}"
    names += " replicaKmsKeyArn secretAccountIds assumeRoleArn denyCredentialsElsewhere"
    names += " logRetentionInDays logKmsKeyArn tracing"
    names += " alarmTopicArn notRotatedForDays dashboard"
    return names.split()


def defaults(function: Function) -> dict[str, str]:
    """Returns the defaults of AWS's application that differ from those of template.yaml."""
    quoted = "'" + function.engine.exclude.replace("'", "''") + "'"
    found = {"excludeCharacters": quoted, "passwordLength": f'"{function.engine.length}"'}
    if function.engine.id == "Oracle":
        found["tlsMode"] = "prefer"
    return found


class Parameters:
    """The texts of deploy/source/parameters.yaml."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        name = ""
        for line in (SOURCE / "parameters.yaml").read_text().splitlines():
            if line.startswith("#") or not line:
                continue
            if not line.startswith(" "):
                name = line.removesuffix(":")
                self.texts[name] = []
            self.texts[name].append(line)

    def text(self, name: str, defaults: dict[str, str] | None = None) -> str:
        """Returns a parameter, with another default if `defaults` has one."""
        lines = self.texts[name]
        if default := (defaults or {}).get(name):
            lines = [
                f"  Default: {default}" if line.startswith("  Default: ") else line
                for line in lines
            ]
        return "\n".join(lines)


def render() -> dict[pathlib.Path, str]:
    """Returns the text of every generated file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SOURCE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["parameter"] = Parameters().text
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    environment.globals["version"] = manifest["workspace"]["package"]["version"]
    groups = [(label, names.split()) for label, names in GROUPS]
    names = [name for _, group in groups for name in group if name != "functionName"]
    template = environment.get_template("template.yaml.j2").render(
        groups=groups, names=names, functions=FUNCTIONS, switches=[*ENGINES, CUSTOM]
    )
    files = {ROOT / "template.yaml": template}
    for function in FUNCTIONS:
        # A template for one engine needs only one parameter for TLS, which is common to all.
        variables = dict(function.environment)
        variables.pop("TLS_MODE", None)
        alone = replace(function, has_master=uses_master(function), environment=variables)
        path = ROOT / f"deploy/sar/{function.application}.yaml"
        files[path] = environment.get_template("application.yaml.j2").render(
            function=alone,
            interface=interface(function),
            additional=additional(function),
            defaults=defaults(function),
        )
    return files


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(__doc__, file=sys.stderr)
        return 2
    files = render()
    surplus = set((ROOT / "deploy/sar").glob("*.yaml")) - set(files)
    different = [
        path for path, text in files.items() if not path.exists() or path.read_text() != text
    ]
    if check:
        for path in [*different, *surplus]:
            name = path.relative_to(ROOT)
            print(f"{name} differs from its source: run make templates", file=sys.stderr)
        return 1 if different or surplus else 0
    for path in different:
        path.write_text(files[path])
    for path in surplus:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
