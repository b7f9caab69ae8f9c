/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fields of a ClientHello in any order its extensions may have, in records of any size; but the
 * first record holds the first bytes of the random, which are the flow's number.
 *
 *     record head 5 | type 1, length 3 | version 2 | random 32: flow 4, ...
 */
#include <string.h>

#include "sim_hello.h"

#define FLOW_AT	    11
#define BODY_MAX    30000
#define RECORD_MOST 16384

struct writer {
	uint8_t at[BODY_MAX];
	size_t len;
};

static void put(struct writer *writer, uint64_t value, uint32_t bytes)
{
	CHECK(writer->len + bytes <= BODY_MAX);
	while (bytes-- > 0)
		writer->at[writer->len++] = (uint8_t)(value >> (8 * bytes));
}

static void put_name(struct writer *writer, const char *name)
{
	size_t len = strlen(name);

	put(writer, 0, 2);
	put(writer, len + 5, 2);
	put(writer, len + 3, 2);
	put(writer, 0, 1);
	put(writer, len, 2);
	for (size_t i = 0; i < len; i++)
		put(writer, (uint8_t)name[i], 1);
}

/* key_share and the like, in which nobody reads. */
static void put_padding(struct writer *writer, uint32_t type)
{
	size_t len = sim_skewed(sim_chance(100) ? 9000 : 1500);

	put(writer, type, 2);
	put(writer, len, 2);
	for (size_t i = 0; i < len; i++)
		put(writer, i, 1);
}

static void put_extensions(struct writer *writer, const char *name)
{
	size_t begin = writer->len;

	put(writer, 0, 2);
	if (sim_chance(500))
		put_padding(writer, 51);
	if (name != NULL)
		put_name(writer, name);
	if (sim_chance(500))
		put_padding(writer, 0x3a3a);
	size_t len = writer->len - begin - 2;

	writer->at[begin] = (uint8_t)(len >> 8);
	writer->at[begin + 1] = (uint8_t)len;
}

static void put_record(struct sim_text *text, const uint8_t *bytes, size_t len)
{
	const uint8_t head[5] = { 22, 3, 1, (uint8_t)(len >> 8), (uint8_t)len };

	sim_frame_append(text, head, sizeof(head));
	sim_frame_append(text, bytes, len);
}

void sim_hello_put(struct sim_text *text, uint32_t flow, const char *name)
{
	static struct writer writer;
	bool is_whole = sim_chance(500);

	writer.len = 0;
	put(&writer, 1u << 24, 4);
	put(&writer, 0x0303, 2);
	put(&writer, flow, 4);
	for (int i = 0; i < 28; i++)
		put(&writer, (uint64_t)i, 1);
	put(&writer, 0, 1);
	put(&writer, 2, 2);
	put(&writer, 0x1301, 2);
	put(&writer, 0x0100, 2);
	put_extensions(&writer, name);
	writer.at[2] = (uint8_t)((writer.len - 4) >> 8);
	writer.at[3] = (uint8_t)(writer.len - 4);
	for (size_t done = 0; done < writer.len;) {
		size_t len = writer.len - done;
		size_t least = done == 0 ? SIM_HELLO_HEAD - 5 : 1;

		if (!is_whole && len > least)
			len = sim_between(least, least + sim_skewed(len - least));
		if (len > RECORD_MOST)
			len = RECORD_MOST;
		put_record(text, writer.at + done, len);
		done += len;
	}
}

uint32_t sim_hello_flow(const uint8_t head[static SIM_HELLO_HEAD])
{
	if (head[0] != 22)
		return 0;
	return (uint32_t)head[FLOW_AT] << 24 | (uint32_t)head[FLOW_AT + 1] << 16 |
	       (uint32_t)head[FLOW_AT + 2] << 8 | head[FLOW_AT + 3];
}
