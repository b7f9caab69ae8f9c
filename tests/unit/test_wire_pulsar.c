/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/pulsar: frames made by protobuf-c, read and edited by us, and read again by protobuf-c;
 * every beginning of every frame; and the frames no correct encoder makes, by hand.
 */
#include "unit.h"

#include <penstock/wire/pulsar.h>

#include "pulsar_subset.pb-c.h"

#define FRAME_MAX 4096

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t len;
};

static struct span span_of_frame(const struct frame *frame)
{
	return span_of(frame->bytes, frame->len);
}

/* A frame around the bytes of a BaseCommand. */
static struct frame wrap(struct span command, struct span payload)
{
	struct frame frame;
	struct sink sink = sink_of(frame.bytes, sizeof(frame.bytes));
	sink_u32(&sink, (uint32_t)(4 + command.len + payload.len));
	sink_u32(&sink, (uint32_t)command.len);
	sink_span(&sink, command);
	sink_span(&sink, payload);
	assert_false(sink.full);
	frame.len = sink.len;
	return frame;
}

static struct frame pack(const Pulsar__Proto__BaseCommand *base)
{
	uint8_t command[FRAME_MAX];
	assert_true(pulsar__proto__base_command__get_packed_size(base) <= sizeof(command));
	size_t len = pulsar__proto__base_command__pack(base, command);
	return wrap(span_of(command, len), span_of(NULL, 0));
}

static Pulsar__Proto__BaseCommand *unpack(struct span frame)
{
	struct span rest = frame;
	uint32_t total = 0, size = 0;
	assert_true(span_u32(&rest, &total) && span_u32(&rest, &size));
	assert_int_equal(total + 4, frame.len);
	assert_true(size <= total - 4);
	Pulsar__Proto__BaseCommand *base = pulsar__proto__base_command__unpack(NULL, size, rest.at);
	assert_non_null(base);
	return base;
}

static void release(Pulsar__Proto__BaseCommand *base)
{
	pulsar__proto__base_command__free_unpacked(base, NULL);
}

static struct frame make_connect(const char *target, size_t auth_size)
{
	static uint8_t auth[2048];
	Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
	Pulsar__Proto__CommandConnect connect = PULSAR__PROTO__COMMAND_CONNECT__INIT;
	Pulsar__Proto__FeatureFlags flags = PULSAR__PROTO__FEATURE_FLAGS__INIT;
	char version[] = "Pulsar-Java-v4.0.8", method[] = "token", url[300] = "";
	base.type = PULSAR_CONNECT;
	base.connect = &connect;
	memset(auth, 'x', sizeof(auth));
	connect.client_version = version;
	connect.auth_method_name = method;
	connect.has_auth_data = true;
	connect.auth_data.data = auth;
	connect.auth_data.len = auth_size;
	connect.has_protocol_version = true;
	connect.protocol_version = 21;
	connect.feature_flags = &flags;
	flags.has_supports_auth_refresh = true;
	flags.supports_auth_refresh = true;
	if (target != NULL) {
		assert_true(span_to_str(span_str(target), url, sizeof(url)));
		connect.proxy_to_broker_url = url;
	}
	return pack(&base);
}

static void test_head(void **state)
{
	(void)state;
	struct frame frame = make_connect("b1:6650", 20);
	for (size_t len = 0; len <= frame.len; len++) {
		uint8_t *copy = exact_copy(frame.bytes, len);
		struct pulsar_head head = { 0 };
		size_t need = 99;
		enum wire res = pulsar_head(span_of(copy, len), &head, &need);
		assert_int_equal(res, len < 10 ? WIRE_MORE : WIRE_OK);
		if (res == WIRE_OK) {
			assert_int_equal(head.frame_size, frame.len);
			assert_int_equal(head.command_size, frame.len - 8);
			assert_int_equal(head.type, PULSAR_CONNECT);
		} else {
			assert_int_equal(need, len < 4 ? 4 : len < 8 ? 8 : 10);
		}
		free(copy);
	}
}

struct bytes {
	const char *at;
	size_t len;
};
#define BYTES(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

static void test_head_bad(void **state)
{
	(void)state;
	static const struct bytes bad[] = {
		BYTES("\0\0\0\0"),	       /* zero length */
		BYTES("\0\0\0\x05"),	       /* no room for a type */
		BYTES("\0\0\0\x06\0\0\0\0"),   /* empty command */
		BYTES("\0\0\0\x06\0\0\0\x01"), /* half a type */
		BYTES("\0\0\0\x06\0\0\0\x03"), /* command longer than frame */
		BYTES("\0\0\0\x0a\xff\xff\xff\xff"),
		BYTES("\0\0\0\x08\0\0\0\x02\x08\x80\0\0"), /* varint runs out of the command */
		BYTES("\0\0\0\x10\0\0\0\x0c\x0a\0"
		      "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* negative type */
		BYTES("\0\0\0\x10\0\0\0\x0c"
		      "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), /* endless */
		BYTES("\0\0\0\x08\0\0\0\x04\x0a\x02\x08\x02"),	       /* type as bytes */
		BYTES("\0\0\0\x09\0\0\0\x05\x0d\0\0\0\0"),	       /* type as fixed32 */
		BYTES("\0\0\0\x08\0\0\0\x04\x10\x02\x18\x02"),	       /* no type at all */
		BYTES("\0\0\0\x08\0\0\0\x04\x00\x02\x08\x02"),	       /* field 0 */
		BYTES("\0\0\0\x08\0\0\0\x04\x13\x14\x08\x02"),	       /* a group */
		BYTES("\0\0\0\x08\0\0\0\x04\x16\x02\x08\x02"),	       /* wire type 6 */
		BYTES("\0\0\0\x08\0\0\0\x04\x12\x05\x08\x02"), /* length beyond the command */
	};
	struct pulsar_head head;
	size_t need;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		uint8_t *copy = exact_copy(bad[i].at, bad[i].len);
		if (pulsar_head(span_of(copy, bad[i].len), &head, &need) != WIRE_BAD)
			fail_msg("case %zu", i);
		for (size_t len = 0; len < bad[i].len; len++) /* never good before it is bad */
			assert_int_not_equal(pulsar_head(span_of(copy, len), &head, &need),
					     WIRE_OK);
		free(copy);
	}
}

/* The type may stand anywhere: the need grows with what is known, and always suffices. */
static void test_head_late_type(void **state)
{
	(void)state;
	static const uint8_t command[] = { 0x92, 0x01, 0x03, 1, 2,    3,    0x21, 8,
					   7,	 6,    5,    4, 3,    2,    1,	  0x2d,
					   1,	 2,    3,    4, 0x08, 0x92, 0x80, 0x00 };
	struct frame frame = wrap(span_of(command, sizeof(command)), span_of("pay", 3));
	struct pulsar_head head;
	size_t have = 0, need, rounds = 0;
	for (;;) {
		enum wire res = pulsar_head(span_of(frame.bytes, have), &head, &need);
		if (res == WIRE_OK)
			break;
		assert_int_equal(res, WIRE_MORE);
		assert_true(need > have && need <= frame.len);
		have = need;
		assert_true(++rounds < 10);
	}
	assert_int_equal(head.type, 18);
	assert_int_equal(head.frame_size, frame.len);
	/* A type in a longer varint than needed: byte by byte. */
	static const uint8_t padded[] = { 0x08, 0x92, 0x80, 0x80, 0x00 };
	frame = wrap(span_of(padded, sizeof(padded)), span_of(NULL, 0));
	for (have = 10; have < frame.len; have++) {
		assert_int_equal(pulsar_head(span_of(frame.bytes, have), &head, &need), WIRE_MORE);
		assert_int_equal(need, have + 1);
	}
	assert_int_equal(pulsar_head(span_of_frame(&frame), &head, &need), WIRE_OK);
	assert_int_equal(head.type, 18);
}

static void test_read_connect(void **state)
{
	(void)state;
	static const char *const targets[] = { NULL, "", "broker-1:6650" };
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		struct frame frame = make_connect(targets[i], 33);
		struct pulsar_connect connect;
		assert_int_equal(pulsar_read_connect(span_of_frame(&frame), &connect), WIRE_OK);
		assert_int_equal(connect.proxy_to_broker_url.at != NULL, targets[i] != NULL);
		if (targets[i] != NULL)
			assert_span(connect.proxy_to_broker_url, targets[i]);
		assert_span(connect.auth_method_name, "token");
		assert_int_equal(connect.auth_data.len, 33);
		assert_int_equal(connect.protocol_version, 21);
		assert_false(connect.has_original || connect.has_proxy_version ||
			     connect.is_auth_multi_round);
		/* A truncated or lengthened frame is not a frame. */
		for (size_t len = 0; len < frame.len; len++) {
			uint8_t *copy = exact_copy(frame.bytes, len);
			assert_int_equal(pulsar_read_connect(span_of(copy, len), &connect),
					 WIRE_BAD);
			free(copy);
		}
		assert_int_equal(pulsar_read_connect(span_of(frame.bytes, frame.len + 1), &connect),
				 WIRE_BAD);
	}
}

static void test_read_connect_flags(void **state)
{
	(void)state;
	char version[] = "v", text[] = "x", sasl[] = "sasl";
	for (unsigned i = 0; i < 5; i++) {
		Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
		Pulsar__Proto__CommandConnect pb = PULSAR__PROTO__COMMAND_CONNECT__INIT;
		base.type = PULSAR_CONNECT;
		base.connect = &pb;
		pb.client_version = version;
		pb.original_principal = i == 0 ? text : NULL;
		pb.original_auth_data = i == 1 ? text : NULL;
		pb.original_auth_method = i == 2 ? text : NULL;
		pb.proxy_version = i == 3 ? text : NULL;
		pb.auth_method_name = i == 4 ? sasl : NULL;
		struct frame frame = pack(&base);
		struct pulsar_connect connect;
		assert_int_equal(pulsar_read_connect(span_of_frame(&frame), &connect), WIRE_OK);
		assert_int_equal(connect.has_original, i < 3);
		assert_int_equal(connect.has_proxy_version, i == 3);
		assert_int_equal(connect.is_auth_multi_round, i == 4);
	}
}

/* CONNECTs nobody's encoder makes, as BaseCommand bytes. */
static void test_connect_by_hand(void **state)
{
	(void)state;
	static const struct {
		struct bytes command;
		enum wire res;
		const char *target;
		struct bytes bare;
	} rows[] = {
		/* two fields 6: the last counts, both go */
		{ BYTES("\x08\x02\x12\x0b\x32\x01"
			"a\x0a\x01v\x32\x03"
			"b:1"),
		  WIRE_OK, "b:1", BYTES("\x08\x02\x12\x03\x0a\x01v") },
		/* type last, unknown fields in both messages, tag in a long varint */
		{ BYTES("\x92\x80\x00\x0a\x0a\x01v\x32\x02hp\xa0\x06\x07\xfa\x01\x01z\x08\x02"),
		  WIRE_OK, "hp",
		  BYTES("\x92\x80\x00\x06\x0a\x01v\xa0\x06\x07\xfa\x01\x01z\x08\x02") },
		/* type twice, alike */
		{ BYTES("\x08\x02\x12\x03\x0a\x01v\x08\x02"), WIRE_OK, NULL,
		  BYTES("\x08\x02\x12\x03\x0a\x01v\x08\x02") },
		/* type twice, different: who is right? */
		{ BYTES("\x08\x02\x12\x03\x0a\x01v\x08\x17"), WIRE_BAD, NULL, BYTES("") },
		/* two CONNECTs, which protobuf would merge */
		{ BYTES("\x08\x02\x12\x03\x0a\x01v\x12\x03\x32\x01"
			"a"),
		  WIRE_BAD, NULL, BYTES("") },
		/* no CONNECT */
		{ BYTES("\x08\x02\x1a\x03\x0a\x01v"), WIRE_BAD, NULL, BYTES("") },
		/* CONNECT as a varint */
		{ BYTES("\x08\x02\x10\x03"), WIRE_BAD, NULL, BYTES("") },
		/* field 6 as a varint */
		{ BYTES("\x08\x02\x12\x05\x0a\x01v\x30\x01"), WIRE_BAD, NULL, BYTES("") },
		/* field 6 longer than its message */
		{ BYTES("\x08\x02\x12\x06\x0a\x01v\x32\x02"
			"a"),
		  WIRE_BAD, NULL, BYTES("") },
		/* auth_data as a group */
		{ BYTES("\x08\x02\x12\x05\x0a\x01v\x1b\x1c"), WIRE_BAD, NULL, BYTES("") },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span payload = span_str("payload");
		struct frame frame =
			wrap(span_of(rows[i].command.at, rows[i].command.len), payload);
		struct pulsar_connect connect;
		uint8_t out[FRAME_MAX];
		struct sink sink = sink_of(out, sizeof(out));
		if (pulsar_read_connect(span_of_frame(&frame), &connect) != rows[i].res)
			fail_msg("case %zu", i);
		pulsar_write_connect_bare(&sink, span_of_frame(&frame));
		if (rows[i].res != WIRE_OK)
			continue;
		struct frame want = wrap(span_of(rows[i].bare.at, rows[i].bare.len), payload);
		assert_int_equal(connect.proxy_to_broker_url.at != NULL, rows[i].target != NULL);
		if (rows[i].target != NULL)
			assert_span(connect.proxy_to_broker_url, rows[i].target);
		assert_false(sink.full);
		assert_int_equal(sink.len, want.len);
		assert_memory_equal(out, want.bytes, want.len);
	}
}

static void test_connect_bare(void **state)
{
	(void)state;
	/* Around the sizes where the length of the CONNECT takes one byte less without field 6. */
	for (size_t auth = 0; auth < 400; auth++) {
		struct frame with = make_connect("broker-1.example.com:6650", auth);
		struct frame without = make_connect(NULL, auth);
		uint8_t out[FRAME_MAX];
		struct sink sink = sink_of(out, sizeof(out));
		pulsar_write_connect_bare(&sink, span_of_frame(&with));
		assert_false(sink.full);
		assert_int_equal(sink.len, without.len);
		assert_memory_equal(out, without.bytes, without.len);
		sink = sink_of(out, sizeof(out));
		pulsar_write_connect_bare(&sink, span_of_frame(&without)); /* nothing to take out */
		assert_int_equal(sink.len, without.len);
		assert_memory_equal(out, without.bytes, without.len);
	}
}

static void test_connect_refreshed(void **state)
{
	(void)state;
	struct frame frame = make_connect("b:1", 20);
	uint8_t out[FRAME_MAX];
	struct sink sink = sink_of(out, sizeof(out));
	pulsar_write_connect_refreshed(&sink, span_of_frame(&frame), span_str("a new token"));
	assert_false(sink.full);
	Pulsar__Proto__BaseCommand *base = unpack(sink_written(&sink));
	assert_string_equal(base->connect->client_version, "Pulsar-Java-v4.0.8");
	assert_string_equal(base->connect->auth_method_name, "token");
	assert_int_equal(base->connect->auth_data.len, 11);
	assert_memory_equal(base->connect->auth_data.data, "a new token", 11);
	assert_null(base->connect->proxy_to_broker_url);
	assert_int_equal(base->connect->protocol_version, 21);
	assert_true(base->connect->feature_flags->supports_auth_refresh);
	release(base);
}

/* Too small an output at every size: full, and nothing past its end (AddressSanitizer looks). */
static void test_full(void **state)
{
	(void)state;
	struct frame frame = make_connect("b:1", 30);
	uint8_t *out = malloc(FRAME_MAX);
	struct sink sink = sink_of(out, FRAME_MAX);
	pulsar_write_connect_bare(&sink, span_of_frame(&frame));
	size_t size = sink.len;
	free(out);
	for (size_t room = 0; room <= size; room++) {
		out = malloc(room + 1);
		sink = sink_of(out, room);
		pulsar_write_connect_bare(&sink, span_of_frame(&frame));
		assert_int_equal(sink.full, room < size);
		sink = sink_of(out, room);
		pulsar_write_error(&sink, UINT64_MAX, PULSAR_NOT_ALLOWED, "no");
		free(out);
	}
	uint8_t junk[16] = { 0 };
	sink = sink_of(junk, sizeof(junk));
	pulsar_write_connect_bare(&sink, span_str("not a frame at all"));
	assert_true(sink.full);
	struct frame other = wrap(span_of("\x08\x12\x92\x01\0", 5), span_of(NULL, 0));
	sink = sink_of(junk, sizeof(junk));
	pulsar_write_connect_bare(&sink, span_of_frame(&other)); /* a PING */
	assert_true(sink.full);
}

static void test_connected(void **state)
{
	(void)state;
	static const int32_t sizes[] = { 0, 5242880, INT32_MAX, -1 };
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
		Pulsar__Proto__CommandConnected pb = PULSAR__PROTO__COMMAND_CONNECTED__INIT;
		char version[] = "Pulsar Server 4.0.8";
		base.type = PULSAR_CONNECTED;
		base.connected = &pb;
		pb.server_version = version;
		pb.has_max_message_size = true;
		pb.max_message_size = sizes[i];
		pb.has_protocol_version = true;
		pb.protocol_version = 21;
		struct frame frame = pack(&base);
		struct pulsar_connected connected;
		assert_int_equal(pulsar_read_connected(span_of_frame(&frame), &connected), WIRE_OK);
		assert_int_equal(connected.max_message_size, sizes[i] < 0 ? 0 : sizes[i]);
		assert_int_equal(connected.protocol_version, 21);
	}
}

static struct frame make_lookup(bool is_authoritative)
{
	Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
	Pulsar__Proto__CommandLookupTopic pb = PULSAR__PROTO__COMMAND_LOOKUP_TOPIC__INIT;
	Pulsar__Proto__KeyValue pair = PULSAR__PROTO__KEY_VALUE__INIT, *pairs[2] = { &pair, &pair };
	char topic[] = "persistent://public/default/t", listener[] = "external", key[] = "k",
	     value[] = "v";
	base.type = PULSAR_LOOKUP;
	base.lookuptopic = &pb;
	pb.topic = topic;
	pb.request_id = 1ull << 40;
	pb.has_authoritative = is_authoritative;
	pb.authoritative = is_authoritative;
	pb.advertised_listener_name = listener;
	pair.key = key;
	pair.value = value;
	pb.n_properties = 2;
	pb.properties = pairs;
	return pack(&base);
}

static void test_lookup(void **state)
{
	(void)state;
	for (int before = 0; before < 2; before++) {
		struct frame frame = make_lookup(before);
		struct pulsar_lookup lookup;
		assert_int_equal(pulsar_read_lookup(span_of_frame(&frame), &lookup), WIRE_OK);
		assert_span(lookup.topic, "persistent://public/default/t");
		assert_true(lookup.request_id == 1ull << 40);
		assert_int_equal(lookup.is_authoritative, before);
		assert_span(lookup.listener_name, "external");
		uint64_t id;
		assert_int_equal(pulsar_read_request_id(span_of_frame(&frame), 2, &id), WIRE_OK);
		assert_true(id == 1ull << 40);
		assert_int_equal(pulsar_read_request_id(span_of_frame(&frame), 9, &id), WIRE_BAD);
		assert_int_equal(pulsar_read_request_id(span_of_frame(&frame), 1, &id), WIRE_BAD);
		for (int after = 0; after < 2; after++) {
			uint8_t out[FRAME_MAX];
			struct sink sink = sink_of(out, sizeof(out));
			pulsar_write_lookup_again(&sink, span_of_frame(&frame), after);
			Pulsar__Proto__BaseCommand *base = unpack(sink_written(&sink));
			assert_int_equal(base->lookuptopic->authoritative, after);
			assert_string_equal(base->lookuptopic->topic,
					    "persistent://public/default/t");
			assert_string_equal(base->lookuptopic->advertised_listener_name,
					    "external");
			assert_int_equal(base->lookuptopic->n_properties, 2);
			assert_true(base->lookuptopic->request_id == 1ull << 40);
			release(base);
		}
	}
	static const struct bytes bad[] = {
		BYTES("\x08\x17\xba\x01\x02\x10\x01"),	      /* no topic */
		BYTES("\x08\x17\xba\x01\x03\x0a\x01t"),	      /* no id */
		BYTES("\x08\x17\xba\x01\x05\x0a\x01t\x12\0"), /* id as bytes */
		BYTES("\x08\x17\xba\x01\x05\x08\x01\x10\x01\x18")
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct frame frame = wrap(span_of(bad[i].at, bad[i].len), span_of(NULL, 0));
		struct pulsar_lookup lookup;
		assert_int_equal(pulsar_read_lookup(span_of_frame(&frame), &lookup), WIRE_BAD);
	}
}

static void test_lookup_response(void **state)
{
	(void)state;
	char plain[] = "pulsar://b1:6650", tls[] = "pulsar+ssl://b1:6651", message[] = "m";
	Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
	Pulsar__Proto__CommandLookupTopicResponse pb =
		PULSAR__PROTO__COMMAND_LOOKUP_TOPIC_RESPONSE__INIT;
	base.type = PULSAR_LOOKUP_RESPONSE;
	base.lookuptopicresponse = &pb;
	pb.brokerserviceurl = plain;
	pb.brokerserviceurltls = tls;
	pb.has_response = true;
	pb.response = PULSAR_LOOKUP_REDIRECT;
	pb.request_id = 77;
	pb.has_authoritative = true;
	pb.authoritative = true;
	pb.message = message;
	struct frame frame = pack(&base);
	struct pulsar_lookup_response response;
	assert_int_equal(pulsar_read_lookup_response(span_of_frame(&frame), &response), WIRE_OK);
	assert_span(response.url, plain);
	assert_span(response.url_tls, tls);
	assert_true(response.has_type && response.type == PULSAR_LOOKUP_REDIRECT);
	assert_int_equal(response.request_id, 77);
	assert_true(response.is_authoritative);

	/* An unknown field of a newer broker survives the edit. */
	struct span command = span_of(frame.bytes + 8, frame.len - 8), rest = command;
	assert_true(span_skip(&rest, 5)); /* 08 18 c2 01 len */
	uint8_t with[FRAME_MAX], out[FRAME_MAX];
	struct sink sink = sink_of(with, sizeof(with));
	sink_bytes(&sink, "\x08\x18\xc2\x01", 4);
	sink_varint(&sink, rest.len + 4);
	sink_span(&sink, rest);
	sink_bytes(&sink, "\xa2\x06\x01?", 4);
	frame = wrap(sink_written(&sink), span_of(NULL, 0));
	sink = sink_of(out, sizeof(out));
	pulsar_write_lookup_through(&sink, span_of_frame(&frame), span_str("pulsar://b2:6650"));
	assert_false(sink.full);
	Pulsar__Proto__BaseCommand *back = unpack(sink_written(&sink));
	Pulsar__Proto__CommandLookupTopicResponse *got = back->lookuptopicresponse;
	assert_string_equal(got->brokerserviceurl, "pulsar://b2:6650");
	assert_string_equal(got->brokerserviceurltls, "pulsar://b2:6650");
	assert_int_equal(got->response, PULSAR_LOOKUP_CONNECT);
	assert_int_equal(got->request_id, 77);
	assert_true(got->has_authoritative && got->authoritative);
	assert_true(got->proxy_through_service_url);
	assert_string_equal(got->message, "m");
	assert_int_equal(got->base.n_unknown_fields, 1);
	assert_int_equal(got->base.unknown_fields[0].tag, 100);
	release(back);
}

static void test_own_frames(void **state)
{
	(void)state;
	static const uint64_t ids[] = { 0, 1, 127, 128, UINT64_MAX };
	uint8_t out[FRAME_MAX];
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		struct sink sink = sink_of(out, sizeof(out));
		pulsar_write_lookup_answer(&sink, ids[i], span_str("pulsar://b1:6650"));
		Pulsar__Proto__BaseCommand *base = unpack(sink_written(&sink));
		Pulsar__Proto__CommandLookupTopicResponse *got = base->lookuptopicresponse;
		assert_int_equal(base->type, PULSAR_LOOKUP_RESPONSE);
		assert_string_equal(got->brokerserviceurl, "pulsar://b1:6650");
		assert_string_equal(got->brokerserviceurltls, "pulsar://b1:6650");
		assert_true(got->request_id == ids[i]);
		assert_int_equal(got->response, PULSAR_LOOKUP_CONNECT);
		assert_true(got->proxy_through_service_url && got->authoritative);
		release(base);

		sink = sink_of(out, sizeof(out));
		pulsar_write_lookup_failed(&sink, ids[i], PULSAR_SERVICE_NOT_READY, "later");
		base = unpack(sink_written(&sink));
		got = base->lookuptopicresponse;
		assert_int_equal(got->response, PULSAR_LOOKUP_FAILED);
		assert_int_equal(got->error, PULSAR_SERVICE_NOT_READY);
		assert_true(got->request_id == ids[i]);
		assert_string_equal(got->message, "later");
		assert_null(got->brokerserviceurl);
		release(base);

		sink = sink_of(out, sizeof(out));
		pulsar_write_error(&sink, ids[i], PULSAR_NOT_ALLOWED, "no");
		base = unpack(sink_written(&sink));
		assert_int_equal(base->type, PULSAR_ERROR);
		assert_int_equal(base->error->error, PULSAR_NOT_ALLOWED);
		assert_true(base->error->request_id == ids[i]);
		assert_string_equal(base->error->message, "no");
		release(base);
	}
	struct sink sink = sink_of(out, sizeof(out));
	pulsar_write_pong(&sink);
	assert_int_equal(sink.len, 13);
	assert_memory_equal(out, "\0\0\0\x09\0\0\0\x05\x08\x13\x9a\x01\0", 13);
	sink_u8(&sink, 0);
	pulsar_write_pong(&sink); /* not at the front of its sink */
	assert_memory_equal(out + 14, "\0\0\0\x09\0\0\0\x05\x08\x13\x9a\x01\0", 13);
}

static void test_auth_response(void **state)
{
	(void)state;
	Pulsar__Proto__BaseCommand base = PULSAR__PROTO__BASE_COMMAND__INIT;
	Pulsar__Proto__CommandAuthResponse pb = PULSAR__PROTO__COMMAND_AUTH_RESPONSE__INIT;
	Pulsar__Proto__AuthData data = PULSAR__PROTO__AUTH_DATA__INIT;
	char method[] = "token";
	uint8_t secret[] = "s3";
	base.type = PULSAR_AUTH_RESPONSE;
	base.authresponse = &pb;
	pb.response = &data;
	data.auth_method_name = method;
	data.has_auth_data = true;
	data.auth_data.data = secret;
	data.auth_data.len = 2;
	struct frame frame = pack(&base);
	struct pulsar_auth_response response;
	assert_int_equal(pulsar_read_auth_response(span_of_frame(&frame), &response), WIRE_OK);
	assert_span(response.method, "token");
	assert_span(response.data, "s3");
	frame = wrap(span_of("\x08\x25\xaa\x02\x04\x12\x02\x12\x05", 9), span_of(NULL, 0));
	assert_int_equal(pulsar_read_auth_response(span_of_frame(&frame), &response), WIRE_BAD);
}

static void test_url_split(void **state)
{
	(void)state;
	struct span host_port;
	bool is_tls;
	assert_true(pulsar_url_split(span_str("pulsar://b1:6650"), &host_port, &is_tls));
	assert_span(host_port, "b1:6650");
	assert_false(is_tls);
	assert_true(pulsar_url_split(span_str("pulsar+ssl://[::1]:6651/"), &host_port, &is_tls));
	assert_span(host_port, "[::1]:6651");
	assert_true(is_tls);
	static const char *const bad[] = { "",
					   "b1:6650",
					   "http://b1:6650",
					   "pulsar://",
					   "pulsar://b1",
					   "pulsar://b1:0",
					   "pulsar:/b",
					   "pulsar://a@b:1",
					   "pulsar://a:1,b:2",
					   "PULSAR://b1:1",
					   "pulsar://b1:6650/x",
					   "pulsar:///" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (pulsar_url_split(span_str(bad[i]), &host_port, &is_tls))
			fail_msg("%s", bad[i]);
	}
}

static void test_mistake(void **state)
{
	(void)state;
	static const struct {
		struct bytes bytes;
		enum pulsar_mistake want;
	} rows[] = {
		{ BYTES("GET / HTTP/1.1\r\n"), PULSAR_MISTAKE_HTTP },
		{ BYTES("POST /admin"), PULSAR_MISTAKE_HTTP },
		{ BYTES("PRI * HTTP/2.0"), PULSAR_MISTAKE_HTTP },
		{ BYTES("\x16\x03\x01\x02\x00\x01"), PULSAR_MISTAKE_TLS },
		{ BYTES("SSH-2.0-OpenSSH"), PULSAR_MISTAKE_SSH },
		{ BYTES("PROXY TCP4 1.2.3.4"), PULSAR_MISTAKE_PROXY },
		{ BYTES("\r\n\r\n\0\r\nQUIT\n\x21"), PULSAR_MISTAKE_PROXY },
		/* ApiVersions v3, client id "c" */
		{ BYTES("\0\0\0\x1a\0\x12\0\x03\0\0\0\x01\0\x01"
			"c\0"),
		  PULSAR_MISTAKE_KAFKA },
		{ BYTES("\0\0\0\x1a\0\x12\0\x03"), PULSAR_MISTAKE_KAFKA },
		{ BYTES("\0\0\0\x1a\0\x03\0\x09\0\0\0\x01\xff\xff"), PULSAR_MISTAKE_KAFKA },
		/* client id longer than the request */
		{ BYTES("\0\0\0\x1a\0\x12\0\x03\0\0\0\x01\0\x40"), PULSAR_MISTAKE_NONE },
		/* Produce v9 looks like a commandSize of 9: not sure */
		{ BYTES("\0\0\0\x1a\0\0\0\x09\0\0\0\x01\0\x01"), PULSAR_MISTAKE_NONE },
		{ BYTES("\0\0\0\x09\0\0\0\x05\x08\x12\x92\x01\0"), PULSAR_MISTAKE_NONE },
		{ BYTES(""), PULSAR_MISTAKE_NONE },
		{ BYTES("\0\0\0\0"), PULSAR_MISTAKE_NONE },
		{ BYTES("PROXY"), PULSAR_MISTAKE_NONE },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t *copy = exact_copy(rows[i].bytes.at, rows[i].bytes.len);
		if (pulsar_mistake(span_of(copy, rows[i].bytes.len)) != rows[i].want)
			fail_msg("case %zu", i);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_head_bad),
		cmocka_unit_test(test_head_late_type),
		cmocka_unit_test(test_read_connect),
		cmocka_unit_test(test_read_connect_flags),
		cmocka_unit_test(test_connect_by_hand),
		cmocka_unit_test(test_connect_bare),
		cmocka_unit_test(test_connect_refreshed),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_connected),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_lookup_response),
		cmocka_unit_test(test_own_frames),
		cmocka_unit_test(test_auth_response),
		cmocka_unit_test(test_url_split),
		cmocka_unit_test(test_mistake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
