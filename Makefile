# The commands for developers. Each command installs what it needs, and reports it.

TOOLS := $(CURDIR)/target/tools/bin
export ROTATION_SERVERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rotation-servers

.PHONY: help demo test reliability fidelity fuzz bench lint format package templates \
    verify-template sam-local cdk lint-tools lint-rust lint-docs lint-dependencies lint-crates \
    lint-text lint-scripts lint-catalog lint-workflows advisories verify-package

help:
	@echo "make demo                       Rotate secrets of a temporary PostgreSQL server"
	@echo "make test                       Run all tests, with a sample of the fault points"
	@echo "make reliability                Run every fault point, and update docs/reliability.md"
	@echo "make fidelity [SUITE=all]       Judge the fake servers with independent programs"
	@echo "make fuzz [SECONDS=60]          Run the fuzz targets, some against real servers"
	@echo "make bench [AGAINST='COMMAND']  Measure the function, alone or against another one"
	@echo "make lint                       Check code, docs, licences, text, scripts and workflows"
	@echo "make advisories                 Check the dependencies for known vulnerabilities"
	@echo "make format                     Format the code"
	@echo "make package [ARCH=arm64]       Package the functions for Lambda, in target/lambda"
	@echo "make verify-package             Check that two builds of a function give the same bytes"
	@echo "make templates                  Generate template.yaml and deploy/sar from deploy/source"
	@echo "make verify-template            Check these templates with cfn-lint and sam validate"
	@echo "make cdk                        Build the constructs for the AWS CDK, and test them"
	@echo "make sam-local                  Run each function with sam local invoke, in Docker"

# Without the client of the RDS API, which the demo does not need, the build is much shorter.
demo:
	@sh tests/setup.sh demo
	@echo "building (the first build takes some minutes)"
	@cargo build --quiet -p rotation-local -p rotation-postgres --no-default-features
	@target/debug/rotation-local demo

# The servers start once for the whole run. TESTS='binary(mysql)' selects tests, TEST_ENGINES=mysql
# selects servers, and NEXTEST='OPTIONS' adds options. Tests mostly wait, so two of them run on each
# processor. with-servers measures the machine and writes the timeouts of the tests for nextest.
LIMITS := $(CURDIR)/target/limits.toml
test:
	@sh tests/setup.sh test
	cargo build --workspace --all-targets
	NEXTEST_LIMITS="$(LIMITS)" target/debug/with-servers env PATH="$(TOOLS):$$PATH" RUST_BACKTRACE=0 \
	    cargo nextest run --workspace --no-fail-fast --tool-config-file "limits:$(LIMITS)" \
	    --test-threads $${NEXTEST_TEST_THREADS:-$$(($$(nproc) * 2))} $(if $(TESTS),-E '$(TESTS)') \
	    $(NEXTEST)
	cargo test --workspace --doc

# Runs the recovery tests at every fault point, and writes their counts to docs/reliability.md.
reliability: export FAULT_POINTS = all
reliability: export RELIABILITY_ROWS = $(CURDIR)/target/reliability
reliability:
	@rm -rf "$(RELIABILITY_ROWS)"
	@$(MAKE) --no-print-directory test TESTS='test(recovery::) or test(fault_injection_)'
	target/debug/reliability-table "$(RELIABILITY_ROWS)" docs/reliability.md

# Judges the fake servers with clients, parsers and dissectors that this project did not write. The
# tests of SQL Server and Oracle run while the fake servers record; SUITE=all adds the recovery
# tests, and all releases of SQL Server.
RECORDING := $(CURDIR)/target/fidelity
SUITE ?= without-recovery
# SUITE=all also runs the tests on each release as which the fake Oracle server can answer.
ifeq ($(SUITE),all)
fidelity: export ORACLE_RELEASES ?= all
endif
JUDGED := (binary(sqlserver) or binary(oracle)) $(if $(filter all,$(SUITE)),,and not \
    (test(recovery::) or test(step_ordering::) or test(fault_injection_)))
fidelity: export FIDELITY_RECORD = $(RECORDING)
fidelity: export TEST_ENGINES = sqlserver oracle
ifeq ($(SUITE),all)
fidelity: export SQLSERVER_RELEASES ?= all
endif
fidelity:
	@sh tests/setup.sh fidelity
	@rm -rf "$(RECORDING)"
	@$(MAKE) --no-print-directory test TESTS='(binary(fidelity) or $(JUDGED)) and not test(large::)' \
	    NEXTEST='--run-ignored all'
	"$(TOOLS)/python" -B tests/fidelity/grammar.py "$(RECORDING)" --engine sqlserver
	"$(TOOLS)/python" -B tests/fidelity/grammar.py "$(RECORDING)" --engine oracle --mutants 10
	"$(TOOLS)/python" -B tests/fidelity/read_columns.py "$(RECORDING)"
	python3 -B tests/fidelity/wireshark.py "$(RECORDING)"

# Measures the function (with AGAINST='COMMAND', against another one), and then its computations
# alone.
bench:
	@sh tests/setup.sh demo
	cargo build --release -p rotation-local -p rotation-postgres
	target/release/rotation-local bench $(if $(AGAINST),--against '$(AGAINST)')
	cargo bench -p rotation-tests --bench cpu

# Runs each target of fuzz for SECONDS seconds. TARGETS=secret selects one target. Malformed
# input must give a typed error.
SECONDS ?= 60
TARGETS ?= event secret mysql_shown mysql_login postgres_login postgres_quoting mysql_quoting \
    postgres_scram
fuzz:
	@sh tests/setup.sh fuzz
	cargo build -p rotation-tests --bin with-servers
	@for target in $(TARGETS); do \
	    mkdir -p fuzz/corpus/$$target; echo "fuzzing $$target for $(SECONDS) s"; \
	    TEST_ENGINES="$$(case $$target in postgres_login) echo none ;; postgres*) echo postgres ;; \
	        mysql_quoting) echo mysql mariadb ;; *) echo none ;; esac)" \
	    target/debug/with-servers "$(TOOLS)/cargo-fuzz" fuzz run --fuzz-dir fuzz \
	        --target-dir target/fuzz --sanitizer none --features servers $$target \
	        $$(ls -d fuzz/corpus/$$target fuzz/seeds/$$target 2>/dev/null) -- \
	        -max_total_time=$(SECONDS) -max_len=4096 -verbosity=0 -print_final_stats=1 || exit 1; \
	done

lint: lint-rust lint-docs lint-dependencies lint-crates lint-text lint-scripts lint-catalog \
    lint-workflows

lint-tools:
	@sh tests/setup.sh lint

lint-rust: lint-tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

lint-docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

lint-dependencies: lint-tools
	"$(TOOLS)/cargo-deny" --log-level error check bans licenses sources

# The crates that others can use have complete metadata, and `cargo package` accepts them.
lint-crates:
	cargo fetch --quiet --locked
	python3 scripts/check_crates.py

lint-text:
	python3 scripts/check_structure.py
	python3 scripts/check_text.py

lint-scripts: lint-tools
	"$(TOOLS)/shellcheck" tests/*.sh .ci/run
	python3 -m unittest discover --quiet --start-directory scripts

# Every catalog column that a query reads is documented, and docs/catalog.md is up to date.
lint-catalog: lint-tools
	"$(TOOLS)/python" -B scripts/generate_catalog.py --check

# actionlint checks the scripts of the workflows with shellcheck.
lint-workflows: lint-tools
	"$(TOOLS)/zizmor" --quiet --offline .github
	[ ! -x "$(TOOLS)/actionlint" ] || PATH="$(TOOLS):$$PATH" actionlint

# Known vulnerabilities of the dependencies. This check needs the network, and can fail without a
# change in the project, so it is not a part of lint.
advisories: lint-tools
	"$(TOOLS)/cargo-deny" --log-level error check advisories

package:
	@sh tests/setup.sh package
	@sh tests/package.sh $(ARCH)

# Packages one function twice, at different paths, and compares the packages byte by byte.
verify-package:
	@sh tests/setup.sh package
	@sh tests/reproducible.sh $(FUNCTION)

templates:
	@sh tests/setup.sh template
	"$(TOOLS)/python" scripts/generate_templates.py

# cfn-lint checks every template. They have one source, so SAM's own check of two is sufficient.
verify-template:
	@sh tests/setup.sh template
	"$(TOOLS)/python" scripts/generate_templates.py --check
	"$(TOOLS)/cfn-lint" template.yaml deploy/sar/*.yaml
	@for template in template.yaml \
	    deploy/sar/SecretsManagerRDSPostgreSQLRotationMultiUser.yaml; do \
	    SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 "$(TOOLS)/sam" validate --lint \
	        --template $$template || exit 1; \
	done

# Everything that npm installs is in deploy/cdk/node_modules, in the versions of its lock file.
cdk:
	@sh tests/setup.sh cdk
	@echo "installing the packages of deploy/cdk/package-lock.json"
	@cd deploy/cdk && export PATH="$(TOOLS):$$PATH" && npm ci --silent && npm test --silent

sam-local:
	@sh tests/setup.sh template
	@sh tests/setup.sh lambda
	@sh tests/sam_local.sh

format:
	cargo fmt --all
