# The commands for developers. Each command installs what it needs, and reports it.

TOOLS := $(CURDIR)/target/tools/bin
export ROTATION_SERVERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rotation-servers

.PHONY: help demo test reliability fidelity fuzz bench lint format package verify-template sam-local

help:
	@echo "make demo                       Rotate secrets of a temporary PostgreSQL server"
	@echo "make test                       Run all tests, with a sample of the fault points"
	@echo "make reliability                Run every fault point, and update docs/reliability.md"
	@echo "make fidelity [SUITE=all]       Judge the fake servers with independent programs"
	@echo "make fuzz [SECONDS=60]          Run the fuzz targets, some against real servers"
	@echo "make bench [AGAINST='COMMAND']  Measure the function, alone or against another one"
	@echo "make lint                       Check formatting, clippy, rustdoc, licences, structure"
	@echo "make format                     Format the code"
	@echo "make package [ARCH=arm64]       Package the functions for Lambda, in target/lambda"
	@echo "make verify-template            Check template.yaml with sam validate and cfn-lint"
	@echo "make sam-local                  Run each function with sam local invoke, in Docker"

demo:
	@sh tests/setup.sh demo
	@echo "building (the first build takes some minutes)"
	@cargo build --quiet -p rotation-local -p rotation-postgres
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
# tests of SQL Server and Oracle run while the fake servers record; SUITE=all adds recovery tests.
RECORDING := $(CURDIR)/target/fidelity
SUITE ?= without-recovery
JUDGED := (binary(sqlserver) or binary(oracle)) $(if $(filter all,$(SUITE)),,and not \
    (test(recovery::) or test(step_ordering::) or test(fault_injection_)))
fidelity: export FIDELITY_RECORD = $(RECORDING)
fidelity: export FIDELITY_REQUIRED = yes
fidelity: export TEST_ENGINES = sqlserver oracle
fidelity:
	@sh tests/setup.sh fidelity
	@rm -rf "$(RECORDING)"
	@$(MAKE) --no-print-directory test TESTS='binary(fidelity) or $(JUDGED)'
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

# Runs each target of tests/fuzz for SECONDS seconds. TARGETS=secret selects one target. Malformed
# input must give a typed error.
SECONDS ?= 60
TARGETS ?= event secret mysql_shown mysql_login postgres_login postgres_quoting mysql_quoting \
    postgres_scram
fuzz:
	@sh tests/setup.sh fuzz
	cargo build -p rotation-tests --bin with-servers
	@for target in $(TARGETS); do \
	    mkdir -p tests/fuzz/corpus/$$target; echo "fuzzing $$target for $(SECONDS) s"; \
	    TEST_ENGINES="$$(case $$target in postgres_login) echo none ;; postgres*) echo postgres ;; \
	        mysql_quoting) echo mysql mariadb ;; *) echo none ;; esac)" \
	    target/debug/with-servers "$(TOOLS)/cargo-fuzz" fuzz run --fuzz-dir tests/fuzz \
	        --target-dir target/fuzz --sanitizer none --features servers $$target \
	        $$(ls -d tests/fuzz/corpus/$$target tests/fuzz/seeds/$$target 2>/dev/null) -- \
	        -max_total_time=$(SECONDS) -max_len=4096 -verbosity=0 -print_final_stats=1 || exit 1; \
	done

lint:
	@sh tests/setup.sh lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	"$(TOOLS)/cargo-deny" --log-level error check bans licenses sources
	python3 scripts/check_structure.py
	python3 scripts/check_text.py

package:
	@sh tests/setup.sh package
	@sh tests/package.sh $(ARCH)

verify-template:
	@sh tests/setup.sh template
	"$(TOOLS)/cfn-lint" template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 "$(TOOLS)/sam" validate --lint \
	    --template template.yaml

sam-local:
	@sh tests/setup.sh template
	@sh tests/setup.sh package
	@sh tests/sam_local.sh

format:
	cargo fmt --all
