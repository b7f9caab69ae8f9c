/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_session: sessions with brokers, kept serialised (a WOLFSSL_SESSION is 37 KB) in a table of
 * fixed size by the name of the broker, the newest only. TLS 1.2 has its session, by id, when the
 * handshake is over; never by ticket, since wolfSSL believes that one cannot be declined (up
 * to 5.9: DSH_CheckSessionId), as it is by every broker that was restarted. TLS 1.3's ticket comes
 * later, when the records are ours: wolfSSL is then given it once more, sealed for the number it
 * would expect, and let go.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <pthread.h>
#include <stdlib.h>

#include "tls_wolf.h"

/* A session with its ticket and the broker's chain; larger ones are not kept. */
#define SESSION_MAX 16384

struct session {
	char host[HOST_MAX];
	uint8_t *der; /* NULL: none */
	int size;
};

struct tls_sessions {
	pthread_mutex_t lock;
	uint32_t count;
	struct session at[];
};

struct tls_sessions *tls_sessions_new(uint32_t count)
{
	struct tls_sessions *sessions =
		calloc(1, sizeof(*sessions) + count * sizeof(sessions->at[0]));

	if (sessions == NULL)
		return NULL;
	if (pthread_mutex_init(&sessions->lock, NULL) != 0) {
		free(sessions);
		return NULL;
	}
	sessions->count = count;
	return sessions;
}

static void forget(struct session *session)
{
	if (session->der != NULL)
		explicit_bzero(session->der, (size_t)session->size);
	free(session->der);
	session->der = NULL;
}

void tls_sessions_free(struct tls_sessions *sessions)
{
	if (sessions == NULL)
		return;
	for (uint32_t i = 0; i < sessions->count; i++)
		forget(&sessions->at[i]);
	(void)pthread_mutex_destroy(&sessions->lock);
	free(sessions);
}

static struct session *place_of(struct tls_sessions *sessions, const char *host)
{
	return &sessions->at[span_hash(span_str(host), 0) % sessions->count];
}

static void put(struct tls_sessions *sessions, const char *host, uint8_t *der, int size)
{
	(void)pthread_mutex_lock(&sessions->lock);

	struct session *session = place_of(sessions, host);

	forget(session);
	memcpy(session->host, host, strlen(host) + 1);
	session->der = der;
	session->size = size;
	(void)pthread_mutex_unlock(&sessions->lock);
}

void tls_session_forget(struct tls_end *end)
{
	struct tls_sessions *sessions = end->context->sessions;

	if (sessions == NULL)
		return;
	(void)pthread_mutex_lock(&sessions->lock);

	struct session *session = place_of(sessions, end->host);

	if (strcmp(session->host, end->host) == 0)
		forget(session);
	(void)pthread_mutex_unlock(&sessions->lock);
}

static int copy(struct tls_sessions *sessions, const char *host, uint8_t ret_der[SESSION_MAX])
{
	int size = 0;

	(void)pthread_mutex_lock(&sessions->lock);

	const struct session *session = place_of(sessions, host);

	if (session->der != NULL && strcmp(session->host, host) == 0) {
		size = session->size;
		memcpy(ret_der, session->der, (size_t)size);
	}
	(void)pthread_mutex_unlock(&sessions->lock);
	return size;
}

void tls_session_offer(struct tls_handshake *slot)
{
	struct tls_sessions *sessions = slot->end->context->sessions;
	uint8_t der[SESSION_MAX];
	const uint8_t *at = der;
	int size = sessions != NULL ? copy(sessions, slot->end->host, der) : 0;

	if (size == 0)
		return;

	WOLFSSL_SESSION *session = wolfSSL_d2i_SSL_SESSION(NULL, &at, size);

	/* Without it the handshake is a full one. */
	if (session != NULL)
		(void)wolfSSL_set_session(slot->ssl, session);
	wolfSSL_SESSION_free(session);
	explicit_bzero(der, (size_t)size);
}

static void take(struct tls_sessions *sessions, const char *host, WOLFSSL *ssl)
{
	WOLFSSL_SESSION *session = wolfSSL_get1_session(ssl);
	int size = session != NULL ? wolfSSL_i2d_SSL_SESSION(session, NULL) : 0;
	uint8_t *der = size > 0 && size <= SESSION_MAX ? malloc((size_t)size) : NULL;

	if (der != NULL) {
		uint8_t *at = der;

		if (wolfSSL_i2d_SSL_SESSION(session, &at) == size)
			put(sessions, host, der, size);
		else
			free(der);
	}
	wolfSSL_SESSION_free(session);
}

void tls_session_keep(struct tls_end *end)
{
	struct tls_sessions *sessions = end->context->sessions;

	if (sessions == NULL)
		return;
	if (end->suite->version == TLS_1_2) {
		take(sessions, end->host, end->slot->ssl);
		return;
	}
	/* It may never come, on a connection that says nothing: handshakes need the room more. */
	if (tls_memory_is_scarce())
		return;
	end->ticket_ssl = end->slot->ssl;
	end->ticket_flow = end->rx;
	end->slot->ssl = NULL;
}

/* ---- TLS 1.3's ticket ----------------------------------------------------------------------- */

struct feed {
	struct span record;
};

static int feed_recv(WOLFSSL *ssl, char *ret_bytes, int size, void *context)
{
	struct feed *feed = context;
	struct span head;
	size_t want = (size_t)size < feed->record.len ? (size_t)size : feed->record.len;

	(void)ssl;
	if (want == 0)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	CHECK(span_take(&feed->record, want, &head));
	memcpy(ret_bytes, head.at, head.len);
	return (int)want;
}

/* Nothing it says from now on has a meaning: its numbers are not those of the connection. */
static int feed_send(WOLFSSL *ssl, char *bytes, int len, void *context)
{
	(void)ssl, (void)bytes, (void)context;
	return len;
}

void tls_session_feed(struct tls_end *end, struct span message)
{
	struct tls *tls = end->tls;
	WOLFSSL *ssl = end->ticket_ssl;
	char byte;

	if (ssl == NULL || message.len > TLS_PLAIN_MAX)
		return;

	size_t size =
		tls_record_seal(tls->aead, end->suite, &end->ticket_flow, end->ticket_flow.seq,
				TLS_TYPE_HANDSHAKE, message, tls->cipher);
	struct feed feed = { .record = span_of(tls->cipher, size) };

	wolfSSL_SSLSetIORecv(ssl, feed_recv);
	wolfSSL_SSLSetIOSend(ssl, feed_send);
	wolfSSL_SetIOReadCtx(ssl, &feed);
	wolfSSL_SetIOWriteCtx(ssl, &feed);
	if (wolfSSL_read(ssl, &byte, 1) < 0 &&
	    wolfSSL_get_error(ssl, -1) == WOLFSSL_ERROR_WANT_READ)
		take(end->context->sessions, end->host, ssl);
	tls_session_drop(end);
}

void tls_session_drop(struct tls_end *end)
{
	if (end->ticket_ssl == NULL)
		return;
	tls_handover_free(end->ticket_ssl);
	end->ticket_ssl = NULL;
	explicit_bzero(&end->ticket_flow, sizeof(end->ticket_flow));
}
