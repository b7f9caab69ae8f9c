/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar: the first frame at every split offset and with bytes glued behind it, what it makes
 * of a connection, and every way to be refused.
 */
#include "test_proto_harness.h"

/* ---- CONNECT ---- */

static struct frame connect_frame(const char *target)
{
	if (target == NULL)
		return FRAME(PULSAR_CONNECT, TEXT(1, "client"), TEXT(5, "token"), TEXT(3, "secret"),
			     NUMBER(4, 21), TEXT(99, "unknown"));
	return FRAME(PULSAR_CONNECT, TEXT(1, "client"), TEXT(6, target), TEXT(5, "token"),
		     TEXT(3, "secret"), NUMBER(4, 21), TEXT(99, "unknown"));
}

/* Shown the same bytes again, before the dial is done, the brain says the same. */
static void assert_dials(const struct frame *shown, const char *target)
{
	for (int i = 0; i < 2; i++) {
		struct proto_verdict verdict = see_frame(PROTO_CLIENT, shown);

		assert_verdict(verdict, PROTO_DIAL, 0);
		assert_span(verdict.target, target);
	}
}

static void data_connection(const char *target, const char *glued)
{
	const struct frame frame = connect_frame(target), bare = connect_frame(NULL);
	const struct frame shown = glue(&frame, glued, strlen(glued));

	assert_needs_all(PROTO_CLIENT, &frame);
	assert_dials(&shown, target);
	assert_int_equal(bench.proto.kind, PROTO_KIND_DATA);
	assert_int_equal(bench.pools.keep_small.in_use, 0); /* nothing to be replayed */
	bench.proto.ops->dialled(&bench.proto);
	/* The broker has nothing to say before CONNECT. */
	assert_verdict(see(PROTO_BROKER, "x", 1), PROTO_HOLD, 0);

	struct proto_verdict verdict = see_frame(PROTO_CLIENT, &shown);

	assert_verdict(verdict, PROTO_EMIT, frame.len); /* and not a byte of what is glued on */
	assert_int_equal(verdict.bytes.len, bare.len);
	assert_memory_equal(verdict.bytes.at, bare.bytes, bare.len);
	assert_verdict(see(PROTO_CLIENT, glued, strlen(glued)), PROTO_PASS, PROTO_ALL);
	assert_verdict(see(PROTO_CLIENT, NULL, 0), PROTO_PASS, PROTO_ALL);
	assert_verdict(see(PROTO_BROKER, "x", 1), PROTO_PASS, PROTO_ALL);
}

static void test_data(void **state)
{
	(void)state;
	data_connection("broker-1.example.com:6650", "");
}

static void test_data_glued(void **state)
{
	(void)state;
	data_connection("10.0.0.1:6650", "whatever follows, in whatever form");
}

/* Field 6 that is there and empty: any broker. */
static void test_any_broker(void **state)
{
	(void)state;
	data_connection("", "glued");
}

static void test_lookup(void **state)
{
	const struct frame frame = connect_frame(NULL);
	const struct frame ping = FRAME(PULSAR_PING, { .number = 0 });
	const struct frame shown = glue(&frame, ping.bytes, ping.len);

	(void)state;
	assert_needs_all(PROTO_CLIENT, &frame);
	assert_dials(&shown, "");
	assert_int_equal(bench.proto.kind, PROTO_KIND_LOOKUP);
	assert_int_equal(bench.pools.keep_small.in_use, 1); /* once, though it was seen twice */
	bench.proto.ops->dialled(&bench.proto);
	assert_verdict(see_frame(PROTO_CLIENT, &shown), PROTO_PASS, frame.len);
	assert_verdict(see_frame(PROTO_CLIENT, &ping), PROTO_PASS, ping.len);
	assert_verdict(see_frame(PROTO_BROKER, &ping), PROTO_PASS, ping.len);
}

/* A CONNECT with a big token is kept in a big place, a bigger one than any place is refused. */
static void test_big_connect(void **state)
{
	static char token[65000];

	(void)state;
	memset(token, 'x', sizeof(token) - 1);
	const struct frame frame = FRAME(PULSAR_CONNECT, TEXT(1, "c"), TEXT(3, token));

	assert_verdict(see_frame(PROTO_CLIENT, &frame), PROTO_DIAL, 0);
	assert_int_equal(bench.pools.keep_small.in_use, 0);
	assert_int_equal(bench.pools.keep_big.in_use, 1);
	bench.proto.ops->dialled(&bench.proto);
	assert_verdict(see_frame(PROTO_CLIENT, &frame), PROTO_PASS, frame.len);
	bench.proto.ops->end(&bench.proto, &bench.context);
	bench_check_empty();
	const uint8_t *kept = pool_at(&bench.pools.keep_big, 0);

	for (size_t i = 0; i < bench.pools.keep_big.size; i++)
		assert_int_not_equal(kept[i], 'x'); /* wiped */
}

/* ---- refusals ---- */

static void assert_refused(const void *bytes, size_t len, enum close_reason reason)
{
	struct proto_verdict verdict = see(PROTO_CLIENT, bytes, len);

	assert_int_equal(verdict.what, PROTO_REFUSE);
	assert_int_equal(verdict.reason, reason);
}

static void test_wrong_protocol(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum close_reason reason;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n", 16, CLOSE_NOT_PULSAR_HTTP },
		{ "POST /admin HTTP/1.1\r\n", 22, CLOSE_NOT_PULSAR_HTTP },
		{ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9, CLOSE_NOT_PULSAR_TLS },
		{ "SSH-2.0-OpenSSH", 15, CLOSE_NOT_PULSAR_SSH },
		{ "\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05", 14,
		  CLOSE_NOT_PULSAR_KAFKA },
		{ "PROXY TCP4 1.2.3.4", 18, CLOSE_PROXY_UNTRUSTED },
		{ "\x00\x00\x00\x00", 4, CLOSE_FRAME_ZERO },
		{ "\x00\x00\x00\x05", 4, CLOSE_FRAME_ZERO },
		{ "\x00\x00\xff\xfd", 4, CLOSE_FRAME_TOO_BIG },
		{ "\x7f\xff\xff\xff\x00\x00\x00\x04\x08\x02", 10, CLOSE_FRAME_TOO_BIG },
		{ "\x00\x00\x00\x08\x7f\xff\xff\xff\x08\x02\x12\x00", 12, CLOSE_FRAME_MALFORMED },
		{ "\x00\x00\x00\x08\x00\x00\x00\x01\x08\x02\x12\x00", 12, CLOSE_FRAME_MALFORMED },
		/* A varint that never ends, a length that overruns, a wrong wire type. */
		{ "\x00\x00\x00\x10\x00\x00\x00\x0c\x08\x02\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		  20, CLOSE_FRAME_MALFORMED },
		{ "\x00\x00\x00\x0a\x00\x00\x00\x06\x08\x02\x12\x7f\x0a\x00", 14,
		  CLOSE_FRAME_MALFORMED },
		{ "\x00\x00\x00\x0a\x00\x00\x00\x06\x08\x02\x12\x02\x30\x01", 14,
		  CLOSE_FRAME_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct proto_verdict verdict = see(PROTO_CLIENT, rows[i].bytes, rows[i].len);

		if (verdict.what != PROTO_REFUSE || verdict.reason != rows[i].reason)
			print_error("row %zu: verdict %d, reason %s\n", i, (int)verdict.what,
				    close_rows[verdict.reason].name);
		assert_refused(rows[i].bytes, rows[i].len, rows[i].reason);
	}
}

static void test_unexpected(void **state)
{
	const struct frame lookup = FRAME(PULSAR_LOOKUP, TEXT(1, "topic"), NUMBER(2, 1));
	const struct frame unknown = FRAME(200, NUMBER(1, 1));

	(void)state;
	assert_refused(lookup.bytes, lookup.len, CLOSE_FRAME_UNEXPECTED);
	assert_refused(unknown.bytes, unknown.len, CLOSE_FRAME_UNEXPECTED);
	/* Told at once, without waiting for the rest. */
	assert_refused(lookup.bytes, 10, CLOSE_FRAME_UNEXPECTED);
}

/* Only a proxy may say on whose behalf it comes. */
static void test_spoofed(void **state)
{
	static const uint32_t fields[] = { 7, 8, 9, 11 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		const struct frame frame =
			FRAME(PULSAR_CONNECT, TEXT(1, "c"), TEXT(fields[i], "admin"));

		assert_refused(frame.bytes, frame.len, CLOSE_SPOOFED_ORIGINAL);
	}
	assert_int_equal(bench.pools.keep_small.in_use, 0);
}

/* A limit of 64 KiB is a frame of 64 KiB, its length field included. */
static void test_longest(void **state)
{
	const struct frame longest =
		make_padded(PULSAR_CONNECT, (const struct field[]){ TEXT(1, "c"), { .number = 0 } },
			    65536 - 4 - 4 - 2 - 2 - 3);

	(void)state;
	assert_int_equal(longest.len, 65536);
	assert_verdict(see_frame(PROTO_CLIENT, &longest), PROTO_DIAL, 0);
}

/* What the client reads: nothing where it would not understand, else one ERROR. */
static void test_refuse(void **state)
{
	(void)state;
	for (int reason = CLOSE_NONE + 1; reason < CLOSE_COUNT; reason++) {
		uint8_t bytes[1024];
		struct sink sink = sink_of(bytes, sizeof(bytes));
		struct pulsar_head head;
		size_t need;

		bench.proto.ops->refuse(&bench.proto, (enum close_reason)reason, &sink);
		if (sink.len == 0)
			continue;
		assert_false(sink.full);
		assert_int_equal(pulsar_head(sink_written(&sink), &head, &need), WIRE_OK);
		assert_int_equal(head.type, PULSAR_ERROR);
		assert_int_equal(head.frame_size, sink.len);
		assert_true(error_of(sink_written(&sink), 1) == UINT64_MAX); /* the connection */

		uint64_t error = error_of(sink_written(&sink), 2);
		bool is_denied =
			reason >= CLOSE_TARGET_HOST_DENIED && reason <= CLOSE_TARGET_SPECIAL_DENIED;

		bool is_identity = reason >= CLOSE_AUTH_TLS && reason <= CLOSE_ROLE_METHOD;

		if (is_identity || reason == CLOSE_ROLE_REFUSED)
			assert_int_equal(error, PULSAR_AUTHENTICATION_ERROR);
		else
			assert_true(error == PULSAR_NOT_ALLOWED ||
				    error == PULSAR_SERVICE_NOT_READY);
		if (is_denied)
			assert_int_equal(error, PULSAR_NOT_ALLOWED);
		if (reason == CLOSE_CONNECT_TIMEOUT || reason == CLOSE_NO_BROKER)
			assert_int_equal(error, PULSAR_SERVICE_NOT_READY);
	}
}

static void test_refuse_in_silence(void **state)
{
	static const enum close_reason silent[] = {
		CLOSE_NOT_PULSAR_HTTP, CLOSE_NOT_PULSAR_TLS, CLOSE_NOT_PULSAR_KAFKA,
		CLOSE_NOT_PULSAR_SSH,  CLOSE_PROXY_MISSING,  CLOSE_PROXY_MALFORMED,
		CLOSE_PROXY_UNTRUSTED,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(silent); i++) {
		uint8_t bytes[1024];
		struct sink sink = sink_of(bytes, sizeof(bytes));

		bench.proto.ops->refuse(&bench.proto, silent[i], &sink);
		assert_int_equal(sink.len, 0);
	}
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_data),
		BENCH_TEST(test_data_glued),
		BENCH_TEST(test_any_broker),
		BENCH_TEST(test_lookup),
		BENCH_TEST(test_big_connect),
		BENCH_TEST(test_wrong_protocol),
		BENCH_TEST(test_unexpected),
		BENCH_TEST(test_spoofed),
		BENCH_TEST(test_longest),
		BENCH_TEST(test_refuse),
		BENCH_TEST(test_refuse_in_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
