# `make demo` and `make test` are all that a newcomer needs; both set up what they need first.
# More arguments: make demo ARGS="--nodes 20", make test ARGS="-k journal".

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet
UV ?= uv
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate
READY := $(VENV)/ready
TYPINGS := $(VENV)/typings/ready
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11

.PHONY: setup demo test fuzz chaos survival radio lint types firmware docs format lock clean again

setup: $(READY)

# The file holds the folder it was made for: a moved tree, or a Python that is gone, is set up again.
ifneq ($(shell test -x $(PYTHON) && cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): again
endif

$(READY): requirements.lock pyproject.toml
	@rm -f $(READY)
	@if ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		found=; bare=; \
		for python in $(PYTHONS); do \
			$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
			if $$python -c 'import venv, ensurepip' 2>/dev/null; then found=$$python; break; fi; \
			bare=$$python; \
		done; \
		if [ -z "$$found" ] && [ -n "$$bare" ]; then \
			echo "$$bare has no venv: install it (on Debian: apt install python3-venv) and try again." >&2; \
			exit 1; \
		elif [ -z "$$found" ]; then \
			echo "Python 3.11 or newer is missing: install it (on Debian 12 or newer: apt install python3 python3-venv) and try again." >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$($$found --version)."; \
		$$found -m venv --clear $(VENV); \
	fi
	@echo "Installing the pinned packages of requirements.lock into $(VENV)."
	@$(PIP) install --require-hashes --requirement requirements.lock
	@echo "Installing this tree, with the command $(VENV)/bin/lilong."
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "Looking for MicroPython, which virtual nodes run on."
	@$(PYTHON) -m lilong_tools.runtime micropython >/dev/null
	@echo "$(CURDIR)" >$(READY)

demo: setup
	@echo "Running the demo; Ctrl-C ends it."
	@exec $(VENV)/bin/lilong demo $(ARGS)

# A long campaign of hostile bytes against both ends: make fuzz SECONDS=600
SECONDS ?= 60
fuzz: setup
	@echo "Attacking both ends of the wire for $(SECONDS) s."
	@$(PYTHON) protocol/tests/fuzz.py --seconds $(SECONDS)

# Kills, cuts, damages and fills at random, and accounts for every batch: make chaos RUNS=1000 SEED=2
SEED ?= 1
RUNS ?= 50
JOBS ?= $(shell echo $$((5 * $$(getconf _NPROCESSORS_ONLN))))
chaos: setup
	@echo "Breaking gateways, $(RUNS) runs, seed $(SEED)."
	@$(PYTHON) tools/tests/chaos --runs $(RUNS) --seed $(SEED) --jobs $(JOBS)

# Kills, pulls and noise on a street of MicroPython nodes: make survival SECONDS=600 SEED=2
survival: setup
	@echo "Breaking a street for $(SECONDS) s, seed $(SEED)."
	@LILONG_SURVIVAL_S=$(SECONDS) LILONG_SURVIVAL_SEED=$(SEED) \
		$(PYTHON) -m pytest -s tools/tests/test_survival.py -k whatever

# Drops, refusals, wedged adapters and kills on a virtual air: make radio SECONDS=600 SEED=2
radio: setup
	@echo "Breaking radios for $(SECONDS) s, seed $(SEED)."
	@LILONG_RADIO_S=$(SECONDS) LILONG_RADIO_SEED=$(SEED) \
		$(PYTHON) -m pytest -s tools/tests/test_ble_survival.py

# Tests that need what is not to be had here are skipped, each with its reason. They wait more than
# they compute, so twice as many run at a time as there are cores; make test ARGS="-n 0" has one.
WORKERS = $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
test: setup
	@echo "Looking for a 32-bit MicroPython, Mosquitto and a D-Bus daemon, which some tests run."
	@for program in micropython32 mosquitto mosquitto_sub dbus-daemon; do \
		$(PYTHON) -m lilong_tools.runtime $$program >/dev/null || true; \
	done
	@echo "Running the tests."
	@$(PYTHON) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: setup
	@echo "Checking style and layout (ruff)."
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .

types: setup $(TYPINGS)
	@echo "Checking types against CPython (mypy)."
	@$(VENV)/bin/mypy
	@echo "Checking types against MicroPython for the ESP32 (mypy)."
	@$(VENV)/bin/mypy --config-file firmware/mypy.ini

$(TYPINGS): firmware/typings.lock | setup
	@echo "Installing MicroPython's type stubs into $(VENV)/typings."
	@rm -rf $(VENV)/typings
	@$(PIP) install --no-deps --require-hashes --requirement firmware/typings.lock \
		--target $(VENV)/typings
	@touch $(TYPINGS)

# Sizes by module: make firmware; the biggest first: make firmware ARGS=--biggest.
BUNDLES := build/firmware
firmware: setup
	@echo "Compiling the firmware for the chips into $(BUNDLES)."
	@$(VENV)/bin/lilong firmware build --out $(BUNDLES) --arch xtensawin --arch rv32imc $(ARGS)

# The page that is made from the drivers' own words.
docs: setup
	@echo "Writing docs/drivers.md."
	@$(VENV)/bin/lilong drivers --markdown >docs/drivers.md

format: setup
	@echo "Formatting (ruff)."
	@$(VENV)/bin/ruff check --quiet --fix --select I .
	@$(VENV)/bin/ruff format --quiet .

lock:
	@echo "Pinning what pyproject.toml and the type checks ask for (uv)."
	@$(LOCK) --extra dev --output-file requirements.lock pyproject.toml
	@printf '%s\n' micropython-esp32-stubs micropython-stdlib-stubs \
		| $(LOCK) --output-file firmware/typings.lock -

clean:
	@echo "Removing $(VENV) and what the checks left; programs fetched once stay in the user's cache."
	@rm -rf $(VENV) $(BUNDLES) .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	@find . -path ./.git -prune -o -name __pycache__ -prune -exec rm -rf {} +
