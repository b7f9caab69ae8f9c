/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Topics of the fake brokers. A topic keeps the first thing that was published to it; its backlog
 * is that, over and over, without end.
 */
#ifndef BENCH_SINK_TOPIC_H
#define BENCH_SINK_TOPIC_H

#include "wire.h"

enum { SINK_TOPIC_NAME_BYTES = 256 };

struct sink_topic {
	struct sink_topic *next;
	uint32_t number; /* from 1 */
	char name[SINK_TOPIC_NAME_BYTES];
	uint8_t *first; /* NULL: nothing was published yet */
	size_t first_bytes;
	uint64_t first_messages; /* in it */
	uint64_t published;	 /* how often something was */
	void *readers;		 /* a list of the broker's own making */
};

/* Makes it when it is not there; NULL when the name is too long. */
struct sink_topic *sink_topic_get(const struct wire_reader *name);
uint32_t sink_topic_count(void);
/* NULL: there is none of this number. */
struct sink_topic *sink_topic_at(uint32_t number);
/* Does nothing when there is a first. */
void sink_topic_keep(struct sink_topic *t, const uint8_t *bytes, size_t size, uint64_t messages);

#endif
