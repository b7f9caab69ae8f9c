/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_field: walking the fields of a protobuf message on its wire form, for the readers and the
 * editors of wire/pulsar.
 * Thread:   any (pure functions over spans)
 * Errors:   WIRE_MORE: the field is not complete; WIRE_BAD: it cannot be one
 */
#pragma once

#include <penstock/base/span.h>
#include <penstock/wire/wire.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t value;	   /* WIRE_VARINT */
	struct span bytes; /* WIRE_BYTES: the content */
	struct span head;  /* the tag as it was written */
	struct span whole; /* tag, length and content */
};

/* Takes one field off the front; on anything but WIRE_OK `rest` stays. */
enum wire wire_field_next(struct span *rest, struct wire_field *ret_field);

/* The wire types of a message's known fields, as a text indexed by field number: 'v' varint, 'b'
 * bytes, '-' not known to us (any type will do). */
struct wire_walk {
	struct span rest;
	const char *shape;
	bool is_bad;
};

static inline struct wire_walk wire_walk_of(struct span message, const char *shape)
{
	return (struct wire_walk){ .rest = message, .shape = shape };
}

/* The next field of a complete message; false at its end, or when it is bad (walk->is_bad). */
bool wire_walk_next(struct wire_walk *walk, struct wire_field *ret_field);
