/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_why: saying why not.
 * Thread:   any
 */
#pragma once

#include <penstock/wire/kafka.h>

static inline enum wire wire_kafka_bad(struct kafka_why *why, enum kafka_bad bad)
{
	*why = (struct kafka_why){ .bad = bad };
	return WIRE_BAD;
}

static inline enum wire wire_kafka_more(struct kafka_why *why, uint64_t need)
{
	*why = (struct kafka_why){ .need = (size_t)need };
	return WIRE_MORE;
}

/* What came of reading a field of a frame of which `bytes` are there: a field that wants more bytes
 * than the frame has is as bad as one that cannot be read. */
static inline enum wire wire_kafka_field(enum wire res, struct span bytes, uint64_t frame_size,
					 enum kafka_bad bad, struct kafka_why *why)
{
	if (res == WIRE_MORE && bytes.len < frame_size)
		return wire_kafka_more(why, bytes.len + 1);
	if (res != WIRE_OK)
		return wire_kafka_bad(why, res == WIRE_MORE ? KAFKA_BAD_OVERRUN : bad);
	return WIRE_OK;
}
