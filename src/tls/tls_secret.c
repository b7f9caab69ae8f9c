/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_secret: HKDF-Expand-Label and what is made with it once wolfSSL has done the handshake: the
 * traffic secrets, their keys, and the next generation when a peer asks for it (RFC 8446 7).
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tls_priv.h"

static const EVP_MD *md_of(enum tls_hash hash)
{
	return hash == TLS_SHA256 ? EVP_sha256() : EVP_sha384();
}

size_t tls_secret_hash_size(enum tls_hash hash)
{
	return hash == TLS_SHA256 ? 32 : 48;
}

/* All that is asked for is at most one hash long: HKDF-Expand is then one HMAC (RFC 5869 2.3). */
static bool expand_label(enum tls_hash hash, const uint8_t *secret, const char *label,
			 struct span context, uint8_t *out, size_t len)
{
	uint8_t info[2 + 1 + 32 + 1 + TLS_HASH_MAX + 1], block[TLS_HASH_MAX];
	struct sink sink = sink_of(info, sizeof(info));

	sink_u16(&sink, (uint16_t)len);
	sink_u8(&sink, (uint8_t)(6 + strlen(label)));
	sink_str(&sink, "tls13 ");
	sink_str(&sink, label);
	sink_u8(&sink, (uint8_t)context.len);
	sink_span(&sink, context);
	sink_u8(&sink, 1);
	CHECK(!sink.full && len <= tls_secret_hash_size(hash));
	if (HMAC(md_of(hash), secret, (int)tls_secret_hash_size(hash), info, sink.len, block,
		 NULL) == NULL)
		return false;
	memcpy(out, block, len);
	explicit_bzero(block, sizeof(block));
	return true;
}

bool tls_secret_derive(enum tls_hash hash, const uint8_t *secret, const char *label,
		       const uint8_t *messages_hash, uint8_t *ret_secret)
{
	size_t size = tls_secret_hash_size(hash);

	return expand_label(hash, secret, label, span_of(messages_hash, size), ret_secret, size);
}

bool tls_secret_to_key(const struct tls_suite *suite, struct tls_flow *flow)
{
	const struct span nothing = span_of(NULL, 0);

	CHECK(flow->has_secret);
	flow->seq = 0;
	return expand_label(suite->hash, flow->secret, "key", nothing, flow->key,
			    suite->key_bytes) &&
	       expand_label(suite->hash, flow->secret, "iv", nothing, flow->iv, sizeof(flow->iv));
}

bool tls_secret_update(const struct tls_suite *suite, struct tls_flow *flow)
{
	uint8_t next[TLS_HASH_MAX];
	size_t size = tls_secret_hash_size(suite->hash);

	if (!expand_label(suite->hash, flow->secret, "traffic upd", span_of(NULL, 0), next, size))
		return false;
	memcpy(flow->secret, next, size);
	explicit_bzero(next, sizeof(next));
	return tls_secret_to_key(suite, flow);
}
