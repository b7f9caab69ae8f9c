/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_aead_priv: what a library has to do to seal and open records.
 */
#pragma once

#include "tls_priv.h"

/* A `state` has one cipher, direction and key at a time. The calls on records cannot fail once it
 * has had a key, and allocate nothing. `out` may be where the input is. */
struct tls_aead_library {
	const char *name;
	void *(*state_new)(enum tls_cipher cipher, bool is_seal); /* NULL: out of memory */
	void (*state_free)(void *state);			  /* wipes */
	void (*key)(void *state, const uint8_t *key);
	/* out: plain, plain_end and the tag. */
	void (*seal)(void *state, const uint8_t nonce[static 12], struct span aad,
		     struct span plain, struct span plain_end, uint8_t *out);
	/* False: it is not the tag. `out` has the bytes nevertheless. */
	bool (*open)(void *state, const uint8_t nonce[static 12], struct span aad,
		     struct span sealed, const uint8_t tag[static TLS_TAG_BYTES], uint8_t *out);
};

extern const struct tls_aead_library tls_aead_libcrypto;

/* tls_aead_mb.c: finds out what the CPU can, once for the process. */
void tls_aead_mb_probe(void);
/* NULL: not for this cipher, or not on this CPU. */
const struct tls_aead_library *tls_aead_mb(enum tls_cipher cipher);
