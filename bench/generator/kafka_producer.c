/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A Kafka producer; kafka_producer.h says what it does.
 */
#include "kafka_producer.h"

#include <time.h>

enum {
	REFUSALS_MAX = 500, /* by a leader that does not know yet that it is one */
	REFUSAL_NS = 10000000,
};

void kafka_producer_send(struct kafka_producer *p, uint32_t id)
{
	struct framed *broker = p->client.broker;
	uint8_t bytes[KAFKA_FRAME_BYTES];
	struct wire_writer w = WIRE_WRITER(bytes);

	kafka_put_produce(&w, id, p->client.topic, p->client.leader.partition,
			  p->batch->records_bytes);
	framed_put(broker, bytes, w.size);
	framed_put_tail(broker, p->batch->records,
			p->batch->records_bytes + KAFKA_PRODUCE_END_BYTES);
}

static void store(struct kafka_producer *p)
{
	while (p->sent < p->store_count && framed_takes_more(p->client.broker)) {
		kafka_producer_send(p, (uint32_t)p->sent++);
		framed_flush(p->client.broker);
	}
}

static bool is_new_leader(uint16_t error)
{
	return error == KAFKA_NOT_LEADER || error == KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static void on_stored(struct kafka_producer *p, struct wire_reader body)
{
	struct kafka_client *c = &p->client;
	uint64_t offset;
	uint16_t error = kafka_parse_produce(body, &offset);

	if (is_new_leader(error) && p->refusals++ < REFUSALS_MAX) {
		/* Before the run: nobody minds that all wait. */
		nanosleep(&(struct timespec){ .tv_nsec = REFUSAL_NS }, NULL);
		p->sent--;
		store(p);
		return;
	}
	if (error != KAFKA_NONE) {
		kafka_client_refuse(c, error);
		return;
	}
	if (p->stored++ == 0)
		p->first_offset = offset;
	p->end_offset = offset + p->batch->record_count;
	if (p->stored == p->store_count)
		p->user->on_ready(p);
	else
		store(p);
}

static void on_client_ready(struct kafka_client *c)
{
	store((struct kafka_producer *)c);
}

static void on_answer(struct kafka_client *c, uint32_t id, struct wire_reader body)
{
	struct kafka_producer *p = (struct kafka_producer *)c;

	if (p->stored < p->store_count)
		on_stored(p, body);
	else
		p->user->on_answer(p, id, body);
}

static void on_room(struct kafka_client *c)
{
	struct kafka_producer *p = (struct kafka_producer *)c;

	if (p->stored < p->store_count)
		store(p);
	else
		p->user->on_room(p);
}

static void on_end(struct kafka_client *c)
{
	struct kafka_producer *p = (struct kafka_producer *)c;

	p->user->on_end(p);
}

void kafka_producer_start(struct kafka_producer *p)
{
	static const struct kafka_client_user user = { .on_ready = on_client_ready,
						       .on_answer = on_answer,
						       .on_room = on_room,
						       .on_end = on_end };

	p->client.user = &user;
	p->client.seeks_leader = true;
	kafka_client_start(&p->client);
}
