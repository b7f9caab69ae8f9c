/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_sasl: after SaslHandshake v0 client and broker exchange tokens that have a size and
 * nothing else (KIP-43). Nothing says when they have done with it, so it must be known:
 *
 *     PLAIN, OAUTHBEARER, SCRAM    so many tokens, each with an answer
 *     GSSAPI                       as long as the client sends what looks like one
 *     others                       until it sends what can only be a request; the broker may speak
 *                                  without having been asked until then, as with GSSAPI
 *
 * A client that does not wait for an answer is held back, so that it is always clear whether a
 * frame of the broker is a token or a response. Later versions have tokens in ordinary requests.
 */
#include "proto_kafka_priv.h"

#define IS_REQUEST_BYTES 14 /* that kafka_sasl_is_request wants to see */

void proto_kafka_sasl_asked(struct proto_kafka *kafka, const struct kafka_request *request,
			    struct span mechanism)
{
	kafka->sasl = KAFKA_SASL_NONE;
	if (request->key != KAFKA_SASL_HANDSHAKE || request->version > 0)
		return;
	kafka->sasl = KAFKA_SASL_ASKED;
	kafka->tokens_left = (uint8_t)kafka_sasl_tokens(mechanism);
	kafka->is_gssapi = span_is(mechanism, "GSSAPI");
	kafka->tokens_unanswered = 0;
}

void proto_kafka_sasl_answered(struct proto_kafka *kafka, int16_t error)
{
	CHECK(kafka->sasl == KAFKA_SASL_ASKED);
	if (error != 0)
		kafka->sasl = KAFKA_SASL_NONE;
	else if (kafka->tokens_left > 0)
		kafka->sasl = KAFKA_SASL_COUNTED;
	else
		kafka->sasl = KAFKA_SASL_OPEN;
}

/* What a client of OAUTHBEARER says when it has been refused (RFC 7628, 3.2.3). */
static bool is_resignation(struct span bytes)
{
	static const uint8_t resignation[] = { 0, 0, 0, 1, 1 };

	return bytes.len >= sizeof(resignation) &&
	       memcmp(bytes.at, resignation, sizeof(resignation)) == 0;
}

/* `size` is that of the frame. */
static bool is_token(const struct proto_kafka *kafka, struct span bytes, uint64_t size)
{
	if (kafka->sasl == KAFKA_SASL_OPEN && kafka->is_gssapi)
		return kafka_sasl_is_gssapi(bytes);
	if (kafka->sasl == KAFKA_SASL_OPEN)
		return !kafka_sasl_is_request(bytes);
	return kafka->tokens_left > 0 || (size == 5 && is_resignation(bytes));
}

enum kafka_sasl_next proto_kafka_sasl_client(const struct proto_kafka *kafka, struct span bytes,
					     uint64_t *ret_size, struct proto_verdict *ret)
{
	struct kafka_why why;
	uint64_t size = 0;

	if (kafka->sasl == KAFKA_SASL_NONE)
		return KAFKA_SASL_REQUEST;
	if (kafka->sasl == KAFKA_SASL_ASKED || kafka->tokens_unanswered > 0) {
		proto_kafka_hold(ret);
		return KAFKA_SASL_VERDICT;
	}
	enum wire wire = kafka_sasl_raw(bytes, &size, &why);
	bool is_over = kafka->sasl == KAFKA_SASL_COUNTED && kafka->tokens_left == 0;

	/* A request may be longer than any token. */
	if (wire == WIRE_BAD && why.bad == KAFKA_BAD_SIZE_BIG &&
	    (is_over || kafka->sasl == KAFKA_SASL_OPEN))
		return KAFKA_SASL_REQUEST;
	if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		return KAFKA_SASL_VERDICT;
	uint64_t wanted = size < IS_REQUEST_BYTES ? size : IS_REQUEST_BYTES;

	if (bytes.len < wanted) {
		proto_kafka_need(kafka, PROTO_CLIENT, wanted, ret);
		return KAFKA_SASL_VERDICT;
	}
	*ret_size = size;
	return is_token(kafka, bytes, size) ? KAFKA_SASL_TOKEN : KAFKA_SASL_REQUEST;
}

void proto_kafka_sasl_token_sent(struct proto_kafka *kafka)
{
	if (kafka->sasl != KAFKA_SASL_COUNTED)
		return;
	if (kafka->tokens_left > 0)
		kafka->tokens_left--;
	kafka->tokens_unanswered++;
}

bool proto_kafka_sasl_awaits(const struct proto_kafka *kafka)
{
	return kafka->sasl == KAFKA_SASL_OPEN || kafka->tokens_unanswered > 0;
}

void proto_kafka_sasl_token_came(struct proto_kafka *kafka)
{
	if (kafka->tokens_unanswered > 0)
		kafka->tokens_unanswered--;
}
