/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka: the Kafka brain: a connection of a client to one broker, request by request. A
 * response says neither what it answers nor how it is to be read, so every request is noted until
 * its response comes; brokers answer in order. Where a response names brokers, their
 * addresses are replaced by the names clients know; everything else goes by unread.
 *
 * Which broker a client wants is not in its bytes: the port or the server name it came by says so.
 * The brain wants a broker (DIAL) as soon as it has seen a request it would pass.
 */
#include "proto_kafka_priv.h"

/* ---- verdicts ---- */

void proto_kafka_refuse(enum close_reason reason, struct proto_verdict *ret)
{
	*ret = (struct proto_verdict){ .what = PROTO_REFUSE, .reason = reason };
}

void proto_kafka_pass(uint64_t n, struct proto_verdict *ret)
{
	*ret = (struct proto_verdict){ .what = PROTO_PASS, .n = n };
}

void proto_kafka_hold(struct proto_verdict *ret)
{
	*ret = (struct proto_verdict){ .what = PROTO_HOLD };
}

void proto_kafka_need(const struct proto_kafka *kafka, enum proto_channel channel, uint64_t n,
		      struct proto_verdict *ret)
{
	bool is_bulky = (kafka->channels_bulky & (1u << channel)) != 0;

	if (n > PROTO_FRAME_MAX) {
		proto_kafka_refuse(channel == PROTO_CLIENT ? CLOSE_FRAME_TOO_BIG
							   : CLOSE_RESPONSE_TOO_BIG,
				   ret);
		return;
	}
	*ret = (struct proto_verdict){ .what = PROTO_NEED, .n = n, .max = PROTO_FRAME_MAX };
	if (is_bulky && n + KAFKA_PEEK < PROTO_FRAME_MAX) {
		ret->max = n + KAFKA_PEEK;
		ret->is_bulk = channel == PROTO_CLIENT; /* most responses change */
	}
}

/* Bulk is left in the socket, from where it can be spliced. */
void proto_kafka_note_size(struct proto_kafka *kafka, enum proto_channel channel, uint64_t size)
{
	if (size >= KAFKA_BULKY)
		kafka->channels_bulky |= (uint8_t)(1u << channel);
	else
		kafka->channels_bulky &= (uint8_t) ~(1u << channel);
}

static enum close_reason reason_of_client(enum kafka_bad bad)
{
	switch ((int)bad) {
	case KAFKA_BAD_SIZE_BIG:
		return CLOSE_FRAME_TOO_BIG;
	case KAFKA_BAD_SIZE_SMALL:
		return CLOSE_FRAME_ZERO;
	default:
		return CLOSE_FRAME_MALFORMED;
	}
}

static enum close_reason reason_of_broker(enum kafka_bad bad)
{
	switch ((int)bad) {
	case KAFKA_BAD_ROOM:
	case KAFKA_BAD_TAIL:
	case KAFKA_BAD_SIZE_BIG:
		return CLOSE_RESPONSE_TOO_BIG;
	case KAFKA_BAD_NO_NAME:
		return CLOSE_NODE_UNNAMED;
	default:
		return CLOSE_BROKER_FRAME_MALFORMED;
	}
}

bool proto_kafka_is_read(const struct proto_kafka *kafka, enum proto_channel channel,
			 enum wire wire, const struct kafka_why *why, struct proto_verdict *ret)
{
	switch (wire) {
	case WIRE_OK:
		return true;
	case WIRE_MORE:
		proto_kafka_need(kafka, channel, why->need, ret);
		break;
	case WIRE_BAD:
		proto_kafka_refuse(channel == PROTO_CLIENT ? reason_of_client(why->bad)
							   : reason_of_broker(why->bad),
				   ret);
		break;
	}
	return false;
}

/* ---- the brain ---- */

/* A client whose first bytes are refused may not speak Kafka at all. */
static enum close_reason mistake_reason(struct span bytes, enum close_reason reason)
{
	switch (kafka_mistake(bytes)) {
	case KAFKA_MISTAKE_HTTP:
		return CLOSE_NOT_KAFKA_HTTP;
	case KAFKA_MISTAKE_TLS:
		return CLOSE_NOT_KAFKA_TLS;
	case KAFKA_MISTAKE_PULSAR:
		return CLOSE_NOT_KAFKA_PULSAR;
	case KAFKA_MISTAKE_SSH:
		return CLOSE_NOT_KAFKA_SSH;
	case KAFKA_MISTAKE_PROXY:
		return CLOSE_PROXY_UNTRUSTED;
	case KAFKA_MISTAKE_NONE:
		break;
	}
	return reason;
}

static void kafka_see(struct proto *proto, enum proto_channel channel, struct span bytes,
		      struct proto_context *context, struct proto_verdict *ret)
{
	struct proto_kafka *kafka = proto->kafka;

	if (context->kafka == NULL) { /* nobody can say any more what brokers are to be called */
		proto_kafka_refuse(CLOSE_LISTENER_GONE, ret);
		return;
	}
	if (channel == PROTO_BROKER) {
		proto_kafka_response_see(kafka, bytes, context, ret);
		proto_kafka_pace_read(channel, bytes, context, ret);
		proto_kafka_pace_note(kafka, channel, context, ret);
		return;
	}
	CHECK(channel == PROTO_CLIENT);
	proto_kafka_request_see(kafka, bytes, context, ret);
	proto_kafka_pace_read(channel, bytes, context, ret);
	proto_kafka_pace_note(kafka, channel, context, ret);
	if (ret->what == PROTO_REFUSE && !kafka->is_dialled)
		ret->reason = mistake_reason(bytes, ret->reason);
}

static void kafka_begin(struct proto *proto, struct proto_pools *pools)
{
	proto->kind = PROTO_KIND_KAFKA;
	proto->kafka = pool_get(&pools->kafkas);
	CHECK(proto->kafka != NULL); /* there is one for each session */
	*proto->kafka = (struct proto_kafka){ 0 };
}

static void kafka_end(struct proto *proto, struct proto_context *context)
{
	proto_kafka_count_end(proto->kafka, context);
	proto_kafka_book_end(proto->kafka, context);
	proto_kafka_long_end(proto->kafka, context->pools);
	proto_kafka_login_end(proto->kafka, context->pools);
	proto_kafka_deny_end(proto->kafka, context->pools);
	pool_put(&context->pools->kafkas, proto->kafka);
	proto->kafka = NULL;
}

static void kafka_dialled(struct proto *proto)
{
	CHECK(!proto->kafka->is_dialled);
	proto->kafka->is_dialled = true;
}

/* Kafka has no word for the end of a connection: clients go by its being closed. */
static void kafka_refuse(struct proto *proto, enum close_reason reason, struct sink *sink)
{
	(void)proto;
	(void)reason;
	(void)sink;
}

const struct proto_ops proto_kafka_ops = {
	.name = "kafka",
	.begin = kafka_begin,
	.end = kafka_end,
	.see = kafka_see,
	.dialled = kafka_dialled,
	.refuse = kafka_refuse,
};
