# One word per job. Everything is set up here: nothing outside this tree but Debian packages, and only those that are missing.
# A stamp in .venv says that a step of the set-up is done. It is written last, so an interrupted step starts again.
SHELL := /bin/bash -euo pipefail
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

B := .venv/bin
# The system's certificates: a company network may have one of its own.
UV := $(B)/uv --no-progress --system-certs
CORES := $(shell nproc)
SOURCES := $(sort $(shell find core -name '*.pyx' -o -name '*.pxd' -o -name '*.h'))
say = @printf '%s\n' 'bessctl: $(1)' >&2

.PHONY: demo test check coverage ticks mutate build bench hil image image-test image-powercut deb deb-test lock clean fuzz FORCE
demo: build
	@$(B)/bessctl demo $(ARGS)

# More workers than cores: much of a test is waiting for a device, a line or a process.
test: build .venv/.debian-test
	@$(B)/python -m pytest -q -n $(or $(JOBS),$(shell expr 2 '*' $(CORES))) --dist worksteal $(or $(ARGS),tests)

check: build
	@$(B)/python -m tools.check $(ARGS)

# A minute of libFuzzer and of changed inputs on all that reads bytes of other parties; ARGS='--seconds 3600 rtu' looks longer at one of them.
fuzz: build .venv/.debian-fuzz
	@$(B)/python -m tools.fuzz $(ARGS)

# Branches of the step that no quick test takes (half an hour).
coverage: build
	@$(B)/python -m tools.coverage $(ARGS)

# A million ticks of long stories against the independent models; ARGS=10000000: ten.
ticks: build
	@$(B)/python -m tools.ticks $(ARGS)

# Mutants of the step that no quick test notices (an hour of a core; ARGS=--again takes up what was ended).
mutate: build
	@$(B)/python -m tools.mutate $(ARGS)

build: .venv/.built

bench: build .venv/.debian-test
	@$(B)/python -m benches $(ARGS)

# Every shipped scenario, with and without the protection it names in simulated time, then in real time against the simulated plant; the
# report is build/hil/report.html, JUnit build/hil/junit.xml. ARGS: other scenarios, or options of `bessctl hil run`.
hil: build
	@$(B)/bessctl hil run $(or $(ARGS),tests/scenarios --time both --sabotage also --jobs $(shell expr 2 '*' $(CORES))) --report build/hil

# Set-up, in order: a compiler and a Python; our tools; what the project needs; the modules in place; the project, editable.
.venv/.tools: requirements/tools.lock tools/need
	@tools/need gcc libc6-dev python3-dev python3-venv
	@rm -rf .venv
	$(call say,virtual environment in .venv)
	@"$$(tools/need --python)" -m venv .venv
	@$(B)/pip install -q --disable-pip-version-check --no-input --require-hashes -r requirements/tools.lock
	@touch $@

.venv/.deps: requirements/dev.lock .venv/.tools
	$(call say,packages of requirements/dev.lock)
	@$(UV) pip sync -q --python $(B)/python --require-hashes requirements/dev.lock
	@touch $@

# The build's own settings changed: nothing generated before is worth keeping.
.venv/.settings: setup.py .venv/.deps
	@rm -rf build
	@touch $@

# Changes when a source file comes or goes, which no date would show.
.venv/.sources: FORCE .venv/.deps
	@cmp -s $@ - <<<'$(SOURCES)' || echo '$(SOURCES)' >$@

.venv/.compiled: $(SOURCES) .venv/.sources .venv/.settings
	$(call say,extension modules in core/)
	@for module in $$(find core -name '*.so'); do [ -e "$${module%%.*}.pyx" ] || rm "$$module"; done
	@CYTHON_THREADS=$(CORES) $(B)/python setup.py -q build_ext --inplace --parallel $(CORES)
	@touch $@

# MODULES=none: they lie in place already and are not compiled a second time.
.venv/.installed: pyproject.toml setup.py .venv/.deps
	@MODULES=none $(UV) pip install -q --python $(B)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/.built: .venv/.compiled .venv/.installed
	@touch $@

# The broker of the MQTT tests; a third-party master that reads and writes the simulated plant; libmodbus, a slave that answers our master and
# a peer the Modbus bench measures it against.
.venv/.debian-test: tools/need .venv/.tools
	@tools/need mosquitto mbpoll libmodbus-dev pkg-config
# The board's units, firewall and device trees are judged by those who read them there.
	@tools/need systemd nftables iproute2 device-tree-compiler binutils strace
	@touch $@

# A disk image and a signed update bundle for a board (board/README.md), in build/image/BOARD.
image: build .venv/.debian-image
	@nice -n 10 $(B)/python -m board.image build $(or $(BOARD),qemu-virt-arm64)

# A Debian package with units, in build/deb, for a controller that keeps its vendor's Debian; ARCH: arm64, amd64; RELEASE: bookworm, trixie.
deb: build .venv/.debian-deb
	@nice -n 10 $(B)/python -m board.deb build $(or $(ARCH),arm64) $(or $(RELEASE),bookworm)

# Builds the package for this machine's architecture and installs it into a throwaway Debian.
deb-test: ARCH := $(shell dpkg --print-architecture)
deb-test: deb
	@tools/need mmdebstrap
	@BESS_DEB=$$(ls -t build/deb/*_$(ARCH).deb | head -n 1) nice -n 10 $(B)/python -m pytest -q tests/board/deb $(ARGS)

.venv/.debian-deb: tools/need .venv/.tools
	@tools/need binutils gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	@touch $@

# Builds the image for QEMU, boots it and tries what a board must do; ARGS: other tests, or options of pytest.
image-test: BOARD := qemu-virt-arm64
image-test: image .venv/.debian-image-test
	@BESS_IMAGE=$(BOARD) $(B)/python -m pytest -q -n 2 $(or $(ARGS),tests/board/vm)

# The power goes at random instants of CUTS (20) starts; two minutes and more each.
image-powercut: BOARD := qemu-virt-arm64
image-powercut: image .venv/.debian-image-test
	@BESS_IMAGE=$(BOARD) BESS_CUTS=$(or $(CUTS),20) nice -n 10 $(B)/python -m pytest -q tests/board/vm/test_9_powercut.py $(ARGS)

IMAGE_TOOLS = binutils cpio device-tree-compiler dosfstools e2fsprogs fdisk gcc-aarch64-linux-gnu kmod mtools openssl rauc squashfs-tools systemd u-boot-tools xz-utils zstd
.venv/.debian-image: tools/need .venv/.tools
	@tools/need $(IMAGE_TOOLS)
	@touch $@

.venv/.debian-image-test: tools/need .venv/.debian-image
	@tools/need qemu-system-arm u-boot-qemu
	@touch $@

.venv/.debian-fuzz: tools/need .venv/.tools
	@tools/need clang libclang-rt-dev
	@touch $@

# Versions stay as they are where they still fit; ARGS=--upgrade takes the newest.
COMPILE = $(UV) pip compile -q --python $(B)/python --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' $(ARGS)
lock: .venv/.tools
	@$(COMPILE) -o requirements/tools.lock requirements/tools.in
	@$(COMPILE) -o requirements/run.lock pyproject.toml
	@$(COMPILE) -o requirements/dev.lock -c requirements/run.lock -c requirements/tools.lock --extra seal --extra test --extra bench --extra check pyproject.toml requirements/tools.in
	@$(COMPILE) -o requirements/board.lock -c requirements/dev.lock --extra seal pyproject.toml

clean:
	@rm -rf .venv build dist *.egg-info
	@find core -name '*.so' -delete
