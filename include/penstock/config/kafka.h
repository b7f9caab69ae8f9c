/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config/kafka: what a listener in front of a Kafka cluster, or a route to one, has besides: the
 * names that brokers have on this side, and what clients may do. A broker's name comes from its
 * node id alone, so that it is the same before and after a restart of anything:
 *
 *     port    one host, a port for each node of `ids`: that of node 0 plus the id
 *     sni     one port, a host for each node, from a template:
 *
 *             {id}       the node id
 *             ####       the same, with zeros in front up to so many digits
 *             {rack}     its rack, or "unknown" where no answer of the cluster has told it
 *             {cluster}  what the cluster is called in penstock.yaml
 *
 * Thread:   any (pure functions over an immutable structure)
 */
#pragma once

#include <penstock/base/span.h>
#include <penstock/wire/kafka_versions.h>

#define CONFIG_KAFKA_PORT_DEFAULT 9092
#define CONFIG_KAFKA_PORTS_MAX	  1024 /* of brokers, of all listeners together */

enum config_kafka_mode { CONFIG_KAFKA_PORT, CONFIG_KAFKA_SNI };
enum config_kafka_unknown { CONFIG_KAFKA_UNKNOWN_REFUSE, CONFIG_KAFKA_UNKNOWN_BOOTSTRAP };
/* As they are written: each default is 0; that of vendor_apis is HIDE with read_only. */
enum config_kafka_unknown_apis { CONFIG_KAFKA_UNKNOWN_HIDE, CONFIG_KAFKA_UNKNOWN_PASS };
enum config_kafka_vendor_apis { CONFIG_KAFKA_VENDOR_PASS, CONFIG_KAFKA_VENDOR_HIDE };
enum config_kafka_controllers {
	CONFIG_KAFKA_CONTROLLERS_HIDE,
	CONFIG_KAFKA_CONTROLLERS_NAME,
	CONFIG_KAFKA_CONTROLLERS_PASS
};

struct config_kafka_ids {
	int32_t first, last;
};

struct config_kafka {
	enum config_kafka_mode mode;
	const char *advertise;	 /* PORT: the host clients connect to; SNI: the template */
	uint16_t advertise_port; /* PORT: of node 0; SNI: of all */
	/* PORT only: */
	uint32_t base_port;	      /* where we listen for node 0, if it is one of these: */
	struct config_kafka_ids *ids; /* ascending, not overlapping */
	uint32_t id_count;
	/* SNI only: */
	const char *bootstrap; /* the name of any broker; NULL: none has it */
	enum config_kafka_unknown unknown;

	const char *client_id_prefix; /* NULL: any client id will do */
	/* Users clients must authenticate as; a `*` at the end leaves the rest open. 0: any. */
	const char *const *users;
	uint32_t user_count;
	uint64_t request_max;	    /* bytes of a request; 0: KAFKA_FRAME_BROKER */
	uint64_t rate_requests;	    /* a second of one connection; 0: as many as come */
	uint64_t rate_in, rate_out; /* bytes: of requests, of responses */
	bool is_read_only;
	enum config_kafka_unknown_apis unknown_apis;
	enum config_kafka_vendor_apis vendor_apis;
	enum config_kafka_controllers controllers;
	struct kafka_policy policy; /* what follows from these and deny_apis */
};

/* The host of a node, appended, and its port; rack.len == 0: not known. Port 0: a node outside of
 * `ids`: it cannot be reached, and no other service can be mistaken for it. false: there is no room
 * for the host. */
MUST_USE bool config_kafka_name(const struct config_kafka *kafka, const char *cluster, int32_t node,
				struct span rack, struct sink *host, uint16_t *ret_port);
/* PORT: the node a connection to this port of ours is for; false: none, so any broker. */
MUST_USE bool config_kafka_node_at(const struct config_kafka *kafka, uint16_t port,
				   int32_t *ret_node);
/* SNI: the node that has this name; false: none. */
MUST_USE bool config_kafka_node_named(const struct config_kafka *kafka, const char *cluster,
				      struct span host, int32_t *ret_node);
/* SNI: the rack in the name of a node, a part of `host`; empty: it says none, or "unknown". */
struct span config_kafka_rack_named(const struct config_kafka *kafka, const char *cluster,
				    struct span host);
/* Does a template ask for it? */
bool config_kafka_has_rack(struct span template);

enum config_kafka_wanted { CONFIG_KAFKA_NODE, CONFIG_KAFKA_ANY, CONFIG_KAFKA_NOBODY };

/* SNI: what a client wants that has asked for this name (empty: for none); *ret_node: of NODE. */
enum config_kafka_wanted config_kafka_wanted(const struct config_kafka *kafka, const char *cluster,
					     struct span host, int32_t *ret_node);
/* The host of a node by a template, appended; `cluster`, `node` and `rack` as above. */
void config_kafka_host(struct span template, const char *cluster, int32_t node, struct span rack,
		       struct sink *host);
/* PORT: how many ports there are of brokers, and the n-th of them. */
uint32_t config_kafka_port_count(const struct config_kafka *kafka);
uint16_t config_kafka_port(const struct config_kafka *kafka, uint32_t n);
/* One node id, at most one rack, and otherwise only what a host name has. */
MUST_USE bool config_kafka_is_template(struct span text);
