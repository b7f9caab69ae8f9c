/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka: conversations by chance: the client's requests and the Java client's responses, long
 * Fetches with addresses behind their records, calls answered here, in any mixture and arriving in
 * pieces of any size, in both directions at once. What the two ends hear is what the mixture says
 * piece by piece, to the last byte.
 */
#include "kafka_talk.h"

#include <penstock/base/rng.h>
#include <penstock/wire/kafka_answer.h>

#define RUNS	    300
#define VECTORS_MAX 512
#define LONG_MAX    400000

struct item {
	int16_t key, version;
	uint8_t *frame;
	size_t len;
};

static struct item items[VECTORS_MAX];
static size_t item_count;

/* A request and its answer. */
static struct {
	struct item request, answer;
} refused[VECTORS_MAX];
static size_t refused_count;
static uint8_t room[1024 * 1024];
static struct rng rng;

static void take_response(const struct vector *vector)
{
	struct item *item = &items[item_count++];

	assert_true(item_count < VECTORS_MAX);
	item->key = (int16_t)vector_number(vector, 0);
	item->version = (int16_t)vector_number(vector, 1);
	item->frame = vector_bytes(vector, 3, &item->len);
}

static void take_refused(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0);

	if (key != KAFKA_CREATE_TOPICS && key != KAFKA_ALTER_CLIENT_QUOTAS)
		return;
	refused[refused_count].request.frame =
		vector_bytes(vector, 3, &refused[refused_count].request.len);
	refused[refused_count].answer.frame =
		vector_bytes(vector, 4, &refused[refused_count].answer.len);
	refused_count++;
	assert_true(refused_count < VECTORS_MAX);
}

/* ---- what a frame becomes ---- */

static void expect_stream(struct text *expected, int16_t key, int16_t version, struct span frame)
{
	struct kafka_names names = { .name = talk_name };
	struct kafka_stream stream;
	struct kafka_stream_step step = { 0 };

	kafka_stream_begin(&stream, key, version, frame.len);
	while (!step.is_last) {
		struct sink sink = sink_of(room, KAFKA_TAIL_MAX);

		kafka_stream_see(&stream, frame, &names, &sink, &step);
		assert_true(step.what == KAFKA_STREAM_PASS || step.what == KAFKA_STREAM_EMIT);
		text_add(expected, step.what == KAFKA_STREAM_EMIT ? sink.at : frame.at,
			 (size_t)step.n);
		assert_true(span_skip(&frame, (size_t)step.n));
	}
}

/* ---- a Fetch with records ---- */

static void put_varint(struct text *text, size_t value)
{
	for (; value >= 0x80; value >>= 7)
		text_add(text, &(const uint8_t){ (uint8_t)(value | 0x80) }, 1);
	text_add(text, &(const uint8_t){ (uint8_t)value }, 1);
}

static void put_zeros(struct text *text, size_t n)
{
	static const uint8_t zeros[64];

	text_add(text, zeros, n);
}

static void put_endpoints(struct text *text, uint32_t nodes, const char *host)
{
	struct text body = { 0 };

	put_varint(&body, nodes + 1);
	for (uint32_t i = 0; i < nodes; i++) {
		put_u32(&body, i);
		put_varint(&body, strlen(host) + 1);
		text_add(&body, host, strlen(host));
		put_u32(&body, 9092);
		put_zeros(&body, 2); /* rack, tagged fields */
	}
	put_varint(text, 1); /* one tagged field: */
	put_varint(text, 0); /* NodeEndpoints */
	put_varint(text, body.len);
	text_add(text, body.at, body.len);
	text_free(&body);
}

static struct text make_fetch(uint32_t correlation, size_t records, uint32_t nodes)
{
	static const char *const hosts[] = { "b",
					     "broker-with-a-long-name.rack-a.internal.example" };
	uint32_t partitions = (uint32_t)rng_below(&rng, 5);
	struct text frame = { 0 };

	put_u32(&frame, 0);
	put_u32(&frame, correlation);
	put_zeros(&frame, 1 + 4 + 2 + 4); /* tagged fields; throttle, error, session */
	put_varint(&frame, 2);		  /* one topic */
	put_zeros(&frame, 16);
	put_varint(&frame, partitions + 1);
	for (uint32_t i = 0; i < partitions; i++) {
		size_t len = records / partitions;

		put_zeros(&frame, 4 + 2 + 8 + 8 + 8 + 1 + 4); /* up to the preferred replica */
		put_varint(&frame, len + 1);
		for (size_t at = 0; at < len; at++)
			room[at] = (uint8_t)(at * 11 + i);
		text_add(&frame, room, len);
		put_zeros(&frame, 1);
	}
	put_zeros(&frame, 1);
	if (nodes > 0)
		put_endpoints(&frame, nodes, hosts[rng_below(&rng, COUNT_OF(hosts))]);
	else
		put_zeros(&frame, 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

/* ---- one more of something ---- */

/* Responses that are awaited, in order. */
struct due {
	struct text frame, expected;
};
static struct due dues[64];
static size_t due_count;

static void say_due(struct script *script, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		script_say(script, dues[i].frame.at, dues[i].frame.len, dues[i].expected.at,
			   dues[i].expected.len);
		text_free(&dues[i].frame);
		text_free(&dues[i].expected);
	}
	due_count -= count;
	memmove(dues, dues + count, due_count * sizeof(dues[0]));
}

static struct due *new_due(struct script *script)
{
	if (due_count == COUNT_OF(dues))
		say_due(script, 1 + rng_below(&rng, due_count));
	dues[due_count] = (struct due){ 0 };
	return &dues[due_count++];
}

static void add_vector(struct script *script, uint32_t correlation)
{
	const struct item *item = &items[rng_below(&rng, item_count)];
	struct due *due = new_due(script);

	script_ask_text(script,
			item->key == KAFKA_PRODUCE
				? make_produce(item->version, correlation, 1, 20)
				: make_request(item->key, item->version, correlation, "c", 9));
	text_add(&due->frame, item->frame, item->len);
	patch_u32(due->frame.at + 4, correlation);
	text_add_renamed(&due->expected, item->key, item->version,
			 span_of(due->frame.at, due->frame.len), talk_name);
}

static void add_fetch(struct script *script, uint32_t correlation)
{
	struct due *due = new_due(script);
	size_t records = rng_below(&rng, LONG_MAX);

	script_ask_text(script, make_request(KAFKA_FETCH, 17, correlation, "c", 60));
	due->frame = make_fetch(correlation, records, (uint32_t)rng_below(&rng, 3));
	struct span frame = span_of(due->frame.at, due->frame.len);

	if (frame.len > PROTO_FRAME_MAX)
		expect_stream(&due->expected, KAFKA_FETCH, 17, frame);
	else
		text_add_renamed(&due->expected, KAFKA_FETCH, 17, frame, talk_name);
}

static void add_opaque(struct script *script, uint32_t correlation)
{
	static const int16_t keys[] = { KAFKA_HEARTBEAT, KAFKA_OFFSET_FETCH, 500, 12345 };
	int16_t key = keys[rng_below(&rng, COUNT_OF(keys))];
	struct due *due = new_due(script);
	size_t body = rng_below(&rng, 10) == 0 ? rng_below(&rng, 100000) : rng_below(&rng, 100);

	script_ask_text(script, make_request(key, (int16_t)rng_below(&rng, 9), correlation,
					     "client", rng_below(&rng, 200)));
	due->frame = make_response(correlation, body);
	text_add(&due->expected, due->frame.at, due->frame.len);
}

/* acks=0, long or short. */
static void add_silent(struct script *script, uint32_t correlation)
{
	size_t body = rng_below(&rng, 8) == 0 ? rng_below(&rng, LONG_MAX) : rng_below(&rng, 50);

	script_ask_text(script, make_produce((int16_t)rng_below(&rng, 14), correlation, 0, body));
}

/* Its answer is behind all that are due. */
static void add_denied(struct script *script, uint32_t correlation)
{
	const struct kafka_request request = { .key = KAFKA_END_TXN,
					       .version = (int16_t)rng_below(&rng, 6),
					       .correlation = (int32_t)correlation };
	struct text frame = make_request(request.key, request.version, correlation, "c",
					 rng_below(&rng, 70000));
	struct sink sink = sink_of(room, KAFKA_ANSWER_MAX);

	say_due(script, due_count);
	assert_true(kafka_answer_denied(&sink, &request));
	text_add(&script->client, frame.at, frame.len);
	text_add(&script->to_client, room, sink.len);
	text_free(&frame);
}

static void add_refused(struct script *script, uint32_t correlation)
{
	size_t i = rng_below(&rng, refused_count);
	const struct item *request = &refused[i].request, *answer = &refused[i].answer;

	say_due(script, due_count);
	patch_u32(request->frame + 8, correlation);
	patch_u32(answer->frame + 4, correlation);
	text_add(&script->client, request->frame, request->len);
	text_add(&script->to_client, answer->frame, answer->len);
}

static void make_script(struct script *script)
{
	static void (*const adds[])(struct script *, uint32_t) = {
		add_vector, add_vector, add_vector, add_fetch,	add_opaque,
		add_opaque, add_opaque, add_silent, add_denied, add_refused,
	};
	size_t count = 1 + rng_below(&rng, 60);

	for (size_t i = 0; i < count; i++) {
		adds[rng_below(&rng, COUNT_OF(adds))](script, (uint32_t)rng_next(&rng));
		if (rng_below(&rng, 3) == 0)
			say_due(script, rng_below(&rng, due_count + 1));
	}
	say_due(script, due_count);
}

/* ---- how it arrives ---- */

static size_t any_step(void)
{
	return 1 + rng_below(&rng, UINT64_C(1) << (1 + rng_below(&rng, 19)));
}

static void run(struct script *script)
{
	size_t rounds = 4 * (script->client.len + script->broker.len) + 1000;

	talk_start(script);
	talk.read_max = rng_below(&rng, 4) == 0 ? any_step() : 0;
	while (!talk_is_over()) {
		assert_true(rounds-- > 0);
		for (int i = 0; i < 2; i++)
			talk.lanes[i].is_blocked = rng_below(&rng, 3) == 0;
		if (rng_below(&rng, 2) == 0)
			talk_arrive(PROTO_CLIENT, any_step());
		else
			talk_arrive(PROTO_BROKER, any_step());
	}
	talk_check(script);
}

static void test_random(void **state)
{
	(void)state;
	rng_seed(&rng, 4711);
	(void)vectors_each("response", take_response);
	(void)vectors_each("refused", take_refused);
	assert_true(refused_count > 0);
	talk_begin();
	talk.kafka->policy.show_quorum = true;
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_END_TXN));
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_CREATE_TOPICS));
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_ALTER_CLIENT_QUOTAS));
	for (int i = 0; i < RUNS; i++) {
		struct script script = { 0 };

		make_script(&script);
		talk_again();
		run(&script);
		script_free(&script);
	}
	assert_true(stat_get(&talk.stats, STAT_KAFKA_TAIL) > 0);
	assert_true(stat_get(&talk.stats, STAT_KAFKA_BARE) > 0);
	assert_true(stat_get(&talk.stats, STAT_KAFKA_PREFIX) > 0);
	assert_true(stat_get(&talk.stats, STAT_KAFKA_WHOLE) > 0);
	talk_end();
	for (size_t i = 0; i < item_count; i++)
		free(items[i].frame);
	for (size_t i = 0; i < refused_count; i++) {
		free(refused[i].request.frame);
		free(refused[i].answer.frame);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
