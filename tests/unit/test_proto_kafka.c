/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka: requests: when a broker is dialled, what may pass, what is answered here and in what
 * order, how many may be without a response, and every way to be refused.
 */
#include "kafka_script.h"

#include <penstock/wire/kafka_answer.h>

static void assert_refused(struct text frame, enum close_reason reason)
{
	script_free(&script);
	script_ask_text(&script, frame);
	talk_ends(&script, ALL, reason);
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, 0);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
}

static struct text raw(const void *bytes, size_t len)
{
	struct text text = { 0 };

	text_add(&text, bytes, len);
	return text;
}

/* ---- dialling ---- */

/* A broker is wanted by the first request that would pass, and not before. */
static void test_dial(void **state)
{
	struct text frame = make_request(KAFKA_METADATA, 12, 1, "client", 20);
	struct proto_verdict verdict;

	(void)state;
	for (size_t len = 0; len < 12; len++) {
		verdict = talk_see(PROTO_CLIENT, frame.at, len);
		assert_int_equal(verdict.what, PROTO_NEED);
		assert_true(verdict.n > len && verdict.n <= 12);
	}
	for (size_t len = 12; len <= frame.len; len++) {
		verdict = talk_see(PROTO_CLIENT, frame.at, len);
		assert_int_equal(verdict.what, PROTO_DIAL);
		assert_int_equal(verdict.target.len, 0);
	}
	assert_int_equal(talk.proto.kind, PROTO_KIND_KAFKA);
	talk.proto.ops->dialled(&talk.proto);
	verdict = talk_see(PROTO_CLIENT, frame.at, 12);
	assert_int_equal(verdict.what, PROTO_PASS);
	assert_int_equal(verdict.n, frame.len);
	text_free(&frame);
}

static void test_wrong_protocol(void **state)
{
	static const struct {
		const char *at;
		size_t len;
		enum close_reason reason;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n", 16, CLOSE_NOT_KAFKA_HTTP },
		{ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9, CLOSE_NOT_KAFKA_TLS },
		{ "SSH-2.0-OpenSSH", 15, CLOSE_NOT_KAFKA_SSH },
		{ "PROXY TCP4 1.2.3.4", 18, CLOSE_PROXY_UNTRUSTED },
		{ "\0\0\0\x30\0\0\0\x2c\x08\x02\x12\x28", 12, CLOSE_NOT_KAFKA_PULSAR },
		{ "\0\0\0\0", 4, CLOSE_FRAME_ZERO },
		{ "\0\0\0\7\0\3\0\0\0\0\0\1", 12, CLOSE_FRAME_ZERO },
		{ "\xff\xff\xff\xff", 4, CLOSE_FRAME_MALFORMED },
		{ "\x80\0\0\0", 4, CLOSE_FRAME_MALFORMED },
		{ "\x7f\xff\xff\xff", 4, CLOSE_FRAME_TOO_BIG },
		{ "\6\x40\0\1", 4, CLOSE_FRAME_TOO_BIG }, /* 100 MiB and a byte */
		{ "\0\0\0\x0a\xff\xff\0\0\0\0\0\1\0\0", 14, CLOSE_FRAME_MALFORMED },
		{ "\0\0\0\x0a\0\3\xff\xff\0\0\0\1\0\0", 14, CLOSE_FRAME_MALFORMED },
		/* Produce, the client id longer than the frame. */
		{ "\0\0\0\x0a\0\0\0\3\0\0\0\1\0\7", 14, CLOSE_FRAME_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_refused(raw(rows[i].at, rows[i].len), rows[i].reason);
	/* Once it has been a Kafka client, it is one. */
	script_free(&script);
	talk_again();
	script_ask_text(&script, make_request(KAFKA_METADATA, 12, 1, "client", 20));
	text_add(&script.client, "GET / HTTP/1.1\r\n", 16);
	talk_run(&script, ALL);
	assert_int_equal(talk.reason, CLOSE_FRAME_TOO_BIG);
}

static void test_request_max(void **state)
{
	(void)state;
	talk.kafka->request_max = 1000;
	assert_refused(make_request(KAFKA_METADATA, 12, 1, "c", 989), CLOSE_FRAME_TOO_BIG);
	script_free(&script);
	script_ask_text(&script, make_request(KAFKA_METADATA, 12, 1, "c", 988));
	talk_passes(&script, ALL);
}

/* ---- policy ---- */

static void test_policy(void **state)
{
	(void)state;
	assert_refused(make_request(95, 0, 1, "c", 3), CLOSE_API_UNKNOWN);
	assert_refused(make_request(499, 0, 1, "c", 3), CLOSE_API_UNKNOWN);
	assert_refused(make_request(KAFKA_METADATA, 14, 1, "c", 3), CLOSE_API_VERSION);
	assert_refused(make_request(KAFKA_FETCH, 19, 1, "c", 3), CLOSE_API_VERSION);
	assert_refused(make_request(KAFKA_DESCRIBE_QUORUM, 2, 1, "c", 3), CLOSE_API_VERSION);
	assert_refused(make_request(KAFKA_VOTE, 0, 1, "c", 3), CLOSE_API_VERSION);
	talk.kafka->policy.hide_vendor = true;
	assert_refused(make_request(10001, 0, 1, "c", 3), CLOSE_API_UNKNOWN);
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_OFFSET_FETCH));
	assert_refused(make_request(KAFKA_OFFSET_FETCH, 6, 1, "c", 3), CLOSE_API_DENIED);
	kafka_policy_read_only(&talk.kafka->policy);
	assert_refused(make_request(KAFKA_WRITE_TXN_MARKERS, 1, 1, "c", 3), CLOSE_API_DENIED);
	assert_true(kafka_policy_deny(&talk.kafka->policy, 10001));
	assert_refused(make_request(10001, 0, 1, "c", 3), CLOSE_API_DENIED);
	assert_int_equal(talk.stats.kafka.api[STAT_KAFKA_UNKNOWN].denied, 1);
	assert_refused(make_request(10002, 0, 1, "c", 3), CLOSE_API_UNKNOWN);
}

/* Keys of vendors pass by default, and so does what passes whatever its version. */
static void test_passes(void **state)
{
	(void)state;
	script_ask_text(&script, make_request(10001, 7, 1, "c", 30));
	script_say_text(&script, make_response(1, 300));
	script_ask_text(&script, make_request(KAFKA_LIST_OFFSETS, 77, 2, "c", 30));
	script_say_text(&script, make_response(2, 0));
	talk_run(&script, 5);
	talk_check(&script);
}

static void test_client_id(void **state)
{
	static const char nothing[] = "\0\0\0\x0a\0\3\0\0\0\0\0\1\xff\xff";
	struct text frame = make_request(KAFKA_METADATA, 12, 1, "team-a.app", 40);

	(void)state;
	talk.kafka->client_id_prefix = "team-a.";
	assert_refused(make_request(KAFKA_METADATA, 12, 1, "team-b.app", 3),
		       CLOSE_CLIENT_ID_DENIED);
	assert_refused(make_request(KAFKA_METADATA, 12, 1, "team-a", 3), CLOSE_CLIENT_ID_DENIED);
	assert_refused(make_request(KAFKA_METADATA, 12, 1, "", 3), CLOSE_CLIENT_ID_DENIED);
	assert_refused(raw(nothing, 14), CLOSE_CLIENT_ID_DENIED);
	/* Not even a word of denial for somebody else. */
	kafka_policy_read_only(&talk.kafka->policy);
	assert_refused(make_request(KAFKA_INIT_PRODUCER_ID, 4, 1, "team-b", 3),
		       CLOSE_CLIENT_ID_DENIED);
	script_free(&script);
	script_ask(&script, frame.at, frame.len);
	script_ask(&script, frame.at, frame.len);
	for (size_t step = 1; step <= frame.len; step++)
		talk_passes(&script, step);
	text_free(&frame);
}

/* ---- answered here ---- */

static void test_newer_versions(void **state)
{
	uint8_t room[KAFKA_VERSIONS_ANSWER];
	struct sink answer = sink_of(room, sizeof(room));

	(void)state;
	/* ApiVersions v6 with a long body, then what the client makes of the answer. */
	kafka_versions_answer(&answer, 7);
	struct text newer = make_request(KAFKA_API_VERSIONS, 6, 7, "c", 300);

	text_add(&script.client, newer.at, newer.len);
	text_add(&script.to_client, room, answer.len);
	script_ask_text(&script, make_request(KAFKA_API_VERSIONS, 0, 8, "c", 0));
	script_say_same(&script, "\0\0\0\x10\0\0\0\x08\0\0\0\0\0\1\0\2\0\0\0\5", 20);
	for (size_t step = 1; step <= script.client.len; step++)
		talk_passes(&script, step);
	text_free(&newer);
}

/* A denied call in the middle of others: its answer comes in its turn, and no byte of it reaches
 * the broker. */
static void write_denied(uint32_t before, size_t body)
{
	uint8_t room[KAFKA_ANSWER_MAX];
	struct sink answer = sink_of(room, sizeof(room));
	const struct kafka_request request = { .key = KAFKA_INIT_PRODUCER_ID,
					       .version = 4,
					       .correlation = 1000 };
	struct text denied = make_request(KAFKA_INIT_PRODUCER_ID, 4, 1000, "c", body);

	assert_true(kafka_answer_denied(&answer, &request));
	for (uint32_t i = 0; i < before; i++)
		script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, i, "c", 10 * i));
	for (uint32_t i = 0; i < before; i++)
		script_say_text(&script, make_response(i, 100 - i));
	text_add(&script.client, denied.at, denied.len);
	text_add(&script.to_client, room, answer.len);
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 2000, "c", 5));
	script_say_text(&script, make_response(2000, 3));
	text_free(&denied);
}

static void test_denied(void **state)
{
	static const size_t steps[] = { 1, 3, 64, 1000, ALL };

	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	for (uint32_t before = 0; before < 12; before += 3) {
		for (size_t i = 0; i < COUNT_OF(steps); i++) {
			script_free(&script);
			write_denied(before, before * 30000);
			talk_passes(&script, steps[i]);
		}
	}
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_ANSWERED), 4 * COUNT_OF(steps));
}

/* One that would create topics, and as it is to go on; between others. */
static void write_creation(const uint8_t *frame, size_t size, size_t at)
{
	uint8_t *changed = exact_copy(frame, size);

	changed[at] = 0;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "c", 20));
	text_add(&script.client, frame, size);
	text_add(&script.to_broker, changed, size);
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 3, "c", 20));
	free(changed);
}

/* In two pieces, the second at once behind the first. */
static void passes_cut(size_t at)
{
	talk_again();
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, at);
	talk_arrive(PROTO_CLIENT, ALL);
	talk_check(&script);
	assert_int_equal(talk.proto.kafka->asked_count, 3);
}

/* Between others, cut anywhere: those that would create topics go on without saying so. */
static void see_creation(const struct vector *vector)
{
	static const size_t steps[] = { 1, 5, 40, ALL };
	size_t size, taken;
	uint8_t *frame = vector_bytes(vector, 4, &size);
	struct kafka_creation creation;
	struct kafka_request request = vector_request(frame, size);
	struct kafka_why why;
	bool is_asked = false;

	kafka_creation_begin(&creation, &request);
	assert_int_equal(kafka_creation_see(&creation, span_of(frame, size), &taken, &is_asked,
					    &why),
			 WIRE_OK);
	script_free(&script);
	if (is_asked && request.version < KAFKA_CREATION_SAID) {
		struct text whole = { 0 };

		text_add(&whole, frame, size);
		assert_refused(whole, CLOSE_API_DENIED);
		script_free(&script);
		free(frame);
		return;
	}
	if (is_asked) {
		write_creation(frame, size, taken);
	} else {
		script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "c", 20));
		script_ask(&script, frame, size);
		script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 3, "c", 20));
	}
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		talk_passes(&script, steps[i]);
		assert_int_equal(talk.proto.kafka->asked_count, 3);
	}
	for (size_t at = 0; at <= script.client.len; at++)
		passes_cut(at);
	free(frame);
}

static void test_creation(void **state)
{
	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	assert_int_equal(vectors_each("metadata", see_creation), 96);
}

/* A Metadata request, v4 or later. *ret_at: where it says whether topics are created. */
static struct text make_metadata(int16_t version, uint32_t correlation, uint32_t topics,
				 bool is_asked, size_t *ret_at)
{
	struct text frame = make_request(KAFKA_METADATA, version, correlation, "c", 0);
	bool is_flexible = kafka_is_flexible(KAFKA_METADATA, version);
	char name[40];

	if (is_flexible)
		text_add(&frame,
			 (const uint8_t[]){ (uint8_t)((topics + 1) | 0x80),
					    (uint8_t)((topics + 1) >> 7 | 0x80),
					    (uint8_t)((topics + 1) >> 14) },
			 3);
	else
		put_u32(&frame, topics);
	for (uint32_t i = 0; i < topics; i++) {
		int len = snprintf(name, sizeof(name), "some-topic-%" PRIu32, i * 7919);

		if (version >= 10)
			text_add(&frame, "0123456789abcdef", 16);
		if (!is_flexible) {
			put_string(&frame, name);
			continue;
		}
		text_add(&frame, &(const uint8_t){ (uint8_t)(len + 1) }, 1);
		text_add(&frame, name, (size_t)len);
		text_add(&frame, i % 3 > 0 ? "\1\7\2xy" : "", i % 3 > 0 ? 5 : 1);
	}
	*ret_at = frame.len;
	text_add(&frame, &(const uint8_t){ is_asked }, 1);
	if (version >= 8)
		text_add(&frame, "\1\1", version <= 10 ? 2 : 1);
	if (is_flexible)
		text_add(&frame, "", 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

/* More topics than a buffer holds. */
static void test_long_creation(void **state)
{
	static const size_t steps[] = { 997, 4096, 65536, ALL };
	static const int16_t versions[] = { 4, 7, 8, 9, 10, 12, 13 };

	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	for (size_t i = 0; i < 2 * COUNT_OF(versions); i++) {
		size_t at;
		struct text frame = make_metadata(versions[i / 2], 2, 20000, i % 2 > 0, &at);

		assert_true(frame.len > 5 * PROTO_FRAME_MAX);
		script_free(&script);
		write_creation(frame.at, frame.len, at);
		for (size_t k = 0; k < COUNT_OF(steps); k++) {
			talk_again();
			talk_start(&script);
			while (talk.lanes[PROTO_CLIENT].base < script.client.len) {
				size_t before = talk.lanes[PROTO_CLIENT].arrived;

				talk_arrive(PROTO_CLIENT, steps[k]);
				assert_int_equal(talk.reason, CLOSE_NONE);
				assert_true(talk.lanes[PROTO_CLIENT].arrived > before);
			}
			assert_text(&talk.lanes[PROTO_CLIENT].out, &script.to_broker, "broker");
			assert_int_equal(talk.proto.kafka->asked_count, 3);
			assert_int_equal(talk.proto.kafka->channels_bulky, 0);
		}
		text_free(&frame);
	}
}

/* Whoever may create topics may do so by asking for them. */
static void see_allowed_creation(const struct vector *vector)
{
	size_t size;
	uint8_t *frame = vector_bytes(vector, 4, &size);

	script_free(&script);
	script_ask(&script, frame, size);
	talk_passes(&script, ALL);
	free(frame);
}

static void test_allowed_creation(void **state)
{
	(void)state;
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_DELETE_TOPICS));
	assert_int_equal(vectors_each("metadata", see_allowed_creation), 96);
}

/* Not while something else is on its way to the client. */
static void test_no_reply(void **state)
{
	struct proto_verdict verdict;

	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	struct text denied = make_request(KAFKA_INIT_PRODUCER_ID, 4, 1, "c", 6);

	assert_int_equal(talk_see(PROTO_CLIENT, denied.at, denied.len).what, PROTO_DIAL);
	talk.is_dialled = true;
	talk.proto.ops->dialled(&talk.proto);
	talk.lanes[PROTO_BROKER].is_blocked = true;
	assert_int_equal(talk_see(PROTO_CLIENT, denied.at, denied.len).what, PROTO_HOLD);
	talk.lanes[PROTO_BROKER].is_blocked = false;
	verdict = talk_see(PROTO_CLIENT, denied.at, 12);
	assert_int_equal(verdict.what, PROTO_REPLY);
	assert_int_equal(verdict.n, 12);
	/* The rest of it. */
	assert_int_equal(talk_see(PROTO_CLIENT, NULL, 0).what, PROTO_NEED);
	verdict = talk_see(PROTO_CLIENT, denied.at + 12, denied.len - 12);
	assert_int_equal(verdict.what, PROTO_DROP);
	assert_int_equal(verdict.n, denied.len - 12);
	text_free(&denied);
}

/* ---- without a response ---- */

/* Behind a thousand produces with acks=0 the first response is that of the next request. */
static void test_acks(void **state)
{
	static const size_t steps[] = { 7, 997, ALL };

	(void)state;
	for (uint32_t i = 0; i < 3000; i++)
		script_ask_text(&script, make_produce((int16_t)(i % 14), i, 0, i % 200));
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 4, 4711, "c", 9));
	script_say_text(&script, make_response(4711, 9));
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		talk_passes(&script, steps[i]);
		assert_int_equal(talk.pools.chunks.in_use, 0);
	}
}

static void test_pipelining(void **state)
{
	static const size_t steps[] = { 4099, 65536, ALL };
	uint32_t asked = 0, answered = 0;

	(void)state;
	while (answered < 100000) {
		uint32_t burst = 1 + (answered * 7919) % 900;

		for (uint32_t i = 0; i < burst; i++, asked++)
			script_ask_text(&script,
					make_request(KAFKA_HEARTBEAT, 0, asked, "", asked % 5));
		for (; answered < asked; answered++)
			script_say_text(&script, make_response(answered, answered % 7));
	}
	for (size_t i = 0; i < COUNT_OF(steps); i++)
		talk_passes(&script, steps[i]);
	/* Many go by in one verdict. */
	talk.sees = 0;
	talk_again();
	talk_run(&script, 65536);
	assert_in_range(talk.sees, 1, asked / 20);
}

/* The client is held back at the bound, and not dropped; whatever the pool has. */
static void flood(uint32_t chunks, uint32_t most)
{
	const struct proto_pool_sizes sizes = { .sessions = 1, .chunks = chunks, .bulks = 0 };

	script_free(&script);
	talk_end();
	talk_begin_sized(&sizes);
	for (uint32_t i = 0; i < 3000; i++)
		script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, i, "", 1));
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_IN_FLIGHT), most);
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, most * (script.client.len / 3000));
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_HELD), 1);
	assert_true(talk.pools.chunks.in_use <= chunks);
	/* A broker that has heard them all, one by one. */
	for (uint32_t i = 0; i < 3000; i++) {
		struct text response = make_response(i, 2);

		text_add(&script.broker, response.at, response.len);
		text_add(&script.to_client, response.at, response.len);
		talk.lanes[PROTO_BROKER].arrived += response.len;
		lane_run(PROTO_BROKER);
		lane_run(PROTO_CLIENT);
		text_free(&response);
		assert_true(stat_get(&talk.stats, STAT_KAFKA_IN_FLIGHT) <= most);
	}
	talk_check(&script);
	assert_int_equal(talk.pools.chunks.in_use, 0);
}

static void test_bound(void **state)
{
	(void)state;
	flood(1000, 1024);
	flood(16, 1024);
	flood(2, 8 + 128);
	flood(0, 8);
}

/* ---- counters ---- */

#define RECORDS 200000 /* bytes of a Fetch */

static const struct stat_kafka_api *counted(int16_t key)
{
	return &talk.stats.kafka.api[key];
}

static uint64_t responses(int16_t key)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < STAT_KAFKA_BUCKETS; i++)
		count += counted(key)->times.us[i];
	return count;
}

/* Whatever the pieces are: frames count once, and every byte of a Fetch by one way. */
static void test_counts(void **state)
{
	static const size_t steps[] = { 1, 7, 4099, 65536, ALL };

	(void)state;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 4, 1, "c", 9));
	script_say_text(&script, make_response(1, 2));
	script_ask_text(&script, make_request(KAFKA_FETCH, 4, 2, "c", 50));
	script_say_text(&script, make_response(2, RECORDS));
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 4, 3, "c", 9));
	script_say_text(&script, make_response(3, 2));
	script_ask_text(&script, make_request(1000, 0, 4, "c", 20));
	script_say_text(&script, make_response(4, 30));
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		memset(&talk.stats, 0, sizeof(talk.stats));
		talk_passes(&script, steps[i]);
		lane_run(PROTO_BROKER); /* looks for more: all has gone by */
		assert_int_equal(counted(KAFKA_HEARTBEAT)->requests, 2);
		assert_int_equal(responses(KAFKA_HEARTBEAT), 2);
		assert_int_equal(counted(KAFKA_HEARTBEAT)->response_bytes, 2 * 10);
		assert_int_equal(counted(KAFKA_FETCH)->requests, 1);
		assert_int_equal(counted(KAFKA_FETCH)->response_bytes, RECORDS + 8);
		assert_int_equal(counted(STAT_KAFKA_UNKNOWN)->requests, 1);
		assert_int_equal(counted(STAT_KAFKA_UNKNOWN)->response_bytes, 38);
		assert_int_equal(talk.stats.kafka.node[1].requests, 4);
		uint64_t spliced = stat_get(&talk.stats, STAT_KAFKA_FETCH_SPLICE);

		assert_int_equal(spliced + stat_get(&talk.stats, STAT_KAFKA_FETCH_COPY),
				 RECORDS + 8);
		assert_in_range(spliced, RECORDS - 65536, RECORDS + 8);
	}
	uint64_t bytes = 0;

	for (int16_t key = 0; key < STAT_KAFKA_APIS; key++)
		bytes += counted(key)->request_bytes;
	assert_int_equal(bytes, script.client.len);
}

/* From one turn's clock to another's, and until the response begins: how long it takes is the
 * client's business. */
static void test_response_times(void **state)
{
	struct text request = make_request(KAFKA_FETCH, 4, 1, "c", 9), response;

	(void)state;
	talk.is_dialled = true;
	talk.proto.ops->dialled(&talk.proto);
	talk.now_ns = UINT64_C(5000000000000); /* in the second round of 32 bits of microseconds */
	assert_int_equal(talk_see(PROTO_CLIENT, request.at, request.len).what, PROTO_PASS);
	response = make_response(1, 500000);
	talk.now_ns += UINT64_C(3000000);
	assert_int_equal(talk_see(PROTO_BROKER, response.at, 6).what, PROTO_NEED);
	assert_int_equal(responses(KAFKA_FETCH), 0);
	assert_int_equal(talk_see(PROTO_BROKER, response.at, 100).what, PROTO_PASS);
	assert_int_equal(responses(KAFKA_FETCH), 1);
	assert_int_equal(counted(KAFKA_FETCH)->times.us_sum, 3000);
	assert_int_equal(counted(KAFKA_FETCH)->times.us[2], 1); /* at most 4.096 ms */
	assert_memory_equal(&talk.stats.kafka.node[1].times, &counted(KAFKA_FETCH)->times,
			    sizeof(struct stat_kafka_times));
	text_free(&request);
	text_free(&response);
}

/* Once each, whether it is answered or ends the connection. */
static void test_denied_counts(void **state)
{
	static const int16_t keys[] = { KAFKA_INIT_PRODUCER_ID, KAFKA_DELETE_TOPICS,
					KAFKA_ALTER_REPLICA_LOG_DIRS };

	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		script_free(&script);
		talk_again();
		script_ask_text(&script, make_request(keys[i], 4, 1, "c", 6));
		talk_run(&script, 3);
		assert_int_equal(counted(keys[i])->denied, 1);
		assert_int_equal(counted(keys[i])->requests, 0);
		assert_int_equal(talk.proto.kafka->odd.key, keys[i]);
		assert_int_equal(talk.proto.kafka->odd.version, 4);
		assert_int_equal(talk.proto.kafka->odd.size, script.client.len - 4);
	}
	/* Not known is not denied. */
	assert_refused(make_request(499, 0, 1, "c", 6), CLOSE_API_UNKNOWN);
	assert_int_equal(counted(STAT_KAFKA_UNKNOWN)->denied, 0);
	/* Nor is ApiVersions of another version, which is answered too. */
	struct text versions = make_request(KAFKA_API_VERSIONS, 99, 1, "c", 6);

	talk_again();
	assert_int_equal(talk_see(PROTO_CLIENT, versions.at, versions.len).what, PROTO_DIAL);
	talk.is_dialled = true;
	talk.proto.ops->dialled(&talk.proto);
	assert_int_equal(talk_see(PROTO_CLIENT, versions.at, versions.len).what, PROTO_REPLY);
	assert_int_equal(counted(KAFKA_API_VERSIONS)->denied, 0);
	text_free(&versions);
}

/* One whose header has a tag of 60,000 bytes before what is to be known, a byte at a time: every
 * look goes over what there is. */
static void test_dribbled(void **state)
{
	static const uint8_t head[] = { 1, 0x63, 0xe0, 0xd4, 3 }; /* a tag, its length a varint */
	static const uint8_t body[] = { 0, 0, 1, 0, 0, 0, 9, 1 };
	struct text frame = make_request(KAFKA_PRODUCE, 9, 1, "c", 0);
	size_t looks = 0;

	(void)state;
	frame.len--; /* no tags */
	text_add(&frame, head, sizeof(head));
	for (size_t i = 0; i < 60000; i++)
		text_add(&frame, "", 1);
	text_add(&frame, body, sizeof(body));
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	for (size_t len = 1; len < frame.len; looks++) {
		struct proto_verdict verdict = talk_see(PROTO_CLIENT, frame.at, len);

		assert_int_equal(verdict.what, PROTO_NEED);
		assert_true(verdict.n > len && verdict.n <= frame.len);
		if (verdict.n > len + 1) /* it is left alone until then */
			assert_int_equal(talk_see(PROTO_CLIENT, frame.at, len + 1).n, verdict.n);
		len = (size_t)verdict.n;
	}
	assert_true(looks < 20);
	assert_int_equal(talk_see(PROTO_CLIENT, frame.at, frame.len).what, PROTO_DIAL);
	script_ask_text(&script, frame);
	script_say_text(&script, make_response(1, 40));
	talk_passes(&script, 61);
	talk_passes(&script, ALL);
}

/* ---- kafka.rate ---- */

#define SECOND UINT64_C(1000000000)

/* Requests that come at once go a burst at first, then one after the other, in their order; what
 * a look passes never has one more. */
static void test_request_rate(void **state)
{
	uint64_t until_ns = 0;

	(void)state;
	talk.kafka->rate_requests = 10;
	talk.now_ns = 5 * SECOND;
	for (uint32_t i = 0; i < 40; i++)
		script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, i, "", 1));
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	size_t size = script.client.len / 40;

	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, 11 * size);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_PACED_REQUESTS), 1);
	for (size_t i = 12; i <= 40; i++) {
		struct talk_lane *lane = &talk.lanes[PROTO_CLIENT];
		struct proto_verdict verdict =
			talk_see(PROTO_CLIENT, lane->in->at + lane->base, lane->have);

		assert_int_equal(verdict.what, PROTO_HOLD);
		assert_true(verdict.until_ns > talk.now_ns && verdict.until_ns > until_ns);
		until_ns = verdict.until_ns;
		talk.now_ns = until_ns - 1;
		lane_run(PROTO_CLIENT);
		assert_int_equal(lane->out.len, (i - 1) * size);
		talk.now_ns = until_ns;
		lane_run(PROTO_CLIENT);
		assert_int_equal(lane->out.len, i * size);
	}
	assert_int_equal(until_ns, 5 * SECOND + 29 * SECOND / 10);
	talk_check(&script);
}

/* Bytes count when a frame begins, and a frame that has begun is not held back. */
static void test_byte_rates(void **state)
{
	(void)state;
	talk.kafka->rate_in = 1000;
	talk.kafka->rate_out = 100000;
	talk.now_ns = SECOND;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "", 5000 - 14));
	script_say_text(&script, make_response(1, 300000 - 8));
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 2, "", 20));
	script_say_text(&script, make_response(2, 20));
	talk_start(&script);
	for (size_t i = 0; i < 100; i++) {
		talk_arrive(PROTO_CLIENT, 777);
		talk_arrive(PROTO_BROKER, 7777);
	}
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, 5000);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 300000);
	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	assert_int_equal(talk.proto.kafka->pace_in.due_ns, 6 * SECOND);
	talk.now_ns = 5 * SECOND;
	talk.kafka->rate_out = 1; /* not what it was when it was taken: that is past */
	talk_arrive(PROTO_CLIENT, ALL);
	talk_arrive(PROTO_BROKER, ALL);
	talk_check(&script);
	/* Before anything of what comes next is read, if anything does. */
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_PACED_REQUESTS), 2);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_PACED_RESPONSES), 2);
}

/* Who waits holds nothing, however much has arrived: no byte is read behind a frame. */
static void test_nothing_held(void **state)
{
	static const size_t steps[] = { 1, 10, 100, ALL };

	(void)state;
	talk.kafka->rate_requests = 1;
	talk.kafka->rate_out = 1;
	for (uint32_t i = 0; i < 6; i++) {
		script_ask_text(&script, make_request(KAFKA_METADATA, 0, i, "c", 4));
		script_say_same(&script, "\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0", 16);
		script.broker.at[script.broker.len - 9] = (uint8_t)i;
		script.to_client.at[script.broker.len - 9] = (uint8_t)i;
	}
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		talk_again();
		talk.now_ns = SECOND;
		talk_start(&script);
		while (!talk_is_over()) {
			talk_arrive(PROTO_CLIENT, steps[i]);
			talk_arrive(PROTO_BROKER, steps[i]);
			for (int lane = 0; lane < 2; lane++)
				if (talk.lanes[lane].is_held)
					assert_int_equal(talk.lanes[lane].have, 0);
			talk.now_ns += SECOND;
		}
		talk_check(&script);
	}
	assert_true(stat_get(&talk.stats, STAT_KAFKA_PACED_REQUESTS) >= 4);
	assert_true(stat_get(&talk.stats, STAT_KAFKA_PACED_RESPONSES) >= 4);
}

static void test_response_rate(void **state)
{
	(void)state;
	talk.kafka->rate_out = 1000;
	talk.now_ns = SECOND;
	for (uint32_t i = 0; i < 3; i++)
		script_ask_text(&script, make_request(KAFKA_FETCH, 4, i, "", 20));
	for (uint32_t i = 0; i < 3; i++)
		script_say_text(&script, make_response(i, 3000 - 8));
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	talk_arrive(PROTO_BROKER, 5000);
	assert_true(talk.lanes[PROTO_BROKER].is_held);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 3000);
	talk.now_ns = 3 * SECOND;
	talk_arrive(PROTO_BROKER, ALL);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 6000);
	/* The limit is lifted by a reload. */
	talk.kafka->rate_out = 0;
	lane_run(PROTO_BROKER);
	talk_check(&script);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_PACED_RESPONSES), 2);
}

/* ---- refused responses ---- */

static void assert_broker_refused(int16_t key, const void *bytes, size_t len,
				  enum close_reason reason)
{
	for (size_t step = 1; step <= len; step++) {
		script_free(&script);
		script_ask_text(&script, make_request(key, 0, 0x01020304, "c", 4));
		script_say(&script, bytes, len, NULL, 0);
		talk_ends(&script, step, reason);
		assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
	}
}

static void test_bad_responses(void **state)
{
	static const struct {
		const char *at;
		size_t len;
		enum close_reason reason;
	} rows[] = {
		{ "\0\0\0\x08\1\2\3\5\0\0\0\0", 12, CLOSE_RESPONSE_ORDER },
		{ "\0\0\0\0\1\2\3\4", 8, CLOSE_BROKER_FRAME_MALFORMED },
		{ "\0\0\0\3\1\2\3\4", 8, CLOSE_BROKER_FRAME_MALFORMED },
		{ "\x80\0\0\0\1\2\3\4", 8, CLOSE_BROKER_FRAME_MALFORMED },
		{ "\xff\xff\xff\xff\1\2\3\4", 8, CLOSE_BROKER_FRAME_MALFORMED },
		{ "\0\0\0\4\1\2\3\4", 8, CLOSE_BROKER_FRAME_MALFORMED },
		{ "\x15\3\3\0\2\2\x28", 7, CLOSE_BROKER_TLS },
		{ "\0\0\0\x0c\1\2\3\4\0\0\0\1\0\0\0\0", 16, CLOSE_BROKER_FRAME_MALFORMED },
		{ "\0\0\0\x0c\1\2\3\4\x7f\xff\xff\xff\0\0\0\0", 16, CLOSE_BROKER_FRAME_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_broker_refused(KAFKA_METADATA, rows[i].at, rows[i].len, rows[i].reason);
	/* 2 GiB that would have to be seen whole. */
	assert_broker_refused(KAFKA_FIND_COORDINATOR, "\x7f\xff\xff\xff\1\2\3\4", 8,
			      CLOSE_RESPONSE_TOO_BIG);
}

/* Before anything was asked, and once everything is answered. */
static void test_unasked(void **state)
{
	(void)state;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "c", 4));
	script_say_text(&script, make_response(1, 4));
	script_say(&script, "\0\0\0\4\0\0\0\2", 8, NULL, 0);
	talk_run(&script, 3);
	assert_int_equal(talk.reason, CLOSE_RESPONSE_UNASKED);
	assert_text(&talk.lanes[PROTO_BROKER].out, &script.to_client, "client");
	talk_again();
	talk.proto.ops->dialled(&talk.proto);
	assert_int_equal(talk_see(PROTO_BROKER, NULL, 0).what, PROTO_NEED);
	assert_int_equal(talk_see(PROTO_BROKER, "\0", 1).reason, CLOSE_RESPONSE_UNASKED);
	assert_int_equal(talk_see(PROTO_BROKER, "\x15\3\1\0\2", 5).reason, CLOSE_BROKER_TLS);
}

/* ---- ends ---- */

static void test_draining(void **state)
{
	(void)state;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "c", 4));
	script_say_text(&script, make_response(1, 4));
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	talk.is_draining = true;
	struct text more = make_request(KAFKA_HEARTBEAT, 0, 2, "c", 4);

	/* What was asked is answered; what comes now is not passed on. */
	text_add(&script.client, more.at, more.len);
	talk_arrive(PROTO_CLIENT, ALL);
	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	assert_int_equal(talk.reason, CLOSE_NONE);
	talk_arrive(PROTO_BROKER, ALL);
	assert_int_equal(talk.reason, CLOSE_DRAIN);
	assert_text(&talk.lanes[PROTO_CLIENT].out, &script.to_broker, "broker");
	assert_text(&talk.lanes[PROTO_BROKER].out, &script.to_client, "client");
	text_free(&more);
}

/* Its broker turns out to be another one: what was asked is answered, the next request is not
 * passed on. */
static void test_moved(void **state)
{
	struct text more = make_request(KAFKA_HEARTBEAT, 0, 2, "c", 4);

	(void)state;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "c", 4));
	script_say_text(&script, make_response(1, 4));
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	talk.is_moved = true;
	talk_arrive(PROTO_CLIENT, ALL);
	assert_int_equal(talk.reason, CLOSE_NONE);
	text_add(&script.client, more.at, more.len);
	talk_arrive(PROTO_CLIENT, ALL);
	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	assert_int_equal(talk.reason, CLOSE_NONE);
	talk_arrive(PROTO_BROKER, ALL);
	assert_int_equal(talk.reason, CLOSE_NODE_MOVED);
	assert_text(&talk.lanes[PROTO_CLIENT].out, &script.to_broker, "broker");
	assert_text(&talk.lanes[PROTO_BROKER].out, &script.to_client, "client");
	text_free(&more);
}

static void test_no_listener(void **state)
{
	struct config_kafka *kafka = talk.kafka;

	(void)state;
	talk.kafka = NULL;
	assert_int_equal(talk_see(PROTO_CLIENT, "", 0).reason, CLOSE_LISTENER_GONE);
	assert_int_equal(talk_see(PROTO_BROKER, "", 0).reason, CLOSE_LISTENER_GONE);
	talk.kafka = kafka;
}

/* Nothing can be said in Kafka's words. */
static void test_silent_refusal(void **state)
{
	struct sink sink = sink_of(talk.scratch, sizeof(talk.scratch));

	(void)state;
	for (int reason = 0; reason < CLOSE_COUNT; reason++)
		talk.proto.ops->refuse(&talk.proto, (enum close_reason)reason, &sink);
	assert_int_equal(sink.len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown((name), script_begin, script_end)

/* ---- Metadata that is half through ---- */

/* What has begun goes to its end, at full speed; what is behind it waits, and has it to pay for. */
static void test_creation_midway(void **state)
{
	struct talk_lane *lane = &talk.lanes[PROTO_CLIENT];
	struct proto_verdict verdict;
	size_t at;
	struct text frame = make_metadata(9, 1, 300, false, &at);

	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	talk.kafka->rate_in = 1000;
	talk.now_ns = SECOND;
	script_ask(&script, frame.at, frame.len);
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 2, "c", 20));
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, 1000);
	assert_in_range(lane->out.len, 990, 1000);
	verdict = talk_see(PROTO_CLIENT, lane->in->at + lane->base, lane->have);
	assert_int_equal(verdict.what, PROTO_NEED);
	assert_true(verdict.is_begun && !verdict.is_bulk);
	talk.is_draining = true;
	talk_arrive(PROTO_CLIENT, frame.len - 1000);
	assert_int_equal(lane->out.len, frame.len);
	talk_arrive(PROTO_CLIENT, ALL);
	assert_true(lane->is_held);
	talk.is_draining = false;
	verdict = talk_see(PROTO_CLIENT, lane->in->at + lane->base, lane->have);
	assert_int_equal(verdict.what, PROTO_HOLD);
	assert_in_range(verdict.until_ns, (frame.len - 1000) * (SECOND / 1000),
			(frame.len + 1000) * (SECOND / 1000));
	talk.now_ns = verdict.until_ns;
	lane_run(PROTO_CLIENT);
	talk_check(&script);
	assert_int_equal(counted(KAFKA_METADATA)->requests, 1);
	assert_int_equal(counted(KAFKA_METADATA)->request_bytes, frame.len);
	text_free(&frame);
}

/* Its beginning may have gone by then. */
static void test_creation_malformed(void **state)
{
	static const size_t steps[] = { 1, 100, ALL };
	size_t at;
	struct text frame = make_metadata(4, 1, 300, true, &at);

	(void)state;
	kafka_policy_read_only(&talk.kafka->policy);
	frame.at[at] = 0x80; /* where the length of another name would be */
	frame.at[17] = 301 >> 8, frame.at[18] = 301 & 0xff;
	patch_u32(frame.at, (uint32_t)(frame.len - 4 + 10));
	text_add(&frame, "0123456789", 10);
	script_ask(&script, frame.at, frame.len);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		talk_ends(&script, steps[i], CLOSE_FRAME_MALFORMED);
		assert_true(talk.lanes[PROTO_CLIENT].out.len <= at);
		assert_int_equal(talk.lanes[PROTO_CLIENT].out.len > 0, steps[i] != ALL);
	}
	text_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dial),
		TEST(test_wrong_protocol),
		TEST(test_request_max),
		TEST(test_policy),
		TEST(test_passes),
		TEST(test_client_id),
		TEST(test_newer_versions),
		TEST(test_denied),
		TEST(test_no_reply),
		TEST(test_creation),
		TEST(test_long_creation),
		TEST(test_creation_midway),
		TEST(test_creation_malformed),
		TEST(test_allowed_creation),
		TEST(test_acks),
		TEST(test_pipelining),
		TEST(test_bound),
		TEST(test_counts),
		TEST(test_response_times),
		TEST(test_denied_counts),
		TEST(test_dribbled),
		TEST(test_request_rate),
		TEST(test_byte_rates),
		TEST(test_response_rate),
		TEST(test_nothing_held),
		TEST(test_bad_responses),
		TEST(test_unasked),
		TEST(test_draining),
		TEST(test_moved),
		TEST(test_no_listener),
		TEST(test_silent_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
