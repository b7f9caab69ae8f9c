# Fuzzing; included by tests/tests.mk. A target is tests/fuzz/fuzz_<file>.c, its seeds are in
# tests/fuzz/corpus/<file>/. What libFuzzer finds new is kept under build/fuzz/corpus.

FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_OBJS := $(filter $(B)/src/base/% $(B)/src/wire/% $(B)/src/route/% $(B)/src/config/% \
	$(B)/src/control/discovery/%_json.o $(B)/src/control/discovery/discovery_url.o,$(OBJS))
FUZZ_SECONDS ?= 60

# Those of brains need these.
FUZZ_PROTO := $(filter proto_%,$(FUZZ_NAMES))
$(foreach how,replay run,$(FUZZ_PROTO:%=$(B)/tests/fuzz/$(how)_%)): $(filter $(B)/src/worker/proto/%,$(OBJS))

# Its nonces can be foreseen.
$(B)/tests/fuzz/replay_proto_kafka $(B)/tests/fuzz/run_proto_kafka: ALL_LDFLAGS += -Wl,--wrap=rng_secret

# Those of src/tls need it and what is below it; the one that reads records brings its own sockets.
FUZZ_TLS := $(filter tls_%,$(FUZZ_NAMES))
FUZZ_LIBS := -lz -lyaml -ljansson -lcrypto
$(foreach how,replay run,$(FUZZ_TLS:%=$(B)/tests/fuzz/$(how)_%)): FUZZ_LIBS += $(TLS_LIBS)
$(foreach how,replay run,$(FUZZ_TLS:%=$(B)/tests/fuzz/$(how)_%)): $(filter $(B)/src/tls/%,$(OBJS))
$(foreach how,replay run,$(patsubst %,$(B)/tests/fuzz/$(how)_%,$(filter-out tls_recv,$(FUZZ_TLS)))): \
	$(filter $(B)/src/net/%,$(OBJS))

$(FUZZ_NAMES:%=$(B)/tests/fuzz/replay_%): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o \
		$(B)/tests/fuzz/replay.o $(FUZZ_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUZZ_LIBS)

$(FUZZ_NAMES:%=$(B)/tests/fuzz/run_%): $(B)/tests/fuzz/run_%: $(B)/tests/fuzz/fuzz_%.o $(FUZZ_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(ALL_LDFLAGS)) -o $@ $^ $(FUZZ_LIBS)

.PHONY: fuzz fuzz-run fuzz-replay
fuzz: ## fuzz one parser: T=wire_pulsar FUZZ_SECONDS=60 (clang 14)
	@test -f "tests/fuzz/fuzz_$(T).c" || { echo "fuzz: T= one of $(FUZZ_NAMES)"; exit 2; }
	$(Q)$(MAKE) --no-print-directory BUILD=fuzz CC=clang-14 fuzz-run T=$(T)

fuzz-run: $(B)/tests/fuzz/run_$(T)
	@mkdir -p $(B)/corpus/$(T)
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
		-artifact_prefix=$(B)/ $(B)/corpus/$(T) tests/fuzz/corpus/$(T)

fuzz-replay: $(FUZZ_NAMES:%=$(B)/tests/fuzz/replay_%) ## every seed through its parser, without libFuzzer
	$(Q)for t in $(FUZZ_NAMES); do \
		$(B)/tests/fuzz/replay_$$t tests/fuzz/corpus/$$t/* || exit 1; done
	@echo "fuzz-replay: $(words $(wildcard $(FUZZ_NAMES:%=tests/fuzz/corpus/%/*))) inputs passed"
