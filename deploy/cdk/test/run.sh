#!/bin/sh
# Builds the library and its Python package, and runs the tests. `make cdk` installs what they need.
#   npm test [-- TEST-FILE…]      the default is all of test/*.test.ts
set -eu
cd "$(dirname "$0")/.."
python=build/python

echo "building the library"
npm run --silent build
rm -rf build/test build/examples
npx prettier --check --log-level warn .
npx tsc -p test

echo "building the Python package"
rm -rf dist
npm run --silent package:python
# The same version of the CDK for Python as for TypeScript.
version=$(node -p 'require("aws-cdk-lib/package.json").version')
if ! "$python/bin/pip" show aws-cdk-lib 2>/dev/null | grep -qx "Version: $version"; then
    echo "installing aws-cdk-lib $version from PyPI into deploy/cdk/$python"
    python3 -m venv "$python"
    # Compiling all of its modules would take minutes, and the examples need few of them.
    "$python/bin/pip" -q --disable-pip-version-check install --no-compile "aws-cdk-lib==$version"
fi
"$python/bin/pip" -q --disable-pip-version-check install --force-reinstall --no-deps \
    dist/python/*.whl

echo "running the tests"
[ $# -gt 0 ] || set -- test/*.test.ts
for test; do set -- "$@" "build/${test%.ts}.js"; shift; done
# The tests check the templates with cfn-lint. The CDK's own check takes longer than the synthesis.
CDK_VALIDATION=false node --test --test-concurrency=2 --test-reporter=spec "$@"
