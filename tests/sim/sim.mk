# The simulator (tests/sim/sim.h); included by tests/tests.mk.
#
# Its objects are its own: with BUILD=asan's flags in build/sim, with -O1 in build/sim-mutants/base,
# where what counts is the time until a seed finds the bug.

SEED ?= 1..100

# The product without its system calls, its control thread and its command line.
SIM_PRODUCT := $(filter-out src/base/clock.c,$(wildcard src/base/*.c)) $(wildcard src/mail/*.c) \
	$(wildcard src/route/*.c) $(wildcard src/wire/*.c) src/uring/uring_op.c \
	src/config/config_budget.c src/config/config_kafka.c src/config/config_clients.c $(sort $(shell find src/worker -name '*.c'))
SIM_SRCS := $(SIM_PRODUCT) $(sort $(wildcard tests/sim/*.c))
SIM_LIBS := -lz -ljansson -lyaml -lcrypto
SIM_CFLAGS = -std=gnu11 $(HARDEN) $(WARNINGS) $(WERROR) -Iinclude -pthread \
	-DPENSTOCK_VERSION='"sim"'

SIM_B := build/sim
SIM_OBJS := $(SIM_SRCS:%.c=$(SIM_B)/%.o)

$(SIM_B)/%.o: %.c Makefile tests/sim/sim.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SIM_CFLAGS) $(FLAGS_asan) -MMD -MP -c -o $@ $<

$(SIM_B)/penstock-sim: $(SIM_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(FLAGS_asan) -pie -pthread -o $@ $^ $(SIM_LIBS)

.PHONY: sim
sim: $(SIM_B)/penstock-sim ## simulator (SEED=n or a..b, default 1..100; SEED=n V=1 traces one)
	$(Q)$< $(if $(filter 1,$(V)),-v) -j $$(nproc) $(SEED)

SIM_BASE := build/sim-mutants/base

$(SIM_BASE)/%.o: %.c Makefile tests/sim/sim.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(SIM_CFLAGS) -O1 -g -MMD -MP -c -o $@ $<

.PHONY: sim-mutants-base
sim-mutants-base: $(SIM_SRCS:%.c=$(SIM_BASE)/%.o)

.PHONY: sim-mutants
sim-mutants: ## named bugs in copies of the source; every one must be caught (M="names" for some)
	$(Q)python3 tests/sim/mutants.py --cc "$(CC)" --sources "$(SIM_SRCS)" $(M)

-include $(shell find $(SIM_B) $(SIM_BASE) -name '*.d' 2>/dev/null)
