/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_aead_mb: AES-GCM by Intel's libipsec-mb where the CPU has VAES and AVX-512: four times as
 * fast there as libcrypto 3.0 (docs/adr/0015). Of that library its calls for one buffer are used,
 * which keep nothing but a key's tables; its queues of jobs are not.
 */
#ifdef __x86_64__
#include <intel-ipsec-mb.h>
#endif
#include <openssl/crypto.h>
#include <stdlib.h>

#include "tls_aead_priv.h"

#ifdef __x86_64__

struct calls {
	aes_gcm_pre_t key;
	aes_gcm_init_t begin;
	aes_gcm_enc_dec_update_t seal, open;
	aes_gcm_enc_dec_finalize_t seal_end, open_end;
};

/* Written by tls_aead_mb_probe only, before there are workers. */
static struct calls calls_of[TLS_CIPHERS];

struct state {
	_Alignas(64) struct gcm_key_data tables;
	const struct calls *calls;
};

void tls_aead_mb_probe(void)
{
	const uint64_t needed =
		IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_SELF_TEST_PASS;
	IMB_MGR *mb = alloc_mb_mgr(0);
	IMB_ARCH arch = IMB_ARCH_NONE;

	if (mb == NULL)
		return;
	init_mb_mgr_auto(mb, &arch);
	if (arch == IMB_ARCH_AVX512 && (mb->features & needed) == needed) {
		calls_of[TLS_AES_128_GCM] = (struct calls){
			.key = mb->gcm128_pre,
			.begin = mb->gcm128_init,
			.seal = mb->gcm128_enc_update,
			.seal_end = mb->gcm128_enc_finalize,
			.open = mb->gcm128_dec_update,
			.open_end = mb->gcm128_dec_finalize,
		};
		calls_of[TLS_AES_256_GCM] = (struct calls){
			.key = mb->gcm256_pre,
			.begin = mb->gcm256_init,
			.seal = mb->gcm256_enc_update,
			.seal_end = mb->gcm256_enc_finalize,
			.open = mb->gcm256_dec_update,
			.open_end = mb->gcm256_dec_finalize,
		};
	}
	free_mb_mgr(mb);
}

static void *state_new(enum tls_cipher cipher, bool is_seal)
{
	struct state *state = aligned_alloc(_Alignof(struct state), sizeof(*state));

	(void)is_seal;
	if (state != NULL)
		state->calls = &calls_of[cipher];
	return state;
}

static void state_free(void *state)
{
	OPENSSL_cleanse(state, sizeof(struct state));
	free(state);
}

static void key_set(void *of, const uint8_t *key)
{
	struct state *state = of;

	state->calls->key(key, &state->tables);
}

static void seal(void *of, const uint8_t nonce[static 12], struct span aad, struct span plain,
		 struct span plain_end, uint8_t *out)
{
	const struct state *state = of;
	const struct calls *calls = state->calls;
	struct gcm_context_data gcm;

	calls->begin(&state->tables, &gcm, nonce, aad.at, aad.len);
	if (plain.len > 0)
		calls->seal(&state->tables, &gcm, out, plain.at, plain.len);
	out += plain.len;
	if (plain_end.len > 0)
		calls->seal(&state->tables, &gcm, out, plain_end.at, plain_end.len);
	out += plain_end.len;
	calls->seal_end(&state->tables, &gcm, out, TLS_TAG_BYTES);
}

static bool open(void *of, const uint8_t nonce[static 12], struct span aad, struct span sealed,
		 const uint8_t tag[static TLS_TAG_BYTES], uint8_t *out)
{
	const struct state *state = of;
	const struct calls *calls = state->calls;
	struct gcm_context_data gcm;
	uint8_t right[TLS_TAG_BYTES];

	calls->begin(&state->tables, &gcm, nonce, aad.at, aad.len);
	if (sealed.len > 0)
		calls->open(&state->tables, &gcm, out, sealed.at, sealed.len);
	calls->open_end(&state->tables, &gcm, right, sizeof(right));
	return CRYPTO_memcmp(right, tag, sizeof(right)) == 0;
}

const struct tls_aead_library *tls_aead_mb(enum tls_cipher cipher)
{
	static const struct tls_aead_library library = {
		.name = "libipsec-mb",
		.state_new = state_new,
		.state_free = state_free,
		.key = key_set,
		.seal = seal,
		.open = open,
	};

	return calls_of[cipher].key == NULL ? NULL : &library;
}

#else

void tls_aead_mb_probe(void)
{
}

const struct tls_aead_library *tls_aead_mb(enum tls_cipher cipher)
{
	(void)cipher;
	return NULL;
}

#endif
