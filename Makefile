# Q-Store's everyday commands; `make` alone lists them.
#
# make install builds .venv with PYTHON and with whatever pip is set up with on this machine (indexes, find-links,
# certificates). torch comes from there too: on Linux the package index gives the CUDA build (about 2.7 GB). For the
# CPU build (about 0.2 GB) let pip find a +cpu wheel of the pinned version, for example
#     PIP_FIND_LINKS=<folder with the wheel> make install
#     PIP_EXTRA_INDEX_URL=<PyTorch's CPU index, see its installation page> make install

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS ?= .venv-peers
PEERS_STAMP := $(PEERS)/.installed
CLIENTS ?= .venv-clients
CLIENTS_STAMP := $(CLIENTS)/.installed
WORKERS ?= 2

OUTPUT ?= runs/digits
SEED ?= 0
THRESHOLD ?= 0.90
MODEL_CONFIG ?= @pipelines/configs/digits.json
MODEL ?= $(OUTPUT)/model
HOST ?= 127.0.0.1
PORT ?= 8080

.DEFAULT_GOAL := help
.PHONY: help install run test clients lint format pipelines serve ui bench bench-peers clean distclean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Build .venv with Q-Store and everything it needs (again only when the requirements changed)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Q-Store needs Python 3.11 or newer; name one with: make install PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "error: $(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing torch, then everything else, into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(STAMP) ## Run the training pipeline on handwritten digits (OUTPUT=, SEED=, THRESHOLD=, MODEL_CONFIG=)
	$(BIN)/qstore pipeline run --dataset builtin:digits --model-config '$(MODEL_CONFIG)' --seed $(SEED) \
	  --threshold $(THRESHOLD) --output $(OUTPUT)

test: $(STAMP) $(CLIENTS_STAMP) ## Run all tests (WORKERS= processes)
	QSTORE_REQUIRE_CLIENTS=1 QSTORE_CLIENTS_PYTHON=$(abspath $(CLIENTS))/bin/python \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

clients: $(CLIENTS_STAMP) ## Build .venv-clients: cirq-ionq, qiskit-ionq, pennylane-ionq and ionq-core, for `make test`

$(CLIENTS_STAMP): tests/conformance/requirements.txt
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@echo "Installing the clients of IonQ's API that the gateway is tested with into $(CLIENTS) (a minute)"
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

lint: $(STAMP) ## Check style, types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pipelines: $(STAMP) ## Compile the pipelines into pipelines/compiled
	$(BIN)/qstore pipeline compile

serve: $(STAMP) ## Serve the model of the last run over HTTP (MODEL=, HOST=, PORT=)
	$(BIN)/qstore serve --model $(MODEL) --host $(HOST) --port $(PORT)

ui: $(STAMP) ## Open MLflow's pages on the store of the last run at http://127.0.0.1:5000 (OUTPUT=)
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --workers 1 --backend-store-uri sqlite:///$(OUTPUT)/mlflow.db

bench-peers: $(PEERS_STAMP) ## Build .venv-peers: PennyLane, JAX, TensorCircuit-NG and Q-Store, for `make bench`

$(PEERS_STAMP): benchmarks/peers/requirements.txt pyproject.toml setup.py $(wildcard src/quantum_db/simulation/kernel/*pp)
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "Installing the peers and Q-Store into $(PEERS) (a few minutes the first time)"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

bench: $(PEERS_STAMP) ## Measure the simulator beside its peers, about an hour (BENCH="--cases 4 8 --limit 30")
	$(PEERS)/bin/python -m benchmarks.simulator $(BENCH)

clean: ## Remove caches and build outputs (runs/ stays)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache local_outputs
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove the environment too
	rm -rf $(VENV) $(PEERS) $(CLIENTS)
