/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_sasl: as much of an authentication as somebody who passes it on must see (KIP-43,
 * KIP-152). With SaslHandshake v1 tokens travel in SaslAuthenticate; after v0 they are raw frames,
 * a size and that many bytes, without any header, until the mechanism is through:
 *
 *     client  SaslHandshake v0 | size token | size token | Metadata ...
 *     broker  SaslHandshake v0 | size token | size token | Metadata ...
 *
 * Thread:   any (pure functions over spans)
 * Errors:   as in wire/kafka.h
 */
#pragma once

#include <penstock/wire/kafka.h>

/* The mechanism a SaslHandshake request names. */
enum wire kafka_sasl_mechanism(struct span bytes, const struct kafka_request *request,
			       struct span *ret_mechanism, struct kafka_why *why);
/* The error code of a SaslHandshake response; 0: tokens follow. */
enum wire kafka_sasl_handshake_error(struct span bytes, int16_t *ret_error, struct kafka_why *why);

/* The client's token in a SaslAuthenticate request. */
enum wire kafka_sasl_token(struct span bytes, const struct kafka_request *request,
			   struct span *ret_token, struct kafka_why *why);

struct kafka_sasl_result {
	int16_t error;
	struct span message; /* why not, for people */
	struct span token;   /* the server's */
	int64_t lifetime_ms; /* after which the client must authenticate again; 0: never */
};
/* What a SaslAuthenticate response says. */
enum wire kafka_sasl_result(struct span bytes, int16_t version, struct kafka_sasl_result *ret,
			    struct kafka_why *why);

/* Words of ours in a broker's place, to requests of up to SaslHandshake v1 and SaslAuthenticate v2;
 * at most KAFKA_SASL_ANSWER_MAX bytes. To a handshake: another mechanism, or none at all
 * (`has_none`). To a token: not
 * with this one. */
#define KAFKA_SASL_ANSWER_MAX 160
void kafka_sasl_answer(struct sink *sink, const struct kafka_request *request, bool has_none);

/* Mechanisms whose first token says who its sender is, in clear. */
enum kafka_sasl_shown { KAFKA_SASL_SHOWS_NOBODY, KAFKA_SASL_SHOWS_PLAIN, KAFKA_SASL_SHOWS_SCRAM };
enum kafka_sasl_shown kafka_sasl_shows(struct span mechanism);
/* The user a first token is of, into the sink. false: it is no such token, the user acts for
 * another one, or there is no room. */
MUST_USE bool kafka_sasl_user(enum kafka_sasl_shown shown, struct span token, struct sink *user);
/* Who a PLAIN token says its sender is. false: it is no such token. */
MUST_USE bool kafka_sasl_plain_user(struct span token, struct span *ret_user);

/* ---- raw tokens ----------------------------------------------------------------------------- */

/* Tokens a client sends with this mechanism, at least one; 0: it depends. */
uint32_t kafka_sasl_tokens(struct span mechanism);
/* The size of a raw frame, its size field included. Empty tokens are good ones. */
enum wire kafka_sasl_raw(struct span bytes, uint64_t *ret_frame_size, struct kafka_why *why);
/* Where the number of tokens is not known: is this frame, of which the first 14 bytes or all are
 * there, a request rather than a token? */
bool kafka_sasl_is_request(struct span bytes);
/* The same of GSSAPI, the other way round: a token is empty, or begins with 0x60 (RFC 2743, 3.1)
 * or, without that frame, with 05 04 (RFC 4121, 4.2.6.2). */
bool kafka_sasl_is_gssapi(struct span bytes);
