/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka: calls that are denied topic by topic and partition by partition: the answer comes in
 * its turn and names what was asked for, no byte of the request reaches the broker however long its
 * records are, and what cannot be answered ends the connection.
 */
#include "kafka_talk.h"

#define ALL	   (SIZE_MAX / 4)
#define DENIED	   29 /* TOPIC_AUTHORIZATION_FAILED */
#define UNKNOWN	   0xff
#define LEASES_MAX 64

static struct script script;

static int begin(void **state)
{
	(void)state;
	script = (struct script){ 0 };
	talk_begin();
	kafka_policy_read_only(&talk.kafka->policy);
	return 0;
}

static int end(void **state)
{
	(void)state;
	script_free(&script);
	talk_end();
	return 0;
}

/* ---- Produce, and its answer ---- */

struct produce {
	int16_t version, acks;
	uint32_t correlation, topics, partitions;
	size_t records; /* of each partition */
};

static void put_varint(struct text *text, size_t value)
{
	for (; value >= 0x80; value >>= 7)
		text_add(text, &(const uint8_t){ (uint8_t)(value | 0x80) }, 1);
	text_add(text, &(const uint8_t){ (uint8_t)value }, 1);
}

static void put_length(struct text *text, bool is_compact, size_t len)
{
	if (is_compact)
		put_varint(text, len + 1);
	else
		put_u32(text, (uint32_t)len);
}

static void put_bytes(struct text *text, uint8_t value, size_t n)
{
	while (n-- > 0)
		text_add(text, &value, 1);
}

/* "t0000", or a UUID full of the topic's number. */
static void put_topic(struct text *text, const struct produce *produce, uint32_t topic)
{
	char name[16];

	if (produce->version >= 13) {
		put_bytes(text, (uint8_t)topic, 16);
		return;
	}
	(void)snprintf(name, sizeof(name), "t%04u", topic);
	if (produce->version >= 9) {
		put_varint(text, strlen(name) + 1);
		text_add(text, name, strlen(name));
	} else {
		put_string(text, name);
	}
}

static struct text make_denied(const struct produce *produce)
{
	bool is_compact = produce->version >= 9;
	struct text frame = make_produce(produce->version, produce->correlation, produce->acks, 0);

	put_u32(&frame, 30000);
	put_length(&frame, is_compact, produce->topics);
	for (uint32_t topic = 0; topic < produce->topics; topic++) {
		put_topic(&frame, produce, topic);
		put_length(&frame, is_compact, produce->partitions);
		for (uint32_t i = 0; i < produce->partitions; i++) {
			put_u32(&frame, i * 3);
			put_length(&frame, is_compact, produce->records);
			put_bytes(&frame, (uint8_t)(i + 1), produce->records);
			put_bytes(&frame, 0, is_compact);
		}
		put_bytes(&frame, 0, is_compact);
	}
	put_bytes(&frame, 0, is_compact);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

static struct text make_answer(const struct produce *produce)
{
	bool is_compact = produce->version >= 9;
	struct text frame = { 0 };

	put_u32(&frame, 0);
	put_u32(&frame, produce->correlation);
	put_bytes(&frame, 0, is_compact);
	put_length(&frame, is_compact, produce->topics);
	for (uint32_t topic = 0; topic < produce->topics; topic++) {
		put_topic(&frame, produce, topic);
		put_length(&frame, is_compact, produce->partitions);
		for (uint32_t i = 0; i < produce->partitions; i++) {
			put_u32(&frame, i * 3);
			put_u16(&frame, DENIED);
			put_bytes(&frame, UNKNOWN, 8 + 8); /* offset, time */
			put_bytes(&frame, UNKNOWN, produce->version >= 5 ? 8 : 0);
			if (produce->version == 8)
				text_add(&frame, "\0\0\0\0\xff\xff", 6);
			else if (is_compact)
				text_add(&frame, "\1\0\0", 3);
		}
		put_bytes(&frame, 0, is_compact);
	}
	put_u32(&frame, 0); /* throttle */
	put_bytes(&frame, 0, is_compact);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

static void script_deny(const struct produce *produce)
{
	struct text request = make_denied(produce), answer = make_answer(produce);

	text_add(&script.client, request.at, request.len);
	text_add(&script.to_client, answer.at, answer.len);
	text_free(&request);
	text_free(&answer);
}

static void script_heartbeat(uint32_t correlation)
{
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, correlation, "c", 20));
	script_say_text(&script, make_response(correlation, 100));
}

static void run_alone(const struct produce *produce, size_t step)
{
	struct text frame = make_denied(produce);

	script_free(&script);
	talk_again();
	script_ask_text(&script, frame);
	talk_run(&script, step);
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, 0);
}

/* ---- in its turn ---- */

/* Cut at every byte, in every encoding, between requests that go by. */
static void test_every_cut(void **state)
{
	static const int16_t versions[] = { 3, 4, 5, 7, 8, 9, 12, 13 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct produce produce = { versions[i], -1, 2, 2, 2, 30 };

		script_free(&script);
		script_heartbeat(1);
		script_deny(&produce);
		produce = (struct produce){ versions[i], 1, 3, 1, 0, 0 };
		script_deny(&produce);
		script_heartbeat(4);
		for (size_t step = 1; step <= script.client.len; step++) {
			talk_again();
			talk_run(&script, step);
			talk_check(&script);
		}
	}
	assert_true(stat_get(&talk.stats, STAT_KAFKA_ANSWERED) > 0);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_ANSWERED),
			 talk.stats.kafka.api[KAFKA_PRODUCE].denied);
	assert_int_equal(talk.stats.kafka.api[KAFKA_PRODUCE].requests, 0);
}

/* Longer than any buffer, with others before it that have no response yet. */
static void test_long(void **state)
{
	static const size_t steps[] = { 1000, 65536, ALL };
	const struct produce produce = { 9, -1, 1000, 2, 3, 150000 };

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, i, "c", 10));
	for (uint32_t i = 0; i < 20; i++)
		script_say_text(&script, make_response(i, 100));
	script_deny(&produce);
	script_heartbeat(2000);
	script_deny(&produce);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		talk_again();
		talk_run(&script, steps[i]);
		talk_check(&script);
		assert_int_equal(talk.pools.denials.in_use, 0);
	}
}

/* While something else is on its way to the client nothing is taken of it. */
static void test_no_reply(void **state)
{
	const struct produce produce = { 7, 1, 1, 1, 1, 10 };
	struct text frame = make_denied(&produce);
	struct proto_verdict verdict;

	(void)state;
	assert_int_equal(talk_see(PROTO_CLIENT, frame.at, 12).what, PROTO_NEED); /* acks? */
	assert_int_equal(talk_see(PROTO_CLIENT, frame.at, 30).what, PROTO_DIAL);
	talk.is_dialled = true;
	talk.proto.ops->dialled(&talk.proto);
	talk.lanes[PROTO_BROKER].is_blocked = true;
	assert_int_equal(talk_see(PROTO_CLIENT, frame.at, 30).what, PROTO_HOLD);
	assert_null(talk.proto.kafka->denial);
	talk.lanes[PROTO_BROKER].is_blocked = false;
	verdict = talk_see(PROTO_CLIENT, frame.at, 30);
	assert_int_equal(verdict.what, PROTO_DROP);
	assert_in_range(verdict.n, 24, 30);
	size_t at = (size_t)verdict.n;

	talk.lanes[PROTO_BROKER].is_blocked = true;
	assert_int_equal(talk_see(PROTO_CLIENT, frame.at + at, frame.len - at).what, PROTO_HOLD);
	talk.lanes[PROTO_BROKER].is_blocked = false;
	verdict = talk_see(PROTO_CLIENT, frame.at + at, frame.len - at);
	assert_int_equal(verdict.what, PROTO_REPLY);
	assert_int_equal(verdict.n, frame.len - at);
	text_free(&frame);
}

/* ---- what ends the connection ---- */

/* As with brokers: no answer is awaited, and this is how a producer learns of an error. */
static void test_no_acks(void **state)
{
	(void)state;
	run_alone(&(const struct produce){ 9, 0, 1, 1, 1, 100 }, 3);
	assert_int_equal(talk.reason, CLOSE_API_DENIED);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
}

/* An answer of 64 KiB has some 1,900 partitions. */
static void test_too_many(void **state)
{
	(void)state;
	run_alone(&(const struct produce){ 9, 1, 1, 1, 1900, 0 }, 5000);
	assert_int_equal(talk.reason, CLOSE_NONE);
	run_alone(&(const struct produce){ 9, 1, 1, 1, 2100, 0 }, 5000);
	assert_int_equal(talk.reason, CLOSE_API_DENIED);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
	assert_int_equal(talk.stats.kafka.api[KAFKA_PRODUCE].denied, 2);
}

static void test_malformed(void **state)
{
	struct text frame = make_request(KAFKA_CREATE_TOPICS, 7, 1, "c", 1);

	(void)state;
	text_add(&frame, "\xff\xff\xff\xff\x07", 5); /* 2^31 - 2 topics */
	frame.at[frame.len - 6] = 0x80;
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	script_ask_text(&script, frame);
	talk_run(&script, 1);
	assert_int_equal(talk.reason, CLOSE_FRAME_MALFORMED);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
}

/* One in the middle of each buffer there is; the next one finds none. */
static void test_all_leased(void **state)
{
	static void *leases[LEASES_MAX];
	uint32_t count = talk.pools.denials.capacity;

	(void)state;
	assert_in_range(count, 1, LEASES_MAX);
	for (uint32_t i = 0; i < count; i++)
		leases[i] = pool_get(&talk.pools.denials);
	run_alone(&(const struct produce){ 9, 1, 1, 1, 1, 100 }, 50);
	assert_int_equal(talk.reason, CLOSE_API_DENIED);
	pool_put(&talk.pools.denials, leases[0]);
	run_alone(&(const struct produce){ 9, 1, 1, 1, 1, 100 }, 50);
	assert_int_equal(talk.reason, CLOSE_NONE);
	for (uint32_t i = 1; i < count; i++)
		pool_put(&talk.pools.denials, leases[i]);
}

/* A client that goes in the middle of its records leaves nothing behind (talk_end). */
static void test_gone(void **state)
{
	const struct produce produce = { 9, 1, 1, 1, 1, 1000 };
	struct text frame = make_denied(&produce);

	(void)state;
	text_add(&script.client, frame.at, frame.len - 500);
	talk_run(&script, 100);
	assert_int_equal(talk.pools.denials.in_use, 1);
	assert_int_equal(talk.reason, CLOSE_NONE);
	talk_again();
	assert_int_equal(talk.pools.denials.in_use, 0);
	text_free(&frame);
}

/* The rest of what has begun is read, and answered; nothing is begun. */
static void test_draining(void **state)
{
	const struct produce produce = { 9, 1, 1, 1, 1, 1000 };
	struct text frame = make_denied(&produce);

	(void)state;
	script_deny(&produce);
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, frame.len - 500);
	talk.is_draining = true;
	talk_arrive(PROTO_CLIENT, 500);
	talk_check(&script);
	text_add(&script.client, frame.at, frame.len);
	talk_arrive(PROTO_CLIENT, frame.len);
	assert_int_equal(talk.reason, CLOSE_DRAIN);
	text_free(&frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown((name), begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_cut),  TEST(test_long),	    TEST(test_no_reply),
		TEST(test_no_acks),    TEST(test_too_many), TEST(test_malformed),
		TEST(test_all_leased), TEST(test_gone),	    TEST(test_draining),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
