/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode tls: connect, TLS handshake, one echo, close. The only file that uses OpenSSL.
 */
#include "load_slots.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALPN_BYTES_MAX = 255,
	MESSAGE_BYTES_MAX = 16384, /* written whole before the echo is read */
};

static const double RESUMED_LEAST = .99;

struct tls {
	SSL_CTX *ctx;
	const struct options *ask;
	SSL_SESSION **sessions; /* unused tickets; TLS 1.3 wants each to be used once only */
	uint32_t session_count;
	uint8_t *message;
	uint64_t full; /* handshakes inside the window */
	uint64_t resumed;
	char kind[64]; /* of the last connection: version and cipher */
	bool told;
};

struct tls_slot {
	struct load_slot slot; /* must be first */
	SSL *ssl;
	bool sent;
	size_t received;
};

static _Noreturn void tls_die(const char *what)
{
	fprintf(stderr, "penstock-bench: %s: %s\n", what,
		ERR_reason_error_string(ERR_peek_last_error()));
	exit(1);
}

/* The reason is said once: the counters do not tell an unknown authority from a wrong version. */
static void tls_tell(struct tls *t, SSL *ssl, unsigned long error)
{
	long verified = SSL_get_verify_result(ssl);

	if (t->told)
		return;
	t->told = true;
	fprintf(stderr, "penstock-bench: TLS: %s%s%s\n", ERR_reason_error_string(error),
		verified == X509_V_OK ? "" : ": ",
		verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
}

/* What OpenSSL's return value means for the slot. */
static enum slot_verdict tls_verdict(struct load_slots *s, struct tls_slot *one, int returned)
{
	int system_error = errno;
	int kind = SSL_get_error(one->ssl, returned);
	unsigned long error = ERR_peek_error();

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return SLOT_MORE;
	if (kind == SSL_ERROR_SYSCALL) {
		load_count_end(s->load, system_error);
	} else if (kind == SSL_ERROR_ZERO_RETURN ||
		   ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		load_count_end(s->load, 0);
	} else {
		s->load->errors[LOAD_ERROR_TLS]++;
		tls_tell(s->with, one->ssl, error);
	}
	return SLOT_FAILED;
}

static int tls_keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (t->session_count == t->ask->conn_count)
		return 0;
	t->sessions[t->session_count++] = session;
	return 1; /* the reference is ours */
}

static void tls_opened(struct load_slots *s, struct load_slot *slot)
{
	struct tls_slot *one = (struct tls_slot *)slot;
	struct tls *t = s->with;

	one->ssl = SSL_new(t->ctx);
	if (one->ssl == NULL || SSL_set_fd(one->ssl, slot->fd) != 1)
		tls_die("SSL_new");
	if (t->ask->sni != NULL) {
		SSL_set_tlsext_host_name(one->ssl, t->ask->sni);
		SSL_set1_host(one->ssl, t->ask->sni);
	}
	if (t->session_count > 0) {
		SSL_SESSION *session = t->sessions[--t->session_count];

		SSL_set_session(one->ssl, session);
		SSL_SESSION_free(session);
	}
	SSL_set_connect_state(one->ssl);
}

static void tls_whole(struct load_slots *s, struct tls_slot *one)
{
	struct tls *t = s->with;

	SSL_shutdown(one->ssl); /* sends close_notify; the engine closes */
	if (s->load->stage != LOAD_MEASURING)
		return;
	s->load->work[LOAD_BYTES] += 2 * t->ask->message_bytes;
	if (SSL_session_reused(one->ssl))
		t->resumed++;
	else
		t->full++;
	snprintf(t->kind, sizeof(t->kind), "%s %s", SSL_get_version(one->ssl),
		 SSL_get_cipher_name(one->ssl));
}

static enum slot_verdict tls_exchange(struct load_slots *s, struct load_slot *slot)
{
	static uint8_t into[64 * 1024];
	struct tls_slot *one = (struct tls_slot *)slot;
	const struct tls *t = s->with;
	size_t size = t->ask->message_bytes;

	ERR_clear_error();
	errno = 0;
	if (!one->sent) {
		int n = SSL_write(one->ssl, t->message, (int)size); /* after the handshake */

		if (n <= 0)
			return tls_verdict(s, one, n);
		one->sent = true;
	}
	while (one->received < size) {
		int n = SSL_read(one->ssl, into, sizeof(into));

		if (n <= 0)
			return tls_verdict(s, one, n);
		one->received += (size_t)n;
	}
	tls_whole(s, one);
	return SLOT_WHOLE;
}

static void tls_closed(struct load_slots *s, struct load_slot *slot)
{
	struct tls_slot *one = (struct tls_slot *)slot;

	(void)s;
	SSL_free(one->ssl);
}

static void tls_set_alpn(struct tls *t)
{
	uint8_t wire[1 + ALPN_BYTES_MAX];
	size_t size = strlen(t->ask->alpn);

	if (size == 0 || size > ALPN_BYTES_MAX)
		load_refuse("--alpn takes one name of up to 255 bytes");
	wire[0] = (uint8_t)size;
	memcpy(wire + 1, t->ask->alpn, size);
	if (SSL_CTX_set_alpn_protos(t->ctx, wire, (unsigned)size + 1) != 0)
		tls_die("--alpn");
}

static void tls_set_up(struct tls *t, const struct options *ask)
{
	t->ask = ask;
	t->message = load_alloc(1, ask->message_bytes);
	memset(t->message, 'p', ask->message_bytes);
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL)
		tls_die("SSL_CTX_new");
	SSL_CTX_set_app_data(t->ctx, t);
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	if (!ask->insecure) {
		int loaded = ask->ca_path != NULL ? SSL_CTX_load_verify_file(t->ctx, ask->ca_path)
						  : SSL_CTX_set_default_verify_paths(t->ctx);

		if (loaded != 1)
			tls_die(ask->ca_path != NULL ? ask->ca_path : "the system's authorities");
		SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	}
	if (ask->alpn != NULL)
		tls_set_alpn(t);
	if (ask->resume) {
		t->sessions = load_alloc(ask->conn_count, sizeof(SSL_SESSION *));
		SSL_CTX_set_session_cache_mode(t->ctx,
					       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(t->ctx, tls_keep_session);
	}
}

static void load_tls_run(struct load *l)
{
	static const struct load_slots_kind kind = { .slot_bytes = sizeof(struct tls_slot),
						     .opened = tls_opened,
						     .exchange = tls_exchange,
						     .closed = tls_closed };
	static struct tls t; /* the result points into it */

	if (l->ask.message_bytes > MESSAGE_BYTES_MAX)
		load_refuse("load tls takes messages of up to 16384 bytes");
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	tls_set_up(&t, &l->ask);
	load_slots_run(l, &kind, &t);
	load_note(l, "full_handshakes", t.full);
	load_note(l, "resumed_handshakes", t.resumed);
	load_note_text(l, "tls", t.kind);
	if (l->ask.resume && (double)t.resumed < RESUMED_LEAST * (double)(t.full + t.resumed))
		l->invalid_why = "the server did not resume the sessions";
	while (t.session_count > 0)
		SSL_SESSION_free(t.sessions[--t.session_count]);
	free(t.sessions);
	SSL_CTX_free(t.ctx);
	free(t.message);
}

const struct load_mode load_tls = {
	.name = "tls",
	.summary = "TLS handshake, one echo, close, again and again (behind the proxy: echo)",
	.about =
		"Like crr, inside TLS 1.3 or 1.2, towards a proxy that ends TLS: full handshakes, "
		"or with --resume each with a session of an earlier connection; the run is invalid "
		"when fewer than 99 % were resumed. The certificate is checked against --cafile or "
		"the system's authorities, and its name against --sni; --insecure leaves that out."
		"\n\nWork: connections that ended with both FINs. Latency: from connect(2) to the complete echo. "
		"beside: handshakes of either kind, version and cipher.",
	.takes = OPTION_COMMON | OPTION_SNI | OPTION_ALPN | OPTION_RESUME | OPTION_CAFILE |
		 OPTION_INSECURE,
	.message_bytes = 128,
	.run = load_tls_run,
};
