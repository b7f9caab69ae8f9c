/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_aead: seals and opens the records that stay with us, by libipsec-mb or libcrypto. A worker
 * has one state per cipher and direction, which remembers whose key it holds: a stream finds its
 * own there, and between many connections a key costs 100-130 ns, against 1.2 KB for each of them
 * to have a state of its own (docs/adr/0012).
 */
#include <stdlib.h>

#include "tls_aead_priv.h"

struct slot {
	const struct tls_aead_library *library;
	void *state;
	uint64_t key_id;
};

struct tls_aead {
	struct slot slots[TLS_CIPHERS][2]; /* [1]: seals */
};

static const struct tls_aead_library *library_for(enum tls_cipher cipher)
{
	const struct tls_aead_library *mb = tls_aead_mb(cipher);

	return mb != NULL ? mb : &tls_aead_libcrypto;
}

const char *tls_aead_name(enum tls_cipher cipher)
{
	return library_for(cipher)->name;
}

static struct tls_aead *new_of(const struct tls_aead_library *only)
{
	struct tls_aead *aead = calloc(1, sizeof(*aead));

	if (aead == NULL)
		return NULL;
	for (enum tls_cipher cipher = 0; cipher < TLS_CIPHERS; cipher++) {
		for (int is_seal = 0; is_seal < 2; is_seal++) {
			struct slot *slot = &aead->slots[cipher][is_seal];

			slot->library = only != NULL ? only : library_for(cipher);
			slot->state = slot->library->state_new(cipher, is_seal);
			if (slot->state == NULL) {
				tls_aead_free(aead);
				return NULL;
			}
		}
	}
	return aead;
}

struct tls_aead *tls_aead_new(void)
{
	return new_of(NULL);
}

struct tls_aead *tls_aead_new_portable(void)
{
	return new_of(&tls_aead_libcrypto);
}

void tls_aead_free(struct tls_aead *aead)
{
	if (aead == NULL)
		return;
	for (int cipher = 0; cipher < TLS_CIPHERS; cipher++) {
		for (int is_seal = 0; is_seal < 2; is_seal++) {
			struct slot *slot = &aead->slots[cipher][is_seal];

			if (slot->state != NULL)
				slot->library->state_free(slot->state);
		}
	}
	free(aead);
}

static struct slot *ready(struct tls_aead *aead, enum tls_cipher cipher, bool is_seal,
			  const struct tls_flow *flow)
{
	struct slot *slot = &aead->slots[cipher][is_seal];

	CHECK(flow->key_id != 0);
	if (slot->key_id != flow->key_id) {
		slot->library->key(slot->state, flow->key);
		slot->key_id = flow->key_id;
	}
	return slot;
}

void tls_aead_seal(struct tls_aead *aead, enum tls_cipher cipher, const struct tls_flow *flow,
		   const uint8_t nonce[static 12], struct span aad, struct span plain,
		   struct span plain_end, uint8_t *out)
{
	struct slot *slot = ready(aead, cipher, true, flow);

	slot->library->seal(slot->state, nonce, aad, plain, plain_end, out);
}

bool tls_aead_open(struct tls_aead *aead, enum tls_cipher cipher, const struct tls_flow *flow,
		   const uint8_t nonce[static 12], struct span aad, struct span sealed,
		   uint8_t *out)
{
	uint8_t tag[TLS_TAG_BYTES];

	if (sealed.len < sizeof(tag))
		return false;

	struct slot *slot = ready(aead, cipher, false, flow);

	sealed.len -= sizeof(tag);
	memcpy(tag, sealed.at + sealed.len, sizeof(tag));
	return slot->library->open(slot->state, nonce, aad, sealed, tag, out);
}
