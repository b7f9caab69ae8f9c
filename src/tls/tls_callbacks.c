/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_callbacks: what wolfSSL asks of us in a handshake besides bytes: signatures, tickets, a
 * stapled answer, and whether a certificate will do.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <stdio.h>

#include "tls_wolf.h"

static struct tls_handshake *slot_of(WOLFSSL *ssl)
{
	return wolfSSL_GetIOReadCtx(ssl);
}

/* ---- signatures ----------------------------------------------------------------------------- */

typedef bool sign_fn(struct evp_pkey_st *key, struct span in, uint8_t *ret_signature, size_t *size);

static int sign(WOLFSSL *ssl, sign_fn *fn, const uint8_t *in, unsigned in_len,
		uint8_t *ret_signature, unsigned *size)
{
	size_t bytes = *size;

	if (!fn(slot_of(ssl)->identity->key, span_of(in, in_len), ret_signature, &bytes))
		return WC_HW_E;
	*size = (unsigned)bytes;
	return 0;
}

int tls_wolf_sign_ecdsa(WOLFSSL *ssl, const uint8_t *in, unsigned in_len, uint8_t *ret_signature,
			word32 *size, const uint8_t *key, unsigned key_len, void *unused)
{
	(void)key, (void)key_len, (void)unused;
	return sign(ssl, tls_sign_ecdsa, in, in_len, ret_signature, size);
}

int tls_wolf_sign_rsa(WOLFSSL *ssl, const uint8_t *in, unsigned in_len, uint8_t *ret_signature,
		      word32 *size, const uint8_t *key, unsigned key_len, void *unused)
{
	(void)key, (void)key_len, (void)unused;
	return sign(ssl, tls_sign_rsa, in, in_len, ret_signature, size);
}

int tls_wolf_sign_rsa_pss(WOLFSSL *ssl, const uint8_t *in, unsigned in_len, uint8_t *ret_signature,
			  unsigned *size, int hash, int mgf, const uint8_t *key, unsigned key_len,
			  void *unused)
{
	(void)hash, (void)mgf, (void)key, (void)key_len, (void)unused;
	return sign(ssl, tls_sign_rsa_pss, in, in_len, ret_signature, size);
}

/* ---- tickets -------------------------------------------------------------------------------- */

int tls_wolf_ticket(WOLFSSL *ssl, uint8_t *name, uint8_t *iv, uint8_t *mac, int is_seal,
		    uint8_t *bytes, int len, int *ret_len, void *unused)
{
	struct tls_handshake *slot = slot_of(ssl);
	const struct tls_context *context = slot->end->context;
	struct tls_ticket ticket = {
		.name = name,
		.iv = iv,
		.mac = mac,
		.bytes = bytes,
		.len = (size_t)len,
		.scope = context->ticket_scope,
		.server_name = slot->result.server_name,
	};
	bool ok = is_seal ? tls_ticket_seal(context->tickets, &ticket)
			  : tls_ticket_open(context->tickets, &ticket);

	(void)unused;
	*ret_len = len;
	if (ok)
		return WOLFSSL_TICKET_RET_OK;
	return is_seal ? WOLFSSL_TICKET_RET_FATAL : WOLFSSL_TICKET_RET_REJECT;
}

/* ---- a stapled answer ----------------------------------------------------------------------- */

int tls_wolf_staple(WOLFSSL *ssl, void *unused)
{
	const struct tls_file *staple = &slot_of(ssl)->identity->staple;
	/* wolfSSL frees it. */
	uint8_t *copy = wolfSSL_Malloc(staple->size);

	(void)unused;
	if (copy == NULL)
		return -1;
	memcpy(copy, staple->bytes, staple->size);
	(void)wolfSSL_set_tlsext_status_ocsp_resp(ssl, copy, (int)staple->size);
	return 0;
}

/* ---- verification --------------------------------------------------------------------------- */

static struct span leaf_of(const WOLFSSL_X509_STORE_CTX *store)
{
	if (store->certs == NULL || store->totalCerts < 1)
		return span_of(NULL, 0);
	return span_of(store->certs[0].buffer, store->certs[0].length);
}

/* wolfSSL takes a suite from a broker that it has not offered, and a chain without a certificate.
 */
static enum tls_fail judge_broker(const struct tls_handshake *slot,
				  const WOLFSSL_X509_STORE_CTX *store)
{
	const struct tls_end *end = slot->end;
	struct span leaf = leaf_of(store);

	if (tls_handover_suite(slot->ssl) == NULL)
		return TLS_FAIL_NO_CIPHER;
	if (leaf.len == 0)
		return TLS_FAIL_CERT_MISSING;
	if (store->error_depth != 0 || end->context->is_name_unchecked ||
	    tls_cert_is_for(leaf, end->host))
		return TLS_FAIL_NONE;
	return TLS_FAIL_CERT_NAME;
}

/* Called for every certificate of the chain, the peer's own last, with wolfSSL's judgement, which
 * stands: it can only become worse here, for a broker. */
int tls_wolf_verify(int is_fine, WOLFSSL_X509_STORE_CTX *store)
{
	struct tls_handshake *slot = store->userCtx;
	struct tls_end *end = slot->end;

	if (is_fine && !end->is_server)
		end->why = judge_broker(slot, store);
	if (is_fine && end->why == TLS_FAIL_NONE)
		return 1;
	(void)snprintf(slot->detail, sizeof(slot->detail), "certificate %d of its chain, CN=%s",
		       store->error_depth + 1, store->domain);
	end->detail = slot->detail;
	return 0;
}
