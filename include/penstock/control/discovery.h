/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery: where the brokers of each cluster are, from fixed URLs or from ZooKeeper, and (for
 * `lookup: direct`) who owns which bundle. Merges what its sources say under the rules of
 * DECISIONS 5.2: an empty list never replaces a non-empty one, the last list is kept, saved on
 * disk, and has an age.
 * Thread:   control. ZooKeeper's own threads only post letters to an inbox
 * Memory:   heap; per cluster at most DISCOVERY_BROKERS_MAX brokers, DISCOVERY_NAMESPACES_MAX
 *           namespaces and DISCOVERY_WATCH_BYTES of watched paths
 * Errors:   sources retry for ever; what is wrong is logged once and shows in the view
 * See:      docs/ARCHITECTURE.md
 */
#pragma once

#include <penstock/config.h>
#include <penstock/route.h>
#include <penstock/uring.h>

#define DISCOVERY_BROKERS_MAX	 2048
#define DISCOVERY_LISTENERS_MAX	 32 /* advertised listeners' URLs kept per broker */
#define DISCOVERY_NAMESPACES_MAX 1024
#define DISCOVERY_BUNDLES_MAX	 1024 /* of one namespace; larger ones are left to the brokers */
/* After a reconnect the C client re-arms all watches in one packet, and a server drops a client
 * whose packet exceeds jute.maxbuffer (1 MiB): it would reconnect for ever. */
#define DISCOVERY_WATCH_BYTES	 (512 * 1024)
/* Answering lookups from ownership that may have moved is worse than asking a broker. */
#define DISCOVERY_DIRECT_NS	 (5 * 1000000000ull)

struct discovery;

/* What control does for discovery. */
struct discovery_host {
	struct uring *ring; /* woken by ZooKeeper's threads; NULL in tests */
	/* Addresses of a host name from the cache, which is refreshed in the background; port 0.
	 * *ret_is_final: false while the first answer is under way. */
	uint32_t (*resolve)(void *context, const char *host, struct addr *ret_addrs, uint32_t max,
			    bool *ret_is_final);
	/* Something a snapshot shows has changed. */
	void (*changed)(void *context);
	/* A broker of Kafka left ZooKeeper, and its time of grace is over. NULL: nobody asks. */
	void (*gone)(void *context, const char *cluster, int32_t node);
	void *context;
};

struct discovery_view {
	const char *name;
	bool is_zookeeper, is_loaded;
	uint64_t age_ns;       /* since the list was last confirmed */
	const char *zookeeper; /* connected | connecting | expired | none */
	uint32_t broker_count;
	uint32_t namespace_count;
};

/* NULL: out of memory. Starts nothing before discovery_apply. */
struct discovery *discovery_new(const struct discovery_host *host);
/* Stops all sources; waits at most a second for ZooKeeper sessions to be closed. */
void discovery_free(struct discovery *discovery);
/* Follows a configuration: new clusters start, those gone stop, those whose source changed start
 * again but keep their list until the new source has one. Nothing of `config` is kept. */
MUST_USE int discovery_apply(struct discovery *discovery, const struct config *config);
/* Saves no list any more: another process does. */
void discovery_save_no_more(struct discovery *discovery);
/* Takes letters, runs what is due; answers when to be called next. Also right after a wake-up. */
uint64_t discovery_tick(struct discovery *discovery, uint64_t now_ns);
/* A lookup touched this namespace: watch its ownership. */
void discovery_namespace(struct discovery *discovery, uint32_t cluster, const char *name);
/* Adds the cluster, its brokers, endpoints and ownership to a snapshot. */
void discovery_build(struct discovery *discovery, uint32_t cluster, struct route_builder *builder,
		     uint64_t now_ns);
/* Is that broker of Kafka in ZooKeeper, and was the list true at that time or later? */
bool discovery_knows_node(const struct discovery *discovery, uint32_t cluster, int32_t node,
			  uint64_t since_ns);
enum discovery_node_state {
	DISCOVERY_NODE_NONE,
	DISCOVERY_NODE_LISTED,
	DISCOVERY_NODE_SAVED, /* on the list of the last run, which is not confirmed yet */
	DISCOVERY_NODE_LEAVING,
};
/* What ZooKeeper says of that broker of Kafka, and how old that is. */
enum discovery_node_state discovery_node_state(const struct discovery *discovery, uint32_t cluster,
					       int32_t node, uint64_t now_ns, uint64_t *ret_age_ns);
/* False: no such cluster. */
MUST_USE bool discovery_view(const struct discovery *discovery, uint32_t cluster, uint64_t now_ns,
			     struct discovery_view *ret_view);
