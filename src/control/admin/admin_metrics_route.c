/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_metrics_route: the connections of each route, as far as the configuration in force has it:
 * names that clients make up are no labels. And when our certificates run out.
 */
#include "admin_priv.h"

static void write_one(struct admin_text *text, const char *metric, const struct config *config,
		      const struct config_route *route, uint64_t value)
{
	admin_text_printf(text, "%s{listener=", metric);
	admin_text_label(text, config->listeners[route->listener].name);
	admin_text_printf(text, ",route=");
	admin_text_label(text, route->label);
	admin_text_printf(text, "} %llu\n", (unsigned long long)value);
}

void admin_metrics_route_write(const struct admin *admin, struct admin_text *text)
{
	const struct route *route = admin->host.route(admin->host.context);
	const struct stat_route *stats = admin->host.office->routes;
	const struct config *config = route != NULL ? route->config : NULL;

	admin_metrics_head(text, "penstock_route_connections_total", "counter",
			   "Connections a route was chosen for");
	for (uint32_t i = 0; config != NULL && i < config->route_count; i++)
		write_one(text, "penstock_route_connections_total", config, &config->routes[i],
			  atomic_load_explicit(&stats[route->rules[i].id].total,
					       memory_order_relaxed));
	admin_metrics_head(text, "penstock_route_connections_active", "gauge",
			   "Of these, still open");
	for (uint32_t i = 0; config != NULL && i < config->route_count; i++)
		write_one(text, "penstock_route_connections_active", config, &config->routes[i],
			  atomic_load_explicit(&stats[route->rules[i].id].active,
					       memory_order_relaxed));
}

void admin_metrics_certificate_write(const struct admin *admin, struct admin_text *text)
{
	struct admin_certificate certificate;
	const char *last = "";

	admin_metrics_head(text, "penstock_cert_expiry_timestamp_seconds", "gauge",
			   "When a certificate of ours, or one of its chain, runs out");
	for (uint32_t i = 0; admin->host.certificate(admin->host.context, i, &certificate); i++) {
		if (strcmp(certificate.file, last) == 0)
			continue; /* used in two places */
		last = certificate.file;
		admin_text_printf(text, "penstock_cert_expiry_timestamp_seconds{file=");
		admin_text_label(text, certificate.file);
		admin_text_printf(text, "} %lld\n", (long long)certificate.expires);
	}
}
