/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_long: responses that name brokers, have to be seen whole, and are longer than a
 * buffer: FindCoordinator for some hundred groups at once, Metadata of some hundred brokers. They
 * are collected, changed, and sent on in pieces:
 *
 *     in:   | read by kafka_rewrite            | not changed | the rest of the frame goes by later
 *     out:  | what it has made of that         |
 *
 * One in a while of an administrator's making, so that there are a few of these buffers for all
 * connections of a worker.
 */
#include "proto_kafka_priv.h"

void proto_kafka_long_end(struct proto_kafka *kafka, struct proto_pools *pools)
{
	if (kafka->bulk != NULL)
		pool_put(&pools->bulks, kafka->bulk);
	kafka->bulk = NULL;
}

bool proto_kafka_long_begin(struct proto_kafka *kafka, struct proto_context *context,
			    uint64_t frame_size, uint64_t need, struct proto_verdict *ret)
{
	CHECK(kafka->bulk == NULL);
	if (need > KAFKA_BULK_BYTES) {
		proto_kafka_refuse(CLOSE_RESPONSE_TOO_BIG, ret);
		return false;
	}
	kafka->bulk = pool_get(&context->pools->bulks);
	if (kafka->bulk == NULL) {
		proto_kafka_refuse(CLOSE_ENOBUFS, ret);
		return false;
	}
	kafka->bulk->frame_size = frame_size;
	kafka->bulk->need = (uint32_t)need;
	kafka->bulk->filled = kafka->bulk->written = 0;
	kafka->bulk->out_sent = kafka->bulk->in_sent = 0;
	kafka->bulk->is_sending = false;
	return true;
}

/* All that was wanted is there. */
static bool rewrite(struct proto_kafka *kafka, struct proto_context *context,
		    struct proto_verdict *ret)
{
	struct kafka_bulk *bulk = kafka->bulk;
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);
	struct kafka_naming naming;
	struct kafka_names names = proto_kafka_names(&naming, context);
	struct sink sink = sink_of(bulk->out, KAFKA_BULK_BYTES);
	struct kafka_rewritten rewritten;
	struct kafka_why why = { 0 };
	enum wire wire = kafka_rewrite(span_of(bulk->in, bulk->filled), asked->key, asked->version,
				       &names, &sink, &rewritten, &why);

	if (wire == WIRE_MORE && why.need > KAFKA_BULK_BYTES) {
		proto_kafka_refuse(CLOSE_RESPONSE_TOO_BIG, ret);
		return false;
	}
	if (wire == WIRE_MORE) {
		bulk->need = (uint32_t)why.need;
		return true;
	}
	if (!proto_kafka_is_read(kafka, PROTO_BROKER, wire, &why, ret))
		return false;
	bulk->written = (uint32_t)sink.len;
	bulk->in_sent = (uint32_t)rewritten.taken;
	bulk->is_sending = true;
	stat_add(context->stats, STAT_KAFKA_LONG, 1);
	return true;
}

static void collect(struct proto_kafka *kafka, struct span bytes, struct proto_context *context,
		    struct proto_verdict *ret)
{
	struct kafka_bulk *bulk = kafka->bulk;
	size_t want = bulk->need - bulk->filled;
	struct sink in = sink_of(bulk->in + bulk->filled, want);
	struct span head = bytes;

	if (bytes.len == 0) {
		*ret = (struct proto_verdict){
			.what = PROTO_NEED, .n = 1, .max = PROTO_FRAME_MAX, .is_begun = true
		};
		return;
	}
	if (head.len > want)
		head.len = want;
	sink_span(&in, head);
	bulk->filled += (uint32_t)head.len;
	if (bulk->filled == bulk->need && !rewrite(kafka, context, ret))
		return;
	*ret = (struct proto_verdict){ .what = PROTO_DROP, .n = head.len };
}

/* The next piece of `bytes`, of which so many have been sent. */
static struct span piece(const uint8_t *bytes, uint32_t *sent, uint32_t end)
{
	uint32_t len = end - *sent < PROTO_FRAME_MAX ? end - *sent : PROTO_FRAME_MAX;
	struct span next = span_of(bytes + *sent, len);

	*sent += len;
	return next;
}

bool proto_kafka_long_see(struct proto_kafka *kafka, struct span bytes,
			  struct proto_context *context, struct proto_verdict *ret)
{
	struct kafka_bulk *bulk = kafka->bulk;
	struct span next = { 0 };

	if (!bulk->is_sending) {
		collect(kafka, bytes, context, ret);
		return true;
	}
	if (bulk->out_sent < bulk->written)
		next = piece(bulk->out, &bulk->out_sent, bulk->written);
	else if (bulk->in_sent < bulk->filled)
		next = piece(bulk->in, &bulk->in_sent, bulk->filled);
	if (next.len == 0) {
		kafka->pass = bulk->frame_size - bulk->filled;
		if (kafka->pass == 0)
			proto_kafka_book_take(kafka, context);
		proto_kafka_long_end(kafka, context->pools);
		return false;
	}
	*ret = (struct proto_verdict){ .what = PROTO_EMIT, .n = 0, .bytes = next };
	return true;
}
