# Two commands on a fresh machine: `make demo` and `make test`. Each makes its own virtual environment.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test check docs install install-test clean

demo: install
	@echo "Running the bundled study; the first time the fits are compiled, a minute or two."
	$(BIN)/plkit demo --output demo-results

test: install-test
	$(BIN)/python -m pytest -n logical --dist loadfile

check: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# PLKIT_DOCS_EXECUTE=1 also runs the notebooks, so that their figures are on the pages.
docs: install-test
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

# Debian ships python3 without ensurepip; then pip installs pip into the new environment.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install -q pip; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing plkit and what it needs into $(VENV), about 1 GB: some minutes, once."
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[all]"
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	@echo "Installing plkit with its tests and docs into $(VENV): some minutes, once."
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[all,test,docs]"
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo-results docs/_build docs/generated
