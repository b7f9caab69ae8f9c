/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_user: listeners for some users only (kafka.allow_users). Who a client is it says in
 * the first token of PLAIN or SCRAM; the broker verifies it with the rest, so it is enough to let
 * no other name through. Until then nothing goes on but what belongs to it:
 *
 *     ApiVersions, SaslHandshake (PLAIN, SCRAM), SaslAuthenticate (an allowed user)   ...
 *
 * OAUTHBEARER's token names a subject too, in words only its issuer's key can vouch for, which is
 * not here; GSSAPI's is sealed. Such mechanisms are not on offer then.
 */
#include "proto_kafka_priv.h"

#define USER_MAX 256

/* Exact, or what a `*` at the end leaves open. */
static bool is_like(struct span user, const char *pattern)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return user.len >= len - 1 && memcmp(user.at, pattern, len - 1) == 0;
	return span_is(user, pattern);
}

static bool is_allowed(const struct proto_kafka *kafka, const struct config_kafka *rules,
		       struct span token)
{
	uint8_t text[USER_MAX];
	struct sink user = sink_of(text, sizeof(text));

	if (!kafka_sasl_user((enum kafka_sasl_shown)kafka->shown, token, &user))
		return false;
	for (uint32_t i = 0; i < rules->user_count; i++)
		if (is_like(sink_written(&user), rules->users[i]))
			return true;
	return false;
}

/* Said to the client by the broker's word for it, where there is one, when nothing else is still to
 * be said to it. */
static enum kafka_user_fate deny(const struct proto_kafka *kafka,
				 const struct kafka_request *request, struct proto_context *context,
				 struct proto_verdict *ret)
{
	if (kafka->asked_count > 0) {
		proto_kafka_hold(ret);
		return KAFKA_USER_VERDICT;
	}
	proto_kafka_refuse(CLOSE_PRINCIPAL_DENIED, ret);
	if (request->key == KAFKA_SASL_AUTHENTICATE) {
		context->scratch.len = 0;
		kafka_sasl_answer(&context->scratch, request, false);
		ret->bytes = sink_written(&context->scratch);
	}
	return KAFKA_USER_VERDICT;
}

static enum kafka_user_fate see_handshake(const struct proto_kafka *kafka, struct span bytes,
					  const struct kafka_request *request,
					  struct proto_context *context, struct span *ret_mechanism,
					  struct proto_verdict *ret)
{
	struct kafka_why why;
	enum wire wire = kafka_sasl_mechanism(bytes, request, ret_mechanism, &why);

	if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		return KAFKA_USER_VERDICT;
	if (kafka_sasl_shows(*ret_mechanism) != KAFKA_SASL_SHOWS_NOBODY)
		return KAFKA_USER_PASS;
	context->scratch.len = 0;
	kafka_sasl_answer(&context->scratch, request, false);
	return KAFKA_USER_ANSWER;
}

static enum kafka_user_fate see_token(const struct proto_kafka *kafka, struct span bytes,
				      const struct kafka_request *request,
				      struct proto_context *context, struct proto_verdict *ret)
{
	struct kafka_why why;
	struct span token;

	if (kafka->shown == KAFKA_SASL_SHOWS_NOBODY) /* one of those behind the first */
		return kafka->is_allowed ? KAFKA_USER_PASS : deny(kafka, request, context, ret);
	enum wire wire = kafka_sasl_token(bytes, request, &token, &why);

	if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		return KAFKA_USER_VERDICT;
	return is_allowed(kafka, context->kafka, token) ? KAFKA_USER_PASS
							: deny(kafka, request, context, ret);
}

enum kafka_user_fate proto_kafka_user_request(const struct proto_kafka *kafka, struct span bytes,
					      const struct kafka_request *request,
					      struct proto_context *context,
					      struct span *ret_mechanism, struct proto_verdict *ret)
{
	if (context->kafka->user_count == 0 || request->key == KAFKA_API_VERSIONS)
		return KAFKA_USER_PASS;
	if (request->key == KAFKA_SASL_HANDSHAKE)
		return see_handshake(kafka, bytes, request, context, ret_mechanism, ret);
	if (request->key == KAFKA_SASL_AUTHENTICATE)
		return see_token(kafka, bytes, request, context, ret);
	return kafka->is_allowed ? KAFKA_USER_PASS : deny(kafka, request, context, ret);
}

bool proto_kafka_user_token(const struct proto_kafka *kafka, struct span bytes, uint64_t size,
			    struct proto_context *context, struct proto_verdict *ret)
{
	struct span token = bytes;

	if (context->kafka->user_count == 0 ||
	    (kafka->shown == KAFKA_SASL_SHOWS_NOBODY && kafka->is_allowed))
		return true;
	if (bytes.len < size) {
		proto_kafka_need(kafka, PROTO_CLIENT, size, ret);
		return false;
	}
	token.len = (size_t)size;
	if (span_skip(&token, 4) && is_allowed(kafka, context->kafka, token))
		return true;
	proto_kafka_refuse(CLOSE_PRINCIPAL_DENIED, ret);
	return false;
}

void proto_kafka_user_sent(struct proto_kafka *kafka, const struct proto_context *context,
			   const struct kafka_request *request, struct span mechanism)
{
	bool is_token = request == NULL || request->key == KAFKA_SASL_AUTHENTICATE;

	if (request != NULL && request->key == KAFKA_SASL_HANDSHAKE) {
		kafka->shown = (uint8_t)kafka_sasl_shows(mechanism);
		kafka->is_allowed = false;
	} else if (is_token && kafka->shown != KAFKA_SASL_SHOWS_NOBODY) {
		kafka->shown = KAFKA_SASL_SHOWS_NOBODY;
		kafka->is_allowed = context->kafka->user_count > 0; /* else nobody looked */
	}
}
