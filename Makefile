# `make study` and `make test` need nothing but Python 3.11 or later: both install what they use into $(VENV), once.
#
#   make study                      the main job: 30 trainings x 100 pairs of handwritten digits, and its report
#   make test                       style, import floors, types, tests and doctests
#   make test-slow                  the tests marked slow, alone
#   make bench                      speed, large decoders, growth, spaces (installs the extra `bench`); ARGS="--quick", "--device cuda"
#   make study TORCH_INDEX=ADDRESS  take PyTorch from another package index as well, for example its CPU-only builds
#   make study RUN=FOLDER ARGS="--models 5 --latent-dim 8"

VENV ?= .venv
PYTHON ?=
TORCH_INDEX ?=
DATA ?= digits
RUN ?= runs/$(DATA)
ARGS ?=

BIN := $(VENV)/bin
SETUP := pyproject.toml constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
       $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

export OMP_NUM_THREADS := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help study test test-slow bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

study: $(VENV)/.installed
	@$(BIN)/egregium study $(DATA) --out $(RUN) $(ARGS)
	@$(BIN)/egregium report $(RUN)

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-slow: $(VENV)/.installed-test
	$(BIN)/pytest -m slow

bench: $(VENV)/.installed-bench
	@for study in speed large crossing growth spaces; do \
	  echo; echo "# $$study"; $(BIN)/python benchmarks/$$study.py $(ARGS) || exit 1; \
	done

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv $(VENV) && exit 0; \
	    echo "$$python could not make a virtual environment; install its venv module (on Debian: python3-venv)." >&2; exit 1; \
	  fi; \
	done; \
	echo "egregium needs Python 3.11 or later and found none; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	exit 1

# The stamps are written last, so that an interrupted installation is taken up again, and an installed one costs nothing.
$(VENV)/.installed: $(SETUP) | $(BIN)/python
	@echo "Installing egregium and what it needs into $(VENV); this is done once and takes a minute or two."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing the tools of the tests into $(VENV); this is done once."
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	@echo "Installing the packages that the benchmark compares with into $(VENV); this is done once."
	@$(PIP) --editable '.[bench]'
	@touch $@
