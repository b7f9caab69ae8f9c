/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_pulsar_priv: taking a frame apart, for wire_pulsar.c (reading) and wire_pulsar_write.c
 * (editing).
 *
 *     u32 totalSize | u32 commandSize | BaseCommand                            | payload
 *                                       ..., 08 type, ..., tag len BODY, ...
 */
#pragma once

#include <penstock/wire/pulsar.h>

#include "wire_field.h"

/* Wire types of BaseCommand's own fields and of the messages we look into (wire_field.h). */
#define PULSAR_SHAPE_BASE	     "-v"
#define PULSAR_SHAPE_CONNECT	     "-bvbvbbbbbbb"
#define PULSAR_SHAPE_CONNECTED	     "-bvvb"
#define PULSAR_SHAPE_LOOKUP	     "-bvvbbbbb"
#define PULSAR_SHAPE_LOOKUP_RESPONSE "-bbvvvvbv"
#define PULSAR_SHAPE_AUTH_RESPONSE   "-bbv"
#define PULSAR_SHAPE_AUTH_DATA	     "-bb"
#define PULSAR_SHAPE_ERROR	     "-vvb"
#define PULSAR_SHAPE_METADATA	     "-bvbbbv"

struct pulsar_parts {
	uint32_t type;
	struct span command; /* BaseCommand */
	struct span payload; /* what follows it */
	struct span body;    /* the message of field `type` */
};

/* Takes a whole frame apart. WIRE_BAD also for a type that is named twice with two values, and for
 * a body that comes twice: protobuf would merge the two, and we would have looked at one. */
enum wire pulsar_take_apart(struct span frame, struct pulsar_parts *ret_parts);
