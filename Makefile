# Hookferry. `make demo` shows it, `make test` proves it; both install what they need into .venv.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Half the time of a test with Kafka is waiting, so two processes keep two cores busy. Not one for each core: the tests
# measure a broker's sessions and a bridge's deadlines, and each process runs a broker and up to four bridges.
WORKERS ?= 2
# Modules are compiled when they are first imported: not all that pip installs, and not by each of the hundreds of
# Python processes that tests start, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
CHECKS := check-mypy check-pyright check-style check-floors check-generated
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' bridge/__init__.py)
BUILDER ?= docker
UV_COMPILE = uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	--python-version 3.11 --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint $(CHECKS) format bench faults docs lock chart image clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## a virtual environment with everything, pinned by hash

$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## see it work: broker, receiver and bridge in one terminal (KEEP=1 stays up)
	$(BIN)/hookferry demo $(if $(KEEP),--keep)

test: $(READY) ## every test, real Apache Kafka included (Java 17 and Maven)
	$(BIN)/python -m pytest -n $(WORKERS)

test-fast: $(READY) ## the tests that need no broker
	$(BIN)/python -m pytest -m "not kafka and not slow"

lint: $(READY) ## style, types, floors, generated files
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(CHECKS)

$(CHECKS): $(READY)

check-mypy:
	$(BIN)/mypy

check-pyright:
	$(BIN)/basedpyright

check-style:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check-floors:
	$(BIN)/lint-imports

check-generated:
	$(BIN)/python -m tools.docs --check

format: $(READY) ## mend the style, write the generated files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m tools.docs

bench: $(READY) ## the figures of the README, on real Kafka (BENCH="--isolation": see docs/explanation/guarantees.md)
	$(BIN)/python -m tests.bench.bench $(BENCH)
ifeq ($(BENCH),)
	$(BIN)/python -m tests.bench.decode
	$(BIN)/python -m tests.bench.routing
	$(BIN)/python -m tests.bench.templates
endif

faults: $(READY) ## half an hour of kills, stops and outages, and the count after it (FAULTS="--seconds 60 …")
	$(BIN)/python -m tests.faults.harness $(FAULTS)

docs: $(READY) ## write the generated pages of docs/
	$(BIN)/python -m tools.docs

chart: ## lint and test the Helm chart (helm on the PATH or in HELM)
	tests/chart/check.sh

lock: ## pin all dependencies anew, with hashes and without naming an index (needs uv)
	$(UV_COMPILE) pyproject.toml -o requirements.lock
	$(UV_COMPILE) --group pyproject.toml:build -o requirements-build.lock
	$(UV_COMPILE) --extra demo --group dev pyproject.toml -o requirements-dev.lock

image: ## the container image, tagged with the version (BUILDER=podman)
	$(BUILDER) build --tag hookferry:$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

clean: ## remove what make made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
