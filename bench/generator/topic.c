/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names of topics; topic.h says which.
 */
#include "topic.h"

#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void name_behind(const char *front, const struct options *ask, uint64_t index, char *into)
{
	const char *name = ask->topic != NULL ? ask->topic : "bench";
	char number[24] = "";

	if (ask->topics > 1)
		snprintf(number, sizeof(number), "-%" PRIu64, index % ask->topics);
	if (snprintf(into, TOPIC_NAME_BYTES, "%s%s%s", front, name, number) >= TOPIC_NAME_BYTES)
		load_refuse("--topic is too long");
}

void topic_name(const struct options *ask, uint64_t index, char into[TOPIC_NAME_BYTES])
{
	name_behind("", ask, index, into);
}

void topic_name_pulsar(const struct options *ask, uint64_t index, char into[TOPIC_NAME_BYTES])
{
	const char *name_space = ask->name_space != NULL ? ask->name_space : "public/default";
	char front[TOPIC_NAME_BYTES] = "";

	if ((ask->topic == NULL || strstr(ask->topic, "://") == NULL) &&
	    snprintf(front, sizeof(front), "persistent://%s/", name_space) >= (int)sizeof(front))
		load_refuse("--namespace is too long");
	name_behind(front, ask, index, into);
}
