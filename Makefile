# The study from a shell. `make` alone lists the targets.
# Conda users: activate the environment of environment.yml and say `make study PYTHON=python`.

VENV   := .venv
PYTHON ?= $(VENV)/bin/python
READY  := $(if $(filter $(VENV)/bin/python,$(PYTHON)),$(VENV)/ready)
PIP    := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check
SCALE  ?= laptop
CORES  ?= 2
SEEDS  ?=

export PYTHONPATH := $(CURDIR)
export STUDY_DATA ?= $(realpath ../shared/data)
export MPLBACKEND ?= agg

.DEFAULT_GOAL := help
.PHONY: help study test lint lab play fetch bench lock clean-results

help:             ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

study: $(READY)   ## the whole study (SCALE=laptop, SEEDS="0 1 2", CORES=2), then the tables of the README
	@$(PYTHON) -m lib.workflow $(SCALE) --cores $(CORES) $(if $(SEEDS),--seeds $(SEEDS))

test: $(READY)    ## lint, unit, parity and property tests, every notebook at smoke scale, the browser test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m pytest

lab: $(READY)     ## JupyterLab on the notebooks
	$(PYTHON) -m jupyter lab --notebook-dir=notebooks

play: $(READY)    ## the playground as a page: an emotion slider and a face
	$(PYTHON) -m lib.player_app

fetch: $(READY)   ## open data sets and models, checked by hash; then what is present, absent and why
	$(PYTHON) -m lib.manifest fetch && $(PYTHON) -m lib.manifest

bench: $(READY)   ## speed of the systems against the released decoding procedure
	$(PYTHON) -m lib.bench

lock: $(READY)    ## requirements.lock and environment.yml from pyproject.toml
	$(PYTHON) -m lib.environment

clean-results:    ## forget which runs are done, so that `make study` executes every notebook again
	rm -rf cache/workflow

# The environment: made anew when the lock changes, otherwise a matter of one file's date.
$(VENV)/ready: requirements.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: python3 is $$(python3 --version 2>&1); this project needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	@test -x $(VENV)/bin/python || python3 -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "error: python3 cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing the packages of requirements.lock into $(VENV); this takes a few minutes"
	@# a torch wheel in a folder that pip is set to look in (find-links) comes first: there it is the small CPU build
	@sed -n '/^torch==/,/[^\\]$$/p' requirements.lock > $(VENV)/torch.lock
	@$(PIP) --no-deps --require-hashes --no-index -r $(VENV)/torch.lock 2>/dev/null || true
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@# torch's CUDA build asks for NVIDIA's libraries; its CPU build is complete as it is
	@$(VENV)/bin/python -m pip check >/dev/null || $(PIP) "$$(grep -oE '^torch==[0-9.]+' requirements.lock)"
	@$(VENV)/bin/python -c 'import sysconfig, pathlib; pathlib.Path(sysconfig.get_path("purelib"), "study.pth").write_text("$(CURDIR)\n")'
	@touch $@
