# Patron: everything a developer does, by name. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := .venv/bin
UV_VERSION := 0.13.9
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3),python3.11)
PACKAGES := customer orders service_desk scoring
MANIFESTS := $(wildcard pyproject.toml shared/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml)

# Arguments: make chaos FAULTS=200 SEED=7, make token ROLE=agent, make run PORT_OFFSET=100
FAULTS ?= 20
SEED ?= 1
ROLE ?= manager
CUSTOMER_ID ?=
ARGS ?=
export PORT_OFFSET

.PHONY: help setup run up test check contracts format bench chaos rebuild token clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | while IFS='|' read -r name text; do \
		printf '  \033[1m%-9s\033[0m %s\n' "$$name" "$$text"; done

setup: .venv/.ready ## Make .venv with everything in it; quick when nothing changed

.venv/.ready: uv.lock $(MANIFESTS)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Patron needs Python 3.11, and '$(PYTHON)' is not one. Install it, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11"; \
		exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making .venv"; "$(PYTHON)" -m venv --clear .venv; } || { \
		echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3.11-venv"; exit 1; }
	@$(BIN)/uv --version 2>/dev/null | grep -q "uv $(UV_VERSION)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || { \
		echo "The packages could not be fetched. Check the network and pip's settings, then start again."; exit 1; }
	@echo "installing what uv.lock names"
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --frozen --all-packages --inexact --compile-bytecode --python $(BIN)/python
	@touch $@

run: setup ## Start everything on this machine and play the demonstration
	@exec $(BIN)/python -m stack run

up: setup ## The same without the demonstration
	@exec $(BIN)/python -m stack up

test: setup ## Run all tests, with a short round of chaos
	$(BIN)/pytest -q tests/unit tests/service tests/contract tests/system
	@$(MAKE) --no-print-directory chaos FAULTS=$(FAULTS)

check: setup ## Lint, types, architecture, migrations and event contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m shared.events check
	$(BIN)/python -m stack check-migrations

contracts: setup ## Write the event contracts anew from the code; breaking changes are refused
	$(BIN)/python -m shared.events write

format: setup ## Format the code and sort the imports
	$(BIN)/ruff check --fix --select I
	$(BIN)/ruff format

bench: setup ## Measure throughput and latency, as tables: ARGS="a c" for some of a b c d e f
	$(BIN)/python -m tests.bench $(ARGS)

chaos: setup ## Kill, freeze and cut while writing, then check that nothing was lost: FAULTS=20 SEED=1
	FAULTS=$(FAULTS) SEED=$(SEED) $(BIN)/pytest -q --timeout=3600 tests/chaos $(ARGS)

rebuild: setup ## Build all of scoring again from the log, while Patron runs, and compare
	@$(BIN)/python -m stack rebuild

token: setup ## Print a token for the local services: ROLE=manager, or ROLE=customer CUSTOMER_ID=…
	@$(BIN)/python -m stack token --role "$(ROLE)" $(if $(CUSTOMER_ID),--customer-id "$(CUSTOMER_ID)")

clean: ## Remove the data of earlier runs; refused while Patron runs
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m stack clean; else rm -rf .local; fi
