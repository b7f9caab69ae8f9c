/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_versions: what a policy offers, and ApiVersions in every version, at every length, and
 * in the forms it takes when broker and client do not know each other's version.
 */
#include "kafka_vectors.h"

#include <penstock/wire/kafka_versions.h>

#define OUT_MAX 4096

/* ---- the policy ----------------------------------------------------------------------------- */

static enum kafka_allow allows(const struct kafka_policy *policy, int16_t key, int16_t version)
{
	return kafka_policy_allows(policy, key, version);
}

static void test_default_policy(void **state)
{
	(void)state;
	const struct kafka_policy policy = { 0 };
	assert_int_equal(allows(&policy, KAFKA_FETCH, 18), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, KAFKA_FETCH, 19), KAFKA_ALLOW_VERSION);
	assert_int_equal(allows(&policy, KAFKA_API_VERSIONS, 5), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, KAFKA_API_VERSIONS, 6), KAFKA_ALLOW_VERSION);
	assert_int_equal(allows(&policy, KAFKA_DESCRIBE_QUORUM, 1), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, KAFKA_DESCRIBE_QUORUM, 2), KAFKA_ALLOW_VERSION);
	assert_int_equal(allows(&policy, KAFKA_OFFSET_FETCH, 99), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, KAFKA_VOTE, 0), KAFKA_ALLOW_VERSION);
	assert_int_equal(allows(&policy, KAFKA_DELETE_TOPICS, 6), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, 200, 0), KAFKA_ALLOW_UNKNOWN);
	assert_int_equal(allows(&policy, 499, 0), KAFKA_ALLOW_UNKNOWN);
	assert_int_equal(allows(&policy, 500, 0), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, -1, 0), KAFKA_ALLOW_UNKNOWN);
	assert_int_equal(allows(&policy, INT16_MIN, 0), KAFKA_ALLOW_UNKNOWN);
}

/* Whatever has an address in any version is passed on in known ones alone; what has none, in all.
 */
static void test_newer_versions(void **state)
{
	const struct kafka_policy policy = { .show_quorum = true };
	size_t refused = 0;

	(void)state;
	for (int16_t key = 0; kafka_api(key) != NULL; key++) {
		const struct kafka_api *api = kafka_api(key);
		bool is_read = api->way != KAFKA_WAY_PASS;
		enum kafka_allow wanted = is_read ? KAFKA_ALLOW_VERSION : KAFKA_ALLOW;

		assert_int_equal(allows(&policy, key, (int16_t)(api->newest + 1)), wanted);
		assert_int_equal(allows(&policy, key, INT16_MAX), wanted);
		if (api->way != KAFKA_WAY_NEVER)
			assert_int_equal(allows(&policy, key, api->newest), KAFKA_ALLOW);
		refused += is_read;
	}
	assert_in_range(refused, 10, 20);
}

static void test_other_policies(void **state)
{
	(void)state;
	struct kafka_policy policy = { .pass_unknown = true,
				       .hide_vendor = true,
				       .show_quorum = true };
	assert_int_equal(allows(&policy, 200, 0), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, 10001, 0), KAFKA_ALLOW_UNKNOWN);
	assert_int_equal(allows(&policy, -1, 0), KAFKA_ALLOW_UNKNOWN);
	assert_int_equal(allows(&policy, KAFKA_DESCRIBE_QUORUM, 2), KAFKA_ALLOW);
	assert_true(kafka_policy_deny(&policy, KAFKA_PRODUCE));
	assert_true(kafka_policy_deny(&policy, KAFKA_UNREGISTER_CONTROLLER));
	assert_false(kafka_policy_deny(&policy, -3));
	assert_false(kafka_policy_deny(&policy, INT16_MIN));
	assert_int_equal(allows(&policy, KAFKA_PRODUCE, 3), KAFKA_ALLOW_DENIED);
	assert_int_equal(allows(&policy, KAFKA_UNREGISTER_CONTROLLER, 0), KAFKA_ALLOW_DENIED);
	assert_int_equal(allows(&policy, KAFKA_FETCH, 4), KAFKA_ALLOW);
}

/* Calls without a name here, as many as there is room for; passed or hidden otherwise. */
static void test_denied_numbers(void **state)
{
	struct kafka_policy policy = { .pass_unknown = true };
	(void)state;
	for (int16_t i = 0; i < KAFKA_DENY_MORE; i++) {
		int16_t key = (int16_t)(95 + 1000 * i);
		assert_int_equal(allows(&policy, key, 0), KAFKA_ALLOW);
		assert_true(kafka_policy_deny(&policy, key));
		assert_true(kafka_policy_deny(&policy, key)); /* takes no more room */
		assert_int_equal(allows(&policy, key, 0), KAFKA_ALLOW_DENIED);
		assert_int_equal(allows(&policy, key, INT16_MAX), KAFKA_ALLOW_DENIED);
	}
	assert_false(kafka_policy_deny(&policy, INT16_MAX));
	assert_int_equal(allows(&policy, INT16_MAX, 0), KAFKA_ALLOW);
	assert_true(kafka_policy_deny(&policy, 95));
	assert_true(kafka_policy_deny(&policy, KAFKA_FETCH));
	assert_int_equal(allows(&policy, KAFKA_FETCH, 4), KAFKA_ALLOW_DENIED);
}

static void test_read_only(void **state)
{
	(void)state;
	static const int16_t denied[] = {
		KAFKA_PRODUCE,	     KAFKA_CREATE_TOPICS,     KAFKA_DELETE_TOPICS,
		KAFKA_ALTER_CONFIGS, KAFKA_INIT_PRODUCER_ID,  KAFKA_END_TXN,
		KAFKA_CREATE_ACLS,   KAFKA_TXN_OFFSET_COMMIT, KAFKA_DELETE_GROUPS,
		KAFKA_OFFSET_DELETE, KAFKA_UNREGISTER_BROKER, KAFKA_STREAMS_GROUP_HEARTBEAT,
	};
	static const int16_t allowed[] = {
		KAFKA_FETCH,	     KAFKA_SHARE_FETCH,	     KAFKA_SHARE_ACKNOWLEDGE,
		KAFKA_LIST_OFFSETS,  KAFKA_METADATA,	     KAFKA_OFFSET_COMMIT,
		KAFKA_JOIN_GROUP,    KAFKA_SYNC_GROUP,	     KAFKA_CONSUMER_GROUP_HEARTBEAT,
		KAFKA_DESCRIBE_ACLS, KAFKA_SASL_HANDSHAKE,   KAFKA_SASL_AUTHENTICATE,
		KAFKA_API_VERSIONS,  KAFKA_DESCRIBE_CONFIGS,
	};
	struct kafka_policy policy = { 0 };
	kafka_policy_read_only(&policy);
	for (size_t i = 0; i < COUNT_OF(denied); i++)
		assert_int_equal(allows(&policy, denied[i], 0), KAFKA_ALLOW_DENIED);
	for (size_t i = 0; i < COUNT_OF(allowed); i++)
		assert_int_equal(allows(&policy, allowed[i], 1), KAFKA_ALLOW);
	assert_int_equal(allows(&policy, 500, 0), KAFKA_ALLOW_UNKNOWN);
	assert_int_equal(allows(&policy, INT16_MAX, 0), KAFKA_ALLOW_UNKNOWN);
	policy = (struct kafka_policy){ .pass_unknown = true };
	kafka_policy_read_only(&policy);
	assert_int_equal(allows(&policy, 200, 0), KAFKA_ALLOW_UNKNOWN);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void assert_said(struct span span, const char *text)
{
	if (strcmp(text, "-") == 0)
		assert_null(span.at);
	else
		assert_span(span, text);
}

static void see_hello(const struct vector *vector)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, 5, &size);
	struct kafka_request request = vector_request(frame, size);
	struct kafka_why why;
	bool was_read = false;
	for (size_t len = 12; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct kafka_hello hello;
		enum wire res = kafka_versions_read(span_of(copy, len), &request, &hello, &why);
		if (res == WIRE_OK) {
			assert_said(hello.software, vector->words[1]);
			assert_said(hello.cluster, vector->words[2]);
			assert_int_equal(hello.node, vector_number(vector, 3));
			was_read = true;
		} else {
			assert_int_equal(res, WIRE_MORE);
			assert_true(why.need > len && why.need <= size);
		}
		free(copy);
	}
	assert_true(was_read);
	free(frame);
}

static void test_hello(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("hello", see_hello), 6);
	static const char future[] = "\0\0\0\x0b\0\x12\0\x06\0\0\0\x01\xff\xff\0";
	static const char broken[] = "\0\0\0\x0d\0\x12\0\x03\0\0\0\x01\xff\xff\0\x09x";
	struct kafka_request request;
	struct kafka_hello hello;
	struct kafka_why why;
	struct span bytes = span_of(future, sizeof(future) - 1);
	assert_int_equal(kafka_request_head(bytes, 1000, &request, &why), WIRE_OK);
	assert_int_equal(kafka_versions_read(bytes, &request, &hello, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_VERSION);
	bytes = span_of(broken, sizeof(broken) - 1);
	assert_int_equal(kafka_request_head(bytes, 1000, &request, &why), WIRE_OK);
	assert_int_equal(kafka_versions_read(bytes, &request, &hello, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_OVERRUN);
}

/* What we say to a version from the future is what a broker says to it. */
static void see_unsupported(const struct vector *vector)
{
	uint8_t out[KAFKA_VERSIONS_ANSWER];
	struct sink sink = sink_of(out, sizeof(out));
	size_t len;
	if (strcmp(vector->words[1], "unsupported") != 0)
		return;
	uint8_t *expected = vector_bytes(vector, 3, &len);
	kafka_versions_answer(&sink, 7);
	assert_false(sink.full);
	assert_int_equal(sink.len, len);
	assert_memory_equal(out, expected, len);
	free(expected);
}

static void test_answer(void **state)
{
	(void)state;
	assert_true(vectors_each("versions", see_unsupported) > 0);
}

/* ---- responses ------------------------------------------------------------------------------ */

static void check_offer(const struct vector *vector, struct span got,
			const struct kafka_versions *ret)
{
	size_t len;
	if (strcmp(vector->words[3], "=") == 0) {
		assert_int_equal(got.len, 0);
		assert_int_equal(ret->removed + ret->clamped, 0);
		return;
	}
	uint8_t *expected = vector_bytes(vector, 3, &len);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.at, expected, len);
	free(expected);
	bool is_unsupported = strcmp(vector->words[1], "unsupported") == 0;
	assert_int_equal(ret->removed, is_unsupported ? 0 : 3);
	assert_int_equal(ret->denied, 0);
	assert_int_equal(ret->clamped, is_unsupported ? 1 : 6);
	assert_int_equal(ret->error, is_unsupported ? 35 : 0);
}

/* The entries of a response of version 0 to 2: is this key among them? */
static bool offers(struct span frame, int16_t key)
{
	struct span rest = frame;
	uint32_t count = 0;
	uint16_t entry[3];
	bool is_offered = false;
	assert_true(span_skip(&rest, 10) && span_u32(&rest, &count));
	for (uint32_t i = 0; i < count; i++) {
		for (size_t j = 0; j < COUNT_OF(entry); j++)
			assert_true(span_u16(&rest, &entry[j]));
		is_offered |= entry[0] == (uint16_t)key;
	}
	return is_offered;
}

/* v0, of two calls without a name here: which one is left out, and as what it is counted. */
static void test_denied_numbers_offer(void **state)
{
	static const uint8_t frame[] = { 0, 0, 0,   22, 0, 0, 0, 7, 0,	 0, 0, 0, 0,
					 2, 1, 244, 0,	0, 0, 1, 1, 245, 0, 0, 0, 1 };
	uint8_t out[64];
	struct kafka_versions versions;
	struct kafka_why why;
	(void)state;
	for (int hides = 0; hides < 2; hides++) {
		struct kafka_policy policy = { .hide_vendor = hides == 1 };
		struct sink sink = sink_of(out, sizeof(out));
		assert_true(kafka_policy_deny(&policy, 500));
		assert_int_equal(kafka_versions_rewrite(span_of(frame, sizeof(frame)), 0, &policy,
							&sink, &versions, &why),
				 WIRE_OK);
		assert_false(offers(sink_written(&sink), 500));
		assert_int_equal(offers(sink_written(&sink), 501), hides == 0);
		assert_int_equal(versions.denied, 1);
		assert_int_equal(versions.unknown, hides);
		assert_int_equal(versions.removed, 1 + hides);
	}
}

static size_t read_only_seen;

/* A list without Produce is one that librdkafka cannot fetch by. */
static void see_read_only(const struct vector *vector)
{
	static uint8_t out[OUT_MAX];
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_policy policy = { 0 };
	struct kafka_versions versions;
	struct kafka_why why;
	size_t size;
	if (vector_number(vector, 0) > 2 || strcmp(vector->words[1], "unsupported") == 0)
		return;
	uint8_t *frame = vector_bytes(vector, 2, &size);
	kafka_policy_read_only(&policy);
	assert_int_equal(kafka_versions_rewrite(span_of(frame, size),
						(int16_t)vector_number(vector, 0), &policy, &sink,
						&versions, &why),
			 WIRE_OK);
	if (offers(span_of(frame, size), KAFKA_DELETE_TOPICS)) {
		assert_true(offers(sink_written(&sink), KAFKA_PRODUCE));
		assert_true(offers(sink_written(&sink), KAFKA_FETCH));
		assert_false(offers(sink_written(&sink), KAFKA_DELETE_TOPICS));
		assert_true(versions.denied > 0 && versions.unknown > 0);
		assert_true(versions.denied + versions.unknown < versions.removed);
		read_only_seen++;
	}
	free(frame);
}

static void test_read_only_offer(void **state)
{
	(void)state;
	(void)vectors_each("versions", see_read_only);
	assert_true(read_only_seen >= 3);
}

/* Error 35 in v0, and no list: what clients answer by asking again in v0. */
static const uint8_t NO_LIST[] = { 0, 0, 0, 10, 0, 0, 0, 7, 0, 35, 0, 0, 0, 0 };

static void assert_no_list(struct span got, const struct kafka_versions *ret)
{
	assert_int_equal(got.len, sizeof(NO_LIST));
	assert_memory_equal(got.at, NO_LIST, sizeof(NO_LIST));
	assert_int_equal(ret->error, 35);
	assert_int_equal(ret->removed + ret->clamped + ret->unknown, 0);
}

/* A frame of another length than its content: nobody's, unless its error is known before that. */
static void see_torn(const struct vector *vector, const uint8_t *frame, size_t len, size_t size)
{
	static uint8_t out[OUT_MAX];
	const struct kafka_policy policy = { 0 };
	int16_t version = (int16_t)vector_number(vector, 0);
	bool is_unsupported = strcmp(vector->words[1], "unsupported") == 0;
	struct sink sink = sink_of(out, sizeof(out));
	struct kafka_versions versions = { 0 };
	struct kafka_why why;
	uint8_t *torn = exact_copy(frame, len <= size ? len : size);
	torn = realloc(torn, len);
	torn[len - 1] = len > size ? 0 : torn[len - 1];
	torn[0] = torn[1] = 0;
	torn[2] = (uint8_t)((len - 4) >> 8);
	torn[3] = (uint8_t)(len - 4);
	enum wire res = kafka_versions_rewrite(span_of(torn, len), version, &policy, &sink,
					       &versions, &why);
	if (is_unsupported && version > 0 && len >= 10) {
		assert_int_equal(res, WIRE_OK);
		assert_no_list(sink_written(&sink), &versions);
	} else {
		assert_int_equal(res, WIRE_BAD);
		assert_true(why.bad == KAFKA_BAD_ARRAY && sink.len == 0);
	}
	free(torn);
}

static void see_versions(const struct vector *vector)
{
	static uint8_t out[OUT_MAX];
	const struct kafka_policy policy = { 0 };
	int16_t version = (int16_t)vector_number(vector, 0);
	size_t size;
	uint8_t *frame = vector_bytes(vector, 2, &size);
	struct kafka_versions versions = { 0 };
	struct kafka_why why;
	for (size_t len = 0; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct sink sink = sink_of(out, sizeof(out));
		enum wire res = kafka_versions_rewrite(span_of(copy, len), version, &policy, &sink,
						       &versions, &why);
		assert_int_equal(res, len < size ? WIRE_MORE : WIRE_OK);
		if (res == WIRE_MORE)
			assert_true(why.need > len && why.need <= size && sink.len == 0);
		else
			check_offer(vector, sink_written(&sink), &versions);
		free(copy);
	}
	/* Cut, and sent as if it were whole; and one byte more. */
	for (size_t len = 8; len <= size + 1; len++) {
		if (len != size)
			see_torn(vector, frame, len, size);
	}
	free(frame);
}

static void test_versions(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("versions", see_versions), 6 * 5);
}

struct said {
	const char *who;
	uint8_t frame[24];
	size_t len;
};

static enum wire rewrite(const uint8_t *frame, size_t len, int16_t version, struct sink *sink,
			 struct kafka_versions *ret)
{
	const struct kafka_policy policy = { 0 };
	struct kafka_why why;
	uint8_t *copy = exact_copy(frame, len);
	enum wire res =
		kafka_versions_rewrite(span_of(copy, len), version, &policy, sink, ret, &why);
	free(copy);
	return res;
}

/* Answers to v3 and later that are in no version, by those who give them. */
static void test_unreadable_list(void **state)
{
	static const struct said answers[] = {
		{ "librdkafka's mock brokers: a list of one in a byte, no tags",
		  { 0, 0, 0, 17, 0, 0, 0, 7, 0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0 },
		  21 },
		{ "Azure Event Hubs: v1", { 0, 0, 0, 14, 0, 0, 0, 7, 0, 35 }, 18 },
		{ "nobody yet: nothing at all", { 0, 0, 0, 6, 0, 0, 0, 7, 0, 35 }, 10 },
	};
	uint8_t other[24], out[64];
	struct kafka_versions versions;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		const struct said *said = &answers[i];
		for (int16_t version = 3; version <= 5; version++) {
			struct sink sink = sink_of(out, sizeof(out));
			assert_int_equal(rewrite(said->frame, said->len, version, &sink, &versions),
					 WIRE_OK);
			assert_no_list(sink_written(&sink), &versions);
		}
		/* There is no older version to ask in, and no other error says to. */
		struct sink sink = sink_of(out, sizeof(out));
		assert_int_equal(rewrite(said->frame, said->len, 0, &sink, &versions), WIRE_BAD);
		memcpy(other, said->frame, sizeof(other));
		other[9] = 42;
		assert_int_equal(rewrite(other, said->len, 3, &sink, &versions), WIRE_BAD);
		assert_int_equal(sink.len, 0);
		/* As everywhere: what does not fit is not begun. */
		sink = sink_of(out, sizeof(NO_LIST) - 1);
		assert_int_equal(rewrite(said->frame, said->len, 3, &sink, &versions), WIRE_BAD);
		assert_int_equal(sink.len, 0);
	}
}

static void test_no_room(void **state)
{
	(void)state;
	static const char frame[] = "\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x01\0\x12\0\0\0\x09";
	const struct kafka_policy policy = { 0 };
	uint8_t out[20];
	struct kafka_versions versions;
	struct kafka_why why;
	for (size_t room = 0; room <= sizeof(out); room++) {
		struct sink sink = sink_of(out, room);
		enum wire res = kafka_versions_rewrite(span_of(frame, 20), 0, &policy, &sink,
						       &versions, &why);
		assert_int_equal(res, room < 20 ? WIRE_BAD : WIRE_OK);
		assert_int_equal(sink.len, room < 20 ? 0 : 20);
		assert_false(sink.full);
	}
	assert_int_equal(out[19], 5);
	/* Two thousand million entries. */
	static const char lie[] = "\0\0\0\x0a\0\0\0\x01\0\0\x7f\xff\xff\xff";
	struct sink sink = sink_of(out, sizeof(out));
	assert_int_equal(kafka_versions_rewrite(span_of(lie, 14), 0, &policy, &sink, &versions,
						&why),
			 WIRE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unreadable_list), cmocka_unit_test(test_default_policy),
		cmocka_unit_test(test_denied_numbers),	cmocka_unit_test(test_denied_numbers_offer),
		cmocka_unit_test(test_newer_versions),	cmocka_unit_test(test_other_policies),
		cmocka_unit_test(test_read_only),	cmocka_unit_test(test_hello),
		cmocka_unit_test(test_read_only_offer), cmocka_unit_test(test_answer),
		cmocka_unit_test(test_versions),	cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
