/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_sasl: the Java client's handshakes and tokens at every length, raw tokens, and what is
 * neither.
 */
#include "kafka_vectors.h"

#include <penstock/wire/kafka_sasl.h>

struct bytes {
	const char *at;
	size_t len;
};
#define BYTES(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

static bool is_kind(const struct vector *vector, const char *kind)
{
	return strcmp(vector->kind, kind) == 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

static enum wire read_request(const struct vector *vector, struct span bytes, struct kafka_why *why)
{
	struct kafka_request request;
	struct span said = { 0 }, user;
	enum wire res = kafka_request_head(bytes, 1000, &request, why);
	if (res != WIRE_OK)
		return res;
	if (is_kind(vector, "sasl_handshake")) {
		res = kafka_sasl_mechanism(bytes, &request, &said, why);
	} else {
		res = kafka_sasl_token(bytes, &request, &said, why);
		if (res == WIRE_OK) {
			assert_true(kafka_sasl_plain_user(said, &user));
			said = user;
		}
	}
	if (res == WIRE_OK)
		assert_span(said, vector->words[1]);
	return res;
}

static void see_request(const struct vector *vector)
{
	size_t size, first = SIZE_MAX;
	uint8_t *frame = vector_bytes(vector, 3, &size);
	for (size_t len = 0; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct kafka_why why;
		enum wire res = read_request(vector, span_of(copy, len), &why);
		assert_int_not_equal(res, WIRE_BAD);
		if (res == WIRE_MORE)
			assert_true(first == SIZE_MAX && why.need > len && why.need <= size);
		else if (first == SIZE_MAX)
			first = len;
		if (len >= 14)
			assert_true(kafka_sasl_is_request(span_of(copy, len)));
		free(copy);
	}
	assert_true(first <= size);
	free(frame);
}

static void test_requests(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("sasl_handshake", see_request), 2);
	assert_int_equal(vectors_each("sasl_authenticate", see_request), 3);
}

/* ---- responses ------------------------------------------------------------------------------ */

static enum wire read_response(const struct vector *vector, struct span bytes,
			       struct kafka_why *why)
{
	struct kafka_sasl_result result = { 0 };
	if (is_kind(vector, "sasl_answer")) {
		enum wire res = kafka_sasl_handshake_error(bytes, &result.error, why);
		if (res == WIRE_OK)
			assert_int_equal(result.error, vector_number(vector, 1));
		return res;
	}
	enum wire res = kafka_sasl_result(bytes, (int16_t)vector_number(vector, 0), &result, why);
	if (res == WIRE_OK) {
		assert_int_equal(result.error, vector_number(vector, 1));
		assert_int_equal(result.lifetime_ms, strtoll(vector->words[2], NULL, 10));
	}
	return res;
}

static void see_response(const struct vector *vector)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, vector->count - 1, &size);
	for (size_t len = 0; len <= size; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct kafka_why why;
		enum wire res = read_response(vector, span_of(copy, len), &why);
		assert_int_equal(res, len < size ? WIRE_MORE : WIRE_OK);
		if (res == WIRE_MORE)
			assert_true(why.need > len && why.need <= size);
		free(copy);
	}
	/* An end that comes too early. */
	for (size_t len = 8; len < 10; len++) {
		uint8_t *copy = exact_copy(frame, len);
		struct kafka_why why;
		memcpy(copy, "\0\0\0", 3);
		copy[3] = (uint8_t)(len - 4);
		assert_int_equal(read_response(vector, span_of(copy, len), &why), WIRE_BAD);
		assert_int_equal(why.bad, KAFKA_BAD_OVERRUN);
		free(copy);
	}
	free(frame);
}

static void test_responses(void **state)
{
	(void)state;
	assert_int_equal(vectors_each("sasl_answer", see_response), 4);
	assert_int_equal(vectors_each("sasl_result", see_response), 6);
}

/* ---- tokens --------------------------------------------------------------------------------- */

static void test_plain(void **state)
{
	(void)state;
	static const struct bytes bad[] = {
		BYTES(""),	    BYTES("alice"),  BYTES("\0alice"),
		BYTES("\0alice\0"), BYTES("\0\0pw"), BYTES("\0alice\0p\0w"),
	};
	struct span user;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(kafka_sasl_plain_user(span_of(bad[i].at, bad[i].len), &user));
	assert_true(kafka_sasl_plain_user(span_of("root\0alice\0pw", 13), &user));
	assert_span(user, "alice");
}

/* Answers of ours, as a client would read a broker's. */
static void test_answers(void **state)
{
	(void)state;
	for (int16_t version = 0; version <= 2; version++) {
		uint8_t bytes[KAFKA_SASL_ANSWER_MAX];
		struct sink sink = sink_of(bytes, sizeof(bytes));
		struct kafka_request request = { .key = KAFKA_SASL_AUTHENTICATE,
						 .version = version,
						 .correlation = 7 };
		struct kafka_sasl_result result;
		struct kafka_why why;
		int16_t error;
		kafka_sasl_answer(&sink, &request, false);
		assert_false(sink.full);
		assert_int_equal(kafka_sasl_result(sink_written(&sink), version, &result, &why),
				 WIRE_OK);
		assert_int_equal(result.error, 58);
		request.key = KAFKA_SASL_HANDSHAKE;
		for (int none = 0; version < 2 && none < 2; none++) {
			sink = sink_of(bytes, sizeof(bytes));
			kafka_sasl_answer(&sink, &request, none != 0);
			assert_int_equal(kafka_sasl_handshake_error(sink_written(&sink), &error,
								    &why),
					 WIRE_OK);
			assert_int_equal(error, 33);
			assert_int_equal(sink.len, none ? 14 : 14 + 7 + 2 * 15);
		}
	}
}

static void test_tokens(void **state)
{
	(void)state;
	assert_int_equal(kafka_sasl_tokens(span_str("PLAIN")), 1);
	assert_int_equal(kafka_sasl_tokens(span_str("OAUTHBEARER")), 1);
	assert_int_equal(kafka_sasl_tokens(span_str("SCRAM-SHA-512")), 2);
	assert_int_equal(kafka_sasl_tokens(span_str("GSSAPI")), 0);
	assert_int_equal(kafka_sasl_tokens(span_str("")), 0);
}

static void test_raw(void **state)
{
	(void)state;
	uint64_t size = 0;
	struct kafka_why why;
	for (size_t len = 0; len < 4; len++) {
		assert_int_equal(kafka_sasl_raw(span_of("\0\0\0", len), &size, &why), WIRE_MORE);
		assert_int_equal(why.need, 4);
	}
	assert_int_equal(kafka_sasl_raw(span_of("\0\0\0\0", 4), &size, &why), WIRE_OK);
	assert_int_equal(size, 4);
	assert_int_equal(kafka_sasl_raw(span_of("\0\x08\0\0", 4), &size, &why), WIRE_OK);
	assert_int_equal(size, KAFKA_FRAME_AUTH + 4);
	assert_int_equal(kafka_sasl_raw(span_of("\0\x08\0\1", 4), &size, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_SIZE_BIG);
	assert_int_equal(kafka_sasl_raw(span_of("\xff\0\0\0", 4), &size, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_SIZE_NEGATIVE);
}

/* First and later tokens of several mechanisms. */
static void test_is_no_request(void **state)
{
	(void)state;
	static const struct bytes tokens[] = {
		BYTES("\0\0\0\x0d\0alice\0secret"),
		BYTES("\0\0\0\x40n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL"),
		BYTES("\0\0\0\x60"
		      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"),
		BYTES("\0\0\2\x10\x60\x82\2\x0c\6\x09\x2a\x86\x48\x86\xf7\x12\1\2\2"),
		BYTES("\0\0\0\x40\x05\x04\x04\xff\0\x0c\0\0\0\0\0\0"),
		BYTES("\0\0\0\x30n,,\1auth=Bearer eyJhbGciOi"),
		BYTES("\0\0\0\1\1"),
		BYTES("\0\0\0\0"),
	};
	for (size_t i = 0; i < COUNT_OF(tokens); i++) {
		if (kafka_sasl_is_request(span_of(tokens[i].at, tokens[i].len)))
			fail_msg("token %zu", i);
	}
}

/* Requests that would be refused are requests all the same. */
static void test_is_request(void **state)
{
	(void)state;
	static const struct bytes requests[] = {
		BYTES("\0\0\0\x0a\0\3\0\x0c\0\0\0\1\xff\xff"),
		BYTES("\0\0\0\x0a\0\3\0\x63\0\0\0\1\xff\xff"),
		BYTES("\0\0\0\x0e\0\x60\0\0\0\0\0\1\0\4abcd"),
		BYTES("\0\0\0\x64\1\xf3\0\0\0\0\0\1\0\4"),
	};
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		if (!kafka_sasl_is_request(span_of(requests[i].at, requests[i].len)))
			fail_msg("request %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),   cmocka_unit_test(test_responses),
		cmocka_unit_test(test_plain),	   cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_raw),	   cmocka_unit_test(test_is_no_request),
		cmocka_unit_test(test_is_request), cmocka_unit_test(test_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
