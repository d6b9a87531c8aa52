# Two words to remember: `make play` and `make test`. The others are for those who work on clearkey.
# Everything is installed into .venv, and again only when pyproject.toml changed.

VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.ready-to-play
TEST   := $(VENV)/.ready-to-test
SOAK   ?= 25
SESSIONS ?= 500
LAUNCHES ?= 1000
SLOW   ?= 120
MESSAGES ?= 100000
KILLS  ?= 1000
FUZZ   ?= 1000000
PYTHON ?=

.PHONY: play test players oracle check bench soak fuzz mutate clean
.SILENT:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Hundreds of short processes run below: each would compile the code anew.
unexport PYTHONDONTWRITEBYTECODE

# Make a sample, start the license server, play the sample in the locked-down worker, leave build/demo/index.html.
play: $(RUN)
	$(BIN)/clearkey demo

# The suite that proves it. One part: make test ARGS="tests/unit -k pssh"
test: $(TEST)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# Every pinned player with each form of manifest, codec and scheme in Chromium: writes the table of what plays.
players: $(TEST)
	$(BIN)/python -m tests.browser.matrix $(ARGS)

# A real mf.dll as the judge: makes Wine's logs anew where Wine 10 or newer is, then every scenario on both kinds of session.
# ARGS="pause_start --kind pmp" plays one; --update writes down what differs now.
oracle: $(TEST)
	$(BIN)/python -m tests.interop.media_foundation --wine $(ARGS)

# What a reader should not have to look for: style, types, import contracts, the rules of the house.
check: $(TEST)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/unit/test_house.py tests/unit/test_census.py

# Each claim of speed beside its peer, in one run.
bench: $(TEST)
	$(BIN)/python -m benchmarks $(ARGS)

# The whole path over and over, sessions made and shut down in a row, workers attacked while they start, either process
# lied to and killed at any moment, and the license server beside slow clients for SLOW seconds each; ends at the first
# failure.
soak: $(TEST)
	for turn in $$(seq $(SOAK)); do \
	    $(BIN)/clearkey demo > build/soak.log 2>&1 || { cat build/soak.log; echo "soak: turn $$turn failed"; exit 1; }; \
	done; echo "soak: $(SOAK) of $(SOAK) turns good"
	$(BIN)/python -m tests.soak_sessions --count $(SESSIONS)
	CLEARKEY_RENEWAL_SECONDS=60 $(BIN)/python -m pytest -q tests/conformance -k "mf_138 or mf_139"
	CLEARKEY_WINDOW_LAUNCHES=$(LAUNCHES) $(BIN)/python -m pytest -q tests/isolation/test_start_window.py
	CLEARKEY_SLOW_CLIENTS=$(SLOW) $(BIN)/python -m pytest -q -s tests/unit/license_server/serving/test_slow_clients.py
	$(BIN)/python -m tests.fuzz.wire.hostile_messages --count $(MESSAGES)
	$(BIN)/python -m tests.faults.kills --count $(KILLS)

# A million damaged vectors through the readers, then every property test with a hundred times the usual examples.
fuzz: $(TEST)
	$(BIN)/python -m tests.fuzz --count $(FUZZ)
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=long -o timeout=3600 $(ARGS)

# Plants small mistakes in the core, one at a time, and says which of them no test notices; goes on where it stopped.
# ARGS="--modules ita drm/cenc/layout.py --sample 300 --seed 7 --minutes 30"
mutate: $(TEST)
	$(BIN)/python -m tests.mutation $(ARGS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): pyproject.toml
	$(call install,.)
	touch $@

$(TEST): pyproject.toml
	$(call install,.[test])
	touch $(RUN) $@

# A working .venv first: with uv when it is there, which also brings a Python when the machine's is too old; otherwise
# with the first Python that is new enough. Then clearkey itself, editable.
define install
	set -eu; wanted='import sys; sys.exit(sys.version_info < (3, 11))'; \
	python=; for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if command -v $$name >/dev/null && $$name -c "$$wanted" 2>/dev/null; then python=$$name; break; fi; \
	done; \
	uv=$$(command -v uv || true); \
	if [ -z "$$python$$uv" ]; then \
	    echo "Python 3.11 or newer is needed; found $$(python3 --version 2>/dev/null || echo none)." >&2; \
	    echo "Install it, or install uv (it brings its own Python), and repeat." >&2; exit 1; \
	fi; \
	if [ -z "$$uv" ] && ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python cannot make a virtual environment: on Debian and Ubuntu, apt install python3-venv." >&2; exit 1; \
	fi; \
	echo "installing into $(VENV), once ..."; \
	if ! $(BIN)/python -c "$$wanted" 2>/dev/null; then \
	    rm -rf $(VENV); \
	    if [ -n "$$uv" ]; then uv venv --quiet --seed --python "$${python:-3.11}" $(VENV); \
	    else $$python -m venv $(VENV); fi; \
	fi; \
	if [ -n "$$uv" ]; then uv pip install --quiet --python $(BIN)/python -e '$(1)'; \
	else PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip install -qq --disable-pip-version-check -e '$(1)'; fi
endef
