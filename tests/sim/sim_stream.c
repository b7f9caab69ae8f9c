/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The pattern: eight bytes at a time out of a mixer of number and place.
 */
#include <string.h>

#include "sim_stream.h"

#define MAGIC 0x70656e73746f636bull /* "penstock" */

static uint32_t last_number;

static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

void sim_stream_pattern(uint32_t number, uint64_t at, uint8_t *ret_bytes, size_t n)
{
	uint64_t seed = (uint64_t)number * 0x9e3779b97f4a7c15u;
	uint64_t word = mix(seed + at / 8);

	for (size_t i = 0; i < n; i++, at++) {
		if (at % 8 == 0)
			word = mix(seed + at / 8);
		ret_bytes[i] = (uint8_t)(word >> (at % 8 * 8));
	}
}

static void head_of(uint32_t number, uint8_t head[static SIM_STREAM_HEAD])
{
	const uint64_t magic = MAGIC;

	memcpy(head, &magic, sizeof(magic));
	memcpy(head + sizeof(magic), &number, sizeof(number));
}

void sim_stream_begin(struct sim_stream_out *out, uint64_t len)
{
	*out = (struct sim_stream_out){ .number = ++last_number, .len = SIM_STREAM_HEAD + len };
}

void sim_stream_show(const struct sim_stream_out *out, void *ret_bytes, size_t n)
{
	uint8_t *to = ret_bytes;
	uint64_t at = out->done;

	CHECK(n <= out->len - out->done);
	if (at < SIM_STREAM_HEAD) {
		uint8_t head[SIM_STREAM_HEAD];
		size_t part = SIM_STREAM_HEAD - (size_t)at;

		head_of(out->number, head);
		if (part > n)
			part = n;
		memcpy(to, head + at, part);
		to += part;
		at += part;
		n -= part;
	}
	sim_stream_pattern(out->number, at, to, n);
}

static void take_head(struct sim_stream_in *in, const char *who)
{
	uint8_t wanted[SIM_STREAM_HEAD];
	uint32_t number;

	memcpy(&number, in->head + 8, sizeof(number));
	head_of(number, wanted);
	if (memcmp(in->head, wanted, sizeof(wanted)) != 0 || number == 0 || number > last_number)
		sim_fail("%s: the bytes do not begin with a stream's head", who);
	in->number = number;
}

void sim_stream_take(struct sim_stream_in *in, const void *bytes, size_t n, const char *who)
{
	const uint8_t *at = bytes;
	uint8_t wanted[1024];

	while (n > 0 && in->done < SIM_STREAM_HEAD) {
		in->head[in->done++] = *at++;
		n--;
		if (in->done == SIM_STREAM_HEAD)
			take_head(in, who);
	}
	while (n > 0) {
		size_t part = n < sizeof(wanted) ? n : sizeof(wanted);

		sim_stream_pattern(in->number, in->done, wanted, part);
		if (memcmp(at, wanted, part) != 0) {
			size_t i = 0;

			while (at[i] == wanted[i])
				i++;
			sim_fail("%s: stream %u is wrong at byte %llu", who, in->number,
				 (unsigned long long)(in->done + i));
		}
		in->done += part;
		at += part;
		n -= part;
	}
}
