/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_stream: bytes that say whose they are: a head (magic, number of the stream), then a pattern
 * of number and position, so that one byte lost, doubled, swapped or delivered to somebody else
 * fails the run where it is read. The number 0 is nobody's.
 */
#pragma once

#include "sim.h"

#define SIM_STREAM_HEAD 12

struct sim_stream_out {
	uint32_t number;
	uint64_t len; /* with its head */
	uint64_t done;
};

struct sim_stream_in {
	uint32_t number; /* 0: the head is not complete yet */
	uint64_t done;
	uint8_t head[SIM_STREAM_HEAD];
};

/* A stream of `len` bytes behind its head. */
void sim_stream_begin(struct sim_stream_out *out, uint64_t len);
/* Writes the next n bytes without taking them. */
void sim_stream_show(const struct sim_stream_out *out, void *ret_bytes, size_t n);
/* Takes and checks. `who`: for the message. */
void sim_stream_take(struct sim_stream_in *in, const void *bytes, size_t n, const char *who);
/* The byte of a stream at a place. */
void sim_stream_pattern(uint32_t number, uint64_t at, uint8_t *ret_bytes, size_t n);
