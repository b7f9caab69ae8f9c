/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_aead: libcrypto's AEADs for the records we seal and open ourselves. A worker has one context
 * per cipher and direction, which remembers whose key it holds: a stream finds its own there, and
 * between many connections a key costs 130 ns, against 1.2 KB for each of them to have a context of
 * its own (docs/adr/0012).
 */
#include <openssl/evp.h>
#include <stdlib.h>

#include "tls_priv.h"

struct slot {
	EVP_CIPHER_CTX *ctx;
	uint64_t key_id;
};

struct tls_aead {
	struct slot slots[TLS_CIPHERS][2]; /* [1]: seals */
};

static const EVP_CIPHER *cipher_of(enum tls_cipher cipher)
{
	switch (cipher) {
	case TLS_AES_128_GCM:
		return EVP_aes_128_gcm();
	case TLS_AES_256_GCM:
		return EVP_aes_256_gcm();
	case TLS_CHACHA20_POLY1305:
	case TLS_CIPHERS:
		break;
	}
	return EVP_chacha20_poly1305();
}

struct tls_aead *tls_aead_new(void)
{
	struct tls_aead *aead = calloc(1, sizeof(*aead));

	if (aead == NULL)
		return NULL;
	for (int cipher = 0; cipher < TLS_CIPHERS; cipher++) {
		for (int is_seal = 0; is_seal < 2; is_seal++) {
			struct slot *slot = &aead->slots[cipher][is_seal];

			slot->ctx = EVP_CIPHER_CTX_new();
			if (slot->ctx == NULL ||
			    EVP_CipherInit_ex(slot->ctx, cipher_of((enum tls_cipher)cipher), NULL,
					      NULL, NULL, is_seal) != 1) {
				tls_aead_free(aead);
				return NULL;
			}
		}
	}
	return aead;
}

void tls_aead_free(struct tls_aead *aead)
{
	if (aead == NULL)
		return;
	for (int cipher = 0; cipher < TLS_CIPHERS; cipher++)
		for (int is_seal = 0; is_seal < 2; is_seal++)
			EVP_CIPHER_CTX_free(aead->slots[cipher][is_seal].ctx);
	free(aead);
}

/* None of these calls allocates once the context has had a key, or fails on arguments that are
 * right. */
static EVP_CIPHER_CTX *ready(struct tls_aead *aead, enum tls_cipher cipher, bool is_seal,
			     const struct tls_flow *flow, const uint8_t *nonce, struct span aad)
{
	struct slot *slot = &aead->slots[cipher][is_seal];
	const uint8_t *key = slot->key_id == flow->key_id ? NULL : flow->key;
	int len;

	CHECK(flow->key_id != 0);
	CHECK(EVP_CipherInit_ex(slot->ctx, NULL, NULL, key, nonce, -1) == 1);
	CHECK(EVP_CipherUpdate(slot->ctx, NULL, &len, aad.at, (int)aad.len) == 1);
	slot->key_id = flow->key_id;
	return slot->ctx;
}

static uint8_t *seal_piece(EVP_CIPHER_CTX *ctx, struct span piece, uint8_t *out)
{
	int len = 0;

	if (piece.len > 0)
		CHECK(EVP_CipherUpdate(ctx, out, &len, piece.at, (int)piece.len) == 1);
	return out + len;
}

void tls_aead_seal(struct tls_aead *aead, enum tls_cipher cipher, const struct tls_flow *flow,
		   const uint8_t nonce[static 12], struct span aad, struct span plain,
		   struct span plain_end, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = ready(aead, cipher, true, flow, nonce, aad);
	int len;

	out = seal_piece(ctx, plain, out);
	out = seal_piece(ctx, plain_end, out);
	CHECK(EVP_CipherFinal_ex(ctx, out, &len) == 1 && len == 0);
	CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, out) == 1);
}

bool tls_aead_open(struct tls_aead *aead, enum tls_cipher cipher, const struct tls_flow *flow,
		   const uint8_t nonce[static 12], struct span aad, struct span sealed,
		   uint8_t *out)
{
	if (sealed.len < TLS_TAG_BYTES)
		return false;

	EVP_CIPHER_CTX *ctx = ready(aead, cipher, false, flow, nonce, aad);
	size_t plain_len = sealed.len - TLS_TAG_BYTES;
	uint8_t tag[TLS_TAG_BYTES];
	int len = 0;

	memcpy(tag, sealed.at + plain_len, sizeof(tag));
	if (plain_len > 0)
		CHECK(EVP_CipherUpdate(ctx, out, &len, sealed.at, (int)plain_len) == 1);
	CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TLS_TAG_BYTES, tag) == 1);
	return EVP_CipherFinal_ex(ctx, out + len, &len) == 1;
}
