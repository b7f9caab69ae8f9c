/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_ticket: the keys session tickets are sealed with (AES-256-GCM). A lock, since keys are copied
 * once in a handshake and written once an hour.
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

#include "tls_priv.h"

#define KEYS 3 /* the present one, and two whose tickets are still taken */

struct key {
	uint8_t name[TLS_TICKET_NAME_BYTES]; /* all zeros: no key */
	uint8_t bytes[32];
};

struct tls_tickets {
	pthread_mutex_t lock;
	struct key keys[KEYS];
};

static const uint8_t no_name[TLS_TICKET_NAME_BYTES];

struct tls_tickets *tls_tickets_new(void)
{
	struct tls_tickets *tickets = calloc(1, sizeof(*tickets));

	if (tickets == NULL)
		return NULL;
	if (pthread_mutex_init(&tickets->lock, NULL) != 0) {
		free(tickets);
		return NULL;
	}
	tls_tickets_rotate(tickets);
	return tickets;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
	if (tickets == NULL)
		return;
	(void)pthread_mutex_destroy(&tickets->lock);
	explicit_bzero(tickets, sizeof(*tickets));
	free(tickets);
}

void tls_tickets_rotate(struct tls_tickets *tickets)
{
	struct key key;

	/* Without randomness no ticket is better than one with a bad key. */
	if (RAND_bytes((unsigned char *)&key, sizeof(key)) != 1)
		key = (struct key){ .name = { 0 } };
	(void)pthread_mutex_lock(&tickets->lock);
	memmove(tickets->keys + 1, tickets->keys, (KEYS - 1) * sizeof(key));
	tickets->keys[0] = key;
	(void)pthread_mutex_unlock(&tickets->lock);
	explicit_bzero(&key, sizeof(key));
}

/* The key of that name; NULL: the present one. */
static bool find_key(struct tls_tickets *tickets, const uint8_t *name, struct key *ret_key)
{
	bool is_found = false;

	(void)pthread_mutex_lock(&tickets->lock);
	for (int i = 0; i < (name == NULL ? 1 : KEYS) && !is_found; i++) {
		const struct key *key = &tickets->keys[i];

		if (memcmp(key->name, no_name, sizeof(no_name)) == 0 ||
		    (name != NULL && memcmp(key->name, name, sizeof(key->name)) != 0))
			continue;
		*ret_key = *key;
		is_found = true;
	}
	(void)pthread_mutex_unlock(&tickets->lock);
	return is_found;
}

/* Scope and name are authenticated with the ticket: it is good nowhere else. */
static bool begin(EVP_CIPHER_CTX *ctx, bool is_seal, const struct key *key, const uint8_t *nonce,
		  const struct tls_ticket *ticket)
{
	int len;

	return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce, is_seal) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &len, key->name, sizeof(key->name)) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &len, (const uint8_t *)ticket->scope,
				(int)strlen(ticket->scope) + 1) == 1 &&
	       (ticket->server_name.len == 0 ||
		EVP_CipherUpdate(ctx, NULL, &len, ticket->server_name.at,
				 (int)ticket->server_name.len) == 1);
}

bool tls_ticket_seal(struct tls_tickets *tickets, const struct tls_ticket *ticket)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct key key = { .name = { 0 } };
	int len = 0;
	bool ok =
		ctx != NULL && find_key(tickets, NULL, &key) &&
		RAND_bytes(ticket->iv, TLS_TICKET_IV_BYTES) == 1 &&
		begin(ctx, true, &key, ticket->iv, ticket) &&
		EVP_CipherUpdate(ctx, ticket->bytes, &len, ticket->bytes, (int)ticket->len) == 1 &&
		EVP_CipherFinal_ex(ctx, ticket->bytes + len, &len) == 1;

	memset(ticket->mac, 0, TLS_TICKET_MAC_BYTES);
	ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, ticket->mac) == 1;
	memcpy(ticket->name, key.name, sizeof(key.name));
	explicit_bzero(&key, sizeof(key));
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

bool tls_ticket_open(struct tls_tickets *tickets, const struct tls_ticket *ticket)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	struct key key = { .name = { 0 } };
	int len = 0;
	bool ok =
		ctx != NULL && find_key(tickets, ticket->name, &key) &&
		begin(ctx, false, &key, ticket->iv, ticket) &&
		EVP_CipherUpdate(ctx, ticket->bytes, &len, ticket->bytes, (int)ticket->len) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TLS_TAG_BYTES, ticket->mac) == 1 &&
		EVP_CipherFinal_ex(ctx, ticket->bytes + len, &len) == 1;

	explicit_bzero(&key, sizeof(key));
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}
