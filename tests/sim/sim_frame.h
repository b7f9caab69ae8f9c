/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_frame: Pulsar frames as the models write and read them, on purpose without src/wire.
 */
#pragma once

#include "sim.h"

#define SIM_FRAME_MAX 400000

/* One field of a message: number and varint, or number and bytes. */
struct sim_field {
	uint32_t number;
	bool is_bytes;
	uint64_t value;
	struct span bytes;
};

/* A growing buffer for frames on their way out. */
struct sim_text {
	uint8_t *at;
	size_t len, size;
};

void sim_frame_varint(struct sim_text *text, uint32_t number, uint64_t value);
void sim_frame_bytes(struct sim_text *text, uint32_t number, struct span bytes);
void sim_frame_str(struct sim_text *text, uint32_t number, const char *value);
/* A frame of a type with that body and payload, appended. */
void sim_frame_put(struct sim_text *text, uint32_t type, const struct sim_text *body,
		   struct span payload);
void sim_frame_append(struct sim_text *text, const void *bytes, size_t len);
void sim_frame_free(struct sim_text *text);

struct sim_frame {
	uint32_t type;
	struct span whole, body, payload;
};

/* The frame at the beginning of the bytes; false: it is not complete. Fails the run for bytes that
 * are no frame. */
bool sim_frame_read(struct span bytes, struct sim_frame *ret_frame, const char *who);
/* The last field of that number; false: there is none. */
bool sim_frame_find(const struct sim_frame *frame, uint32_t number, struct sim_field *ret_field);
uint64_t sim_frame_value(const struct sim_frame *frame, uint32_t number, uint64_t absent);
struct span sim_frame_text(const struct sim_frame *frame, uint32_t number);

/* Noise: a frame that is nobody's business, known by flow, direction and sequence. */
void sim_frame_noise(struct sim_text *text, uint32_t flow, bool is_to_broker, uint32_t sequence,
		     size_t len);
bool sim_frame_is_noise(const struct sim_frame *frame);
/* Fails the run unless it is the one wanted. */
void sim_frame_check_noise(const struct sim_frame *frame, uint32_t flow, bool is_to_broker,
			   uint32_t sequence, const char *who);
