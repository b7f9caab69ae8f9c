/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka: the table against what the Java client says of its APIs, headers of every API and
 * version at every length, and headers nobody should send.
 */
#include "kafka_vectors.h"

#include <penstock/wire/kafka.h>

/* ---- the table ------------------------------------------------------------------------------ */

static void see_api(const struct vector *vector)
{
	int key = vector_number(vector, 0), newest = vector_number(vector, 3);
	int flexible = vector_number(vector, 4);
	bool is_newest_kafka = strstr(vector->file, "4.4.0") != NULL;
	const struct kafka_api *api = kafka_api((int16_t)key);
	if (api == NULL)
		fail_msg("%s:%zu: API %d is not in kafka_api.def", vector->file, vector->line, key);
	if (is_newest_kafka) {
		assert_string_equal(api->name, vector->words[1]);
		assert_int_equal(api->newest, newest);
	}
	assert_true(api->newest >= newest);
	for (int version = vector_number(vector, 2); version <= newest; version++) {
		bool is_flexible = flexible >= 0 && version >= flexible;
		assert_int_equal(kafka_is_flexible((int16_t)key, (int16_t)version), is_flexible);
	}
}

static void test_table(void **state)
{
	(void)state;
	assert_true(vectors_each("api", see_api) > 130);
	assert_null(kafka_api(-1));
	assert_null(kafka_api(KAFKA_UNREGISTER_CONTROLLER + 1));
	assert_null(kafka_api(INT16_MAX));
	assert_null(kafka_api(INT16_MIN));
}

/* Every field that is named like an address, and why it may be passed on; NULL: it is not. */
static const struct {
	const char *path, *reason;
} fields[] = {
	{ "Produce node_endpoints", NULL },
	{ "Fetch node_endpoints", NULL },
	{ "Metadata brokers", NULL },
	{ "FindCoordinator coordinators", NULL },
	{ "FindCoordinator host", NULL },
	{ "FindCoordinator port", NULL },
	{ "DescribeCluster brokers", NULL },
	{ "DescribeCluster endpoint_type", "a number" },
	{ "DescribeQuorum nodes.listeners", NULL },
	{ "ShareFetch node_endpoints", NULL },
	{ "ShareAcknowledge node_endpoints", NULL },
	{ "Vote node_endpoints", NULL },
	{ "BeginQuorumEpoch node_endpoints", NULL },
	{ "EndQuorumEpoch node_endpoints", NULL },
	{ "FetchSnapshot node_endpoints", NULL },
	{ "UpdateRaftVoter current_leader", NULL },
	{ "DescribeGroups groups.members.client_host", "a client, as the broker saw it" },
	{ "ConsumerGroupDescribe groups.members.client_host", "a client, as the broker saw it" },
	{ "ShareGroupDescribe groups.members.client_host", "a client, as the broker saw it" },
	{ "StreamsGroupDescribe groups.members.client_host", "a client, as the broker saw it" },
	{ "StreamsGroupDescribe groups.members.user_endpoint", "the application's own" },
	{ "StreamsGroupHeartbeat partitions_by_user_endpoint.user_endpoint", "its own" },
	{ "StreamsGroupHeartbeat endpoint_information_epoch", "a number" },
	{ "DescribeAcls resources.acls.host", "part of the rule" },
	{ "DeleteAcls filter_results.matching_acls.host", "part of the rule" },
};

/* "NAME path" is the field, or its host or port. */
static bool is_field(const char *path, const char *field)
{
	size_t len = strlen(field);
	return strncmp(path, field, len) == 0 &&
	       (path[len] == '\0' || strcmp(path + len, ".host") == 0 ||
		strcmp(path + len, ".port") == 0);
}

static void see_address(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0), since = (int16_t)vector_number(vector, 3);
	const struct kafka_api *api = kafka_api(key);
	size_t i = 0;
	char path[256];
	(void)snprintf(path, sizeof(path), "%s %s", vector->words[1], vector->words[2]);
	while (i < COUNT_OF(fields) && !is_field(path, fields[i].path))
		i++;
	if (i == COUNT_OF(fields))
		fail_msg("%s:%zu: %s: an address?", vector->file, vector->line, path);
	for (int version = since; fields[i].reason == NULL && version <= api->newest; version++) {
		if (kafka_way(key, (int16_t)version) == KAFKA_WAY_PASS)
			fail_msg("%s:%zu: %s is passed on in v%d", vector->file, vector->line, path,
				 version);
	}
}

static void test_no_address_is_passed_on(void **state)
{
	(void)state;
	assert_true(vectors_each("address", see_address) > 30);
}

static void test_ways(void **state)
{
	(void)state;
	assert_int_equal(kafka_way(KAFKA_FETCH, 15), KAFKA_WAY_PASS);
	assert_int_equal(kafka_way(KAFKA_FETCH, 16), KAFKA_WAY_STREAM);
	assert_int_equal(kafka_way(KAFKA_FETCH, 19), KAFKA_WAY_NEVER);
	assert_int_equal(kafka_way(KAFKA_PRODUCE, 9), KAFKA_WAY_PASS);
	assert_int_equal(kafka_way(KAFKA_PRODUCE, 10), KAFKA_WAY_STREAM);
	assert_int_equal(kafka_way(KAFKA_METADATA, 14), KAFKA_WAY_NEVER);
	assert_int_equal(kafka_way(KAFKA_DESCRIBE_QUORUM, 1), KAFKA_WAY_PASS);
	assert_int_equal(kafka_way(KAFKA_DESCRIBE_QUORUM, 2), KAFKA_WAY_WHOLE);
	assert_int_equal(kafka_way(KAFKA_OFFSET_COMMIT, 99), KAFKA_WAY_PASS);
	assert_int_equal(kafka_way(KAFKA_VOTE, 0), KAFKA_WAY_NEVER);
	assert_int_equal(kafka_way(10001, 3), KAFKA_WAY_PASS);
}

static void test_bad_texts(void **state)
{
	(void)state;
	for (enum kafka_bad bad = KAFKA_BAD_NONE; bad < KAFKA_BAD_COUNT; bad++) {
		assert_true(strlen(kafka_bad_name(bad)) > 0);
		assert_true(strlen(kafka_bad_text(bad)) > 0);
	}
	assert_string_equal(kafka_bad_name(KAFKA_BAD_NO_NAME), "no_name");
}

/* ---- headers -------------------------------------------------------------------------------- */

/* A parser that wants more must get by on what it asks for. */
static void check_more(const struct kafka_why *why, size_t have, size_t frame_size)
{
	assert_true(why->need > have && why->need <= frame_size);
	assert_int_equal(why->bad, KAFKA_BAD_NONE);
}

static void check_client(struct span bytes, const struct kafka_request *request, size_t body,
			 size_t frame_size)
{
	struct kafka_why why;
	struct span client = { 0 };
	char expected[32];
	struct span rest = { 0 };
	enum wire res = kafka_request_client(bytes, request, &client, &why);
	bool has_client = request->key != KAFKA_CONTROLLED_SHUTDOWN || request->version > 0;
	(void)snprintf(expected, sizeof(expected), "client-%d", request->version);
	size_t end = has_client ? 14 + strlen(expected) : 12;
	assert_int_equal(res, bytes.len < end ? WIRE_MORE : WIRE_OK);
	if (res == WIRE_MORE)
		check_more(&why, bytes.len, frame_size);
	else if (has_client)
		assert_span(client, expected);
	else
		assert_null(client.at);
	res = kafka_request_body(bytes, request, &rest, &why);
	assert_int_equal(res, bytes.len < body ? WIRE_MORE : WIRE_OK);
	if (res == WIRE_MORE)
		check_more(&why, bytes.len, frame_size);
	else
		assert_true(rest.at == bytes.at + body && rest.len == bytes.len - body);
}

static void see_request(const struct vector *vector)
{
	size_t size, body = (size_t)vector_number(vector, 2);
	uint8_t *frame = vector_bytes(vector, 3, &size);
	for (size_t len = 0; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct kafka_request request = { 0 };
		struct kafka_why why;
		enum wire res =
			kafka_request_head(span_of(copy, len), KAFKA_FRAME_BROKER, &request, &why);
		assert_int_equal(res, len < 12 ? WIRE_MORE : WIRE_OK);
		if (res == WIRE_MORE) {
			check_more(&why, len, 12);
		} else {
			assert_int_equal(request.frame_size, size);
			assert_int_equal(request.key, vector_number(vector, 0));
			assert_int_equal(request.version, vector_number(vector, 1));
			assert_int_equal(request.correlation, 0x01020304);
			check_client(span_of(copy, len), &request, body, size);
		}
		free(copy);
	}
	free(frame);
}

static void test_requests(void **state)
{
	(void)state;
	assert_true(vectors_each("request", see_request) > 350);
}

static void see_produce(const struct vector *vector)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	struct kafka_request request = vector_request(frame, size);
	struct kafka_why why;
	bool was_found = false;
	for (size_t len = 12; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		int16_t acks = 99;
		enum wire res = kafka_produce_acks(span_of(copy, len), &request, &acks, &why);
		if (res == WIRE_OK) {
			assert_int_equal(acks, vector_number(vector, 1));
			was_found = true;
		} else {
			assert_int_equal(res, WIRE_MORE);
			assert_false(was_found);
			check_more(&why, len, size);
		}
		free(copy);
	}
	assert_true(was_found);
	free(frame);
}

static void test_acks(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("produce", see_produce), 3 * 14);
}

struct creation {
	enum wire res;
	size_t taken; /* of all pieces */
	bool is_asked;
	struct kafka_why why;
};

/* In pieces that end at `cuts`, of exactly that size each. */
static struct creation creation_of(const uint8_t *frame, const struct kafka_request *request,
				   const size_t *cuts, size_t count)
{
	struct creation ret = { .res = WIRE_MORE };
	struct kafka_creation creation;
	kafka_creation_begin(&creation, request);
	for (size_t i = 0; i < count && ret.res == WIRE_MORE; i++) {
		size_t len = cuts[i] - ret.taken, taken = len + 1;
		uint8_t *copy = exact_copy(frame + ret.taken, len);
		ret.res = kafka_creation_see(&creation, span_of(copy, len), &taken, &ret.is_asked,
					     &ret.why);
		free(copy);
		assert_true(taken <= len);
		ret.taken += taken;
		if (ret.res != WIRE_BAD)
			assert_int_equal(creation.left, request->frame_size - ret.taken);
		if (ret.res == WIRE_MORE) {
			assert_true(ret.why.need > len - taken && ret.why.need <= creation.left);
			assert_true(len - taken <
				    10); /* no more is kept than a number and a size */
		}
	}
	return ret;
}

static struct creation creation_of_all(const uint8_t *frame, size_t size,
				       const struct kafka_request *request)
{
	return creation_of(frame, request, &size, 1);
}

/* Wherever it is cut, in two and in bytes. */
static void check_cuts(const uint8_t *frame, size_t size, const struct kafka_request *request,
		       const struct creation *whole)
{
	size_t *cuts = calloc(size, sizeof(*cuts));
	assert_non_null(cuts);
	for (size_t at = 0; at < size; at++) {
		struct creation two = creation_of(frame, request, (size_t[]){ at, size }, 2);
		assert_int_equal(two.res, WIRE_OK);
		assert_int_equal(two.taken, whole->taken);
		assert_int_equal(two.is_asked, whole->is_asked);
		cuts[at] = at + 1;
		/* Every beginning wants more, up to the byte that it is about. */
		if (at <= whole->taken && request->version >= KAFKA_CREATION_SAID)
			assert_int_equal(creation_of_all(frame, at, request).res, WIRE_MORE);
	}
	struct creation many = creation_of(frame, request, cuts, size);
	assert_int_equal(many.res, WIRE_OK);
	assert_int_equal(many.taken, whole->taken);
	assert_int_equal(many.is_asked, whole->is_asked);
	free(cuts);
}

/* Where it says so, and nowhere else: with the byte changed it is the frame that says the other. */
static void see_metadata(const struct vector *vector)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, 4, &size);
	const char *creates = vector->words[1];
	struct kafka_request request = vector_request(frame, size);
	struct creation whole = creation_of_all(frame, size, &request);
	assert_int_equal(whole.res, WIRE_OK);
	check_cuts(frame, size, &request, &whole);
	if (strcmp(creates, "-") == 0) {
		assert_true(request.version < KAFKA_CREATION_SAID);
		assert_int_equal(whole.is_asked, vector_number(vector, 2) > 0);
	} else {
		assert_true(whole.taken > 0 && whole.taken < size);
		assert_int_equal(whole.is_asked, strcmp(creates, "yes") == 0);
		assert_int_equal(frame[whole.taken], whole.is_asked);
		if (whole.is_asked) { /* behind it are at most two other flags and tags */
			frame[whole.taken] = 0;
			assert_false(creation_of_all(frame, size, &request).is_asked);
		}
	}
	free(frame);
}

static void test_metadata(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("metadata", see_metadata), 4 * (4 + 2 * 10));
}

struct metadata_case {
	int16_t version;
	const char *body; /* behind the client id, which is "c" */
	size_t len;
	enum kafka_bad bad;
};
#define METADATA_CASE(version, body, bad)                  \
	{                                                  \
		(version), (body), sizeof(body) - 1, (bad) \
	}

/* Whole, and in two: what is wrong is said as soon as it is seen, or the frame is over. */
static void test_bad_metadata(void **state)
{
	static const struct metadata_case rows[] = {
		METADATA_CASE(3, "\0\0\0", KAFKA_BAD_OVERRUN),
		METADATA_CASE(3, "\x7f\0\0\0", KAFKA_BAD_ARRAY),
		METADATA_CASE(4, "\xff\xff\xff\xfe\1", KAFKA_BAD_ARRAY),
		METADATA_CASE(4, "\xff\xff\xff\xff", KAFKA_BAD_OVERRUN),
		METADATA_CASE(4, "\0\0\0\1\xff\xfe\1", KAFKA_BAD_STRING),
		METADATA_CASE(4, "\0\0\0\1\0\2x", KAFKA_BAD_OVERRUN),
		METADATA_CASE(4, "\0\0\0\1\0\1x", KAFKA_BAD_OVERRUN),
		METADATA_CASE(4, "\0\0\0\2\0\1x\1", KAFKA_BAD_OVERRUN),
		METADATA_CASE(4, "\0\0\0\0", KAFKA_BAD_OVERRUN),
		METADATA_CASE(9, "\xff\xff\xff\xff\xff", KAFKA_BAD_TAGS),
		METADATA_CASE(9, "\x70\1\1\1", KAFKA_BAD_TAGS),
		METADATA_CASE(9, "\0\xff\xff\xff\xff\x7f", KAFKA_BAD_ARRAY),
		METADATA_CASE(9, "\0\x70\1\1", KAFKA_BAD_ARRAY),
		METADATA_CASE(9, "\0\2\xff\xff\xff\xff\x7f", KAFKA_BAD_STRING),
		METADATA_CASE(9, "\0\2\x70x\0\1", KAFKA_BAD_OVERRUN),
		METADATA_CASE(9, "\0\2\2x\x70\1\1", KAFKA_BAD_TAGS),
		METADATA_CASE(9, "\0\2\2x\1\1\x70\1", KAFKA_BAD_OVERRUN),
		METADATA_CASE(9, "\0\2\2x\0", KAFKA_BAD_OVERRUN),
		METADATA_CASE(12, "\0\2\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1", KAFKA_BAD_OVERRUN),
		METADATA_CASE(12, "\0\2\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\0\0", KAFKA_BAD_OVERRUN),
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t frame[64] = { 0, 0, 0, 0, 0, KAFKA_METADATA, 0, 0, 0, 0, 0, 7, 0, 1, 'c' };
		size_t size = 15 + rows[i].len;
		frame[3] = (uint8_t)(size - 4);
		frame[7] = (uint8_t)rows[i].version;
		memcpy(frame + 15, rows[i].body, rows[i].len);
		struct kafka_request request = vector_request(frame, size);
		for (size_t at = 0; at <= size; at++) {
			struct creation two =
				creation_of(frame, &request, (size_t[]){ at, size }, 2);
			if (two.res != WIRE_BAD || two.why.bad != rows[i].bad)
				fail_msg("row %zu, cut at %zu: %d, %s", i, at, (int)two.res,
					 kafka_bad_name(two.why.bad));
		}
	}
	/* A client id that the frame has no room for. */
	uint8_t frame[] = { 0, 0, 0, 11, 0, KAFKA_METADATA, 0, 4, 0, 0, 0, 7, 0, 2, 'c' };
	struct kafka_request request = vector_request(frame, sizeof(frame));
	assert_int_equal(creation_of_all(frame, sizeof(frame), &request).why.bad,
			 KAFKA_BAD_OVERRUN);
	frame[12] = 0x80;
	assert_int_equal(creation_of_all(frame, sizeof(frame), &request).why.bad, KAFKA_BAD_HEADER);
}

static enum kafka_bad request_bad(const char *bytes, size_t len)
{
	uint8_t *copy = exact_copy(bytes, len);
	struct kafka_request request;
	struct kafka_why why = { 0 };
	enum wire res = kafka_request_head(span_of(copy, len), 1000, &request, &why);
	free(copy);
	assert_int_equal(res, WIRE_BAD);
	return why.bad;
}
#define REQUEST_BAD(text) request_bad(text, sizeof(text) - 1)

static void test_bad_requests(void **state)
{
	(void)state;
	assert_int_equal(REQUEST_BAD("\xff\xff\xff\xff"), KAFKA_BAD_SIZE_NEGATIVE);
	assert_int_equal(REQUEST_BAD("\x80\0\0\0"), KAFKA_BAD_SIZE_NEGATIVE);
	assert_int_equal(REQUEST_BAD("\0\0\0\0"), KAFKA_BAD_SIZE_SMALL);
	assert_int_equal(REQUEST_BAD("\0\0\0\x07"), KAFKA_BAD_SIZE_SMALL);
	assert_int_equal(REQUEST_BAD("\0\0\x03\xe9"), KAFKA_BAD_SIZE_BIG);
	assert_int_equal(REQUEST_BAD("\x7f\xff\xff\xff"), KAFKA_BAD_SIZE_BIG);
	assert_int_equal(REQUEST_BAD("\x16\x03\x01\x02"), KAFKA_BAD_SIZE_BIG); /* TLS */
	assert_int_equal(REQUEST_BAD("\0\0\0\x08\xff\xff\0\0\0\0\0\x01"), KAFKA_BAD_HEADER);
	assert_int_equal(REQUEST_BAD("\0\0\0\x08\0\x12\x80\0\0\0\0\x01"), KAFKA_BAD_HEADER);
}

struct header_case {
	const char *bytes;
	size_t len;
	enum wire client, body;
	enum kafka_bad bad;
};
#define HEADER(text) text, sizeof(text) - 1

static void test_bad_headers(void **state)
{
	(void)state;
	static const struct header_case cases[] = {
		/* a null client id */
		{ HEADER("\0\0\0\x0a\0\x03\0\x01\0\0\0\x01\xff\xff"), WIRE_OK, WIRE_OK, 0 },
		/* no room for one */
		{ HEADER("\0\0\0\x08\0\x03\0\x01\0\0\0\x01"), WIRE_BAD, WIRE_BAD,
		  KAFKA_BAD_OVERRUN },
		{ HEADER("\0\0\0\x0a\0\x03\0\x01\0\0\0\x01\0\x01"), WIRE_BAD, WIRE_BAD,
		  KAFKA_BAD_OVERRUN },
		/* a negative length */
		{ HEADER("\0\0\0\x0a\0\x03\0\x01\0\0\0\x01\xff\xfe"), WIRE_BAD, WIRE_BAD,
		  KAFKA_BAD_HEADER },
		/* flexible, and no tagged fields */
		{ HEADER("\0\0\0\x0a\0\x03\0\x09\0\0\0\x01\xff\xff"), WIRE_OK, WIRE_BAD,
		  KAFKA_BAD_OVERRUN },
		{ HEADER("\0\0\0\x0b\0\x03\0\x09\0\0\0\x01\xff\xff\0"), WIRE_OK, WIRE_OK, 0 },
		/* 4 thousand million of them */
		{ HEADER("\0\0\0\x0f\0\x03\0\x09\0\0\0\x01\xff\xff\xff\xff\xff\xff\x0f"), WIRE_OK,
		  WIRE_BAD, KAFKA_BAD_OVERRUN },
		/* a count of 33 bits */
		{ HEADER("\0\0\0\x0f\0\x03\0\x09\0\0\0\x01\xff\xff\xff\xff\xff\xff\x1f"), WIRE_OK,
		  WIRE_BAD, KAFKA_BAD_HEADER },
		/* a field that ends behind the frame, though not behind what is there */
		{ HEADER("\0\0\0\x0e\0\x03\0\x09\0\0\0\x01\xff\xff\x01\0\x02\0\0\0\0"), WIRE_OK,
		  WIRE_BAD, KAFKA_BAD_OVERRUN },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t *copy = exact_copy(cases[i].bytes, cases[i].len);
		struct span bytes = span_of(copy, cases[i].len), client;
		struct kafka_request request;
		struct kafka_why why = { 0 };
		struct span body;
		assert_int_equal(kafka_request_head(bytes, 1000, &request, &why), WIRE_OK);
		if (kafka_request_client(bytes, &request, &client, &why) != cases[i].client)
			fail_msg("case %zu: client", i);
		if (kafka_request_body(bytes, &request, &body, &why) != cases[i].body)
			fail_msg("case %zu: body", i);
		if (cases[i].bad != KAFKA_BAD_NONE)
			assert_int_equal(why.bad, cases[i].bad);
		free(copy);
	}
}

static void test_response_heads(void **state)
{
	(void)state;
	static const char good[] = "\0\0\0\x04\x80\0\0\x07";
	struct kafka_response response = { 0 };
	struct kafka_why why;
	for (size_t len = 0; len < 8; len++) {
		uint8_t *copy = exact_copy(good, len);
		assert_int_equal(kafka_response_head(span_of(copy, len), 1000, &response, &why),
				 WIRE_MORE);
		assert_int_equal(why.need, len < 4 ? 4 : 8);
		free(copy);
	}
	assert_int_equal(kafka_response_head(span_of(good, 8), 1000, &response, &why), WIRE_OK);
	assert_int_equal(response.frame_size, 8);
	assert_int_equal(response.correlation, INT32_MIN + 7);
	assert_int_equal(kafka_response_head(span_of("\0\0\0\x03", 4), 9, &response, &why),
			 WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_SIZE_SMALL);
	assert_int_equal(kafka_response_head(span_of("\x15\x03\x03\0", 4), 9, &response, &why),
			 WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_SIZE_BIG);
	/* The longest there can be. */
	assert_int_equal(kafka_response_head(span_of("\x7f\xff\xff\xff\0\0\0\0", 8), INT32_MAX,
					     &response, &why),
			 WIRE_OK);
	assert_int_equal(response.frame_size, UINT64_C(0x80000003));
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *at;
		size_t len;
		enum kafka_mistake want;
	} rows[] = {
		{ "GET / HTTP/1.1", 14, KAFKA_MISTAKE_HTTP },
		{ "\x16\x03\x01\x02\x00", 5, KAFKA_MISTAKE_TLS },
		{ "\x15\x03\x03\x00\x02\x02\x28", 7, KAFKA_MISTAKE_NONE },
		{ "SSH-2.0-x", 9, KAFKA_MISTAKE_SSH },
		{ "PROXY TCP4 ", 11, KAFKA_MISTAKE_PROXY },
		{ "\r\n\r\n\0\r\nQUIT\n", 12, KAFKA_MISTAKE_PROXY },
		{ "\0\0\0\x30\0\0\0\x2c\x08\x02\x12\x28", 12, KAFKA_MISTAKE_PULSAR },
		/* A command of no bytes or more than there are, and another first field. */
		{ "\0\0\0\x30\0\0\0\0\x08\x02\x12\x28", 12, KAFKA_MISTAKE_NONE },
		{ "\0\0\0\x30\0\0\0\x2d\x08\x02\x12\x28", 12, KAFKA_MISTAKE_NONE },
		{ "\0\0\0\x30\0\0\0\x2c\x09\x02\x12\x28", 12, KAFKA_MISTAKE_NONE },
		{ "\0\0\0\x20\0\x12\0\3\0\0\0\1\0\5", 14, KAFKA_MISTAKE_NONE },
		{ "", 0, KAFKA_MISTAKE_NONE },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t *copy = exact_copy(rows[i].at, rows[i].len);
		if (kafka_mistake(span_of(copy, rows[i].len)) != rows[i].want)
			fail_msg("row %zu", i);
		free(copy);
	}
	assert_true(kafka_is_tls_alert(span_of("\x15\x03\x03\x00\x02\x02\x28", 7)));
	assert_true(kafka_is_tls_alert(span_of("\x15\x03\x01\x00\x02", 5)));
	assert_false(kafka_is_tls_alert(span_of("\x15\x03\x01\x00", 4)));
	assert_false(kafka_is_tls_alert(span_of("\x15\x02\x01\x00\x02", 5)));
	assert_false(kafka_is_tls_alert(span_of("\x15\x03\x01\x00\x03", 5)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_no_address_is_passed_on),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_acks),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_bad_metadata),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_response_heads),
		cmocka_unit_test(test_mistakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
