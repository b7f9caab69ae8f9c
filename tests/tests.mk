# Test targets; included by the Makefile.

##@ Tests
UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(B)/tests/unit/%)
UNIT_WANTED := $(if $(T),$(T:%=$(B)/tests/unit/test_%),$(UNIT_BINS))

# A unit test links the whole library: what it does not use the linker drops.
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka -lprotobuf-c

.PHONY: unit
unit: $(UNIT_WANTED) ## unit tests (BUILD=asan for sanitizers, T="names" for some)
	$(Q)tests/unit/run.sh $^

-include tests/unit/unit.mk
-include tests/lint/lint.mk
-include tests/sim/sim.mk

.PHONY: e2e
e2e: all ## end-to-end tests against real servers (K=expression picks some)
	$(Q)tests/e2e/run.sh $(if $(K),-k "$(K)")

.PHONY: geo
geo: all ## two Pulsar clusters replicate through SNI routing (one minute; part of `e2e`)
	$(Q)tests/e2e/run.sh -q test_99_geo.py

.PHONY: interop
interop: all ## TLS clients of seven stacks against every mode of a listener; prints the matrix (one minute; part of `e2e`)
	$(Q)tests/e2e/run.sh -q test_98_interop.py

.PHONY: ktls
ktls: all ## the kernel's TLS, in user-mode Linux, whatever kernel runs here (K=expression picks some)
	$(Q)tests/ktls/run.sh $(if $(K),-k "$(K)")

.PHONY: kafka-matrix
kafka-matrix: all ## Kafka's clients x port and SNI mode x TLS, certificates, SASL, faults in both, both kinds of transactions in trouble, a million requests in a row; prints the table (20 minutes; part of `matrix`)
	$(Q)PENSTOCK_E2E_MATRIX=1 tests/e2e/run.sh -q test_52_kafka_zookeeper.py test_54_kafka_java.py test_55_kafka_clients.py test_56_kafka_matrix.py test_57_kafka_faults.py::test_requests_in_a_row

# What `check` leaves out to stay short: the suite on other clusters, with every client and fault.
MATRIX ?= "" "extensible" "three-zookeepers" "extensible three-zookeepers"

.PHONY: matrix
matrix: kafka-matrix ## the end-to-end suite on every kind of cluster, and all of the Kafka matrix (half an hour)
	$(Q)for cluster in $(MATRIX); do \
		printf 'matrix: %s\n' "$${cluster:-modular, one zookeeper}"; \
		PENSTOCK_E2E_CLUSTER="$$cluster" tests/e2e/run.sh -q || exit 1; \
	done

# One target so that one command says everything; each part stops the run when it fails.
.PHONY: check
check: ## install what is needed, run all tests; one closing line
	$(Q)tests/lab/deps.sh build lab bench ktls
	$(Q)tests/check.sh
-include tests/fuzz/fuzz.mk
