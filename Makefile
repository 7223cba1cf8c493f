# The commands a person types. Each installs what it needs and says so.

TOOLS := $(CURDIR)/target/tools/bin
export ROTATION_SERVERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rotation-servers

.PHONY: help demo test lint format package verify-template sam-local

help:
	@echo "make demo   rotate a throw-away PostgreSQL with the real function, and show the proof"
	@echo "make test   all tests, against real servers that the run starts itself"
	@echo "make lint   formatting, clippy, documentation, licences"
	@echo "make package [ARCH=arm64]   the functions as Lambda takes them, in target/lambda"
	@echo "make verify-template        template.yaml, by sam validate and cfn-lint"
	@echo "make sam-local              each function with sam local invoke, where Docker is there"

demo:
	@sh tests/setup.sh demo
	@echo "building (the first time takes some minutes)"
	@cargo build --quiet -p rotation-local -p rotation-postgres
	@target/debug/rotation-local demo

# Servers are started once for the whole run. TESTS='binary(mysql)' runs some of the tests, TEST_ENGINES=mysql starts
# some of the servers.
test:
	@sh tests/setup.sh test
	cargo build --workspace --all-targets
	target/debug/with-servers env PATH="$(TOOLS):$$PATH" cargo nextest run --workspace --no-fail-fast $(if $(TESTS),-E '$(TESTS)')
	cargo test --workspace --doc

lint:
	@sh tests/setup.sh lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	"$(TOOLS)/cargo-deny" --log-level error check bans licenses sources

package:
	@sh tests/setup.sh package
	@sh tests/package.sh $(ARCH)

verify-template:
	@sh tests/setup.sh template
	"$(TOOLS)/cfn-lint" template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 "$(TOOLS)/sam" validate --lint --template template.yaml

sam-local:
	@sh tests/setup.sh template
	@sh tests/setup.sh package
	@sh tests/sam_local.sh

format:
	cargo fmt --all
