# Two commands set up everything they need in .venv and run: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test lint clean

demo: $(VENV)/.demo  ## track through the bundled clip, show how well, and where it would be lost
	$(BIN)/maskscope demo --out demo-out --overwrite

test: $(VENV)/.test  ## all tests
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.lint  ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch goes first, by its exact version. On Linux the default build brings its GPU libraries (gigabytes); for the CPU
# build, configure pip to prefer an index that has it.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(PIP) install --quiet "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test,train]'
	@touch $@

$(VENV)/.lint: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) demo-out
