/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_handover: what is taken out of wolfSSL when the handshake is done: keys, numbers, and for
 * TLS 1.3 the traffic secrets, which it has no call for. They follow from its master secret and
 * from the transcript (RFC 8446 7.1) and are right if they give the keys it has: else this
 * connection can do everything but change its keys.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "tls_wolf.h"

const struct tls_suite *tls_handover_suite(WOLFSSL *ssl)
{
	/* A WOLFSSL_CIPHER is a look into the object. */
	const struct tls_suite *suite =
		tls_suite_find((uint16_t)wolfSSL_get_current_cipher_suite(ssl));
	bool is_tls13 = wolfSSL_GetVersion(ssl) == WOLFSSL_TLSV1_3;

	return suite != NULL && (suite->version == TLS_1_3) == is_tls13 ? suite : NULL;
}

void tls_handover_key(WOLFSSL *ssl, const struct tls_suite *suite, bool is_from_server,
		      struct tls_flow *ret_flow)
{
	const uint8_t *key =
		is_from_server ? wolfSSL_GetServerWriteKey(ssl) : wolfSSL_GetClientWriteKey(ssl);
	const uint8_t *iv =
		is_from_server ? wolfSSL_GetServerWriteIV(ssl) : wolfSSL_GetClientWriteIV(ssl);

	/* 4 bytes for TLS 1.2's AES-GCM, 12 for all others, in 16 of wolfSSL's. */
	memcpy(ret_flow->key, key, suite->key_bytes);
	memcpy(ret_flow->iv, iv, sizeof(ret_flow->iv));
}

/* The secret, if it is the one the flow's key was made from. */
static void take_secret(struct tls_handshake *slot, const uint8_t *master, const char *label,
			struct tls_flow *flow)
{
	const struct tls_suite *suite = slot->end->suite;
	struct tls_flow made = { .has_secret = true };

	if (tls_secret_derive(suite->hash, master, label, slot->transcript.hash, made.secret) &&
	    tls_secret_to_key(suite, &made) && memcmp(made.key, flow->key, suite->key_bytes) == 0 &&
	    memcmp(made.iv, flow->iv, sizeof(made.iv)) == 0) {
		memcpy(flow->secret, made.secret, sizeof(flow->secret));
		flow->has_secret = true;
	} else {
		stat_add(slot->end->tls->stats, STAT_TLS_NO_SECRET, 1);
	}
	explicit_bzero(&made, sizeof(made));
}

static void take_secrets(struct tls_handshake *slot)
{
	struct tls_end *end = slot->end;
	uint8_t *master = NULL, *server_random, *client_random;
	unsigned len = 0, server_len, client_len;

	if (end->suite->version != TLS_1_3)
		return;
	if (!slot->transcript.is_complete ||
	    wolfSSL_get_keys(slot->ssl, &master, &len, &server_random, &server_len, &client_random,
			     &client_len) != WOLFSSL_SUCCESS ||
	    len < tls_secret_hash_size(end->suite->hash)) {
		stat_add(end->tls->stats, STAT_TLS_NO_SECRET, 2);
		return;
	}
	take_secret(slot, master, "s ap traffic", end->is_server ? &end->tx : &end->rx);
	take_secret(slot, master, "c ap traffic", end->is_server ? &end->rx : &end->tx);
}

void tls_handover(struct tls_handshake *slot)
{
	struct tls_end *end = slot->end;
	WOLFSSL *ssl = slot->ssl;
	word64 sent = 0, received = 0;

	/* Both answer 1 for a number of 0: what they write counts. */
	(void)wolfSSL_GetSequenceNumber(ssl, &sent);
	(void)wolfSSL_GetPeerSequenceNumber(ssl, &received);
	end->tx.seq = sent;
	end->rx.seq = received;
	end->tx.key_id = ++end->tls->key_ids;
	end->rx.key_id = ++end->tls->key_ids;
	tls_handover_key(ssl, end->suite, end->is_server, &end->tx);
	tls_handover_key(ssl, end->suite, !end->is_server, &end->rx);
	take_secrets(slot);

	/* The fragment length agreed on (RFC 6066 4), which is 16384 unless somebody asked. */
	int most = wolfSSL_GetMaxOutputSize(ssl);

	end->record_max = most > 0 && most < TLS_PLAIN_MAX ? (uint16_t)most : TLS_PLAIN_MAX;
}

void tls_handover_free(WOLFSSL *ssl)
{
	wolfSSL_free(ssl);
}
