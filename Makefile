# SPDX-License-Identifier: Apache-2.0
# podswitch: one Makefile. `make help` lists the targets and the variables.

VERSION := 0.1.0
PREFIX  ?= /usr/local
BUILD   ?= build
PKG_CONFIG ?= pkg-config
CFLAGS  ?= -O2 -g
FUZZ_SECONDS ?= 30
PREVIOUS ?= 63a22cc
KERNELS  ?= bookworm

PKGS     := liburing libnl-3.0 libnl-route-3.0 jansson libxxhash libnftables libseccomp
KUBE     := libcurl libmicrohttpd gnutls
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef
# Some compilers come with their own _FORTIFY_SOURCE; it needs an optimiser and hides bugs from the sanitizers.
FORTIFY  := -U_FORTIFY_SOURCE $(if $(SANITIZE),,$(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-D_FORTIFY_SOURCE=2))
HARDEN   := $(FORTIFY) -fPIE -fstack-protector-strong -fstack-clash-protection \
	    $(if $(filter x86_64%,$(shell $(CC) -dumpmachine 2>/dev/null)),-fcf-protection)
SANITIZERS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)

# On a machine before its first `make deps` there is no pkg-config; targets that install it call make again.
CPPFLAGS_ALL := -std=c17 -D_GNU_SOURCE -I. -DPODSWITCH_VERSION='"$(VERSION)"' $(CPPFLAGS) \
		$(shell $(PKG_CONFIG) --cflags $(PKGS) $(KUBE) 2>/dev/null)
CFLAGS_ALL   := $(CPPFLAGS_ALL) $(WARNINGS) $(HARDEN) $(CFLAGS) $(SANITIZERS) -pthread
LDFLAGS_ALL  := $(CFLAGS) $(SANITIZERS) -pie -Wl,-z,relro,-z,now,-z,noexecstack -pthread $(LDFLAGS)
LIBS         := -Wl,--as-needed $(shell $(PKG_CONFIG) --libs $(PKGS) $(KUBE) 2>/dev/null)

# Every .c of these rooms goes into one archive, but for the files that hold a main().
ROOMS := tap/base tap vswitch/base vswitch/path vswitch control/base $(addprefix control/,daemon ctl cni kube webhook)
MAINS := $(wildcard $(ROOMS:=/main.c))
PROGRAMS := $(addprefix $(BUILD)/podswitch,d ctl -cni -agent -webhook)
BENCH := $(addprefix $(BUILD)/bench/,load lookup machine)
SRCS  := $(filter-out $(MAINS),$(wildcard $(ROOMS:=/*.c)))
OBJS  := $(SRCS:%.c=$(BUILD)/%.o)
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZ  := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
MAN   := $(patsubst %.in,$(BUILD)/man/%,$(notdir $(wildcard $(ROOMS:=/*.[1-8].in))))

# Says what is made in a few words; V=1 shows the commands.
say = $(if $(V),,@printf '  %-4s %s\n' $(1) '$@';)

.PHONY: all tools deps demo check test unit netns
all: $(PROGRAMS) $(MAN) ## build the programs and their man pages (the default)

$(BUILD)/podswitchd: $(BUILD)/control/daemon/main.o $(BUILD)/podswitch.a
$(BUILD)/podswitchctl: $(BUILD)/control/ctl/main.o $(BUILD)/podswitch.a
$(BUILD)/podswitch-cni: $(BUILD)/control/cni/main.o $(BUILD)/podswitch.a
# The plugin is copied out of its container and run by the node, which need not have our libraries.
$(BUILD)/podswitch-cni: LIBS := $(if $(SANITIZE),,-static-pie) $(filter-out -lnftables,$(LIBS))
$(BUILD)/podswitch-agent: $(BUILD)/control/kube/main.o $(BUILD)/podswitch.a
$(BUILD)/podswitch-webhook: $(BUILD)/control/webhook/main.o $(BUILD)/podswitch.a
$(PROGRAMS) $(BENCH):
	$(call say,LD)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/podswitch.a: $(OBJS)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c Makefile | tools
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# A unit test includes the .c it tests; what else it needs comes from the archive.
$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/podswitch.a
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(BUILD)/podswitch.a $(LIBS) -lcmocka

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(BUILD)/podswitch.a
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $(BUILD)/podswitch.a $(LIBS)

# The load generators of the harness are one program; the others are a program each.
LOAD  := load stream flood exchange dial
$(BUILD)/bench/load: $(LOAD:%=$(BUILD)/bench/%.o)
$(BUILD)/bench/lookup: $(BUILD)/bench/lookup.o $(BUILD)/podswitch.a
$(BUILD)/bench/machine: $(BUILD)/bench/machine.o

# The lists of options and of drop reasons in a man page come from the tables in the code.
MAN_FROM := control/base/man.awk vswitch/base/drops.def $(wildcard $(addprefix control/,daemon/config.c daemon/options.c \
	    ctl/command_line.c ctl/stats.c cni/main.c kube/settings.c webhook/usage.c))
vpath %.in $(ROOMS)
$(BUILD)/man/%: %.in $(MAN_FROM) Makefile
	@mkdir -p $(@D)
	$(call say,MAN)awk -f control/base/man.awk -v version=$(VERSION) -v drops=vswitch/base/drops.def $< >$@.tmp && mv $@.tmp $@

tools:
	@command -v $(CC) >/dev/null && $(PKG_CONFIG) --exists $(PKGS) $(KUBE) || \
		{ echo "not all of $(CC) $(PKGS) $(KUBE) are here: run 'make deps' as root" >&2; exit 1; }

deps: ## install the Debian packages that a build needs (DEPS=skip: install nothing, here and below)
	@tests/deps.sh build

demo: ## install what is missing, build, and show two gateways with equal addresses and a pod that moves
	@tests/preflight.sh demo
	@tests/deps.sh build demo
	@$(MAKE) --no-print-directory all
	@BUILD='$(BUILD)' tests/rooted.sh tests/demo.sh

check: ## install what is missing, build, and run all tests
	@tests/preflight.sh check
	@tests/deps.sh build check
	@$(MAKE) --no-print-directory test

# Both kinds of test, even when the first fails; needs root, installs nothing.
test: all
	@tests/preflight.sh check
	@unit=passed; netns=passed; \
	$(MAKE) --no-print-directory unit || unit=FAILED; \
	$(MAKE) --no-print-directory netns || netns=FAILED; \
	echo; echo "$(BUILD): unit tests $$unit, network tests $$netns"; test $$unit$$netns = passedpassed

unit: $(TESTS) ## unit tests alone
	@tests/rooted.sh tests/unit.sh $(TESTS)

netns: all ## network tests alone, or those that ONLY='name ...' names
	@BUILD='$(BUILD)' tests/rooted.sh tests/netns/run.sh $(ONLY)

.PHONY: bench bench-quick bench-programs lint lint-now
bench: ## podswitch beside the kernel's vxlan (and Open vSwitch, when it is there): tables, plots, about half an hour
bench-quick: ## what has a floor, and what is below it, under 2 minutes
bench bench-quick:
	@tests/preflight.sh $@
	@tests/deps.sh build bench
	@$(MAKE) --no-print-directory all bench-programs
	@tests/rooted.sh /usr/bin/python3 -B bench/bench.py --build '$(BUILD)' $(if $(filter %quick,$@),--quick) $(BENCH_ARGS)

bench-programs: $(BENCH)

lint: ## clang-format, clang-tidy, cppcheck, shellcheck, and the limits of the house
	@tests/deps.sh build check lint
	@$(MAKE) --no-print-directory lint-now

lint-now: | tools
	@tests/lint.sh $(CPPFLAGS_ALL)

.PHONY: asan tsan check-versions soak check-kernels check-arm64 check-s390x
asan: ## unit and network tests with AddressSanitizer and UndefinedBehaviorSanitizer
tsan: ## what two workers and the control thread do at once, with ThreadSanitizer, two minutes
asan tsan:
	@tests/preflight.sh check
	@tests/deps.sh build check
	@tests/sanitized.sh $@

check-versions: all ## beside an older podswitchd, of the commit PREVIOUS
	@BUILD='$(BUILD)' tests/versions.sh '$(PREVIOUS)'
soak: all ## MINUTES=10 of ports that come and go, moves, takeovers, kills and traffic, with accounts
	@BUILD='$(BUILD)' MINUTES='$(MINUTES)' tests/rooted.sh tests/netns/soak.sh
check-kernels: ## what depends on the kernel, under other kernels of Debian's: KERNELS='bookworm trixie sid'
	@tests/deps.sh build check kernels
	@BUILD='$(BUILD)' tests/rooted.sh tests/kernels.sh $(KERNELS)
check-arm64: ## unit tests and the demo on arm64, with pages of 4 and of 16 KiB (QEMU, nothing but Debian's packages)
check-s390x: ## the same on s390x, which has the other byte order
check-arm64 check-s390x:
	@tests/deps.sh build demo check foreign
	@tests/rooted.sh tests/foreign.sh $(@:check-%=%) $(STEPS)

.PHONY: fuzz fuzz-now coverage install image check-k8s clean help
fuzz: ## each fuzz target for FUZZ_SECONDS (30)
	@tests/deps.sh build fuzz
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzz-now

fuzz-now: $(FUZZ:%=fuzz-one-%)

# What is found grows in the build folder; tests/fuzz/corpus holds what is worth keeping.
fuzz-one-%: $(BUILD)/tests/fuzz/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*
	$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix=$(BUILD)/$*- $(BUILD)/corpus/$* $(wildcard tests/fuzz/corpus/$*)

coverage: ## which share of the lines the unit and network tests run, about 30 minutes; fails below 90 %
	@tests/deps.sh build check
	@rm -rf build/coverage
	@$(MAKE) --no-print-directory BUILD=build/coverage CFLAGS='-O0 -g --coverage' all $(TESTS:$(BUILD)/%=build/coverage/%)
	@ONLY='$(ONLY)' tests/coverage.sh build/coverage $(SRCS) $(MAINS)

install: all ## into DESTDIR and PREFIX (/usr/local)
	install -D -m 755 -t '$(DESTDIR)$(PREFIX)/sbin' $(filter-out %ctl,$(PROGRAMS))
	install -D -m 755 -t '$(DESTDIR)$(PREFIX)/bin' $(BUILD)/podswitchctl
	install -D -m 644 control/ctl/podswitchctl.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/podswitchctl'
	@for page in $(MAN); do \
		install -v -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}" "$$page" || exit 1; done

image: all ## the container image, made of Debian's packages and the programs: build/image/podswitch.tar
	@BUILD='$(BUILD)' deploy/image.sh
check-k8s: ## on a real Kubernetes, about 40 minutes: TESTBED=FOLDER or KUBECONFIG=FILE says which
	@test -n "$(TESTBED)$(KUBECONFIG)" || tests/k8s/run.sh
	@tests/deps.sh build image k8s && $(MAKE) --no-print-directory all image && BUILD='$(BUILD)' tests/k8s/run.sh $(ONLY)

clean: ## remove the build folder
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16
	@echo 'Variables: CC CFLAGS BUILD SANITIZE V DEPS PREFIX DESTDIR ONLY JOBS IO SLOW MINUTES PREVIOUS KERNELS FUZZ_SECONDS BENCH_ARGS'

# Implicit pattern targets would be taken for intermediate files and removed.
.SECONDARY:
-include $(shell find $(BUILD) \( -name kernels -o -name foreign \) -prune -o -type f -name '*.d' -print 2>/dev/null)
