/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_wolf: what the files that include wolfSSL's headers share: the callbacks a WOLFSSL_CTX is
 * given, all of which find their handshake as the context of its I/O.
 */
#pragma once

#include "tls_end_priv.h"

/* The "device" a WOLFSSL_CTX takes its random bytes from. */
#define TLS_RANDOM_DEVICE 1
int tls_random_init(void);

/* ---- tls_io.c ------------------------------------------------------------------------------- */

int tls_wolf_recv(WOLFSSL *ssl, char *ret_bytes, int size, void *slot);
int tls_wolf_send(WOLFSSL *ssl, char *bytes, int len, void *slot);
/* Called whenever it has new keys. */
int tls_wolf_keys(WOLFSSL *ssl, void *unused);

/* ---- tls_callbacks.c ------------------------------------------------------------------------ */

int tls_wolf_verify(int is_fine, WOLFSSL_X509_STORE_CTX *store);
int tls_wolf_ticket(WOLFSSL *ssl, uint8_t *name, uint8_t *iv, uint8_t *mac, int is_seal,
		    uint8_t *bytes, int len, int *ret_len, void *unused);
int tls_wolf_staple(WOLFSSL *ssl, void *unused);
int tls_wolf_sign_ecdsa(WOLFSSL *ssl, const uint8_t *in, unsigned in_len, uint8_t *ret_signature,
			word32 *size, const uint8_t *key, unsigned key_len, void *unused);
int tls_wolf_sign_rsa(WOLFSSL *ssl, const uint8_t *in, unsigned in_len, uint8_t *ret_signature,
		      word32 *size, const uint8_t *key, unsigned key_len, void *unused);
int tls_wolf_sign_rsa_pss(WOLFSSL *ssl, const uint8_t *in, unsigned in_len, uint8_t *ret_signature,
			  unsigned *size, int hash, int mgf, const uint8_t *key, unsigned key_len,
			  void *unused);
