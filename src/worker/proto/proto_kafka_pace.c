/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_pace: how fast one connection may be (kafka.rate): requests and their bytes, and the
 * bytes of responses. Between two frames who is too fast is not read until it is time, so that TCP
 * holds the other end back; a frame that has begun goes by at full speed, and those behind it wait
 * the longer. Who waits holds no buffer: nothing is read behind the frame at hand.
 */
#include "proto_kafka_priv.h"

/* The shortest frames there are: size, key, version, correlation, client id; size, correlation. */
#define REQUEST_MIN  14
#define RESPONSE_MIN 8

static uint64_t later(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

static uint64_t wait_for(const struct pace *pace, uint64_t rate, uint64_t now_ns)
{
	return rate > 0 ? pace_wait(pace, now_ns) : 0; /* a reload may have lifted it */
}

bool proto_kafka_pace_waits(const struct proto_kafka *kafka, enum proto_channel channel,
			    const struct proto_context *context, struct proto_verdict *ret)
{
	const struct config_kafka *config = context->kafka;
	uint64_t now_ns = context->now_ns;
	uint64_t until_ns =
		channel == PROTO_BROKER
			? wait_for(&kafka->pace_out, config->rate_out, now_ns)
			: later(wait_for(&kafka->pace_requests, config->rate_requests, now_ns),
				wait_for(&kafka->pace_in, config->rate_in, now_ns));

	if (until_ns == 0)
		return false;
	*ret = (struct proto_verdict){ .what = PROTO_HOLD, .until_ns = until_ns };
	return true;
}

/* Is what comes next on the channel something that has a rate? */
static bool is_paced_next(const struct proto_kafka *kafka, enum proto_channel channel)
{
	const struct kafka_asked *asked = proto_kafka_book_first(kafka);

	if (channel == PROTO_CLIENT)
		return kafka->is_dialled && kafka->sasl == KAFKA_SASL_NONE;
	if (asked == NULL)
		return !proto_kafka_sasl_awaits(kafka);
	return !proto_kafka_is_ours(asked);
}

bool proto_kafka_pace_rests(const struct proto_kafka *kafka, enum proto_channel channel,
			    struct span bytes, const struct proto_context *context,
			    struct proto_verdict *ret)
{
	return bytes.len == 0 && is_paced_next(kafka, channel) &&
	       proto_kafka_pace_waits(kafka, channel, context, ret);
}

static bool has_rate(const struct config_kafka *config, enum proto_channel channel)
{
	return channel == PROTO_BROKER ? config->rate_out > 0
				       : config->rate_requests > 0 || config->rate_in > 0;
}

void proto_kafka_pace_read(enum proto_channel channel, struct span bytes,
			   const struct proto_context *context, struct proto_verdict *ret)
{
	uint64_t end = channel == PROTO_BROKER ? RESPONSE_MIN : REQUEST_MIN;
	uint32_t size;

	if (ret->what != PROTO_NEED || ret->is_begun || !has_rate(context->kafka, channel))
		return;
	if (span_u32(&bytes, &size))
		end = 4 + (uint64_t)size;
	if (end < ret->n)
		end = ret->n;
	if (end < ret->max)
		ret->max = (size_t)end;
}

static void take(struct pace *pace, uint64_t rate, uint64_t n, uint64_t now_ns)
{
	if (rate > 0)
		pace_take(pace, rate, n, now_ns);
}

void proto_kafka_pace_take(struct proto_kafka *kafka, enum proto_channel channel,
			   const struct proto_context *context, uint64_t size)
{
	const struct config_kafka *config = context->kafka;

	if (channel == PROTO_BROKER) {
		take(&kafka->pace_out, config->rate_out, size, context->now_ns);
		return;
	}
	take(&kafka->pace_requests, config->rate_requests, 1, context->now_ns);
	take(&kafka->pace_in, config->rate_in, size, context->now_ns);
}

void proto_kafka_pace_note(struct proto_kafka *kafka, enum proto_channel channel,
			   struct proto_context *context, const struct proto_verdict *verdict)
{
	uint8_t bit = (uint8_t)(1u << channel);
	bool is_paced = verdict->what == PROTO_HOLD && verdict->until_ns > 0;

	if (is_paced && (kafka->channels_paced & bit) == 0)
		stat_add(context->stats,
			 channel == PROTO_CLIENT ? STAT_KAFKA_PACED_REQUESTS
						 : STAT_KAFKA_PACED_RESPONSES,
			 1);
	kafka->channels_paced &= (uint8_t)~bit;
	if (is_paced)
		kafka->channels_paced |= bit;
}
