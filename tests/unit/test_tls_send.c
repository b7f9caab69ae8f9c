/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_send: a socket that takes as many bytes as the test says and then none, so that records are
 * cut at every offset; OpenSSL tells whether what comes of it is TLS.
 */
#define _GNU_SOURCE
#include "tls_talk.h"

#define MOST 100000

static uint8_t sent[MOST], got[MOST];

/* ---- a socket that is full when the test wants ---------------------------------------------- */

#define UNLIMITED SIZE_MAX

static size_t socket_room = UNLIMITED; /* bytes it takes altogether */
static size_t socket_step = UNLIMITED; /* in one call */

/* What src/tls calls instead of net_send (unit.mk). */
ssize_t limited_send(int fd, const void *bytes, size_t len);

ssize_t limited_send(int fd, const void *bytes, size_t len)
{
	size_t most = socket_room < socket_step ? socket_room : socket_step;

	if (most == 0)
		return -EAGAIN;

	ssize_t n = net_send(fd, bytes, len < most ? len : most);

	if (n > 0 && socket_room != UNLIMITED)
		socket_room -= (size_t)n;
	return n;
}

/* A kernel that seals: it takes a record and says so, though the socket has no room for it, and is
 * then not writable until all of it is out. Its side of that is shown in tests/ktls. */
static struct {
	bool is_there;
	bool is_full;
	bool has_fin;
	uint32_t alerts;
} kernel;

int limited_shutdown(int fd);
bool limited_is_writable(int fd);
ssize_t limited_ktls_send(int fd, uint8_t type, const void *bytes, size_t len);

bool limited_is_writable(int fd)
{
	return kernel.is_there ? !kernel.is_full : net_is_writable(fd);
}

int limited_shutdown(int fd)
{
	if (!kernel.is_there)
		return net_shutdown_write(fd);
	kernel.has_fin = true;
	return 0;
}

ssize_t limited_ktls_send(int fd, uint8_t type, const void *bytes, size_t len)
{
	(void)fd, (void)bytes;
	assert_false(kernel.is_full);
	kernel.is_full = true;
	kernel.alerts += type == TLS_TYPE_ALERT;
	return (ssize_t)len;
}

/* ---- helpers -------------------------------------------------------------------------------- */

#define EACH_TALK(suite, is_server)                            \
	for (size_t suite = 0; (suite) < TALK_SUITES; suite++) \
		for (int is_server = 0; (is_server) < 2; is_server++)

/* As a lane does: on from where it stopped. False: the socket is full. */
static bool send_on(struct talk *talk, size_t *done, size_t len)
{
	while (*done < len) {
		ssize_t n = tls_send(talk->end, sent + *done, len - *done);

		if (n == -EAGAIN)
			return false;
		assert_true(n > 0 && (size_t)n <= len - *done);
		*done += (size_t)n;
	}
	return true;
}

static void expect_sent(struct talk *talk, size_t len)
{
	memset(got, 0, len);
	assert_int_equal(bench_peer_read(&talk->bench, got, len), len);
	assert_memory_equal(got, sent, len);
}

static void expect_close(struct talk *talk)
{
	assert_int_equal(tls_shutdown_write(talk->end), 0);
	assert_int_equal(bench_peer_read(&talk->bench, got, 1), 0);
	assert_int_equal(SSL_get_shutdown(talk->ssl), SSL_RECEIVED_SHUTDOWN);
}

/* The answer to a wish for a new key has arrived, when it returns. */
static void ask_for_key(struct talk *talk)
{
	static uint8_t wire[1000];
	uint8_t byte;

	talk_update_key(talk, true);
	talk_arrive(talk, wire, talk_sealed(talk, wire, sizeof(wire)));
	assert_int_equal(tls_recv(talk->end, &byte, 1), -EAGAIN);
}

/* ---- a flight that does not fit -------------------------------------------------------------- */

#define CHAIN 2

/* So many names that each certificate has 7.5 KB. */
static char *many_names(void)
{
	static char names[8300];
	size_t len = (size_t)snprintf(names, sizeof(names), "DNS:peer.example.com");

	for (int i = 0; len + 32 < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, ",DNS:n%06d.example.com",
					i);
	return names;
}

/* 15 KB of certificates. */
static struct tls_context *make_long_chain(struct pki_cert chain[CHAIN])
{
	char file[128];

	pki_path(file, "chain", "pem");
	for (int i = 0; i < CHAIN; i++) {
		char name[32];
		const struct pki_wish wish = { .common_name = "long", .names = many_names() };

		(void)snprintf(name, sizeof(name), "long-%d", i);
		chain[i] = pki_issue(name, &wish, &talk_ca, NULL);
	}

	FILE *out = pki_create(file);

	for (int i = 0; i < CHAIN; i++)
		PEM_write_X509(out, chain[i].cert);
	fclose(out);

	const struct tls_certificate only = { .cert_file = file, .key_file = chain[0].key_file };
	struct tls_context *context =
		tls_context_server(&(struct tls_server_params){ .certificates = &only,
								.certificate_count = 1 },
				   &bench_report);

	if (context == NULL)
		fail_msg("%s", bench_said);
	return context;
}

/* wolfSSL has to wait for room in the middle of its flight, time and again, and goes on. */
static void flight_in_pieces(void **state)
{
	struct pki_cert chain[CHAIN];
	struct tls_context *context = make_long_chain(chain);

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		uint32_t waits = 0;
		struct bench bench;

		bench_begin(&bench, talk_tls, context, talk_ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, version);
		for (int turn = 0; turn < 1000 && (bench.progress != TLS_DONE ||
						   bench.ssl_error != SSL_ERROR_NONE);
		     turn++) {
			socket_room = 700;
			bench_step_peer(&bench);
			if (bench.progress != TLS_DONE)
				bench.progress = tls_handshake(bench.end);
			waits += bench.progress == TLS_WANT_WRITE;
		}
		socket_room = UNLIMITED;
		bench_connect(&bench);
		assert_in_range(waits, 15, 100);
		assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(bench.ssl)), CHAIN);
		bench_start(&bench);
		bench_peer_write(&bench, (const uint8_t *)"x", 1);
		bench_recv_all(&bench, got, 1, 1);
		assert_int_equal(got[0], 'x');
		bench_end(&bench);
	}
	assert_int_equal(bench_count(STAT_TLS_NO_SECRET), 0);
	tls_context_put(context);
	for (int i = 0; i < CHAIN; i++)
		pki_free(&chain[i]);
}

/* ---- records cut at every offset ------------------------------------------------------------ */

/* Small records, as a peer may ask for (RFC 6066 4), so that there are many of them. */
static void cut_anywhere(void **state)
{
	const size_t len = 95; /* ten records, the last one shorter */

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		talk.end->record_max = 10;
		size_t size = 9 * tls_record_sealed_size(talk.end->suite, 10) +
			      tls_record_sealed_size(talk.end->suite, 5);
		for (size_t cut = 0; cut <= size; cut++) {
			size_t done = 0;

			bench_fill(sent, len, (uint32_t)cut);
			socket_room = cut;
			assert_int_equal(send_on(&talk, &done, len), cut == size);
			assert_true(done <= len);
			/* What is through is whole records, and no more than the socket took. */
			assert_int_equal(
				done,
				cut == size
					? len
					: cut / tls_record_sealed_size(talk.end->suite, 10) * 10);
			socket_room = UNLIMITED;
			assert_true(send_on(&talk, &done, len));
			expect_sent(&talk, len);
		}
		expect_close(&talk);
		talk_close(&talk);
	}
}

/* Full, and full again: two cuts in every distance from each other, none and many of them. */
static void cut_again_and_again(void **state)
{
	const size_t len = 60;

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		talk.end->record_max = 7;
		for (size_t step = 1; step < 120; step++) {
			size_t done = 0;

			bench_fill(sent, len, (uint32_t)step);
			do
				socket_room = step;
			while (!send_on(&talk, &done, len));
			expect_sent(&talk, len);
		}
		/* Short counts, but never full. */
		socket_room = UNLIMITED;
		for (socket_step = 1; socket_step < 120; socket_step++) {
			size_t done = 0;

			bench_fill(sent, len, (uint32_t)socket_step);
			while (!send_on(&talk, &done, len))
				;
			expect_sent(&talk, len);
		}
		socket_step = UNLIMITED;
		expect_close(&talk);
		talk_close(&talk);
	}
}

/* The rest comes with other bytes behind it, or in smaller calls, as a lane's buffers have it. */
static void rest_in_other_company(void **state)
{
	const size_t first = 25, all = 80;

	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		talk.end->record_max = 10;
		size_t size = 2 * tls_record_sealed_size(talk.end->suite, 10) +
			      tls_record_sealed_size(talk.end->suite, 5);
		for (size_t cut = 0; cut < size; cut++) {
			size_t done = 0;

			bench_fill(sent, all, (uint32_t)cut);
			socket_room = cut;
			assert_false(send_on(&talk, &done, first));
			socket_room = UNLIMITED;
			if (cut % 2 == 0) /* what was begun, and no more */
				assert_true(send_on(&talk, &done, first));
			assert_true(send_on(&talk, &done, all));
			expect_sent(&talk, all);
		}
		talk_close(&talk);
	}
}

static void large_records(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		for (size_t cut = 0; cut < 70000; cut += 1 + cut % 2 * 3967) {
			size_t done = 0;

			bench_fill(sent, 70000, (uint32_t)cut);
			socket_room = cut;
			assert_false(send_on(&talk, &done, 70000));
			assert_int_equal(done % 16384, 0);
			socket_room = UNLIMITED;
			/* OpenSSL reads while we send: the socket has its own bounds as well. */
			for (size_t read = 0; read < 70000;) {
				(void)send_on(&talk, &done, 70000);
				int n = SSL_read(talk.ssl, got + read, (int)(70000 - read));
				if (n > 0)
					read += (size_t)n;
			}
			assert_memory_equal(got, sent, 70000);
		}
		talk_close(&talk);
	}
}

/* ---- key changes ---------------------------------------------------------------------------- */

/* Asked for while a record is cut at any offset: the answer waits for the end of that record, and
 * what follows is sealed with the new key. */
static void keys_change_within_a_record(void **state)
{
	const size_t len = 35;

	(void)state;
	for (size_t suite = 0; suite < 3; suite++) {
		for (int is_server = 0; is_server < 2; is_server++) {
			struct talk talk;

			talk_open(&talk, suite, is_server);
			talk.end->record_max = 10;
			size_t size = 3 * tls_record_sealed_size(talk.end->suite, 10) +
				      tls_record_sealed_size(talk.end->suite, 5);
			for (size_t cut = 0; cut <= size; cut++) {
				size_t done = 0;
				uint64_t key = talk.end->tx.key_id;

				bench_fill(sent, len, (uint32_t)cut);
				socket_room = cut;
				(void)send_on(&talk, &done, len);
				/* There may be room again by then. */
				socket_room = cut % 2 == 0 ? UNLIMITED : 0;
				ask_for_key(&talk);
				ask_for_key(&talk); /* twice is once (RFC 8446 4.6.3) */
				socket_room = UNLIMITED;
				assert_true(send_on(&talk, &done, len));
				expect_sent(&talk, len);
				/* Where all was out already, it goes with what is sent next. */
				bench_fill(sent, 3, (uint32_t)cut);
				done = 0;
				assert_true(send_on(&talk, &done, 3));
				expect_sent(&talk, 3);
				assert_true(talk.end->tx.key_id != key);
				assert_int_equal(talk.end->control.len, 0);
			}
			talk_close(&talk);
		}
	}
}

/* The answer itself is cut at every offset. */
static void answer_cut_anywhere(void **state)
{
	(void)state;
	for (size_t suite = 0; suite < 3; suite++) {
		for (int is_server = 0; is_server < 2; is_server++) {
			struct talk talk;

			talk_open(&talk, suite, is_server);
			size_t size = tls_record_sealed_size(talk.end->suite, 5);
			for (size_t cut = 0; cut < size; cut++) {
				size_t done = 0;

				socket_room = cut;
				ask_for_key(&talk);
				assert_false(send_on(&talk, &done, 20));
				assert_int_equal(done, 0);
				ask_for_key(&talk);
				/* A byte now and then. */
				bench_fill(sent, 20, (uint32_t)cut);
				do
					socket_room = 1 + cut % 5;
				while (!send_on(&talk, &done, 20));
				socket_room = UNLIMITED;
				expect_sent(&talk, 20);
			}
			talk_close(&talk);
		}
	}
}

/* ---- the end -------------------------------------------------------------------------------- */

/* close_notify is cut at every offset, alone, or with a change of keys in front of it. */
static void end_cut_anywhere(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		bool is_tls13 = talk_suites[suite].version == TLS_1_3;
		size_t most = 1;

		for (size_t cut = 0; cut < most; cut++) {
			struct talk talk;
			int ret;

			talk_open(&talk, suite, is_server);
			most = tls_record_sealed_size(talk.end->suite, 2);
			if (is_tls13) {
				socket_room = 0;
				ask_for_key(&talk);
				most += tls_record_sealed_size(talk.end->suite, 5);
			}
			socket_room = cut;
			assert_int_equal(tls_shutdown_write(talk.end), -EAGAIN);
			do
				socket_room = 3;
			while ((ret = tls_shutdown_write(talk.end)) == -EAGAIN);
			socket_room = UNLIMITED;
			assert_int_equal(ret, 0);
			assert_int_equal(bench_peer_read(&talk.bench, got, 1), 0);
			assert_int_equal(SSL_get_shutdown(talk.ssl), SSL_RECEIVED_SHUTDOWN);
			talk_close(&talk);
		}
	}
}

/* What the kernel still holds goes before close_notify, and that before the FIN, which says that
 * this was all. */
static void end_waits_for_the_kernel(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;

		talk_open(&talk, suite, is_server);
		talk.end->tx.is_kernel = true;
		memset(&kernel, 0, sizeof(kernel));
		kernel.is_there = kernel.is_full = true;
		assert_int_equal(tls_shutdown_write(talk.end), -EAGAIN);
		assert_int_equal(kernel.alerts, 0);
		kernel.is_full = false;
		assert_int_equal(tls_shutdown_write(talk.end), -EAGAIN);
		assert_int_equal(kernel.alerts, 1);
		assert_int_equal(tls_shutdown_write(talk.end), -EAGAIN);
		assert_false(kernel.has_fin);
		kernel.is_full = false;
		assert_int_equal(tls_shutdown_write(talk.end), 0);
		assert_true(kernel.has_fin);
		assert_int_equal(kernel.alerts, 1);
		memset(&kernel, 0, sizeof(kernel));
		talk.end->tx.is_kernel = false;
		talk_close(&talk);
	}
}

/* An end that is given up says so, but not in the middle of a record. */
static void goodbye(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t done = 0;

		talk_open(&talk, suite, is_server);
		tls_goodbye(talk.end);
		assert_int_equal(bench_peer_read(&talk.bench, got, 1), 0);
		assert_int_equal(SSL_get_shutdown(talk.ssl), SSL_RECEIVED_SHUTDOWN);
		talk_close(&talk);

		talk_open(&talk, suite, is_server);
		socket_room = 10;
		assert_false(send_on(&talk, &done, 100));
		socket_room = UNLIMITED;
		size_t before = talk.end->tx_part_sent;
		tls_goodbye(talk.end);
		assert_int_equal(talk.end->tx_part_sent, before);
		assert_int_equal(SSL_read(talk.ssl, got, 1), -1);
		assert_int_equal(SSL_get_shutdown(talk.ssl), 0);
		talk_close(&talk);
	}
}

/* An alert goes behind the record begun, if that gets done, and never into it. */
static void alert_behind_a_record(void **state)
{
	(void)state;
	EACH_TALK(suite, is_server)
	{
		struct talk talk;
		size_t done = 0;

		talk_open(&talk, suite, is_server);
		socket_room = 11;
		assert_false(send_on(&talk, &done, 100));
		socket_room = UNLIMITED;
		talk_arrive(&talk, (const uint8_t *)"\27\3\3\0\1x", 6);
		assert_int_equal(tls_recv(talk.end, got, 1), -EPROTO);
		assert_int_equal(tls_why(talk.end), TLS_FAIL_BAD_RECORD);
		/* Nothing has gone out into the record. */
		assert_int_equal(talk.end->tx_part_sent, 11);
		assert_int_equal(SSL_read(talk.ssl, got, 1), -1);
		assert_int_equal(SSL_get_error(talk.ssl, -1), SSL_ERROR_WANT_READ);
		talk_close(&talk);
	}
}

static void peer_is_gone(void **state)
{
	(void)state;
	struct talk talk;

	talk_open(&talk, 0, true);
	net_close(talk.bench.peer_fd, true);
	bench_wait(talk.bench.fd, POLLIN);
	assert_true(tls_send(talk.end, "x", 1) < 0);
	assert_int_equal(tls_send(talk.end, "x", 1), -EPIPE);
	talk.bench.peer_fd = dup(talk.bench.fd);
	talk_close(&talk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flight_in_pieces),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(cut_again_and_again),
		cmocka_unit_test(rest_in_other_company),
		cmocka_unit_test(large_records),
		cmocka_unit_test(keys_change_within_a_record),
		cmocka_unit_test(answer_cut_anywhere),
		cmocka_unit_test(end_cut_anywhere),
		cmocka_unit_test(end_waits_for_the_kernel),
		cmocka_unit_test(goodbye),
		cmocka_unit_test(alert_behind_a_record),
		cmocka_unit_test(peer_is_gone),
	};

	(void)alarm(300); /* not for ever */
	return cmocka_run_group_tests(tests, talk_set_up, talk_tear_down);
}
