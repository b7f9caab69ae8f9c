/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_reach: ZooKeeper's servers, the brokers that discovery finds there or the
 * configuration names, and the targets of routes: can they be reached from here? Brokers are found
 * by the very code that a running penstock finds them with.
 */
#include <stdlib.h>
#include <time.h>

#include <penstock/base/clock.h>
#include <penstock/control/discovery.h>

#include "cli_doctor.h"

#define ZOOKEEPER_PORT 2181
#define LIST_WAIT_NS   (5 * NS_PER_S)
#define PAUSE_NS       (20 * NS_PER_MS)

/* ---- places --------------------------------------------------------------------------------- */

struct places {
	struct doctor_place *at;
	uint32_t count, room;
};

/* NULL: out of memory, or no host. */
static struct doctor_place *place_add(struct places *places, struct span host, uint16_t port)
{
	if (places->count == places->room) {
		uint32_t room = 2 * places->room + 16;
		void *at = realloc(places->at, room * sizeof(*places->at));

		if (at == NULL)
			return NULL;
		places->at = at;
		places->room = room;
	}
	struct doctor_place *place = &places->at[places->count];

	*place = (struct doctor_place){ .port = port };
	if (!span_to_str(host, place->host, sizeof(place->host)))
		return NULL;
	places->count++;
	return place;
}

static bool is_reached(const struct doctor_place *place)
{
	return place->stage == DOCTOR_REACHED;
}

static uint32_t reached_count(const struct doctor_place *places, uint32_t count)
{
	uint32_t reached = 0;

	for (uint32_t i = 0; i < count; i++)
		reached += is_reached(&places[i]);
	return reached;
}

static void remedy_say(struct doctor *doctor, const struct doctor_place *place)
{
	switch (place->stage) {
	case DOCTOR_NAME:
		cli_doctor_remedy(doctor, "is it spelled right, and do the hosts file or the name "
					  "servers of /etc/resolv.conf know it?");
		break;
	case DOCTOR_CONNECTION:
		cli_doctor_remedy(
			doctor, "is it running, is this the right port, is a firewall in between?");
		break;
	case DOCTOR_ANSWER:
		cli_doctor_remedy(doctor, "is this ZooKeeper's client port?");
		break;
	case DOCTOR_TLS:
	case DOCTOR_SETTLING:
		cli_doctor_remedy(doctor,
				  "openssl s_client -connect %s:%u shows what it shows us; "
				  "compare broker_tls",
				  place->host, place->port);
		break;
	case DOCTOR_REACHED:
		break;
	}
}

/* ---- ZooKeeper ------------------------------------------------------------------------------ */

/* "host:port,host:port/chroot", as the configuration keeps it. */
static void servers_split(struct places *places, const char *servers)
{
	struct span rest = span_str(servers);

	rest.len = span_find(rest, '/');
	while (rest.len > 0) {
		struct span part, host;
		uint16_t port = ZOOKEEPER_PORT;

		if (!span_take(&rest, span_find(rest, ','), &part) ||
		    (rest.len > 0 && !span_skip(&rest, 1)))
			return;
		if (!addr_split(part, &host, &port))
			host = part;
		struct doctor_place *place = place_add(places, host, port);

		if (place != NULL)
			place->question = "srvr"; /* the one of the four-letter words that every
						   * server answers unless told not to */
	}
}

/* "Mode: follower" in the answer to srvr; false: it serves nobody. */
static bool mode_find(const struct doctor_place *place, char ret_mode[static 32])
{
	const char *at = strstr(place->answer, "\nMode: ");

	ret_mode[0] = '\0';
	if (at != NULL)
		(void)snprintf(ret_mode, 32, ", %.20s", at + strlen("\nMode: "));
	ret_mode[strcspn(ret_mode, "\n")] = '\0';
	return strstr(place->answer, "not currently serving") == NULL;
}

static void server_say(struct doctor *doctor, const char *label, const struct doctor_place *place,
		       bool is_any)
{
	enum doctor_state bad = is_any ? DOCTOR_WARN : DOCTOR_FAIL;
	char mode[32];

	if (!is_reached(place)) {
		cli_doctor_say(doctor, bad, "%s: %s:%u: %s", label, place->host, place->port,
			       place->why);
		remedy_say(doctor, place);
		return;
	}
	if (!mode_find(place, mode)) {
		cli_doctor_say(doctor, bad, "%s: %s:%u answers, and serves nobody", label,
			       place->host, place->port);
		cli_doctor_remedy(doctor, "more than half of its ensemble must be up and reach "
					  "each other");
		return;
	}
	cli_doctor_say(doctor, DOCTOR_OK, "%s: %s:%u answers%s", label, place->host, place->port,
		       mode);
}

/* Is there one that serves? */
static bool servers_check(struct doctor *doctor, const char *label, const char *servers)
{
	struct places places = { .count = 0 };
	char mode[32];
	bool is_any = false;

	servers_split(&places, servers);
	cli_doctor_dial(places.at, places.count, doctor->config->timeouts.connect_ns);
	for (uint32_t i = 0; i < places.count; i++)
		is_any |= is_reached(&places.at[i]) && mode_find(&places.at[i], mode);
	for (uint32_t i = 0; i < places.count; i++)
		server_say(doctor, label, &places.at[i], is_any);
	free(places.at);
	return is_any;
}

void cli_doctor_zookeeper(struct doctor *doctor)
{
	char label[160];

	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->cluster_count; i++) {
		const struct config_cluster *cluster = &doctor->config->clusters[i];

		if (cluster->zookeeper_servers == NULL)
			continue;
		(void)snprintf(label, sizeof(label), "cluster %s", cluster->name);
		doctor->has_zookeeper |= servers_check(doctor, label, cluster->zookeeper_servers);
		if (cluster->zookeeper_global_servers == NULL)
			continue;
		(void)snprintf(label, sizeof(label), "cluster %s, global", cluster->name);
		(void)servers_check(doctor, label, cluster->zookeeper_global_servers);
	}
}

/* ---- lists of brokers ----------------------------------------------------------------------- */

static uint32_t on_resolve(void *context, const char *host, struct addr *ret_addrs, uint32_t max,
			   bool *ret_is_final)
{
	const bool *is_building = context;
	int err;

	*ret_is_final = true;
	/* Names in the lists are looked at one by one, later. */
	return *is_building ? 0 : cli_doctor_resolve(host, 0, ret_addrs, max, &err);
}

static void on_changed(void *context)
{
	(void)context;
}

static bool are_loaded(const struct discovery *discovery, uint32_t count)
{
	struct discovery_view view;

	for (uint32_t i = 0; i < count; i++)
		if (discovery_view(discovery, i, clock_now_ns(), &view) && !view.is_loaded)
			return false;
	return true;
}

/* The snapshot a worker would have. NULL: out of memory. `states`: ZooKeeper sessions. */
static struct route *lists_read(const struct doctor *doctor, const char **ret_states)
{
	bool is_building = false;
	const struct discovery_host host = {
		.resolve = on_resolve,
		.changed = on_changed,
		.context = &is_building,
	};
	const struct timespec pause = { .tv_nsec = (long)PAUSE_NS };
	struct discovery *discovery = discovery_new(&host);
	uint32_t count = doctor->config->cluster_count;
	uint64_t until_ns = clock_now_ns() + (doctor->has_zookeeper ? LIST_WAIT_NS : 0);

	if (discovery == NULL)
		return NULL;
	if (discovery_apply(discovery, doctor->config) < 0) {
		discovery_free(discovery);
		return NULL;
	}
	do {
		(void)discovery_tick(discovery, clock_now_ns());
		nanosleep(&pause, NULL);
	} while (!are_loaded(discovery, count) && clock_now_ns() < until_ns);
	is_building = true;

	struct route_builder *builder = route_build_begin(doctor->config, 1);
	struct discovery_view view;

	for (uint32_t i = 0; i < count; i++) {
		discovery_build(discovery, i, builder, clock_now_ns());
		ret_states[i] = discovery_view(discovery, i, clock_now_ns(), &view) ? view.zookeeper
										    : "none";
	}
	discovery_free(discovery);
	return route_build_end(builder);
}

/* ---- brokers -------------------------------------------------------------------------------- */

/* One broker of a cluster, at the address penstock would dial. */
static void broker_add(struct doctor *doctor, uint32_t index, const struct route_cluster *found,
		       const struct route_broker *broker, struct places *places)
{
	const struct config_cluster *cluster = &doctor->config->clusters[index];
	bool is_tls = config_speaks_tls(cluster);
	int32_t at = is_tls ? broker->tls : broker->plain;

	if (is_tls && at < 0) {
		cli_doctor_say(doctor, DOCTOR_FAIL,
			       "cluster %s: broker %s announces no TLS address, and broker_tls "
			       "wants one",
			       cluster->name, broker->id);
		cli_doctor_remedy(doctor, "brokerServicePortTls in its broker.conf, or no "
					  "broker_tls");
		return;
	}
	/* Without broker_tls its TLS address may still be what routes that pass TLS lead to. */
	if (at < 0)
		at = broker->tls;
	if (at < 0)
		return;
	struct doctor_place *place =
		place_add(places, span_str(found->endpoints[at].host), found->endpoints[at].port);

	if (place != NULL && is_tls && doctor->tls != NULL)
		place->context = tls_set_cluster(doctor->tls, index);
}

static void brokers_check(struct doctor *doctor, uint32_t index, const struct route_cluster *found)
{
	const struct config_cluster *cluster = &doctor->config->clusters[index];
	struct places places = { .count = 0 };

	for (uint32_t i = 0; i < found->broker_count; i++)
		broker_add(doctor, index, found, &found->brokers[i], &places);
	cli_doctor_dial(places.at, places.count, doctor->config->timeouts.connect_ns);
	uint32_t reached = reached_count(places.at, places.count);

	doctor->broker_count += places.count;
	if (reached > 0)
		cli_doctor_say(doctor, DOCTOR_OK, "cluster %s: %u of %u broker%s can be reached%s",
			       cluster->name, reached, places.count, places.count == 1 ? "" : "s",
			       config_speaks_tls(cluster) ? ", with TLS" : "");
	for (uint32_t i = 0; i < places.count; i++) {
		const struct doctor_place *place = &places.at[i];

		if (is_reached(place))
			continue;
		/* Of fixed URLs one is enough; a broker that is listed has topics. */
		cli_doctor_say(doctor,
			       cluster->zookeeper_servers == NULL && reached > 0 ? DOCTOR_WARN
										 : DOCTOR_FAIL,
			       "cluster %s: broker %s:%u: %s", cluster->name, place->host,
			       place->port, place->why);
		remedy_say(doctor, place);
	}
	free(places.at);
}

static void none_say(struct doctor *doctor, uint32_t index, const char *state)
{
	const struct config_cluster *cluster = &doctor->config->clusters[index];
	bool is_connected = strcmp(state, "connected") == 0;

	cli_doctor_say(doctor, DOCTOR_FAIL, "cluster %s: %s", cluster->name,
		       is_connected ? "ZooKeeper lists no broker"
				    : "no broker is known, since there is no session with "
				      "ZooKeeper");
	if (is_connected)
		cli_doctor_remedy(doctor,
				  "do brokers run, and is this their metadataStoreUrl with "
				  "its chroot: %s?",
				  cluster->zookeeper_servers);
	else
		cli_doctor_remedy(doctor, "see zookeeper above");
}

/* ---- forward, and targets of routes --------------------------------------------------------- */

/* One is enough where several are tried in turn. */
static void targets_say(struct doctor *doctor, const char *label, const struct places *places,
			bool is_tls)
{
	uint32_t reached = reached_count(places->at, places->count);

	if (reached > 0)
		cli_doctor_say(doctor, DOCTOR_OK, "%s: %u of %u target%s can be reached%s", label,
			       reached, places->count, places->count == 1 ? "" : "s",
			       is_tls ? ", with TLS" : "");
	for (uint32_t i = 0; i < places->count; i++) {
		const struct doctor_place *place = &places->at[i];

		if (is_reached(place))
			continue;
		cli_doctor_say(doctor, reached > 0 ? DOCTOR_WARN : DOCTOR_FAIL, "%s: %s:%u: %s",
			       label, place->host, place->port, place->why);
		remedy_say(doctor, place);
	}
}

static void forward_check(struct doctor *doctor, const struct config_listener *listener)
{
	struct places places = { .count = 0 };
	char label[160];

	if (place_add(&places, span_str(listener->forward_host), listener->forward_port) != NULL) {
		(void)snprintf(label, sizeof(label), "listener %s", listener->name);
		cli_doctor_dial(places.at, places.count, doctor->config->timeouts.connect_ns);
		targets_say(doctor, label, &places, false);
		doctor->broker_count += places.count;
	}
	free(places.at);
}

/* Where the name is the client's, nobody here knows it, unless the route is for one name only. */
static struct tls_context *target_context(const struct doctor *doctor, uint32_t index,
					  const char **ret_name)
{
	const struct config_route *route = &doctor->config->routes[index];
	bool is_clients = route->name_source == CONFIG_NAME_CLIENT;

	*ret_name = NULL;
	if (doctor->tls == NULL || (is_clients && (route->host == NULL || route->host[0] == '*')))
		return NULL;
	if (is_clients)
		*ret_name = route->host;
	return tls_set_route_target(doctor->tls, doctor->config, index);
}

static void route_check(struct doctor *doctor, uint32_t index)
{
	const struct config_route *route = &doctor->config->routes[index];
	struct places places = { .count = 0 };
	const char *name;
	struct tls_context *context = target_context(doctor, index, &name);
	char label[400];

	for (uint32_t i = 0; i < route->target_count; i++) {
		const struct config_target *target = &route->targets[i];
		struct doctor_place *place =
			target->is_derived
				? NULL
				: place_add(&places, span_str(target->host), target->port);

		if (place == NULL)
			continue;
		place->context = context;
		place->name = name;
	}
	if (places.count > 0) {
		(void)snprintf(label, sizeof(label), "listener %s, route %s",
			       doctor->config->listeners[route->listener].name, route->label);
		cli_doctor_dial(places.at, places.count, doctor->config->timeouts.connect_ns);
		targets_say(doctor, label, &places, context != NULL);
		doctor->broker_count += places.count;
	}
	free(places.at);
}

void cli_doctor_brokers(struct doctor *doctor)
{
	const char *states[CONFIG_CLUSTERS_MAX] = { NULL };

	if (doctor->config == NULL)
		return;
	struct route *route = doctor->config->cluster_count > 0 ? lists_read(doctor, states) : NULL;

	for (uint32_t i = 0; route != NULL && i < doctor->config->cluster_count; i++)
		if (route->clusters[i].broker_count > 0)
			brokers_check(doctor, i, &route->clusters[i]);
		else
			none_say(doctor, i, states[i]);
	route_free(route);
	for (uint32_t i = 0; i < doctor->config->listener_count; i++)
		if (doctor->config->listeners[i].forward_host != NULL)
			forward_check(doctor, &doctor->config->listeners[i]);
	for (uint32_t i = 0; i < doctor->config->route_count; i++)
		route_check(doctor, i);
}
