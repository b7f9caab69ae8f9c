/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_role: whom role mode lets connect, what brokers get to see until CONNECTED, at every
 * split offset, and that a client's bytes are no part of it.
 */
#include "test_proto_harness.h"

static const char OUR_TOKEN[] = "our-token";

static void set_role(bool is_forwarding)
{
	struct config_cluster *cluster = &bench.config.clusters[0];

	cluster->credentials = CONFIG_CREDENTIALS_ROLE;
	cluster->role = (struct config_role){
		.method = "token",
		.data = span_str(OUR_TOKEN),
		.is_forwarding = is_forwarding,
	};
	bench.principal = "alice";
}

static void end_role(void)
{
	bench.config.clusters[0].credentials = CONFIG_CREDENTIALS_PASS;
	bench.config.clusters[0].role = (struct config_role){ .method = NULL };
}

static struct frame connect_by(const char *method, const char *data, const char *target)
{
	if (target == NULL)
		return FRAME(PULSAR_CONNECT, TEXT(1, "client"), TEXT(5, method), TEXT(3, data),
			     NUMBER(4, 21));
	return FRAME(PULSAR_CONNECT, TEXT(1, "client"), TEXT(5, method), TEXT(3, data),
		     NUMBER(4, 21), TEXT(6, target));
}

/* What a broker is to get for it. */
static struct frame connect_of_ours(const char *original_data, const char *original_method)
{
	if (original_data == NULL)
		return FRAME(PULSAR_CONNECT, TEXT(1, "client"), TEXT(5, "token"),
			     TEXT(3, OUR_TOKEN), NUMBER(4, 21), TEXT(7, "alice"),
			     TEXT(11, "penstock-" PENSTOCK_VERSION));
	return FRAME(PULSAR_CONNECT, TEXT(1, "client"), TEXT(5, "token"), TEXT(3, OUR_TOKEN),
		     NUMBER(4, 21), TEXT(7, "alice"), TEXT(8, original_data),
		     TEXT(9, original_method), TEXT(11, "penstock-" PENSTOCK_VERSION));
}

static const struct frame *challenge(void)
{
	static struct frame frame;

	frame = FRAME(PULSAR_AUTH_CHALLENGE, TEXT(1, "broker"), TEXT(2, "\x0a\x05token\x12\x01?"),
		      NUMBER(3, 21));
	return &frame;
}

static const struct frame *connected(void)
{
	static struct frame frame;

	frame = FRAME(PULSAR_CONNECTED, TEXT(1, "broker"), NUMBER(2, 21));
	return &frame;
}

static void assert_emits(struct proto_verdict verdict, enum proto_what what, size_t taken,
			 const struct frame *want)
{
	assert_verdict(verdict, what, taken);
	assert_int_equal(verdict.bytes.len, want->len);
	assert_memory_equal(verdict.bytes.at, want->bytes, want->len);
}

static void assert_refused(struct proto_verdict verdict, enum close_reason reason)
{
	assert_int_equal(verdict.what, PROTO_REFUSE);
	assert_int_equal(verdict.reason, reason);
}

static void assert_answers(enum proto_channel channel, const struct frame *frame)
{
	const struct frame want = FRAME(PULSAR_AUTH_RESPONSE, TEXT(1, "client"),
					TEXT(2, "\x0a\x05token\x12\x09our-token"), NUMBER(3, 21));

	assert_needs_all(channel, frame);
	assert_emits(see_frame(channel, frame), PROTO_REPLY, frame->len, &want);
}

/* CONNECT is through. */
static void begin(const char *target)
{
	const struct frame client = connect_by("tls", "", target),
			   ours = connect_of_ours(NULL, NULL);

	assert_needs_all(PROTO_CLIENT, &client);
	assert_verdict(see_frame(PROTO_CLIENT, &client), PROTO_DIAL, 0);
	bench.proto.ops->dialled(&bench.proto);
	assert_verdict(see(PROTO_BROKER, "x", 1), PROTO_HOLD, 0);
	assert_emits(see_frame(PROTO_CLIENT, &client), PROTO_EMIT, client.len, &ours);
	assert_verdict(see(PROTO_CLIENT, NULL, 0), PROTO_NEED, 1);
}

static void begin_again(void)
{
	bench_context();
	bench.proto.ops->end(&bench.proto, &bench.context);
	proto_begin(&bench.proto, &proto_pulsar_ops, &bench.pools);
}

static void test_data(void **state)
{
	(void)state;
	set_role(false);
	begin("b0.sim:6650");
	assert_int_equal(bench.proto.kind, PROTO_KIND_DATA);
	for (int i = 0; i < 10; i++)
		assert_answers(PROTO_BROKER, challenge());
	assert_needs_all(PROTO_BROKER, connected());
	assert_verdict(see_frame(PROTO_BROKER, connected()), PROTO_PASS, connected()->len);
	bench_check_empty(); /* the client's CONNECT is not needed any more */
	assert_verdict(see(PROTO_CLIENT, "x", 1), PROTO_PASS, PROTO_ALL);
	assert_verdict(see(PROTO_BROKER, "x", 1), PROTO_PASS, PROTO_ALL);
}

static void test_lookup(void **state)
{
	const struct frame answer =
		FRAME(PULSAR_AUTH_RESPONSE, TEXT(1, "x"), TEXT(2, "\x0a\x05token\x12\x04mine"));
	const struct frame ping = FRAME(PULSAR_PING, { .number = 0 });

	(void)state;
	set_role(false);
	begin(NULL);
	assert_int_equal(bench.proto.kind, PROTO_KIND_LOOKUP);
	assert_answers(PROTO_BROKER, challenge());
	assert_verdict(see_frame(PROTO_BROKER, connected()), PROTO_PASS, connected()->len);
	for (int i = 0; i < 10; i++) /* renewal is ours, too */
		assert_answers(PROTO_BROKER, challenge());
	assert_verdict(see_frame(PROTO_CLIENT, &answer), PROTO_DROP, answer.len);
	assert_verdict(see_frame(PROTO_CLIENT, &ping), PROTO_PASS, ping.len);
	/* Nobody connects twice. */
	const struct frame again = connect_by("tls", "", NULL);

	assert_refused(see_frame(PROTO_CLIENT, &again), CLOSE_FRAME_UNEXPECTED);
}

static void test_early(void **state)
{
	(void)state;
	set_role(false);
	for (int is_data = 0; is_data < 2; is_data++) {
		begin(is_data ? "b0.sim:6650" : NULL);
		assert_refused(see(PROTO_CLIENT, "x", 1), CLOSE_ROLE_EARLY);
		begin_again();
	}
}

static void test_challenged_for_ever(void **state)
{
	(void)state;
	set_role(false);
	for (int is_data = 0; is_data < 2; is_data++) {
		begin(is_data ? "b0.sim:6650" : NULL);
		for (int i = 0; i < 10; i++)
			assert_answers(PROTO_BROKER, challenge());
		assert_refused(see_frame(PROTO_BROKER, challenge()), CLOSE_ROLE_REFUSED);
		assert_true(bench.context.refused.len > 0);
		begin_again();
	}
	/* While there is no room for an answer it waits, and is not counted. */
	begin("b0.sim:6650");
	bench.can_reply = false;
	for (int i = 0; i < 20; i++)
		assert_verdict(see_frame(PROTO_BROKER, challenge()), PROTO_HOLD, 0);
	bench.can_reply = true;
	assert_answers(PROTO_BROKER, challenge());
}

/* The client gets the broker's words; what is not about who we are passes. */
static void test_error(void **state)
{
	static const struct {
		uint64_t error;
		bool is_about_us;
	} rows[] = { { PULSAR_AUTHENTICATION_ERROR, true },
		     { PULSAR_AUTHORIZATION_ERROR, true },
		     { PULSAR_SERVICE_NOT_READY, false },
		     { 0, false } };

	(void)state;
	set_role(false);
	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		const struct frame error = FRAME(PULSAR_ERROR, NUMBER(1, UINT64_MAX),
						 NUMBER(2, rows[i / 2].error), TEXT(3, "no"));

		begin(i % 2 ? "b0.sim:6650" : NULL);
		if (i % 2 || rows[i / 2].is_about_us)
			for (size_t len = 0; len < error.len; len++)
				assert_int_not_equal(see(PROTO_BROKER, error.bytes, len).what,
						     PROTO_REFUSE);
		struct proto_verdict verdict = see_frame(PROTO_BROKER, &error);

		if (rows[i / 2].is_about_us) {
			assert_refused(verdict, CLOSE_ROLE_REFUSED);
			assert_int_equal(verdict.bytes.len, error.len);
			assert_memory_equal(verdict.bytes.at, error.bytes, error.len);
		} else {
			assert_verdict(verdict, PROTO_PASS, error.len);
		}
		begin_again();
	}
}

/* ---- who may connect ---- */

static void test_methods(void **state)
{
	static const struct {
		const char *method;
		enum close_reason reason, when_forwarding, when_passing;
	} rows[] = {
		{ "tls", CLOSE_NONE, CLOSE_NONE, CLOSE_AUTH_TLS },
		{ "none", CLOSE_NONE, CLOSE_NONE, CLOSE_NONE },
		{ "", CLOSE_NONE, CLOSE_NONE, CLOSE_NONE },
		{ "token", CLOSE_ROLE_METHOD, CLOSE_NONE, CLOSE_NONE },
		{ "TLS", CLOSE_ROLE_METHOD, CLOSE_NONE, CLOSE_NONE },
		{ "\xff", CLOSE_ROLE_METHOD, CLOSE_ROLE_METHOD, CLOSE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < 3 * COUNT_OF(rows); i++) {
		const struct frame frame = connect_by(rows[i / 3].method, "x", "b0.sim:6650");
		enum close_reason reason = i % 3 == 0	? rows[i / 3].reason
					   : i % 3 == 1 ? rows[i / 3].when_forwarding
							: rows[i / 3].when_passing;

		set_role(i % 3 == 1);
		if (i % 3 == 2)
			end_role();
		if (reason == CLOSE_NONE)
			assert_verdict(see_frame(PROTO_CLIENT, &frame), PROTO_DIAL, 0);
		else
			assert_refused(see_frame(PROTO_CLIENT, &frame), reason);
		begin_again();
	}
}

static void test_old_methods(void **state)
{
	(void)state;
	set_role(true);
	for (uint64_t method = 0; method < 3; method++) {
		const struct frame frame =
			FRAME(PULSAR_CONNECT, TEXT(1, "c"), NUMBER(2, method), TEXT(3, "x"));

		if (method == 0)
			assert_verdict(see_frame(PROTO_CLIENT, &frame), PROTO_DIAL, 0);
		else
			assert_refused(see_frame(PROTO_CLIENT, &frame), CLOSE_ROLE_METHOD);
		begin_again();
	}
}

static void test_nobody(void **state)
{
	const struct frame frame = connect_by("tls", "", NULL);

	(void)state;
	set_role(false);
	bench.principal = NULL;
	assert_refused(see_frame(PROTO_CLIENT, &frame), CLOSE_ROLE_NO_PRINCIPAL);
	bench.principal = "";
	assert_refused(see_frame(PROTO_CLIENT, &frame), CLOSE_ROLE_NO_PRINCIPAL);
}

static void test_forwarded(void **state)
{
	const struct frame client = connect_by("token", "its own", "b0.sim:6650");
	const struct frame ours = connect_of_ours("its own", "token");

	(void)state;
	set_role(true);
	assert_verdict(see_frame(PROTO_CLIENT, &client), PROTO_DIAL, 0);
	bench.proto.ops->dialled(&bench.proto);
	assert_emits(see_frame(PROTO_CLIENT, &client), PROTO_EMIT, client.len, &ours);

	/* The method tls would be judged by the certificate the broker sees: ours. */
	static const char *const methods[] = { "tls", "none", "" };
	const struct frame bare = connect_of_ours(NULL, NULL);

	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		const struct frame frame = connect_by(methods[i], "x", NULL);

		begin_again();
		assert_verdict(see_frame(PROTO_CLIENT, &frame), PROTO_DIAL, 0);
		bench.proto.ops->dialled(&bench.proto);
		assert_emits(see_frame(PROTO_CLIENT, &frame), PROTO_EMIT, frame.len, &bare);
	}
}

/* Fields that say on whose behalf one comes, in every frame that has them, in every mode. */
static void test_spoofed(void **state)
{
	static const struct {
		enum pulsar_type type;
		uint32_t field;
	} rows[] = {
		{ PULSAR_LOOKUP, 4 },
		{ PULSAR_LOOKUP, 5 },
		{ PULSAR_LOOKUP, 6 },
		{ PULSAR_PARTITIONED_METADATA, 3 },
		{ PULSAR_PARTITIONED_METADATA, 4 },
		{ PULSAR_PARTITIONED_METADATA, 5 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		const struct frame frame = FRAME(rows[i / 2].type, TEXT(1, "persistent://t/n/x"),
						 NUMBER(2, 1), TEXT(rows[i / 2].field, ""));

		if (i % 2) {
			set_role(false);
			begin(NULL);
			assert_verdict(see_frame(PROTO_BROKER, connected()), PROTO_PASS,
				       connected()->len);
		} else {
			end_role();
			bench_open_lookup(true);
		}
		assert_needs_all(PROTO_CLIENT, &frame);
		assert_refused(see_frame(PROTO_CLIENT, &frame), CLOSE_SPOOFED_ORIGINAL);
		begin_again();
	}
}

static void test_metadata(void **state)
{
	const struct frame frame = FRAME(PULSAR_PARTITIONED_METADATA, TEXT(1, "persistent://t/n/x"),
					 NUMBER(2, 1), NUMBER(6, 0));

	(void)state;
	bench_open_lookup(true);
	assert_needs_all(PROTO_CLIENT, &frame);
	assert_verdict(see_frame(PROTO_CLIENT, &frame), PROTO_PASS, frame.len);
	assert_int_equal(stat_get(&bench.stats, STAT_PARTITION_METADATA), 1);
}

/* Too long to be looked at: in role mode it does not pass unseen. */
static void test_too_long(void **state)
{
	static const uint32_t types[] = { PULSAR_LOOKUP, PULSAR_PARTITIONED_METADATA,
					  PULSAR_AUTH_RESPONSE };

	(void)state;
	set_role(false);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		const struct frame frame =
			make_padded(types[i],
				    (const struct field[]){ NUMBER(2, 7), { .number = 0 } }, 70000);

		begin(NULL);
		assert_verdict(see_frame(PROTO_BROKER, connected()), PROTO_PASS, connected()->len);
		assert_refused(see(PROTO_CLIENT, frame.bytes, 12), CLOSE_FRAME_TOO_BIG);
		begin_again();
	}
}

/* A reload while the broker is dialled: what was checked for one mode does not go on in another. */
static void test_reload(void **state)
{
	const struct frame tls = connect_by("tls", "", "b0.sim:6650");
	const struct frame token = connect_by("token", "its own", "b0.sim:6650");

	(void)state;
	set_role(false);
	assert_verdict(see_frame(PROTO_CLIENT, &tls), PROTO_DIAL, 0);
	bench.proto.ops->dialled(&bench.proto);
	end_role();
	assert_refused(see_frame(PROTO_CLIENT, &tls), CLOSE_AUTH_TLS);
	begin_again();
	assert_verdict(see_frame(PROTO_CLIENT, &token), PROTO_DIAL, 0);
	bench.proto.ops->dialled(&bench.proto);
	set_role(true);
	assert_refused(see_frame(PROTO_CLIENT, &token), CLOSE_LISTENER_GONE);
}

/* ---- side connections ---- */

static void greet(struct frame *ret)
{
	struct sink sink = sink_of(ret->bytes, sizeof(ret->bytes));

	bench_context();
	bench.proto.ops->side_greet(&bench.proto, 0, &bench.context, &sink);
	ret->len = sink.full ? 0 : sink.len;
}

static void test_side(void **state)
{
	const struct frame ours = connect_of_ours(NULL, NULL);
	const struct frame error = FRAME(PULSAR_ERROR, NUMBER(1, UINT64_MAX),
					 NUMBER(2, PULSAR_AUTHENTICATION_ERROR), TEXT(3, "no"));
	struct frame said;

	(void)state;
	set_role(false);
	begin(NULL);
	assert_verdict(see_frame(PROTO_BROKER, connected()), PROTO_PASS, connected()->len);
	greet(&said);
	assert_int_equal(said.len, ours.len);
	assert_memory_equal(said.bytes, ours.bytes, ours.len);
	assert_answers(PROTO_SIDE, challenge());
	assert_refused(see_frame(PROTO_SIDE, &error), CLOSE_ROLE_REFUSED);
	assert_verdict(see_frame(PROTO_SIDE, connected()), PROTO_DROP, connected()->len);
	assert_answers(PROTO_SIDE, challenge());
	end_role(); /* nothing is left to say hello with */
	greet(&said);
	assert_int_equal(said.len, 0);
}

/* With what the client has renewed meanwhile. */
static void test_side_forwarding(void **state)
{
	const struct frame client = connect_by("token", "first", NULL);
	const struct frame answer =
		FRAME(PULSAR_AUTH_RESPONSE, TEXT(1, "x"), TEXT(2, "\x0a\x05token\x12\x06second"));
	struct frame said, want;

	(void)state;
	set_role(true);
	assert_verdict(see_frame(PROTO_CLIENT, &client), PROTO_DIAL, 0);
	bench.proto.ops->dialled(&bench.proto);
	assert_int_equal(see_frame(PROTO_CLIENT, &client).what, PROTO_EMIT);
	assert_verdict(see_frame(PROTO_BROKER, connected()), PROTO_PASS, connected()->len);
	/* It is the client's to answer: the broker asks for what it verifies itself. */
	assert_verdict(see_frame(PROTO_BROKER, challenge()), PROTO_PASS, challenge()->len);
	assert_verdict(see_frame(PROTO_CLIENT, &answer), PROTO_PASS, answer.len);
	greet(&said);
	want = connect_of_ours("second", "token");
	assert_int_equal(said.len, want.len);
	assert_memory_equal(said.bytes, want.bytes, want.len);
	assert_verdict(see_frame(PROTO_SIDE, connected()), PROTO_DROP, connected()->len);
	assert_refused(see_frame(PROTO_SIDE, challenge()), CLOSE_BROKER_GONE);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_data),
		BENCH_TEST(test_lookup),
		BENCH_TEST(test_early),
		BENCH_TEST(test_challenged_for_ever),
		BENCH_TEST(test_error),
		BENCH_TEST(test_methods),
		BENCH_TEST(test_old_methods),
		BENCH_TEST(test_nobody),
		BENCH_TEST(test_forwarded),
		BENCH_TEST(test_spoofed),
		BENCH_TEST(test_metadata),
		BENCH_TEST(test_too_long),
		BENCH_TEST(test_reload),
		BENCH_TEST(test_side),
		BENCH_TEST(test_side_forwarding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
