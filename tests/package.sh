#!/bin/sh
# Packages the functions for Lambda in target/lambda/FUNCTION: bootstrap.zip and its SBOM.
#   sh tests/package.sh [arm64 | x86_64]     the default is the host's architecture
# FUNCTIONS='rotation-postgres' packages only some of them. The packages depend on the sources and
# the versions of the tools, and on nothing else of the machine (tests/reproducible.sh).
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/target/tools/bin:$PATH
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
# RUSTFLAGS would replace the flags below.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# The SBOMs contain this date instead of the current one.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

host=$(uname -m)
case ${1:-$host} in
arm64 | aarch64) target=aarch64-unknown-linux-gnu option=--arm64 ;;
x86_64) target=x86_64-unknown-linux-gnu option=--x86-64 ;;
*) echo "error: unknown architecture $1: use arm64 or x86_64" >&2; exit 2 ;;
esac
if [ "${target%%-*}" != "$host" ] &&
    ! rustc --print target-libdir --target $target 2>/dev/null | xargs test -d; then
    echo "error: the Rust target $target is not installed: rustup target add $target" >&2; exit 1
fi
all="rotation-postgres rotation-mysql rotation-mariadb rotation-sqlserver rotation-oracle"
functions=${FUNCTIONS:-$all rotation-custom}
echo "building $functions for $target with $(rustc -V) (this takes some minutes)"
# cargo auditable stores the list of all dependencies in each program. The messages of a panic have
# the paths of sources, which differ between machines.
flags="'--remap-path-prefix=$PWD=/keywheel', '--remap-path-prefix=$target_dir=/keywheel/target'"
flags="$flags, '--remap-path-prefix=$cargo_home=/cargo'"
# shellcheck disable=SC2046,SC2086 # each word is an option
cargo auditable lambda build --release --locked $option --config "build.rustflags = [$flags]" \
    --lambda-dir "$target_dir/lambda" $(printf -- '--bin %s ' $functions)

# cargo cyclonedx writes the SBOM of each program beside the manifest of its crate.
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --target $target
failed=
for function in $functions; do
    folder=$target_dir/lambda/$function
    python3 scripts/zip_function.py "$folder/bootstrap" "$folder/bootstrap.zip" \
        "$PWD" "$target_dir" "$cargo_home" || failed=yes
    # It names the crates of this workspace by their paths.
    sed "s|$PWD|/keywheel|g" crates/*/"${function}_bin.cdx.json" > "$folder/sbom.cdx.json"
done
rm -f crates/*/*.cdx.json tests/*.cdx.json
[ -z "$failed" ]
