/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Topic names and the hash that assigns them to bundles, as Pulsar's brokers do it
 * (ConsistentHashingTopicBundleAssigner).
 */
#include <penstock/route.h>

#include <zlib.h>

uint32_t route_topic_hash(struct span topic)
{
	return (uint32_t)crc32_z(0, topic.at, topic.len);
}

bool route_topic_namespace(struct span topic, struct span *ret_namespace)
{
	static const char *const domains[] = { "persistent://", "non-persistent://" };
	struct span rest = topic;
	size_t i = 0;
	while (i < COUNT_OF(domains) && !span_starts(topic, domains[i]))
		i++;
	if (i == COUNT_OF(domains) || !span_skip(&rest, strlen(domains[i])))
		return false;
	struct span tenant, name, local = rest;
	if (!span_take(&local, span_find(local, '/'), &tenant) || !span_skip(&local, 1) ||
	    !span_take(&local, span_find(local, '/'), &name) || !span_skip(&local, 1))
		return false;
	/* A third slash makes it a name of Pulsar 1 (tenant/cluster/namespace/topic). */
	if (tenant.len == 0 || name.len == 0 || local.len == 0 || span_find(local, '/') < local.len)
		return false;
	*ret_namespace = span_of(rest.at, tenant.len + 1 + name.len);
	return true;
}
