/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_creation: Metadata of clients that may not create topics (read_only, deny_apis): they
 * may not do so by asking for them either. The byte that says so stands behind all topics, of which
 * there may be more than a buffer holds, so that they go by as they are read:
 *
 *     in:    | header | topic | topic | ... | 1 | the rest
 *     out:   | header | topic | topic | ... | 0 | the rest
 */
#include "proto_kafka_priv.h"

bool proto_kafka_creation_matters(const struct proto_context *context,
				  const struct kafka_request *request)
{
	return request->key == KAFKA_METADATA &&
	       kafka_policy_allows(&context->kafka->policy, KAFKA_CREATE_TOPICS, 0) ==
		       KAFKA_ALLOW_DENIED;
}

bool proto_kafka_creation_may(const struct proto_kafka *kafka, const struct kafka_request *request,
			      struct span bytes, struct proto_verdict *ret)
{
	struct kafka_creation creation;
	struct kafka_why why = { 0 };
	size_t taken = 0;
	bool is_asked = false;

	if (request->version >= KAFKA_CREATION_SAID) /* it can be told not to */
		return true;
	kafka_creation_begin(&creation, request);
	enum wire wire = kafka_creation_see(&creation, bytes, &taken, &is_asked, &why);

	why.need += taken;
	if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		return false;
	if (is_asked)
		proto_kafka_refuse(CLOSE_API_DENIED, ret);
	return !is_asked;
}

/* The byte has come, behind those taken. */
static void decide(struct proto_kafka *kafka, struct span bytes, size_t taken, bool is_asked,
		   struct proto_context *context, struct proto_verdict *ret)
{
	struct sink *sink = &context->scratch;
	uint64_t left = kafka->creation.left;

	kafka->creation.left = 0;
	if (!is_asked) {
		proto_kafka_pass(taken + left, ret);
		return;
	}
	sink->len = 0;
	sink_span(sink, span_of(bytes.at, taken));
	sink_u8(sink, 0);
	CHECK(!sink->full); /* as much as is in a buffer */
	kafka->pass_request = left - 1;
	*ret = (struct proto_verdict){ .what = PROTO_EMIT,
				       .n = taken + 1,
				       .bytes = sink_written(sink) };
}

void proto_kafka_creation_see(struct proto_kafka *kafka, struct span bytes,
			      struct proto_context *context, struct proto_verdict *ret)
{
	struct kafka_why why;
	size_t taken = 0;
	bool is_asked = false;
	enum wire wire = kafka_creation_see(&kafka->creation, bytes, &taken, &is_asked, &why);

	if (wire == WIRE_OK)
		decide(kafka, bytes, taken, is_asked, context, ret);
	else if (wire == WIRE_MORE && taken > 0)
		proto_kafka_pass(taken, ret);
	else if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		ret->is_begun = ret->what == PROTO_NEED;
}

void proto_kafka_creation_begin(struct proto_kafka *kafka, const struct kafka_request *request,
				struct span bytes, struct proto_context *context,
				struct proto_verdict *ret)
{
	kafka_creation_begin(&kafka->creation, request);
	proto_kafka_note_size(kafka, PROTO_CLIENT, 0); /* none of it is to be spliced */
	proto_kafka_creation_see(kafka, bytes, context, ret);
}
