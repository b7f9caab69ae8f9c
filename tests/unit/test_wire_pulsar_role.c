/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/pulsar in role mode: what is made of clients' CONNECTs, those of protobuf-c and any others,
 * read by protobuf-c: nothing a client writes is ever read as the proxy's word.
 */
#include "unit.h"

#include <penstock/base/rng.h>
#include <penstock/wire/pulsar.h>

#include "pulsar_subset.pb-c.h"

#define FRAME_MAX 4096

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
};

static const struct pulsar_role plain_role = {
	.method = { (const uint8_t *)"token", 5 },
	.data = { (const uint8_t *)"our secret", 10 },
	.principal = { (const uint8_t *)"alice", 5 },
	.version = { (const uint8_t *)"penstock-1", 10 },
};

static struct span span_of_frame(const struct frame *frame)
{
	return span_of(frame->bytes, frame->len);
}

static struct frame pack(const Pulsar__Proto__BaseCommand *base)
{
	struct frame frame;
	struct sink sink = sink_of(frame.bytes, sizeof(frame.bytes));
	size_t size = pulsar__proto__base_command__get_packed_size(base);
	assert_true(size <= FRAME_MAX - 8);
	sink_u32(&sink, (uint32_t)(4 + size));
	sink_u32(&sink, (uint32_t)size);
	frame.len = 8 + pulsar__proto__base_command__pack(base, frame.bytes + 8);
	return frame;
}

static Pulsar__Proto__BaseCommand *unpack(struct span frame)
{
	struct span rest = frame;
	uint32_t total = 0, size = 0;
	assert_true(span_u32(&rest, &total) && span_u32(&rest, &size));
	assert_int_equal(total + 4, frame.len);
	assert_int_equal(size, total - 4); /* no payload */
	Pulsar__Proto__BaseCommand *base = pulsar__proto__base_command__unpack(NULL, size, rest.at);
	assert_non_null(base);
	return base;
}

/* Says everything that can be said, as somebody else. */
static struct frame make_connect(size_t auth_size)
{
	static uint8_t auth[2048];
	Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
	Pulsar__Proto__CommandConnect connect = PULSAR__PROTO__COMMAND_CONNECT__INIT;
	Pulsar__Proto__FeatureFlags flags = PULSAR__PROTO__FEATURE_FLAGS__INIT;
	char version[] = "Pulsar-Java-v4.0.8", method[] = "tls", url[] = "b1:6650",
	     admin[] = "admin";
	base.type = PULSAR_CONNECT;
	base.connect = &connect;
	memset(auth, 'x', sizeof(auth));
	connect.client_version = version;
	connect.has_auth_method = true;
	connect.auth_method = 1;
	connect.auth_method_name = method;
	connect.has_auth_data = true;
	connect.auth_data.data = auth;
	connect.auth_data.len = auth_size;
	connect.has_protocol_version = true;
	connect.protocol_version = 21;
	connect.proxy_to_broker_url = url;
	connect.original_principal = admin;
	connect.original_auth_data = admin;
	connect.original_auth_method = admin;
	connect.feature_flags = &flags;
	connect.proxy_version = admin;
	flags.has_supports_auth_refresh = true;
	flags.supports_auth_refresh = true;
	return pack(&base);
}

/* What must hold whatever the client wrote. */
static void assert_ours(struct span frame, const struct pulsar_role *role)
{
	Pulsar__Proto__BaseCommand *base = unpack(frame);
	assert_int_equal(base->type, PULSAR_CONNECT);
	assert_int_equal(base->base.n_unknown_fields, 0);
	const Pulsar__Proto__CommandConnect *connect = base->connect;
	assert_non_null(connect);
	assert_int_equal(connect->base.n_unknown_fields, 0);
	assert_span(role->principal, connect->original_principal);
	assert_span(role->method, connect->auth_method_name);
	assert_span(role->version, connect->proxy_version);
	assert_int_equal(connect->auth_data.len, role->data.len);
	assert_memory_equal(connect->auth_data.data, role->data.at, role->data.len);
	assert_false(connect->has_auth_method);
	assert_null(connect->proxy_to_broker_url);
	assert_int_equal(connect->original_auth_data != NULL, role->original_data.at != NULL);
	assert_int_equal(connect->original_auth_method != NULL, role->original_method.at != NULL);
	if (connect->original_auth_data != NULL)
		assert_span(role->original_data, connect->original_auth_data);
	if (connect->original_auth_method != NULL)
		assert_span(role->original_method, connect->original_auth_method);
	pulsar__proto__base_command__free_unpacked(base, NULL);
}

static void test_connect(void **state)
{
	(void)state;
	for (size_t auth = 0; auth < 400; auth++) {
		struct frame frame = make_connect(auth);
		uint8_t out[FRAME_MAX];
		struct sink sink = sink_of(out, sizeof(out));
		pulsar_write_connect_role(&sink, span_of_frame(&frame), &plain_role);
		assert_false(sink.full);
		assert_ours(sink_written(&sink), &plain_role);
		Pulsar__Proto__BaseCommand *base = unpack(sink_written(&sink));
		assert_string_equal(base->connect->client_version, "Pulsar-Java-v4.0.8");
		assert_int_equal(base->connect->protocol_version, 21);
		assert_true(base->connect->feature_flags->supports_auth_refresh);
		pulsar__proto__base_command__free_unpacked(base, NULL);
	}
}

static void test_forwarded(void **state)
{
	(void)state;
	struct pulsar_role role = plain_role;
	struct frame frame = make_connect(3);
	uint8_t out[FRAME_MAX];
	struct sink sink = sink_of(out, sizeof(out));
	role.data = span_of("", 0); /* as the method tls has it: there, and empty */
	role.original_method = span_str("token");
	role.original_data = span_str("its own");
	pulsar_write_connect_role(&sink, span_of_frame(&frame), &role);
	assert_false(sink.full);
	assert_ours(sink_written(&sink), &role);
}

/* Every beginning of a CONNECT, and every room for the new one: whole or not at all. */
static void test_cut(void **state)
{
	(void)state;
	struct frame frame = make_connect(30);
	uint8_t whole[FRAME_MAX];
	struct sink sink = sink_of(whole, sizeof(whole));
	pulsar_write_connect_role(&sink, span_of_frame(&frame), &plain_role);
	size_t size = sink.len;
	for (size_t len = 0; len < frame.len; len++) {
		uint8_t out[FRAME_MAX];
		uint8_t *copy = exact_copy(frame.bytes, len);
		sink = sink_of(out, sizeof(out));
		pulsar_write_connect_role(&sink, span_of(copy, len), &plain_role);
		assert_true(sink.full);
		sink = sink_of(out, sizeof(out));
		pulsar_write_auth_response(&sink, span_of(copy, len), plain_role.method,
					   plain_role.data);
		assert_true(sink.full);
		free(copy);
	}
	for (size_t room = 0; room <= size; room++) {
		uint8_t *out = malloc(room + 1);
		sink = sink_of(out, room);
		pulsar_write_connect_role(&sink, span_of_frame(&frame), &plain_role);
		assert_int_equal(sink.full, room < size);
		free(out);
	}
}

/* A proxy's CONNECT without a principal would be the proxy itself, which may do everything. */
static void test_nobody(void **state)
{
	(void)state;
	struct pulsar_role role = plain_role;
	struct frame frame = make_connect(3);
	uint8_t out[FRAME_MAX];
	struct sink sink = sink_of(out, sizeof(out));
	role.principal = span_of("", 0);
	pulsar_write_connect_role(&sink, span_of_frame(&frame), &role);
	assert_true(sink.full);
	assert_int_equal(sink.len, 0);
}

/* ---- any CONNECT at all ---- */

static void put_random_field(struct sink *sink, struct rng *rng)
{
	static const uint32_t numbers[] = { 1, 2,  3,  4,  5,  6,  7,  7,  8,
					    9, 10, 11, 12, 13, 31, 32, 99, 2047 };
	uint32_t number = numbers[rng_next(rng) % COUNT_OF(numbers)];
	bool is_number = number == 2 || number == 4;
	if (rng_next(rng) % 16 == 0)
		is_number = !is_number;
	sink_varint(sink, (uint64_t)number << 3 | (is_number ? 0 : 2));
	if (is_number) {
		sink_varint(sink, rng_next(rng) >> rng_next(rng) % 64);
		return;
	}
	size_t len = rng_next(rng) % 24;
	if (number ==
	    10) /* flags of which each is whole: what protobuf-c cannot read, brokers cannot */
		len &= ~(size_t)1;
	sink_varint(sink, len);
	for (size_t i = 0; i < len; i++)
		sink_u8(sink, (uint8_t)(number == 10 ? (i % 2 ? 1 : 8) : 'a' + i));
}

static struct frame random_connect(struct rng *rng)
{
	uint8_t body_bytes[1024];
	struct frame frame;
	struct sink body = sink_of(body_bytes, sizeof(body_bytes));
	struct sink sink = sink_of(frame.bytes, sizeof(frame.bytes));
	for (uint64_t i = rng_next(rng) % 16; i > 0; i--)
		put_random_field(&body, rng);
	sink_u32(&sink, 0);
	sink_u32(&sink, 0);
	if (rng_next(rng) % 4 == 0) /* another command beside it, or what comes tomorrow */
		put_random_field(&sink, rng);
	sink_varint(&sink, 1 << 3);
	sink_varint(&sink, PULSAR_CONNECT);
	sink_varint(&sink, PULSAR_CONNECT << 3 | 2);
	sink_varint(&sink, body.len);
	sink_span(&sink, sink_written(&body));
	if (rng_next(rng) % 4 == 0)
		put_random_field(&sink, rng);
	size_t command = sink.len - 8;
	for (uint64_t i = rng_next(rng) % 4; i > 1; i--)
		sink_u8(&sink, (uint8_t)rng_next(rng)); /* a payload */
	sink_patch_u32(&sink, 0, (uint32_t)(sink.len - 4));
	sink_patch_u32(&sink, 4, (uint32_t)command);
	frame.len = sink.len;
	return frame;
}

static void test_any_connect(void **state)
{
	uint32_t written = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= 20000; seed++) {
		struct rng rng;
		rng_seed(&rng, seed);
		struct frame frame = random_connect(&rng);
		uint8_t out[FRAME_MAX];
		uint8_t *copy = exact_copy(frame.bytes, frame.len);
		struct sink sink = sink_of(out, sizeof(out));
		pulsar_write_connect_role(&sink, span_of(copy, frame.len), &plain_role);
		if (!sink.full) {
			assert_ours(sink_written(&sink), &plain_role);
			written++;
		}
		free(copy);
	}
	assert_true(written > 2000); /* most are refused for a field of the wrong type */
}

/* ---- answers, errors, and what else can name a principal ---- */

static void test_auth_response(void **state)
{
	(void)state;
	struct frame frame = make_connect(3);
	uint8_t out[FRAME_MAX];
	struct sink sink = sink_of(out, sizeof(out));
	pulsar_write_auth_response(&sink, span_of_frame(&frame), span_str("token"),
				   span_str("our secret"));
	assert_false(sink.full);
	Pulsar__Proto__BaseCommand *base = unpack(sink_written(&sink));
	assert_int_equal(base->type, PULSAR_AUTH_RESPONSE);
	const Pulsar__Proto__CommandAuthResponse *answer = base->authresponse;
	assert_string_equal(answer->client_version, "Pulsar-Java-v4.0.8");
	assert_int_equal(answer->protocol_version, 21);
	assert_string_equal(answer->response->auth_method_name, "token");
	assert_true(answer->response->has_auth_data);
	assert_int_equal(answer->response->auth_data.len, 10);
	assert_memory_equal(answer->response->auth_data.data, "our secret", 10);
	pulsar__proto__base_command__free_unpacked(base, NULL);
}

static void test_error(void **state)
{
	(void)state;
	uint8_t out[256];
	struct sink sink = sink_of(out, sizeof(out));
	struct pulsar_error_said said;
	pulsar_write_error(&sink, UINT64_MAX, PULSAR_AUTHORIZATION_ERROR, "Invalid roles.");
	for (size_t len = 0; len <= sink.len; len++) {
		uint8_t *copy = exact_copy(out, len);
		assert_int_equal(pulsar_read_error(span_of(copy, len), &said),
				 len < sink.len ? WIRE_BAD : WIRE_OK);
		if (len == sink.len) {
			assert_int_equal(said.error, PULSAR_AUTHORIZATION_ERROR);
			assert_span(said.message, "Invalid roles.");
		}
		free(copy);
	}
}

static void test_metadata(void **state)
{
	(void)state;
	for (int field = 2; field <= 6; field++) {
		Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
		Pulsar__Proto__CommandPartitionedTopicMetadata pb =
			PULSAR__PROTO__COMMAND_PARTITIONED_TOPIC_METADATA__INIT;
		char topic[] = "persistent://t/n/x", admin[] = "";
		base.type = PULSAR_PARTITIONED_METADATA;
		base.partitionmetadata = &pb;
		pb.topic = topic;
		pb.request_id = 7;
		pb.original_principal = field == 3 ? admin : NULL;
		pb.original_auth_data = field == 4 ? admin : NULL;
		pb.original_auth_method = field == 5 ? admin : NULL;
		pb.has_metadata_auto_creation_enabled = field == 6;
		struct frame frame = pack(&base);
		for (size_t len = 0; len <= frame.len; len++) {
			uint8_t *copy = exact_copy(frame.bytes, len);
			bool has_original = false;
			enum wire res =
				pulsar_read_metadata_original(span_of(copy, len), &has_original);
			assert_int_equal(res, len < frame.len ? WIRE_BAD : WIRE_OK);
			if (res == WIRE_OK)
				assert_int_equal(has_original, field >= 3 && field <= 5);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),	    cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_cut),	    cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_any_connect), cmocka_unit_test(test_auth_response),
		cmocka_unit_test(test_error),	    cmocka_unit_test(test_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
