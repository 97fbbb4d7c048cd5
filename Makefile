# `make demo` and `make test` need only Python 3.11 or newer; both create .venv on first use.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
INSTALL := $(BIN)/pip install --quiet -c constraints.txt -e

.PHONY: demo test check bench docs clean

demo: $(VENV)/.installed
	$(BIN)/hdrpatches demo demo

test: check
	$(BIN)/pytest -n auto

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.installed-test
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.speed.run

# Three steps, so that the demo does not wait for the test tools, which double the size of .venv.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) '.[test]'
	# Without its dependencies: torchvision has to match the build of torch, and the tests do without it.
	$(BIN)/pip install --quiet --no-deps -c constraints.txt basicsr || echo "no BasicSR here; its tests will skip"
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(INSTALL) '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) demo site
