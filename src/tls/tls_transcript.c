/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_transcript: the hash of the messages of a TLS 1.3 handshake from the ClientHello to the
 * server's Finished, from what goes over the wire. A second hello begins a new hash with the hash
 * of the first in place of it (RFC 8446 4.4.1).
 *
 *     clear      ClientHello [HelloRetryRequest ClientHello] ServerHello
 *     sealed     EncryptedExtensions [CertificateRequest] [Certificate CertificateVerify] Finished
 *
 * Nobody is believed: what comes out is compared with the keys wolfSSL has (tls_handover.c), and
 * anything not understood means no secrets, hence no key changes, and nothing worse.
 */
#include <openssl/evp.h>

#include "tls_priv.h"

enum message { SERVER_HELLO = 2, FINISHED = 20, MESSAGE_HASH = 254 };

/* The ServerHello.random that means HelloRetryRequest (RFC 8446 4.1.3). */
static const uint8_t retry_random[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static const EVP_MD *md_of(int hash)
{
	return hash == TLS_SHA256 ? EVP_sha256() : EVP_sha384();
}

int tls_transcript_init(struct tls_transcript *transcript)
{
	for (int hash = 0; hash < 2; hash++) {
		transcript->md[hash] = EVP_MD_CTX_new();
		if (transcript->md[hash] == NULL) {
			tls_transcript_fini(transcript);
			return -1;
		}
	}
	return 0;
}

void tls_transcript_fini(struct tls_transcript *transcript)
{
	for (int hash = 0; hash < 2; hash++) {
		EVP_MD_CTX_free(transcript->md[hash]);
		transcript->md[hash] = NULL;
	}
}

void tls_transcript_start(struct tls_transcript *transcript)
{
	struct evp_md_ctx_st *md[2] = { transcript->md[0], transcript->md[1] };

	*transcript = (struct tls_transcript){ .md = { md[0], md[1] } };
	for (int hash = 0; hash < 2; hash++)
		transcript->is_broken |= EVP_DigestInit_ex(md[hash], md_of(hash), NULL) != 1;
}

static void add(struct tls_transcript *transcript, struct span bytes)
{
	for (int hash = 0; hash < 2; hash++) {
		if (transcript->suite != NULL && transcript->suite->hash != (enum tls_hash)hash)
			continue;
		transcript->is_broken |=
			EVP_DigestUpdate(transcript->md[hash], bytes.at, bytes.len) != 1;
	}
}

/* Puts the hash of all so far in the place of all so far. */
static void fold(struct tls_transcript *transcript)
{
	for (int hash = 0; hash < 2; hash++) {
		uint8_t bytes[4 + TLS_HASH_MAX] = { MESSAGE_HASH };
		EVP_MD_CTX *md = transcript->md[hash];
		unsigned len = 0;

		if (EVP_DigestFinal_ex(md, bytes + 4, &len) != 1 ||
		    EVP_DigestInit_ex(md, md_of(hash), NULL) != 1) {
			transcript->is_broken = true;
			return;
		}
		bytes[3] = (uint8_t)len;
		transcript->is_broken |= EVP_DigestUpdate(md, bytes, 4 + len) != 1;
	}
}

static bool is_retry(struct span content)
{
	/* type, length, version, then the random */
	return content.len >= 38 && content.at[0] == SERVER_HELLO &&
	       memcmp(content.at + 6, retry_random, sizeof(retry_random)) == 0;
}

void tls_transcript_clear(struct tls_transcript *transcript, struct span content)
{
	if (transcript->is_broken || transcript->is_sealed)
		return;
	if (is_retry(content))
		fold(transcript);
	add(transcript, content);
}

void tls_transcript_key(struct tls_transcript *transcript, const struct tls_suite *suite,
			const struct tls_flow *flow)
{
	transcript->suite = suite;
	transcript->flow = *flow;
}

static void complete(struct tls_transcript *transcript)
{
	unsigned len = 0;

	transcript->is_complete = EVP_DigestFinal_ex(transcript->md[transcript->suite->hash],
						     transcript->hash, &len) == 1;
	transcript->is_broken = !transcript->is_complete;
}

/* Adds messages and parts of messages, up to the end of Finished. */
static void add_messages(struct tls_transcript *transcript, struct span content)
{
	while (content.len > 0 && !transcript->is_complete && !transcript->is_broken) {
		struct span part;
		size_t want = transcript->head_len < sizeof(transcript->head)
				      ? sizeof(transcript->head) - transcript->head_len
				      : transcript->body_left;

		if (!span_take(&content, want < content.len ? want : content.len, &part))
			return;
		add(transcript, part);
		if (transcript->head_len < sizeof(transcript->head)) {
			memcpy(transcript->head + transcript->head_len, part.at, part.len);
			transcript->head_len = (uint8_t)(transcript->head_len + part.len);
			if (transcript->head_len < sizeof(transcript->head))
				return;
			transcript->body_left = (uint32_t)transcript->head[1] << 16 |
						(uint32_t)transcript->head[2] << 8 |
						transcript->head[3];
		} else {
			transcript->body_left -= (uint32_t)part.len;
		}
		if (transcript->body_left > 0)
			continue;
		transcript->head_len = 0;
		if (transcript->head[0] == FINISHED)
			complete(transcript);
	}
}

void tls_transcript_sealed(struct tls_transcript *transcript, struct tls_aead *aead,
			   struct span record, uint8_t *scratch)
{
	uint8_t type = 0;

	transcript->is_sealed = true;
	transcript->is_broken |= transcript->suite == NULL;
	if (transcript->is_broken || transcript->is_complete)
		return;

	int len = tls_record_open(aead, transcript->suite, &transcript->flow,
				  transcript->flow.seq++, record, scratch, &type);

	if (len < 0)
		transcript->is_broken = true;
	else if (type == TLS_TYPE_HANDSHAKE)
		add_messages(transcript, span_of(scratch, (size_t)len));
}
