/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_hello: what real clients begin with (tests/vectors/hello), ended here: in pieces cut
 * anywhere, read by somebody else before or still in the socket. What comes of it never depends on
 * the cut, and until the hello is whole nothing is said and no slot is taken.
 */
#include <sys/socket.h>

#include "tls_talk.h"

#define MOST 65536

/* What becomes of a client. */
struct outcome {
	enum tls_progress progress;
	enum tls_fail why;
	uint8_t alert;
	uint8_t answer; /* the type of the record we answered with; 0: none */
};

static const struct vector {
	const char *file, *name;
	struct outcome outcome;
} vectors[] = {
#define ANSWERED                                                    \
	{                                                           \
		TLS_WANT_READ, TLS_FAIL_NONE, 0, TLS_TYPE_HANDSHAKE \
	}
#define REFUSED(why, alert)                                       \
	{                                                         \
		TLS_FAILED, TLS_FAIL_##why, alert, TLS_TYPE_ALERT \
	}
	{ "gnutls2", "pulsar-broker1.example.com", ANSWERED },
	{ "java_10.0.0.1", NULL, ANSWERED },
	{ "java_pulsar-broker1", NULL, ANSWERED },
	{ "java_pulsar-broker1.example.com", "pulsar-broker1.example.com", ANSWERED },
	{ "node", "pulsar-broker1.example.com", ANSWERED },
	{ "openssl30", "pulsar-broker1.example.com", ANSWERED },
	{ "openssl30_nosni", NULL, ANSWERED },
	{ "openssl30_tls12", "pulsar-broker1", ANSWERED },
	{ "openssl35", "pulsar-broker1.example.com", ANSWERED },
	/* 22 KB: routing takes it, wolfSSL's handshake messages end at 18 KB. */
	{ "ossl35_bigalpn", "pulsar-broker1.example.com", REFUSED(DECODE, 50) },
	{ "ossl35_frag512", "pulsar-broker1.example.com", ANSWERED },
	{ "ossl_frag512", "pulsar-broker1.example.com", ANSWERED },
	{ "python", "pulsar-broker1", ANSWERED },
	{ "split1", "pulsar-broker1.example.com", ANSWERED },
	{ "split_mid", "pulsar-broker1.example.com", ANSWERED },
	{ "sslv2", NULL, REFUSED(HELLO, 70) },
	{ "wolf554", "pulsar-broker1.example.com", ANSWERED },
	{ "wolf592", "pulsar-broker1.example.com", ANSWERED },
	/* Its key share is of a group this wolfSSL does not know: HelloRetryRequest. */
	{ "wolf592pq", "pulsar-broker1.example.com", ANSWERED },
};

static uint8_t hello[MOST];

static size_t load(const char *file)
{
	char path[100];

	(void)snprintf(path, sizeof(path), "tests/vectors/hello/%s.bin", file);
	FILE *in = fopen(path, "rb");

	if (in == NULL)
		fail_msg("%s: run the test from the top of the tree", path);
	size_t len = fread(hello, 1, sizeof(hello), in);

	assert_true(len > 0 && len < sizeof(hello));
	assert_int_equal(fclose(in), 0);
	return len;
}

/* A connection whose client is the test itself. */
static void begin(struct talk *talk, size_t replayed)
{
	int fds[2];

	assert_int_equal(net_ktls_pair(fds), 0);
	*talk = (struct talk){ .bench = { .fd = fds[1], .peer_fd = fds[0] } };
	assert_int_equal(tls_begin_server(talk_tls, talk_server, fds[1], span_of(hello, replayed),
					  &talk->end),
			 0);
}

static void end(struct talk *talk)
{
	tls_end_put(talk->end);
	net_close(talk->bench.fd, true);
	net_close(talk->bench.peer_fd, true);
}

static uint8_t answer_of(const struct talk *talk)
{
	uint8_t byte = 0;

	return recv(talk->bench.peer_fd, &byte, 1, MSG_DONTWAIT) == 1 ? byte : 0;
}

/* `first` bytes have been read by somebody, those up to `second` are there, the rest comes later.
 */
static void check_cut(const struct vector *vector, size_t len, size_t first, size_t second)
{
	struct talk talk;
	enum tls_progress progress;

	begin(&talk, first);
	talk_arrive(&talk, hello + first, second - first);
	progress = tls_handshake(talk.end);
	/* An SSL 2.0 hello is known by less than all of it. */
	if (second < len && progress != TLS_FAILED) {
		assert_int_equal(progress, TLS_WANT_READ);
		assert_int_equal(answer_of(&talk), 0);
		assert_false(tls_has_slot(talk.end));
		assert_false(talk_is_readable(&talk));
		talk_arrive(&talk, hello + second, len - second);
		assert_true(talk_is_readable(&talk));
		progress = tls_handshake(talk.end);
	}
	if (progress != vector->outcome.progress || tls_why(talk.end) != vector->outcome.why ||
	    tls_why_alert(talk.end) != vector->outcome.alert)
		fail_msg("%s, %zu and %zu of %zu: %d, %s (%s), alert %d", vector->file, first,
			 second, len, progress, tls_fail_rows[tls_why(talk.end)].name,
			 tls_why_detail(talk.end), tls_why_alert(talk.end));
	assert_int_equal(answer_of(&talk), vector->outcome.answer);
	if (progress == TLS_WANT_READ) {
		assert_int_equal(tls_replay_left(talk.end), 0);
		assert_int_equal(talk_queued(&talk), 0);
		if (vector->name != NULL)
			assert_span(talk.end->slot->result.server_name, vector->name);
		else
			assert_int_equal(talk.end->slot->result.server_name.len, 0);
		/* Woken again by any byte. */
		talk_arrive(&talk, (const uint8_t *)"x", 1);
		assert_true(talk_is_readable(&talk));
	}
	end(&talk);
}

static void vectors_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		size_t len = load(vectors[i].file);
		size_t step = 1 + len / 80;

		for (size_t cut = 0; cut <= len; cut += step) {
			check_cut(&vectors[i], len, 0, cut);
			check_cut(&vectors[i], len, cut, len);
			check_cut(&vectors[i], len, cut / 2, cut);
		}
		check_cut(&vectors[i], len, len, len);
		check_cut(&vectors[i], len, 0, len - 1);
		check_cut(&vectors[i], len, len - 1, len - 1);
	}
}

/* One of them at every offset. */
static void every_offset(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		if (strcmp(vectors[i].file, "openssl30") != 0)
			continue;
		size_t len = load(vectors[i].file);

		for (size_t cut = 0; cut <= len; cut++) {
			check_cut(&vectors[i], len, 0, cut);
			check_cut(&vectors[i], len, cut, len);
		}
	}
}

/* A client that goes away at any offset. */
static void gone_anywhere(void **state)
{
	size_t len = load("openssl30");

	(void)state;
	for (size_t cut = 0; cut < len; cut += 3) {
		for (int is_replayed = 0; is_replayed < 2; is_replayed++) {
			struct talk talk;
			enum tls_progress progress = TLS_WANT_READ;

			begin(&talk, is_replayed ? cut : 0);
			if (!is_replayed)
				talk_arrive(&talk, hello, cut);
			assert_int_equal(net_shutdown_write(talk.bench.peer_fd), 0);
			for (int turn = 0; progress == TLS_WANT_READ && turn < 10; turn++) {
				bench_wait(talk.bench.fd, POLLIN);
				progress = tls_handshake(talk.end);
			}
			assert_int_equal(progress, TLS_FAILED);
			assert_int_equal(tls_why(talk.end), TLS_FAIL_GONE);
			assert_int_equal(answer_of(&talk), 0);
			end(&talk);
		}
	}
}

/* In records of `each` bytes. */
static size_t cut_into_records(const uint8_t *bytes, size_t len, size_t each, uint8_t *out)
{
	struct sink sink = sink_of(out, MOST);

	assert_int_equal(len, TLS_HEADER_BYTES + (size_t)(bytes[3] << 8 | bytes[4]));
	for (size_t at = TLS_HEADER_BYTES; at < len; at += each) {
		size_t part = len - at < each ? len - at : each;

		sink_bytes(&sink, "\26\3\1", 3);
		sink_u16(&sink, (uint16_t)part);
		sink_bytes(&sink, bytes + at, part);
	}
	assert_false(sink.full);
	return sink.len;
}

/* And all of the handshake behind such a hello, of either version, with keys that can be changed.
 */
static void shaken_after_any_records(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 50, 200 };
	static uint8_t records[MOST];

	(void)state;
	for (size_t suite = 0; suite < TALK_SUITES; suite++) {
		for (size_t i = 0; i < COUNT_OF(sizes); i++) {
			int version = talk_suites[suite].version == TLS_1_3 ? TLS1_3_VERSION
									    : TLS1_2_VERSION;
			BIO *held = BIO_new(BIO_s_mem());
			struct talk talk = { .sealed = NULL };
			struct bench *bench = &talk.bench;

			bench_begin(bench, talk_tls, talk_server, talk_ssl_client, NULL);
			SSL_set_max_proto_version(bench->ssl, version);
			SSL_set0_wbio(bench->ssl, held);
			bench_step_peer(bench);
			size_t len = (size_t)BIO_read(held, hello, sizeof(hello));
			len = cut_into_records(hello, len, sizes[i], records);
			assert_int_equal(SSL_set_fd(bench->ssl, bench->peer_fd), 1);
			talk_arrive(&talk, records, len);
			bench_connect(bench);
			bench_start(bench);
			assert_int_equal(SSL_write(bench->ssl, "fine", 4), 4);
			bench_recv_all(bench, hello, 4, 4);
			if (version == TLS1_3_VERSION) {
				assert_int_equal(SSL_key_update(bench->ssl,
								SSL_KEY_UPDATE_REQUESTED),
						 1);
				assert_int_equal(SSL_write(bench->ssl, "again", 5), 5);
				bench_recv_all(bench, hello, 5, 5);
				assert_int_equal(tls_send(bench->end, "too", 3), 3);
				assert_int_equal(bench_peer_read(bench, hello, 3), 3);
			}
			bench_end(bench);
		}
	}
	assert_int_equal(bench_count(STAT_TLS_NO_SECRET), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shaken_after_any_records),
		cmocka_unit_test(vectors_cut_anywhere),
		cmocka_unit_test(every_offset),
		cmocka_unit_test(gone_anywhere),
	};

	(void)alarm(300); /* not for ever */
	return cmocka_run_group_tests(tests, talk_set_up, talk_tear_down);
}
