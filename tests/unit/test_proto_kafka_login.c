/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_login: authentication in the place of a client, at every split of what the broker
 * answers; again between two requests of a client that has sent several; brokers that do not take
 * it; clients that want to do it themselves.
 */
#include "kafka_script.h"

#include <penstock/wire/kafka_sasl.h>

static struct config_clients *users;

static void give_user(const char *user, const char *password)
{
	free(users);
	users = calloc(1, sizeof(*users) + sizeof(users->at[0]));
	assert_non_null(users);
	users->count = 1;
	users->at[0] = (struct config_client){ .who = "*", .first = user, .second = password };
	talk.config.clusters[0].broker_sasl.users = users;
}

static int begin(void **state)
{
	(void)script_begin(state);
	talk.user = "alice";
	give_user("alice", "secret");
	return 0;
}

static int end(void **state)
{
	(void)script_end(state);
	free(users);
	users = NULL;
	return 0;
}

/* ---- what penstock and a broker say to each other ------------------------------------------- */

/* A request of ours, which no client has sent. */
static void ours(int16_t key, int16_t version, uint32_t correlation, const void *body, size_t len)
{
	struct text frame = make_request(key, version, correlation, "penstock", 0);

	text_add(&frame, body, len);
	patch_u32(frame.at, (uint32_t)(frame.len - 4));
	text_add(&script.to_broker, frame.at, frame.len);
	text_free(&frame);
}

/* Its answer, which no client hears. */
static void answered(uint32_t correlation, const void *body, size_t len)
{
	struct text frame = { 0 };

	put_u32(&frame, (uint32_t)(4 + len));
	put_u32(&frame, correlation);
	text_add(&frame, body, len);
	script_say(&script, frame.at, frame.len, NULL, 0);
	text_free(&frame);
}

#define BODY(text) "" text, sizeof(text) - 1

static void versions(void)
{
	ours(KAFKA_API_VERSIONS, 0, 1, NULL, 0);
	answered(1, BODY("\0\0\0\0\0\2\0\x11\0\0\0\1\0\x24\0\0\0\1"));
}

static void handshake(uint32_t correlation)
{
	ours(KAFKA_SASL_HANDSHAKE, 1, correlation, BODY("\0\5PLAIN"));
	answered(correlation, BODY("\0\0\0\0\0\1\0\5PLAIN"));
}

static void token(uint32_t correlation)
{
	ours(KAFKA_SASL_AUTHENTICATE, 1, correlation, BODY("\0\0\0\x0d\0alice\0secret"));
}

/* Let in, for an hour. */
static void let_in(uint32_t correlation)
{
	answered(correlation, BODY("\0\0\xff\xff\0\0\0\0\0\0\0\0\0\x36\xee\x80"));
}

static void log_in(void)
{
	versions();
	handshake(2);
	token(3);
	let_in(3);
}

static void ask(uint32_t correlation, size_t body)
{
	script_ask_text(&script, make_request(KAFKA_HEARTBEAT, 3, correlation, "client", body));
}

static void say(uint32_t correlation, size_t body)
{
	script_say_text(&script, make_response(correlation, body));
}

/* ---- playing it ----------------------------------------------------------------------------- */

static void run_all(void)
{
	static const size_t steps[] = { 1, 3, 64, 4096, ALL };

	for (size_t i = 0; i < COUNT_OF(steps); i++)
		talk_passes(&script, steps[i]);
	/* Broken once, at any place of what the broker says. */
	for (size_t split = 1; split < script.broker.len; split++) {
		talk_again();
		talk_start(&script);
		for (int round = 0; !talk_is_over(); round++) {
			assert_true(round < 40);
			talk_arrive(PROTO_CLIENT, ALL);
			talk_arrive(PROTO_BROKER, talk.lanes[PROTO_BROKER].arrived < split
							  ? split - talk.lanes[PROTO_BROKER].arrived
							  : ALL);
		}
		talk_check(&script);
	}
}

static void assert_ends(enum close_reason reason, enum kafka_login_fault fault)
{
	static const size_t steps[] = { 1, 7, 64, ALL };

	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		talk_ends(&script, steps[i], reason);
		assert_int_equal(talk.fault, fault);
		/* Not a byte of the client's has reached the broker, nor one of the broker's it. */
		assert_text(&talk.lanes[PROTO_CLIENT].out, &script.to_broker, "broker");
		assert_int_equal(talk.lanes[PROTO_BROKER].out.len, 0);
	}
}

static uint64_t logins(enum stat_id which)
{
	return stat_get(&talk.stats, which);
}

/* ---- once ----------------------------------------------------------------------------------- */

static void test_first(void **state)
{
	(void)state;
	log_in();
	ask(7, 5);
	ask(8, 300);
	say(7, 12);
	say(8, 12);
	talk_passes(&script, ALL);
	assert_int_equal(logins(STAT_KAFKA_LOGINS), 1);
	run_all();
	assert_int_equal(logins(STAT_KAFKA_LOGINS_AGAIN), 0);
	assert_int_equal(logins(STAT_KAFKA_LOGINS_FAILED), 0);
}

/* Nobody's business: nothing is said. */
static void test_none(void **state)
{
	(void)state;
	talk.user = NULL;
	ask(7, 5);
	say(7, 12);
	run_all();
	assert_int_equal(logins(STAT_KAFKA_LOGINS), 0);
}

/* The broker's side must be free for our next word, and the session is asked again. */
static void test_blocked(void **state)
{
	(void)state;
	log_in();
	ask(7, 5);
	say(7, 12);
	talk_again();
	talk_start(&script);
	talk_arrive(PROTO_CLIENT, ALL);
	talk.lanes[PROTO_CLIENT].is_blocked = true;
	talk_arrive(PROTO_BROKER, ALL);
	assert_true(talk.lanes[PROTO_BROKER].is_held);
	talk.lanes[PROTO_CLIENT].is_blocked = false;
	for (int round = 0; round < 9; round++)
		talk_arrive(PROTO_BROKER, ALL);
	assert_true(talk_is_over());
	talk_check(&script);
}

/* ---- again ---------------------------------------------------------------------------------- */

/* Two requests are on their way when the time comes: their responses come first, and the third
 * waits until the broker has let us in once more. */
static void test_again(void **state)
{
	(void)state;
	log_in();
	ask(7, 5);
	ask(8, 300);
	talk.late_after = script.to_broker.len;
	say(7, 12);
	script_wait(&script);
	ours(KAFKA_SASL_HANDSHAKE, 1, 1, BODY("\0\5PLAIN"));
	say(8, 12);
	answered(1, BODY("\0\0\0\0\0\1\0\5PLAIN"));
	token(2);
	let_in(2);
	ask(9, 5);
	say(9, 12);
	talk_passes(&script, ALL);
	assert_int_equal(logins(STAT_KAFKA_LOGINS_AGAIN), 1);
	run_all();
}

/* A broker that sets no time is never bothered again. */
static void test_for_ever(void **state)
{
	(void)state;
	versions();
	handshake(2);
	token(3);
	answered(3, BODY("\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"));
	ask(7, 5);
	talk.late_after = script.to_broker.len;
	say(7, 12);
	script_wait(&script);
	ask(8, 5);
	say(8, 12);
	run_all();
	assert_int_equal(logins(STAT_KAFKA_LOGINS_AGAIN), 0);
}

/* A reload has taken the user away, or given it another password. */
static void test_reloaded(void **state)
{
	(void)state;
	log_in();
	ask(7, 5);
	talk.late_after = script.to_broker.len;
	say(7, 12);
	script_wait(&script);
	handshake(1);
	ask(8, 5);
	talk_again();
	talk_start(&script);
	for (int round = 0; talk.lanes[PROTO_BROKER].out.len < 20; round++) {
		assert_true(round < 9);
		talk_arrive(PROTO_CLIENT, ALL);
		talk_arrive(PROTO_BROKER, ALL);
	}
	give_user("bob", "secret");
	for (int round = 0; round < 9; round++) {
		talk_arrive(PROTO_CLIENT, ALL);
		talk_arrive(PROTO_BROKER, ALL);
	}
	assert_int_equal(talk.reason, CLOSE_NO_BROKER_USER);
}

/* ---- not let in ----------------------------------------------------------------------------- */

static void test_refused(void **state)
{
	(void)state;
	versions();
	handshake(2);
	token(3);
	answered(3, BODY("\0\x3a\0\2no\0\0\0\0\0\0\0\0\0\0\0\0"));
	script.client = make_request(KAFKA_HEARTBEAT, 3, 7, "client", 5);
	assert_ends(CLOSE_BROKER_AUTH_FAILED, KAFKA_LOGIN_REFUSED);
	assert_int_equal(logins(STAT_KAFKA_LOGINS_FAILED), 4);
	assert_int_equal(logins(STAT_KAFKA_LOGINS), 0);
}

static void test_mechanism(void **state)
{
	(void)state;
	versions();
	ours(KAFKA_SASL_HANDSHAKE, 1, 2, BODY("\0\5PLAIN"));
	answered(2, BODY("\0\x21\0\0\0\1\0\6GSSAPI"));
	script.client = make_request(KAFKA_HEARTBEAT, 3, 7, "client", 5);
	assert_ends(CLOSE_BROKER_AUTH_FAILED, KAFKA_LOGIN_MECHANISM);
}

static void test_unreadable(void **state)
{
	(void)state;
	ours(KAFKA_API_VERSIONS, 0, 1, NULL, 0);
	answered(2, BODY("\0\0\0\0\0\0"));
	script.client = make_request(KAFKA_HEARTBEAT, 3, 7, "client", 5);
	assert_ends(CLOSE_BROKER_AUTH_FAILED, KAFKA_LOGIN_UNREADABLE);
}

/* A TLS port: as a size its alert would be 352 MB. */
static void test_tls(void **state)
{
	(void)state;
	ours(KAFKA_API_VERSIONS, 0, 1, NULL, 0);
	script_say(&script, BODY("\x15\x03\x03\0\2\2\x32"), NULL, 0);
	script.client = make_request(KAFKA_HEARTBEAT, 3, 7, "client", 5);
	talk_ends(&script, ALL, CLOSE_BROKER_TLS);
}

/* Something nobody has asked for, in front of the answer. */
static void test_unasked(void **state)
{
	(void)state;
	ours(KAFKA_API_VERSIONS, 0, 1, NULL, 0);
	answered(7, BODY("\0\0\0\0\0\0"));
	script.client = make_request(KAFKA_HEARTBEAT, 3, 7, "client", 5);
	assert_ends(CLOSE_BROKER_AUTH_FAILED, KAFKA_LOGIN_UNREADABLE);
}

/* ---- clients that authenticate all the same ------------------------------------------------- */

static void test_client_handshake(void **state)
{
	(void)state;
	assert_true(kafka_policy_deny(&talk.kafka->policy, KAFKA_SASL_HANDSHAKE));
	for (int16_t version = 0; version < 2; version++) {
		struct text frame;

		script_free(&script);
		log_in();
		frame = make_request(KAFKA_SASL_HANDSHAKE, version, 7, "client", 0);
		put_string(&frame, "PLAIN");
		patch_u32(frame.at, (uint32_t)(frame.len - 4));
		text_add(&script.client, frame.at, frame.len);
		text_free(&frame);
		text_add(&script.to_client, "\0\0\0\x0a\0\0\0\7\0\x21\0\0\0\0", 14);
		run_all();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown((name), begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first),   TEST(test_none),	  TEST(test_blocked),
		TEST(test_again),   TEST(test_for_ever),  TEST(test_reloaded),
		TEST(test_refused), TEST(test_mechanism), TEST(test_unreadable),
		TEST(test_tls),	    TEST(test_unasked),	  TEST(test_client_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
