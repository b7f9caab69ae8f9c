/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_lookup: what passes untouched, what is changed, what is answered from here, and that
 * a brain that holds leaves nothing behind: asked again, it says what it would have said.
 */
#include "test_proto_harness.h"

static struct frame lookup_frame(uint64_t request_id)
{
	return FRAME(PULSAR_LOOKUP, TEXT(1, "persistent://t/n/topic"), NUMBER(2, request_id),
		     NUMBER(77, 4711));
}

static struct frame answer_frame(uint64_t request_id)
{
	return FRAME(PULSAR_LOOKUP_RESPONSE, TEXT(1, "pulsar://b1.sim:6650"),
		     TEXT(2, "pulsar+ssl://b1.sim:6651"), NUMBER(3, PULSAR_LOOKUP_CONNECT),
		     NUMBER(4, request_id), NUMBER(5, 1), NUMBER(77, 4711));
}

static void ask(uint64_t request_id)
{
	const struct frame lookup = lookup_frame(request_id);

	assert_verdict(see_frame(PROTO_CLIENT, &lookup), PROTO_PASS, lookup.len);
}

static void assert_through(struct proto_verdict verdict, const struct frame *frame,
			   uint64_t request_id, const char *url)
{
	struct pulsar_lookup_response response;
	uint64_t through = 0, unknown = 0;

	assert_verdict(verdict, PROTO_EMIT, frame->len);
	response = assert_response(verdict, request_id, PULSAR_LOOKUP_CONNECT);
	assert_span(response.url, url);
	assert_span(response.url_tls, url);
	assert_int_equal(pulsar_read_request_id(verdict.bytes, 8, &through), WIRE_OK);
	assert_int_equal(through, 1);
	assert_int_equal(pulsar_read_request_id(verdict.bytes, 77, &unknown), WIRE_OK);
	assert_int_equal(unknown, 4711);
}

/* ---- passing ---- */

static void test_splits(void **state)
{
	const struct frame lookup = lookup_frame(1), answer = answer_frame(1);

	(void)state;
	bench_open_lookup(true);
	assert_needs_all(PROTO_CLIENT, &lookup);
	ask(1);
	assert_needs_all(PROTO_BROKER, &answer);
	assert_through(see_frame(PROTO_BROKER, &answer), &answer, 1, "pulsar://b1.sim:6650");
	bench_check_empty_but_keep();
}

/* Two frames at once: one verdict takes one of them. */
static void test_glued(void **state)
{
	const struct frame first = answer_frame(1), second = answer_frame(2);
	const struct frame both = glue(&first, second.bytes, second.len);

	(void)state;
	bench_open_lookup(true);
	ask(1);
	ask(2);
	assert_through(see_frame(PROTO_BROKER, &both), &first, 1, "pulsar://b1.sim:6650");
	assert_through(see_frame(PROTO_BROKER, &second), &second, 2, "pulsar://b1.sim:6650");
}

/* A frame that is not ours to read passes as soon as its type shows, however long it is. */
static void test_others(void **state)
{
	static const uint32_t types[] = { PULSAR_PING,
					  PULSAR_PONG,
					  PULSAR_GET_TOPICS_OF_NAMESPACE,
					  PULSAR_GET_SCHEMA,
					  PULSAR_ERROR,
					  64,
					  200 };

	(void)state;
	bench_open_lookup(true);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		const struct frame frame =
			make_padded(types[i],
				    (const struct field[]){ NUMBER(1, 7), { .number = 0 } }, 70000);

		for (int channel = PROTO_CLIENT; channel <= PROTO_BROKER; channel++) {
			assert_verdict(see((enum proto_channel)channel, frame.bytes, 12),
				       PROTO_PASS, frame.len);
			assert_verdict(see_frame((enum proto_channel)channel, &frame), PROTO_PASS,
				       frame.len);
		}
	}
	assert_int_equal(stat_get(&bench.stats, STAT_TOPICS_OF_NAMESPACE), 2);
	assert_int_equal(stat_get(&bench.stats, STAT_GET_SCHEMA), 2);
}

/* The broker's own error reaches the client with its own words. */
static void test_failed(void **state)
{
	const struct frame failed = FRAME(PULSAR_LOOKUP_RESPONSE, NUMBER(3, PULSAR_LOOKUP_FAILED),
					  NUMBER(4, 1), NUMBER(6, 11), TEXT(7, "not found"));

	(void)state;
	bench_open_lookup(true);
	ask(1);
	assert_verdict(see_frame(PROTO_BROKER, &failed), PROTO_PASS, failed.len);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_FAILED), 1);
	bench_check_empty_but_keep();
}

/* Nobody asked: the answer is harmless and goes on, a redirect is not and becomes an error. */
static void test_unasked(void **state)
{
	const struct frame answer = answer_frame(9);
	const struct frame redirect = FRAME(PULSAR_LOOKUP_RESPONSE, TEXT(1, "pulsar://b1.sim:6650"),
					    NUMBER(3, PULSAR_LOOKUP_REDIRECT), NUMBER(4, 9));
	struct proto_verdict verdict;

	(void)state;
	bench_open_lookup(true);
	assert_through(see_frame(PROTO_BROKER, &answer), &answer, 9, "pulsar://b1.sim:6650");
	verdict = see_frame(PROTO_BROKER, &redirect);
	assert_verdict(verdict, PROTO_EMIT, redirect.len);
	(void)assert_response(verdict, 9, PULSAR_LOOKUP_FAILED);
}

/* Only a TLS port: that is what the client is sent back with. */
static void test_tls_only(void **state)
{
	const struct frame answer =
		FRAME(PULSAR_LOOKUP_RESPONSE, TEXT(2, "pulsar+ssl://b1.sim:6651"),
		      NUMBER(3, PULSAR_LOOKUP_CONNECT), NUMBER(4, 1), NUMBER(77, 4711));

	(void)state;
	bench_open_lookup(true);
	ask(1);
	assert_through(see_frame(PROTO_BROKER, &answer), &answer, 1, "pulsar+ssl://b1.sim:6651");
}

static void test_notes(void **state)
{
	const struct frame lookup = lookup_frame(1), answer = answer_frame(1);
	uint8_t *copy = exact_copy(lookup.bytes, lookup.len);
	struct proto_verdict verdict;

	(void)state;
	bench_open_lookup(true);
	bench_context();
	bench.proto.ops->see(&bench.proto, PROTO_CLIENT, span_of(copy, lookup.len), &bench.context,
			     &verdict);
	assert_span(bench.context.seen_namespace, "t/n");
	free(copy);
	bench_context();
	bench.proto.ops->see(&bench.proto, PROTO_BROKER, span_of(answer.bytes, answer.len),
			     &bench.context, &verdict);
	assert_span(bench.context.learned[0], "pulsar://b1.sim:6650");
	assert_span(bench.context.learned[1], "pulsar+ssl://b1.sim:6651");
}

/* ---- limits ---- */

static void assert_broker_refused(const struct frame *frame)
{
	struct proto_verdict verdict = see_frame(PROTO_BROKER, frame);

	assert_int_equal(verdict.what, PROTO_REFUSE);
	assert_int_equal(verdict.reason, CLOSE_BROKER_FRAME_MALFORMED);
}

static void test_malformed(void **state)
{
	const struct frame no_id = FRAME(PULSAR_LOOKUP_RESPONSE, NUMBER(3, PULSAR_LOOKUP_CONNECT));
	const struct frame no_topic = FRAME(PULSAR_LOOKUP, NUMBER(2, 1));
	struct proto_verdict verdict;

	(void)state;
	bench_open_lookup(true);
	assert_broker_refused(&no_id);
	verdict = see_frame(PROTO_CLIENT, &no_topic);
	assert_int_equal(verdict.what, PROTO_REFUSE);
	assert_int_equal(verdict.reason, CLOSE_FRAME_MALFORMED);
}

/* Unread, a long LOOKUP_RESPONSE might carry a broker's address past us. */
static void test_long_answer(void **state)
{
	const struct frame answer =
		make_padded(PULSAR_LOOKUP_RESPONSE,
			    (const struct field[]){ TEXT(1, "pulsar://b1.sim:6650"),
						    NUMBER(3, 1),
						    NUMBER(4, 1),
						    { .number = 0 } },
			    PROTO_FRAME_MAX);

	(void)state;
	bench_open_lookup(true);
	assert_broker_refused(&answer);
}

/* The limit of a client's frames is ours until CONNECTED says what the broker takes. */
static void test_frame_max(void **state)
{
	const struct frame connected =
		FRAME(PULSAR_CONNECTED, TEXT(1, "b"), NUMBER(2, 21), NUMBER(3, 100000));
	static const uint8_t over_default[] = { 0x00, 0x50, 0x28, 0x01, 0, 0, 0, 4, 0x08, 0x40 };
	static const uint8_t over_broker[] = { 0x00, 0x01, 0xae, 0xa1, 0, 0, 0, 4, 0x08, 0x40 };
	struct proto_verdict verdict;

	(void)state;
	bench_open_lookup(false);
	verdict = see(PROTO_CLIENT, over_default, sizeof(over_default));
	assert_int_equal(verdict.reason, CLOSE_FRAME_TOO_BIG);
	assert_int_equal(see(PROTO_CLIENT, over_broker, sizeof(over_broker)).what, PROTO_PASS);
	assert_verdict(see_frame(PROTO_BROKER, &connected), PROTO_PASS, connected.len);
	verdict = see(PROTO_CLIENT, over_broker, sizeof(over_broker));
	assert_int_equal(verdict.what, PROTO_REFUSE);
	assert_int_equal(verdict.reason, CLOSE_FRAME_TOO_BIG);
	/* The broker's own frames have no limit of ours. */
	assert_int_equal(see(PROTO_BROKER, over_default, sizeof(over_default)).what, PROTO_PASS);
}

/* Held, it leaves nothing behind: the answer comes when it can. */
static void test_throttle(void **state)
{
	const struct frame lookup = lookup_frame(5);
	struct proto_verdict verdict;

	(void)state;
	bench_open_lookup(true);
	bench.pools.lookups_max = 1;
	ask(1);
	bench.can_reply = false;
	for (int i = 0; i < 3; i++)
		assert_verdict(see_frame(PROTO_CLIENT, &lookup), PROTO_HOLD, 0);
	assert_int_equal(bench.pools.lookups_in_flight, 1);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_THROTTLED), 0);
	bench.can_reply = true;
	verdict = see_frame(PROTO_CLIENT, &lookup);
	assert_verdict(verdict, PROTO_REPLY, lookup.len);
	(void)assert_response(verdict, 5, PULSAR_LOOKUP_FAILED);
	assert_int_equal(error_of(verdict.bytes, 6), PULSAR_TOO_MANY_REQUESTS);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_THROTTLED), 1);
}

/* 64 questions without an answer are the most; an answer makes room. */
static void test_full_book(void **state)
{
	const struct frame lookup = lookup_frame(65), answer = answer_frame(30);

	(void)state;
	bench_open_lookup(true);
	for (uint64_t id = 1; id <= 64; id++)
		ask(id);
	assert_verdict(see_frame(PROTO_CLIENT, &lookup), PROTO_HOLD, 0);
	assert_verdict(see_frame(PROTO_CLIENT, &lookup), PROTO_HOLD, 0);
	assert_int_equal(bench.pools.lookups_in_flight, 64);
	assert_through(see_frame(PROTO_BROKER, &answer), &answer, 30, "pulsar://b1.sim:6650");
	ask(65);
	assert_int_equal(bench.pools.lookups_in_flight, 64);
}

/* No book to be had: too many at one time. */
static void test_no_book(void **state)
{
	const struct frame lookup = lookup_frame(1);
	void *books[2];
	struct proto_verdict verdict;

	(void)state;
	bench_open_lookup(true);
	books[0] = pool_get(&bench.pools.books);
	books[1] = pool_get(&bench.pools.books);
	verdict = see_frame(PROTO_CLIENT, &lookup);
	assert_verdict(verdict, PROTO_REPLY, lookup.len);
	assert_int_equal(error_of(verdict.bytes, 6), PULSAR_TOO_MANY_REQUESTS);
	pool_put(&bench.pools.books, books[0]);
	pool_put(&bench.pools.books, books[1]);
	ask(1);
}

/* ---- lookup: direct ---- */

static struct frame direct_frame(const char *listener)
{
	if (listener == NULL)
		return FRAME(PULSAR_LOOKUP, TEXT(1, "persistent://t/direct/x"), NUMBER(2, 3));
	return FRAME(PULSAR_LOOKUP, TEXT(1, "persistent://t/direct/x"), NUMBER(2, 3),
		     TEXT(7, listener));
}

static void assert_direct(const struct frame *lookup)
{
	struct proto_verdict verdict = see_frame(PROTO_CLIENT, lookup);
	struct pulsar_lookup_response response;

	assert_verdict(verdict, PROTO_REPLY, lookup->len);
	response = assert_response(verdict, 3, PULSAR_LOOKUP_CONNECT);
	assert_span(response.url, "pulsar://b0.sim:6650");
	assert_span(response.url_tls, "pulsar://b0.sim:6650");
	assert_int_equal(error_of(verdict.bytes, 8), 1); /* through the proxy */
	assert_int_equal(bench.pools.lookups_in_flight, 0);
}

static void test_direct(void **state)
{
	const struct frame lookup = direct_frame(NULL);

	(void)state;
	bench_route(true);
	bench_open_lookup(true);
	bench.can_reply = false;
	assert_verdict(see_frame(PROTO_CLIENT, &lookup), PROTO_HOLD, 0);
	assert_verdict(see_frame(PROTO_CLIENT, &lookup), PROTO_HOLD, 0);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_DIRECT), 0);
	bench.can_reply = true;
	assert_direct(&lookup);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_DIRECT), 1);
}

/* Who has not been let in by a broker is told nothing; a listener's name is the broker's matter;
 * what nobody owns is asked. */
static void test_not_direct(void **state)
{
	const struct frame named = direct_frame("outside"), plain = direct_frame(NULL);
	const struct frame other = lookup_frame(8);

	(void)state;
	bench_route(true);
	bench_open_lookup(false);
	assert_verdict(see_frame(PROTO_CLIENT, &plain), PROTO_PASS, plain.len);

	const struct frame connected = FRAME(PULSAR_CONNECTED, TEXT(1, "b"));

	assert_verdict(see_frame(PROTO_BROKER, &connected), PROTO_PASS, connected.len);
	assert_verdict(see_frame(PROTO_CLIENT, &named), PROTO_PASS, named.len);
	assert_verdict(see_frame(PROTO_CLIENT, &other), PROTO_PASS, other.len);
	assert_int_equal(stat_get(&bench.stats, STAT_LOOKUPS_DIRECT), 0);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_splits),      BENCH_TEST(test_glued),
		BENCH_TEST(test_others),      BENCH_TEST(test_failed),
		BENCH_TEST(test_unasked),     BENCH_TEST(test_tls_only),
		BENCH_TEST(test_notes),	      BENCH_TEST(test_malformed),
		BENCH_TEST(test_long_answer), BENCH_TEST(test_frame_max),
		BENCH_TEST(test_throttle),    BENCH_TEST(test_full_book),
		BENCH_TEST(test_no_book),     BENCH_TEST(test_direct),
		BENCH_TEST(test_not_direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
