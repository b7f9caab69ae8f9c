/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_talk: a connection between one of our ends and OpenSSL whose handshake is done, on which what
 * OpenSSL seals is held back until the test lets it arrive, in pieces cut where the test wants.
 */
#pragma once

#include <sys/socket.h>

#include "../../src/tls/tls_end_priv.h"
#include "tls_bench.h"

static const struct talk_suite {
	enum tls_version version;
	const char *openssl;
} talk_suites[] = {
	{ TLS_1_3, "TLS_AES_128_GCM_SHA256" },	      { TLS_1_3, "TLS_AES_256_GCM_SHA384" },
	{ TLS_1_3, "TLS_CHACHA20_POLY1305_SHA256" },  { TLS_1_2, "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ TLS_1_2, "ECDHE-ECDSA-AES256-GCM-SHA384" }, { TLS_1_2, "ECDHE-ECDSA-CHACHA20-POLY1305" },
};

#define TALK_SUITES COUNT_OF(talk_suites)

struct talk {
	struct bench bench;
	struct tls_end *end;
	SSL *ssl;
	BIO *sealed;	/* by OpenSSL, not sent yet */
	uint64_t ahead; /* records sealed by talk_seal that have not been taken yet */
};

static struct pki_cert talk_ca, talk_cert;
static struct tls *talk_tls;
static struct tls_context *talk_server, *talk_client;
static SSL_CTX *talk_ssl_client, *talk_ssl_server;

static inline int talk_set_up(void **state)
{
	struct tls_certificate only;

	(void)state;
	pki_open();
	talk_ca = pki_issue("ca", &(struct pki_wish){ .common_name = "ca", .is_ca = true }, NULL,
			    NULL);
	talk_cert = pki_issue("peer",
			      &(struct pki_wish){ .common_name = "peer",
						  .names = "DNS:peer.example.com" },
			      &talk_ca, NULL);
	only = (struct tls_certificate){ .cert_file = talk_cert.cert_file,
					 .key_file = talk_cert.key_file };
	assert_int_equal(tls_init(64 << 20), 0);
	assert_int_equal(tls_new(&talk_tls, 8, 4, &bench_stats), 0);
	talk_server = tls_context_server(&(struct tls_server_params){ .certificates = &only,
								      .certificate_count = 1 },
					 &bench_report);
	talk_client =
		tls_context_client(&(struct tls_client_params){ .ca_file = talk_ca.cert_file },
				   &bench_report);
	assert_non_null(talk_server);
	assert_non_null(talk_client);
	talk_ssl_client = SSL_CTX_new(TLS_client_method());
	talk_ssl_server = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(talk_ssl_server, talk_cert.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(talk_ssl_server, talk_cert.key), 1);
	SSL_CTX_set_num_tickets(talk_ssl_server, 0);
	return 0;
}

static inline int talk_tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(talk_ssl_client);
	SSL_CTX_free(talk_ssl_server);
	tls_context_put(talk_server);
	tls_context_put(talk_client);
	tls_free(talk_tls);
	pki_free(&talk_ca);
	pki_free(&talk_cert);
	pki_close();
	tls_fini();
	return 0;
}

/* Agreed and started, with everything of the handshake read by both. */
static inline void talk_open_with(struct talk *talk, size_t suite, struct tls_context *context)
{
	bool is_server = context->is_server;
	int version = talk_suites[suite].version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
	uint8_t byte;

	*talk = (struct talk){ .sealed = BIO_new(BIO_s_mem()) };
	bench_begin(&talk->bench, talk_tls, context, is_server ? talk_ssl_client : talk_ssl_server,
		    is_server ? NULL : "peer.example.com");
	talk->ssl = talk->bench.ssl;
	SSL_set_min_proto_version(talk->ssl, version);
	SSL_set_max_proto_version(talk->ssl, version);
	assert_int_equal(version == TLS1_3_VERSION
				 ? SSL_set_ciphersuites(talk->ssl, talk_suites[suite].openssl)
				 : SSL_set_cipher_list(talk->ssl, talk_suites[suite].openssl),
			 1);
	bench_connect(&talk->bench);
	bench_start(&talk->bench);
	talk->end = talk->bench.end;
	assert_int_equal(tls_recv(talk->end, &byte, 1), -EAGAIN);
	assert_int_equal(SSL_read(talk->ssl, &byte, 1), -1);
	assert_non_null(talk->sealed);
	SSL_set0_wbio(talk->ssl, talk->sealed);
	SSL_set_mode(talk->ssl,
		     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static inline void talk_open(struct talk *talk, size_t suite, bool is_server)
{
	talk_open_with(talk, suite, is_server ? talk_server : talk_client);
}

static inline void talk_close(struct talk *talk)
{
	bench_end(&talk->bench);
}

/* One record with so many bytes, the first of which says how many there were before. */
static inline void talk_write(struct talk *talk, const void *bytes, size_t len)
{
	assert_int_equal(SSL_write(talk->ssl, bytes, (int)len), len);
}

static inline void talk_update_key(struct talk *talk, bool is_requested)
{
	assert_int_equal(SSL_key_update(talk->ssl, is_requested ? SSL_KEY_UPDATE_REQUESTED
								: SSL_KEY_UPDATE_NOT_REQUESTED),
			 1);
	assert_int_equal(SSL_do_handshake(talk->ssl), 1);
	/* As many as a test likes. */
	talk->end->rekeys = 0;
}

/* What has been sealed and not been taken. */
static inline size_t talk_sealed(struct talk *talk, uint8_t *bytes, size_t max)
{
	int n = BIO_read(talk->sealed, bytes, (int)max);

	assert_true(BIO_pending(talk->sealed) == 0);
	return n > 0 ? (size_t)n : 0;
}

/* A record as from the peer, but of any kind: the connection can then be written to with this only.
 */
static inline size_t talk_seal(struct talk *talk, uint8_t type, const void *bytes, size_t len,
			       uint8_t *out)
{
	struct tls_end *end = talk->end;

	return tls_record_seal(end->tls->aead, end->suite, &end->rx, end->rx.seq + talk->ahead++,
			       type, span_of(bytes, len), out);
}

static inline size_t talk_queued(const struct talk *talk)
{
	int queued = 0;

	assert_int_equal(ioctl(talk->bench.fd, FIONREAD, &queued), 0);
	return (size_t)queued;
}

/* In our socket, when it returns. */
static inline void talk_arrive(struct talk *talk, const uint8_t *bytes, size_t len)
{
	size_t before = talk_queued(talk);

	if (len == 0)
		return;
	assert_int_equal(send(talk->bench.peer_fd, bytes, len, MSG_NOSIGNAL), len);
	for (int i = 0; talk_queued(talk) < before + len; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

static inline bool talk_is_readable(const struct talk *talk)
{
	struct pollfd pollfd = { .fd = talk->bench.fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

/* All there is to read, `chunk` bytes at a time, until nothing more is to be had. Returns the
 * bytes; *ret_last: -EAGAIN, 0 at the end, or what went wrong. */
static inline size_t talk_drain(struct talk *talk, uint8_t *bytes, size_t max, size_t chunk,
				ssize_t *ret_last)
{
	size_t len = 0;
	int idle = 0;

	for (;;) {
		size_t want = chunk < max - len ? chunk : max - len;

		assert_true(want > 0);
		ssize_t n = tls_recv(talk->end, bytes + len, want);

		*ret_last = n;
		if (n > 0) {
			len += (size_t)n;
			idle = 0;
			continue;
		}
		/* More control records than one call takes. (That it is readable says little: a
		 * socket short of memory always is.) */
		if (n != -EAGAIN || !talk_is_readable(talk) || ++idle > 16)
			return len;
	}
}
