/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kafka's flexible encoding; kafka_wire.h says what of it.
 */
#include "kafka_wire.h"

#include "frames.h"

#include <string.h>

void kafka_put_text(struct wire_writer *w, const char *text)
{
	kafka_put_count(w, strlen(text));
	wire_put(w, text, strlen(text));
}

void kafka_put_part(struct wire_writer *w, const struct wire_reader *part)
{
	kafka_put_count(w, part->left);
	wire_put(w, part->at, part->left);
}

void kafka_put_count(struct wire_writer *w, uint64_t count)
{
	wire_put_varint(w, count + 1);
}

void kafka_put_null(struct wire_writer *w)
{
	wire_put_varint(w, 0);
}

void kafka_put_no_tags(struct wire_writer *w)
{
	wire_put_varint(w, 0);
}

void kafka_put_size(struct wire_writer *w, size_t at, size_t more_bytes)
{
	wire_set_u32(w->bytes + at, (uint32_t)(w->size - at - FRAMES_SIZE_BYTES + more_bytes));
}

uint64_t kafka_take_count(struct wire_reader *r)
{
	uint64_t coded = wire_take_varint(r);

	return coded == 0 ? 0 : coded - 1;
}

struct wire_reader kafka_take_text(struct wire_reader *r)
{
	return wire_take_part(r, kafka_take_count(r));
}

void kafka_skip_tags(struct wire_reader *r)
{
	for (uint64_t n = wire_take_varint(r); n > 0 && !r->broken; n--) {
		wire_take_varint(r);
		wire_take(r, wire_take_varint(r));
	}
}
