/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_priv: struct discovery and its clusters, and what the files of src/control/discovery
 * ask of each other.
 *
 *     discovery.c ── ops ──> discovery_static.c
 *                       └──> discovery_zookeeper.c ──> discovery_session.c ──> libzookeeper
 *                                  └──> discovery_ownership.c ──┘   <── discovery_inbox.c <──┘
 */
#pragma once

#include <penstock/base/clock.h>
#include <penstock/base/log.h>
#include <penstock/base/rng.h>
#include <penstock/control/discovery.h>
#include <penstock/mail/nodes.h>

struct discovery_cluster;
struct discovery_zookeeper;

/* Broker ids are "host:port"; ZooKeeper names a little longer are taken all the same. */
#define DISCOVERY_ID_MAX (HOST_MAX + 64)

struct discovery_url {
	char host[HOST_MAX]; /* lower case, v6 without brackets */
	uint16_t port;	     /* 0: none */
	bool is_tls, is_kafka;
};

struct discovery_broker {
	char id[DISCOVERY_ID_MAX]; /* of Kafka: its node id */
	int32_t node;		   /* the same as a number; -1: not Kafka's */
	char rack[MAIL_RACK_MAX];  /* of Kafka; empty: none */
	struct discovery_url plain, tls;
	struct discovery_url *listeners; /* advertised listeners, both kinds */
	uint32_t listener_count;
	bool is_extensible; /* its load manager keeps no ownership in ZooKeeper */
	int64_t czxid, mzxid;
};

struct discovery_brokers {
	struct discovery_broker *at;
	uint32_t count;
};

/* A broker URL no longer listed, still allowed for a while. */
struct discovery_departed {
	struct discovery_url url;
	int32_t node; /* of Kafka: clients may still come for it; -1: none */
	uint64_t until_ns;
};

struct discovery_ops {
	const char *name;
	MUST_USE int (*start)(struct discovery_cluster *cluster);
	void (*stop)(struct discovery_cluster *cluster);
	/* When it wants to be called next. */
	uint64_t (*tick)(struct discovery_cluster *cluster, uint64_t now_ns);
};

extern const struct discovery_ops discovery_static_ops;
extern const struct discovery_ops discovery_zookeeper_ops;

#define DISCOVERY_DEPARTED_MAX 256

struct discovery_cluster {
	struct discovery *discovery;
	const struct discovery_ops *ops;
	char *name;
	/* The source, as configured; servers NULL: fixed URLs. */
	char *servers, *global_servers;
	struct discovery_url *urls;
	uint32_t url_count;
	uint64_t session_ns, resync_ns, grace_ns;
	bool is_direct;
	bool is_kafka, is_tls; /* of Kafka: which kind of listener is dialled */
	char *listener;	       /* of Kafka: its name; NULL: the first of that kind */

	/* The list. */
	struct discovery_brokers brokers;
	struct discovery_departed departed[DISCOVERY_DEPARTED_MAX];
	uint32_t departed_count;
	bool is_loaded;
	uint64_t read_ns;      /* last confirmed, on our clock */
	uint64_t extra_age_ns; /* how old it was then: a list from disk */
	uint64_t warned_ns;
	char *state_path; /* NULL: not saved */

	struct discovery_zookeeper *zookeeper; /* of discovery_zookeeper_ops */
};

struct discovery {
	struct discovery_host host;
	struct rng rng;
	struct discovery_inbox *inbox;
	struct discovery_cluster *clusters[CONFIG_CLUSTERS_MAX];
	uint32_t cluster_count;
	uint64_t serial; /* of ZooKeeper handles, over all sessions */
};

/* ---- discovery.c ------------------------------------------------------------------------------
 */

void discovery_changed(struct discovery_cluster *cluster);
const struct discovery_broker *discovery_find(const struct discovery_cluster *cluster,
					      const char *id);
/* The broker of Kafka with that id. */
const struct discovery_broker *discovery_find_node(const struct discovery_cluster *cluster,
						   int32_t node);
/* Is this the URL of a broker on the list? */
bool discovery_has_url(const struct discovery_cluster *cluster, const struct discovery_url *url);
bool discovery_list_has(const struct discovery_brokers *brokers, const struct discovery_url *url);
void discovery_brokers_fini(struct discovery_brokers *brokers);
MUST_USE bool discovery_broker_copy(struct discovery_broker *ret_broker,
				    const struct discovery_broker *broker);

/* ---- discovery_merge.c ------------------------------------------------------------------------
 */

/* A source has read the whole list; takes `fresh` over. */
void discovery_merge(struct discovery_cluster *cluster, struct discovery_brokers *fresh,
		     uint64_t now_ns);
/* The list is still true. */
void discovery_merge_confirm(struct discovery_cluster *cluster, uint64_t now_ns);
/* Departed URLs that are listed again, and those whose time is over. True: there were some. */
bool discovery_merge_forget(struct discovery_cluster *cluster, uint64_t now_ns);
uint64_t discovery_merge_age_ns(const struct discovery_cluster *cluster, uint64_t now_ns);
void discovery_merge_warn(struct discovery_cluster *cluster, uint64_t now_ns);

/* ---- discovery_build.c ------------------------------------------------------------------------
 */

/* The endpoint of a URL in the snapshot being built; -1: none. */
int32_t discovery_build_url(struct discovery_cluster *cluster, uint32_t index,
			    struct route_builder *builder, const struct discovery_url *url);

/* ---- discovery_url.c --------------------------------------------------------------------------
 */

/* "pulsar://host:port", "pulsar+ssl://host:port", and both with kafka, which is our own. */
MUST_USE bool discovery_url_parse(const char *text, struct discovery_url *ret_url);
bool discovery_url_equal(const struct discovery_url *a, const struct discovery_url *b);
/* 0 for no URL, else the length written. */
#define DISCOVERY_URL_MAX (HOST_MAX + 32)
size_t discovery_url_format(const struct discovery_url *url, char text[static DISCOVERY_URL_MAX]);

/* ---- discovery_state.c ------------------------------------------------------------------------
 */

/* Sets cluster->state_path; no state_dir: not saved. */
void discovery_state_open(struct discovery_cluster *cluster, const char *state_dir);
/* The list of the last run, if this cluster has none yet. */
void discovery_state_load(struct discovery_cluster *cluster, uint64_t now_ns);
void discovery_state_save(const struct discovery_cluster *cluster);

/* ---- discovery_zookeeper.c; all of them fine for a cluster of fixed URLs -----------------------
 */

struct discovery_letter;

/* False: not from one of its sessions. */
bool discovery_zookeeper_letter(struct discovery_cluster *cluster,
				const struct discovery_letter *letter);
/* Letters were lost: reads everything again. */
void discovery_zookeeper_resync(struct discovery_cluster *cluster);
const char *discovery_zookeeper_state(const struct discovery_cluster *cluster);
/* May lookups be answered from ownership? */
bool discovery_zookeeper_is_direct(const struct discovery_cluster *cluster, uint64_t now_ns);
void discovery_zookeeper_namespace(struct discovery_cluster *cluster, const char *name);
uint32_t discovery_zookeeper_namespace_count(const struct discovery_cluster *cluster);
void discovery_zookeeper_build(struct discovery_cluster *cluster, uint32_t index,
			       struct route_builder *builder);
