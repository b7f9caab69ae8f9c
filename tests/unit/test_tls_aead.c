/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_tls_aead: what this CPU gets and what others get, by published vectors and against each
 * other.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../src/tls/tls_aead_priv.h"
#include "unit.h"

#define LENGTHS 1100

static struct tls_aead *own, *portable;

static int set_up(void **state)
{
	(void)state;
	if (tls_init(1 << 20) < 0)
		return -1;
	own = tls_aead_new();
	portable = tls_aead_new_portable();
	printf("AES-GCM by %s and libcrypto\n", tls_aead_name(TLS_AES_128_GCM));
	return own == NULL || portable == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	tls_aead_free(own);
	tls_aead_free(portable);
	tls_fini();
	return 0;
}

static uint8_t *fill(uint8_t *at, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)((seed += 0x9e3779b9u) >> 13);
	return at;
}

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

/* Test cases 4 and 16 of "The Galois/Counter Mode of Operation", and RFC 8439 2.8.2. */
static const struct vector {
	enum tls_cipher cipher;
	const char *key, *nonce, *aad, *plain, *sealed;
} vectors[] = {
	{ TLS_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
	  "5bc94fbc3221a5db94fae95ae7121a47" },
	{ TLS_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ TLS_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	  "637265656e20776f756c642062652069742e",
	  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	  "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
	  "0691" },
};

static void check_vector(struct tls_aead *aead, const struct vector *vector, uint64_t key_id)
{
	struct tls_flow flow = { .key_id = key_id };
	uint8_t nonce[12], aad[32], plain[256], sealed[256], out[256];
	size_t aad_len = from_hex(vector->aad, aad), len = from_hex(vector->plain, plain);

	from_hex(vector->key, flow.key);
	from_hex(vector->nonce, nonce);
	assert_int_equal(from_hex(vector->sealed, sealed), len + TLS_TAG_BYTES);
	for (size_t split = 0; split <= len; split++) {
		tls_aead_seal(aead, vector->cipher, &flow, nonce, span_of(aad, aad_len),
			      span_of(plain, split), span_of(plain + split, len - split), out);
		assert_memory_equal(out, sealed, len + TLS_TAG_BYTES);
	}
	assert_true(tls_aead_open(aead, vector->cipher, &flow, nonce, span_of(aad, aad_len),
				  span_of(sealed, len + TLS_TAG_BYTES), out));
	assert_memory_equal(out, plain, len);
}

static void published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		check_vector(own, &vectors[i], 1);
		check_vector(portable, &vectors[i], 1);
	}
}

/* One seals, the other opens, in place and with the bytes where a socket would have put them. */
static void agree_on(struct tls_aead *one, struct tls_aead *other, enum tls_cipher cipher,
		     struct tls_flow *flow, size_t len)
{
	static uint8_t plain[TLS_RECORD_MAX], record[TLS_RECORD_MAX + 64];
	uint8_t *at = record + len % 61, nonce[12], aad[13];
	size_t aad_len = len % 2 == 0 ? 5 : 13;

	fill(nonce, sizeof(nonce), (unsigned)len);
	fill(aad, sizeof(aad), (unsigned)len + 1);
	fill(plain, len, (unsigned)len + 2);
	memcpy(at, plain, len);
	tls_aead_seal(one, cipher, flow, nonce, span_of(aad, aad_len), span_of(at, len),
		      span_of(NULL, 0), at);
	assert_true(tls_aead_open(other, cipher, flow, nonce, span_of(aad, aad_len),
				  span_of(at, len + TLS_TAG_BYTES), at));
	assert_memory_equal(at, plain, len);
}

static void all_lengths_agree(void **state)
{
	static const size_t more[] = { 4095, 4096, 8191, 16383, 16384, 16385, 16640 - 16 };
	struct tls_flow flow = { .key_id = 2 };

	(void)state;
	fill(flow.key, sizeof(flow.key), 7);
	for (enum tls_cipher cipher = 0; cipher < TLS_CIPHERS; cipher++) {
		for (size_t len = 0; len < LENGTHS; len++) {
			agree_on(own, portable, cipher, &flow, len);
			agree_on(portable, own, cipher, &flow, len);
		}
		for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
			agree_on(own, portable, cipher, &flow, more[i]);
			agree_on(portable, own, cipher, &flow, more[i]);
		}
	}
}

/* Two connections in turn: each record with its own key. */
static void keys_take_turns(void **state)
{
	struct tls_flow flows[2] = { { .key_id = 11 }, { .key_id = 12 } };

	(void)state;
	fill(flows[0].key, sizeof(flows[0].key), 1);
	fill(flows[1].key, sizeof(flows[1].key), 2);
	for (size_t i = 0; i < 40; i++) {
		struct tls_flow *flow = &flows[i % 2];

		/* The other has this key by its id as well. */
		agree_on(own, portable, TLS_AES_128_GCM, flow, 100 + i);
		agree_on(portable, own, TLS_AES_256_GCM, flow, 100 + i);
	}
}

static void flip(struct tls_aead *aead, enum tls_cipher cipher)
{
	struct tls_flow flow = { .key_id = 3 };
	uint8_t nonce[12] = { 1 }, aad[5] = { 23, 3, 3, 0, 56 }, plain[40], record[56], out[56];

	fill(flow.key, sizeof(flow.key), 5);
	fill(plain, sizeof(plain), 6);
	tls_aead_seal(aead, cipher, &flow, nonce, span_of(aad, 5), span_of(plain, sizeof(plain)),
		      span_of(NULL, 0), record);
	for (size_t bit = 0; bit < sizeof(record) * 8; bit++) {
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(tls_aead_open(aead, cipher, &flow, nonce, span_of(aad, 5),
					   span_of(record, sizeof(record)), out));
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < sizeof(aad) * 8; bit++) {
		aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(tls_aead_open(aead, cipher, &flow, nonce, span_of(aad, 5),
					   span_of(record, sizeof(record)), out));
		aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < TLS_TAG_BYTES; len++)
		assert_false(tls_aead_open(aead, cipher, &flow, nonce, span_of(aad, 5),
					   span_of(record, len), out));
	/* What was wrong leaves nothing behind. */
	assert_true(tls_aead_open(aead, cipher, &flow, nonce, span_of(aad, 5),
				  span_of(record, sizeof(record)), out));
	assert_memory_equal(out, plain, sizeof(plain));
}

static void one_wrong_bit(void **state)
{
	(void)state;
	for (enum tls_cipher cipher = 0; cipher < TLS_CIPHERS; cipher++) {
		flip(own, cipher);
		flip(portable, cipher);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published),
		cmocka_unit_test(all_lengths_agree),
		cmocka_unit_test(keys_take_turns),
		cmocka_unit_test(one_wrong_bit),
	};

	return cmocka_run_group_tests_name("tls_aead", tests, set_up, tear_down);
}
