# How some unit tests are linked; included by tests/tests.mk.
#
# The tests of base, wire, route and mail link only these modules: they prove that nothing above is
# needed, they build while something above does not, and test_mail brings its own uring_wake.

CORE_TESTS := addr log pace pool queue route route_sni route_topic span stat timer wire_hello \
	wire_kafka wire_kafka_answer wire_kafka_refusal wire_kafka_rewrite wire_kafka_sasl wire_kafka_stream wire_kafka_versions \
	wire_proxy wire_pulsar wire_pulsar_role wire_sasl wire_kafka_login
CORE_OBJS := $(filter $(B)/src/base/% $(B)/src/wire/% $(B)/src/route/%,$(OBJS))

$(CORE_TESTS:%=$(B)/tests/unit/test_%): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(CORE_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lz -lcrypto -lcmocka -lprotobuf-c

$(B)/tests/unit/test_mail: $(B)/tests/unit/test_mail.o $(CORE_OBJS) \
		$(filter $(B)/src/mail/%,$(OBJS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lz -lcrypto -lcmocka

# The messages of Pulsar as protobuf-c encodes them: an oracle for src/wire, which does without.
PULSAR_PB := $(B)/tests/unit/pulsar_subset.pb-c

$(PULSAR_PB).c: tests/unit/pulsar_subset.proto
	$(call say,PROTO,$@)
	@mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(@D) --proto_path=tests/unit $<

$(PULSAR_PB).h: $(PULSAR_PB).c

$(PULSAR_PB).o: $(PULSAR_PB).c
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -w -c -o $@ $<

PULSAR_TESTS := $(B)/tests/unit/test_wire_pulsar $(B)/tests/unit/test_wire_pulsar_role

$(PULSAR_TESTS:%=%.o): ALL_CFLAGS += -isystem $(B)/tests/unit
$(PULSAR_TESTS:%=%.o): $(PULSAR_PB).h
$(PULSAR_TESTS): $(PULSAR_PB).o

# Its time is its own.
$(B)/tests/unit/test_discovery_zookeeper: $(B)/tests/unit/test_discovery_zookeeper.o $(filter-out $(B)/src/base/clock.o,$(LIB_OBJS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

# OpenSSL is the peer the ends of src/tls are tested with.
TLS_TESTS := $(filter $(B)/tests/unit/test_tls_%,$(UNIT_BINS))

$(filter-out %_tls_send,$(TLS_TESTS)): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lssl -lcmocka

# What is sent goes through a socket that is full when the test wants it to be.
LIMITED := $(B)/src/tls/tls_send.o $(B)/src/tls/tls_control.o $(B)/src/tls/tls_io.o

$(LIMITED:$(B)/src/tls/%=$(B)/tests/unit/limited_%): $(B)/tests/unit/limited_%.o: src/tls/%.c
	$(call say,CC,$< (limited))
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Dnet_send=limited_send -Dnet_ktls_send=limited_ktls_send \
		-Dnet_is_writable=limited_is_writable -Dnet_shutdown_write=limited_shutdown -MMD -MP -c -o $@ $<

$(B)/tests/unit/test_tls_send: $(B)/tests/unit/test_tls_send.o $(filter-out $(LIMITED),$(LIB_OBJS)) \
		$(LIMITED:$(B)/src/tls/%=$(B)/tests/unit/limited_%)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lssl -lcmocka
