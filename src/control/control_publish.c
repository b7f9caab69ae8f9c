/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_publish: freezes what is known (config, discovery, learned brokers, DNS) into a routing
 * snapshot, puts it into every worker's slot, and frees an old one once every worker has taken its
 * successor. At most one snapshot per 100 ms, so that a storm of changes costs the workers little.
 */
#define _GNU_SOURCE
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "control_priv.h"

struct control_config *control_publish_config(struct config *config, struct tls_set *tls)
{
	struct control_config *holder = calloc(1, sizeof(*holder));

	if (holder == NULL)
		return NULL;
	*holder = (struct control_config){
		.config = config,
		.tls = tls,
		.files_stamp = config->files_stamp,
		.refs = 1,
		.sharers = calloc(1, sizeof(*holder->sharers)),
	};
	if (holder->sharers == NULL) {
		free(holder);
		return NULL;
	}
	*holder->sharers = 1;
	return holder;
}

struct control_config *control_publish_config_again(struct control_config *old, struct tls_set *tls,
						    struct config_tokens *tokens,
						    uint64_t files_stamp)
{
	struct control_config *holder = calloc(1, sizeof(*holder));

	if (holder == NULL)
		return NULL;
	*holder = *old;
	holder->tls = tls;
	holder->tokens = tokens;
	holder->files_stamp = files_stamp;
	holder->refs = 1;
	++*holder->sharers;
	return holder;
}

void control_publish_config_undo(struct control_config *config)
{
	if (config == NULL)
		return;
	free(config->sharers);
	free(config);
}

void control_publish_config_put(struct control_config *config)
{
	if (config == NULL || --config->refs > 0)
		return;
	tls_set_free(config->tls);
	config_tokens_free(config->tokens);
	if (--*config->sharers == 0) {
		config_free(config->config);
		free(config->sharers);
	}
	free(config);
}

static void build_forwards(struct control *control, struct route_builder *builder)
{
	const struct config *config = control_config(control);

	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (listener->forward_host == NULL)
			continue;
		struct route_endpoint endpoint = {
			.host = listener->forward_host,
			.port = listener->forward_port,
		};
		bool is_final;

		endpoint.addr_count =
			(uint8_t)control_dns_resolve(control, endpoint.host, endpoint.addrs,
						     ROUTE_ADDRS_MAX, &is_final);
		route_build_forward(builder, i, &endpoint);
	}
}

static void build_listeners(struct control *control, struct route_builder *builder)
{
	for (uint32_t id = 0; id < control->listener_count; id++) {
		const struct control_listener *listener = &control->listeners[id];

		route_build_listener(builder, id, listener->index, listener->name);
		if (listener->is_open || listener->closing > 0)
			route_build_own(builder, &listener->own);
	}
	if (control->admin_addr.is_set)
		route_build_own(builder, &control->admin_addr);
	if (control->web_addr.is_set)
		route_build_own(builder, &control->web_addr);
}

/* For listeners on 0.0.0.0 or ::, which are reachable by each of these. */
static void build_locals(struct route_builder *builder)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
		struct addr addr = { .is_set = 1 };

		if (at->ifa_addr == NULL)
			continue;
		if (at->ifa_addr->sa_family == AF_INET) {
			struct sockaddr_in name;

			memcpy(&name, at->ifa_addr, sizeof(name));
			addr = addr_v4(ntohl(name.sin_addr.s_addr), 0);
		} else if (at->ifa_addr->sa_family == AF_INET6) {
			struct sockaddr_in6 name;

			memcpy(&name, at->ifa_addr, sizeof(name));
			memcpy(addr.ip, &name.sin6_addr, sizeof(addr.ip));
			addr.scope = name.sin6_scope_id;
		} else {
			continue;
		}
		route_build_local(builder, &addr);
	}
	freeifaddrs(list);
}

static struct route *build(struct control *control, uint64_t version, uint64_t now_ns)
{
	const struct config *config = control_config(control);
	struct route_builder *builder = route_build_begin(config, version);

	if (builder == NULL)
		return NULL;
	route_build_tls(builder, control->config->tls);
	route_build_tokens(builder, control->config->tokens);
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		discovery_build(control->discovery, i, builder, now_ns);
		control_learned_build(control, i, builder);
		control_nodes_build(control, i, builder);
	}
	build_forwards(control, builder);
	control_rule_build(control, builder);
	build_listeners(control, builder);
	build_locals(builder);
	return route_build_end(builder);
}

static void give(struct control *control, struct control_snapshot *snapshot)
{
	for (uint32_t i = 0; i < control->office->worker_count; i++) {
		/* One a worker never took is freed with the others: what counts is that this
		 * worker has taken a newer one. */
		const struct route *untaken =
			mail_publish(&control->office->workers[i], control->ring, snapshot->route);

		if (untaken != NULL)
			log_debug("snapshot_skipped", "worker %u never took snapshot %llu", i,
				  (unsigned long long)untaken->version);
	}
}

static bool is_loaded(const struct route *route)
{
	for (uint32_t i = 0; i < route->cluster_count; i++)
		if (!route->clusters[i].is_loaded)
			return false;
	return true;
}

static void on_timer(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, publish_timer);

	control_publish_now(control);
}

static void publish(struct control *control)
{
	uint64_t now_ns = clock_now_ns();

	control_publish_sweep(control);
	control->published_ns = now_ns;
	control->is_changed = false;

	struct control_snapshot *snapshot = NULL;
	struct route *route = NULL;

	if (control->snapshot_count < CONTROL_SNAPSHOTS_MAX) {
		snapshot = calloc(1, sizeof(*snapshot));
		route = snapshot == NULL ? NULL : build(control, control->version + 1, now_ns);
	}
	if (route == NULL) {
		/* Out of memory, or a worker takes none: what is published stays true enough. */
		free(snapshot);
		log_warn("publish_delayed", "%u snapshots are waiting for workers to take them",
			 control->snapshot_count);
		control->is_changed = true;
		timer_set(&control->wheel, &control->publish_timer, now_ns + CONTROL_TICK_NS,
			  on_timer);
		return;
	}
	*snapshot = (struct control_snapshot){
		.route = route,
		.config = control->config,
		.version = ++control->version,
	};
	if (!is_loaded(route))
		control->loaded_version = 0;
	else if (control->loaded_version == 0)
		control->loaded_version = control->version;
	control->config->refs++;
	if (control->newest != NULL)
		control->newest->next = snapshot;
	else
		control->oldest = snapshot;
	control->newest = snapshot;
	control->snapshot_count++;
	give(control, snapshot);
	control_check_ready(control);
}

void control_publish_now(struct control *control)
{
	timer_clear(&control->wheel, &control->publish_timer);
	if (control->phase >= CONTROL_STOPPING)
		return; /* a worker may be closing its ring: nothing may wake it any more */
	publish(control);
	control_listen_hand(control);
}

bool control_publish_has_config(const struct control *control)
{
	return control->newest != NULL && control->newest->config == control->config;
}

void control_publish_soon(struct control *control)
{
	if (control->is_changed || control->newest == NULL)
		return; /* the first snapshot is control_run's */
	control->is_changed = true;
	timer_set(&control->wheel, &control->publish_timer,
		  control->published_ns + CONTROL_PUBLISH_NS, on_timer);
}

bool control_publish_is_taken(const struct control *control, uint64_t version)
{
	for (uint32_t i = 0; i < control->office->worker_count; i++) {
		uint64_t acked = atomic_load_explicit(&control->office->stats[i]->acked_version,
						      memory_order_acquire);

		if (!control->workers[i].is_stopped && acked < version)
			return false;
	}
	return true;
}

static void drop_oldest(struct control *control)
{
	struct control_snapshot *snapshot = control->oldest;

	control->oldest = snapshot->next;
	if (control->oldest == NULL)
		control->newest = NULL;
	control->snapshot_count--;
	route_free(snapshot->route);
	control_publish_config_put(snapshot->config);
	free(snapshot);
}

void control_publish_sweep(struct control *control)
{
	while (control->oldest != control->newest &&
	       control_publish_is_taken(control, control->oldest->next->version))
		drop_oldest(control);
}

void control_publish_fini(struct control *control)
{
	while (control->oldest != NULL)
		drop_oldest(control);
}
