/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Writing and reading numbers; wire.h says the rules.
 */
#include "wire.h"

#include "load.h"

#include <endian.h>
#include <string.h>

enum {
	VARINT_BYTES_MAX = 10,
};

void wire_put(struct wire_writer *w, const void *data, size_t size)
{
	if (size > w->room - w->size)
		load_refuse(
			"a request is longer than the generator has room for: shorten the names");
	memcpy(w->bytes + w->size, data, size);
	w->size += size;
}

void wire_put_u8(struct wire_writer *w, uint8_t value)
{
	wire_put(w, &value, sizeof(value));
}

void wire_put_u16(struct wire_writer *w, uint16_t value)
{
	value = htobe16(value);
	wire_put(w, &value, sizeof(value));
}

void wire_put_u32(struct wire_writer *w, uint32_t value)
{
	value = htobe32(value);
	wire_put(w, &value, sizeof(value));
}

void wire_put_u64(struct wire_writer *w, uint64_t value)
{
	value = htobe64(value);
	wire_put(w, &value, sizeof(value));
}

void wire_put_varint(struct wire_writer *w, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		wire_put_u8(w, (uint8_t)(value | 0x80));
	wire_put_u8(w, (uint8_t)value);
}

void wire_set_u32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

void wire_set_u64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

const uint8_t *wire_take(struct wire_reader *r, size_t size)
{
	const uint8_t *at = r->at;

	if (r->broken || size > r->left) {
		r->broken = true;
		r->left = 0;
		return NULL;
	}
	r->at += size;
	r->left -= size;
	return at;
}

uint8_t wire_take_u8(struct wire_reader *r)
{
	const uint8_t *at = wire_take(r, 1);

	return at == NULL ? 0 : *at;
}

uint16_t wire_take_u16(struct wire_reader *r)
{
	uint16_t value = 0;
	const uint8_t *at = wire_take(r, sizeof(value));

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return be16toh(value);
}

uint32_t wire_take_u32(struct wire_reader *r)
{
	uint32_t value = 0;
	const uint8_t *at = wire_take(r, sizeof(value));

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

uint64_t wire_take_u64(struct wire_reader *r)
{
	uint64_t value = 0;
	const uint8_t *at = wire_take(r, sizeof(value));

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

uint64_t wire_take_varint(struct wire_reader *r)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
		uint8_t byte = wire_take_u8(r);

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80)
			return value;
	}
	r->broken = true;
	return 0;
}

struct wire_reader wire_take_part(struct wire_reader *r, size_t size)
{
	const uint8_t *at = wire_take(r, size);

	return (struct wire_reader){ .at = at, .left = at == NULL ? 0 : size, .broken = r->broken };
}

bool wire_text(const struct wire_reader *part, char *into, size_t room)
{
	if (part->broken || part->left >= room)
		return false;
	if (part->left > 0)
		memcpy(into, part->at, part->left);
	into[part->left] = '\0';
	return true;
}
