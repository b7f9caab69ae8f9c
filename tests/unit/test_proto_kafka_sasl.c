/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_sasl: tokens without a header, for every mechanism and at every split; clients that
 * do not wait; what is no token; and later versions, which need nothing.
 */
#include "kafka_script.h"

/* ---- saying it ---- */

static void ask_handshake(int16_t version, uint32_t correlation, const char *mechanism)
{
	script_ask_text(&script, make_handshake(version, correlation, mechanism));
}

static struct text make_answer(uint32_t correlation, uint16_t error)
{
	struct text frame = { 0 };

	put_u32(&frame, 0);
	put_u32(&frame, correlation);
	put_u16(&frame, error);
	put_u32(&frame, 2);
	put_string(&frame, "PLAIN");
	put_string(&frame, "GSSAPI");
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

#define TOKEN(text) make_bare("" text, sizeof(text) - 1)

/* And then requests as ever: short ones, and one that is changed. */
static void go_on(void)
{
	struct text metadata = { 0 }, expected = { 0 };

	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 3, 50, "client", 7));
	script_say_text(&script, make_response(50, 12));
	script_ask_text(&script, make_request(KAFKA_LIST_OFFSETS, 1, 51, "client", 300));
	script_say_text(&script, make_response(51, 12));
	script_ask_text(&script, make_request(KAFKA_METADATA, 0, 52, "client", 4));
	for (int i = 0; i < 2; i++) {
		struct text *frame = i == 0 ? &metadata : &expected;

		put_u32(frame, 0);
		put_u32(frame, 52);
		put_u32(frame, 1);
		put_u32(frame, 7);
		put_string(frame, i == 0 ? "b7.internal" : "kafka-7.example.com");
		put_u32(frame, i == 0 ? 9092 : 9093);
		put_u32(frame, 0);
		patch_u32(frame->at, (uint32_t)(frame->len - 4));
	}
	script_say(&script, metadata.at, metadata.len, expected.at, expected.len);
	text_free(&metadata);
	text_free(&expected);
}

static void run_all(void)
{
	static const size_t steps[] = { 1, 3, 64, 4096, ALL };
	size_t most = script.broker.len - 12;

	for (size_t i = 0; i < COUNT_OF(steps); i++)
		talk_passes(&script, steps[i]);
	/* Broken once, at any place of what the broker says, and as far of what the client says. */
	for (size_t split = 1; split < most; split++) {
		talk_again();
		talk_start(&script);
		while (!talk_is_over()) {
			talk_arrive(PROTO_CLIENT, split);
			talk_arrive(PROTO_BROKER,
				    talk.lanes[PROTO_BROKER].arrived == 0 ? split : ALL);
		}
		talk_check(&script);
	}
}

/* ---- mechanisms ---- */

static void test_plain(void **state)
{
	(void)state;
	ask_handshake(0, 1, "PLAIN");
	script_say_text(&script, make_answer(1, 0));
	script_ask_text(&script, TOKEN("\0alice\0secret"));
	script_say_text(&script, TOKEN(""));
	go_on();
	run_all();
}

static void test_scram(void **state)
{
	(void)state;
	/* Before it, as clients do, ApiVersions. */
	script_ask_text(&script, make_request(KAFKA_API_VERSIONS, 0, 0, "client", 0));
	script_say_same(&script, "\0\0\0\x10\0\0\0\0\0\0\0\0\0\1\0\2\0\0\0\5", 20);
	ask_handshake(0, 1, "SCRAM-SHA-512");
	script_say_text(&script, make_answer(1, 0));
	script_ask_text(&script, TOKEN("n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL"));
	script_say_text(&script,
			TOKEN("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSX,i=4096"));
	script_ask_text(&script,
			TOKEN("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=dHzb"));
	script_say_text(&script, TOKEN("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
	go_on();
	run_all();
}

static void test_oauth(void **state)
{
	(void)state;
	ask_handshake(0, 1, "OAUTHBEARER");
	script_say_text(&script, make_answer(1, 0));
	script_ask_text(&script, TOKEN("n,,\1auth=Bearer eyJhbGciOi\1\1"));
	script_say_text(&script, TOKEN(""));
	go_on();
	run_all();
}

/* Refused: the broker says why, the client that it has understood. */
static void test_oauth_refused(void **state)
{
	(void)state;
	ask_handshake(0, 1, "OAUTHBEARER");
	script_say_text(&script, make_answer(1, 0));
	script_ask_text(&script, TOKEN("n,,\1auth=Bearer eyJhbGciOi\1\1"));
	script_say_text(&script, TOKEN("{\"status\":\"invalid_token\"}"));
	script_ask_text(&script, TOKEN("\1"));
	run_all();
}

/* As many tokens as it takes, the last without an answer, or one of the broker's without a
 * question. */
static void test_gssapi(void **state)
{
	(void)state;
	for (int last = 0; last < 2; last++) {
		script_free(&script);
		ask_handshake(0, 1, "GSSAPI");
		script_say_text(&script, make_answer(1, 0));
		script_ask_text(&script,
				TOKEN("\x60\x82\2\x0c\6\x09\x2a\x86\x48\x86\xf7\x12\1\2\2xyz"));
		script_say_text(&script,
				TOKEN("\x60\x81\x99\6\x09\x2a\x86\x48\x86\xf7\x12\1\2\2xyz"));
		script_ask_text(&script, TOKEN(""));
		script_say_text(&script, TOKEN("\5\4\5\xff\0\x0c\0\0\0\0\0\0\1\1\0\0"));
		script_ask_text(&script, TOKEN("\5\4\4\xff\0\x0c\0\0\0\0\0\0\1\1\0\0alice"));
		if (last == 1)
			script_say_text(&script, TOKEN(""));
		script_wait(&script);
		go_on();
		run_all();
	}
}

static void test_refused_handshake(void **state)
{
	(void)state;
	ask_handshake(0, 1, "SCRAM-SHA-1");
	script_say_text(&script, make_answer(1, 33));
	ask_handshake(0, 2, "PLAIN");
	script_say_text(&script, make_answer(2, 0));
	script_ask_text(&script, TOKEN("\0alice\0secret"));
	script_say_text(&script, TOKEN(""));
	go_on();
	run_all();
}

/* From v1 on tokens are requests like others; and again, in the middle of a connection. */
static void test_later_versions(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		ask_handshake(1, 0x7ffffff8 + i, "GSSAPI");
		if (i > 0) /* asked before, answered first */
			script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, i, "c", 5));
		script_say_text(&script, make_answer(0x7ffffff8 + i, 0));
		if (i > 0)
			script_say_text(&script, make_response(i, 5));
		script_ask_text(&script,
				make_request(KAFKA_SASL_AUTHENTICATE, 2, 100 + i, "c", 30));
		script_say_text(&script, make_response(100 + i, 30));
	}
	go_on();
	run_all();
}

/* A handshake behind other requests: only its own answer counts. */
static void test_behind_others(void **state)
{
	(void)state;
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 0, 1, "c", 5));
	script_ask_text(&script, make_request(KAFKA_LIST_OFFSETS, 0, 2, "c", 5));
	ask_handshake(0, 3, "PLAIN");
	script_say_text(&script, make_response(1, 5));
	script_say_text(&script, make_response(2, 50));
	script_say_text(&script, make_answer(3, 0));
	script_ask_text(&script, TOKEN("\0alice\0secret"));
	script_say_text(&script, TOKEN(""));
	go_on();
	run_all();
}

/* ---- clients that do not wait, and worse ---- */

static void test_eager(void **state)
{
	struct text answer = make_answer(1, 0);

	(void)state;
	ask_handshake(0, 1, "PLAIN");
	size_t heard = script.to_broker.len;

	script_say_text(&script, make_answer(1, 0));
	script_ask_text(&script, TOKEN("\0alice\0secret"));
	size_t token = script.to_broker.len;

	script_say_text(&script, TOKEN(""));
	go_on();
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, heard);
	talk_arrive(PROTO_BROKER, answer.len);
	assert_int_equal(talk.lanes[PROTO_CLIENT].out.len, token);
	assert_true(talk.lanes[PROTO_CLIENT].is_held);
	while (!talk_is_over())
		talk_arrive(PROTO_BROKER, ALL);
	talk_check(&script);
	text_free(&answer);
}

static void assert_ends(enum close_reason reason)
{
	static const size_t steps[] = { 1, 7, 64, ALL };

	for (size_t i = 0; i < COUNT_OF(steps); i++)
		talk_ends(&script, steps[i], reason);
}

static void handshake(const char *mechanism)
{
	script_free(&script);
	ask_handshake(0, 1, mechanism);
	script_say_text(&script, make_answer(1, 0));
}

/* Dressed as a token, a request would have its response passed unread. */
static void test_smuggled(void **state)
{
	static const struct {
		int16_t key, version;
		enum close_reason reason;
	} rows[] = {
		{ KAFKA_METADATA, 14, CLOSE_API_VERSION },
		{ KAFKA_METADATA, 999, CLOSE_API_VERSION },
		{ KAFKA_VOTE, 0, CLOSE_API_VERSION },
		{ 95, 0, CLOSE_API_UNKNOWN },
		{ KAFKA_VENDOR_KEY + 7, 0, CLOSE_API_UNKNOWN },
		{ KAFKA_ALTER_REPLICA_LOG_DIRS, 2, CLOSE_API_DENIED },
	};

	(void)state;
	talk.kafka->policy.hide_vendor = true;
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_ALTER_REPLICA_LOG_DIRS));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		handshake("GSSAPI");
		script_ask_text(&script, TOKEN("\x60\x82\2\x0c"));
		script_ask_text(&script,
				make_request(rows[i].key, rows[i].version, 9, "client", 40));
		assert_ends(rows[i].reason);
		handshake("PLAIN");
		script_ask_text(&script, TOKEN("\0alice\0secret"));
		script_say_text(&script, TOKEN(""));
		script_ask_text(&script,
				make_request(rows[i].key, rows[i].version, 9, "client", 40));
		assert_ends(rows[i].reason);
	}
}

static void test_too_many(void **state)
{
	(void)state;
	/* A second token of PLAIN is a request, and a bad one. */
	handshake("PLAIN");
	script_ask_text(&script, TOKEN("\0alice\0secret"));
	script_say_text(&script, TOKEN(""));
	script_ask_text(&script, TOKEN("c"));
	assert_ends(CLOSE_FRAME_ZERO);
	/* And a second answer is none. */
	handshake("PLAIN");
	script_ask_text(&script, TOKEN("\0alice\0secret"));
	script_say_text(&script, TOKEN(""));
	script_say_text(&script, TOKEN("more"));
	assert_ends(CLOSE_RESPONSE_UNASKED);
}

static void test_too_long(void **state)
{
	struct text token = { 0 }, none = { 0 };

	(void)state;
	put_u32(&token, KAFKA_FRAME_AUTH + 1);
	put_u32(&none, UINT32_MAX);
	handshake("SCRAM-SHA-256");
	script_ask(&script, token.at, token.len);
	assert_ends(CLOSE_FRAME_TOO_BIG);
	handshake("SCRAM-SHA-256");
	script_ask(&script, none.at, none.len);
	assert_ends(CLOSE_FRAME_MALFORMED);
	handshake("GSSAPI");
	script_ask(&script, none.at, none.len);
	assert_ends(CLOSE_FRAME_MALFORMED);
	handshake("GSSAPI");
	script_say(&script, token.at, token.len, NULL, 0);
	assert_ends(CLOSE_RESPONSE_TOO_BIG);
	/* The longest there may be, larger than any buffer. */
	handshake("GSSAPI");
	text_free(&token);
	put_u32(&token, KAFKA_FRAME_AUTH);
	while (token.len < 4 + KAFKA_FRAME_AUTH)
		text_add(&token, "\x60", 1);
	script_ask(&script, token.at, token.len);
	script_say_same(&script, token.at, token.len);
	script_wait(&script);
	/* And a request that is longer. */
	script_ask_text(&script, make_request(KAFKA_LIST_OFFSETS, 1, 5, "c", KAFKA_FRAME_AUTH));
	script_say_text(&script, make_response(5, 12));
	go_on();
	talk_passes(&script, 5000);
	text_free(&token);
	text_free(&none);
}

static void test_bad_answer(void **state)
{
	(void)state;
	ask_handshake(0, 1, "PLAIN");
	script_say(&script, "\0\0\0\5\0\0\0\1\0", 9, NULL, 0);
	assert_ends(CLOSE_BROKER_FRAME_MALFORMED);
	/* One that does not fit into a buffer. */
	script_free(&script);
	ask_handshake(0, 1, "PLAIN");
	script_say(&script, "\0\2\0\0\0\0\0\1\0\0", 10, NULL, 0);
	assert_ends(CLOSE_RESPONSE_TOO_BIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown((name), script_begin, script_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),	   TEST(test_scram),	     TEST(test_oauth),
		TEST(test_oauth_refused),  TEST(test_gssapi),	     TEST(test_refused_handshake),
		TEST(test_later_versions), TEST(test_behind_others), TEST(test_eager),
		TEST(test_smuggled),	   TEST(test_too_many),	     TEST(test_too_long),
		TEST(test_bad_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
