/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route: the immutable snapshot that tells a worker where a connection may go: per cluster the
 * discovered brokers with their resolved addresses, bundle ownership for `lookup: direct`, and the
 * egress rules. Built by control, read by workers, replaced as a whole.
 * Thread:   build: control; read: any. A worker may not keep a pointer into it past its loop turn
 * Memory:   one allocation block per snapshot; holds a reference on its struct config
 * Errors:   a verdict with a close reason
 */
#pragma once

#include <penstock/base/addr.h>
#include <penstock/base/close.h>
#include <penstock/base/stat.h>
#include <penstock/config.h>
#include <penstock/route/sni.h>

struct tls_set;

#define ROUTE_ADDRS_MAX	    4	 /* addresses kept per name */
#define ROUTE_ENDPOINTS_MAX 4096 /* per cluster */
#define ROUTE_LOCALS_MAX    64
#define ROUTE_NO_RULE	    UINT32_MAX

/* A host:port that may be dialled because discovery or the config names it. */
struct route_endpoint {
	const char *host; /* lower case */
	uint16_t port;
	bool is_tls;	    /* the broker expects TLS here */
	bool is_learned;    /* seen in a LOOKUP_RESPONSE of a configured broker */
	uint8_t addr_count; /* 0: its name does not resolve at the moment */
	struct addr addrs[ROUTE_ADDRS_MAX];
};

struct route_broker {
	const char *id;		   /* ZooKeeper's node name, or the URL */
	const char *url, *url_tls; /* pulsar://host:port; NULL: none */
	int32_t plain, tls;	   /* indexes into endpoints: the main URLs; -1: none */
};

/* One bundle of a namespace with an owner. */
struct route_bundle {
	uint32_t low;	    /* first hash that belongs to it */
	int32_t plain, tls; /* endpoint of the owner; -1: nobody we may answer for */
};

struct route_namespace {
	const char *name;	      /* "tenant/namespace" */
	struct route_bundle *bundles; /* by `low`, ascending; the first is 0 */
	uint32_t bundle_count;
};

/* A broker of Kafka by its id. */
struct route_node {
	int32_t id;
	int32_t endpoint;
	const char *rack; /* NULL: not known */
	uint64_t told_ns; /* clock_now_ns of the word that has it there; 0: an old one */
};

struct route_cluster {
	const char *name;
	bool is_loaded; /* discovery has answered at least once */
	bool is_zookeeper;
	bool is_direct;			  /* lookups may be answered from ownership */
	uint64_t read_ns;		  /* clock_now_ns when discovery last confirmed it */
	struct route_endpoint *endpoints; /* brokers' URLs, advertised listeners, learned ones */
	uint32_t endpoint_count;
	uint32_t *endpoint_index; /* hash table of index + 1 */
	uint32_t endpoint_index_mask;
	struct route_sni *tls_hosts; /* hosts of TLS endpoints to their numbers */
	struct route_broker *brokers;
	uint32_t broker_count;
	struct route_namespace *namespaces; /* by name */
	uint32_t namespace_count;
	struct route_node *nodes; /* by id */
	uint32_t node_count;
};

/* A route of the configuration, here called a rule, since `route` is the snapshot. The rest of it
 * is in config->routes, under the same number. */
struct route_rule {
	uint32_t next;	       /* the next of the same host, or the next by discovered */
	uint32_t target_first; /* of route->targets: its literal targets, resolved */
	uint16_t id;	       /* of its counters (stat.h): the same across reloads */
};

/* What server names a listener knows. */
struct route_names {
	/* Hosts to the first rule that has them, and names of any broker of Kafka to their rules;
	 * NULL: no routes */
	struct route_sni *hosts;
	uint32_t discovered; /* the first rule by discovered */
};

struct route {
	uint64_t version;
	const struct config *config;
	struct route_cluster *clusters; /* as config->clusters */
	uint32_t cluster_count;
	/* A listener keeps its id for the life of the process, across reloads. */
	int32_t listener_of_id[STAT_LISTENERS_MAX]; /* id -> index in config->listeners; -1: gone */
	const char *listener_name[STAT_LISTENERS_MAX];
	struct route_endpoint *forwards; /* per config listener: where `forward` goes, resolved */
	struct route_rule *rules;	 /* as config->routes */
	struct route_endpoint *targets;	 /* of the rules, in their order; no host: derived */
	uint32_t target_count;
	struct route_names *names; /* per config listener */
	uint32_t *rule_of_id;	   /* id -> rule; ROUTE_NO_RULE: none has it now */
	uint32_t id_count;
	struct addr own[STAT_LISTENERS_MAX + 2]; /* our listening addresses: never dialled */
	uint32_t own_count;
	struct addr
		local[ROUTE_LOCALS_MAX]; /* this machine's addresses, for own[] on 0.0.0.0 or :: */
	uint32_t local_count;
	/* Certificates and rules of the configuration (tls/set.h), which lives as long as it does;
	 * NULL: TLS is spoken nowhere. */
	const struct tls_set *tls;
	const struct config_tokens *tokens; /* for config_token() */
	void *block;
};

enum route_answer {
	ROUTE_DIAL,	/* addrs are allowed and known */
	ROUTE_NEED_DNS, /* the name is allowed; resolve, then ask route_addr_check for each address
			 */
	ROUTE_DENY,
};

struct route_verdict {
	enum route_answer answer;
	enum close_reason reason; /* of ROUTE_DENY */
	uint8_t addr_count;
	bool is_trusted; /* named by discovery or config: the deny-set does not apply */
	struct addr addrs[ROUTE_ADDRS_MAX];
};

/* May a connection of this cluster go to "host:port", which a client named? (DECISIONS 5.4)
 *
 *   an endpoint of the cluster          yes; is_trusted, so no address check either
 *   any other, with check_active        no
 *   an IP literal                       special? its port in egress.ports? in egress.networks?
 *   a name                              in egress.hosts? its port in egress.ports? then ask DNS,
 *                                       then route_addr_check for each address
 *
 * An empty list of hosts or ports allows nothing. An empty list of networks allows no literal; for
 * the addresses of an allowed name it allows all that are not special. As long as discovery has
 * never answered (is_loaded), what is not allowed is refused as CLOSE_NO_BROKER, so that clients
 * try again. The scheme pulsar:// or pulsar+ssl:// in front is skipped. */
void route_target(const struct route *route, uint32_t cluster, struct span target,
		  struct route_verdict *ret_verdict);

/* May this resolved address, with the port to dial, be dialled for a name that is not discovered?
 * CLOSE_NONE or why not. */
enum close_reason route_addr_check(const struct route *route, const struct addr *addr);

/* The n-th candidate of a round robin that begins at `start`: its addresses; false when all were
 * named. Endpoints without an address are passed over. `tls_ports`: on one of these TLS ports;
 * NULL: the plain ones. */
MUST_USE bool route_any(const struct route *route, uint32_t cluster,
			const struct config_ports *tls_ports, uint32_t start, uint32_t n,
			const struct route_endpoint **ret_endpoint);

/* Where a cluster of brokers that are spoken TLS to (config_cluster.broker_tls) has the broker that
 * a client names by "host:port", be it the plain port of one that has a TLS port as well; NULL: it
 * is not one that discovery or the configuration names. */
const struct route_endpoint *route_tls_endpoint(const struct route *route, uint32_t cluster,
						struct span target);

const struct route_endpoint *route_find(const struct route *route, uint32_t cluster,
					struct span host, uint16_t port);

/* The owner of a topic ("persistent://t/n/x", full form), or NULL: ask a broker. Its TLS endpoint
 * where brokers are spoken TLS to. */
const struct route_endpoint *route_owner(const struct route *route, uint32_t cluster,
					 struct span topic);

/* A broker of Kafka, or NULL: nothing has told of it yet. */
const struct route_node *route_node(const struct route *route, uint32_t cluster, int32_t id);
/* `cluster` must exist. Is that address (with its port) one of another node's, and none of this
 * node's? A connection to it is not with the broker that it was for. False as long as this node's
 * addresses are not known.
 */
bool route_is_another_node(const struct route *route, uint32_t cluster, int32_t id,
			   const struct addr *addr);

/* ---- route_rule.c: routing by server name ---------------------------------------------------- */

/* The first rule for a server name; false: none has it. A name written out wins, then the host of a
 * discovered broker, then the longest wildcard. Other rules of the same host follow by `next`. */
MUST_USE bool route_rule_find(const struct route *route, uint32_t listener, struct span name,
			      uint32_t *ret_rule);
/* What a client says in its ClientHello, and from where. */
struct route_asked {
	struct span name; /* `at` NULL: it asks for none */
	struct span alpn; /* each protocol with its length in front, as it is sent; empty: none */
	struct addr client;
};

/* The rule for a client: CLOSE_NONE, or why there is none. An address is nobody's name. Of several
 * rules of one host the first with a protocol the client offers, else the one without alpn.
 * CLOSE_ACL_CIDR: *ret_rule says which one does not let it in. */
enum close_reason route_rule_choose(const struct route *route, uint32_t listener,
				    const struct route_asked *asked, uint32_t *ret_rule);

/* The rule of this id now; ROUTE_NO_RULE: a reload took it away. */
uint32_t route_rule_of_id(const struct route *route, uint16_t id);

/* A place a rule leads to: its addresses, or its name if those are not known yet, or why not. */
struct route_place {
	struct route_verdict verdict;
	uint16_t port;
	char host[HOST_MAX];
};

/* The place of an endpoint that discovery or the configuration names. */
void route_place(const struct route_endpoint *endpoint, struct route_place *ret_place);

/* The n-th place of a round robin that begins at `start`; false when all were named. `name`: the
 * server name asked for, in any case. */
MUST_USE bool route_rule_place(const struct route *route, uint32_t rule, struct span name,
			       uint32_t start, uint32_t n, struct route_place *ret_place);

/* ---- route_topic.c: names and hashes of topics ---------------------------------------------- */

/* CRC-32 (zlib's) of the full topic name. */
uint32_t route_topic_hash(struct span topic);
/* "tenant/namespace" of a full topic name; false for other forms. */
MUST_USE bool route_topic_namespace(struct span topic, struct span *ret_namespace);

/* ---- route_allow.c --------------------------------------------------------------------------- */

/* Does a host match "name", "*.suffix" (one label), "**.suffix" (one or more) or "*"? Folded. */
bool route_host_matches(struct span host, const char *pattern);

/* ---- route_build.c: control only ------------------------------------------------------------- */

struct route_builder;
/* NULL when out of memory; every function below takes that and does nothing. */
struct route_builder *route_build_begin(const struct config *config, uint64_t version);
void route_build_tls(struct route_builder *builder, const struct tls_set *tls);
void route_build_tokens(struct route_builder *builder, const struct config_tokens *tokens);
void route_build_cluster(struct route_builder *builder, uint32_t cluster, bool is_loaded,
			 bool is_zookeeper, bool is_direct, uint64_t read_ns);
/* Returns the endpoint's index; the same host and port is added once. -1: not a host and port, more
 * than ROUTE_ENDPOINTS_MAX, or out of memory. Host in any spelling; addresses with any port. */
int32_t route_build_endpoint(struct route_builder *builder, uint32_t cluster,
			     const struct route_endpoint *endpoint);
void route_build_broker(struct route_builder *builder, uint32_t cluster,
			const struct route_broker *broker);
void route_build_namespace(struct route_builder *builder, uint32_t cluster,
			   const struct route_namespace *ns);
/* Of several with one id the last counts. Of several at one endpoint those that were told of
 * latest: the others have left it, wherever they are now. */
void route_build_node(struct route_builder *builder, uint32_t cluster,
		      const struct route_node *node);
void route_build_forward(struct route_builder *builder, uint32_t listener,
			 const struct route_endpoint *endpoint);
/* `id`, below STAT_ROUTES_MAX, is no other rule's. */
void route_build_rule(struct route_builder *builder, uint32_t rule, uint16_t id);
/* The n-th target of a rule, unless it is derived. */
void route_build_target(struct route_builder *builder, uint32_t rule, uint32_t n,
			const struct route_endpoint *endpoint);
void route_build_listener(struct route_builder *builder, uint32_t id, int32_t index,
			  const char *name);
void route_build_own(struct route_builder *builder, const struct addr *addr);
/* An address of one of this machine's interfaces; only the first ROUTE_LOCALS_MAX are kept. */
void route_build_local(struct route_builder *builder, const struct addr *addr);
/* Freezes and frees the builder. NULL when out of memory. The config stays the caller's. A
 * namespace whose bundles do not begin at 0 and ascend has been left out. */
struct route *route_build_end(struct route_builder *builder);
void route_free(struct route *route);
