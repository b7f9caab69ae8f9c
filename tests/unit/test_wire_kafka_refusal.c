/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_refusal: every answer is what Kafka's own request classes answer, byte for byte, in
 * every version, wherever the request is cut; what cannot be read or does not fit is refused.
 */
#include "kafka_vectors.h"

#include <penstock/wire/kafka_refusal.h>

#define KEYS_MAX 128
#define ROOM	 65536

static uint64_t versions_seen[KEYS_MAX]; /* a bit each */
static uint8_t room[ROOM];

/* In pieces of at most `step` bytes, shown in memory of exactly their size; what the walk does not
 * take is shown again with at least as many more as it wants. */
static enum wire walk(const uint8_t *frame, size_t len, size_t step, struct sink *sink,
		      struct kafka_why *why)
{
	const struct kafka_request request = vector_request(frame, len);
	struct kafka_refusal refusal;
	size_t at = 0, have = step < len ? step : len;

	*sink = sink_of(room, sizeof(room));
	kafka_refusal_begin(&refusal, &request, sink);
	for (;;) {
		size_t taken;
		uint8_t *piece = malloc(have - at > 0 ? have - at : 1);

		assert_non_null(piece);
		memcpy(piece, frame + at, have - at);
		enum wire res =
			kafka_refusal_see(&refusal, span_of(piece, have - at), sink, &taken, why);

		free(piece);
		assert_true(taken <= have - at);
		at += taken;
		if (res != WIRE_MORE)
			return res;
		assert_true(why->need > have - at);
		if (have == len)
			return WIRE_MORE;
		have = at + why->need > have + step ? at + why->need : have + step;
		if (have > len)
			have = len;
	}
}

static void see_refused(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	size_t len, expected_len;
	uint8_t *frame = vector_bytes(vector, 3, &len),
		*expected = vector_bytes(vector, 4, &expected_len);

	versions_seen[key] |= UINT64_C(1) << version;
	for (size_t step = 1; step <= len; step++) {
		struct sink sink;
		struct kafka_why why;

		assert_int_equal(walk(frame, len, step, &sink, &why), WIRE_OK);
		if (sink.len != expected_len || memcmp(room, expected, expected_len) != 0)
			fail_msg("%s:%zu: this is not what the broker would say", vector->file,
				 vector->line);
	}
	free(frame);
	free(expected);
}

/* There is none for a version that nobody has said an answer for. */
static void test_answers(void **state)
{
	(void)state;
	assert_true(vectors_each("refused", see_refused) > 0);
	for (int16_t key = 0; kafka_api(key) != NULL; key++) {
		for (int16_t version = 0; version <= kafka_api(key)->newest + 1; version++) {
			const struct kafka_request request = { .key = key, .version = version };
			bool is_seen = (versions_seen[key] >> version & 1) != 0;

			if (kafka_refusal_has(&request) != is_seen)
				fail_msg("%s v%d: %s", kafka_api(key)->name, version,
					 is_seen ? "no answer" : "nobody knows this answer");
		}
	}
}

static size_t cuts;

/* Cut short with a size that says so, it is never taken for a request; nor with a byte too many. */
static void see_cut(const struct vector *vector)
{
	size_t len;
	uint8_t *frame = vector_bytes(vector, 3, &len), *longer = malloc(len + 1);

	assert_non_null(longer);
	memcpy(longer, frame, len);
	longer[len] = 0;
	for (size_t size = 12; size <= len + 1; size++) {
		struct sink sink;
		struct kafka_why why;
		bool is_whole = size == len;

		for (size_t i = 0; i < 4; i++)
			longer[i] = (uint8_t)((size - 4) >> (24 - 8 * i));
		assert_int_equal(walk(longer, size, 7, &sink, &why), is_whole ? WIRE_OK : WIRE_BAD);
		if (size > len)
			assert_int_equal(why.bad, KAFKA_BAD_TRAILING);
		else if (!is_whole)
			assert_int_not_equal(why.bad, KAFKA_BAD_ROOM);
		cuts++;
	}
	free(frame);
	free(longer);
}

static void test_cut(void **state)
{
	(void)state;
	(void)vectors_each("refused", see_cut);
	assert_true(cuts > 1000);
}

/* A frame as long as 100 MiB is asked for nothing but its letters; its records are never shown. */
static void test_long(void **state)
{
	static const uint8_t head[] = { 6, 64, 0,   0,	 0,   0, 0, 7, 0, 0, 0, 9, /* Produce v7 */
					0, 1,  'c', 255, 255, 0, 1, 0, 0, 0, 1, 0, 0,
					0, 1,  0,   1,	 't', 0, 0, 0, 1, 0, 0, 0, 5 };
	static const uint8_t expected[] = { 0,	 0,   0,   49,	0,   0,	  0,   9,   0,	 0,   0,
					    1,	 0,   1,   't', 0,   0,	  0,   1,   0,	 0,   0,
					    5,	 0,   29,  255, 255, 255, 255, 255, 255, 255, 255,
					    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
					    255, 255, 255, 255, 255, 0,	  0,   0,   0 };
	static uint8_t records[ROOM];
	const struct kafka_request request = vector_request(head, sizeof(head));
	struct kafka_refusal refusal;
	struct kafka_why why;
	struct sink sink = sink_of(room, sizeof(expected));
	size_t taken;
	uint64_t left = request.frame_size - sizeof(head) - 4;
	const uint8_t size[] = { (uint8_t)(left >> 24), (uint8_t)(left >> 16), (uint8_t)(left >> 8),
				 (uint8_t)left };

	(void)state;
	kafka_refusal_begin(&refusal, &request, &sink);
	assert_int_equal(kafka_refusal_see(&refusal, span_of(head, sizeof(head)), &sink, &taken,
					   &why),
			 WIRE_MORE);
	assert_int_equal(taken, sizeof(head));
	assert_int_equal(kafka_refusal_see(&refusal, span_of(size, sizeof(size)), &sink, &taken,
					   &why),
			 WIRE_MORE);
	assert_int_equal(taken, sizeof(size));
	while (left > sizeof(records)) {
		assert_int_equal(kafka_refusal_see(&refusal, span_of(records, sizeof(records)),
						   &sink, &taken, &why),
				 WIRE_MORE);
		assert_int_equal(taken, sizeof(records));
		assert_int_equal(why.need, 1);
		left -= taken;
	}
	/* What is behind the request is not its own. */
	assert_int_equal(kafka_refusal_see(&refusal, span_of(records, sizeof(records)), &sink,
					   &taken, &why),
			 WIRE_OK);
	assert_int_equal(taken, left);
	assert_int_equal(sink.len, sizeof(expected));
	assert_memory_equal(room, expected, sizeof(expected));
}

/* DeleteTopics v1, with whatever its array says. */
static enum wire walk_topics(uint32_t count, const void *rest, size_t len, size_t size,
			     struct kafka_why *why)
{
	uint8_t frame[64] = { 0, 0, 0, 0, 0, 20, 0, 1, 0, 0, 0, 9, 0, 0 };
	size_t at = 14, taken;

	for (int i = 0; i < 4; i++)
		frame[at++] = (uint8_t)(count >> (24 - 8 * i));
	memcpy(frame + at, rest, len);
	at += len;
	frame[3] = (uint8_t)(at - 4);
	const struct kafka_request request = vector_request(frame, at);
	struct kafka_refusal refusal;
	struct sink sink = sink_of(room, size);

	kafka_refusal_begin(&refusal, &request, &sink);
	return kafka_refusal_see(&refusal, span_of(frame, at), &sink, &taken, why);
}

static void test_lies(void **state)
{
	struct kafka_why why;

	(void)state;
	assert_int_equal(walk_topics(1, "\0\1t\0\0\0\1", 7, 100, &why), WIRE_OK);
	assert_int_equal(walk_topics(0, "\0\0\0\1", 4, 100, &why), WIRE_OK);
	/* More entries than there are bytes; fewer than that, yet more than there are. */
	assert_int_equal(walk_topics(INT32_MAX, "\0\1t\0\0\0\1", 7, 100, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_ARRAY);
	assert_int_equal(walk_topics(4, "\0\1t\0\0\0\1", 7, 100, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_OVERRUN);
	assert_int_equal(walk_topics(UINT32_C(0x80000000), "\0\1t\0\0\0\1", 7, 100, &why),
			 WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_ARRAY);
	assert_int_equal(walk_topics(1, "\xff\0t\0\0\0\1", 7, 100, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_STRING);
	assert_int_equal(walk_topics(1, "\x7f\xfft\0\0\0\1", 7, 100, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_OVERRUN);
	assert_int_equal(walk_topics(2, "\0\1t\0\1u\0\0\0\1", 10, 16 + 2 * 5, &why), WIRE_OK);
	assert_int_equal(walk_topics(2, "\0\1t\0\1u\0\0\0\1", 10, 16 + 2 * 5 - 1, &why), WIRE_BAD);
	assert_int_equal(why.bad, KAFKA_BAD_ROOM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
