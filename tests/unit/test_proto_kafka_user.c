/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_user: listeners for some users: those let through, with tokens in requests and bare
 * ones, at every cut; those refused, by word or by the end of the connection; and those who say
 * nothing.
 */
#include "kafka_script.h"

#include <penstock/wire/kafka_sasl.h>

static int begin(void **state)
{
	static const char *const users[] = { "alice", "team-a-*", "c,=d" };

	(void)script_begin(state);
	talk.kafka->users = users;
	talk.kafka->user_count = COUNT_OF(users);
	return 0;
}

/* ---- saying it ------------------------------------------------------------------------------ */

#define BARE 3 /* in the place of a version: behind SaslHandshake v0, without a header */

static struct text make_token(int16_t version, uint32_t correlation, const char *token, size_t len)
{
	if (version == BARE)
		return make_bare(token, len);
	struct text frame =
		make_request(KAFKA_SASL_AUTHENTICATE, version, correlation, "client", 0);

	if (version >= 2)
		text_add(&frame, &(const uint8_t){ (uint8_t)(len + 1) }, 1);
	else
		put_u32(&frame, (uint32_t)len);
	text_add(&frame, token, len);
	if (version >= 2)
		text_add(&frame, "", 1);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	return frame;
}

/* Says it, and it is not to go on. */
static void client_only(struct text frame)
{
	text_add(&script.client, frame.at, frame.len);
	text_free(&frame);
}

static void handshake(int16_t version, const char *mechanism)
{
	script_ask_text(&script, make_handshake(version, 1, mechanism));
	script_say_same(&script, "\0\0\0\x0a\0\0\0\1\0\0\0\0\0\0", 14);
}

static void go_on(void)
{
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 3, 50, "client", 7));
	script_say_text(&script, make_response(50, 12));
}

static void run_all(void)
{
	for (size_t step = 1; step < 80; step++)
		talk_passes(&script, step);
	talk_passes(&script, ALL);
}

/* ---- let through ---------------------------------------------------------------------------- */

#define TEXT(text) "" text, sizeof(text) - 1

static const struct {
	const char *mechanism, *first;
	size_t len;
	bool is_allowed;
} rows[] = {
	{ "PLAIN", TEXT("\0alice\0secret"), true },
	{ "PLAIN", TEXT("alice\0alice\0secret"), true },
	{ "PLAIN", TEXT("\0team-a-7\0secret"), true },
	{ "PLAIN", TEXT("\0c,=d\0secret"), true },
	{ "SCRAM-SHA-256", TEXT("n,,n=alice,r=abc"), true },
	{ "SCRAM-SHA-512", TEXT("n,,n=team-a-,r=abc"), true },
	{ "SCRAM-SHA-512", TEXT("n,,n=c=2C=3Dd,r=abc"), true },
	{ "PLAIN", TEXT("\0bob\0alice"), false },
	{ "PLAIN", TEXT("\0alicex\0secret"), false },
	{ "PLAIN", TEXT("\0alic\0secret"), false },
	{ "PLAIN", TEXT("\0ALICE\0secret"), false },
	{ "PLAIN", TEXT("bob\0alice\0secret"), false }, /* on behalf of another */
	{ "PLAIN", TEXT("n,,n=alice,r=abc"), false },
	{ "PLAIN", TEXT(""), false },
	{ "SCRAM-SHA-256", TEXT("n,,n=bob,r=abc"), false },
	{ "SCRAM-SHA-256", TEXT("n,a=alice,n=bob,r=abc"), false },
	{ "SCRAM-SHA-256", TEXT("n,a=alice,n=alice,r=abc"), false },
	{ "SCRAM-SHA-256", TEXT("n,,n=al=69ce,r=abc"), false },
	{ "SCRAM-SHA-256", TEXT("n,,n=c=2Cd,r=abc"), false },
	{ "SCRAM-SHA-256", TEXT("n,,n=alice"), false },
	{ "SCRAM-SHA-256", TEXT("\0alice\0secret"), false },
};

/* The next token, and what the broker has to say to it; what is in a response is of no interest. */
static void exchange(int16_t version, uint32_t correlation, struct text token, struct text bare)
{
	script_ask_text(&script, token);
	script_say_text(&script, version == BARE ? bare : make_response(correlation, 30));
	if (version != BARE)
		text_free(&bare);
}

static void test_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int16_t version = 0; rows[i].is_allowed && version <= BARE; version++) {
			script_free(&script);
			handshake(version == BARE ? 0 : 1, rows[i].mechanism);
			exchange(version, 2, make_token(version, 2, rows[i].first, rows[i].len),
				 make_bare(TEXT("r=abcd")));
			if (rows[i].mechanism[0] == 'S')
				exchange(version, 3,
					 make_token(version, 3, TEXT("c=biws,r=abcd,p=dHzb")),
					 make_bare(TEXT("v=abc")));
			go_on();
			run_all();
		}
	}
}

/* Without the key, nobody looks. */
static void test_anybody(void **state)
{
	(void)state;
	talk.kafka->user_count = 0;
	handshake(1, "GSSAPI");
	script_ask_text(&script, make_token(1, 2, TEXT("anything")));
	script_say_text(&script, make_response(2, 30));
	go_on();
	run_all();
}

/* ---- refused -------------------------------------------------------------------------------- */

static void assert_ends(void)
{
	for (size_t step = 1; step < 80; step += 7) {
		talk_ends(&script, step, CLOSE_PRINCIPAL_DENIED);
		assert_text(&talk.lanes[PROTO_CLIENT].out, &script.to_broker, "broker");
	}
}

/* As Java reads it: SASL_AUTHENTICATION_FAILED, and why. */
static void assert_said(int16_t version)
{
	struct kafka_sasl_result result;
	struct kafka_why why;

	assert_int_equal(kafka_sasl_result(span_of(talk.said.at, talk.said.len), version, &result,
					   &why),
			 WIRE_OK);
	assert_int_equal(result.error, 58);
	assert_int_equal(result.token.len, 0);
	assert_int_equal(result.lifetime_ms, 0);
	assert_true(span_starts(result.message, "penstock: "));
}

static void test_denied(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int16_t version = 0; !rows[i].is_allowed && version <= BARE; version++) {
			script_free(&script);
			handshake(version == BARE ? 0 : 1, rows[i].mechanism);
			client_only(make_token(version, 2, rows[i].first, rows[i].len));
			assert_ends();
			if (version != BARE)
				assert_said(version);
		}
	}
}

/* Whoever does not say who it is, or says so without having been asked, or once more. */
static void test_silent(void **state)
{
	(void)state;
	client_only(make_request(KAFKA_HEARTBEAT, 3, 50, "client", 7));
	assert_ends();
	script_free(&script);
	client_only(make_token(1, 2, TEXT("\0alice\0secret")));
	assert_ends();
	script_free(&script);
	handshake(1, "PLAIN");
	client_only(make_request(KAFKA_HEARTBEAT, 3, 50, "client", 7));
	assert_ends();
	script_free(&script);
	handshake(1, "PLAIN");
	script_ask_text(&script, make_token(1, 2, TEXT("\0alice\0secret")));
	script_say_text(&script, make_response(2, 30));
	go_on();
	handshake(1, "PLAIN");
	client_only(make_token(1, 2, TEXT("\0bob\0secret")));
	assert_ends();
}

/* Mechanisms that show nobody: told which do; then one of those. */
static void test_mechanisms(void **state)
{
	static const char *const others[] = { "GSSAPI", "OAUTHBEARER", "SCRAM-SHA-1", "plain", "" };
	static const char answer[] = "\0\0\0\x2f\0\0\0\1\0\x21\0\0\0\3\0\5PLAIN\0\x0dSCRAM-SHA-256"
				     "\0\x0dSCRAM-SHA-512";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		for (int16_t version = 0; version <= 1; version++) {
			script_free(&script);
			client_only(make_handshake(version, 1, others[i]));
			text_add(&script.to_client, answer, sizeof(answer) - 1);
			script_wait(&script);
			handshake(1, "PLAIN");
			script_ask_text(&script, make_token(1, 2, TEXT("\0alice\0secret")));
			script_say_text(&script, make_response(2, 30));
			go_on();
			run_all();
		}
	}
}

/* A reload adds the key: whoever nobody has looked at is not let through for having said a name. */
static void test_added(void **state)
{
	uint32_t count = talk.kafka->user_count;

	(void)state;
	for (int16_t version = 0; version <= BARE; version++) {
		script_free(&script);
		talk_again();
		talk.kafka->user_count = 0;
		handshake(version == BARE ? 0 : 1, "PLAIN");
		exchange(version, 2, make_token(version, 2, TEXT("\0bob\0secret")),
			 make_bare(TEXT("")));
		size_t said = script.client.len;

		client_only(make_request(KAFKA_HEARTBEAT, 3, 50, "client", 7));
		talk_start(&script);
		talk_arrive(PROTO_CLIENT, said);
		for (int i = 0; i < 2; i++)
			talk_arrive(PROTO_BROKER, ALL);
		assert_int_equal(talk.reason, CLOSE_NONE);
		assert_text(&talk.lanes[PROTO_BROKER].out, &script.to_client, "client");
		talk.kafka->user_count = count;
		talk_arrive(PROTO_CLIENT, ALL);
		assert_int_equal(talk.reason, CLOSE_PRINCIPAL_DENIED);
		assert_text(&talk.lanes[PROTO_CLIENT].out, &script.to_broker, "broker");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown((name), begin, script_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_allowed), TEST(test_anybody),	   TEST(test_denied),
		TEST(test_silent),  TEST(test_mechanisms), TEST(test_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
