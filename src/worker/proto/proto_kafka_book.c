/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_book: requests without a response, oldest first. Most connections have a handful, for
 * which there is room in the session; a client that sends many at once leases chunks for the rest:
 *
 *     ring (8)  ->  chunk (64)  ->  chunk (64)
 *     oldest                          newest
 *
 * A client with more than can be noted is held back until a response comes; one with nothing noted
 * always finds room, so nobody waits for chunks of somebody else.
 */
#include "proto_kafka_priv.h"

bool proto_kafka_book_has_room(const struct proto_kafka *kafka, const struct proto_pools *pools)
{
	if (kafka->asked_count >= KAFKA_ASKED_MAX)
		return false;
	if (kafka->last == NULL && kafka->ring_count < PROTO_KAFKA_ASKED)
		return true;
	if (kafka->last != NULL && kafka->last->to < KAFKA_CHUNK_ASKED)
		return true;
	return pools->chunks.in_use < pools->chunks.capacity;
}

static struct kafka_asked *place_in_chunk(struct proto_kafka *kafka, struct proto_pools *pools)
{
	struct kafka_chunk *chunk = kafka->last;

	if (chunk == NULL || chunk->to == KAFKA_CHUNK_ASKED) {
		chunk = pool_get(&pools->chunks);
		CHECK(chunk != NULL);
		chunk->next = NULL;
		chunk->from = chunk->to = 0;
		if (kafka->last != NULL)
			kafka->last->next = chunk;
		else
			kafka->first = chunk;
		kafka->last = chunk;
	}
	return &chunk->asked[chunk->to++];
}

void proto_kafka_book_add(struct proto_kafka *kafka, struct proto_context *context,
			  const struct kafka_asked *asked)
{
	CHECK(proto_kafka_book_has_room(kafka, context->pools));
	if (kafka->last == NULL && kafka->ring_count < PROTO_KAFKA_ASKED) {
		uint32_t at = (uint32_t)kafka->ring_at + kafka->ring_count++;

		kafka->asked[at % PROTO_KAFKA_ASKED] = *asked;
	} else {
		*place_in_chunk(kafka, context->pools) = *asked;
	}
	kafka->asked_count++;
	stat_add(context->stats, STAT_KAFKA_IN_FLIGHT, 1);
	if (!proto_kafka_book_has_room(kafka, context->pools))
		stat_add(context->stats, STAT_KAFKA_HELD, 1);
}

const struct kafka_asked *proto_kafka_book_first(const struct proto_kafka *kafka)
{
	if (kafka->ring_count > 0)
		return &kafka->asked[kafka->ring_at];
	return kafka->first != NULL ? &kafka->first->asked[kafka->first->from] : NULL;
}

static void drop_first_chunk(struct proto_kafka *kafka, struct proto_pools *pools)
{
	struct kafka_chunk *chunk = kafka->first;

	kafka->first = chunk->next;
	if (kafka->first == NULL)
		kafka->last = NULL;
	pool_put(&pools->chunks, chunk);
}

void proto_kafka_book_take(struct proto_kafka *kafka, struct proto_context *context)
{
	CHECK(kafka->asked_count > 0);
	if (kafka->ring_count > 0) {
		kafka->ring_at = (uint8_t)((kafka->ring_at + 1) % PROTO_KAFKA_ASKED);
		kafka->ring_count--;
	} else if (++kafka->first->from == kafka->first->to) {
		drop_first_chunk(kafka, context->pools);
	}
	kafka->asked_count--;
	kafka->is_counted = false;
	stat_sub(context->stats, STAT_KAFKA_IN_FLIGHT, 1);
}

void proto_kafka_book_end(struct proto_kafka *kafka, struct proto_context *context)
{
	while (kafka->first != NULL)
		drop_first_chunk(kafka, context->pools);
	stat_sub(context->stats, STAT_KAFKA_IN_FLIGHT, kafka->asked_count);
	kafka->asked_count = kafka->ring_count = 0;
}
