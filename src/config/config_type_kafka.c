/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_type_kafka: the value types that only Kafka has: brokers to begin with, node ids, names
 * made of them. Which of these may be a template, and which must be, shows when the mode is known
 * (config_check_kafka.c).
 */
#include <inttypes.h>

#include "config_priv.h"

/* "host", "host:port", and the same of a template; *ret_port 0: none is given. */
static bool split(struct span text, struct span *ret_host, uint16_t *ret_port)
{
	bool is_bare_v6 = text.len > 1 && text.at[0] == '[' && text.at[text.len - 1] == ']';

	*ret_port = 0;
	*ret_host = is_bare_v6 ? span_of(text.at + 1, text.len - 2) : text;
	return is_bare_v6 || span_find(text, ':') == text.len ||
	       addr_split(text, ret_host, ret_port);
}

/* ---- names of brokers ----------------------------------------------------------------------- */

bool config_type_nodes_at(struct config_value *value)
{
	struct config_cluster *cluster = value->unit;
	struct span host;
	uint16_t port;
	char shown[80];

	if (!split(value->text, &host, &port) || !config_kafka_is_template(host))
		return config_bad(
			value,
			"'%s' is no template of names: write {id} or #### where the node "
			"id stands, apart from other digits, as in kafka-{id}.internal:9092",
			config_show(value->text, shown, sizeof(shown)));
	cluster->node_host = config_host_copy(value->read->config, host);
	cluster->node_port = port > 0 ? port : CONFIG_KAFKA_PORT_DEFAULT;
	return true;
}

void config_print_nodes_at(const struct config *config, const struct config_row *row,
			   const void *unit, FILE *out)
{
	const struct config_cluster *cluster = unit;

	(void)config;
	(void)row;
	config_host_print(out, "", cluster->node_host, cluster->node_port);
}

bool config_type_advertise(struct config_value *value)
{
	struct config_kafka *kafka = CONTAINER_OF(value->field, struct config_kafka, advertise);
	struct span host;
	uint16_t port;
	char shown[80];

	if (!split(value->text, &host, &port) ||
	    (!addr_is_host(host) && !config_kafka_is_template(host)))
		return config_bad(value,
				  "'%s' is neither a host nor a template of names; write "
				  "gw.example.com, or with mode sni b{id}.kafka.example.com:9093",
				  config_show(value->text, shown, sizeof(shown)));
	kafka->advertise = config_host_copy(value->read->config, host);
	kafka->advertise_port = port;
	return true;
}

void config_print_advertise(const struct config *config, const struct config_row *row,
			    const void *unit, FILE *out)
{
	const struct config_kafka *kafka = config_kafka_of(row->scope, unit);

	(void)config;
	config_host_print(out, "", kafka->advertise, kafka->advertise_port);
}

/* ---- brokers to begin with ------------------------------------------------------------------ */

bool config_type_bootstrap(struct config_value *value)
{
	struct config_cluster *cluster = value->unit;
	struct config *config = value->read->config;
	struct span host;
	uint16_t port;
	char shown[80];

	if (value->item == 0) {
		cluster->urls = config_alloc(config, sizeof(cluster->urls[0]) * value->count);
		cluster->url_count = 0;
	}
	if (value->count == 0)
		return config_bad(value, "the list is empty; write [\"kafka-1:9092\"]");
	if (!split(value->text, &host, &port))
		return config_bad(value,
				  "'%s' is not host:port; write it like kafka-1:9092 or "
				  "[2001:db8::9]:9092",
				  config_show(value->text, shown, sizeof(shown)));
	if (!config_host_check(value, host))
		return false;
	cluster->urls[cluster->url_count++] = (struct config_url){
		.host = config_host_copy(config, host),
		.port = port > 0 ? port : CONFIG_KAFKA_PORT_DEFAULT,
	};
	return true;
}

void config_print_bootstrap(const struct config *config, const struct config_row *row,
			    const void *unit, FILE *out)
{
	const struct config_cluster *cluster = unit;

	(void)config;
	(void)row;
	for (uint32_t i = 0; i < cluster->url_count; i++) {
		fputs(i == 0 ? "[" : ", ", out);
		config_host_print(out, "", cluster->urls[i].host, cluster->urls[i].port);
	}
	fputs("]", out);
}

/* ---- node ids ------------------------------------------------------------------------------- */

/* "7" or "0-9" */
static bool read_ids(struct span text, struct config_kafka_ids *ret)
{
	size_t dash = span_find(text, '-');
	uint64_t first, last;

	if (!span_to_u64(span_of(text.at, dash), &first))
		return false;
	last = first;
	if (dash < text.len &&
	    !span_to_u64(span_of(text.at + dash + 1, text.len - dash - 1), &last))
		return false;
	if (first > last || last > UINT16_MAX)
		return false;
	*ret = (struct config_kafka_ids){ (int32_t)first, (int32_t)last };
	return true;
}

bool config_type_ids(struct config_value *value)
{
	struct config_kafka *kafka = &((struct config_listener *)value->unit)->kafka;
	struct config_kafka_ids ids;
	char shown[80];

	if (value->item == 0) {
		kafka->ids = config_alloc(value->read->config, sizeof(ids) * value->count);
		kafka->id_count = 0;
	}
	if (value->count == 0)
		return config_bad(value, "the list is empty; write \"0-9\"");
	config_show(value->text, shown, sizeof(shown));
	if (!read_ids(value->text, &ids))
		return config_bad(value,
				  "'%s' is no range of node ids; write 7, or 0-9, none above %d",
				  shown, UINT16_MAX);
	if (kafka->id_count > 0 && ids.first <= kafka->ids[kafka->id_count - 1].last)
		return config_bad(value,
				  "'%s' is not behind the range before it; write node ids "
				  "in ascending order, each once",
				  shown);
	kafka->ids[kafka->id_count++] = ids;
	return true;
}

void config_print_ids(const struct config *config, const struct config_row *row, const void *unit,
		      FILE *out)
{
	const struct config_kafka *kafka = &((const struct config_listener *)unit)->kafka;

	(void)config;
	(void)row;
	for (uint32_t i = 0; i < kafka->id_count; i++) {
		const struct config_kafka_ids *ids = &kafka->ids[i];

		fprintf(out, "%s\"%" PRId32, i == 0 ? "[" : ", ", ids->first);
		if (ids->last > ids->first)
			fprintf(out, "-%" PRId32, ids->last);
		fputc('"', out);
	}
	fputs("]", out);
}
