# `make demo` shows Hookferry, `make test` tests it. Both install what they need into .venv.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# A test with Kafka waits for most of its time, so three processes keep two cores busy. More processes would delay each
# other: the tests measure sessions and deadlines, and each process runs a broker and up to four bridges.
WORKERS ?= 3
# Python compiles a module when it is first imported and keeps the result. The tests start hundreds of processes, which
# would all compile again if the environment set this variable.
unexport PYTHONDONTWRITEBYTECODE
CHECKS := check-mypy check-pyright check-style check-floors check-generated check-prose
# The rules, the path and their wiring: what most changes break first. In one process, because a second one imports and
# collects all of it again and so gains nothing. The simulation of overloaded receivers takes eight seconds of its own.
QUICK_TESTS := $(addprefix tests/unit/,core pipeline wiring dead_letters kafka app telemetry) \
	--ignore=tests/unit/core/test_adaptive_limit_simulation.py
# The tests of what depends most on the version of the broker: groups and commits, delivery through stops and a kill -9,
# transactions, the creation of topics. All other tests on Kafka run on the default version of tests/support/kafka_jars.py.
KAFKA_4 := 4.4.0
ON_KAFKA_4 := $(addprefix tests/integration/test_,kafka_itself.py guarantee.py offsets_of_many_groups.py transactions.py)
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' bridge/__init__.py)
BUILDER ?= docker
# Keep equal to the default in the Dockerfile. A tag may move; for a release set the digest: python@sha256:…
PYTHON_IMAGE ?= python:3.14-slim
AUDIT := .tools/audit
UV_COMPILE = uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	--python-version 3.11 --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-kafka-4 test-fast test-quick lint $(CHECKS) format bench bench-steps verifiers faults docs lock pictures chart \
	chart-tools image sbom audit clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv with all dependencies, pinned by hash

$(READY): requirements-dev.lock pyproject.toml
	@echo "Installing the pinned dependencies into $(VENV): about a minute, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## run broker, receivers and bridge in one terminal (KEEP=1: until Ctrl-C)
	$(BIN)/hookferry demo $(if $(KEEP),--keep)

test: $(READY) ## run all tests, also those on real Apache Kafka (Java 17 and Maven)
	$(BIN)/python -m pytest -n $(WORKERS)

test-kafka-4: $(READY) ## run the tests on Kafka's groups, commits and transactions on Apache Kafka 4
	KAFKA_VERSION=$(KAFKA_4) $(BIN)/python -m pytest -n $(WORKERS) $(ON_KAFKA_4)

test-fast: $(READY) ## run the tests that need no Kafka, some minutes
	$(BIN)/python -m pytest -m "not kafka and not slow"

test-quick: $(READY) ## run the tests of rules, path and wiring, under 20 s
	$(BIN)/python -m pytest -q -m "not kafka and not slow" $(QUICK_TESTS)

lint: $(READY) ## check types, style, floors and generated files
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

check-prose:
	$(BIN)/python -m tools.plain_english

format: $(READY) ## fix the style and write the generated files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m tools.docs

# A run of all cells writes its figures into the documentation, another one only with PUBLISH=1.
COMPARE := $(if $(QUICK),--quick) $(if $(QUICK)$(CELLS)$(BASE),$(if $(PUBLISH),--publish),--publish) $(if $(BASE),--base $(BASE)) \
	$(if $(MARGIN),--margin $(MARGIN)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(CELLS),--only $(CELLS))

bench: $(READY) ## measure the speed on real Kafka next to a Go consumer, 40 minutes (QUICK=1: 3; BASE=main: judge a change)
ifneq ($(BENCH),)
	$(BIN)/python -m tests.bench.bench $(BENCH)
else
	$(BIN)/python -m tests.bench.compare $(COMPARE)
endif

bench-steps: $(READY) ## measure the CPU of single steps: decoding, filters, templates, signatures
	$(BIN)/python -m tests.bench.decode
	$(BIN)/python -m tests.bench.routing
	$(BIN)/python -m tests.bench.templates
	$(BIN)/python -m tests.bench.signing
	$(BIN)/python -m tests.bench.scrub

verifiers: ## install the JavaScript libraries that verify our signatures in a test (needs npm)
	npm ci --prefix tests/support/verifiers/node --ignore-scripts --no-audit --no-fund

faults: $(READY) ## run bridges under half an hour of faults, then count every event (FAULTS="--seconds 60 …")
	$(BIN)/python -m tests.faults.harness $(FAULTS)

docs: $(READY) ## write the generated files of docs/ and schemas/
	$(BIN)/python -m tools.docs

pictures: $(READY) ## take the pictures of docs/how-to/console.md again (needs Chromium)
	PICTURES=1 $(BIN)/python -m pytest -q tests/e2e/test_console_in_chromium.py -k pictures

chart: ## lint and test the Helm chart (with the tools of chart-tools, or helm on the PATH or in HELM)
	tests/chart/check.sh

chart-tools: $(READY) ## build helm, helm-unittest and kubeconform into build/chart-tools (needs Go 1.26)
	PYTHON=$(abspath $(BIN))/python tests/chart/tools/build.sh build/chart-tools

lock: ## pin all dependencies again, by hash and without the name of an index (needs uv)
	$(UV_COMPILE) --extra otel --extra postgresql pyproject.toml -o requirements.lock
	$(UV_COMPILE) --extra otel --extra postgresql --extra msk --constraints requirements.lock pyproject.toml -o requirements-msk.lock
	$(UV_COMPILE) --group pyproject.toml:build -o requirements-build.lock
	$(UV_COMPILE) --group pyproject.toml:chart --no-deps -o requirements-chart.lock
	$(UV_COMPILE) --extra demo --extra otel --extra postgresql --group dev --constraints requirements.lock pyproject.toml -o requirements-dev.lock

image: ## build the container image, tagged with the version (BUILDER=podman; PYTHON_IMAGE=python@sha256:… fixes its base)
	$(BUILDER) build --tag hookferry:$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) .

sbom: $(READY) ## write the bills of materials of wheel and image into dist/ (CycloneDX; PYTHON_IMAGE as for image)
	$(BIN)/python -m hatchling build --target wheel
	$(BIN)/python -m tools.sbom --wheel dist/hookferry-$(VERSION)-py3-none-any.whl --base $(PYTHON_IMAGE) --into dist

audit: $(AUDIT) ## ask for known vulnerabilities of all dependencies; ends with NO DATA and an error if nothing answers
	$(AUDIT)/bin/python -m tools.audit

$(AUDIT):
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check pip-audit || { rm -rf $@; \
		echo "NO DATA: pip-audit cannot be installed, so no dependency was audited."; exit 3; }

clean: ## remove .venv, builds and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
