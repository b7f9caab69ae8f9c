/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_deny: requests that are denied, and whose answer says so for each topic, partition or
 * resource they name. Such a request is read to its end, which for Produce means all its records,
 * and goes nowhere; what grows meanwhile is the answer, in a buffer that is leased for that long.
 *
 *     in:   | head | topic | partition | records, not kept | partition | records | ...
 *     out:    head   topic   partition   error               partition   error     ...
 *
 * Its place is kept by what comes before: nothing is taken of the request until all responses
 * before it are through, and nothing behind it until it has been answered.
 */
#include "proto_kafka_priv.h"

void proto_kafka_deny_end(struct proto_kafka *kafka, struct proto_pools *pools)
{
	if (kafka->denial != NULL)
		pool_put(&pools->denials, kafka->denial);
	kafka->denial = NULL;
}

/* The answer is whole; what is taken with it is the rest of the request. */
static void reply(struct proto_kafka *kafka, size_t taken, struct proto_context *context,
		  struct proto_verdict *ret)
{
	struct sink *sink = &context->scratch;

	sink->len = 0;
	sink_span(sink, sink_written(&kafka->denial->answer));
	CHECK(!sink->full);
	proto_kafka_deny_end(kafka, context->pools);
	stat_add(context->stats, STAT_KAFKA_ANSWERED, 1);
	*ret = (struct proto_verdict){ .what = PROTO_REPLY,
				       .n = taken,
				       .bytes = sink_written(sink) };
}

void proto_kafka_deny_see(struct proto_kafka *kafka, struct span bytes,
			  struct proto_context *context, struct proto_verdict *ret)
{
	struct kafka_denial *denial = kafka->denial;
	struct kafka_why why;
	size_t taken = 0;

	if (!context->can_reply) { /* it may be over with these bytes */
		proto_kafka_hold(ret);
		return;
	}
	enum wire wire = kafka_refusal_see(&denial->refusal, bytes, &denial->answer, &taken, &why);

	if (wire == WIRE_OK)
		reply(kafka, taken, context, ret);
	else if (wire == WIRE_MORE && taken > 0)
		*ret = (struct proto_verdict){ .what = PROTO_DROP, .n = taken };
	else if (wire == WIRE_BAD && why.bad == KAFKA_BAD_ROOM)
		proto_kafka_refuse(CLOSE_API_DENIED, ret);
	else if (!proto_kafka_is_read(kafka, PROTO_CLIENT, wire, &why, ret))
		ret->is_begun = ret->what == PROTO_NEED;
}

void proto_kafka_deny_begin(struct proto_kafka *kafka, const struct kafka_request *request,
			    struct span bytes, struct proto_context *context,
			    struct proto_verdict *ret)
{
	struct kafka_denial *denial = pool_get(&context->pools->denials);

	CHECK(kafka->denial == NULL);
	if (denial == NULL) {
		proto_kafka_refuse(CLOSE_API_DENIED, ret);
		return;
	}
	denial->answer = sink_of(denial->bytes, sizeof(denial->bytes));
	kafka_refusal_begin(&denial->refusal, request, &denial->answer);
	kafka->denial = denial;
	proto_kafka_note_size(kafka, PROTO_CLIENT, 0); /* none of it is to be spliced */
	proto_kafka_deny_see(kafka, bytes, context, ret);
}
