#!/bin/sh
# Packages every function for Lambda, and checks that Amazon Linux 2023 can run it.
#   sh tests/package.sh [arm64 | x86_64]     the default is the host's architecture
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/target/tools/bin:$PATH

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
functions="rotation-postgres rotation-mysql rotation-mariadb rotation-sqlserver rotation-oracle"
functions="$functions rotation-custom"
echo "building $functions for $target (this takes some minutes)"
# shellcheck disable=SC2046,SC2086 # each word is an option
cargo lambda build --release $option --output-format zip $(printf -- '--bin %s ' $functions)

# The version of glibc in Amazon Linux 2023.
newest=2.34
failed=
for function in $functions; do
    zip=target/lambda/$function/bootstrap.zip
    python3 - "$zip" <<'PYTHON' || failed=yes
import re, sys, zipfile, hashlib
path = sys.argv[1]
binary = zipfile.ZipFile(path).read("bootstrap")
versions = {tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_(\d+(?:\.\d+)+)", binary)}
packed = open(path, "rb").read()
print(f"{path}  {len(binary) / 1e6:.1f} MB, zipped {len(packed) / 1e6:.1f} MB, "
      f"glibc {'.'.join(map(str, max(versions)))}, sha256 {hashlib.sha256(packed).hexdigest()}")
sys.exit(max(versions) > (2, 34))
PYTHON
done
[ -z "$failed" ] || {
    echo "error: a function needs a newer glibc than $newest, the version in Amazon Linux 2023" >&2
    exit 1
}
