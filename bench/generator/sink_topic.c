/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Topics of the fake brokers; sink_topic.h says what they keep.
 */
#include "sink_topic.h"

#include "load.h"

#include <string.h>

static struct sink_topic *topics;

struct sink_topic *sink_topic_get(const struct wire_reader *name)
{
	char text[SINK_TOPIC_NAME_BYTES];
	struct sink_topic *t;

	if (!wire_text(name, text, sizeof(text)))
		return NULL;
	for (t = topics; t != NULL; t = t->next) {
		if (strcmp(t->name, text) == 0)
			return t;
	}
	t = load_alloc(1, sizeof(*t));
	wire_text(name, t->name, sizeof(t->name));
	t->number = topics == NULL ? 1 : topics->number + 1;
	t->next = topics;
	topics = t;
	return t;
}

uint32_t sink_topic_count(void)
{
	return topics == NULL ? 0 : topics->number;
}

struct sink_topic *sink_topic_at(uint32_t number)
{
	struct sink_topic *t = topics;

	while (t != NULL && t->number != number)
		t = t->next;
	return t;
}

void sink_topic_keep(struct sink_topic *t, const uint8_t *bytes, size_t size, uint64_t messages)
{
	if (t->first != NULL)
		return;
	t->first = load_alloc(1, size);
	memcpy(t->first, bytes, size);
	t->first_bytes = size;
	t->first_messages = messages;
}
