/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the tests of the Pulsar brain share: a brain with its pools and a snapshot, frames written
 * field by field, and a look at what a verdict says. Bytes are shown in copies of their exact size,
 * so that AddressSanitizer sees a read behind them; scratch is fresh every time, so that nothing is
 * answered out of an older one.
 */
#pragma once

#include "unit.h"

#include <penstock/wire/pulsar.h>
#include <penstock/worker/proto.h>

#define FRAME_BYTES 80000

struct frame {
	uint8_t bytes[FRAME_BYTES];
	size_t len;
};

struct field {
	uint32_t number;  /* 0: no more */
	const char *text; /* NULL: a number */
	uint64_t value;
};

#define TEXT(n, s)                         \
	{                                  \
		.number = (n), .text = (s) \
	}
#define NUMBER(n, v)                        \
	{                                   \
		.number = (n), .value = (v) \
	}
#define FRAME(type, ...) make_frame((type), (const struct field[]){ __VA_ARGS__, { .number = 0 } })

static inline void put_fields(struct sink *sink, const struct field *fields)
{
	for (; fields->number != 0; fields++) {
		sink_varint(sink, (uint64_t)fields->number << 3 | (fields->text != NULL ? 2 : 0));
		if (fields->text == NULL) {
			sink_varint(sink, fields->value);
			continue;
		}
		sink_varint(sink, strlen(fields->text));
		sink_str(sink, fields->text);
	}
}

/* A command with that body, and a payload of zeroes. */
static inline struct frame make_padded(uint32_t type, const struct field *fields, size_t payload)
{
	static uint8_t body_bytes[FRAME_BYTES], zeroes[FRAME_BYTES];
	struct frame frame = { .len = 0 };
	struct sink body = sink_of(body_bytes, sizeof(body_bytes));
	struct sink sink = sink_of(frame.bytes, sizeof(frame.bytes));

	put_fields(&body, fields);
	sink_u32(&sink, 0);
	sink_u32(&sink, 0);
	sink_varint(&sink, 1 << 3);
	sink_varint(&sink, type);
	sink_varint(&sink, (uint64_t)type << 3 | 2);
	sink_varint(&sink, body.len);
	sink_span(&sink, sink_written(&body));
	size_t command = sink.len - 8;

	sink_bytes(&sink, zeroes, payload);
	sink_patch_u32(&sink, 0, (uint32_t)(sink.len - 4));
	sink_patch_u32(&sink, 4, (uint32_t)command);
	assert_false(sink.full || body.full);
	frame.len = sink.len;
	return frame;
}

static inline struct frame make_frame(uint32_t type, const struct field *fields)
{
	return make_padded(type, fields, 0);
}

/* Two frames, or one and the beginning of another, behind each other. */
static inline struct frame glue(const struct frame *a, const void *more, size_t len)
{
	struct frame both = *a;

	assert_true(len <= sizeof(both.bytes) - both.len);
	memcpy(both.bytes + both.len, more, len);
	both.len += len;
	return both;
}

/* ---- the brain ---- */

struct bench {
	struct proto proto;
	struct proto_pools pools;
	struct proto_context context;
	struct stat_block stats;
	struct config config;
	struct route *route;
	bool can_reply;
	const char *principal; /* NULL: the client has no certificate */
	uint8_t scratch[PROTO_FRAME_MAX];
	uint8_t shown[FRAME_BYTES]; /* what verdicts point into outlives the exact copy */
};

static struct bench bench;

static inline void bench_context(void)
{
	memset(bench.scratch, 0xee, sizeof(bench.scratch));
	bench.context = (struct proto_context){
		.route = bench.route,
		.principal = bench.principal != NULL ? span_str(bench.principal) : span_of(NULL, 0),
		.now_ns = 1,
		.first_frame_max = 65536,
		.frame_max = 5253120,
		.can_reply = bench.can_reply,
		.scratch = sink_of(bench.scratch, sizeof(bench.scratch)),
		.pools = &bench.pools,
		.stats = &bench.stats,
	};
}

/* A cluster with two brokers; the first owns t/direct when lookups may be answered from here. */
static inline void bench_route(bool is_direct)
{
	struct route_builder *builder;
	struct route_endpoint endpoint = { .host = "b0.sim", .port = 6650, .addr_count = 1 };
	struct route_bundle bundle = { .low = 0, .tls = -1 };
	const struct route_namespace ns = {
		.name = "t/direct",
		.bundles = &bundle,
		.bundle_count = 1,
	};

	route_free(bench.route);
	bench.config.cluster_count = 1;
	bench.config.clusters[0].name = "town";
	builder = route_build_begin(&bench.config, 1);
	route_build_cluster(builder, 0, true, true, is_direct, 1);
	endpoint.addrs[0] = addr_v4(0x0a010001, 6650);
	bundle.plain = route_build_endpoint(builder, 0, &endpoint);
	route_build_namespace(builder, 0, &ns);
	bench.route = route_build_end(builder);
	assert_non_null(bench.route);
}

static inline int bench_begin(void **state)
{
	(void)state;
	memset(&bench, 0, sizeof(bench));
	const struct proto_pool_sizes sizes = { .sessions = 8, .books = 2 };

	assert_int_equal(proto_pools_init(&bench.pools, &sizes, 1000), 0);
	bench.can_reply = true;
	bench_route(false);
	proto_begin(&bench.proto, &proto_pulsar_ops, &bench.pools);
	return 0;
}

/* No question is open. */
static inline void bench_check_empty_but_keep(void)
{
	assert_int_equal(bench.pools.books.in_use, 0);
	assert_int_equal(bench.pools.lookups_in_flight, 0);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_IN_FLIGHT), 0);
}

/* Everything leased has come back. */
static inline void bench_check_empty(void)
{
	assert_int_equal(bench.pools.keep_small.in_use, 0);
	assert_int_equal(bench.pools.keep_big.in_use, 0);
	bench_check_empty_but_keep();
}

static inline int bench_end(void **state)
{
	(void)state;
	bench_context();
	bench.proto.ops->end(&bench.proto, &bench.context);
	bench_check_empty();
	proto_pools_fini(&bench.pools);
	route_free(bench.route);
	return 0;
}

static inline struct proto_verdict see(enum proto_channel channel, const void *bytes, size_t len)
{
	struct proto_verdict verdict = { .what = PROTO_HOLD };
	uint8_t *copy = exact_copy(bytes, len);

	bench_context();
	bench.proto.ops->see(&bench.proto, channel, span_of(copy, len), &bench.context, &verdict);
	/* A target is a part of what was shown. */
	if (verdict.target.len > 0) {
		memcpy(bench.shown, verdict.target.at, verdict.target.len);
		verdict.target.at = bench.shown;
	}
	free(copy);
	return verdict;
}

static inline struct proto_verdict see_frame(enum proto_channel channel, const struct frame *frame)
{
	return see(channel, frame->bytes, frame->len);
}

static inline void assert_verdict(struct proto_verdict verdict, enum proto_what what, uint64_t n)
{
	assert_int_equal(verdict.what, what);
	assert_int_equal(verdict.n, n);
}

/* Every beginning of a frame needs more, and never more than the frame: asked for step by step,
 * the whole of it comes together. */
static inline void assert_needs_all(enum proto_channel channel, const struct frame *frame)
{
	for (size_t len = 0; len < frame->len; len++) {
		struct proto_verdict verdict = see(channel, frame->bytes, len);

		assert_int_equal(verdict.what, PROTO_NEED);
		assert_true(verdict.n > len && verdict.n <= frame->len);
		assert_true(verdict.max >= verdict.n);
	}
}

/* CONNECT is through, CONNECTED too if `is_connected`. */
static inline void bench_open_lookup(bool is_connected)
{
	const struct frame connect =
		FRAME(PULSAR_CONNECT, TEXT(1, "c"), TEXT(5, "token"), TEXT(3, "secret-1"));
	const struct frame connected = FRAME(PULSAR_CONNECTED, TEXT(1, "b"), NUMBER(2, 21));

	assert_verdict(see_frame(PROTO_CLIENT, &connect), PROTO_DIAL, 0);
	bench.proto.ops->dialled(&bench.proto);
	assert_verdict(see_frame(PROTO_CLIENT, &connect), PROTO_PASS, connect.len);
	assert_int_equal(bench.proto.kind, PROTO_KIND_LOOKUP);
	if (is_connected)
		assert_verdict(see_frame(PROTO_BROKER, &connected), PROTO_PASS, connected.len);
}

/* The LOOKUP_RESPONSE that a verdict sends. */
static inline struct pulsar_lookup_response assert_response(struct proto_verdict verdict,
							    uint64_t request_id, uint64_t type)
{
	struct pulsar_lookup_response response;

	assert_int_equal(pulsar_read_lookup_response(verdict.bytes, &response), WIRE_OK);
	assert_int_equal(response.request_id, request_id);
	assert_true(response.has_type);
	assert_int_equal(response.type, type);
	return response;
}

/* The error in a LOOKUP_RESPONSE or an ERROR; 0: none. */
static inline uint64_t error_of(struct span frame, uint32_t field)
{
	uint64_t error = 0;

	if (pulsar_read_request_id(frame, field, &error) != WIRE_OK)
		return 0;
	return error;
}
