/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Numbers and bytes as Pulsar and Kafka write them: big-endian integers and base-128 varints. A
 * writer fills a buffer of known room; running out of it is our own mistake and ends the program.
 * A reader of what came from outside never leaves its bytes: it turns `broken` and yields zeros.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_writer {
	uint8_t *bytes;
	size_t size;
	size_t room;
};

#define WIRE_WRITER(array) ((struct wire_writer){ .bytes = (array), .room = sizeof(array) })

void wire_put(struct wire_writer *w, const void *data, size_t size);
void wire_put_u8(struct wire_writer *w, uint8_t value);
void wire_put_u16(struct wire_writer *w, uint16_t value);
void wire_put_u32(struct wire_writer *w, uint32_t value);
void wire_put_u64(struct wire_writer *w, uint64_t value);
void wire_put_varint(struct wire_writer *w, uint64_t value);
void wire_set_u32(uint8_t *at, uint32_t value);
void wire_set_u64(uint8_t *at, uint64_t value);

struct wire_reader {
	const uint8_t *at;
	size_t left;
	bool broken;
};

const uint8_t *wire_take(struct wire_reader *r, size_t size); /* NULL: broken */
uint8_t wire_take_u8(struct wire_reader *r);
uint16_t wire_take_u16(struct wire_reader *r);
uint32_t wire_take_u32(struct wire_reader *r);
uint64_t wire_take_u64(struct wire_reader *r);
uint64_t wire_take_varint(struct wire_reader *r);
/* The next `size` bytes as a reader of their own. */
struct wire_reader wire_take_part(struct wire_reader *r, size_t size);
/* The part as a C string in `room` bytes; false when it does not fit. */
bool wire_text(const struct wire_reader *part, char *into, size_t room);

#endif
