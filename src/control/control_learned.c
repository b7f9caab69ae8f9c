/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_learned: broker URLs that configured brokers named in their lookup answers. With fixed
 * URLs (Helm's way) nothing else tells which brokers there are, so what one worker saw is passed on
 * to all, for ten minutes after it was last seen.
 */
#include <stdlib.h>
#include <string.h>

#include "control_priv.h"

static struct control_learned *find(struct control_learned_set *set,
				    const struct mail_learned *mail)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->entries[i].port == mail->port &&
		    strcmp(set->entries[i].host, mail->host) == 0)
			return &set->entries[i];
	return NULL;
}

static bool grow(struct control_learned_set *set)
{
	if (set->count < set->size)
		return true;
	if (set->count >= CONTROL_LEARNED_MAX)
		return false;
	uint32_t size = set->size == 0 ? 16 : set->size * 2;
	struct control_learned *entries = realloc(set->entries, size * sizeof(*entries));

	if (entries == NULL)
		return false;
	set->entries = entries;
	set->size = size;
	return true;
}

void control_learned_add(struct control *control, const struct mail_learned *mail)
{
	const struct config *config = control_config(control);

	/* With ZooKeeper the list is known: a name that is not on it is not a broker of ours. */
	if (mail->cluster >= config->cluster_count ||
	    config->clusters[mail->cluster].zookeeper_servers != NULL)
		return;
	struct control_learned_set *set = &control->learned[mail->cluster];
	struct control_learned *entry = find(set, mail);
	uint64_t until_ns = clock_now_ns() + CONTROL_LEARNED_NS;

	if (entry != NULL) {
		bool is_same = entry->is_tls == mail->is_tls;

		entry->until_ns = until_ns;
		entry->is_tls = mail->is_tls;
		if (!is_same)
			control_publish_soon(control);
		return;
	}
	char *host = strdup(mail->host);

	if (host == NULL || !grow(set)) {
		log_warn("learned_full", "cluster %s: broker %s:%u is not remembered, there are %u",
			 set->cluster, mail->host, mail->port, set->count);
		free(host);
		return;
	}
	set->entries[set->count++] = (struct control_learned){
		.host = host,
		.port = mail->port,
		.is_tls = mail->is_tls,
		.until_ns = until_ns,
	};
	log_info("broker_learned", "cluster %s: %s:%u%s", set->cluster, host, mail->port,
		 mail->is_tls ? " (tls)" : "");
	control_publish_soon(control);
}

void control_learned_build(struct control *control, uint32_t cluster, struct route_builder *builder)
{
	struct control_learned_set *set = &control->learned[cluster];

	for (uint32_t i = 0; i < set->count; i++) {
		struct route_endpoint endpoint = {
			.host = set->entries[i].host,
			.port = set->entries[i].port,
			.is_tls = set->entries[i].is_tls,
			.is_learned = true,
		};
		bool is_final;

		endpoint.addr_count =
			(uint8_t)control_dns_resolve(control, endpoint.host, endpoint.addrs,
						     ROUTE_ADDRS_MAX, &is_final);
		(void)route_build_endpoint(builder, cluster, &endpoint);
	}
}

void control_learned_sweep(struct control *control, uint64_t now_ns)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++) {
		struct control_learned_set *set = &control->learned[i];
		uint32_t kept = 0;

		for (uint32_t j = 0; j < set->count; j++) {
			if (set->entries[j].until_ns > now_ns)
				set->entries[kept++] = set->entries[j];
			else
				free(set->entries[j].host);
		}
		if (kept == set->count)
			continue;
		set->count = kept;
		control_publish_soon(control);
	}
}

static void set_fini(struct control_learned_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		free(set->entries[i].host);
	free(set->entries);
	free(set->cluster);
	*set = (struct control_learned_set){ .cluster = NULL };
}

/* Sets follow their clusters' names to their new places. */
void control_learned_apply(struct control *control, const struct config *config)
{
	struct control_learned_set old[CONFIG_CLUSTERS_MAX];

	memcpy(old, control->learned, sizeof(old));
	memset(control->learned, 0, sizeof(control->learned));
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		const char *name = config->clusters[i].name;
		bool is_fixed = config->clusters[i].zookeeper_servers == NULL;

		for (uint32_t j = 0; j < CONFIG_CLUSTERS_MAX && is_fixed; j++) {
			if (old[j].cluster == NULL || strcmp(old[j].cluster, name) != 0)
				continue;
			control->learned[i] = old[j];
			old[j] = (struct control_learned_set){ .cluster = NULL };
			break;
		}
		if (control->learned[i].cluster == NULL)
			control->learned[i].cluster = strdup(name);
	}
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++)
		set_fini(&old[i]);
}

void control_learned_fini(struct control *control)
{
	for (uint32_t i = 0; i < CONFIG_CLUSTERS_MAX; i++)
		set_fini(&control->learned[i]);
}
