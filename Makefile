# `make demo` and `make test` need Python 3.11 or later (with its venv module) and make, nothing else.

VENV := .venv
export PYTHON3
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
# More options for pip, for example the address of an index that has a CPU build of PyTorch.
PIP_FLAGS ?=
DEMO_CLIP := samples/phone_dog.mp4
DEMO_OUTPUT := out/phone_dog.x4.2x.mp4

.PHONY: help demo test test-slow check format docs install install-dev clean

help:
	@echo "make demo        upscale $(DEMO_CLIP) by four at twice its frame rate"
	@echo "make test        style, types, import rules, then the tests (coverage from Python 3.12 on)"
	@echo "make test-slow   the tests that take longer"
	@echo "make check       style, types and import rules only"
	@echo "make format      format the code"
	@echo "make docs        build the documentation site in site/"
	@echo "make clean       remove $(VENV), out/, site/ and every cache"

demo: install
	@mkdir -p out
	$(VENV)/bin/vidsr enhance $(DEMO_CLIP) --scale 4 --fps 2x --overwrite -o $(DEMO_OUTPUT)
	@echo "Source: $(DEMO_CLIP)"
	@echo "Output: $(DEMO_OUTPUT)"

test: install-dev
	scripts/check
	scripts/test

test-slow: install-dev
	scripts/test --slow

check: install-dev
	scripts/check

format: install-dev
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

# Strict: a dead link fails. (--quiet would hide the warnings that strict mode counts.)
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict
	@echo "Documentation: site/index.html"

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# Stamp files: pip runs again only after one of its inputs has changed.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install $(PIP_FLAGS) -c constraints.txt setuptools
	$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e '.[dev,community]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e '.[docs]'
	@touch $@

$(VENV)/bin/python:
	python=$$(scripts/find-python) && "$$python" -m venv $(VENV)

clean:
	rm -rf $(VENV) out site build dist *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find vidsr tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
