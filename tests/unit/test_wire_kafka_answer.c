/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_answer: every answer is what Kafka's own request classes answer, byte for byte, in
 * every version; and what has no answer gets none.
 */
#include "kafka_vectors.h"

#include <penstock/wire/kafka_answer.h>

#define KEYS_MAX 128

static uint64_t versions_seen[KEYS_MAX]; /* of the client's answers, a bit each */
static size_t compared;

static struct kafka_request request_of(int16_t key, int16_t version)
{
	return (struct kafka_request){ .key = key, .version = version, .correlation = 7 };
}

static void see_denied(const struct vector *vector)
{
	uint8_t room[KAFKA_ANSWER_MAX];
	struct sink sink = sink_of(room, sizeof(room));
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	const struct kafka_request request = request_of(key, version);
	size_t len;
	versions_seen[key] |= UINT64_C(1) << version;
	if (!kafka_answer_denied(&sink, &request)) {
		assert_int_equal(sink.len, 0);
		return;
	}
	uint8_t *frame = vector_bytes(vector, 2, &len);
	assert_false(sink.full);
	if (sink.len != len || memcmp(room, frame, len) != 0)
		fail_msg("%s:%zu: this is not what the broker would say", vector->file,
			 vector->line);
	free(frame);
	compared++;
}

static void test_answers(void **state)
{
	size_t answers = 0;
	(void)state;
	(void)vectors_each("denied", see_denied);
	for (int16_t key = 0; kafka_api(key) != NULL; key++) {
		for (int16_t version = 0; version <= kafka_api(key)->newest; version++) {
			uint8_t room[KAFKA_ANSWER_MAX];
			struct sink sink = sink_of(room, sizeof(room));
			const struct kafka_request request = request_of(key, version);
			if (!kafka_answer_denied(&sink, &request))
				continue;
			answers++;
			if ((versions_seen[key] >> version & 1) == 0)
				fail_msg("%s v%d: nobody has said whether this is right",
					 kafka_api(key)->name, version);
		}
	}
	assert_int_equal(compared, answers);
}

static void test_no_answer(void **state)
{
	static const struct {
		int16_t key, version;
	} rows[] = {
		{ KAFKA_PRODUCE, 9 },
		{ KAFKA_CREATE_TOPICS, 7 },
		{ KAFKA_DELETE_TOPICS, 6 },
		{ KAFKA_INIT_PRODUCER_ID, 7 },
		{ KAFKA_FIND_COORDINATOR, 4 },
		{ KAFKA_DESCRIBE_LOG_DIRS, 2 },
		{ KAFKA_ELECT_LEADERS, 0 },
		{ 95, 0 },
		{ 10000, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t room[KAFKA_ANSWER_MAX];
		struct sink sink = sink_of(room, sizeof(room));
		const struct kafka_request request = request_of(rows[i].key, rows[i].version);
		assert_false(kafka_answer_denied(&sink, &request));
		assert_int_equal(sink.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
