#!/bin/sh
# Builds the functions with SAM and runs each of them with `sam local invoke`, if Docker is running.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/target/tools/bin:$PATH

if ! docker info >/dev/null 2>&1; then
    echo "skipped: sam local invoke needs Docker, and no Docker engine is running"
    echo "         (as root, make test starts a Docker engine with a substitute for Lambda's image)"
    exit 0
fi
export SAM_CLI_BETA_RUST_CARGO_LAMBDA=1 SAM_CLI_TELEMETRY=0
# Nothing listens on this port.
export SECRETS_MANAGER_ENDPOINT=http://127.0.0.1:9
architecture=$(uname -m | sed 's/aarch64/arm64/')
switches="postgreSQL=true mySQL=true mariaDB=true sqlServer=true oracle=true custom=true"
switches="$switches architecture=$architecture"
# shellcheck disable=SC2086 # each word is a parameter
sam build --parameter-overrides $switches
for function in PostgreSQLSingleUser PostgreSQLMasterUser MySQLSingleUser MySQLMasterUser \
    MariaDBSingleUser MariaDBMasterUser SQLServerSingleUser SQLServerMasterUser \
    OracleSingleUser OracleMasterUser CustomRotation; do
    for step in createSecret setSecret testSecret finishSecret; do
        event=events/$step.json
        echo "== $function $event"
        # shellcheck disable=SC2086
        sam local invoke $function -e $event --parameter-overrides $switches |
            tee target/sam-local.json
        # No Secrets Manager is running, so every function must report exactly that.
        grep -q SecretsManagerUnreachable target/sam-local.json
    done
done
