/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_rule: the ids routes are counted by, in counters that all workers and all snapshots
 * share. A route keeps its id, and with it its count and its limit, as long as its listener and its
 * label stay the same; an id is free again when its route is gone and its last connection too. One
 * that brokers of Kafka are counted by (stat_kafka.h) waits for its route to come again.
 */
#include <errno.h>
#include <stdlib.h>

#include "control_priv.h"

static uint64_t key_of(const struct config *config, const struct config_route *route)
{
	uint64_t seed = span_hash(span_str(config->listeners[route->listener].name), 0);

	return span_hash(span_str(route->label), seed) | 1; /* 0: nobody's */
}

static uint64_t active_of(const struct control *control, uint32_t id)
{
	return atomic_load_explicit(&control->office->routes[id].active, memory_order_relaxed);
}

static bool has_brokers(const struct control *control, uint32_t id)
{
	return stat_kafka_has_route(control->office->places, (uint16_t)id);
}

/* The ids of the routes that have one already. */
static void keep_ids(const struct control *control, const uint64_t *keys, uint32_t count,
		     struct control_rule_plan *plan)
{
	for (uint32_t id = 0; id < control->rules.id_count; id++)
		for (uint32_t i = 0; i < count && control->rules.keys[id] != 0; i++)
			if (keys[i] == control->rules.keys[id]) {
				plan->id[i] = (uint16_t)id;
				plan->is_taken[id] = true;
				break;
			}
}

int control_rule_prepare(const struct control *control, const struct config *config,
			 struct control_rule_plan **ret_plan)
{
	struct control_rule_plan *plan = calloc(1, sizeof(*plan));
	uint32_t free_id = 0;

	if (plan == NULL)
		return -ENOMEM;
	memset(plan->id, 0xff, sizeof(plan->id));
	for (uint32_t i = 0; i < config->route_count; i++)
		plan->keys[i] = key_of(config, &config->routes[i]);
	keep_ids(control, plan->keys, config->route_count, plan);
	for (uint32_t i = 0; i < config->route_count; i++) {
		if (plan->id[i] != UINT16_MAX)
			continue;
		while (free_id < STAT_ROUTES_MAX &&
		       (plan->is_taken[free_id] || active_of(control, free_id) > 0 ||
			has_brokers(control, free_id)))
			free_id++;
		if (free_id == STAT_ROUTES_MAX) {
			log_error("routes_full",
				  "connections of routes that are gone hold the last of %u ids; "
				  "reload when they have ended, or restart",
				  STAT_ROUTES_MAX);
			free(plan);
			return -ENOSPC;
		}
		plan->id[i] = (uint16_t)free_id++;
	}
	*ret_plan = plan;
	return 0;
}

void control_rule_commit(struct control *control, const struct config *config,
			 struct control_rule_plan *plan)
{
	struct control_rules *rules = &control->rules;

	for (uint32_t id = 0; id < rules->id_count; id++)
		if (!has_brokers(control, id))
			rules->keys[id] = 0;
	for (uint32_t i = 0; i < config->route_count; i++) {
		uint32_t id = plan->id[i];

		/* A new route under an old id counts from the beginning. */
		if (!plan->is_taken[id])
			atomic_store_explicit(&control->office->routes[id].total, 0,
					      memory_order_relaxed);
		rules->keys[id] = plan->keys[i];
		rules->id[i] = (uint16_t)id;
		if (id >= rules->id_count)
			rules->id_count = id + 1;
	}
	free(plan);
}

static void build_target(struct control *control, struct route_builder *builder, uint32_t rule,
			 uint32_t n, const struct config_target *target)
{
	struct route_endpoint endpoint = { .host = target->host, .port = target->port };
	bool is_final;

	endpoint.addr_count = (uint8_t)control_dns_resolve(control, endpoint.host, endpoint.addrs,
							   ROUTE_ADDRS_MAX, &is_final);
	route_build_target(builder, rule, n, &endpoint);
}

void control_rule_build(struct control *control, struct route_builder *builder)
{
	const struct config *config = control_config(control);

	for (uint32_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		route_build_rule(builder, i, control->rules.id[i]);
		for (uint32_t n = 0; n < route->target_count; n++)
			if (!route->targets[n].is_derived)
				build_target(control, builder, i, n, &route->targets[n]);
	}
}
