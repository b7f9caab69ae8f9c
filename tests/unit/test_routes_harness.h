/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the tests of routing by server name share: a configuration from its text, and a snapshot of
 * it as control builds one, with brokers of the test's choice.
 */
#pragma once

#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include <penstock/route.h>

struct broker {
	const char *host, *ip; /* ip NULL: its name does not resolve at the moment */
	uint16_t port, tls_port;
};

static inline struct config *config_of(const char *text)
{
	char path[96];
	struct config_errors errors = { .out = stderr };
	FILE *file = fopen(unit_path(path, "routes.yaml"), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	struct config *config = config_load(path, &errors);

	assert_int_equal(unlink(path), 0);
	assert_non_null(config);
	return config;
}

static inline int32_t add_endpoint(struct route_builder *builder, const struct broker *broker,
				   bool is_tls)
{
	struct route_endpoint endpoint = {
		.host = broker->host,
		.port = is_tls ? broker->tls_port : broker->port,
		.is_tls = is_tls,
	};

	if (endpoint.port == 0)
		return -1;
	if (broker->ip != NULL) {
		assert_true(addr_parse_ip(span_str(broker->ip), &endpoint.addrs[0]));
		endpoint.addr_count = 1;
	}
	return route_build_endpoint(builder, 0, &endpoint);
}

/* Targets that are no address resolve to `ip`, unless it is NULL. Ids begin at 7. */
static inline struct route *route_of(const struct config *config, const struct broker *brokers,
				     uint32_t count, const char *ip)
{
	struct route_builder *builder = route_build_begin(config, 1);

	for (uint32_t i = 0; i < config->cluster_count; i++)
		route_build_cluster(builder, i, true, true, false, 1);
	for (uint32_t i = 0; i < count; i++) {
		const struct route_broker broker = {
			.id = brokers[i].host,
			.plain = add_endpoint(builder, &brokers[i], false),
			.tls = add_endpoint(builder, &brokers[i], true),
		};

		route_build_broker(builder, 0, &broker);
	}
	for (uint32_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		route_build_rule(builder, i, (uint16_t)(7 + i));
		for (uint32_t n = 0; n < route->target_count; n++) {
			struct route_endpoint target = { .host = route->targets[n].host,
							 .port = route->targets[n].port };

			if (route->targets[n].is_derived)
				continue;
			if (ip != NULL)
				target.addr_count =
					addr_parse_ip(span_str(ip), &target.addrs[0]) ? 1 : 0;
			route_build_target(builder, i, n, &target);
		}
	}
	struct route *route = route_build_end(builder);

	assert_non_null(route);
	return route;
}
