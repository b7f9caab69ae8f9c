/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_state: the last broker list of a cluster on disk, so that a start without ZooKeeper can
 * serve:
 *
 *     {"version": 1, "servers": "...", "listener": "...", "saved": <seconds since 1970>,
 *      "brokers": [{"id": "...", "url": "...", "url_tls": "...", "listeners": ["...", ...],
 *                   "rack": "..."}]}
 *
 * Only a list read through the same connect string is taken: another one may be another cluster.
 * Of Kafka's brokers, whose ids are numbers, only the listener that was wanted is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <penstock/base/err.h>

#include "discovery_file.h"
#include "discovery_json.h"

#define STATE_VERSION 1
#define PATH_SIZE     4096

void discovery_state_open(struct discovery_cluster *cluster, const char *state_dir)
{
	char path[PATH_SIZE];

	/* config allows no '/' in a name; a file outside state_dir would be a bad surprise. */
	if (state_dir == NULL || cluster->servers == NULL || strchr(cluster->name, '/') != NULL ||
	    cluster->name[0] == '.')
		return;
	int len = snprintf(path, sizeof(path), "%s/%s.brokers.json", state_dir, cluster->name);

	if (len > 0 && (size_t)len < sizeof(path))
		cluster->state_path = strdup(path);
}

static json_t *url_to_json(const struct discovery_url *url)
{
	char text[DISCOVERY_URL_MAX];

	return discovery_url_format(url, text) == 0 ? json_null() : json_string(text);
}

static json_t *broker_to_json(const struct discovery_broker *broker)
{
	json_t *listeners = json_array();

	for (uint32_t i = 0; i < broker->listener_count; i++)
		(void)json_array_append_new(listeners, url_to_json(&broker->listeners[i]));
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "rack", broker->rack, "id", broker->id, "url",
			 url_to_json(&broker->plain), "url_tls", url_to_json(&broker->tls),
			 "listeners", listeners);
}

static const char *listener_of(const struct discovery_cluster *cluster)
{
	return cluster->listener == NULL ? "" : cluster->listener;
}

static char *to_text(const struct discovery_cluster *cluster)
{
	json_t *brokers = json_array();
	uint64_t age_ns = clock_now_ns() - cluster->read_ns + cluster->extra_age_ns;
	uint64_t saved = clock_wall_us() / 1000000 - age_ns / NS_PER_S;

	for (uint32_t i = 0; i < cluster->brokers.count; i++)
		(void)json_array_append_new(brokers, broker_to_json(&cluster->brokers.at[i]));
	json_t *root = json_pack("{s:i, s:s, s:s, s:I, s:o}", "version", STATE_VERSION, "servers",
				 cluster->servers, "listener", listener_of(cluster), "saved",
				 (json_int_t)saved, "brokers", brokers);
	char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));

	json_decref(root);
	return text;
}

void discovery_state_save(const struct discovery_cluster *cluster)
{
	if (cluster->state_path == NULL || cluster->brokers.count == 0)
		return;
	char *text = to_text(cluster);
	int ret = text == NULL ? -ENOMEM
			       : discovery_file_replace(cluster->state_path, text, strlen(text));

	if (ret < 0)
		log_warn("state_not_saved", "%s: %s", cluster->state_path, err_text(ret));
	free(text);
}

static bool read_url(const json_t *value, struct discovery_url *ret_url)
{
	return json_is_null(value) ||
	       (json_is_string(value) && discovery_url_parse(json_string_value(value), ret_url));
}

/* What a broker of Kafka has besides. False: it is one and the cluster is not, or the other way
 * round, or for the other kind of listener. */
static bool read_kafka(const struct discovery_cluster *cluster, const json_t *object,
		       struct discovery_broker *broker)
{
	const struct discovery_url *url = cluster->is_tls ? &broker->tls : &broker->plain;
	const char *rack = json_string_value(json_object_get(object, "rack"));
	uint64_t node;

	if (!cluster->is_kafka)
		return !broker->plain.is_kafka && !broker->tls.is_kafka;
	if (!url->is_kafka || !span_to_u64(span_str(broker->id), &node) || node > INT32_MAX)
		return false;
	broker->node = (int32_t)node;
	return rack == NULL || span_to_str(span_str(rack), broker->rack, sizeof(broker->rack));
}

static bool read_broker(const struct discovery_cluster *cluster, const json_t *object,
			struct discovery_broker *broker)
{
	const char *id = json_string_value(json_object_get(object, "id"));
	const json_t *listeners = json_object_get(object, "listeners");
	size_t count = json_array_size(listeners);

	*broker = (struct discovery_broker){ .node = -1 };
	if (id == NULL || !span_to_str(span_str(id), broker->id, sizeof(broker->id)) ||
	    !read_url(json_object_get(object, "url"), &broker->plain) ||
	    !read_url(json_object_get(object, "url_tls"), &broker->tls) ||
	    (broker->plain.port == 0 && broker->tls.port == 0) || count > DISCOVERY_LISTENERS_MAX ||
	    !read_kafka(cluster, object, broker))
		return false;
	if (count == 0)
		return true;
	broker->listeners = calloc(count, sizeof(*broker->listeners));
	if (broker->listeners == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (read_url(json_array_get(listeners, i),
			     &broker->listeners[broker->listener_count]) &&
		    broker->listeners[broker->listener_count].port != 0)
			broker->listener_count++;
	return true;
}

static void read_brokers(const struct discovery_cluster *cluster, const json_t *list,
			 struct discovery_brokers *brokers)
{
	size_t size = json_array_size(list);

	if (size == 0 || size > DISCOVERY_BROKERS_MAX)
		return;
	brokers->at = calloc(size, sizeof(*brokers->at));
	for (size_t i = 0; brokers->at != NULL && i < size; i++)
		if (read_broker(cluster, json_array_get(list, i), &brokers->at[brokers->count]))
			brokers->count++;
}

static bool read_state(struct discovery_cluster *cluster, const json_t *root, uint64_t now_ns,
		       char why[static DISCOVERY_WHY_MAX])
{
	const char *servers = json_string_value(json_object_get(root, "servers"));
	const char *listener = json_string_value(json_object_get(root, "listener"));
	json_int_t saved = json_integer_value(json_object_get(root, "saved"));
	uint64_t wall_s = clock_wall_us() / 1000000;
	struct discovery_brokers brokers = { .at = NULL };

	(void)snprintf(why, DISCOVERY_WHY_MAX, "is of another version or other servers");
	if (json_integer_value(json_object_get(root, "version")) != STATE_VERSION ||
	    servers == NULL || strcmp(servers, cluster->servers) != 0 ||
	    strcmp(listener == NULL ? "" : listener, listener_of(cluster)) != 0)
		return false;
	read_brokers(cluster, json_object_get(root, "brokers"), &brokers);
	(void)snprintf(why, DISCOVERY_WHY_MAX, "holds no broker");
	if (brokers.count == 0) {
		discovery_brokers_fini(&brokers);
		return false;
	}
	cluster->brokers = brokers;
	cluster->is_loaded = true;
	cluster->read_ns = now_ns;
	cluster->extra_age_ns =
		saved > 0 && (uint64_t)saved < wall_s ? (wall_s - (uint64_t)saved) * NS_PER_S : 0;
	return true;
}

void discovery_state_load(struct discovery_cluster *cluster, uint64_t now_ns)
{
	char why[DISCOVERY_WHY_MAX];
	uint8_t *bytes = NULL;
	size_t len = 0;

	if (cluster->state_path == NULL || cluster->is_loaded)
		return;
	int ret = discovery_file_read(cluster->state_path, DISCOVERY_JSON_MAX, &bytes, &len);

	if (ret < 0) {
		if (ret != -ENOENT)
			log_warn("state_not_read", "%s: %s", cluster->state_path, err_text(ret));
		return;
	}
	json_t *root = discovery_json_load(bytes, len, why);

	free(bytes);
	if (root != NULL && read_state(cluster, root, now_ns, why))
		log_info("state_read", "cluster %s: %u brokers as of %llu s ago, from %s",
			 cluster->name, cluster->brokers.count,
			 (unsigned long long)(cluster->extra_age_ns / NS_PER_S),
			 cluster->state_path);
	else
		log_warn("state_not_read", "%s %s", cluster->state_path, why);
	json_decref(root);
}
