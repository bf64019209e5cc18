# What a newcomer types. Needs python3 (3.11 to 3.13) with its venv module, and make; nothing else is installed by hand.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SYSTEM ?= prestashop

.PHONY: help setup services demo ui up test drills check lint types imports sql live bench bench-full clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "  make live reads ETALON_LIVE_PRESTASHOP_URL, _KEY or ETALON_LIVE_WOOCOMMERCE_URL, _KEY, _SECRET (CONTRIBUTING.md)"

setup: $(STAMP) ## Create .venv with every dependency, each checked by its hash
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "python3 must be 3.11, 3.12 or 3.13: make setup PYTHON=python3.12"; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
	  || { echo "the venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --no-build-isolation -e .
	@# Byte code is written now: dagster starts three times slower without it, and some machines never write it later.
	@# A few packages ship templates that are no Python; they do not compile and need not.
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	@touch $@

services: $(STAMP)
	@scripts/test_services.sh

demo: $(STAMP) ## Start the sandbox retailer, read it, build referentials and KPIs, compare with the truth
	$(BIN)/etalon demo

ui: $(STAMP) ## Show assets, checks and metadata in Dagster's UI
	$(BIN)/etalon ui

up: $(STAMP) ## Run as a service: your retailer, or a living sandbox when there is none
	@scripts/programs.sh postgresql
	@if [ -f .env ] || [ -n "$$ETALON_ENV_FILE$$ETALON_DATA_DIR$$ETALON_SECRET_KEY$$ETALON_RETAILER" ]; \
	  then exec $(BIN)/etalon up; else exec $(BIN)/etalon up --sandbox; fi

test: $(STAMP) services ## Run every test but the drills, on two processes
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not drill"

drills: $(STAMP) services ## Break things on purpose and try long: sources, disks, processes, random histories
	$(BIN)/python -m pytest tests -m drill -n 2 --dist loadgroup

check: lint types imports sql test ## Everything that must be green before a commit: style, types, layers, SQL, tests

lint: $(STAMP) ## Style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Types, strictly
	$(BIN)/mypy

imports: $(STAMP) ## Layers: orchestration -> assets -> resources, and what may not know what
	$(BIN)/lint-imports

sql: $(STAMP) ## Style of the SQL models
	$(BIN)/sqlfluff lint --processes 2 dbt_like_sql

live: $(STAMP) ## Connector tests against a shop of yours: make live SYSTEM=prestashop
	$(BIN)/python -m pytest tests/connectors -m live -k $(SYSTEM)

bench: $(STAMP) ## What Étalon costs beside what people would use instead, small sizes (benchmarks/README.md tells more)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m benchmarks.run --small --out data/benchmarks.json

bench-full: $(STAMP) ## The same at the sizes that the goals speak of; the figures go to docs/benchmarks.md
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m benchmarks.run --full --out data/benchmarks-full.json
	$(BIN)/python -m benchmarks.page data/benchmarks-full.json

clean: ## Remove the environment, caches and all data of the demo
	rm -rf $(VENV) data .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
