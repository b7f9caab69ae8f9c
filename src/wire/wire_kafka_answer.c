/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Responses written by a row of letters each.
 */
#include <penstock/wire/kafka_answer.h>

#include "wire_kafka_answer.h"
#include "wire_kafka_read.h"

#define SIZE_FIELD 4
#define NOT_SAID   0x80000000u
#define MESSAGE	   "penstock: this call is denied (api_denied)"

static const struct wire_kafka_row rows[] = {
#define KAFKA_ANSWER WIRE_KAFKA_ROW
#include <penstock/wire/kafka_answer.def>
#undef KAFKA_ANSWER
};

const struct wire_kafka_row *wire_kafka_row_of(const struct wire_kafka_row *table, size_t count,
					       const struct kafka_request *request)
{
	for (size_t i = 0; i < count; i++) {
		if (table[i].key == request->key && request->version >= table[i].since &&
		    request->version <= table[i].until)
			return &table[i];
	}
	return NULL;
}

static const struct wire_kafka_row *row_of(const struct kafka_request *request)
{
	return wire_kafka_row_of(rows, COUNT_OF(rows), request);
}

static void put_count(struct sink *sink, bool is_flexible, bool is_null)
{
	if (is_flexible)
		sink_varint(sink, is_null ? 0 : 1);
	else
		sink_u32(sink, is_null ? UINT32_MAX : 0);
}

static void put_null_string(struct sink *sink, bool is_flexible)
{
	if (is_flexible)
		sink_varint(sink, 0);
	else
		sink_u16(sink, UINT16_MAX);
}

static void put_i64(struct sink *sink, uint32_t half)
{
	sink_u32(sink, half);
	sink_u32(sink, half);
}

static void put_number(struct sink *sink, char letter)
{
	switch (letter) {
	case 't':
	case '0':
		sink_u32(sink, 0);
		return;
	case 'f':
	case '1':
		sink_u8(sink, letter == '1');
		return;
	case 'x':
		sink_u8(sink, UINT8_MAX);
		return;
	case 'H':
		sink_u16(sink, UINT16_MAX);
		return;
	case 'N':
		sink_u32(sink, UINT32_MAX);
		return;
	case 'O':
		sink_u32(sink, NOT_SAID);
		return;
	case 'l':
		put_i64(sink, 0);
		return;
	case 'L':
		put_i64(sink, UINT32_MAX);
		return;
	case 'u':
		put_i64(sink, 0);
		put_i64(sink, 0);
		return;
	default:
		CHECK(false);
	}
}

void wire_kafka_answer_field(struct sink *sink, char letter, uint16_t error, bool is_flexible)
{
	switch (letter) {
	case 'e':
		sink_u16(sink, error);
		return;
	case 'm':
		wire_kafka_put_string(sink, is_flexible, span_str(MESSAGE));
		return;
	case 's':
		wire_kafka_put_string(sink, is_flexible, span_str(""));
		return;
	case 'z':
		put_null_string(sink, is_flexible);
		return;
	case 'a':
	case 'b': /* encoded alike */
	case 'n':
		put_count(sink, is_flexible, letter == 'n');
		return;
	default:
		put_number(sink, letter);
	}
}

void wire_kafka_answer_begin(struct sink *sink, const struct kafka_request *request,
			     bool is_flexible)
{
	sink_u32(sink, 0);
	sink_u32(sink, (uint32_t)request->correlation);
	if (is_flexible)
		sink_varint(sink, 0); /* tagged fields of the header */
}

void wire_kafka_answer_end(struct sink *sink, size_t begin)
{
	sink_patch_u32(sink, begin, (uint32_t)(sink->len - begin - SIZE_FIELD));
}

bool kafka_answer_denied(struct sink *sink, const struct kafka_request *request)
{
	const struct wire_kafka_row *row = row_of(request);
	if (row == NULL)
		return false;
	bool is_flexible = kafka_is_flexible(request->key, request->version);
	size_t begin = sink->len;
	wire_kafka_answer_begin(sink, request, is_flexible);
	for (const char *letter = row->layout; *letter != '\0'; letter++)
		wire_kafka_answer_field(sink, *letter, row->error, is_flexible);
	if (is_flexible)
		sink_varint(sink, 0);
	wire_kafka_answer_end(sink, begin);
	return true;
}
