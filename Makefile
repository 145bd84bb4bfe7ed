# Everything runs from svc/, by uv. Each target brings what it needs: `make run` alone is enough.

uv_version := 0.13.9
ruff := ruff@0.17.6
mypy := --with mypy==2.4.1 --with types-psycopg2==2.9.21.20261008
python_version := $(shell cat svc/.python-versions)

PORT := 8000
pytest_cov := uv run python -m pytest --cov --cov-report= --cov-fail-under=0

SECONDS := 60
WATCHERS := 10000
EXAMPLES := 200
ROUNDS := 5

# As they were given: neither make nor the shell expands anything in them.
override NAME := $(value NAME)
override SCOPE := $(value SCOPE)
override APPLICATION := $(value APPLICATION)
export NAME SCOPE APPLICATION

# Empty where PATH has a uv that works: a shim may be there and lead nowhere.
own_uv := $(shell uv --version >/dev/null 2>&1 || echo .tools/uv-$(uv_version)/bin/uv)
# Empty where the virtual environment is there.
new_venv := $(shell svc/.venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' \
	2>/dev/null || echo new-venv)

ifdef own_uv
export PATH := $(CURDIR)/$(dir $(own_uv)):$(PATH)
endif
# The Python that `install` found is the one that all of them use.
export UV_PYTHON := .venv
# Where the machine keeps certificates, uv trusts those too, as pip does: a company may have its own.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/* /etc/ssl/cert.pem),true,false)
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT

.PHONY: help install new-venv db-up db-down db-reset migrate run test test-others test-beside \
	test-unit test-integration test-faults test-clients fuzz bench token lint clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

install: $(own_uv) $(new_venv) ## Install the dependencies into svc/.venv, and uv and Python if need be
	@echo "Installing the dependencies"
	@cd svc && uv sync --quiet --compile-bytecode

db-up: install ## Start PostgreSQL on localhost, unless DATABASE_URL answers already
	@cd svc && uv run python -m dev.postgres up

db-down: install ## Stop the PostgreSQL that db-up started; its data stays
	@cd svc && uv run python -m dev.postgres down

db-reset: db-up ## Replace the database by a fresh one; FORCE=yes if db-up did not start its server
	@cd svc && uv run python -m dev.postgres reset
	@cd svc && uv run python -m migrations

migrate: db-up ## Apply the migrations that are pending
	@echo "Applying the migrations"
	@cd svc && uv run python -m migrations

run: migrate ## Serve on http://localhost:8000, or PORT=8001, reloading on change; Ctrl-C stops it
	@reason=$$(svc/.venv/bin/python -c \
		'import socket, sys; socket.create_server(("127.0.0.1", int(sys.argv[1])))' '$(PORT)' 2>&1) || { \
		reason=$${reason##*Error: }; reason=$${reason#*] }; reason=$${reason%% (*}; \
		echo "Port $(PORT) cannot be used: $${reason%.}." \
			"To take another: make run PORT=8001" >&2; exit 1; \
	}
	@echo "Starting the server"
	@cd svc && export LOG_FORMAT=$${LOG_FORMAT:-text}; exec uv run python -m uvicorn main:app --reload --port '$(PORT)' --ws none

# Two halves side by side, each with a database of its own: many tests mostly wait.
test: migrate ## Run all tests, with coverage
	@echo "Running all tests: one half is shown while it runs, the other after it"
	@$(MAKE) --silent --no-print-directory --jobs=2 --keep-going test-others test-beside; \
	status=$$?; cat svc/.beside.log; exit $$status
	@cd svc && uv run python -m coverage combine --quiet --append .coverage_beside
	@cd svc && uv run python -m coverage report

# The tests start Python some eighty times. To compile the sources again would be half of each start.
test-others test-beside: export PYTHONDONTWRITEBYTECODE :=

test-others:
	@cd svc && $(pytest_cov) -m "not beside and not fuzz and not clients"

test-beside:
	@cd svc && COVERAGE_FILE=.coverage_beside \
		$(pytest_cov) --database beside_test -m "beside and not fuzz and not clients" >.beside.log 2>&1

test-unit: install ## Run the tests that need no database
	@echo "Running the unit tests"
	@cd svc && uv run python -m pytest -m "not database and not faults and not fuzz and not clients"

test-integration: migrate ## Run the integration tests only
	@echo "Running the integration tests"
	@cd svc && uv run python -m pytest test_integration.py test

test-faults: migrate ## Kill, freeze and crowd for long: SECONDS=60 each, WATCHERS=10000
	@echo "Running the fault tests, $(SECONDS) seconds each"
	@cd svc && uv run python -m pytest -m faults --seconds $(SECONDS) --watchers $(WATCHERS) -rP

test-clients: migrate ## Lint the OpenAPI document, generate clients from it, and try those
	@echo "Generating clients and trying them"
	@cd svc && uv run python -m pytest -m clients -rs

fuzz: migrate ## Try the OpenAPI document, and JSON Schema, at random: EXAMPLES=200 of each operation
	@echo "Running schemathesis, and the jsonschema library beside the database"
	@cd svc && uv run python -m pytest -m fuzz --examples $(EXAMPLES) -s

bench: SECONDS := 3
bench: migrate ## Measure the service beside its limits, and plot that: ROUNDS=5 of SECONDS=3 each
	@echo "Measuring: $(ROUNDS) rounds, $(SECONDS) seconds for each workload"
	@cd svc && uv run python -m dev.bench.run --rounds $(ROUNDS) --seconds $(SECONDS)

token: install ## Make a bearer token: NAME=ci SCOPE=write, if confined APPLICATION=billing
	@cd svc && uv run python -m edge.tokens "$$NAME" "$$SCOPE" $${APPLICATION:+"$$APPLICATION"}

lint: install ## Check style and types
	@cd svc && uvx $(ruff) check
	@cd svc && uvx $(ruff) format --check
	@cd svc && uv run $(mypy) python -m mypy .

clean: ## Remove caches and coverage data
	@echo "Removing caches and coverage data"
	@cd svc && rm -rf .coverage* .beside.log htmlcov .mypy_cache .pytest_cache .ruff_cache
	@find svc -name .venv -prune -o -name .postgres -prune -o -name __pycache__ -exec rm -rf {} +

$(own_uv):
	@echo "Getting uv $(uv_version) from the Python package index into .tools"
	@export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore; \
	if python3 -m pip --version >/dev/null 2>&1; then \
		python3 -m pip install -qq --upgrade --target $(@D)/.. uv==$(uv_version); \
	else \
		python3 -m venv --clear $(@D)/.. && $(@D)/python -m pip install -qq uv==$(uv_version); \
	fi || { echo "No uv: python3 needs pip or venv, and reach to the package index." \
		"Or install uv yourself." >&2; exit 1; }

# uv knows the Pythons of PATH: those that pyenv keeps without activating them are added for it.
new-venv: $(own_uv)
	@echo "Creating svc/.venv with Python $(python_version), which uv downloads where it is missing"
	@cd svc && for bin in "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13*/bin; do \
		PATH="$$PATH:$$bin"; \
	done; \
	create() { uv venv --quiet --clear --python "$$@" .venv; }; \
	reason=$$(create $(python_version) 2>&1) || { \
		echo "$$reason" >&2; \
		create 3.13 --no-python-downloads && \
		echo "It cannot be downloaded here: using $$(.venv/bin/python --version) instead." \
			"For uv by hand: export UV_PYTHON=.venv"; \
	} || { \
		echo "No Python 3.13: let uv reach its download site, or name a copy of that" \
			"in UV_PYTHON_INSTALL_MIRROR, or install Python 3.13 (pyenv will do)." >&2; exit 1; \
	}
