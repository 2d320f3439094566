# `make demo` shows what the detector does, `make test` runs every test, `make lint` every static check.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' >/dev/null 2>&1 && echo $$p && break; done)

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { $(BIN)/mmnet doctor; exit 1; }
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		echo 'mmnet view demo'; $(BIN)/mmnet view demo; \
	else \
		echo 'No screen here, so: mmnet analyze demo --out demo-result --exist-ok'; \
		$(BIN)/mmnet analyze demo --out demo-result --exist-ok; \
	fi

test: $(VENV)/.installed-test
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build demo-result *.egg-info

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo 'Needs Python 3.11 or 3.12 with venv (Debian: apt-get install python3 python3-venv).'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created setup.cfg pyproject.toml
	@echo 'Installing into $(VENV): about 1.8 GB, a few minutes the first time.'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created setup.cfg pyproject.toml
	@echo 'Installing into $(VENV) with PyTorch and the test tools: about 7 GB, some minutes the first time.'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[train,test]'
	@touch $@ $(VENV)/.installed
