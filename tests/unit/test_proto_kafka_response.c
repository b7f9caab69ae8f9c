/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka: responses. Every response the Java client made, through the brain at every split,
 * comes out as the Java client makes it with other names; long ones, and ones that are no answers.
 */
#include "kafka_talk.h"

static struct text rename_all(int16_t key, int16_t version, struct span frame,
			      bool (*name)(void *, const struct kafka_node *, struct kafka_name *))
{
	struct text text = { 0 };

	text_add_renamed(&text, key, version, frame, name);
	return text;
}

/* ---- the client's own frames, one by one ---- */

static uint32_t correlation_of(const uint8_t *frame)
{
	return (uint32_t)frame[4] << 24 | (uint32_t)frame[5] << 16 | (uint32_t)frame[6] << 8 |
	       frame[7];
}

static struct text make_question(int16_t key, int16_t version, uint32_t correlation)
{
	if (key == KAFKA_PRODUCE)
		return make_produce(version, correlation, -1, 10);
	return make_request(key, version, correlation, "client", 3);
}

/* Asked, answered, and then once more something that passes: the frame ended where it should. */
static void write_script(struct script *script, int16_t key, int16_t version, struct span frame,
			 struct span expected)
{
	script_ask_text(script, make_question(key, version, correlation_of(frame.at)));
	script_say(script, frame.at, frame.len, expected.at, expected.len);
	script_ask_text(script, make_request(KAFKA_HEARTBEAT, 4, 4711, "client", 30));
	script_say_text(script, make_response(4711, 9));
}

static void check_split(struct script *script, enum proto_channel channel, size_t split)
{
	enum proto_channel other = channel == PROTO_CLIENT ? PROTO_BROKER : PROTO_CLIENT;

	talk_again();
	talk_start(script);
	talk_arrive(channel, split);
	talk_arrive(other, SIZE_MAX);
	talk_arrive(channel, split);
	while (!talk_is_over()) {
		talk_arrive(other, SIZE_MAX);
		talk_arrive(channel, SIZE_MAX);
	}
	talk_check(script);
}

static void see_response(const struct vector *vector)
{
	struct script script = { 0 };
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	bool is_same = strcmp(vector->words[4], "=") == 0;
	size_t len, want_len;
	uint8_t *frame = vector_bytes(vector, 3, &len);
	uint8_t *want = vector_bytes(vector, is_same ? 3 : 4, &want_len);
	struct text expected = rename_all(key, version, span_of(frame, len), talk_name);
	struct text back =
		rename_all(key, version, span_of(expected.at, expected.len), vector_name);

	/* But for the port these would be the vectors' names. */
	assert_int_equal(back.len, want_len);
	assert_memory_equal(back.at, want, want_len);
	write_script(&script, key, version, span_of(frame, len),
		     span_of(expected.at, expected.len));
	talk.kafka->policy.show_quorum = true;
	for (size_t split = 1; split <= script.broker.len; split++)
		check_split(&script, PROTO_BROKER, split);
	for (size_t split = 1; split < script.client.len; split++)
		check_split(&script, PROTO_CLIENT, split);
	talk_passes(&script, 1);
	script_free(&script);
	text_free(&back);
	text_free(&expected);
	free(frame);
	free(want);
}

static void test_vectors(void **state)
{
	(void)state;
	talk_begin();
	assert_int_equal(vectors_each("response", see_response), VECTOR_RESPONSES);
	talk_end();
}

/* ---- controllers ---- */

/* By their own addresses, where a listener says so; brokers have the names clients know, always. */
static void see_controllers(const struct vector *vector)
{
	struct script script = { 0 };
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	size_t len;
	uint8_t *frame = vector_bytes(vector, 3, &len);
	struct text named = rename_all(key, version, span_of(frame, len), talk_name);
	bool is_quorum = key == KAFKA_DESCRIBE_QUORUM;

	talk.kafka->policy.show_quorum = true;
	talk.kafka->controllers = CONFIG_KAFKA_CONTROLLERS_PASS;
	if (is_quorum || key == KAFKA_METADATA) {
		write_script(&script, key, version, span_of(frame, len),
			     is_quorum ? span_of(frame, len) : span_of(named.at, named.len));
		talk_passes(&script, 1);
		talk_passes(&script, ALL);
	}
	script_free(&script);
	text_free(&named);
	free(frame);
}

static void test_controllers(void **state)
{
	(void)state;
	talk_begin();
	assert_int_equal(vectors_each("response", see_controllers), VECTOR_RESPONSES);
	talk_end();
}

/* ---- cut ---- */

static void assert_no_real_host(const struct vector *vector, size_t cut)
{
	const struct text *heard = &talk.lanes[PROTO_BROKER].out;

	if (heard->len > 0 && has_real_host(span_of(heard->at, heard->len)))
		fail_msg("%s:%zu: cut at %zu, an address goes on", vector->file, vector->line, cut);
}

/* The broker falls silent at every byte, and may be gone: not one of an address has gone on, and
 * what has is how the whole begins. */
static void check_silence(const struct vector *vector, struct script *script,
			  const struct text *expected)
{
	size_t size = script->broker.len;

	for (size_t cut = 0; cut < size; cut++) {
		const struct text *heard = &talk.lanes[PROTO_BROKER].out;

		talk_again();
		talk_start(script);
		talk_arrive(PROTO_CLIENT, SIZE_MAX);
		talk_arrive(PROTO_BROKER, cut);
		assert_int_equal(talk.reason, CLOSE_NONE);
		assert_no_real_host(vector, cut);
		assert_true(heard->len <= expected->len);
		if (heard->len > 0)
			assert_memory_equal(heard->at, expected->at, heard->len);
	}
}

/* It says that it ends there: what cannot be read is the end of the connection. Of Metadata only
 * the brokers are read; a client that gets half of its topics knows that by itself. */
static void check_shorter(const struct vector *vector, int16_t key, int16_t version,
			  const uint8_t *frame, size_t size)
{
	bool is_prefix = kafka_way(key, version) == KAFKA_WAY_PREFIX;

	for (size_t cut = 9; cut < size; cut++) {
		struct script script = { 0 };
		uint8_t *copy = exact_copy(frame, cut);

		patch_u32(copy, (uint32_t)(cut - 4));
		script_ask_text(&script, make_question(key, version, correlation_of(frame)));
		script_say(&script, copy, cut, NULL, 0);
		talk_again();
		talk_run(&script, cut % 3 == 0 ? 1 : SIZE_MAX / 4);
		assert_no_real_host(vector, cut);
		if (!is_prefix || talk.reason != CLOSE_NONE)
			assert_int_equal(talk.reason, CLOSE_BROKER_FRAME_MALFORMED);
		if (talk.reason != CLOSE_NONE)
			assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
		script_free(&script);
		free(copy);
	}
}

static void see_cut(const struct vector *vector)
{
	struct script script = { 0 };
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	size_t len;
	uint8_t *frame = vector_bytes(vector, 3, &len);
	struct text expected = rename_all(key, version, span_of(frame, len), talk_name);

	talk.kafka->policy.show_quorum = true;
	script_ask_text(&script, make_question(key, version, correlation_of(frame)));
	script_say(&script, frame, len, expected.at, expected.len);
	check_silence(vector, &script, &expected);
	check_shorter(vector, key, version, frame, len);
	script_free(&script);
	text_free(&expected);
	free(frame);
}

static void test_cut(void **state)
{
	(void)state;
	talk_begin();
	assert_int_equal(vectors_each("response", see_cut), VECTOR_RESPONSES);
	talk_end();
}

/* ---- all of them in one conversation, with what passes in between ---- */

static struct script everything;

static void add_request(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	size_t len;

	if (kafka_way(key, version) != KAFKA_WAY_PASS || key == KAFKA_SASL_HANDSHAKE ||
	    key == KAFKA_PRODUCE)
		return;
	uint8_t *frame = vector_bytes(vector, 3, &len);

	script_ask(&everything, frame, len);
	script_say_text(&everything, make_response(correlation_of(frame + 4), len % 97));
	free(frame);
}

static void add_produce(const struct vector *vector)
{
	int16_t acks = (int16_t)vector_number(vector, 1),
		version = (int16_t)vector_number(vector, 0);
	size_t len;
	uint8_t *frame = vector_bytes(vector, 3, &len);

	script_ask(&everything, frame, len);
	if (acks != 0 && version < 10)
		script_say_text(&everything, make_response(correlation_of(frame + 4), 40));
	free(frame);
	if (acks != 0 && version >= 10) /* its response is not made up so easily */
		everything.client.len = everything.to_broker.len -= len;
}

static void add_response(const struct vector *vector)
{
	int16_t key = (int16_t)vector_number(vector, 0),
		version = (int16_t)vector_number(vector, 1);
	size_t len;
	uint8_t *frame = vector_bytes(vector, 3, &len);
	struct text expected = rename_all(key, version, span_of(frame, len), talk_name);

	script_ask_text(&everything, make_question(key, version, correlation_of(frame)));
	script_say(&everything, frame, len, expected.at, expected.len);
	text_free(&expected);
	free(frame);
}

static void test_everything(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 5, 11, 64, 1000, 4096, 65536, ALL };

	(void)state;
	(void)vectors_each("request", add_request);
	(void)vectors_each("produce", add_produce);
	(void)vectors_each("response", add_response);
	talk_begin();
	talk.kafka->policy.show_quorum = true;
	for (size_t i = 0; i < COUNT_OF(steps); i++)
		talk_passes(&everything, steps[i]);
	talk_end();
	script_free(&everything);
}

/* ---- what is learned ---- */

static const struct vector *wanted;

/* The Metadata v9 of four nodes. */
static void check_notes(const struct vector *vector)
{
	struct script script = { 0 };
	size_t len;

	if (vector_number(vector, 0) != KAFKA_METADATA || vector_number(vector, 1) != 9 ||
	    strcmp(vector->words[2], "many") != 0)
		return;
	uint8_t *frame = vector_bytes(vector, 3, &len);
	struct text expected = rename_all(KAFKA_METADATA, 9, span_of(frame, len), talk_name);

	wanted = vector;
	script_ask_text(&script, make_question(KAFKA_METADATA, 9, correlation_of(frame)));
	script_say(&script, frame, len, expected.at, expected.len);
	talk_passes(&script, ALL);
	assert_int_equal(talk.noted_count, 4);
	for (int32_t id = 0; id < 4; id++) {
		assert_int_equal(talk.noted[id].id, id);
		assert_int_equal(talk.noted[id].port, 9092);
	}
	assert_string_equal(talk.noted[0].host, "broker-0.rack-a.internal.example");
	assert_string_equal(talk.noted[1].host, "b1.in");
	/* What the snapshot has is no news, unless it has moved. */
	const struct talk_node moved = talk.noted[2];

	talk.noted[2].port = 9094;
	talk_route(talk.noted, 4);
	talk_passes(&script, ALL);
	assert_int_equal(talk.noted_count, 1);
	assert_memory_equal(&talk.noted[0], &moved, sizeof(moved));
	script_free(&script);
	text_free(&expected);
	free(frame);
}

static void test_notes(void **state)
{
	(void)state;
	talk_begin();
	(void)vectors_each("response", check_notes);
	assert_non_null(wanted);
	talk_end();
}

/* ---- by port ---- */

static void put_broker(struct text *frame, uint32_t id, const char *host, uint32_t port)
{
	put_u32(frame, id);
	put_string(frame, host);
	put_u32(frame, port);
}

/* Metadata v0: brokers, and `more` bytes of topics. */
static struct text make_metadata(uint32_t correlation, uint32_t brokers, const char *host,
				 size_t more)
{
	struct text frame = { 0 };

	put_u32(&frame, 0);
	put_u32(&frame, correlation);
	put_u32(&frame, brokers);
	for (uint32_t i = 0; i < brokers; i++)
		put_broker(&frame, i, host, 9092);
	for (size_t i = 0; i < more; i++)
		text_add(&frame, &(const uint8_t){ (uint8_t)(i * 5) }, 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

static void test_ports(void **state)
{
	static struct config_kafka_ids ids[] = { { 0, 1 }, { 3, 3 } };
	struct script script = { 0 };
	struct text frame = make_metadata(5, 4, "broker.internal", 9), expected = { 0 };

	(void)state;
	put_u32(&expected, 0);
	put_u32(&expected, 5);
	put_u32(&expected, 4);
	put_broker(&expected, 0, "gw.example.com", 9100);
	put_broker(&expected, 1, "gw.example.com", 9101);
	put_broker(&expected, 2, "gw.example.com", 0); /* nowhere, and not to be mistaken */
	put_broker(&expected, 3, "gw.example.com", 9103);
	text_add(&expected, frame.at + frame.len - 9, 9);
	patch_u32(expected.at, (uint32_t)(expected.len - 4));
	talk_begin();
	*talk.kafka = (struct config_kafka){
		.mode = CONFIG_KAFKA_PORT,
		.advertise = "gw.example.com",
		.advertise_port = 9100,
		.ids = ids,
		.id_count = COUNT_OF(ids),
	};
	script_ask_text(&script, make_request(KAFKA_METADATA, 0, 5, "c", 4));
	script_say(&script, frame.at, frame.len, expected.at, expected.len);
	for (size_t step = 1; step < frame.len; step++)
		talk_passes(&script, step);
	assert_true(stat_get(&talk.stats, STAT_KAFKA_NOWHERE) > 0);
	talk_end();
	script_free(&script);
	text_free(&frame);
	text_free(&expected);
}

/* A rack that FindCoordinator does not tell comes from the snapshot. */
static void test_rack(void **state)
{
	static const struct talk_node known = {
		.id = 7, .port = 9092, .host = "b", .rack = "az-1"
	};
	struct script script = { 0 };
	struct text frame = { 0 }, expected = { 0 };

	(void)state;
	put_u32(&frame, 4 + 2 + 4 + 3 + 4);
	put_u32(&frame, 1);
	put_u16(&frame, 0);
	put_broker(&frame, 7, "b", 9092);
	put_u32(&expected, 4 + 2 + 4 + 2 + 11 + 4);
	put_u32(&expected, 1);
	put_u16(&expected, 0);
	put_broker(&expected, 7, "n7.az-1.ext", 443);
	talk_begin();
	talk.kafka->advertise = "n{id}.{rack}.ext";
	talk.kafka->advertise_port = 443;
	talk_route(&known, 1);
	script_ask_text(&script, make_request(KAFKA_FIND_COORDINATOR, 0, 1, "c", 2));
	script_say(&script, frame.at, frame.len, expected.at, expected.len);
	talk_run(&script, 3);
	talk_check(&script);
	assert_int_equal(talk.noted_count, 0);
	talk_end();
	script_free(&script);
	text_free(&frame);
	text_free(&expected);
}

/* ---- longer than a buffer ---- */

/* FindCoordinator v4 for so many groups. */
static struct text make_coordinators(uint32_t correlation, size_t groups, const char *host)
{
	struct text frame = { 0 };

	put_u32(&frame, 0);
	put_u32(&frame, correlation);
	text_add(&frame, "", 1); /* tagged fields of the header */
	put_u32(&frame, 0);	 /* throttle time */
	text_add(&frame,
		 (const uint8_t[]){ (uint8_t)((groups + 1) | 0x80), (uint8_t)((groups + 1) >> 7) },
		 2);
	assert_in_range(groups, 127, 16382);
	for (size_t i = 0; i < groups; i++) {
		char key[40];
		size_t len = (size_t)snprintf(key, sizeof(key), "group-with-a-name-%zu", i);

		text_add(&frame, &(const uint8_t){ (uint8_t)(len + 1) }, 1);
		text_add(&frame, key, len);
		put_u32(&frame, (uint32_t)(i % 3));
		text_add(&frame, &(const uint8_t){ (uint8_t)(strlen(host) + 1) }, 1);
		text_add(&frame, host, strlen(host));
		put_u32(&frame, 9092);
		text_add(&frame, "\0\0\0\0", 4); /* error, message, tagged fields */
	}
	text_add(&frame, "", 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

static void run_long(int16_t key, int16_t version, const struct text *frame, size_t step)
{
	struct script script = { 0 };
	struct text expected = rename_all(key, version, span_of(frame->at, frame->len), talk_name);

	write_script(&script, key, version, span_of(frame->at, frame->len),
		     span_of(expected.at, expected.len));
	talk_passes(&script, step);
	script_free(&script);
	text_free(&expected);
}

static void test_long(void **state)
{
	static const size_t steps[] = { 1000, 4096, 65536, 100003, ALL };
	uint64_t before;

	(void)state;
	talk_begin();
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		struct text coordinators = make_coordinators(9, 3000, "b.internal");
		struct text brokers =
			make_metadata(9, 3000, "a.much.longer.name.than.ours.internal", 200000);
		/* Fits as it comes, and not with our names. */
		struct text grown = make_coordinators(9, 1300, "b");

		before = stat_get(&talk.stats, STAT_KAFKA_LONG);
		assert_true(grown.len < PROTO_FRAME_MAX && coordinators.len > 2 * PROTO_FRAME_MAX);
		run_long(KAFKA_FIND_COORDINATOR, 4, &coordinators, steps[i]);
		run_long(KAFKA_METADATA, 0, &brokers, steps[i]);
		run_long(KAFKA_FIND_COORDINATOR, 4, &grown, steps[i]);
		assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_LONG), before + 3);
		text_free(&coordinators);
		text_free(&brokers);
		text_free(&grown);
	}
	/* Topics may be longer than any buffer: only brokers have to be seen. */
	struct text topics = make_metadata(9, 3, "b.internal", 3000000);

	before = stat_get(&talk.stats, STAT_KAFKA_LONG);
	run_long(KAFKA_METADATA, 0, &topics, 65536);
	assert_int_equal(stat_get(&talk.stats, STAT_KAFKA_LONG), before);
	text_free(&topics);
	talk_end();
}

static void refuse_long(const struct text *frame, enum close_reason reason)
{
	struct script script = { 0 };

	script_ask_text(&script, make_question(KAFKA_FIND_COORDINATOR, 4, 9));
	script_say(&script, frame->at, frame->len, NULL, 0);
	talk_ends(&script, 65536, reason);
	assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
	script_free(&script);
}

static void test_too_long(void **state)
{
	struct text frame =
		make_coordinators(9, 16000, "a.name.so.long.that.all.is.above.a.mebibyte");
	struct text grown = make_coordinators(9, 16000, "b");
	struct text good = make_coordinators(9, 3000, "b.internal");

	(void)state;
	assert_true(grown.len < 1024 * 1024);
	talk_begin_sized(&(struct proto_pool_sizes){ .sessions = 1, .chunks = 1, .bulks = 1 });
	refuse_long(&frame, CLOSE_RESPONSE_TOO_BIG);
	talk.kafka->advertise = "and-a-much-longer-name-{id}.of-ours.example.com";
	refuse_long(&grown, CLOSE_RESPONSE_TOO_BIG);
	talk_names();
	/* Without a buffer: the connection ends, and the client may try again. */
	talk_end();
	talk_begin_sized(&(struct proto_pool_sizes){ .sessions = 1, .chunks = 1 });
	refuse_long(&good, CLOSE_ENOBUFS);
	talk_end();
	text_free(&frame);
	text_free(&grown);
	text_free(&good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controllers), cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_cut),	    cmocka_unit_test(test_everything),
		cmocka_unit_test(test_notes),	    cmocka_unit_test(test_ports),
		cmocka_unit_test(test_rack),	    cmocka_unit_test(test_long),
		cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
