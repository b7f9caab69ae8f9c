/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_metrics_kafka: what is counted for each call of Kafka and for each broker (stat_kafka.h). A
 * call that no client has used has no rows: there are a hundred of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "admin_priv.h"

static const char *const api_names[STAT_KAFKA_APIS] = {
#define KAFKA_API(key, NAME, name, newest, flexible, way, since, access) [key] = #name,
#include <penstock/wire/kafka_api.def>
#undef KAFKA_API
	[STAT_KAFKA_UNKNOWN] = "other",
};

struct times_sums {
	uint64_t us_sum;
	uint64_t us[STAT_KAFKA_BUCKETS];
};

struct api_sums {
	const char *name;
	uint64_t requests, request_bytes, response_bytes, denied;
	struct times_sums times;
};

struct node_sums {
	const char *listener, *route; /* route NULL: there is none */
	int32_t node;
	bool is_others;
	uint64_t connections, active, requests, bytes[2];
	struct times_sums times;
};

/* The beginning of a row of `owner`; `more`: NULL, or one more label. */
typedef void labels_fn(struct admin_text *text, const char *metric, const void *owner,
		       const char *more);

static uint64_t load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void write_head(struct admin_text *text, const char *name, const char *help)
{
	admin_metrics_head(text, name, "counter", help);
}

/* ---- times ---- */

static void add_times(struct times_sums *sums, const struct stat_kafka_times *times)
{
	sums->us_sum += load(&times->us_sum);
	for (uint32_t i = 0; i < STAT_KAFKA_BUCKETS; i++)
		sums->us[i] += load(&times->us[i]);
}

static void write_times(struct admin_text *text, const char *metric, labels_fn *labels,
			const void *owner, const struct times_sums *times)
{
	char name[64], le[32];
	uint64_t count = 0;

	(void)snprintf(name, sizeof(name), "%s_bucket", metric);
	for (uint32_t i = 0; i < STAT_KAFKA_BUCKETS; i++) {
		count += times->us[i];
		(void)snprintf(le, sizeof(le), "le=\"%.9g\"",
			       (double)stat_kafka_bucket_us(i) / 1e6);
		labels(text, name, owner, i < STAT_KAFKA_BUCKETS - 1 ? le : "le=\"+Inf\"");
		admin_text_printf(text, " %llu\n", (unsigned long long)count);
	}
	(void)snprintf(name, sizeof(name), "%s_sum", metric);
	labels(text, name, owner, NULL);
	admin_text_printf(text, " %.6f\n", (double)times->us_sum / 1e6);
	(void)snprintf(name, sizeof(name), "%s_count", metric);
	labels(text, name, owner, NULL);
	admin_text_printf(text, " %llu\n", (unsigned long long)count);
}

/* ---- calls ---- */

static struct api_sums sum_api(const struct admin *admin, uint32_t key)
{
	struct api_sums sums = { .name = api_names[key] };

	for (uint32_t w = 0; w < admin->host.office->worker_count; w++) {
		const struct stat_kafka_api *api = &admin->host.office->stats[w]->kafka.api[key];

		sums.requests += load(&api->requests);
		sums.request_bytes += load(&api->request_bytes);
		sums.response_bytes += load(&api->response_bytes);
		sums.denied += load(&api->denied);
		add_times(&sums.times, &api->times);
	}
	return sums;
}

static void api_labels(struct admin_text *text, const char *metric, const void *owner,
		       const char *more)
{
	const struct api_sums *sums = owner;

	admin_text_printf(text, "%s{api=\"%s\"%s%s}", metric, sums->name, more != NULL ? "," : "",
			  more != NULL ? more : "");
}

static void write_api(struct admin_text *text, const char *metric, const struct api_sums *sums,
		      size_t field)
{
	for (uint32_t key = 0; key < STAT_KAFKA_APIS; key++) {
		uint64_t value;

		memcpy(&value, (const char *)&sums[key] + field, sizeof(value));
		if (sums[key].requests > 0 || sums[key].denied > 0) {
			api_labels(text, metric, &sums[key], NULL);
			admin_text_printf(text, " %llu\n", (unsigned long long)value);
		}
	}
}

static void write_apis(const struct admin *admin, struct admin_text *text)
{
	struct api_sums sums[STAT_KAFKA_APIS];

	for (uint32_t key = 0; key < STAT_KAFKA_APIS; key++)
		sums[key] = sum_api(admin, key);
	write_head(text, "penstock_kafka_requests_total", "Kafka requests passed on");
	write_api(text, "penstock_kafka_requests_total", sums, offsetof(struct api_sums, requests));
	write_head(text, "penstock_kafka_request_bytes_total", "Bytes of these");
	write_api(text, "penstock_kafka_request_bytes_total", sums,
		  offsetof(struct api_sums, request_bytes));
	write_head(text, "penstock_kafka_response_bytes_total", "Bytes of brokers' responses");
	write_api(text, "penstock_kafka_response_bytes_total", sums,
		  offsetof(struct api_sums, response_bytes));
	write_head(text, "penstock_kafka_denied_total",
		   "Kafka requests that deny_apis or read_only forbids");
	write_api(text, "penstock_kafka_denied_total", sums, offsetof(struct api_sums, denied));
	admin_metrics_head(text, "penstock_kafka_response_seconds", "histogram",
			   "Time from a Kafka request to the first bytes of its response");
	for (uint32_t key = 0; key < STAT_KAFKA_APIS; key++)
		if (sums[key].requests > 0)
			write_times(text, "penstock_kafka_response_seconds", api_labels, &sums[key],
				    &sums[key].times);
}

/* ---- brokers ---- */

static void add_node(const struct admin *admin, uint16_t place, struct node_sums *sums)
{
	for (uint32_t w = 0; w < admin->host.office->worker_count; w++) {
		const struct stat_kafka_node *node =
			&admin->host.office->stats[w]->kafka.node[place];

		sums->connections += load(&node->connections);
		sums->active += load(&node->active);
		sums->requests += load(&node->requests);
		for (int dir = 0; dir < 2; dir++)
			sums->bytes[dir] += load(&node->bytes[dir]);
		add_times(&sums->times, &node->times);
	}
}

static bool is_same(const struct node_sums *a, const struct node_sums *b)
{
	return a->node == b->node && a->is_others == b->is_others && a->route == b->route &&
	       strcmp(a->listener, b->listener) == 0;
}

/* Whose a place is. False: nobody's, or of a listener or a route that is gone. */
static bool find_owner(const struct admin *admin, const struct route *route, uint16_t place,
		       struct node_sums *ret_sums)
{
	struct stat_kafka_owner owner;

	*ret_sums = (struct node_sums){ .listener = "other", .is_others = true };
	if (place == STAT_KAFKA_OTHERS)
		return true;
	if (!stat_kafka_place_of(admin->host.office->places, place, &owner))
		return false;
	*ret_sums = (struct node_sums){ .listener = route->listener_name[owner.listener],
					.node = owner.node };
	if (owner.route == STAT_KAFKA_NO_ROUTE)
		return ret_sums->listener != NULL;
	uint32_t rule = route_rule_of_id(route, owner.route);

	if (rule == ROUTE_NO_RULE)
		return false;
	ret_sums->route = route->config->routes[rule].label;
	return ret_sums->listener != NULL;
}

/* Ids of one listener name (gone and come again elsewhere) are one listener to the reader; the
 * place that many share is the first, and is left out where nobody is at it. */
static uint32_t collect(const struct admin *admin, const struct route *route,
			struct node_sums *sums)
{
	uint32_t count = 0;

	for (uint16_t place = 0; place < STAT_KAFKA_NODES; place++) {
		struct node_sums next;
		uint32_t at = 0;

		if (!find_owner(admin, route, place, &next))
			continue;
		while (at < count && !is_same(&sums[at], &next))
			at++;
		if (at == count)
			sums[count++] = next;
		add_node(admin, place, &sums[at]);
		if (next.is_others && sums[at].connections == 0)
			count = 0;
	}
	return count;
}

static void node_labels(struct admin_text *text, const char *metric, const void *owner,
			const char *more)
{
	const struct node_sums *sums = owner;

	admin_text_printf(text, "%s{listener=", metric);
	admin_text_label(text, sums->listener);
	if (sums->route != NULL) {
		admin_text_printf(text, ",route=");
		admin_text_label(text, sums->route);
	}
	if (sums->is_others)
		admin_text_printf(text, ",node=\"other\"");
	else if (sums->node < 0)
		admin_text_printf(text, ",node=\"any\"");
	else
		admin_text_printf(text, ",node=\"%d\"", (int)sums->node);
	admin_text_printf(text, "%s%s}", more != NULL ? "," : "", more != NULL ? more : "");
}

static void write_node(struct admin_text *text, const char *metric, const struct node_sums *sums,
		       const char *more, uint64_t value)
{
	node_labels(text, metric, sums, more);
	admin_text_printf(text, " %llu\n", (unsigned long long)value);
}

static void write_rows(struct admin_text *text, const struct node_sums *sums, uint32_t count)
{
	static const char *const dirs[] = { "dir=\"to_broker\"", "dir=\"to_client\"" };

	write_head(text, "penstock_kafka_node_connections_total",
		   "Connections to Kafka brokers by the node id clients asked for");
	for (uint32_t i = 0; i < count; i++)
		write_node(text, "penstock_kafka_node_connections_total", &sums[i], NULL,
			   sums[i].connections);
	admin_metrics_head(text, "penstock_kafka_node_connections_active", "gauge",
			   "Of these, still open");
	for (uint32_t i = 0; i < count; i++)
		write_node(text, "penstock_kafka_node_connections_active", &sums[i], NULL,
			   sums[i].active);
	write_head(text, "penstock_kafka_node_requests_total", "Kafka requests passed on");
	for (uint32_t i = 0; i < count; i++)
		write_node(text, "penstock_kafka_node_requests_total", &sums[i], NULL,
			   sums[i].requests);
	write_head(text, "penstock_kafka_node_bytes_total", "Bytes moved");
	for (uint32_t i = 0; i < count; i++)
		for (int dir = 0; dir < 2; dir++)
			write_node(text, "penstock_kafka_node_bytes_total", &sums[i], dirs[dir],
				   sums[i].bytes[dir]);
	admin_metrics_head(text, "penstock_kafka_node_response_seconds", "histogram",
			   "Time from a Kafka request to the first bytes of its response");
	for (uint32_t i = 0; i < count; i++)
		if (sums[i].requests > 0)
			write_times(text, "penstock_kafka_node_response_seconds", node_labels,
				    &sums[i], &sums[i].times);
}

static void write_nodes(const struct admin *admin, struct admin_text *text)
{
	const struct route *route = admin->host.route(admin->host.context);
	struct node_sums *sums = calloc(STAT_KAFKA_NODES, sizeof(*sums));

	if (sums == NULL)
		text->is_failed = true;
	else if (route != NULL)
		write_rows(text, sums, collect(admin, route, sums));
	free(sums);
}

void admin_metrics_kafka_write(const struct admin *admin, struct admin_text *text)
{
	write_apis(admin, text);
	write_nodes(admin, text);
}
