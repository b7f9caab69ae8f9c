/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_sasl: as much of an authentication as somebody who passes it on must see (kafka.md 4).
 * With SaslHandshake v1 tokens travel in SaslAuthenticate; after v0 they are raw frames, a size and
 * that many bytes, without any header, until the mechanism is through:
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
	int64_t lifetime_ms; /* after which the client must authenticate again; 0: never */
};
/* What a SaslAuthenticate response says. */
enum wire kafka_sasl_result(struct span bytes, int16_t version, struct kafka_sasl_result *ret,
			    struct kafka_why *why);

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
