# `make demo` and `make test` need nothing but Python 3.11+ and make; they make .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
# Compiled once, not in every process that the tests start.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test lint bench docs explorer dist clean

demo: .venv/installed
	$(BIN)/sfumato demo

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The peers come on top, some without the old versions that they ask for and do not need; the whole
# takes hours, `.venv/bin/python -m bench NAME` a part.
bench: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m pip install --quiet --no-deps azula==0.11.1 torchcfm==1.0.7 \
		denoising-diffusion-pytorch==2.3.4 ema-pytorch==0.8.3 ngboost==0.6.0 \
		ForestDiffusion==1.0.6 ctgan==0.2.1
	OMP_NUM_THREADS=1 $(BIN)/python -m bench

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The page of `sfumato explore`, built from explorer/ by Node.js and kept in the package: who only uses
# or tests Sfumato needs no Node.js.
explorer:
	cd explorer && npm ci --no-audit --no-fund --silent && npm run --silent build

# The site, in English and Chinese, in site/; MathJax comes from npm, as no page asks for anything of
# the network.
docs: .venv/installed docs/_static/tex-svg.js
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d site/.doctrees/en docs site/en
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d site/.doctrees/zh -t zh -c docs docs/zh site/zh
	cp docs/_static/index.html site/

docs/_static/tex-svg.js: docs/package-lock.json
	cd docs && npm ci --no-audit --no-fund --silent && cp node_modules/mathjax/es5/tex-svg.js _static/
	touch $@

# The packages for others, each installed and used by itself: make dist PYTHONS="python3.11 python3.13".
PYTHONS ?= $(PYTHON)
dist: .venv/installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	.ci/dist $(PYTHONS)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sfumato needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
