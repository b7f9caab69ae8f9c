# SPDX-License-Identifier: GPL-3.0-or-later
#
# The tools of the benchmarks: build/release/bare and build/release/penstock-bench. Included by the
# main Makefile; alone: `make -f bench/bench.mk` at the top of the tree. They are always built with
# these flags, whatever BUILD is: an instrumented generator measures itself. CC, CFLAGS (added
# last), LDFLAGS and WERROR are taken from the caller.

BENCH_B := build/release
BENCH_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
	-Wundef -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wcast-align -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wswitch-enum \
	-Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion \
	-Iinclude -DPENSTOCK_VERSION='"$(shell cat packaging/common/VERSION)"'
BENCH_LOAD_SRCS := $(sort $(wildcard bench/generator/*.c))
BENCH_LOAD_OBJS := $(BENCH_LOAD_SRCS:%.c=$(BENCH_B)/%.o)
BENCH_BARE_OBJS := $(BENCH_B)/bench/bare.o
BENCH_OBJS := $(BENCH_LOAD_OBJS) $(BENCH_BARE_OBJS)

.PHONY: bench-tools
bench-tools: $(BENCH_B)/bare $(BENCH_B)/penstock-bench ## build the bare relay and the load generator

$(BENCH_B)/bare: $(BENCH_BARE_OBJS)
	@printf '  %-6s %s\n' LINK $@
	@$(CC) $(LDFLAGS) -o $@ $^ -luring

$(BENCH_B)/penstock-bench: $(BENCH_LOAD_OBJS)
	@printf '  %-6s %s\n' LINK $@
	@$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lm

.PHONY: bench-check
bench-check: $(BENCH_B)/penstock-bench ## 30 s: do the generator, the harness and the report do what they say?
	@bench/generator/test.py
	@bench/generator/test_protocols.py
	@cd bench && python3 -m unittest -q harness.test_harness harness.test_report

# A static pattern rule, so that the main Makefile's rule for src/ never takes these objects.
$(BENCH_OBJS): $(BENCH_B)/%.o: %.c bench/bench.mk
	@printf '  %-6s %s\n' CC $<
	@mkdir -p $(@D)
	@$(CC) $(BENCH_CFLAGS) $(WERROR) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(BENCH_OBJS:.o=.d)
