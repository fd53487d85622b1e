# Every target with a `##` is listed by `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What `systemd/install` takes, with the system's own interpreter as the one that runs the program.
PREFIX ?= /usr/local
DESTDIR ?=
INSTALL_PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
EXTRAS ?= nvml
export PREFIX DESTDIR INSTALL_PYTHON EXTRAS

# What `mutate` changes, all if empty, and how many changes of a package it tries, all if 0.
PACKAGES ?=
SAMPLE ?= 0

# For how many minutes `fuzz` looks altogether, and at what, all if empty.
MINUTES ?= 10
TARGETS ?=

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/
# The versions of Python packages, with hashes; empty for the newest. Debian's packages are those of the day: it keeps no others.
LOCK ?= .ci/requirements.txt
FUZZ_LOCK := .ci/requirements-fuzz.txt
# The oldest versions of what cdigen needs at run time, and the tests that run with them.
OLDEST_LOCK := .ci/requirements-oldest.txt
OLDEST_TESTS ?= tests/golden tests/cdi tests/parse tests/cli/test_commands.py tests/cli/test_errors.py tests/cli/test_imports.py \
  tests/cli/test_terminal.py tests/cli/test_usage.py
# As root, what Debian can bring is installed; as another user it has to be there.
APT := $(if $(filter 0,$(shell id -u)),DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends,echo "not root, not installing:")
# The tests that build or install cdigen with pip take the same versions for that. Before the recipe only: a variable that
# a target exports reaches its prerequisites, and one of them writes the file.
WITH_CONSTRAINTS := PIP_CONSTRAINT=$(abspath $(VENV))/constraints.txt PIP_BUILD_CONSTRAINT=$(abspath $(VENV))/constraints.txt
CONTAINER_PACKAGES := buildah git mmdebstrap
# The name of the image that `container` makes; empty for localhost/cdigen:VERSION.
NAME ?=
BASE_PACKAGES := python3 python3-venv ca-certificates

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: show
show: $(VENV)/installed ## Show the spec of this host, or of a bundled one if this host has no NVIDIA driver
	@$(RUN)cdigen generate --output - || { \
	  code=$$?; [ $$code = 3 ] || exit $$code; \
	  echo "This host has no NVIDIA driver, so this is the spec of golden/rocky9-615 (see golden/README.md):" >&2; \
	  $(RUN)cdigen generate --snapshot golden/rocky9-615/snapshot.yaml --output -; }

.PHONY: announce
announce:
	@echo "make test: up to an hour, about 1 GB of downloads and 6 GB kept in $${CDIGEN_TEST_CACHE:-$${XDG_CACHE_HOME:-~/.cache}/cdigen-test}" \
	  "the first time; later runs use what is there. The everyday part alone, a few minutes: make check"

.PHONY: test
test: announce packages $(VENV)/installed lint types layers ## Install what the tests need (as root), then run every test, on the real driver and engines too
	$(RUN)coverage erase
	$(WITH_CONSTRAINTS) $(RUN)pytest --cov --cov-report=term
	@$(MAKE) --no-print-directory check-oldest
	@echo "all tests ran"

.PHONY: check
check: $(VENV)/installed lint types layers ## The everyday part: lint, types, layers, tests without the real driver and engines
	$(RUN)pytest -q -n auto --dist loadfile -m "not real"

.PHONY: test-real
test-real: packages $(VENV)/installed ## Only the tests on the real driver and engines (as root)
	$(WITH_CONSTRAINTS) $(RUN)pytest -m real

.PHONY: lint
lint: $(VENV)/installed ## Check style and formatting
	$(RUN)ruff check .
	$(RUN)ruff format --check .

.PHONY: types
types: $(VENV)/installed ## Check types
	$(RUN)mypy

.PHONY: layers
layers: $(VENV)/installed ## Check that imports go one way
	$(RUN)lint-imports

.PHONY: format
format: $(VENV)/installed ## Format the code and mend what can be mended
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

.PHONY: driver
driver: packages $(VENV)/installed ## Download NVIDIA's real driver into the cache and make host trees around it; prints where
	$(RUN)python -m tests.real.make_driver

.PHONY: images
images: packages $(VENV)/installed ## Make the container images of the tests in the cache; prints where
	$(RUN)python -m tests.real.make_images

.PHONY: golden
golden: $(VENV)/installed ## Rewrite the expected specs of the golden hosts that differ; read the difference before you commit it
	$(RUN)pytest -q tests/golden --update-golden

.PHONY: bench
bench: packages $(VENV)/installed ## Measure time and memory on the real driver, as ratios to a bare interpreter
	$(RUN)python -m tests.bench

.PHONY: bench-start
bench-start: packages $(VENV)/installed ## Measure what a spec adds to a container's start, with runc and crun (as root)
	$(RUN)python -m tests.bench.start

.PHONY: bench-kubernetes
bench-kubernetes: $(VENV)/installed ## Measure watch and device-plugin: memory, waking, the first list, Allocate (as root)
	@$(RUN)python -m tests.bench.kubernetes

.PHONY: mutate
mutate: $(VENV)/installed ## Change the code and see which changes no test notices; PACKAGES="plan cdi" and SAMPLE=100 make it shorter
	$(RUN)python -m tests.mutation --sample $(SAMPLE) $(PACKAGES)

.PHONY: fuzz
fuzz: .venv-fuzz/installed ## Look for inputs that break a reader of foreign bytes; MINUTES=5 TARGETS="elf yaml" chooses
	.venv-fuzz/bin/python -m tests.fuzz --minutes $(MINUTES) $(TARGETS)

.venv-fuzz/installed: $(FUZZ_LOCK)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(if $(filter 0,$(shell id -u)),apt-get -qq update;) $(APT) $(BASE_PACKAGES); }
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/pip install -q --disable-pip-version-check --require-hashes -r $(FUZZ_LOCK)
	@touch $@

.PHONY: container
container: $(VENV)/installed ## Build cdigen's image from the commit that is checked out; NAME=registry/cdigen:tag names it (as root)
	@$(if $(filter 0,$(shell id -u)),missing=$$(for p in $(CONTAINER_PACKAGES); do \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || echo $$p; done); \
	if [ -n "$$missing" ]; then apt-get -qq update; $(APT) $$missing; fi)
	@BUILD_PYTHON=$(abspath $(RUN)python) packaging/container/build $(NAME)

.PHONY: install
install: ## Install cdigen and its units below PREFIX (/usr/local), in DESTDIR if that is given; see docs/boot.md
	@systemd/install install

.PHONY: uninstall
uninstall: ## Take away what install has put there
	@systemd/install uninstall

.PHONY: packages
packages:
	@missing=$$(for p in $(BASE_PACKAGES) $$(grep -v '^#' tests/real/packages.txt); do \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || echo $$p; done); \
	if [ -n "$$missing" ]; then $(if $(filter 0,$(shell id -u)),apt-get -qq update;) $(APT) $$missing; fi

$(VENV)/installed: pyproject.toml Makefile $(LOCK)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(if $(filter 0,$(shell id -u)),apt-get -qq update;) $(APT) $(BASE_PACKAGES); }
	$(PYTHON) -m venv $(VENV)
ifneq ($(LOCK),)
	$(RUN)pip install -q --disable-pip-version-check --require-hashes -r $(LOCK)
	$(RUN)pip install -q --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@sed -n 's/ *\\$$//; /^[^ #]/p' $(LOCK) >$(VENV)/constraints.txt
else
	$(RUN)pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
	$(RUN)pip install -q --disable-pip-version-check --upgrade --upgrade-strategy eager --group dev --editable .
endif
	@touch $@

.PHONY: lock
lock: ## Renew the versions of Python packages in .ci that development and CI install, and those that fuzz installs
	@set -e; place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; \
	$(PYTHON) -m venv "$$place"; "$$place/bin/pip" install -q --disable-pip-version-check uv; \
	lock() { "$$place/bin/uv" pip compile pyproject.toml "$${@:2}" --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet --output-file "$$1"; }; \
	lock .ci/requirements.txt --group dev --extra kubernetes --extra nvml; lock $(FUZZ_LOCK) --group fuzz; \
	lock packaging/container/requirements.txt --extra kubernetes --extra nvml --constraint .ci/requirements.txt; \
	lock $(OLDEST_LOCK) --resolution lowest-direct

.PHONY: check-newest
check-newest: ## The everyday part with the newest Python packages, in an environment of its own; nothing waits for it
	@rm -f .venv-newest/installed
	@$(MAKE) --no-print-directory check VENV=.venv-newest LOCK=

.PHONY: check-oldest
check-oldest: .venv-oldest/oldest ## Tests of the program with the oldest versions of what it needs; OLDEST_TESTS="tests -m 'not real'" runs all
	.venv-oldest/bin/pytest -q -n auto --dist loadfile $(OLDEST_TESTS)

.venv-oldest/oldest: pyproject.toml Makefile $(LOCK) $(OLDEST_LOCK)
	@$(MAKE) --no-print-directory .venv-oldest/installed VENV=.venv-oldest
	.venv-oldest/bin/pip install -q --disable-pip-version-check --no-deps --require-hashes -r $(OLDEST_LOCK)
	@touch $@

.PHONY: clean
clean: ## Remove what was built here; the cache of downloads stays
	rm -rf $(VENV) .venv-newest .venv-oldest .venv-fuzz build dist htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
