# `make run` shows the main job, `make test` runs every test. Both need Python >= 3.10, a C++17 compiler and make;
# all else goes into .venv. On Windows use pip and cmake as in CONTRIBUTING.md.
PYTHON ?= python3
VENV := .venv
# ON: compiler warnings fail the build, as they do in .ci/run.
WERROR ?= OFF
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# CMake and Ninja come from the virtual environment: their versions are known, and their paths stay the same between
# builds, so that a second build compiles only what changed.
export PATH := $(CURDIR)/$(BIN):$(PATH)

SOURCES := pyproject.toml CMakeLists.txt README.md LICENSE \
           $(shell find src cmake python/dist_training_sim -type f ! -name '*.so' ! -name '*.pyc')
TOOLS := $(VENV)/.tools
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable
LINTABLE := $(VENV)/.lintable
BENCHABLE := $(VENV)/.benchable
# quick: the main rows of `make bench` alone.
BENCH ?= full
DOCUMENTABLE := $(VENV)/.documentable

.PHONY: help run test test-cpp test-python test-sanitize deep coverage mutation lint tidy bench notebooks docs clean

help:
	@echo "make run            install into $(VENV) and run the main job"
	@echo "make test           all C++ and Python tests (test-cpp, test-python: one of them)"
	@echo "make test-sanitize  the C++ tests under AddressSanitizer and UBSan"
	@echo "make coverage       how much of the core and of the package the tests reach"
	@echo "make mutation       how many small changes of the cost models the tests notice (MUTANTS=100 of each language)"
	@echo "make deep           the C++ tests under ASan+UBSan and TSan, mutation, and the fuzzers long (hours)"
	@echo "make lint           ruff, clang-format, mypy --strict (package, tests, examples, scripts) and stubtest"
	@echo "make tidy           clang-tidy over the core (minutes)"
	@echo "make bench          speed beside others' (BENCH=quick: the main rows), results in build/bench/results.json"
	@echo "make notebooks      run the notebooks of examples/ and keep their outputs"
	@echo "make docs           these pages as a site, in build/docs"
	@echo "make clean          remove $(VENV) and build"

run: $(INSTALLED)
	$(BIN)/python -m dist_training_sim.demo

test: test-cpp test-python

test-cpp: $(TOOLS)
	cmake -S . -B build/cpp -G Ninja -DCMAKE_BUILD_TYPE=Release -DDTS_BUILD_TESTS=ON -DDTS_WERROR=$(WERROR)
	cmake --build build/cpp
	ctest --test-dir build/cpp --output-on-failure

test-python: $(TESTABLE)
	$(BIN)/python -m pytest

test-sanitize: $(TOOLS)
	cmake -S . -B build/asan -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDTS_BUILD_TESTS=ON -DDTS_SANITIZE=address,undefined
	cmake --build build/asan
	ctest --test-dir build/asan --output-on-failure

deep: test-sanitize mutation $(TESTABLE)
	cmake -S . -B build/tsan -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDTS_BUILD_TESTS=ON -DDTS_SANITIZE=thread
	cmake --build build/tsan
	ctest --test-dir build/tsan --output-on-failure
	$(BIN)/python tests/fuzz/fuzz.py

# Line coverage of the core by its own tests, branch coverage of the package by pytest; reports in build/coverage.
COVERABLE := $(VENV)/.coverable
coverage: $(COVERABLE)
	cmake -S . -B build/coverage -G Ninja -DCMAKE_BUILD_TYPE=Debug -DDTS_BUILD_TESTS=ON -DCMAKE_CXX_FLAGS="--coverage -O1"
	cmake --build build/coverage
	build/coverage/tests/dts_tests --gtest_brief=1
	$(BIN)/gcovr --filter src/ --exclude-throw-branches --gcov-ignore-errors=all --gcov-ignore-parse-errors=negative_hits.warn --fail-under-line 90 --txt --html-details build/coverage/core.html build/coverage/src build/coverage/tests
	$(BIN)/python -m pytest -n auto --cov=dist_training_sim --cov-branch --cov-fail-under=90 --cov-report=term:skip-covered --cov-report=html:build/coverage/package

MUTANTS := 100
mutation: $(TESTABLE)
	cmake -S . -B build/mutation -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DDTS_BUILD_TESTS=ON -DDTS_BUILD_PYTHON=ON -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	cmake --build build/mutation
	$(BIN)/python tests/mutation/mutation.py cpp --sample $(MUTANTS)
	$(BIN)/python tests/mutation/mutation.py py --sample $(MUTANTS)

lint: $(LINTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $$(find src tests benchmarks -name '*.[ch]pp')
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest dist_training_sim._core --allowlist python/tests/stubtest_allowlist.txt

# The core; the binding's files are calls of pybind11 alone.
tidy: $(LINTABLE)
	cmake -S . -B build/tidy -G Ninja -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DDTS_BUILD_TESTS=OFF
	find src -name '*.cpp' -not -path '*/bindings/*' -print0 | xargs -0 -n 4 -P 4 $(BIN)/clang-tidy -p build/tidy --quiet

bench: $(BENCHABLE)
	cmake -S . -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DDTS_BUILD_TESTS=OFF -DDTS_BUILD_BENCHMARKS=ON
	cmake --build build/bench
	$(BIN)/python benchmarks/run.py $(if $(filter quick,$(BENCH)),--quick)

notebooks: $(TESTABLE)
	$(BIN)/python examples/run_notebooks.py

docs: $(DOCUMENTABLE)
	$(BIN)/python docs/build_api.py --check
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

clean:
	rm -rf $(VENV) build

$(TOOLS):
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python >= 3.10 is needed; set PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) scikit-build-core pybind11 cmake ninja
	touch $@

$(INSTALLED): $(TOOLS) $(SOURCES)
	$(PIP) --no-build-isolation .
	touch $@

$(TESTABLE): $(TOOLS) $(SOURCES)
	$(PIP) --no-build-isolation '.[test]'
	touch $(INSTALLED) $@

$(COVERABLE): $(TOOLS) $(SOURCES)
	$(PIP) --no-build-isolation '.[test,coverage]'
	touch $(INSTALLED) $@

$(DOCUMENTABLE): $(TOOLS) $(SOURCES)
	$(PIP) --no-build-isolation '.[docs]'
	touch $(INSTALLED) $@

$(BENCHABLE): $(TOOLS) $(SOURCES)
	$(PIP) --no-build-isolation '.[bench]'
	touch $(INSTALLED) $@

$(LINTABLE): $(TOOLS) $(SOURCES)
	$(PIP) --no-build-isolation '.[lint,test]'
	touch $(INSTALLED) $@
