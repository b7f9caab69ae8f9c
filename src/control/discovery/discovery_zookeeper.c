/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_zookeeper: placeholder for the order of landing; replaced below.
 */
#include "discovery_inbox.h"
#include "discovery_priv.h"

static int start(struct discovery_cluster *cluster)
{
	(void)cluster;
	return 0;
}

static void stop(struct discovery_cluster *cluster)
{
	(void)cluster;
}

static uint64_t tick(struct discovery_cluster *cluster, uint64_t now_ns)
{
	(void)cluster;
	return now_ns + NS_PER_S;
}

const struct discovery_ops discovery_zookeeper_ops = { "zookeeper", start, stop, tick };

bool discovery_zookeeper_letter(struct discovery_cluster *cluster,
                                const struct discovery_letter *letter)
{
	(void)cluster;
	(void)letter;
	return false;
}
void discovery_zookeeper_resync(struct discovery_cluster *cluster)
{
	(void)cluster;
}
const char *discovery_zookeeper_state(const struct discovery_cluster *cluster)
{
	(void)cluster;
	return "none";
}
bool discovery_zookeeper_is_direct(const struct discovery_cluster *cluster, uint64_t now_ns)
{
	(void)cluster;
	(void)now_ns;
	return false;
}
void discovery_zookeeper_namespace(struct discovery_cluster *cluster, const char *name)
{
	(void)cluster;
	(void)name;
}
uint32_t discovery_zookeeper_namespace_count(const struct discovery_cluster *cluster)
{
	(void)cluster;
	return 0;
}
void discovery_zookeeper_build(struct discovery_cluster *cluster, uint32_t index,
                               struct route_builder *builder)
{
	(void)cluster;
	(void)index;
	(void)builder;
}
