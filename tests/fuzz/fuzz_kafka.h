/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_kafka: what the targets of responses with addresses share. An input is the key, the version,
 * a byte for the target itself, and a frame whose size field is mended unless the key has its
 * highest bit set.
 */
#pragma once

#include "fuzz.h"

#include <penstock/wire/kafka_rewrite.h>

#define FUZZ_KAFKA_MAX 8192

struct fuzz_kafka {
	int16_t key, version;
	uint8_t extra;
	uint8_t *frame; /* free(3) it */
	size_t len;
};

/* false: no such response is rewritten. */
static inline bool fuzz_kafka_take(const uint8_t *data, size_t size, struct fuzz_kafka *ret)
{
	if (size < 7 || size > FUZZ_KAFKA_MAX)
		return false;
	*ret = (struct fuzz_kafka){
		.key = data[0] & 127, .version = data[1], .extra = data[2], .len = size - 3
	};
	enum kafka_way way = kafka_way(ret->key, ret->version);
	if (way != KAFKA_WAY_PREFIX && way != KAFKA_WAY_WHOLE && way != KAFKA_WAY_STREAM)
		return false;
	ret->frame = malloc(ret->len);
	CHECK(ret->frame != NULL);
	memcpy(ret->frame, data + 3, ret->len);
	struct sink mend = sink_of(ret->frame, ret->len);
	if ((data[0] & 128) == 0)
		sink_u32(&mend, (uint32_t)(ret->len - 4));
	return true;
}

#define FUZZ_KAFKA_NAME "the.name"

static inline bool fuzz_kafka_name(void *owner, const struct kafka_node *node,
				   struct kafka_name *ret)
{
	(void)owner;
	CHECK(node->host.at != NULL && node->host.len <= INT16_MAX);
	*ret = (struct kafka_name){ .host = span_str(FUZZ_KAFKA_NAME), .port = 4711 };
	return true;
}

/* Every address must be that of fuzz_kafka_name; counts them. */
static inline bool fuzz_kafka_look(void *owner, const struct kafka_node *node,
				   struct kafka_name *ret)
{
	uint32_t *count = owner;
	CHECK(span_is(node->host, FUZZ_KAFKA_NAME) && node->port == 4711);
	(*count)++;
	return fuzz_kafka_name(NULL, node, ret);
}
