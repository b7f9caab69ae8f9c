/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_bench: one of our ends and OpenSSL on the two sides of a loopback connection, driven in turn
 * until neither has anything to do. OpenSSL is the independent peer: what both agree on is TLS.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <penstock/net.h>
#include <penstock/tls/context.h>

#include "tls_pki.h"

/* One side of the table: ours, or OpenSSL's. */
struct bench {
	struct tls *tls;
	struct tls_end *end;
	SSL *ssl;
	int fd;	     /* ours */
	int peer_fd; /* OpenSSL's */
	enum tls_progress progress;
	int ssl_error; /* SSL_ERROR_*, of its handshake */
	unsigned long ssl_reason;
};

static struct stat_block bench_stats;
static char bench_said[2048]; /* by reports */
static int bench_errors;

static void bench_say(void *with, bool is_error, const char *sentence)
{
	size_t len = strlen(bench_said);

	(void)with;
	bench_errors += is_error;
	(void)snprintf(bench_said + len, sizeof(bench_said) - len, "%s%s\n",
		       is_error ? "" : "doubt: ", sentence);
}

static const struct tls_report bench_report = { .say = bench_say };

static inline void bench_hush(void)
{
	bench_said[0] = '\0';
	bench_errors = 0;
}

static inline uint64_t bench_count(enum stat_id stat)
{
	return stat_get(&bench_stats, stat);
}

/* A connection with our end begun and OpenSSL waiting; `host` NULL: we are the server. */
static inline void bench_begin(struct bench *bench, struct tls *tls, struct tls_context *context,
			       SSL_CTX *peer, const char *host)
{
	int fds[2];

	assert_int_equal(net_ktls_pair(fds), 0);
	*bench = (struct bench){
		.tls = tls,
		.ssl = SSL_new(peer),
		.fd = fds[1],
		.peer_fd = fds[0],
		.progress = TLS_WANT_READ,
		.ssl_error = SSL_ERROR_WANT_READ,
	};
	assert_int_equal(SSL_set_fd(bench->ssl, bench->peer_fd), 1);
	if (host != NULL) {
		SSL_set_accept_state(bench->ssl);
		assert_int_equal(tls_begin_client(tls, context, bench->fd, host, &bench->end), 0);
	} else {
		SSL_set_connect_state(bench->ssl);
		assert_int_equal(tls_begin_server(tls, context, bench->fd, span_of(NULL, 0),
						  &bench->end),
				 0);
	}
}

static inline void bench_end(struct bench *bench)
{
	if (bench->end != NULL)
		tls_end_put(bench->end);
	SSL_free(bench->ssl);
	net_close(bench->fd, false);
	net_close(bench->peer_fd, false);
}

static inline void bench_step_peer(struct bench *bench)
{
	if (bench->ssl_error != SSL_ERROR_WANT_READ && bench->ssl_error != SSL_ERROR_WANT_WRITE)
		return;
	ERR_clear_error();
	int ret = SSL_do_handshake(bench->ssl);
	bench->ssl_error = SSL_get_error(bench->ssl, ret);
	if (bench->ssl_error == SSL_ERROR_SSL)
		bench->ssl_reason = ERR_peek_error();
}

/* Until both are done, or one has failed and the other has heard of it. */
static inline void bench_shake(struct bench *bench)
{
	for (int i = 0; i < 50; i++) {
		bench_step_peer(bench);
		if (bench->progress != TLS_DONE && bench->progress != TLS_FAILED)
			bench->progress = tls_handshake(bench->end);
		if (bench->progress == TLS_DONE && bench->ssl_error == SSL_ERROR_NONE)
			return;
		if (bench->progress == TLS_FAILED && i > 0 &&
		    bench->ssl_error != SSL_ERROR_WANT_READ &&
		    bench->ssl_error != SSL_ERROR_WANT_WRITE)
			return;
	}
}

static inline void bench_connect(struct bench *bench)
{
	bench_shake(bench);
	if (bench->progress != TLS_DONE)
		fail_msg("our side: %s (%s), alert %d", tls_fail_rows[tls_why(bench->end)].name,
			 tls_why_detail(bench->end), tls_why_alert(bench->end));
	if (bench->ssl_error != SSL_ERROR_NONE)
		fail_msg("OpenSSL: %s", ERR_error_string(bench->ssl_reason, NULL));
}

static inline void bench_start(struct bench *bench)
{
	assert_int_equal(tls_start(bench->end), 0);
}

/* The alert OpenSSL was sent (its reasons are 1000 and the alert). */
static inline int bench_heard(const struct bench *bench)
{
	int reason = ERR_GET_REASON(bench->ssl_reason);

	return bench->ssl_error == SSL_ERROR_SSL && reason >= SSL_AD_REASON_OFFSET
		       ? reason - SSL_AD_REASON_OFFSET
		       : -1;
}

static inline void bench_refused(struct bench *bench, enum tls_fail why, int alert)
{
	bench_shake(bench);
	if (bench->progress != TLS_FAILED || tls_why(bench->end) != why ||
	    tls_why_alert(bench->end) != alert || bench_heard(bench) != alert)
		fail_msg("progress %d, why %s (%s), alert sent %d, heard %d (%s)", bench->progress,
			 tls_fail_rows[tls_why(bench->end)].name, tls_why_detail(bench->end),
			 tls_why_alert(bench->end), bench_heard(bench),
			 ERR_error_string(bench->ssl_reason, NULL));
}

/* ---- data ----------------------------------------------------------------------------------- */

static inline void bench_fill(uint8_t *bytes, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((i + seed) * 2654435761u >> 13);
}

/* Waits until ours is readable or writable, as a lane would. */
static inline void bench_wait(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	assert_true(poll(&pollfd, 1, 5000) > 0);
}

static inline void bench_recv_all(struct bench *bench, uint8_t *bytes, size_t len, size_t chunk)
{
	for (size_t got = 0; got < len;) {
		size_t want = len - got < chunk ? len - got : chunk;
		ssize_t n = tls_recv(bench->end, bytes + got, want);

		if (n == -EAGAIN) {
			bench_wait(bench->fd, POLLIN);
			continue;
		}
		if (n <= 0)
			fail_msg("tls_recv %zd after %zu of %zu: %s", n, got, len,
				 tls_fail_rows[tls_why(bench->end)].name);
		got += (size_t)n;
	}
}

static inline void bench_peer_write(struct bench *bench, const uint8_t *bytes, size_t len)
{
	int n = SSL_write(bench->ssl, bytes, (int)len);

	if (n != (int)len)
		fail_msg("SSL_write %d: %d", n, SSL_get_error(bench->ssl, n));
}

static inline size_t bench_peer_read(struct bench *bench, uint8_t *bytes, size_t len)
{
	size_t got = 0;

	while (got < len) {
		int n = SSL_read(bench->ssl, bytes + got, (int)(len - got));

		if (n > 0) {
			got += (size_t)n;
			continue;
		}
		if (SSL_get_error(bench->ssl, n) != SSL_ERROR_WANT_READ)
			break;
		struct pollfd pollfd = { .fd = bench->peer_fd, .events = POLLIN };
		if (poll(&pollfd, 1, 100) <= 0)
			break;
	}
	return got;
}
