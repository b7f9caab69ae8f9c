/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_count: what is counted for each API: a handful of plain additions for a request and
 * its response, and no clock but that of the turn. Times are those between two turns, so that what
 * comes within one turn took none.
 *
 * Which way the bytes of a Fetch take is known only after they have gone by: what the brain let
 * pass is counted when it is asked again. Only the last frame of several that go by together can
 * have been spliced, since the others were in the buffer.
 */
#include <penstock/base/clock.h>

#include "proto_kafka_priv.h"

_Static_assert(KAFKA_UNREGISTER_CONTROLLER < STAT_KAFKA_UNKNOWN, "a place for every key");

static struct stat_kafka_api *api_of(const struct proto_context *context, int16_t key)
{
	return &context->stats->kafka.api[kafka_api(key) != NULL ? key : STAT_KAFKA_UNKNOWN];
}

void proto_kafka_count_request(struct proto_context *context, const struct kafka_request *request)
{
	struct stat_kafka_api *api = api_of(context, request->key);

	stat_count(&api->requests, 1);
	stat_count(&api->request_bytes, request->frame_size);
	if (LIKELY(context->node != NULL))
		stat_count(&context->node->requests, 1);
}

void proto_kafka_count_denied(struct proto_context *context, int16_t key)
{
	stat_count(&api_of(context, key)->denied, 1);
}

void proto_kafka_count_response(struct proto_kafka *kafka, const struct proto_context *context,
				const struct kafka_asked *asked, uint64_t size)
{
	uint32_t now_us = (uint32_t)(context->now_ns / NS_PER_US);

	kafka->is_fetch = asked->key == KAFKA_FETCH;
	stat_kafka_response(api_of(context, asked->key), context->node, size,
			    now_us - asked->at_us);
}

void proto_kafka_count_passed(struct proto_kafka *kafka, uint64_t size)
{
	kafka->is_fetch_last = kafka->is_fetch;
	if (kafka->is_fetch)
		kafka->fetch_left += size;
}

void proto_kafka_count_verdict(struct proto_kafka *kafka, struct proto_context *context,
			       const struct proto_verdict *verdict)
{
	if (verdict->what == PROTO_PASS)
		proto_kafka_count_passed(kafka, verdict->n);
	else if (verdict->what == PROTO_EMIT && kafka->is_fetch)
		stat_add(context->stats, STAT_KAFKA_FETCH_COPY, verdict->bytes.len);
}

void proto_kafka_count_through(struct proto_kafka *kafka, struct proto_context *context)
{
	uint64_t spliced = kafka->is_fetch_last ? context->spliced - kafka->spliced : 0;

	kafka->spliced = context->spliced;
	if (kafka->fetch_left == 0)
		return;
	if (spliced > kafka->fetch_left)
		spliced = kafka->fetch_left;
	stat_add(context->stats, STAT_KAFKA_FETCH_SPLICE, spliced);
	stat_add(context->stats, STAT_KAFKA_FETCH_COPY, kafka->fetch_left - spliced);
	kafka->fetch_left = 0;
}

/* In the middle of a response, maybe: how much of it was copied cannot be told any more. */
void proto_kafka_count_end(struct proto_kafka *kafka, struct proto_context *context)
{
	uint64_t spliced = context->spliced - kafka->spliced;

	if (kafka->is_fetch_last && kafka->fetch_left > 0)
		stat_add(context->stats, STAT_KAFKA_FETCH_SPLICE,
			 spliced < kafka->fetch_left ? spliced : kafka->fetch_left);
}
