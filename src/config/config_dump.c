/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_dump: a configuration as YAML, every key of config.def in its order, such that reading it
 * gives the same configuration.
 */
#include "config_priv.h"

#define LEVELS_MAX 6

/* Prints the mappings above a path that are not open yet, then the key. */
static void key_print(FILE *out, const char *path, const char **open, int indent)
{
	const char *old = *open;
	size_t same = 0, last = 0;
	const char *dot;
	int level = 0;

	for (size_t i = 0; path[i] != '\0' && path[i] == old[i]; i++)
		if (path[i] == '.')
			same = i + 1;
	for (dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.'), level++) {
		size_t end = (size_t)(dot - path);

		if (end >= same)
			fprintf(out, "%*s%.*s:\n", indent + 2 * level, "", (int)(end - last),
				path + last);
		last = end + 1;
	}
	CHECK(level < LEVELS_MAX);
	fprintf(out, "%*s%s: ", indent + 2 * level, "", path + last);
	*open = path;
}

static bool begins(const char *path, const char *section)
{
	return strncmp(path, section, strlen(section)) == 0;
}

/* Defaults of TLS where none is spoken would read as if it were. */
static bool is_without_tls(const struct config_row *row, const void *unit)
{
	const struct config_listener *listener = unit;
	const struct config_cluster *cluster = unit;
	const struct config_route *route = unit;

	switch (row->scope) {
	case CONFIG_SCOPE_LISTENER:
		return begins(row->path, "tls.") && listener->tls.cert_files.count == 0;
	case CONFIG_SCOPE_CLUSTER:
		return begins(row->path, "broker_tls.") && !config_speaks_tls(cluster);
	case CONFIG_SCOPE_ROUTE:
		return (begins(row->path, "tls.") && route->tls.cert_files.count == 0) ||
		       (begins(row->path, "broker_tls.") && !config_tls_is_on(&route->broker_tls));
	case CONFIG_SCOPE_TOP:
		break;
	}
	return false;
}

/* Ports where names are what counts would read as if they were open. */
static bool is_without_kafka(const struct config_row *row, const struct config_kafka *kafka)
{
	return kafka->advertise == NULL ||
	       (kafka->mode == CONFIG_KAFKA_SNI &&
		(row->type == CONFIG_TYPE_IDS || strcmp(row->path, "kafka.base_port") == 0));
}

static bool is_left_out_of_cluster(const struct config_row *row,
				   const struct config_cluster *cluster)
{
	/* What goes with the other protocol. */
	if (cluster->protocol == CONFIG_KAFKA ? config_is_of_pulsar(row) : config_is_of_kafka(row))
		return true;
	/* ZooKeeper's times without ZooKeeper would read as if both were meant. */
	if (begins(row->path, "discovery.z"))
		return cluster->zookeeper_servers == NULL;
	if (strcmp(row->path, "discovery.grace") == 0)
		return cluster->zookeeper_servers == NULL && cluster->protocol != CONFIG_KAFKA;
	if (strcmp(row->path, "discovery.refresh") == 0 || begins(row->path, "discovery.sasl."))
		return cluster->zookeeper_servers != NULL;
	/* The key is either a word or a mapping. */
	return (config_is_of_role(row) || strcmp(row->path, "credentials") == 0) &&
	       config_is_of_role(row) != (cluster->credentials == CONFIG_CREDENTIALS_ROLE);
}

static bool is_left_out(const struct config_row *row, const void *unit)
{
	if (config_is_empty(row, unit) || is_without_tls(row, unit))
		return true;
	if (row->scope == CONFIG_SCOPE_CLUSTER)
		return is_left_out_of_cluster(row, unit);
	if (config_is_of_kafka(row))
		return is_without_kafka(row, config_kafka_of(row->scope, unit));
	if (config_is_of_routes(row))
		return ((const struct config_listener *)unit)->route_count == 0;
	return false;
}

static void unit_print(const struct config *config, enum config_scope scope, const void *unit,
		       int indent, FILE *out)
{
	const char *open = "";
	bool is_first = scope == CONFIG_SCOPE_LISTENER || scope == CONFIG_SCOPE_ROUTE;

	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope != scope || is_left_out(row, unit))
			continue;
		/* The first key of a list item stands behind its dash. */
		if (is_first)
			fprintf(out, "%*s- ", indent - 2, "");
		key_print(out, row->path, &open, is_first ? 0 : indent);
		is_first = false;
		config_types[row->type].print(config, row, unit, out);
		fputc('\n', out);
	}
}

static void listener_print(const struct config *config, const struct config_listener *listener,
			   FILE *out)
{
	unit_print(config, CONFIG_SCOPE_LISTENER, listener, 4, out);
	if (listener->route_count > 0)
		fprintf(out, "%*sroutes:\n", 4, "");
	for (uint32_t i = 0; i < listener->route_count; i++)
		unit_print(config, CONFIG_SCOPE_ROUTE, &config->routes[listener->route_first + i],
			   8, out);
}

void config_dump(const struct config *config, FILE *out)
{
	if (config->cluster_count > 0)
		fputs("clusters:\n", out);
	for (uint32_t i = 0; i < config->cluster_count; i++) {
		fputs("  ", out);
		config_text_print(out, config->clusters[i].name);
		fputs(":\n", out);
		unit_print(config, CONFIG_SCOPE_CLUSTER, &config->clusters[i], 4, out);
	}
	if (config->listener_count > 0)
		fputs("listeners:\n", out);
	for (uint32_t i = 0; i < config->listener_count; i++)
		listener_print(config, &config->listeners[i], out);
	unit_print(config, CONFIG_SCOPE_TOP, config, 0, out);
}
