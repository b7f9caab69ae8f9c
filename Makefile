# penstock: one Makefile. `make help` lists the targets.
#
#   BUILD=release|debug|asan|tsan|cov|fuzz picks the flags; objects go to build/$(BUILD)/.
#   V=1 shows the commands. CC=clang works as well as gcc.

BUILD ?= release
B      := build/$(BUILD)

ifeq ($(filter $(BUILD),release debug asan tsan cov fuzz),)
$(error BUILD=$(BUILD): choose release, debug, asan, tsan, cov or fuzz)
endif

VERSION := $(shell cat packaging/common/VERSION)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

CC       ?= cc
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wcast-align -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wswitch-enum \
	-Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion
WERROR   ?= -Werror
HARDEN   := -fvisibility=hidden -fno-common -fstack-protector-strong -fPIE
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -flto=auto
FLAGS_debug   := -O0 -g3
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_cov     := -O0 -g --coverage
FLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined
CFLAGS  ?=
ALL_CFLAGS := -std=gnu11 $(FLAGS_$(BUILD)) $(HARDEN) $(WARNINGS) $(WERROR) -Iinclude -pthread \
	-DPENSTOCK_VERSION='"$(VERSION)"' -DPENSTOCK_COMMIT='"$(COMMIT)"' $(CFLAGS)
LDFLAGS ?=
# CFLAGS again: code is made when linking, and must be the same wherever (-ffile-prefix-map).
ALL_LDFLAGS := $(FLAGS_$(BUILD)) -pie -pthread -Wl,-z,relro,-z,now $(CFLAGS) $(LDFLAGS)
CRYPTO_LIBS := -lcrypto $(if $(filter x86_64,$(shell uname -m)),-lIPSec_MB)
TLS_LIBS    := -lwolfssl $(CRYPTO_LIBS)
# STATIC=1: what Fedora and EL have no package of becomes part of the program.
comma   := ,
BUNDLED := -lzookeeper_mt -lwolfssl
LIBS := -luring $(if $(STATIC),-Wl$(comma)-Bstatic $(BUNDLED) -Wl$(comma)-Bdynamic,$(BUNDLED)) \
	-lyaml -ljansson -lmicrohttpd -lcares -lz $(CRYPTO_LIBS) $(if $(STATIC),-lm)

SRCS := $(sort $(shell find src -name '*.c'))
OBJS := $(SRCS:%.c=$(B)/%.o)
LIB_OBJS := $(filter-out $(B)/src/main.o,$(OBJS))

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-6s %s\n' '$(1)' '$(2)'
endif

##@ Main
.PHONY: all
all: $(B)/penstock ## build build/release/penstock (the default)

$(B)/penstock: $(OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: demo
demo: ## install what is needed, build, and proxy a real Pulsar cluster and a real Kafka for a minute
	$(Q)tests/lab/deps.sh build lab
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/demo/demo.sh

NAME ?= $(COMMIT)
.PHONY: bench
bench: ## under 2 hours: penstock beside every peer, and the report; goes on where it stopped (NAME=)
	$(Q)tests/lab/deps.sh build bench peers peers-java
	$(Q)$(MAKE) --no-print-directory all bench-tools
	$(Q)bench/run --name $(NAME) --resume; status=$$?; bench/report build/bench/$(NAME) && exit $$status

.PHONY: bench-quick
bench-quick: ## 4 minutes: penstock against bare loops and HAProxy (nothing else may run)
	$(Q)tests/lab/deps.sh build bench
	$(Q)$(MAKE) --no-print-directory all bench-tools
	$(Q)bench/quick.py
	$(Q)bench/spliced.py

.PHONY: clean
clean: ## remove build/
	rm -rf build compile_commands.json

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

include tests/tests.mk
include packaging/packaging.mk
-include bench/bench.mk
