/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The client's side of TLS; tls_client.h says what it promises.
 */
#include "tls_client.h"

#include "load.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALPN_BYTES_MAX = 255,
	KIND_BYTES = 96,
};

struct tls_client {
	SSL_CTX *ctx;
	const struct options *ask;
	SSL_SESSION **sessions; /* unused tickets; TLS 1.3 wants each to be used once only */
	uint32_t session_count;
	char kind[KIND_BYTES];
	bool told;
};

static _Noreturn void tls_die(const char *what)
{
	fprintf(stderr, "penstock-bench: %s: %s\n", what,
		ERR_reason_error_string(ERR_peek_last_error()));
	exit(1);
}

/* The reason is said once: the counters do not tell an unknown authority from a wrong version. */
static void tls_tell(SSL *ssl, unsigned long error)
{
	struct tls_client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	long verified = SSL_get_verify_result(ssl);

	if (c->told)
		return;
	c->told = true;
	fprintf(stderr, "penstock-bench: TLS: %s%s%s\n", ERR_reason_error_string(error),
		verified == X509_V_OK ? "" : ": ",
		verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
}

/* OpenSSL's return value as that of a system call. */
static ssize_t tls_returned(SSL *ssl, int returned)
{
	int system_error = errno;
	int kind = SSL_get_error(ssl, returned);
	unsigned long error = ERR_peek_error();

	if (returned > 0)
		return returned;
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	if (kind == SSL_ERROR_SYSCALL) {
		errno = system_error;
		return system_error == 0 ? 0 : -1;
	}
	if (kind == SSL_ERROR_ZERO_RETURN ||
	    ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return 0;
	tls_tell(ssl, error);
	errno = EPROTO;
	return -1;
}

/* What an earlier call left behind would be taken for its own. */
static void tls_forget_errors(void)
{
	ERR_clear_error();
	errno = 0;
}

ssize_t tls_client_send(SSL *ssl, const void *data, size_t size)
{
	tls_forget_errors();
	return tls_returned(ssl, SSL_write(ssl, data, (int)size));
}

ssize_t tls_client_recv(SSL *ssl, void *into, size_t size)
{
	tls_forget_errors();
	return tls_returned(ssl, SSL_read(ssl, into, (int)size));
}

int tls_client_shake(SSL *ssl)
{
	tls_forget_errors();
	return (int)tls_returned(ssl, SSL_do_handshake(ssl));
}

void tls_client_say_end(SSL *ssl)
{
	SSL_shutdown(ssl);
}

bool tls_client_is_agreed(const SSL *ssl)
{
	return SSL_is_init_finished(ssl) != 0;
}

bool tls_client_was_resumed(const SSL *ssl)
{
	return SSL_session_reused(ssl) != 0;
}

void tls_client_keep_kind(struct tls_client *c, SSL *ssl)
{
	int group = (int)SSL_get_negotiated_group(ssl);
	const char *name = group == 0 ? NULL : SSL_group_to_name(ssl, group);

	snprintf(c->kind, sizeof(c->kind), "%s %s %s", SSL_get_version(ssl),
		 SSL_get_cipher_name(ssl), name == NULL ? "no group" : name);
}

void tls_client_note(const struct tls_client *c, struct load *l)
{
	static char kept[KIND_BYTES]; /* the result points to it, and the client is freed */

	if (c->kind[0] == '\0') /* no handshake was completed */
		return;
	memcpy(kept, c->kind, sizeof(kept));
	load_note_text(l, "tls", kept);
}

static int tls_keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (c->session_count == c->ask->conn_count)
		return 0;
	c->sessions[c->session_count++] = session;
	return 1; /* the reference is ours */
}

SSL *tls_client_begin(struct tls_client *c, int fd)
{
	SSL *ssl = SSL_new(c->ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		tls_die("SSL_new");
	if (c->ask->sni != NULL) {
		SSL_set_tlsext_host_name(ssl, c->ask->sni);
		SSL_set1_host(ssl, c->ask->sni);
	}
	if (c->session_count > 0) {
		SSL_SESSION *session = c->sessions[--c->session_count];

		SSL_set_session(ssl, session);
		SSL_SESSION_free(session);
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

void tls_client_end(SSL *ssl)
{
	SSL_free(ssl);
}

static void tls_set_alpn(struct tls_client *c)
{
	uint8_t wire[1 + ALPN_BYTES_MAX];
	size_t size = strlen(c->ask->alpn);

	if (size == 0 || size > ALPN_BYTES_MAX)
		load_refuse("--alpn takes one name of up to 255 bytes");
	wire[0] = (uint8_t)size;
	memcpy(wire + 1, c->ask->alpn, size);
	if (SSL_CTX_set_alpn_protos(c->ctx, wire, (unsigned)size + 1) != 0)
		tls_die("--alpn");
}

/* One suite and nothing else, so that all servers do the same work. */
static void tls_set_cipher(struct tls_client *c)
{
	SSL_CTX_set_min_proto_version(c->ctx, TLS1_3_VERSION);
	if (SSL_CTX_set_ciphersuites(c->ctx, c->ask->cipher) != 1)
		load_refuse("--cipher takes a suite of TLS 1.3, as TLS_AES_128_GCM_SHA256");
}

static void tls_set_trust(struct tls_client *c)
{
	int loaded = c->ask->ca_path != NULL ? SSL_CTX_load_verify_file(c->ctx, c->ask->ca_path)
					     : SSL_CTX_set_default_verify_paths(c->ctx);

	if (loaded != 1)
		tls_die(c->ask->ca_path != NULL ? c->ask->ca_path : "the system's authorities");
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
}

static void tls_keep_sessions(struct tls_client *c)
{
	c->sessions = load_alloc(c->ask->conn_count, sizeof(SSL_SESSION *));
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, tls_keep_session);
}

struct tls_client *tls_client_make(struct load *l)
{
	struct tls_client *c = load_alloc(1, sizeof(*c));

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	c->ask = &l->ask;
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx == NULL)
		tls_die("SSL_CTX_new");
	SSL_CTX_set_app_data(c->ctx, c);
	SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
	if (l->ask.cipher != NULL)
		tls_set_cipher(c);
	if (!l->ask.insecure)
		tls_set_trust(c);
	if (l->ask.alpn != NULL)
		tls_set_alpn(c);
	if (l->ask.resume)
		tls_keep_sessions(c);
	return c;
}

void tls_client_save_memory(struct tls_client *c)
{
	SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS);
}

void tls_client_free(struct tls_client *c)
{
	if (c == NULL)
		return;
	while (c->session_count > 0)
		SSL_SESSION_free(c->sessions[--c->session_count]);
	free(c->sessions);
	SSL_CTX_free(c->ctx);
	free(c);
}
