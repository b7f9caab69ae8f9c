/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_record: records of TLS 1.2 (RFC 5246 6.2, with RFC 5288 and 7905) and TLS 1.3 (RFC 8446 5.2).
 *
 *     1.2 AES-GCM     | type 03 03 length | explicit nonce | content           | tag |
 *     1.2 ChaCha20    | type 03 03 length | content                            | tag |
 *     1.3             | 17   03 03 length | content, type, zeros (sealed)      | tag |
 */
#include "tls_priv.h"

#define EXPLICIT_BYTES 8

static bool has_explicit_nonce(const struct tls_suite *suite)
{
	return suite->version == TLS_1_2 && suite->cipher != TLS_CHACHA20_POLY1305;
}

static void put_be64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* The iv, with the sequence number laid over its end. */
static void nonce_of(const struct tls_flow *flow, uint64_t seq, uint8_t ret_nonce[static 12])
{
	uint8_t number[8];

	put_be64(number, seq);
	memcpy(ret_nonce, flow->iv, 12);
	for (int i = 0; i < 8; i++)
		ret_nonce[4 + i] ^= number[i];
}

static void put_header(uint8_t *at, uint8_t type, size_t len)
{
	at[0] = type;
	at[1] = 3;
	at[2] = 3;
	at[3] = (uint8_t)(len >> 8);
	at[4] = (uint8_t)len;
}

/* What TLS 1.2 authenticates besides the content: the header as of the plaintext. */
static struct span aad_tls12(uint8_t aad[static 13], uint64_t seq, uint8_t type, size_t len)
{
	put_be64(aad, seq);
	put_header(aad + 8, type, len);
	return span_of(aad, 13);
}

size_t tls_record_sealed_size(const struct tls_suite *suite, size_t len)
{
	size_t more = suite->version == TLS_1_3	  ? 1
		      : has_explicit_nonce(suite) ? EXPLICIT_BYTES
						  : 0;

	return TLS_HEADER_BYTES + more + len + TLS_TAG_BYTES;
}

size_t tls_record_seal(struct tls_aead *aead, const struct tls_suite *suite,
		       const struct tls_flow *flow, uint64_t seq, uint8_t type, struct span bytes,
		       uint8_t *out)
{
	size_t size = tls_record_sealed_size(suite, bytes.len);
	uint8_t *body = out + TLS_HEADER_BYTES;
	struct span end = span_of(NULL, 0);
	uint8_t nonce[12], aad_bytes[13];
	struct span aad;

	CHECK(bytes.len <= TLS_PLAIN_MAX);
	if (suite->version == TLS_1_3) {
		put_header(out, TLS_TYPE_DATA, size - TLS_HEADER_BYTES);
		aad = span_of(out, TLS_HEADER_BYTES);
		end = span_of(&type, 1);
	} else {
		put_header(out, type, size - TLS_HEADER_BYTES);
		aad = aad_tls12(aad_bytes, seq, type, bytes.len);
	}
	if (has_explicit_nonce(suite)) {
		memcpy(nonce, flow->iv, 4);
		put_be64(nonce + 4, seq);
		put_be64(body, seq);
		body += EXPLICIT_BYTES;
	} else {
		nonce_of(flow, seq, nonce);
	}
	tls_aead_seal(aead, suite->cipher, flow, nonce, aad, bytes, end, body);
	return size;
}

int tls_record_size(struct span bytes)
{
	if (bytes.len >= 1 && (bytes.at[0] < TLS_TYPE_CCS || bytes.at[0] > TLS_TYPE_DATA))
		return -TLS_FAIL_UNEXPECTED;
	if (bytes.len < TLS_HEADER_BYTES)
		return 0;

	int len = bytes.at[3] << 8 | bytes.at[4];

	if (bytes.at[1] != 3 || bytes.at[2] != 3)
		return -TLS_FAIL_DECODE;
	if (len > TLS_RECORD_MAX - TLS_HEADER_BYTES)
		return -TLS_FAIL_RECORD_SIZE;
	return TLS_HEADER_BYTES + len;
}

/* Takes zeros and the type off the end. */
static int open_inner(const uint8_t *plain, size_t len, uint8_t *ret_type)
{
	while (len > 0 && plain[len - 1] == 0)
		len--;
	if (len == 0)
		return -TLS_FAIL_UNEXPECTED;
	*ret_type = plain[len - 1];
	return len - 1 > TLS_PLAIN_MAX ? -TLS_FAIL_RECORD_SIZE : (int)(len - 1);
}

static int open_tls13(struct tls_aead *aead, const struct tls_suite *suite,
		      const struct tls_flow *flow, uint64_t seq, struct span record, uint8_t *out,
		      uint8_t *ret_type)
{
	struct span aad = span_of(record.at, TLS_HEADER_BYTES);
	struct span sealed = span_of(record.at + TLS_HEADER_BYTES, record.len - TLS_HEADER_BYTES);
	uint8_t nonce[12];

	if (record.at[0] != TLS_TYPE_DATA)
		return -TLS_FAIL_UNEXPECTED;
	nonce_of(flow, seq, nonce);
	if (!tls_aead_open(aead, suite->cipher, flow, nonce, aad, sealed, out))
		return -TLS_FAIL_BAD_RECORD;
	return open_inner(out, sealed.len - TLS_TAG_BYTES, ret_type);
}

int tls_record_open(struct tls_aead *aead, const struct tls_suite *suite,
		    const struct tls_flow *flow, uint64_t seq, struct span record, uint8_t *out,
		    uint8_t *ret_type)
{
	if (suite->version == TLS_1_3)
		return open_tls13(aead, suite, flow, seq, record, out, ret_type);

	struct span sealed = span_of(record.at + TLS_HEADER_BYTES, record.len - TLS_HEADER_BYTES);
	uint8_t nonce[12], aad_bytes[13];

	*ret_type = record.at[0];
	nonce_of(flow, seq, nonce);
	if (has_explicit_nonce(suite)) {
		struct span explicit;

		if (!span_take(&sealed, EXPLICIT_BYTES, &explicit))
			return -TLS_FAIL_BAD_RECORD;
		memcpy(nonce, flow->iv, 4);
		memcpy(nonce + 4, explicit.at, EXPLICIT_BYTES);
	}
	if (sealed.len < TLS_TAG_BYTES)
		return -TLS_FAIL_BAD_RECORD;

	size_t len = sealed.len - TLS_TAG_BYTES;
	struct span aad = aad_tls12(aad_bytes, seq, record.at[0], len);

	if (!tls_aead_open(aead, suite->cipher, flow, nonce, aad, sealed, out))
		return -TLS_FAIL_BAD_RECORD;
	return len > TLS_PLAIN_MAX ? -TLS_FAIL_RECORD_SIZE : (int)len;
}
