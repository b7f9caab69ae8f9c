/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names, addresses, the config of the run, and snapshots built as control builds them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_kafka.h"
#include "sim_kafka_frame.h"
#include "sim_town.h"

#define TARGET_HOST "target.sim"
#define OTHER_HOST  "other.sim"
#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static struct config config;

struct addr sim_town_broker(uint32_t broker)
{
	return addr_v4(IP(10, 1, 0, 1 + broker), SIM_TOWN_PORT);
}

static char *next_text(void)
{
	static char texts[4][64];
	static uint32_t at;

	at = (at + 1) % 4;
	return texts[at];
}

const char *sim_town_host(uint32_t broker)
{
	char *text = next_text();

	(void)snprintf(text, 64, "broker-%u.sim", broker);
	return text;
}

const char *sim_town_url(uint32_t broker, bool is_tls)
{
	char *text = next_text();

	(void)snprintf(text, 64, "pulsar%s://broker-%u.sim:%u", is_tls ? "+ssl" : "", broker,
		       SIM_TOWN_PORT + is_tls);
	return text;
}

struct addr sim_town_target(void)
{
	return addr_v4(IP(10, 2, 0, 1), 7000);
}

struct addr sim_town_target_dead(void)
{
	return addr_v4(IP(10, 2, 0, 2), 7000);
}

struct addr sim_town_target_other(void)
{
	return addr_v4(IP(10, 2, 0, 3), 7001);
}

struct addr sim_town_listener(uint32_t listener)
{
	return addr_v4(IP(198, 51, 100, 1), (uint16_t)(6600 + listener));
}

struct addr sim_town_client(uint32_t flow)
{
	return addr_v4(IP(192, 0, 2, 1 + flow % 200), (uint16_t)(20000 + flow));
}

struct addr sim_town_balancer(uint32_t flow)
{
	return addr_v4(IP(10, 9, 0, 1), (uint16_t)(20000 + flow));
}

bool sim_town_is_dead(uint32_t broker)
{
	return broker + 1 == sim_plan.dead_broker || broker + 1 == sim_plan.black_broker;
}

uint32_t sim_town_owner(void)
{
	uint32_t owner = 0;

	while (sim_town_is_dead(owner) && owner + 1 < sim_plan.brokers)
		owner++;
	return owner;
}

uint8_t sim_town_resolve(const char *host, struct addr *ret_addrs)
{
	uint32_t count = sim_plan.brokers + sim_plan.hidden;
	uint32_t broker = 0;
	char rest[16] = "";

	if (strcmp(host, TARGET_HOST) == 0) {
		ret_addrs[0] = sim_town_target();
		return 1;
	}
	if (strcmp(host, OTHER_HOST) == 0) {
		ret_addrs[0] = sim_town_target_other();
		return 1;
	}
	if (strcmp(host, "loop.ext.sim") == 0) {
		ret_addrs[0] = addr_v4(IP(127, 0, 0, 1), 0);
		return 1;
	}
	if (sscanf(host, "broker-%u.%15s", &broker, rest) != 2 &&
	    sscanf(host, "n%u.%15s", &broker, rest) != 2)
		return 0;
	if (broker >= count)
		return 0;
	ret_addrs[0] = sim_town_broker(broker);
	ret_addrs[0].port = 0;
	return 1;
}

/* ---- the config ---- */

static void make_listener(uint32_t id, const char *name, bool is_forward, bool has_header)
{
	static struct cidr trusted;

	CHECK(addr_parse_cidr(span_str("10.9.0.0/16"), &trusted));
	config.listeners[id] = (struct config_listener){
		.name = name,
		.bind = sim_town_listener(id),
		.cluster = is_forward ? -1 : 0,
		.forward_host = is_forward ? TARGET_HOST : NULL,
		.forward_port = is_forward ? 7000 : 0,
		.proxy_mode =
			has_header ? (enum config_proxy_mode)sim_plan.proxy_mode : CONFIG_PROXY_OFF,
		.proxy_trusted = { .at = &trusted, .count = 1 },
		.send_proxy_protocol = is_forward ? (enum config_send_proxy)sim_plan.send_proxy
						  : CONFIG_SEND_PROXY_OFF,
		.splice = sim_chance(100) ? CONFIG_SPLICE_OFF : CONFIG_SPLICE_AUTO,
		.backlog = 128,
	};
}

/* The routes of a listener, with the targets of forward listeners and the brokers. */
static void make_routes(uint32_t id, bool has_defaults)
{
	static struct config_target both[] = {
		{ .host = TARGET_HOST, .port = 7000 },
		{ .host = OTHER_HOST, .port = 7001 },
	};
	static struct config_target derived[] = {
		{ .host = "{1}.ext.sim", .port = SIM_TOWN_PORT, .is_derived = true },
	};
	static struct config_route routes[2 * SIM_TOWN_ROUTES];
	static struct cidr near;
	const struct config_route all[SIM_TOWN_ROUTES] = {
		{ .host = "one.sim",
		  .targets = both,
		  .target_count = 2,
		  .send_proxy_protocol = (enum config_send_proxy)sim_plan.send_proxy },
		{ .host = "*.wild.sim", .targets = derived, .target_count = 1 },
		{ .host = "pool.sim", .cluster = 0 },
		{ .discovered = 0 },
		{ .host = "few.sim", .targets = both, .target_count = 1 },
		{ .host = "near.sim",
		  .targets = both,
		  .target_count = 1,
		  .allow = { .at = &near, .count = 1 } },
	};
	struct config_listener *listener = &config.listeners[id];

	CHECK(addr_parse_cidr(span_str("192.0.2.0/25"), &near));
	*listener = (struct config_listener){
		.name = listener->name,
		.bind = listener->bind,
		.cluster = -1,
		.route_count = SIM_TOWN_ROUTES,
		.route_first = config.route_count,
		.no_sni_route = has_defaults ? (int32_t)config.route_count : -1,
		.unknown_route = has_defaults ? (int32_t)config.route_count : -1,
		.allow_ports = { .is_any = true },
		.proxy_mode = listener->proxy_mode,
		.proxy_trusted = listener->proxy_trusted,
		.splice = listener->splice,
		.backlog = listener->backlog,
	};
	config.routes = routes;
	for (uint32_t i = 0; i < SIM_TOWN_ROUTES; i++) {
		struct config_route *route = &routes[config.route_count++];

		*route = all[i];
		route->label = route->host != NULL ? route->host : "discovered:town";
		route->listener = id;
		route->max_connections = i == 4 ? SIM_TOWN_FEW : CONFIG_OFF;
		if (i != 2)
			route->cluster = -1;
		if (i != 3)
			route->discovered = -1;
	}
}

static void make_cluster(void)
{
	static struct config_url url = { .host = "broker-0.sim", .port = SIM_TOWN_PORT };

	config.cluster_count = 1;
	config.clusters[0] = (struct config_cluster){
		.name = "town",
		.zookeeper_servers = sim_plan.is_zookeeper ? "zk.sim:2181" : NULL,
		.urls = &url,
		.url_count = 1,
		.lookup = sim_plan.is_direct ? CONFIG_LOOKUP_DIRECT : CONFIG_LOOKUP_RELAY,
		.send_proxy_protocol = (enum config_send_proxy)sim_plan.send_proxy,
	};
}

static uint32_t told_nodes; /* a bit per hidden broker */

void sim_town_tell_node(uint32_t node)
{
	if (node >= sim_plan.brokers)
		told_nodes |= 1u << (node - sim_plan.brokers);
}

/* As whom penstock is to authenticate. */
static struct config_clients *make_users(void)
{
	struct config_clients *users = sim_alloc(sizeof(*users) + sizeof(users->at[0]));

	users->count = 1;
	users->at[0] = (struct config_client){ "*", SIM_KAFKA_USER, SIM_KAFKA_PASSWORD, 1 };
	return users;
}

/* A second cluster, on the same brokers, at another port. */
static void make_kafka(void)
{
	static struct config_url url = { .host = "broker-0.sim", .port = SIM_KAFKA_PORT };
	static struct config_kafka_ids ids;

	ids.last = (int32_t)(sim_plan.brokers + sim_plan.hidden) - 1;
	config.cluster_count = 2;
	config.clusters[1] = (struct config_cluster){
		.name = "orders",
		.protocol = CONFIG_KAFKA,
		.urls = &url,
		.url_count = 1,
	};
	if (sim_plan.has_login)
		config.clusters[1].broker_sasl.users = make_users();
	config.listener_count = SIM_TOWN_LISTENERS;
	config.listeners[SIM_TOWN_KAFKA] = (struct config_listener){
		.name = "kafka",
		.bind = sim_town_listener(SIM_TOWN_KAFKA),
		.cluster = 1,
		.splice = CONFIG_SPLICE_AUTO,
		.backlog = 128,
		.kafka = {
			.advertise = SIM_KAFKA_HOST,
			.advertise_port = SIM_KAFKA_BASE,
			.base_port = SIM_KAFKA_BASE,
			.ids = &ids,
			.id_count = 1,
		},
	};
	if (sim_plan.denies)
		CHECK(kafka_policy_deny(&config.listeners[SIM_TOWN_KAFKA].kafka.policy,
					SIM_KAFKA_PARTITIONS));
	if (sim_plan.is_paced) {
		config.listeners[SIM_TOWN_KAFKA].accept_rate = 6;
		config.listeners[SIM_TOWN_KAFKA].kafka.rate_requests = 6;
		config.listeners[SIM_TOWN_KAFKA].kafka.rate_in = 20000;
		config.listeners[SIM_TOWN_KAFKA].kafka.rate_out = 60000;
	}
}

static void make_rest(void)
{
	static const char *hosts[] = { "*.ext.sim" };
	static uint16_t ports[] = { SIM_TOWN_PORT };

	config.egress.hosts.at = hosts;
	config.egress.hosts.count = COUNT_OF(hosts);
	config.egress.ports.at = ports;
	config.egress.ports.count = COUNT_OF(ports);
	config.limits.connections = sim_plan.connections;
	config.limits.connections_asked = sim_plan.connections;
	config.limits.per_ip = CONFIG_OFF;
	config.limits.unrouted = sim_plan.unrouted;
	config.limits.lookups = sim_plan.lookups;
	config.limits.first_frame = 65536;
	config.limits.pipes = sim_plan.pipes;
	config.limits.max_frame = SIM_TOWN_PORT * 1024;
	config.timeouts.hello_ns = 5 * NS_PER_S;
	config.timeouts.handshake_ns = 20 * NS_PER_S;
	config.timeouts.connect_ns = 2 * NS_PER_S;
	config.timeouts.frame_ns = 30 * NS_PER_S;
	config.timeouts.half_close_ns = 60 * NS_PER_S;
	config.timeouts.idle_ns = CONFIG_OFF;
	config.timeouts.drain_ns = 60 * NS_PER_S;
	config.process.workers = sim_plan.workers;
	config.process.busy_poll_ns = sim_plan.busy_poll_ns;
	config.log.access = CONFIG_ACCESS_ALL;
}

const struct config *sim_town_config(void)
{
	if (config.listener_count > 0)
		return &config;
	config.listener_count = SIM_TOWN_KAFKA;
	make_listener(SIM_TOWN_FORWARD, "forward", true, false);
	make_listener(SIM_TOWN_FORWARD_PROXY, "forward-proxy", true, true);
	make_listener(SIM_TOWN_PULSAR, "pulsar", false, false);
	make_listener(SIM_TOWN_PULSAR_PROXY, "pulsar-proxy", false, true);
	make_listener(SIM_TOWN_EDGE, "edge", false, false);
	make_listener(SIM_TOWN_EDGE_PROXY, "edge-proxy", false, true);
	make_routes(SIM_TOWN_EDGE, false);
	make_routes(SIM_TOWN_EDGE_PROXY, true);
	make_cluster();
	if (sim_plan.kafka_share > 0)
		make_kafka();
	make_rest();
	return &config;
}

/* ---- snapshots ---- */

static int32_t add_broker(struct route_builder *builder, uint32_t broker, bool is_learned)
{
	const struct route_endpoint endpoint = {
		.host = sim_town_host(broker),
		.port = SIM_TOWN_PORT,
		.is_learned = is_learned,
		.addr_count = 1,
		.addrs = { sim_town_broker(broker) },
	};
	struct route_endpoint tls = endpoint;
	int32_t index = route_build_endpoint(builder, 0, &endpoint);

	CHECK(index >= 0);
	tls.port = SIM_TOWN_TLS_PORT;
	tls.is_tls = true;
	if (!is_learned) {
		const struct route_broker row = {
			.id = endpoint.host,
			.url = sim_town_url(broker, false),
			.url_tls = sim_town_url(broker, true),
			.plain = index,
			.tls = route_build_endpoint(builder, 0, &tls),
		};

		route_build_broker(builder, 0, &row);
	}
	return index;
}

static void add_forwards(struct route_builder *builder)
{
	struct route_endpoint target = {
		.host = TARGET_HOST,
		.port = 7000,
		.addr_count = 2,
		.addrs = { sim_town_target_dead(), sim_town_target() },
	};

	/* With both addresses, with one, or with none known yet: then the worker asks. */
	uint64_t how = sim_chance(sim_plan.dns_share) ? 2 : sim_below(2);

	if (how > 0)
		target.addrs[0] = sim_town_target();
	target.addr_count = how == 0 ? 2 : how == 1 ? 1 : 0;
	route_build_forward(builder, SIM_TOWN_FORWARD, &target);
	route_build_forward(builder, SIM_TOWN_FORWARD_PROXY, &target);
}

static void add_rules(struct route_builder *builder)
{
	for (uint32_t i = 0; i < config.route_count; i++) {
		const struct config_route *route = &config.routes[i];

		route_build_rule(builder, i, (uint16_t)(1 + 2 * i));
		for (uint32_t n = 0; n < route->target_count; n++) {
			struct route_endpoint target = { .host = route->targets[n].host,
							 .port = route->targets[n].port };

			if (route->targets[n].is_derived)
				continue;
			if (!sim_chance(sim_plan.dns_share))
				target.addr_count = sim_town_resolve(target.host, target.addrs);
			route_build_target(builder, i, n, &target);
		}
	}
}

static void add_nodes(struct route_builder *builder)
{
	bool is_listed = sim_now() >= sim_plan.list_ns;

	route_build_cluster(builder, 1, is_listed, false, false, sim_now());
	for (uint32_t i = 0; is_listed && i < sim_plan.brokers + sim_plan.hidden; i++) {
		struct route_endpoint endpoint = {
			.host = sim_town_host(i),
			.port = SIM_KAFKA_PORT,
			.addr_count = 1,
			.addrs = { sim_town_broker(i) },
		};

		if (i >= sim_plan.brokers && (told_nodes >> (i - sim_plan.brokers) & 1) == 0)
			continue;
		endpoint.addrs[0].port = SIM_KAFKA_PORT;
		const struct route_node node = {
			.id = (int32_t)i,
			.endpoint = route_build_endpoint(builder, 1, &endpoint),
		};
		const struct route_broker broker = {
			.id = endpoint.host,
			.url = endpoint.host,
			.plain = node.endpoint,
			.tls = -1,
		};

		route_build_node(builder, 1, &node);
		route_build_broker(builder, 1, &broker);
	}
}

struct route *sim_town_route(uint64_t version, uint32_t learned, bool has_namespace)
{
	struct route_builder *builder = route_build_begin(&config, version);
	int32_t owner = -1;

	route_build_cluster(builder, 0, true, sim_plan.is_zookeeper, sim_plan.is_direct, sim_now());
	for (uint32_t i = 0; i < sim_plan.brokers; i++) {
		int32_t index = add_broker(builder, i, false);

		if (i == sim_town_owner())
			owner = index;
	}
	for (uint32_t i = 0; i < sim_plan.hidden; i++)
		if ((learned >> i & 1) != 0)
			(void)add_broker(builder, sim_plan.brokers + i, true);
	if (has_namespace) {
		struct route_bundle bundle = { .low = 0, .plain = owner, .tls = -1 };
		const struct route_namespace ns = {
			.name = SIM_TOWN_DIRECT_NS,
			.bundles = &bundle,
			.bundle_count = 1,
		};

		route_build_namespace(builder, 0, &ns);
	}
	add_forwards(builder);
	add_rules(builder);
	if (sim_plan.kafka_share > 0)
		add_nodes(builder);
	for (uint32_t i = 0; i < config.listener_count; i++) {
		struct addr own = sim_town_listener(i);

		route_build_listener(builder, i, (int32_t)i, config.listeners[i].name);
		route_build_own(builder, &own);
	}
	struct route *route = route_build_end(builder);

	CHECK(route != NULL);
	return route;
}
