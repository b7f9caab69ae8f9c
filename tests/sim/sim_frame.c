/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * u32 total | u32 command | 08 type | (type << 3 | 2) len body | payload (PulsarApi.proto)
 */
#include <stdlib.h>
#include <string.h>

#include "sim_frame.h"
#include "sim_stream.h"

#define NOISE_TYPE 77 /* no command has this number */

void sim_frame_append(struct sim_text *text, const void *bytes, size_t len)
{
	while (text->size - text->len < len) {
		text->size = text->size > 0 ? 2 * text->size : 512;
		text->at = realloc(text->at, text->size);
		CHECK(text->at != NULL);
	}
	if (len > 0)
		memcpy(text->at + text->len, bytes, len);
	text->len += len;
}

void sim_frame_free(struct sim_text *text)
{
	free(text->at);
	*text = (struct sim_text){ 0 };
}

static void put_varint(struct sim_text *text, uint64_t value)
{
	uint8_t byte;

	do {
		byte = (uint8_t)(value & 0x7f);
		value >>= 7;
		if (value > 0)
			byte |= 0x80;
		sim_frame_append(text, &byte, 1);
	} while (value > 0);
}

void sim_frame_varint(struct sim_text *text, uint32_t number, uint64_t value)
{
	put_varint(text, (uint64_t)number << 3);
	put_varint(text, value);
}

void sim_frame_bytes(struct sim_text *text, uint32_t number, struct span bytes)
{
	put_varint(text, (uint64_t)number << 3 | 2);
	put_varint(text, bytes.len);
	sim_frame_append(text, bytes.at, bytes.len);
}

void sim_frame_str(struct sim_text *text, uint32_t number, const char *value)
{
	sim_frame_bytes(text, number, span_str(value));
}

static void put_u32(struct sim_text *text, size_t value)
{
	const uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				   (uint8_t)(value >> 8), (uint8_t)value };

	sim_frame_append(text, bytes, sizeof(bytes));
}

void sim_frame_put(struct sim_text *text, uint32_t type, const struct sim_text *body,
		   struct span payload)
{
	struct sim_text command = { 0 };

	sim_frame_varint(&command, 1, type);
	sim_frame_bytes(&command, type, span_of(body->at, body->len));
	put_u32(text, 4 + command.len + payload.len);
	put_u32(text, command.len);
	sim_frame_append(text, command.at, command.len);
	sim_frame_append(text, payload.at, payload.len);
	sim_frame_free(&command);
}

/* ---- reading ---- */

static uint64_t get_varint(struct span *bytes, const char *who)
{
	uint64_t value = 0;

	for (uint32_t shift = 0; shift < 64; shift += 7) {
		if (bytes->len == 0)
			break;
		uint8_t byte = *bytes->at;

		*bytes = span_of(bytes->at + 1, bytes->len - 1);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return value;
	}
	sim_fail("%s: a frame with a broken number", who);
}

static struct sim_field get_field(struct span *bytes, const char *who)
{
	uint64_t tag = get_varint(bytes, who);
	struct sim_field field = { .number = (uint32_t)(tag >> 3), .is_bytes = (tag & 7) == 2 };

	field.value = get_varint(bytes, who);
	if (!field.is_bytes && (tag & 7) != 0)
		sim_fail("%s: a frame with a field of wire type %u", who, (unsigned)(tag & 7));
	if (field.is_bytes) {
		if (field.value > bytes->len)
			sim_fail("%s: a frame with a field that is too long", who);
		field.bytes = span_of(bytes->at, (size_t)field.value);
		*bytes = span_of(bytes->at + field.value, bytes->len - (size_t)field.value);
	}
	return field;
}

static size_t get_u32(const uint8_t *at)
{
	return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

bool sim_frame_read(struct span bytes, struct sim_frame *ret_frame, const char *who)
{
	if (bytes.len < 8)
		return false;
	size_t total = get_u32(bytes.at), command = get_u32(bytes.at + 4);

	if (total > SIM_FRAME_MAX || command > total - 4 || total < 4)
		sim_fail("%s: no frame: sizes %zu and %zu", who, total, command);
	if (bytes.len < 4 + total)
		return false;
	struct span rest = span_of(bytes.at + 8, command);
	struct sim_field type = get_field(&rest, who);
	struct sim_field body = get_field(&rest, who);

	if (type.number != 1 || type.is_bytes || body.number != type.value || rest.len > 0)
		sim_fail("%s: a frame that is no command", who);
	*ret_frame = (struct sim_frame){
		.type = (uint32_t)type.value,
		.whole = span_of(bytes.at, 4 + total),
		.body = body.bytes,
		.payload = span_of(bytes.at + 8 + command, total - 4 - command),
	};
	return true;
}

bool sim_frame_find(const struct sim_frame *frame, uint32_t number, struct sim_field *ret_field)
{
	struct span rest = frame->body;
	bool is_there = false;

	while (rest.len > 0) {
		struct sim_field field = get_field(&rest, "a body");

		if (field.number == number) {
			*ret_field = field;
			is_there = true;
		}
	}
	return is_there;
}

uint64_t sim_frame_value(const struct sim_frame *frame, uint32_t number, uint64_t absent)
{
	struct sim_field field;

	return sim_frame_find(frame, number, &field) ? field.value : absent;
}

struct span sim_frame_text(const struct sim_frame *frame, uint32_t number)
{
	struct sim_field field;

	return sim_frame_find(frame, number, &field) ? field.bytes : span_of(NULL, 0);
}

/* ---- noise ---- */

static uint32_t noise_number(uint32_t flow, bool is_to_broker, uint32_t sequence)
{
	return 0x40000000u + flow * 4096u + sequence * 2u + is_to_broker;
}

void sim_frame_noise(struct sim_text *text, uint32_t flow, bool is_to_broker, uint32_t sequence,
		     size_t len)
{
	struct sim_text body = { 0 };
	uint8_t *payload = malloc(len + 1);

	CHECK(payload != NULL);
	sim_stream_pattern(noise_number(flow, is_to_broker, sequence), 0, payload, len);
	sim_frame_varint(&body, 1, sequence);
	sim_frame_varint(&body, 2, flow);
	sim_frame_varint(&body, 3, is_to_broker);
	sim_frame_put(text, NOISE_TYPE, &body, span_of(payload, len));
	sim_frame_free(&body);
	free(payload);
}

bool sim_frame_is_noise(const struct sim_frame *frame)
{
	return frame->type == NOISE_TYPE;
}

void sim_frame_check_noise(const struct sim_frame *frame, uint32_t flow, bool is_to_broker,
			   uint32_t sequence, const char *who)
{
	uint8_t *wanted = malloc(frame->payload.len + 1);

	CHECK(wanted != NULL);
	if (sim_frame_value(frame, 1, UINT64_MAX) != sequence ||
	    sim_frame_value(frame, 2, UINT64_MAX) != flow ||
	    sim_frame_value(frame, 3, UINT64_MAX) != is_to_broker)
		sim_fail("%s: flow %u: not frame %u, which was its turn", who, flow, sequence);
	sim_stream_pattern(noise_number(flow, is_to_broker, sequence), 0, wanted,
			   frame->payload.len);
	if (memcmp(wanted, frame->payload.at, frame->payload.len) != 0)
		sim_fail("%s: flow %u: frame %u has the wrong bytes", who, flow, sequence);
	free(wanted);
}
