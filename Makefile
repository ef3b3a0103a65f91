# make demo    set up, build the demo's models, compare with onnxruntime
# make test    set up, run every test
# make counts  set up, check instructions, page faults … against benchmarks/counts/bounds.toml
# Another interpreter:   make test PYTHON=python3.12
# Those of make test that need scikit-learn, torch …:   make test EXTRAS=test,bench,cli,clients
# Another onnxruntime:   make test ONNXRUNTIME=onnxruntime==1.23.2 VENV=.venv-1.23.2
PYTHON ?= python3
VENV ?= .venv
ONNXRUNTIME ?= onnxruntime
EXTRAS ?= test,bench,cli
MORE ?=
BIN := $(VENV)/bin
SOURCES := $(wildcard ortmmap/*.pyx ortmmap/*/*.p[yx][xd] ortmmap/*/*.[ch] include/ortmmap/*.h)

.PHONY: demo test lint native counts fuzz clean

demo: $(VENV)/installed
	$(BIN)/python -m benchmarks demo

test: $(VENV)/installed
	$(BIN)/pytest

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint ortmmap examples
	$(BIN)/clang-format --dry-run -Werror include/ortmmap/*.h ortmmap/*/*.[ch] tests/native/*.[ch] \
		benchmarks/*.c examples/*/*.c examples/*/*.cpp

# ORT_HEADERS names the folder of the official C header, for the comparison with ours.
native: $(VENV)/installed
	ORT_LIBRARIES=$$($(BIN)/python -c "import ortmmap; print(ortmmap.get_library_path())") \
		tests/native/run

counts: $(VENV)/installed
	$(BIN)/python -m benchmarks counts

# So many mutated models, compared with onnxruntime; ASAN=N also runs N under AddressSanitizer.
FUZZ ?= 2000
ASAN ?= 0
fuzz: $(VENV)/installed
	$(BIN)/python tests/fuzz/run $(FUZZ)
	[ $(ASAN) = 0 ] || $(BIN)/pip install --quiet atheris "cython>=3.1" setuptools
	[ $(ASAN) = 0 ] || PYTHON="$(CURDIR)/$(BIN)/python" tests/fuzz/asan $(ASAN)

clean:
	rm -rf build dist *.egg-info .venv* ortmmap/*.so ortmmap/*/*.so

$(VENV)/installed: pyproject.toml setup.py $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --upgrade "$(ONNXRUNTIME)" $(MORE) --editable ".[$(EXTRAS)]"
	touch $@

$(VENV)/lint: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "clang-format==23.1.5" "cython-lint==0.22.1" "ruff==0.17.6"
	touch $@
