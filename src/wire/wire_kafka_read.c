/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kafka's basic types, read and written.
 */
#include "wire_kafka_read.h"

enum wire wire_kafka_i16(struct span *rest, int16_t *ret_value)
{
	uint16_t value;
	if (!span_u16(rest, &value))
		return WIRE_MORE;
	*ret_value = (int16_t)value;
	return WIRE_OK;
}

enum wire wire_kafka_i32(struct span *rest, int32_t *ret_value)
{
	uint32_t value;
	if (!span_u32(rest, &value))
		return WIRE_MORE;
	*ret_value = (int32_t)value;
	return WIRE_OK;
}

enum wire wire_kafka_varint(struct span *rest, uint32_t *ret_value)
{
	struct span head = *rest;
	uint64_t value;
	if (head.len > WIRE_KAFKA_VARINT_MAX)
		head.len = WIRE_KAFKA_VARINT_MAX;
	size_t len = head.len;
	if (!span_varint(&head, &value))
		return len < WIRE_KAFKA_VARINT_MAX ? WIRE_MORE : WIRE_BAD;
	if (value > UINT32_MAX)
		return WIRE_BAD;
	*ret_value = (uint32_t)value;
	return span_skip(rest, len - head.len) ? WIRE_OK : WIRE_BAD;
}

size_t wire_kafka_varint_size(uint32_t value)
{
	size_t size = 1;
	while (value >= 0x80) {
		value >>= 7;
		size++;
	}
	return size;
}

/* A length that is null or at most `most`. */
static enum wire take_len(struct span *rest, bool is_compact, bool is_short, uint32_t most,
			  uint32_t *ret_len, bool *ret_is_null)
{
	struct span at = *rest;
	int64_t len;
	enum wire res;
	if (is_compact) {
		uint32_t value = 0;
		res = wire_kafka_varint(&at, &value);
		len = (int64_t)value - 1;
	} else if (is_short) {
		int16_t value = 0;
		res = wire_kafka_i16(&at, &value);
		len = value;
	} else {
		int32_t value = 0;
		res = wire_kafka_i32(&at, &value);
		len = value;
	}
	if (res != WIRE_OK)
		return res;
	if (len < -1 || len > most)
		return WIRE_BAD;
	*ret_is_null = len < 0;
	*ret_len = len < 0 ? 0 : (uint32_t)len;
	*rest = at;
	return WIRE_OK;
}

enum wire wire_kafka_count(struct span *rest, bool is_compact, uint32_t *ret_count)
{
	bool is_null;
	return take_len(rest, is_compact, false, INT32_MAX, ret_count, &is_null);
}

enum wire wire_kafka_string_len(struct span *rest, bool is_compact, uint32_t *ret_len)
{
	bool is_null;
	return take_len(rest, is_compact, true, INT16_MAX, ret_len, &is_null);
}

enum wire wire_kafka_bytes_len(struct span *rest, bool is_compact, uint32_t *ret_len)
{
	bool is_null;
	return take_len(rest, is_compact, false, INT32_MAX, ret_len, &is_null);
}

enum wire wire_kafka_string(struct span *rest, bool is_compact, struct span *ret_string)
{
	struct span at = *rest, string = { 0 };
	uint32_t len = 0;
	bool is_null = false;
	enum wire res = take_len(&at, is_compact, true, INT16_MAX, &len, &is_null);
	if (res != WIRE_OK)
		return res;
	if (!is_null && !span_take(&at, len, &string))
		return WIRE_MORE;
	*rest = at;
	*ret_string = string;
	return WIRE_OK;
}

enum wire wire_kafka_tag(struct span *rest, struct wire_kafka_tag *ret_tag)
{
	struct span at = *rest;
	struct wire_kafka_tag tag = { 0 };
	enum wire res = wire_kafka_varint(&at, &tag.number);
	if (res == WIRE_OK)
		res = wire_kafka_varint(&at, &tag.size);
	if (res != WIRE_OK)
		return res;
	*rest = at;
	*ret_tag = tag;
	return WIRE_OK;
}

enum wire wire_kafka_skip_tags(struct span *rest)
{
	struct span at = *rest;
	struct wire_kafka_tag tag;
	uint32_t count = 0;
	enum wire res = wire_kafka_varint(&at, &count);
	for (uint32_t i = 0; res == WIRE_OK && i < count; i++) {
		res = wire_kafka_tag(&at, &tag);
		if (res == WIRE_OK && !span_skip(&at, tag.size))
			res = WIRE_MORE;
	}
	if (res == WIRE_OK)
		*rest = at;
	return res;
}

void wire_kafka_put_varint(struct sink *sink, uint32_t value, size_t size)
{
	uint8_t bytes[WIRE_KAFKA_VARINT_MAX];
	CHECK(size >= wire_kafka_varint_size(value) && size <= sizeof(bytes));
	for (size_t i = 0; i < size; i++, value >>= 7)
		bytes[i] = (uint8_t)((value & 0x7f) | (i + 1 < size ? 0x80 : 0));
	sink_bytes(sink, bytes, size);
}

void wire_kafka_insert_varint(struct sink *sink, size_t at, uint32_t value, size_t size)
{
	size_t len = sink->len - at;
	struct sink place = { 0 };
	wire_kafka_put_varint(sink, value, size); /* makes room */
	if (sink->full)
		return;
	memmove(sink->at + at + size, sink->at + at, len);
	place = sink_of(sink->at + at, size);
	wire_kafka_put_varint(&place, value, size);
}

void wire_kafka_put_string(struct sink *sink, bool is_compact, struct span string)
{
	CHECK(string.len <= INT16_MAX);
	if (is_compact)
		sink_varint(sink, string.len + 1);
	else
		sink_u16(sink, (uint16_t)string.len);
	sink_span(sink, string);
}
