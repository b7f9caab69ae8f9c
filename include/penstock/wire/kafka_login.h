/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_login: authenticating to a broker of Kafka, with wire/sasl inside Kafka's own requests
 * (KIP-43, KIP-152). Request and response in turn, nothing at once:
 *
 *     ApiVersions v0           which SaslAuthenticate the broker knows (once a connection)
 *     SaslHandshake v1         the mechanism
 *     SaslAuthenticate v0-v2   PLAIN: once, SCRAM: twice
 *
 * and, where the broker says how long that lasts (KIP-368), the last two again before it is over,
 * between two other requests. From the first of them to the last answer nothing else may be sent.
 *
 * Thread:   any (pure functions; what a login holds is secret until kafka_login_forget)
 * Errors:   enum kafka_login_fault
 */
#pragma once

#include <penstock/wire/kafka.h>
#include <penstock/wire/sasl.h>

#define KAFKA_LOGIN_SAY_MAX (SASL_SAY_MAX + 64)
#define KAFKA_LOGIN_FRAME   16384 /* of a broker's answer */

struct kafka_login {
	uint8_t step;
	bool is_known;	 /* `version` is what the broker can do */
	int16_t version; /* of SaslAuthenticate */
	int32_t correlation;
	int64_t lifetime_ms; /* once it is DONE; 0: for as long as the connection lasts */
	struct sasl_client sasl;
};

enum kafka_login_fault {
	KAFKA_LOGIN_NONE,
	KAFKA_LOGIN_UNREADABLE, /* what came is no answer to what was asked */
	KAFKA_LOGIN_OLD,	/* the broker has no SaslAuthenticate: Kafka before 1.0 */
	KAFKA_LOGIN_MECHANISM,	/* it does not offer ours; `said`: what it does, as on the wire */
	KAFKA_LOGIN_REFUSED,	/* it does not take our word; `said`: its own */
	KAFKA_LOGIN_CHALLENGE,	/* a SCRAM message that is none, or too few or too many rounds */
	KAFKA_LOGIN_IMPOSTOR,	/* it does not know the password itself */
	KAFKA_LOGIN_CREDENTIAL, /* ours cannot be said: empty, too long, not ASCII */
};
/* A few words each, for people. */
const char *kafka_login_fault_text(enum kafka_login_fault fault);

enum kafka_login_next {
	KAFKA_LOGIN_MORE, /* at least `need` bytes of the answer, from its beginning */
	KAFKA_LOGIN_SAY,  /* the answer is `frame_size` bytes long; the next request is in the sink
			   */
	KAFKA_LOGIN_DONE, /* the same, and there is no more to say */
	KAFKA_LOGIN_FAILED,
};

struct kafka_login_seen {
	size_t need;
	uint64_t frame_size;
	enum kafka_login_fault fault;
	int16_t error;	  /* Kafka's number; 0: it is not the broker who says no */
	struct span said; /* into the bytes shown; may be any bytes at all */
};

/* `random` as in sasl_begin. The login must be all zeros, or one that was DONE: then it is begun
 * once more, on the same connection. */
void kafka_login_begin(struct kafka_login *login, enum sasl_mechanism mechanism,
		       const uint8_t random[static SASL_RANDOM]);
/* The first request, of at most KAFKA_LOGIN_SAY_MAX bytes. */
void kafka_login_first(struct kafka_login *login, struct sink *sink);
/* Looks at what the broker has answered. The credential and the memo are those of the whole login;
 * a request in the sink has at most KAFKA_LOGIN_SAY_MAX bytes. */
enum kafka_login_next kafka_login_see(struct kafka_login *login,
				      const struct sasl_credential *credential, struct span bytes,
				      struct sasl_memo *memo, struct sink *sink,
				      struct kafka_login_seen *ret);
/* Wipes it; what is known of the broker stays. */
void kafka_login_forget(struct kafka_login *login);
