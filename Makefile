# Everything runs in .venv, made on first need. PYTHON chooses the interpreter that makes it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CODE := puller testregistry tests bench
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help dev demo format lint types fast test check torture bench registry clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/run-time: pyproject.toml constraints.txt
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/everything: $(VENV)/run-time
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

dev: $(VENV)/everything  ## make .venv with all that development needs

demo: $(VENV)/run-time  ## pull a real image from a registry started here: no network needed
	@$(RUN) -m testregistry.demo

format: $(VENV)/everything  ## rewrite the code in the one format
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lint: $(VENV)/everything  ## format and lint, nothing rewritten
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

types: $(VENV)/everything  ## strict types
	@$(BIN)/mypy

check: lint types fast  ## before every commit: format, lint, types, import law, fast tests

fast: $(VENV)/everything  ## the fast tests, but the test registry's own
	@$(RUN) -m pytest -q -n 2 -m 'not slow and not torture' --ignore tests/testregistry $(PYTEST_ARGS)

test: lint types  ## everything but the exhaustive proofs
	@$(RUN) -m pytest -q -n 3 --dist worksteal -m 'not torture' $(PYTEST_ARGS)

torture: $(VENV)/everything  ## the exhaustive proofs: a failure at every system call
	@$(RUN) -m pytest -q -m torture $(PYTEST_ARGS)

bench: $(VENV)/everything  ## against skopeo and the machine's floor, in one run
	@$(RUN) -m bench.run

registry: $(VENV)/run-time  ## run the test registry by hand
	@$(RUN) -m testregistry --port 5000

clean:  ## forget .venv and caches
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
