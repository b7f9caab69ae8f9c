/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_static: fixed URLs: the list is what the configuration says, and always true.
 */
#include <errno.h>
#include <stdlib.h>

#include "discovery_priv.h"

#define CONFIRM_NS NS_PER_S

static int start(struct discovery_cluster *cluster)
{
	struct discovery_brokers fresh = { .count = cluster->url_count };

	fresh.at = calloc(fresh.count, sizeof(*fresh.at));
	if (fresh.at == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < fresh.count; i++) {
		struct discovery_broker *broker = &fresh.at[i];
		char text[DISCOVERY_URL_MAX];

		broker->node = -1;
		(void)discovery_url_format(&cluster->urls[i], text);
		memcpy(broker->id, text, strlen(text) + 1);
		*(cluster->urls[i].is_tls ? &broker->tls : &broker->plain) = cluster->urls[i];
	}
	discovery_merge(cluster, &fresh, clock_now_ns());
	return 0;
}

static void stop(struct discovery_cluster *cluster)
{
	(void)cluster;
}

static uint64_t tick(struct discovery_cluster *cluster, uint64_t now_ns)
{
	discovery_merge_confirm(cluster, now_ns);
	return now_ns + CONFIRM_NS;
}

const struct discovery_ops discovery_static_ops = {
	.name = "urls",
	.start = start,
	.stop = stop,
	.tick = tick,
};
