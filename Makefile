# Two commands: `make demo` and `make test`. Needs Python 3.11 or later (with its venv module) and make, nothing else.

VENV := .venv
export PYTHON3
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
# More options for pip, for example an index that has a CPU-only PyTorch.
PIP_FLAGS :=
DEMO_CLIP := samples/phone_dog.mp4
DEMO_RESULT := out/phone_dog.x4.2x.mp4

.PHONY: help demo test check format install install-dev clean

help:
	@echo "make demo     enhance $(DEMO_CLIP) four times larger and at twice its frame rate"
	@echo "make test     style, types, import rules, then the tests with their coverage"
	@echo "make check    style, types and import rules only"
	@echo "make format   put the code in the house style"
	@echo "make clean    remove $(VENV), out/ and every cache"

demo: install
	@mkdir -p out
	$(VENV)/bin/vidsr enhance $(DEMO_CLIP) --scale 4 --fps 2x --overwrite -o $(DEMO_RESULT)
	@echo "The sample:  $(DEMO_CLIP)"
	@echo "The result:  $(DEMO_RESULT)"

test: install-dev
	scripts/check
	scripts/test

check: install-dev
	scripts/check

format: install-dev
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# The stamps: pip runs again only when what it reads has changed.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install $(PIP_FLAGS) -c constraints.txt setuptools
	$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install $(PIP_FLAGS) -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

$(VENV)/bin/python:
	python=$$(scripts/find-python) && "$$python" -m venv $(VENV)

clean:
	rm -rf $(VENV) out build dist *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find vidsr tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
