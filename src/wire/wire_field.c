/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Protobuf's wire format: a tag (number << 3 | type), then a varint, 4 or 8 bytes, or a length and
 * that many bytes. Groups (types 3 and 4) are in no message of Pulsar's and are refused, since
 * skipping them would need recursion on input.
 */
#include "wire_field.h"

#define FIELD_MAX 0x1fffffffu

/* span_varint cannot tell "not yet" from "never"; ten bytes can. */
static enum wire take_varint(struct span *rest, uint64_t *ret_value)
{
	if (span_varint(rest, ret_value))
		return WIRE_OK;
	return rest->len < 10 ? WIRE_MORE : WIRE_BAD;
}

static enum wire take_bytes(struct span *rest, uint64_t len, struct span *ret_bytes)
{
	if (len > rest->len)
		return WIRE_MORE;
	return span_take(rest, (size_t)len, ret_bytes) ? WIRE_OK : WIRE_BAD;
}

static enum wire take_content(struct span *rest, uint64_t type, struct wire_field *field)
{
	uint64_t len = 0;
	enum wire res;
	switch (type) {
	case WIRE_VARINT:
		field->type = WIRE_VARINT;
		return take_varint(rest, &field->value);
	case WIRE_FIXED64:
		field->type = WIRE_FIXED64;
		return take_bytes(rest, 8, &field->bytes);
	case WIRE_FIXED32:
		field->type = WIRE_FIXED32;
		return take_bytes(rest, 4, &field->bytes);
	case WIRE_BYTES:
		field->type = WIRE_BYTES;
		res = take_varint(rest, &len);
		return res == WIRE_OK ? take_bytes(rest, len, &field->bytes) : res;
	default:
		return WIRE_BAD;
	}
}

enum wire wire_field_next(struct span *rest, struct wire_field *ret_field)
{
	struct span at = *rest;
	struct wire_field field = { 0 };
	uint64_t tag;
	enum wire res = take_varint(&at, &tag);
	if (res != WIRE_OK)
		return res;
	if (tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
		return WIRE_BAD;
	field.number = (uint32_t)(tag >> 3);
	field.head = span_of(rest->at, rest->len - at.len);
	res = take_content(&at, tag & 7, &field);
	if (res != WIRE_OK)
		return res;
	field.whole = span_of(rest->at, rest->len - at.len);
	*rest = at;
	*ret_field = field;
	return WIRE_OK;
}

static bool has_shape(const char *shape, const struct wire_field *field)
{
	if (field->number >= strlen(shape))
		return true;
	switch (shape[field->number]) {
	case 'v':
		return field->type == WIRE_VARINT;
	case 'b':
		return field->type == WIRE_BYTES;
	default:
		return true;
	}
}

bool wire_walk_next(struct wire_walk *walk, struct wire_field *ret_field)
{
	if (walk->is_bad || walk->rest.len == 0)
		return false;
	walk->is_bad = wire_field_next(&walk->rest, ret_field) != WIRE_OK ||
		       !has_shape(walk->shape, ret_field);
	return !walk->is_bad;
}
