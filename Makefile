# SPDX-License-Identifier: Apache-2.0
# podswitch: one Makefile. `make help` lists the targets.

VERSION := 0.1.0
PREFIX  ?= /usr/local
B       := build
CC      ?= gcc

PKGS     := liburing libnl-3.0 libnl-route-3.0 jansson
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS   ?= -O2 -g
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -I. -DPODSWITCH_VERSION='"$(VERSION)"' $(WARNINGS) $(HARDEN) $(CFLAGS) \
	     $(shell pkg-config --cflags $(PKGS)) -MMD -MP -pthread
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)
LIBS       = $(shell pkg-config --libs $(PKGS)) -lxxhash

# Every .c of these rooms goes into one archive, but for the files that hold a main().
MAINS := vswitch/main.c control/ctl/main.c
SRCS  := $(filter-out $(MAINS),$(wildcard vswitch/*.c tap/*.c control/*.c control/ctl/*.c))
OBJS  := $(SRCS:%.c=$(B)/%.o)
TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
CODE  := $(wildcard vswitch/*.[ch] tap/*.[ch] control/*.[ch] control/ctl/*.[ch] tests/unit/*.[ch] tests/netns/*.c)

.PHONY: all
all: $(B)/podswitchd $(B)/podswitchctl

$(B)/podswitchd: $(B)/vswitch/main.o $(B)/podswitch.a
$(B)/podswitchctl: $(B)/control/ctl/main.o $(B)/podswitch.a
$(B)/podswitchd $(B)/podswitchctl:
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/podswitch.a: $(OBJS)
	@rm -f $@
	ar rcs $@ $^

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# A unit test includes the .c it tests; what else it needs comes from the archive.
$(B)/tests/unit/%: tests/unit/%.c $(B)/podswitch.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(B)/podswitch.a $(LIBS) -lcmocka

.PHONY: unit
unit: $(TESTS)
	@failed=0; for t in $(TESTS); do echo "== $$t"; $$t || failed=1; done; exit $$failed

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
