#!/bin/sh
# Builds the functions with SAM and runs each with `sam local invoke`, where a Docker engine is there.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/target/tools/bin:$PATH

if ! docker info >/dev/null 2>&1; then
    echo "skipped: sam local invoke runs functions in Docker, and no Docker engine answers here"
    echo "         (as root, make test starts one of its own, with a stand-in for Lambda's image)"
    exit 0
fi
export SAM_CLI_BETA_RUST_CARGO_LAMBDA=1 SAM_CLI_TELEMETRY=0
# Nothing listens there.
export SECRETS_MANAGER_ENDPOINT=http://127.0.0.1:9
architecture=$(uname -m | sed 's/aarch64/arm64/')
switches="postgreSQL=true mySQL=true mariaDB=true sqlServer=true oracle=true custom=true architecture=$architecture"
# shellcheck disable=SC2086 # words are parameters
sam build --parameter-overrides $switches
for function in PostgreSQLSingleUser PostgreSQLMasterUser MySQLSingleUser MySQLMasterUser \
    MariaDBSingleUser MariaDBMasterUser SQLServerSingleUser SQLServerMasterUser OracleSingleUser OracleMasterUser CustomRotation; do
    for event in events/createSecret.json events/setSecret.json events/testSecret.json events/finishSecret.json; do
        echo "== $function $event"
        # shellcheck disable=SC2086
        sam local invoke $function -e $event --parameter-overrides $switches | tee target/sam-local.json
        # No Secrets Manager listens: every function must say so, in its own words.
        grep -q SecretsManagerUnreachable target/sam-local.json
    done
done
