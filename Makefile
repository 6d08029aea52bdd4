# The newcomer's door. Every target installs what is missing, configures, builds and does its job; a second run
# repeats nothing needlessly.
#
#   make build      build/bin/ralph and build/bin/ralph-shim
#   make demo       watch it work in a temporary folder
#   make test       all tests, once as built and once with the sanitizers
#   make test-long  the same tests over longer ranges
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
# They take long, and run no code under the sanitizers that others do not run; or leave no descriptor, which the
# sanitizers need themselves.
ONLY_AS_BUILT := 'a state that cannot be read|every length and every flipped bit|the demo kills|an idle supervisor|a line without end|goes on where it was killed|made again from what was kept|what was kept before a task landed|doctor: run directories|sixteen|killed at any of its phases|place for candidates|pushes put a batch off|refuses because of one|red alone is mended|records that the doctor makes|conflicting pairs|leaves the conflict|no broken workspace and no blocked|dies at any operation|state folder that is removed|programs are replaced|a crash leaves does not matter|whose git was killed|ahead of time|bad tasks are found as without|lanes by scope|mends a red target|who conflicts with another|red by itself|gate.s own program|does not even reach|dependencies run one after|its workers go on, and the next|everything is synced|Debian package|README.s first run|every exit status|a batch and its successor|green only elsewhere|status shows the lane|integrate lands the work with one|what a workspace holds|target stays on the base|an object that is missing|copies of ignored|files that git does not carry|resolved by hand|half a rebase|spoiled while it runs|the kernel cannot watch|what a gate sets in its folder|not taken back in silence'

.PHONY: build demo test test-long fuzz mutants lint install deb format clean dependencies asan release

build: dependencies
	@tools/build dev

dependencies:
	@tools/install-dependencies

asan: dependencies
	@tools/build asan

release: dependencies
	@tools/build release

demo: build
	build/bin/ralph demo

test: build asan
	@build/bin/systemd_tests --possible || true
	$(CTEST) --test-dir build --label-exclude long
	$(SMALL_QUARANTINE) $(CTEST) --test-dir build/asan --label-exclude 'long|plain' --exclude-regex $(ONLY_AS_BUILT)

test-long: build asan
	$(CTEST) --test-dir build
	$(SMALL_QUARANTINE) $(CTEST) --test-dir build/asan --label-exclude plain

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
