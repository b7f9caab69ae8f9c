/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_brokers: /brokers, as JSON and as a table: per cluster where its brokers are, and where
 * that is known from. `penstock show brokers` prints either.
 */
#include <inttypes.h>
#include <stdio.h>

#include "admin_priv.h"

/* A broker, or a node of Kafka. */
struct row {
	const char *id;
	const char *url, *url_tls; /* NULL: none */
	const char *rack;	   /* NULL: none */
	const char *source;
	int32_t node; /* -1: not Kafka's, or its id is not known */
	bool is_learned, is_leaving;
	bool has_age;
	uint64_t age_ns;
};

typedef void row_fn(struct admin_text *text, const struct row *row, bool is_first);

#define URL_MAX (HOST_MAX + 32)

static void put_url(char url[static URL_MAX], const struct route_endpoint *endpoint, bool is_kafka)
{
	bool is_v6 = strchr(endpoint->host, ':') != NULL;

	(void)snprintf(url, URL_MAX, "%s%s://%s%.255s%s:%u", is_kafka ? "kafka" : "pulsar",
		       endpoint->is_tls ? "+ssl" : "", is_v6 ? "[" : "", endpoint->host,
		       is_v6 ? "]" : "", endpoint->port);
}

/* ---- rows ----------------------------------------------------------------------------------- */

struct view {
	const struct admin *admin;
	struct admin_text *text;
	row_fn *write;
	uint32_t index; /* of the cluster */
	struct admin_cluster about;
	const struct route_cluster *cluster;
	bool is_first;
};

static void give(struct view *view, const struct row *row)
{
	view->write(view->text, row, view->is_first);
	view->is_first = false;
}

static const struct route_node *node_of(const struct route_cluster *cluster, const char *id)
{
	uint64_t number;

	if (!span_to_u64(span_str(id), &number))
		return NULL;
	for (uint32_t i = 0; i < cluster->node_count; i++)
		if ((uint64_t)cluster->nodes[i].id == number)
			return &cluster->nodes[i];
	return NULL;
}

static void give_node(struct view *view, const struct route_node *node)
{
	const struct route_endpoint *endpoint = &view->cluster->endpoints[node->endpoint];
	const struct admin_host *host = &view->admin->host;
	char id[16], url[URL_MAX];
	struct admin_node known;
	struct row row = {
		.id = id,
		.url = endpoint->is_tls ? NULL : url,
		.url_tls = endpoint->is_tls ? url : NULL,
		.rack = node->rack,
		.source = view->about.is_zookeeper ? "zookeeper" : "learned",
		.node = node->id,
	};

	(void)snprintf(id, sizeof(id), "%" PRId32, node->id);
	put_url(url, endpoint, true);
	if (host->node(host->context, view->index, node->id, &known)) {
		row.source = known.source;
		row.is_leaving = known.is_leaving;
		row.has_age = known.has_age;
		row.age_ns = known.age_ns;
	}
	row.is_learned = strcmp(row.source, "learned") == 0;
	give(view, &row);
}

static void give_brokers(struct view *view)
{
	const struct route_cluster *cluster = view->cluster;
	bool is_zookeeper = view->about.is_zookeeper;

	for (uint32_t i = 0; i < cluster->broker_count; i++) {
		const struct route_broker *broker = &cluster->brokers[i];
		const struct row row = {
			.id = broker->id,
			.url = broker->url,
			.url_tls = broker->url_tls,
			.source = is_zookeeper ? "zookeeper" : "config",
			.node = -1,
			.has_age = is_zookeeper,
			.age_ns = view->about.age_ns,
		};

		/* With their ids, below. */
		if (!view->about.is_kafka || node_of(cluster, broker->id) == NULL)
			give(view, &row);
	}
}

static void give_learned(struct view *view)
{
	for (uint32_t i = 0; i < view->cluster->endpoint_count; i++) {
		const struct route_endpoint *endpoint = &view->cluster->endpoints[i];
		char url[URL_MAX];
		const struct row row = {
			.id = url,
			.url = endpoint->is_tls ? NULL : url,
			.url_tls = endpoint->is_tls ? url : NULL,
			.source = "learned",
			.node = -1,
			.is_learned = true,
		};

		if (!endpoint->is_learned)
			continue;
		put_url(url, endpoint, view->about.is_kafka);
		give(view, &row);
	}
}

static void give_all(struct view *view)
{
	view->is_first = true;
	if (view->cluster == NULL)
		return;
	give_brokers(view);
	for (uint32_t i = 0; i < view->cluster->node_count; i++)
		give_node(view, &view->cluster->nodes[i]);
	give_learned(view);
}

/* False: no such cluster. */
static bool view_of(struct view *view, uint32_t index)
{
	const struct admin_host *host = &view->admin->host;
	const struct route *route = host->route(host->context);

	view->index = index;
	view->cluster =
		route != NULL && index < route->cluster_count ? &route->clusters[index] : NULL;
	return host->cluster(host->context, index, &view->about);
}

static const char *source_of(const struct admin_cluster *cluster)
{
	if (cluster->is_zookeeper)
		return "zookeeper";
	return cluster->is_kafka ? "bootstrap" : "urls";
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void write_json(struct admin_text *text, const struct row *row, bool is_first)
{
	admin_text_printf(text, "%s{\"id\":", is_first ? "" : ",");
	admin_text_json(text, row->id);
	admin_text_printf(text, ",\"url\":");
	admin_text_json(text, row->url);
	admin_text_printf(text, ",\"url_tls\":");
	admin_text_json(text, row->url_tls);
	if (row->node >= 0) {
		admin_text_printf(text, ",\"node\":%" PRId32 ",\"rack\":", row->node);
		admin_text_json(text, row->rack);
	}
	admin_text_printf(text, ",\"learned\":%s,\"source\":\"%s\",\"leaving\":%s,\"age_seconds\":",
			  row->is_learned ? "true" : "false", row->source,
			  row->is_leaving ? "true" : "false");
	if (row->has_age)
		admin_text_printf(text, "%.3f}", (double)row->age_ns / 1e9);
	else
		admin_text_printf(text, "null}");
}

static void write_asked(struct admin_text *text, const struct admin_cluster *cluster)
{
	admin_text_printf(text,
			  ",\"asked\":{\"good\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"error\":",
			  cluster->asked_good, cluster->asked_failed);
	admin_text_json(text, cluster->why[0] != '\0' ? cluster->why : NULL);
	admin_text_printf(text, "}");
}

void admin_brokers_json(const struct admin *admin, struct admin_text *text)
{
	struct view view = { .admin = admin, .text = text, .write = write_json };

	admin_text_printf(text, "{\"clusters\":[");
	for (uint32_t i = 0; view_of(&view, i); i++) {
		const struct admin_cluster *cluster = &view.about;

		admin_text_printf(text, "%s{\"name\":", i == 0 ? "" : ",");
		admin_text_json(text, cluster->name);
		admin_text_printf(text,
				  ",\"protocol\":\"%s\",\"source\":\"%s\",\"loaded\":%s,"
				  "\"age_seconds\":%.3f,\"zookeeper\":\"%s\"",
				  cluster->is_kafka ? "kafka" : "pulsar", source_of(cluster),
				  cluster->is_loaded ? "true" : "false",
				  (double)cluster->age_ns / 1e9, cluster->zookeeper);
		if (cluster->is_asked)
			write_asked(text, cluster);
		admin_text_printf(text, ",\"brokers\":[");
		give_all(&view);
		admin_text_printf(text, "]}");
	}
	admin_text_printf(text, "]}\n");
}

/* ---- a table -------------------------------------------------------------------------------- */

/* What others wrote into ZooKeeper or an answer: nothing of it reaches a terminal. */
static void write_plain(struct admin_text *text, const char *value, int width)
{
	int len = 0;

	for (const char *at = value; *at != '\0'; at++, len++)
		admin_text_printf(text, "%c", *at > ' ' && *at < 0x7f ? *at : '?');
	admin_text_printf(text, "%*s", len < width ? width - len : 1, "");
}

static const char *place_of(const char *url)
{
	const char *at = url == NULL ? NULL : strstr(url, "://");

	return at == NULL ? "" : at + 3;
}

static void write_age(struct admin_text *text, uint64_t age_ns)
{
	uint64_t s = age_ns / NS_PER_S;

	if (s < 120)
		admin_text_printf(text, "%" PRIu64 "s", s);
	else if (s < 7200)
		admin_text_printf(text, "%" PRIu64 "m", s / 60);
	else
		admin_text_printf(text, "%" PRIu64 "h", s / 3600);
}

#define ID_WIDTH      24
#define NODE_WIDTH    8
#define ADDRESS_WIDTH 36
#define RACK_WIDTH    14
#define SOURCE_WIDTH  12

static void write_head(struct admin_text *text)
{
	write_plain(text, "ID", ID_WIDTH);
	write_plain(text, "ADDRESS", ADDRESS_WIDTH);
	write_plain(text, "RACK", RACK_WIDTH);
	write_plain(text, "SOURCE", SOURCE_WIDTH);
	admin_text_printf(text, "AGE\n");
}

static void write_line(struct admin_text *text, const struct row *row, const char *url)
{
	/* A broker that is called by its URL is told apart by that alone. */
	write_plain(text, strstr(row->id, "://") != NULL ? "-" : row->id, ID_WIDTH);
	write_plain(text, place_of(url), ADDRESS_WIDTH);
	write_plain(text, row->rack != NULL ? row->rack : "-", RACK_WIDTH);
	write_plain(text, row->is_leaving ? "leaving" : row->source, SOURCE_WIDTH);
	if (row->has_age)
		write_age(text, row->age_ns);
	else
		admin_text_printf(text, "-");
	admin_text_printf(text, "%s\n", url == row->url_tls ? "  TLS" : "");
}

static void write_table(struct admin_text *text, const struct row *row, bool is_first)
{
	if (is_first)
		write_head(text);
	if (row->url != NULL)
		write_line(text, row, row->url);
	if (row->url_tls != NULL)
		write_line(text, row, row->url_tls);
}

static void write_title(struct admin_text *text, const struct admin_cluster *cluster)
{
	admin_text_printf(text, "cluster ");
	write_plain(text, cluster->name, 0);
	admin_text_printf(text, "(%s, %s", cluster->is_kafka ? "kafka" : "pulsar",
			  source_of(cluster));
	if (cluster->is_zookeeper)
		admin_text_printf(text, " %s", cluster->zookeeper);
	if (!cluster->is_loaded)
		admin_text_printf(text, ", no list yet");
	else if (cluster->is_zookeeper || cluster->asked_good > 0) {
		admin_text_printf(text, ", confirmed ");
		write_age(text, cluster->age_ns);
		admin_text_printf(text, " ago");
	}
	if (cluster->is_by_rule)
		admin_text_printf(text, ", nodes by a rule of the configuration");
	admin_text_printf(text, ")\n");
	if (cluster->is_asked && cluster->why[0] != '\0') {
		admin_text_printf(text, "the last time no bootstrap broker answered: ");
		admin_text_add(text, cluster->why, strlen(cluster->why));
		admin_text_printf(text, "\n");
	}
}

void admin_brokers_table(const struct admin *admin, struct admin_text *text)
{
	struct view view = { .admin = admin, .text = text, .write = write_table };

	for (uint32_t i = 0; view_of(&view, i); i++) {
		if (i > 0)
			admin_text_printf(text, "\n");
		write_title(text, &view.about);
		give_all(&view);
		if (view.is_first)
			admin_text_printf(text, "no broker is known\n");
	}
	if (text->len == 0)
		admin_text_printf(text, "there are no clusters\n");
}
