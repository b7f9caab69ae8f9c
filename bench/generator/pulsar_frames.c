/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pulsar's frames; pulsar_frames.h says which. All of them are u32 size of all that follows,
 * u32 size of the command, the command; SEND and MESSAGE go on with u16 magic, u32 CRC32C of the
 * rest, u32 size of the metadata, the metadata, the payload.
 */
#include "pulsar_frames.h"

#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CHECKSUM_MAGIC = 0x0e01,
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
	REQUIRED_ID = 1, /* of the one producer or consumer of a connection */
};

/* ---- protobuf -------------------------------------------------------------------------------- */

static void put_number(struct wire_writer *w, uint32_t field, uint64_t value)
{
	wire_put_varint(w, field << 3 | WIRE_VARINT);
	wire_put_varint(w, value);
}

static void put_bytes(struct wire_writer *w, uint32_t field, const void *data, size_t size)
{
	wire_put_varint(w, field << 3 | WIRE_BYTES);
	wire_put_varint(w, size);
	wire_put(w, data, size);
}

static void put_text(struct wire_writer *w, uint32_t field, const char *text)
{
	put_bytes(w, field, text, strlen(text));
}

static void put_message_id(struct wire_writer *w, uint32_t field, uint64_t ledger, uint64_t entry)
{
	uint8_t bytes[32];
	struct wire_writer id = WIRE_WRITER(bytes);

	put_number(&id, 1, ledger);
	put_number(&id, 2, entry);
	put_bytes(w, field, bytes, id.size);
}

/* Finds a field; `ret_part` is its bytes, or empty for a number, which is `ret_value`. */
static bool find(const struct wire_reader *body, uint32_t field, uint64_t *ret_value,
		 struct wire_reader *ret_part)
{
	struct wire_reader r = *body;

	while (r.left > 0) {
		uint64_t tag = wire_take_varint(&r);
		uint64_t value = 0;
		struct wire_reader part = { 0 };

		if ((tag & 7) == WIRE_VARINT)
			value = wire_take_varint(&r);
		else if ((tag & 7) == WIRE_BYTES)
			part = wire_take_part(&r, wire_take_varint(&r));
		else if ((tag & 7) == WIRE_FIXED64)
			wire_take_u64(&r);
		else if ((tag & 7) == WIRE_FIXED32)
			wire_take_u32(&r);
		else
			return false;
		if (r.broken)
			return false;
		if (tag >> 3 != field)
			continue;
		*ret_value = value;
		*ret_part = part;
		return true;
	}
	return false;
}

uint64_t pulsar_number(const struct wire_reader *body, uint32_t field, uint64_t unless_given)
{
	struct wire_reader part;
	uint64_t value;

	return find(body, field, &value, &part) ? value : unless_given;
}

bool pulsar_has(const struct wire_reader *body, uint32_t field)
{
	struct wire_reader part;
	uint64_t value;

	return find(body, field, &value, &part);
}

struct wire_reader pulsar_bytes(const struct wire_reader *body, uint32_t field)
{
	struct wire_reader part = { 0 };
	uint64_t value;

	find(body, field, &value, &part);
	return part;
}

bool pulsar_parse(const struct frame *frame, struct pulsar_command *ret_command)
{
	struct wire_reader r = { .at = frame->bytes, .left = frame->have };

	wire_take_u32(&r);
	struct wire_reader command = wire_take_part(&r, wire_take_u32(&r));
	if (command.broken)
		return false;
	ret_command->type = (enum pulsar_type)pulsar_number(&command, 1, 0);
	ret_command->body = pulsar_bytes(&command, (uint32_t)ret_command->type);
	ret_command->rest = r;
	ret_command->rest_bytes = r.left + frame->size - frame->have;
	return pulsar_has(&command, (uint32_t)ret_command->type);
}

struct wire_reader pulsar_metadata(const struct pulsar_command *command, size_t *ret_bytes)
{
	struct wire_reader r = command->rest;

	if (r.left >= 2 && r.at[0] == CHECKSUM_MAGIC >> 8 && r.at[1] == (CHECKSUM_MAGIC & 0xff))
		wire_take(&r, 2 + 4);
	struct wire_reader metadata = wire_take_part(&r, wire_take_u32(&r));
	*ret_bytes = command->rest_bytes - (size_t)(r.at - command->rest.at);
	return metadata;
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The body of a command is written first, because its size stands before it. */
struct command {
	enum pulsar_type type;
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer body;
};

static struct wire_writer *begin(struct command *c, enum pulsar_type type)
{
	c->type = type;
	c->body = WIRE_WRITER(c->bytes);
	return &c->body;
}

/* With room for `more_bytes` behind the command in the sizes. */
static void finish(struct wire_writer *w, const struct command *c, size_t more_bytes)
{
	size_t at = w->size;

	wire_put_u32(w, 0);
	wire_put_u32(w, 0);
	put_number(w, 1, c->type);
	put_bytes(w, c->type, c->bytes, c->body.size);

	size_t command_bytes = w->size - at - 8;
	wire_set_u32(w->bytes + at, (uint32_t)(4 + command_bytes + more_bytes));
	wire_set_u32(w->bytes + at + 4, (uint32_t)command_bytes);
}

void pulsar_put_connect(struct wire_writer *w, const char *broker)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_CONNECT);

	put_text(body, 1, "penstock-bench");
	put_number(body, 4, PULSAR_PROTOCOL);
	if (broker != NULL)
		put_text(body, 6, broker);
	finish(w, &c, 0);
}

void pulsar_put_partitions(struct wire_writer *w, const char *topic, uint64_t request)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_PARTITIONED_METADATA);

	put_text(body, 1, topic);
	put_number(body, 2, request);
	finish(w, &c, 0);
}

void pulsar_put_lookup(struct wire_writer *w, const char *topic, uint64_t request, bool final)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_LOOKUP);

	put_text(body, 1, topic);
	put_number(body, 2, request);
	put_number(body, 3, final);
	finish(w, &c, 0);
}

void pulsar_put_producer(struct wire_writer *w, const char *topic, const char *name,
			 uint64_t request)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_PRODUCER);

	put_text(body, 1, topic);
	put_number(body, 2, REQUIRED_ID);
	put_number(body, 3, request);
	put_text(body, 4, name);
	finish(w, &c, 0);
}

void pulsar_put_subscribe(struct wire_writer *w, const struct pulsar_subscription *s,
			  uint64_t request)
{
	enum { EXCLUSIVE, LATEST = 0, EARLIEST = 1 };
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_SUBSCRIBE);

	put_text(body, 1, s->topic);
	put_text(body, 2, s->name);
	put_number(body, 3, EXCLUSIVE);
	put_number(body, 4, s->consumer);
	put_number(body, 5, request);
	put_number(body, 8, false);
	if (s->from_earliest)
		put_message_id(body, 9, UINT64_MAX, UINT64_MAX); /* -1:-1 */
	put_number(body, 13, s->from_earliest ? EARLIEST : LATEST);
	finish(w, &c, 0);
}

void pulsar_put_flow(struct wire_writer *w, uint64_t consumer, uint64_t permits)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_FLOW);

	put_number(body, 1, consumer);
	put_number(body, 2, permits);
	finish(w, &c, 0);
}

void pulsar_put_ack(struct wire_writer *w, uint64_t consumer, const struct wire_reader *message_id)
{
	enum { CUMULATIVE = 1 };
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_ACK);

	put_number(body, 1, consumer);
	put_number(body, 2, CUMULATIVE);
	put_bytes(body, 3, message_id->at, message_id->left);
	finish(w, &c, 0);
}

void pulsar_put_close_consumer(struct wire_writer *w, uint64_t consumer, uint64_t request)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_CLOSE_CONSUMER);

	put_number(body, 1, consumer);
	put_number(body, 2, request);
	finish(w, &c, 0);
}

void pulsar_put_bare(struct wire_writer *w, enum pulsar_type type)
{
	struct command c;

	begin(&c, type);
	finish(w, &c, 0);
}

void pulsar_put_connected(struct wire_writer *w)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_CONNECTED);

	put_text(body, 1, "penstock-bench sink");
	put_number(body, 2, PULSAR_PROTOCOL);
	put_number(body, 3, 5 << 20); /* the largest message */
	finish(w, &c, 0);
}

void pulsar_put_partitions_response(struct wire_writer *w, uint64_t request)
{
	enum { NONE, SUCCESS = 0 };
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_PARTITIONED_METADATA_RESPONSE);

	put_number(body, 1, NONE);
	put_number(body, 2, request);
	put_number(body, 3, SUCCESS);
	finish(w, &c, 0);
}

void pulsar_put_lookup_response(struct wire_writer *w, const char *broker_url, bool through_service,
				uint64_t request)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_LOOKUP_RESPONSE);

	put_text(body, 1, broker_url);
	put_number(body, 3, PULSAR_GO);
	put_number(body, 4, request);
	put_number(body, 5, true);
	put_number(body, 8, through_service);
	finish(w, &c, 0);
}

void pulsar_put_producer_success(struct wire_writer *w, uint64_t request,
				 const struct wire_reader *name)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_PRODUCER_SUCCESS);

	put_number(body, 1, request);
	put_bytes(body, 2, name->at, name->left);
	put_number(body, 3, UINT64_MAX); /* no sequence id so far: -1 */
	finish(w, &c, 0);
}

void pulsar_put_success(struct wire_writer *w, uint64_t request)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_SUCCESS);

	put_number(body, 1, request);
	finish(w, &c, 0);
}

void pulsar_put_receipt(struct wire_writer *w, uint64_t producer, uint64_t sequence_id,
			uint64_t entry)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_SEND_RECEIPT);

	put_number(body, 1, producer);
	put_number(body, 2, sequence_id);
	put_message_id(body, 3, 1, entry);
	finish(w, &c, 0);
}

void pulsar_put_message(struct wire_writer *w, uint64_t consumer, uint64_t entry, size_t rest_bytes)
{
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_MESSAGE);

	put_number(body, 1, consumer);
	put_message_id(body, 2, 1, entry);
	finish(w, &c, rest_bytes);
}

/* ---- batches --------------------------------------------------------------------------------- */

void pulsar_batch_init(struct pulsar_batch *b, size_t bytes, size_t message_bytes)
{
	size_t count = message_bytes == 0 ? 1 : bytes / message_bytes;
	struct wire_writer payload = { 0 };

	b->producer = NULL;
	b->message_count = count > 1 ? (uint32_t)count : 0;
	payload.room = count > 1 ? count * (message_bytes + 16) : bytes;
	payload.bytes = load_alloc(1, payload.room);
	if (count <= 1) {
		memset(payload.bytes, 'p', bytes);
		payload.size = bytes;
	}
	for (size_t i = 0; count > 1 && i < count; i++) {
		uint8_t bytes_of_one[16];
		struct wire_writer one = WIRE_WRITER(bytes_of_one);

		put_number(&one, 3, message_bytes); /* SingleMessageMetadata */
		wire_put_u32(&payload, (uint32_t)one.size);
		wire_put(&payload, bytes_of_one, one.size);
		memset(payload.bytes + payload.size, 'p', message_bytes);
		payload.size += message_bytes;
	}
	b->payload = payload.bytes;
	b->payload_bytes = payload.size;
	b->sum = crc32c_tail(b->payload, b->payload_bytes);
}

void pulsar_batch_free(struct pulsar_batch *b)
{
	free(b->payload);
}

uint64_t pulsar_batch_messages(const struct pulsar_batch *b)
{
	return b->message_count == 0 ? 1 : b->message_count;
}

static uint64_t unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pulsar_put_send(struct wire_writer *w, const struct pulsar_batch *b, uint64_t number)
{
	uint8_t bytes[PULSAR_FRAME_BYTES];
	struct wire_writer head = WIRE_WRITER(bytes); /* what the sum covers before the payload */
	struct command c;
	struct wire_writer *body = begin(&c, PULSAR_SEND);
	uint64_t first = number * pulsar_batch_messages(b);
	uint64_t last = first + pulsar_batch_messages(b) - 1;

	wire_put_u32(&head, 0);
	put_text(&head, 1, b->producer);
	put_number(&head, 2, first);
	put_number(&head, 3, unix_ms());
	put_number(&head, 9, b->payload_bytes);
	if (b->message_count > 0) {
		put_number(&head, 11, b->message_count);
		put_number(&head, 24, last);
	}
	wire_set_u32(bytes, (uint32_t)(head.size - 4));

	put_number(body, 1, REQUIRED_ID);
	put_number(body, 2, first);
	if (b->message_count > 0) {
		put_number(body, 3, b->message_count);
		put_number(body, 6, last);
	}
	finish(w, &c, 2 + 4 + head.size + b->payload_bytes);
	wire_put_u16(w, CHECKSUM_MAGIC);
	wire_put_u32(w, crc32c_join(crc32c(bytes, head.size), &b->sum));
	wire_put(w, bytes, head.size);
}
