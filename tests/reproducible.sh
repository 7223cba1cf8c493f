#!/bin/sh
# Packages a function in two folders, as two users would, and compares the packages byte by byte.
#   sh tests/reproducible.sh [FUNCTION]      the default is rotation-custom, the smallest function
# The variables CARGO_PROFILE_RELEASE_… of cargo shorten the builds, but change the packages.
set -eu
cd "$(dirname "$0")/.."
function=${1:-rotation-custom}
work=$PWD/target/reproducible
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export SOURCE_DATE_EPOCH=1700000000

# package FOLDER CARGO-HOME TIME-ZONE: copies the sources to a folder, and packages the function.
package() {
    mkdir -p "$work/$1/target" "$2"
    git ls-files -z --cached --others --exclude-standard |
        tar --null --files-from - --create --file - | tar -xf - -C "$work/$1"
    ln -s "$PWD/target/tools" "$work/$1/target/tools"
    # Both builds use the same downloaded sources, at different paths.
    [ -e "$2/registry" ] || ln -s "$cargo_home/registry" "$2/registry"
    CARGO_HOME=$2 TZ=$3 FUNCTIONS=$function sh "$work/$1/tests/package.sh"
}
rm -rf "$work"
export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
package one "$work/cargo-home" UTC
package a/longer/path "$work/home/of another user" Pacific/Auckland
for file in bootstrap.zip sbom.cdx.json; do
    path=target/lambda/$function/$file
    cmp "$work/one/$path" "$work/a/longer/path/$path"
    sha256sum "$work/one/$path"
done
echo "both builds of $function are the same"
