/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_request: what clients send. A request is looked at as far as its header says what
 * there is to know, then its body goes by unseen; as many requests as are there go by together.
 */
#include <penstock/base/clock.h>

#include "proto_kafka_priv.h"

/* What is to become of the bytes at hand. Looking changes nothing but scratch, so that a request
 * behind others that pass may be looked at again when they have gone. */
enum look_what {
	LOOK_VERDICT, /* whatever *ret says */
	LOOK_PASS,    /* a request or a token that goes by */
	LOOK_ANSWER,  /* a request whose response is in scratch */
	LOOK_DENY,    /* a request that is answered as it is read */
	LOOK_CREATE,  /* a request that must not create topics goes by as it is read */
};

struct look {
	enum look_what what;
	bool is_token;
	bool has_response;
	uint64_t size;
	struct kafka_request request;
	struct span mechanism; /* of a SaslHandshake */
};

static uint32_t request_max(const struct proto_context *context)
{
	uint64_t max = context->kafka->request_max;

	return max > 0 ? (uint32_t)max : KAFKA_FRAME_BROKER;
}

static bool has_prefix(struct span client, const char *prefix)
{
	return client.at != NULL && span_starts(client, prefix);
}

/* May this client go by that name? */
static bool look_at_client(const struct proto_kafka *kafka, struct span bytes,
			   const struct proto_context *context, const struct look *look,
			   struct proto_verdict *ret)
{
	const char *prefix = context->kafka->client_id_prefix;
	struct kafka_why why;
	struct span client = { 0 };

	if (prefix == NULL)
		return true;
	enum wire wire = kafka_request_client(bytes, &look->request, &client, &why);

	if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		return false;
	if (has_prefix(client, prefix))
		return true;
	proto_kafka_refuse(CLOSE_CLIENT_ID_DENIED, ret);
	return false;
}

/* What has to be known of the few requests that are more than a key and a version. */
static bool look_into(const struct proto_kafka *kafka, struct span bytes, struct look *look,
		      struct proto_verdict *ret)
{
	const struct kafka_request *request = &look->request;
	struct kafka_why why;
	int16_t acks = 1;
	enum wire wire = WIRE_OK;

	if (request->key == KAFKA_PRODUCE)
		wire = kafka_produce_acks(bytes, request, &acks, &why);
	else if (request->key == KAFKA_SASL_HANDSHAKE && request->version == 0)
		wire = kafka_sasl_mechanism(bytes, request, &look->mechanism, &why);
	look->has_response = acks != 0;
	return proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret);
}

/* As brokers do: where no answer is awaited, the end of the connection is the only one. */
static void look_at_denial(const struct proto_kafka *kafka, struct span bytes, struct look *look,
			   struct proto_verdict *ret)
{
	if (!look_into(kafka, bytes, look, ret))
		return;
	if (look->has_response)
		look->what = LOOK_DENY;
	else
		proto_kafka_refuse(CLOSE_API_DENIED, ret);
}

static void look_at_request(const struct proto_kafka *kafka, struct span bytes,
			    struct proto_context *context, struct look *look,
			    struct proto_verdict *ret)
{
	enum close_reason reason = CLOSE_NONE;
	struct kafka_why why;
	enum wire wire = kafka_request_head(bytes, request_max(context), &look->request, &why);

	if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret) ||
	    !look_at_client(kafka, bytes, context, look, ret))
		return;
	look->size = look->request.frame_size;
	switch (proto_kafka_policy(&context->kafka->policy, &look->request, &context->scratch,
				   &reason)) {
	case KAFKA_FATE_REFUSE:
		proto_kafka_refuse(reason, ret);
		return;
	case KAFKA_FATE_ANSWER:
		look->what = LOOK_ANSWER;
		return;
	case KAFKA_FATE_DENY:
		look_at_denial(kafka, bytes, look, ret);
		return;
	case KAFKA_FATE_PASS:
		break;
	}
	switch (proto_kafka_user_request(kafka, bytes, &look->request, context, &look->mechanism,
					 ret)) {
	case KAFKA_USER_VERDICT:
		return;
	case KAFKA_USER_ANSWER:
		look->what = LOOK_ANSWER;
		return;
	case KAFKA_USER_PASS:
		break;
	}
	bool is_creation = proto_kafka_creation_matters(context, &look->request);

	if (look_into(kafka, bytes, look, ret) &&
	    (!is_creation || proto_kafka_creation_may(kafka, &look->request, bytes, ret)))
		look->what = is_creation ? LOOK_CREATE : LOOK_PASS;
}

/* A request that is one, and yet not now. */
static bool must_wait(const struct proto_kafka *kafka, const struct proto_context *context,
		      const struct look *look, struct proto_verdict *ret)
{
	if (look->is_token)
		return false;
	if (!kafka->is_dialled) {
		*ret = (struct proto_verdict){ .what = PROTO_DIAL };
		return true;
	}
	/* Not one more, so that the connection ends between two of them, once the last response is
	 * through: the client can be sure that it has to ask again, elsewhere. */
	bool is_over = context->is_draining || context->is_moved;

	if (is_over && kafka->asked_count == 0 && context->can_reply) {
		proto_kafka_refuse(context->is_draining ? CLOSE_DRAIN : CLOSE_NODE_MOVED, ret);
		return true;
	}
	bool is_ours = look->what == LOOK_ANSWER || look->what == LOOK_DENY;
	bool is_full =
		!is_ours && look->has_response && !proto_kafka_book_has_room(kafka, context->pools);
	/* The place of an answer is behind the responses that are still to come. */
	bool is_early = is_ours && (kafka->asked_count > 0 || !context->can_reply);

	if (is_full || is_early || is_over) {
		proto_kafka_hold(ret);
		return true;
	}
	return proto_kafka_pace_waits(kafka, PROTO_CLIENT, context, ret);
}

/* A request that comes byte by byte is not looked at for each of them: next when there are twice as
 * many, or all of it. */
static void wait_for_more(struct span bytes, struct proto_verdict *ret)
{
	struct span rest = bytes;
	uint64_t n = 2 * (uint64_t)bytes.len;
	uint32_t size;

	if (ret->what != PROTO_NEED || !span_u32(&rest, &size))
		return;
	if (n > 4 + (uint64_t)size)
		n = 4 + (uint64_t)size;
	if (n > PROTO_FRAME_MAX)
		n = PROTO_FRAME_MAX;
	if (n > ret->n)
		ret->n = n;
	if (n > ret->max)
		ret->max = (size_t)n;
}

static void look_at(const struct proto_kafka *kafka, struct span bytes,
		    struct proto_context *context, struct look *look, struct proto_verdict *ret)
{
	*look = (struct look){ .what = LOOK_VERDICT };
	switch (proto_kafka_sasl_client(kafka, bytes, &look->size, ret)) {
	case KAFKA_SASL_VERDICT:
		return;
	case KAFKA_SASL_TOKEN:
		if (!proto_kafka_user_token(kafka, bytes, look->size, context, ret))
			return;
		look->what = LOOK_PASS;
		look->is_token = true;
		return;
	case KAFKA_SASL_REQUEST:
		break;
	}
	look_at_request(kafka, bytes, context, look, ret);
	if (look->what == LOOK_VERDICT)
		wait_for_more(bytes, ret);
	else if (must_wait(kafka, context, look, ret))
		look->what = LOOK_VERDICT;
}

static void goes_by(struct proto_kafka *kafka, struct proto_context *context,
		    const struct look *look)
{
	const struct kafka_asked asked = {
		.correlation = look->request.correlation,
		.key = look->request.key,
		.version = look->request.version,
		.at_us = (uint32_t)(context->now_ns / NS_PER_US),
	};

	proto_kafka_user_sent(kafka, context, look->is_token ? NULL : &look->request,
			      look->mechanism);
	if (look->is_token) {
		proto_kafka_sasl_token_sent(kafka);
		return;
	}
	kafka->last_key = look->request.key;
	proto_kafka_sasl_asked(kafka, &look->request, look->mechanism);
	proto_kafka_note_size(kafka, PROTO_CLIENT, look->size);
	proto_kafka_pace_take(kafka, PROTO_CLIENT, context, look->size);
	if (look->has_response)
		proto_kafka_book_add(kafka, context, &asked);
	proto_kafka_count_request(context, &look->request);
}

/* For the log: bytes are where the request begins. */
static void note_odd(struct proto_kafka *kafka, struct span bytes, const struct look *look)
{
	kafka->odd = (struct kafka_odd){
		.key = look->request.key,
		.version = look->request.version,
	};
	if (!span_u32(&bytes, &kafka->odd.size))
		kafka->odd.size = 0;
}

static void deny(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		 const struct look *look)
{
	note_odd(kafka, bytes, look);
	proto_kafka_count_denied(context, look->request.key);
}

static bool is_denied(const struct proto_context *context, const struct look *look)
{
	const struct kafka_request *request = &look->request;

	return kafka_policy_allows(&context->kafka->policy, request->key, request->version) ==
	       KAFKA_ALLOW_DENIED;
}

static void answer(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		   const struct look *look, struct proto_verdict *ret)
{
	uint64_t n = look->size < bytes.len ? look->size : bytes.len;

	kafka->drop = look->size - n;
	proto_kafka_pace_take(kafka, PROTO_CLIENT, context, look->size);
	stat_add(context->stats, STAT_KAFKA_ANSWERED, 1);
	/* ApiVersions of a version not known here is answered, too. */
	context->is_denied = is_denied(context, look);
	if (context->is_denied)
		deny(kafka, bytes, context, look);
	*ret = (struct proto_verdict){ .what = PROTO_REPLY,
				       .n = n,
				       .bytes = sink_written(&context->scratch) };
}

static void answer_each(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
			const struct look *look, struct proto_verdict *ret)
{
	proto_kafka_pace_take(kafka, PROTO_CLIENT, context, look->size);
	context->is_denied = true;
	deny(kafka, bytes, context, look);
	proto_kafka_deny_begin(kafka, &look->request, bytes, context, ret);
}

static void pass_each(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		      const struct look *look, struct proto_verdict *ret)
{
	goes_by(kafka, context, look);
	proto_kafka_creation_begin(kafka, &look->request, bytes, context, ret);
}

/* The rest of a request that has been answered. */
static void drop(struct proto_kafka *kafka, struct span bytes, struct proto_verdict *ret)
{
	uint64_t n = kafka->drop < bytes.len ? kafka->drop : bytes.len;

	if (n == 0) {
		proto_kafka_need(kafka, PROTO_CLIENT, 1, ret);
		ret->is_begun = true;
		return;
	}
	kafka->drop -= n;
	*ret = (struct proto_verdict){ .what = PROTO_DROP, .n = n };
}

void proto_kafka_request_see(struct proto_kafka *kafka, struct span bytes,
			     struct proto_context *context, struct proto_verdict *ret)
{
	struct span rest = bytes;
	uint64_t passed = 0;
	struct look look;

	if (kafka->drop > 0) {
		drop(kafka, bytes, ret);
		return;
	}
	if (kafka->denial != NULL) {
		proto_kafka_deny_see(kafka, bytes, context, ret);
		return;
	}
	if (kafka->creation.left > 0) {
		proto_kafka_creation_see(kafka, bytes, context, ret);
		return;
	}
	if (kafka->pass_request > 0) {
		proto_kafka_pass(kafka->pass_request, ret);
		kafka->pass_request = 0;
		return;
	}
	if (proto_kafka_pace_rests(kafka, PROTO_CLIENT, bytes, context, ret))
		return;
	if (bytes.len > 0 && proto_kafka_login_first(kafka, context, ret))
		return;
	if (bytes.len > 0 && bytes.len < kafka->wanted) {
		proto_kafka_need(kafka, PROTO_CLIENT, kafka->wanted, ret);
		return;
	}
	for (;;) {
		look_at(kafka, rest, context, &look, ret);
		if (look.what != LOOK_PASS)
			break;
		goes_by(kafka, context, &look);
		passed += look.size;
		if (!span_skip(&rest, look.size) || rest.len == 0)
			break;
	}
	if (passed > 0)
		proto_kafka_pass(passed, ret);
	else if (look.what == LOOK_ANSWER)
		answer(kafka, bytes, context, &look, ret);
	else if (look.what == LOOK_DENY)
		answer_each(kafka, bytes, context, &look, ret);
	else if (look.what == LOOK_CREATE)
		pass_each(kafka, bytes, context, &look, ret);
	else if (ret->what == PROTO_REFUSE && ret->reason == CLOSE_API_DENIED)
		deny(kafka, bytes, context, &look);
	else if (ret->what == PROTO_REFUSE)
		note_odd(kafka, bytes, &look);
	kafka->wanted = ret->what == PROTO_NEED && !ret->is_begun ? (uint32_t)ret->n : 0;
}
