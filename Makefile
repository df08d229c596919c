# make serve | test | coverage | check | train | quality | bench | siege: each installs what it needs into .venv, then does it. `make` lists them.
#
# A finished step of the installation leaves a stamp in .venv. A step that was cut short left none, and one that
# is older than pyproject.toml or constraints.txt is out of date: both are done again.

PORT ?= $(or $(VQVAE_SERVE_PORT),8000)
# Which build of torch: auto (the small CPU build unless there is an NVIDIA card), cpu, cuda
TORCH ?= auto
# A folder with the Kodak photographs, for the tests that want them
KODAK ?=
# For `make quality`: a folder of sets of images to measure on, and the photographs that the models were trained on.
# How legible text stays is measured where tesseract is installed (Debian's tesseract-ocr).
BENCH ?= ../shared/data/bench
PHOTOS ?= ../shared/data/photos
# More words for pytest (make test), `vqvae train` (make train), `vqvae quality` (make quality), `tests/benchmarks all`
# or `tests/siege all`
ARGS ?=

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
# Two processes, since many tests wait more than they compute; OpenMP's threads must not spin while they wait
PYTEST := OMP_WAIT_POLICY=passive $(PYTHON) -m pytest --numprocesses 2 --dist loadfile
CPU_INDEX := https://download.pytorch.org/whl/cpu
# pip writes INSTALLER last: a package without it was cut short, yet would count as installed
MEND := find $(VENV)/lib/python3*/site-packages -maxdepth 1 -name '*.dist-info' \
	! -exec test -e {}/INSTALLER \; -exec rm -r {} +

.PHONY: help serve test coverage check train quality bench siege clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo 'make serve    serve the shipped weights on http://127.0.0.1:8000; PORT=8123 for another port'
	@echo 'make test     run the tests; KODAK=FOLDER adds those on the Kodak photographs, ARGS=--slow the slow ones'
	@echo 'make coverage the tests, and which lines they run: at least 90% of them, or it fails'
	@echo 'make check    lint, format, types, imports'
	@echo 'make train    train a model: make train ARGS="PHOTOS OUT"; .venv/bin/vqvae train --help tells more'
	@echo 'make quality  measure the models in weights/ beside JPEG and others: BENCH=FOLDER PHOTOS=FOLDER; some minutes'
	@echo 'make bench    times, rates and memory beside the peers: over an hour on a quiet machine; ARGS=--quick just tries it'
	@echo 'make siege    the service under damaged bodies, load, faults and time: about an hour; ARGS="--seconds 5" for less'
	@echo 'make clean    remove .venv and every cache'
	@echo 'Each installs what it needs into .venv first. TORCH=cpu or TORCH=cuda chooses the build of torch;'
	@echo 'without it, the small CPU build is taken unless there is an NVIDIA card.'

serve: $(VENV)/.service
	@exec env VQVAE_SERVE_PORT=$(PORT) $(PYTHON) -m service

test: $(VENV)/.test
	$(PYTEST) $(if $(KODAK),--kodak=$(KODAK)) $(ARGS)

coverage: $(VENV)/.test
	$(PYTEST) --cov $(if $(KODAK),--kodak=$(KODAK)) $(ARGS)

check: $(VENV)/.check
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports

train: $(VENV)/.train
	@exec $(VENV)/bin/vqvae train $(ARGS)

# Beside what a model does badly stands what the first weights of its name did, from the clone's history if it has them.
quality: $(VENV)/.quality
	@set --; for card in weights/*/model.json; do \
	  folder=$${card%/*}; first=build/first/$$folder; \
	  commit=$$(git log --format=%H -- $$folder/model.safetensors 2>/dev/null | tail -n 1); \
	  if [ -n "$$commit" ]; then \
	    mkdir -p $$first; \
	    for file in model.json model.safetensors; do git show $$commit:$$folder/$$file >$$first/$$file || exit; done; \
	    set -- "$$@" --before $$first; \
	  fi; \
	done; \
	exec $(VENV)/bin/vqvae quality $(BENCH) $(PHOTOS) --record \
	  $(foreach file,README.md $(wildcard weights/*/README.md),--into $(file)) "$$@" $(ARGS)

# Peers that no other target needs are installed for it. `tests/benchmarks NAME` measures one table alone.
bench: $(VENV)/.bench
	@exec $(PYTHON) tests/benchmarks all $(ARGS)

siege: $(VENV)/.test
	$(PYTHON) -m pytest -q --hypothesis-profile=siege tests/service/test_contract.py
	@exec $(PYTHON) tests/siege all $(ARGS)

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find vqvae service tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- installation: .python, then .torch, then one stamp for each extra of pyproject.toml ------------------

$(VENV)/.service $(VENV)/.train $(VENV)/.quality $(VENV)/.bench $(VENV)/.test $(VENV)/.check: $(VENV)/.torch-$(TORCH) pyproject.toml constraints.txt
	@echo 'installing the extra "$(@F:.%=%)" into $(VENV)'
	@$(MEND)
	@$(INSTALL) --no-build-isolation --editable '.[$(@F:.%=%)]'
	@touch $@

# torch before the rest and by rule, since the build that pip would choose by itself may be gigabytes. The index
# of the CPU builds gets ten seconds to answer, without pip's settings, which may know another place that answers;
# where it does not, torch comes from where all else does.
$(VENV)/.torch-$(TORCH): $(VENV)/.python
	@$(MEND)
	@torch=$$(sed -n 's/^torch==//p' constraints.txt); \
	case "$(TORCH):$$($(PYTHON) -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null)" in \
	auto:$$torch | auto:$$torch+* | cpu:$$torch+cpu | cuda:$$torch | cuda:$$torch+cu*) exit 0 ;; \
	cpu:*) from='--index-url $(CPU_INDEX)' ;; \
	cuda:*) from= ;; \
	auto:*) \
	  from=; \
	  if [ "$$(uname)" != Darwin ] && [ ! -e /proc/driver/nvidia/version ] && ! nvidia-smi -L >/dev/null 2>&1; then \
	    if PIP_CONFIG_FILE=/dev/null timeout 10 \
	      $(PIP) --isolated index versions --retries 0 --index-url $(CPU_INDEX) torch >/dev/null 2>&1; \
	    then from='--index-url $(CPU_INDEX)'; \
	    else echo '$(CPU_INDEX) does not answer: torch comes from the default index, perhaps with CUDA'; fi; \
	  fi ;; \
	*) echo 'TORCH must be auto, cpu or cuda, got $(TORCH)' >&2; exit 2 ;; \
	esac; \
	echo "installing torch $$torch into $(VENV), a few hundred MB or, with CUDA, gigabytes"; \
	$(INSTALL) --force-reinstall --no-deps $$from torch
	@rm -f $(VENV)/.torch-* && touch $@

# .venv, made anew where it is missing or unsound: its Python is gone or too old, or its pip was cut short
$(VENV)/.python: $(VENV)/bin/python constraints.txt
	@ls $(VENV)/lib/python3*/site-packages/pip-*.dist-info/INSTALLER >/dev/null 2>&1 && \
	$(PYTHON) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  rm -rf $(VENV); \
	  lacking=; \
	  for python in python3 python3.13 python3.12 python3.11; do \
	    version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))' \
	      2>/dev/null) || continue; \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then exec $$python -m venv $(VENV); fi; \
	    lacking=$${lacking:-python$$version-venv}; \
	  done; \
	  echo "Python 3.11 or newer with venv is needed: install the package $${lacking:-python3-venv or python3.11-venv}" >&2; \
	  exit 1; \
	}
	@$(MEND)
	@$(INSTALL) hatchling
	@touch $@

# made by the rule above; named here so that a link to a Python that is gone counts as missing
$(VENV)/bin/python: ;
