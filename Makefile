# The newcomer's door. Every target installs what is missing, configures, builds and does its job; a second run
# repeats nothing needlessly.
#
#   make build      build/bin/ralph and build/bin/ralph-shim
#   make everything that, and all tests
#   make demo       watch it work in a temporary folder
#   make test       all tests as built, and with the sanitizers all but those in tests/git
#   make test-long  all of both, over longer ranges
#   make test-agents  the real agents (npm and PyPI, below build/) against a model server on loopback
#   make night      60 tasks for three of them, with limits, kills, power cuts and little memory (NIGHT="--seed 2")
#   make fuzz       libFuzzer on everything that reads files, FUZZ_SECONDS (30) for each target
#   make mutants    take lines out of the product, one by one, and see which test goes red for each
#   make lint       clang 14, clang-tidy, clang-format
#   make install    optimised build, installed under PREFIX (/usr/local)
#   make deb        the Debian package, build/release/ralph_VERSION_ARCHITECTURE.deb
#   make format     apply clang-format
#   make clean      remove build/

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30
# Twice as many as there are cores here: most of them wait for processes.
CTEST := ctest --output-on-failure --parallel 4 --no-tests=error
# Every page that the sanitizer keeps freed memory in is copied by each fork of a test.
SMALL_QUARANTINE := ASAN_OPTIONS=quarantine_size_mb=4:thread_local_quarantine_size_kb=64
.PHONY: build everything demo test test-long test-agents night fuzz mutants lint install deb format clean dependencies asan release

build:
	@tools/install-dependencies build
	@tools/build dev ralph ralph-shim

everything: dependencies
	@tools/build dev

dependencies:
	@tools/install-dependencies

asan: dependencies
	@tools/build asan

release: dependencies
	@tools/build release

demo: build
	build/bin/ralph demo

test: everything asan
	@build/bin/systemd_tests --possible || true
	@status=0; \
	$(CTEST) --test-dir build --label-exclude long || status=1; \
	$(SMALL_QUARANTINE) $(CTEST) --test-dir build/asan --label-exclude 'long|as-built|git' || status=1; \
	exit $$status

test-long: everything asan
	@status=0; \
	$(CTEST) --test-dir build || status=1; \
	$(SMALL_QUARANTINE) $(CTEST) --test-dir build/asan --label-exclude as-built || status=1; \
	exit $$status

# Needs node, npm and python3 with venv.
test-agents: build
	@tests/agents/run_agents.py --install
	@tests/agents/run_agents.py

night: build
	@tests/agents/run_agents.py --install
	@tests/agents/run_agents.py --night $(NIGHT)

fuzz: dependencies
	@tools/build fuzz
	@tools/fuzz $(FUZZ_SECONDS)

mutants: dependencies
	@tools/mutants

lint: dependencies
	@tools/check-format
	@tools/build tidy

install: release
	cmake --install build/release --prefix "$(PREFIX)"

deb: release
	cd build/release && cpack -G DEB >package.log || { cat package.log; exit 1; }
	@ls build/release/*.deb

format: dependencies
	git ls-files '*.cpp' '*.h' | xargs clang-format-14 -i

clean:
	rm -rf build
