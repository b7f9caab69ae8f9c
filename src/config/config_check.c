/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check: what takes more than one key to see: names that must exist, choices that exclude
 * each other, addresses that overlap, times that do not fit into each other, and what this machine
 * has. Resolves cluster names and `workers: auto`. Routes are in config_check_route.c.
 */
#include <errno.h>
#include <inttypes.h>

#include <penstock/base/err.h>

#include "config_check.h"

/* ---- clusters -------------------------------------------------------------------------------- */

/* A name into the number of its cluster. */
static void name_resolve(struct check *check, const struct config_wanted *wanted)
{
	struct config *config = check->config;
	const struct config_row *row = wanted->row;
	struct config_mark mark = where(check, row->scope, wanted->index, row->path);
	int32_t *field = config_field(config, row, wanted->index);
	struct config_guess guess;
	char label[200];

	config_guess_begin(&guess, span_str(wanted->name));
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		if (strcmp(config->clusters[i].name, wanted->name) == 0) {
			*field = (int32_t)i;
			return;
		}
		config_guess_offer(&guess, config->clusters[i].name);
	}
	config_label(check->read, row->scope, wanted->index, row->path, label, sizeof(label));
	if (guess.best != NULL)
		FAULT(check, mark, "%s: there is no cluster '%s'; did you mean %s?", label,
		      wanted->name, guess.best);
	else
		FAULT(check, mark, "%s: there is no cluster '%s'; add it below clusters", label,
		      wanted->name);
}

/* In the order they were written. */
static void names_resolve(struct check *check)
{
	struct config_wanted *wanted = check->read->wanted, *first = NULL;

	while (wanted != NULL) {
		struct config_wanted *next = wanted->next;

		wanted->next = first;
		first = wanted;
		wanted = next;
	}
	check->read->wanted = first;
	for (; first != NULL; first = first->next)
		name_resolve(check, first);
}

static void cluster_check(struct check *check, uint32_t index)
{
	const enum config_scope scope = CONFIG_SCOPE_CLUSTER;
	const struct config_cluster *cluster = &check->config->clusters[index];
	const char *name = cluster->name;
	bool has_zookeeper = is_set(check, scope, index, "discovery.zookeeper.servers");
	bool has_global = is_set(check, scope, index, "discovery.zookeeper.global_servers");
	bool has_urls = is_set(check, scope, index, "discovery.urls");
	struct config_mark mark = where(check, scope, index, "discovery.urls");

	if (has_urls && (has_zookeeper || has_global))
		FAULT(check, mark, "clusters.%s.discovery: has both zookeeper and urls; keep one",
		      name);
	else if (!has_urls && has_global && !has_zookeeper)
		FAULT(check, mark,
		      "clusters.%s.discovery.zookeeper: global_servers without "
		      "servers; add servers, the cluster's own ZooKeeper",
		      name);
	else if (!has_urls && !has_zookeeper && !config_is_told(check->read, scope, index))
		FAULT(check, mark,
		      "clusters.%s: its brokers are found nowhere; add discovery: { "
		      "zookeeper: { servers: \"zk-0,zk-1\" } } or discovery: { urls: "
		      "[\"pulsar://broker:6650\"] }",
		      name);
	if (has_urls && cluster->lookup == CONFIG_LOOKUP_DIRECT)
		FAULT(check, where(check, scope, index, "lookup"),
		      "clusters.%s.lookup: direct "
		      "needs discovery.zookeeper, where bundle owners are read; write relay",
		      name);
	if (has_urls && !has_zookeeper && check->config->egress.hosts.count == 0 &&
	    check->config->egress.networks.count == 0 && !cluster->check_active)
		DOUBT(check, mark,
		      "clusters.%s.discovery.urls: brokers not in this list are "
		      "learned from lookup answers by each penstock for itself; with several "
		      "instances add egress.allow, so that all of them allow all brokers",
		      name);
}

static bool is_routed_to(const struct config *config, int32_t cluster)
{
	for (uint32_t i = 0; i < config->route_count; i++)
		if (config->routes[i].cluster == cluster || config->routes[i].discovered == cluster)
			return true;
	return false;
}

static void clusters_check(struct check *check)
{
	struct config *config = check->config;

	for (uint32_t i = 0; i < config->cluster_count; i++) {
		bool is_used = is_routed_to(config, (int32_t)i);

		config_check_kafka_cluster(check, i);
		if (config->clusters[i].protocol == CONFIG_PULSAR)
			cluster_check(check, i);
		config_check_tls_cluster(check, i);
		config_check_role(check, i);
		config_check_sasl(check, i);
		for (uint32_t j = 0; j < config->listener_count; j++)
			is_used |= config->listeners[j].cluster == (int32_t)i;
		if (!is_used)
			DOUBT(check, where(check, CONFIG_SCOPE_CLUSTER, i, "protocol"),
			      "clusters.%s: no listener uses it", config->clusters[i].name);
	}
}

/* ---- listeners ------------------------------------------------------------------------------- */

static bool has_plain_url(const struct config_cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->url_count; i++)
		if (!cluster->urls[i].is_tls)
			return true;
	return cluster->urls == NULL;
}

static void listener_target(struct check *check, uint32_t index)
{
	const enum config_scope scope = CONFIG_SCOPE_LISTENER;
	const struct config_listener *listener = &check->config->listeners[index];
	bool has_cluster = is_set(check, scope, index, "cluster");
	bool has_forward = is_set(check, scope, index, "forward");
	bool has_routes = listener->route_count > 0;

	if (has_cluster && has_forward)
		FAULT(check, where(check, scope, index, "forward"),
		      "listeners[%u]: has both cluster and forward; keep one", index);
	if (has_routes && (has_cluster || has_forward))
		FAULT(check, where(check, scope, index, has_cluster ? "cluster" : "forward"),
		      "listeners[%u]: has both %s and routes; keep one", index,
		      has_cluster ? "cluster" : "forward");
	if (!has_cluster && !has_forward && !has_routes &&
	    !config_is_told(check->read, scope, index))
		FAULT(check, where(check, scope, index, "forward"),
		      "listeners[%u]: goes nowhere; add cluster: NAME, forward: \"host:port\" or "
		      "routes:",
		      index);
	if (listener->send_proxy_protocol != CONFIG_SEND_PROXY_OFF && !has_forward)
		FAULT(check, where(check, scope, index, "send_proxy_protocol"),
		      "listeners[%u].send_proxy_protocol: goes with forward; for brokers set "
		      "clusters.<name>.send_proxy_protocol, with routes that of the route",
		      index);
	if (listener->cluster >= 0 &&
	    check->config->clusters[listener->cluster].protocol == CONFIG_PULSAR &&
	    !config_speaks_tls(&check->config->clusters[listener->cluster]) &&
	    !has_plain_url(&check->config->clusters[listener->cluster]))
		FAULT(check, where(check, scope, index, "cluster"),
		      "listeners[%u].cluster: clusters.%s.discovery.urls has no pulsar:// URL; add "
		      "those, or broker_tls to speak TLS to brokers",
		      index, check->config->clusters[listener->cluster].name);
}

static void listener_check(struct check *check, uint32_t index)
{
	const enum config_scope scope = CONFIG_SCOPE_LISTENER;
	const struct config_listener *listener = &check->config->listeners[index];

	listener_target(check, index);
	config_check_tls_listener(check, index);
	config_check_kafka_listener(check, index);
	if (!is_set(check, scope, index, "name"))
		FAULT(check, where(check, scope, index, "name"),
		      "listeners[%u]: has no name; add name:, it is the label in logs and metrics",
		      index);
	if (!is_set(check, scope, index, "bind"))
		FAULT(check, where(check, scope, index, "bind"),
		      "listeners[%u]: has no address; add bind: \"0.0.0.0:6650\"", index);
	if (listener->proxy_mode != CONFIG_PROXY_OFF && listener->proxy_trusted.count == 0 &&
	    !is_set(check, scope, index, "proxy_protocol.trusted"))
		FAULT(check, where(check, scope, index, "proxy_protocol.mode"),
		      "listeners[%u].proxy_protocol: trusted is missing, so nobody's header would "
		      "be believed; add trusted: [the networks of your load balancers]",
		      index);
	else if (listener->proxy_mode != CONFIG_PROXY_OFF && listener->proxy_trusted.count == 0)
		FAULT(check, where(check, scope, index, "proxy_protocol.trusted"),
		      "listeners[%u].proxy_protocol.trusted: is empty, so nobody's header would be "
		      "believed; add the networks of your load balancers",
		      index);
	if (listener->proxy_mode == CONFIG_PROXY_OFF && listener->proxy_trusted.count > 0)
		DOUBT(check, where(check, scope, index, "proxy_protocol.trusted"),
		      "listeners[%u].proxy_protocol.trusted: has no effect while mode is off",
		      index);
	for (uint32_t i = 0; i < index; i++) {
		const char *other = check->config->listeners[i].name;

		if (listener->name != NULL && other != NULL && strcmp(other, listener->name) == 0)
			FAULT(check, where(check, scope, index, "name"),
			      "listeners[%u].name: '%s' is listeners[%u] already; choose another",
			      index, other, i);
	}
}

/* ---- addresses ------------------------------------------------------------------------------- */

struct bound {
	const struct addr *addr;
	struct config_mark mark;
	char what[40];
};

bool config_check_is_overlapping(const struct addr *a, const struct addr *b)
{
	if (!a->is_set || !b->is_set || a->port != b->port)
		return false;
	if (addr_equal_ip(a, b))
		return true;
	bool is_any_a = addr_kind(a) == ADDR_UNSPECIFIED;
	bool is_any_b = addr_kind(b) == ADDR_UNSPECIFIED;

	/* 0.0.0.0 is every IPv4 address; [::] is every address of both kinds. */
	return (is_any_a && (!addr_is_v4(a) || addr_is_v4(b))) ||
	       (is_any_b && (!addr_is_v4(b) || addr_is_v4(a)));
}

static void binds_check(struct check *check)
{
	struct bound bounds[CONFIG_LISTENERS_MAX + 2];
	struct config *config = check->config;
	uint32_t count = 0;

	for (uint32_t i = 0; i < config->listener_count; i++) {
		struct bound *bound = &bounds[count++];

		bound->addr = &config->listeners[i].bind;
		bound->mark = where(check, CONFIG_SCOPE_LISTENER, i, "bind");
		snprintf(bound->what, sizeof(bound->what), "listeners[%u].bind", i);
	}
	if (config->admin.is_on && config->admin.unix_path == NULL)
		bounds[count++] = (struct bound){ &config->admin.listen,
						  where(check, CONFIG_SCOPE_TOP, 0, "admin.listen"),
						  "admin.listen" };
	if (config->web.is_on)
		bounds[count++] = (struct bound){ &config->web.listen,
						  where(check, CONFIG_SCOPE_TOP, 0, "web.listen"),
						  "web.listen" };
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < i; j++) {
			char texts[2][ADDR_TEXT_MAX];

			if (config_check_is_overlapping(bounds[i].addr, bounds[j].addr))
				FAULT(check, bounds[i].mark,
				      "%s: %s overlaps with %s of %s; choose another port or address",
				      bounds[i].what, addr_format(bounds[i].addr, texts[0]),
				      addr_format(bounds[j].addr, texts[1]), bounds[j].what);
		}
	if (config->admin.is_on && config->admin.unix_path == NULL &&
	    addr_kind(&config->admin.listen) != ADDR_LOOPBACK)
		DOUBT(check, where(check, CONFIG_SCOPE_TOP, 0, "admin.listen"),
		      "admin.listen: is open to the network and has no authentication; 127.0.0.1 or "
		      "a unix socket is not");
}

/* ---- egress, times, CPUs --------------------------------------------------------------------- */

static void egress_check(struct check *check)
{
	struct config *config = check->config;
	struct config_mark networks = where(check, CONFIG_SCOPE_TOP, 0, "egress.allow.networks");
	struct config_mark ports = where(check, CONFIG_SCOPE_TOP, 0, "egress.allow.ports");

	if (config->egress.hosts.count + config->egress.networks.count > 0 &&
	    config->egress.ports.count == 0 && !config->egress.ports.is_any)
		FAULT(check, ports,
		      "egress.allow.ports: is empty, so nothing is allowed; add the "
		      "brokers' ports");
	for (uint32_t i = 0; i < config->egress.networks.count; i++) {
		const struct cidr *cidr = &config->egress.networks.at[i];
		struct addr addr = { .is_set = 1 };

		memcpy(addr.ip, cidr->ip, sizeof(addr.ip));
		if (cidr->bits > 0 && !(cidr->bits == 96 && addr_is_v4(&addr)))
			continue;
		DOUBT(check, networks,
		      "egress.allow.networks: allows every address%s; name your "
		      "brokers' networks",
		      config->egress.hosts.count > 0 ? "" : " a client may write down");
		break;
	}
}

static void times_check(struct check *check)
{
	const struct config *config = check->config;
	uint64_t quiet = config->drain.lame_duck_ns + config->drain.spread_ns;
	struct config_mark mark = where(check, CONFIG_SCOPE_TOP, 0, "timeouts.drain");

	if (mark.line == 0)
		mark = where(check, CONFIG_SCOPE_TOP, 0, "drain.spread");
	if (mark.line == 0)
		mark = where(check, CONFIG_SCOPE_TOP, 0, "drain.lame_duck");
	if (quiet > config->timeouts.drain_ns)
		FAULT(check, mark,
		      "timeouts.drain: is shorter than drain.lame_duck and "
		      "drain.spread together (%" PRIu64 " ms < %" PRIu64 " ms); raise it or lower "
		      "them",
		      (uint64_t)(config->timeouts.drain_ns / NS_PER_MS),
		      (uint64_t)(quiet / NS_PER_MS));
}

static bool has_cpu(const struct cpu_list *list, uint16_t cpu)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->cpu[i] == cpu)
			return true;
	return false;
}

static void process_check(struct check *check)
{
	struct config *config = check->config;
	const struct cpu_list *cpus = &config->process.cpus;
	struct config_mark at_cpus = where(check, CONFIG_SCOPE_TOP, 0, "process.cpus");
	struct config_mark at_workers = where(check, CONFIG_SCOPE_TOP, 0, "process.workers");
	struct cpu_list online;
	int err = cpu_available(&online);

	if (err < 0 || online.count == 0) {
		config_error(check->read->errors, NULL, 0, 0,
			     "the CPUs this process may use are "
			     "unknown (%s); set process.workers",
			     err_text(err));
		return;
	}
	for (uint32_t i = 0; i < cpus->count; i++)
		if (!has_cpu(&online, cpus->cpu[i]))
			FAULT(check, at_cpus,
			      "process.cpus: CPU %u is not there for this process; "
			      "it may use %u CPUs, the first is %u and the last %u",
			      cpus->cpu[i], online.count, online.cpu[0],
			      online.cpu[online.count - 1]);
	if (config->process.workers == 0) {
		uint32_t count = cpus->count > 0 ? cpus->count : online.count;
		uint32_t most =
			(uint32_t)config_row_find(CONFIG_SCOPE_TOP, "process.workers")->high;

		config->process.workers = count < most ? count : most;
		return;
	}
	if (cpus->count > 0 && config->process.workers > cpus->count)
		FAULT(check, at_workers,
		      "process.workers: %u workers cannot be pinned to %u CPUs; "
		      "name as many in process.cpus, or lower it",
		      config->process.workers, cpus->count);
	else if (cpus->count > config->process.workers)
		DOUBT(check, at_workers,
		      "process.workers: only %u of the %u CPUs of process.cpus "
		      "are used",
		      config->process.workers, cpus->count);
	else if (config->process.workers > online.count)
		DOUBT(check, at_workers,
		      "process.workers: %u workers share %u CPUs; more than one "
		      "per CPU gains nothing",
		      config->process.workers, online.count);
	if (config->process.busy_poll_ns > 0 && cpus->count == 0)
		DOUBT(check, where(check, CONFIG_SCOPE_TOP, 0, "process.busy_poll"),
		      "process.busy_poll: is meant for workers with CPUs of their own; set "
		      "process.cpus");
}

/* As written, or enough for all handshakes there may be. Less is no error: a limit is there to be
 * reached, but not to be a surprise. */
static void tls_memory_check(struct check *check)
{
	struct config *config = check->config;
	uint64_t need = config_tls_need(config), most = config->limits.tls_memory;

	if (need <= most)
		return;
	if (!is_set(check, CONFIG_SCOPE_TOP, 0, "limits.tls_memory")) {
		config->limits.tls_memory = need;
		return;
	}
	if (config_has_tls(config))
		DOUBT(check, where(check, CONFIG_SCOPE_TOP, 0, "limits.tls_memory"),
		      "limits.tls_memory: %" PRIu64 " MiB, and the %" PRIu64
		      " handshakes of each of %u workers can take %" PRIu64
		      " MiB: those that find none fail; raise it, or lower limits.handshakes",
		      most >> 20, config->limits.handshakes, config->process.workers, need >> 20);
}

void config_check(struct config_read *read, const char *file)
{
	struct check check = { .read = read, .config = read->config, .file = file };
	struct config *config = read->config;

	config->limits.connections_asked = config->limits.connections;
	/* First, so that a token or a password that changes meanwhile is read again. */
	config->files_stamp = config_files_stamp(config);
	names_resolve(&check);
	for (uint32_t i = 0; i < config->listener_count; i++)
		listener_check(&check, i);
	config_check_routes(&check);
	clusters_check(&check);
	binds_check(&check);
	config_check_kafka_ports(&check);
	egress_check(&check);
	times_check(&check);
	process_check(&check);
	tls_memory_check(&check);
	if (config->listener_count == 0)
		config_warn(read->errors, file, 0, 0,
			    "there are no listeners, so nothing is served; add some below "
			    "listeners:");
}
