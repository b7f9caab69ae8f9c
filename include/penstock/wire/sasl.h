/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/sasl: the client's side of an authentication: what is to be said with a user and a password,
 * as PLAIN (RFC 4616) or SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677; without channel binding, as
 * Kafka has it). How messages travel is somebody else's (wire/kafka_login.h).
 *
 *     PLAIN    \0user\0password
 *     SCRAM    n,,n=user,r=NONCE            r=NONCE+theirs,s=salt,i=4096
 *              c=biws,r=NONCE+theirs,p=...  v=...
 *
 * Deriving SCRAM's keys takes thousands of hashes (some 2 ms), which depend on nothing but
 * password, salt and count: a memo keeps them from one authentication to the next (RFC 5802, 3).
 *
 * Thread:   any (pure functions; a memo belongs to one thread)
 * Memory:   the caller's. A memo and a client hold secrets: sasl_forget, sasl_memo_forget
 * Errors:   enum sasl_next
 */
#pragma once

#include <penstock/base/span.h>

#define SASL_USER_MAX	  255
#define SASL_PASSWORD_MAX 1023
#define SASL_RANDOM	  18 /* bytes of a nonce */
#define SASL_NONCE	  24 /* letters of the same */
#define SASL_HASH_MAX	  64
#define SASL_SALT_MAX	  128
#define SASL_SAY_MAX	  1536 /* of one message of ours */
#define SASL_HEAR_MAX	  1024 /* of one of a server's; a longer one is refused */

/* What Kafka takes (ScramMechanism): fewer would be weak, and more are seconds of our time at a
 * server's word. */
#define SASL_ROUNDS_MIN	  4096
#define SASL_ROUNDS_MAX	  16384

enum sasl_mechanism { SASL_PLAIN, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_512 };
/* "PLAIN", "SCRAM-SHA-256", ... */
const char *sasl_name(enum sasl_mechanism mechanism);

/* May this be a user's name or password? Printable ASCII, which SASLprep (RFC 4013) leaves as it
 * is; anything else would have to be prepared, which is not done here. */
bool sasl_is_text(struct span text);

/* Whom to be; borrowed for the length of a call. */
struct sasl_credential {
	struct span user, password;
};

/* SCRAM's keys for one password, salt and count; `of` is a hash of these. All zeros: empty. */
struct sasl_memo {
	bool is_set;
	uint8_t of[32];
	uint8_t client_key[SASL_HASH_MAX], server_key[SASL_HASH_MAX];
};
void sasl_memo_forget(struct sasl_memo *memo);

struct sasl_client {
	uint8_t mechanism; /* enum sasl_mechanism */
	uint8_t step;
	uint8_t nonce_len; /* SASL_NONCE; others have shorter ones */
	uint8_t nonce[SASL_NONCE];
	uint8_t signature[SASL_HASH_MAX]; /* that the server must show */
};

enum sasl_next {
	SASL_SAY,	/* the message is in the sink */
	SASL_DONE,	/* the server is who it must be, and there is no more to say */
	SASL_MALFORMED, /* a message that is none, or not to be taken: nonce, count */
	SASL_REFUSED,	/* the server says no */
	SASL_IMPOSTOR,	/* the server does not know the password either */
};

/* Begins. `random` must come from the kernel, for this authentication alone. */
void sasl_begin(struct sasl_client *client, enum sasl_mechanism mechanism,
		const uint8_t random[static SASL_RANDOM]);
/* The first message; false: the credential is none that can be said (sasl_is_text, lengths). */
MUST_USE bool sasl_first(struct sasl_client *client, const struct sasl_credential *credential,
			 struct sink *sink);
/* A message of the server's has come. An answer is at most SASL_SAY_MAX bytes. */
enum sasl_next sasl_hear(struct sasl_client *client, const struct sasl_credential *credential,
			 struct span message, struct sasl_memo *memo, struct sink *sink);
void sasl_forget(struct sasl_client *client);
