# make run    serve S3 on http://127.0.0.1:9000 with its data in ./data
# make test   everything that must hold: tests, types, layers, lint, generated code, the wheel
# make check  the same without the slow end: what to run before a commit
# make dev    only the environment, in .venv

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TRIAL := $(BIN)/python -m twisted.trial
# Not the packages below tests/storage/index: each of them is about one of the two.
ON_BOTH := tests.service $(subst /,.,$(basename $(wildcard tests/storage/index/test_*.py))) tests.storage.test_sweep tests.storage.integrity \
	tests.hostile tests.clients.test_boto3

.PHONY: run dev check test tests tests-postgres types layers lint generated wheel clean

run: $(VENV)/.post3-run
	exec $(BIN)/twistd --nodaemon --pidfile= post3 --backend=fs

dev: $(VENV)/.post3-dev

check: lint types layers generated tests tests-postgres

test: check wheel

# One stamp for what serving needs and one for what developing needs, so that a second `make run` installs nothing.
$(VENV)/.post3-run: setup.cfg pyproject.toml constraints.txt tools/environment.sh
	PYTHON=$(PYTHON) tools/environment.sh $(VENV)
	touch $@

$(VENV)/.post3-dev: setup.cfg pyproject.toml constraints.txt tools/environment.sh
	PYTHON=$(PYTHON) tools/environment.sh $(VENV) dev
	touch $@ $(VENV)/.post3-run

# A coroutine that nobody awaits is a test that did not run.
tests: export PYTHONWARNINGS := error::RuntimeWarning
tests: dev
	$(TRIAL) $(TRIAL_OPTIONS) tests

# The suites that know no backend, once more on PostgreSQL.
tests-postgres: export PYTHONWARNINGS := error::RuntimeWarning
tests-postgres: export POST3_TEST_BACKEND := postgres
tests-postgres: dev
	$(TRIAL) $(TRIAL_OPTIONS) $(ON_BOTH)

types: dev
	$(BIN)/mypy

layers: dev
	$(BIN)/lint-imports --config setup.cfg --no-cache

lint: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

generated: dev
	$(BIN)/python -m tools.generate_api --check

# Installs the wheel into an empty environment and talks to the server that it starts.
wheel: dev
	$(BIN)/python tools/check_wheel.py

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .import_linter_cache
