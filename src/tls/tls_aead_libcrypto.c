/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_aead_libcrypto: records by OpenSSL, for every cipher and CPU.
 */
#include <openssl/evp.h>

#include "tls_aead_priv.h"

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

static void *state_new(enum tls_cipher cipher, bool is_seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx != NULL &&
	    EVP_CipherInit_ex(ctx, cipher_of(cipher), NULL, NULL, NULL, is_seal) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

static void state_free(void *state)
{
	EVP_CIPHER_CTX_free(state);
}

static void key_set(void *state, const uint8_t *key)
{
	CHECK(EVP_CipherInit_ex(state, NULL, NULL, key, NULL, -1) == 1);
}

static void begin(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, struct span aad)
{
	int len;

	CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1);
	CHECK(EVP_CipherUpdate(ctx, NULL, &len, aad.at, (int)aad.len) == 1);
}

static uint8_t *piece(EVP_CIPHER_CTX *ctx, struct span bytes, uint8_t *out)
{
	int len = 0;

	if (bytes.len > 0)
		CHECK(EVP_CipherUpdate(ctx, out, &len, bytes.at, (int)bytes.len) == 1);
	return out + len;
}

static void seal(void *state, const uint8_t nonce[static 12], struct span aad, struct span plain,
		 struct span plain_end, uint8_t *out)
{
	int len;

	begin(state, nonce, aad);
	out = piece(state, plain, out);
	out = piece(state, plain_end, out);
	CHECK(EVP_CipherFinal_ex(state, out, &len) == 1 && len == 0);
	CHECK(EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, out) == 1);
}

static bool open(void *state, const uint8_t nonce[static 12], struct span aad, struct span sealed,
		 const uint8_t tag[static TLS_TAG_BYTES], uint8_t *out)
{
	uint8_t expected[TLS_TAG_BYTES]; /* the call takes no constant */
	int len;

	memcpy(expected, tag, sizeof(expected));
	begin(state, nonce, aad);
	out = piece(state, sealed, out);
	CHECK(EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_SET_TAG, TLS_TAG_BYTES, expected) == 1);
	return EVP_CipherFinal_ex(state, out, &len) == 1;
}

const struct tls_aead_library tls_aead_libcrypto = {
	.name = "libcrypto",
	.state_new = state_new,
	.state_free = state_free,
	.key = key_set,
	.seal = seal,
	.open = open,
};
