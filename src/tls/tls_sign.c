/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_sign: signatures with our own key by libcrypto: P-256 four times, RSA six times as fast as
 * Debian's wolfSSL, which has no assembler (docs/adr/0012). One key serves all workers.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tls_priv.h"

static const EVP_MD *md_of_size(size_t size)
{
	return size == 32 ? EVP_sha256() : size == 48 ? EVP_sha384() : EVP_sha512();
}

/* padding 0: not RSA. */
static bool sign(EVP_PKEY *key, int padding, struct span in, uint8_t *ret_signature, size_t *size)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1;

	if (ok && padding != 0)
		ok = EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1;
	if (ok && padding == RSA_PKCS1_PSS_PADDING)
		ok = EVP_PKEY_CTX_set_signature_md(ctx, md_of_size(in.len)) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_PKEY_sign(ctx, ret_signature, size, in.at, in.len) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		ERR_clear_error();
	return ok;
}

bool tls_sign_ecdsa(EVP_PKEY *key, struct span digest, uint8_t *ret_signature, size_t *size)
{
	return sign(key, 0, digest, ret_signature, size);
}

bool tls_sign_rsa(EVP_PKEY *key, struct span encoded, uint8_t *ret_signature, size_t *size)
{
	return sign(key, RSA_PKCS1_PADDING, encoded, ret_signature, size);
}

bool tls_sign_rsa_pss(EVP_PKEY *key, struct span digest, uint8_t *ret_signature, size_t *size)
{
	return sign(key, RSA_PKCS1_PSS_PADDING, digest, ret_signature, size);
}
