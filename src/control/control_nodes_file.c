/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_nodes_file: where Kafka's brokers were last, on disk, so that a restarted penstock can
 * serve clients that come back to the port or the name of a broker, before any answer has told
 * where that is:
 *
 *     penstock-nodes 1
 *     bootstrap kafka-1:9092 kafka-2:9092
 *     <node id> <host> <port> <rack, if it has one>
 *     ...
 *
 * Only what was learned through the same bootstrap brokers is taken: others may be another cluster.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <penstock/base/err.h>

#include "control_priv.h"
#include "discovery/discovery_file.h"

#define HEAD	  "penstock-nodes 1"
#define PATH_SIZE CONTROL_NODES_PATH
#define FILE_MOST (CONTROL_NODES_MAX * 512u)

/* False: nowhere. What is in ZooKeeper is saved by discovery. */
static bool path_of(const struct config *config, const struct config_cluster *cluster,
		    char ret_path[PATH_SIZE])
{
	const char *name = cluster->name;

	/* config allows no '/' in a name; a file outside state_dir would be a bad surprise. */
	if (config->state_dir == NULL || cluster->zookeeper_servers != NULL ||
	    strchr(name, '/') != NULL || name[0] == '.')
		return false;
	int len = snprintf(ret_path, PATH_SIZE, "%s/%s.nodes", config->state_dir, name);

	return len > 0 && len < PATH_SIZE;
}

static void put_head(struct sink *sink, const struct config_cluster *cluster)
{
	sink_str(sink, HEAD "\nbootstrap");
	for (uint32_t i = 0; i < cluster->url_count; i++)
		sink_printf(sink, " %s:%u", cluster->urls[i].host, cluster->urls[i].port);
	sink_u8(sink, '\n');
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_one_line(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ')
			return false;
	return true;
}

static void put_node(struct sink *sink, const struct control_node *node)
{
	const struct mail_nodes_place *place = &node->place;

	sink_printf(sink, "%" PRId32 " %s %u", node->id, place->host, place->port);
	if (place->rack[0] != '\0' && is_one_line(place->rack))
		sink_printf(sink, " %s", place->rack);
	sink_u8(sink, '\n');
}

int control_nodes_file_save(const struct config *config, const struct config_cluster *cluster,
			    const struct control_node_set *set, char ret_path[CONTROL_NODES_PATH])
{
	if (!path_of(config, cluster, ret_path))
		return 0;
	uint8_t *text = malloc(FILE_MOST);
	struct sink sink = sink_of(text, FILE_MOST);

	if (text == NULL)
		return -ENOMEM;
	put_head(&sink, cluster);
	for (uint32_t i = 0; i < set->count; i++)
		put_node(&sink, &set->at[i]);
	int ret = sink.full ? -EFBIG : discovery_file_replace(ret_path, text, sink.len);

	free(text);
	return ret;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Up to the next such byte, which is taken too. */
static struct span next(struct span *rest, uint8_t end)
{
	size_t len = span_find(*rest, end);
	struct span word = span_of(rest->at, len);

	*rest = len < rest->len ? span_of(rest->at + len + 1, rest->len - len - 1)
				: span_of(NULL, 0);
	return word;
}

static bool read_node(struct span line, struct control_node *ret)
{
	uint64_t id, port;
	struct span id_text = next(&line, ' '), host = next(&line, ' '),
		    port_text = next(&line, ' ');

	if (!span_to_u64(id_text, &id) || id > INT32_MAX || !span_to_u64(port_text, &port) ||
	    port == 0 || port > UINT16_MAX || !addr_is_host(host))
		return false;
	*ret = (struct control_node){ .id = (int32_t)id, .place.port = (uint16_t)port };
	return span_to_str(host, ret->place.host, sizeof(ret->place.host)) &&
	       span_to_str(line, ret->place.rack, sizeof(ret->place.rack));
}

static uint32_t read_all(struct span rest, const struct config_cluster *cluster,
			 control_node_found *found, void *owner)
{
	uint8_t head[PATH_SIZE * 4];
	struct sink sink = sink_of(head, sizeof(head));
	struct control_node node;
	struct span ours;
	uint32_t count = 0;

	put_head(&sink, cluster);
	if (sink.full || !span_take(&rest, sink.len, &ours) ||
	    !span_equal(ours, sink_written(&sink)))
		return 0;
	while (rest.len > 0) {
		if (!read_node(next(&rest, '\n'), &node))
			continue; /* the others are good all the same */
		found(owner, &node);
		count++;
	}
	return count;
}

void control_nodes_file_load(const struct config *config, const struct config_cluster *cluster,
			     control_node_found *found, void *owner)
{
	char path[PATH_SIZE];
	uint8_t *text;
	size_t len;

	if (!path_of(config, cluster, path))
		return;
	int ret = discovery_file_read(path, FILE_MOST, &text, &len);

	if (ret < 0) {
		if (ret != -ENOENT)
			log_warn("state_failed", "cluster %s: %s cannot be read: %s", cluster->name,
				 path, err_text(ret));
		return;
	}
	uint32_t count = read_all(span_of(text, len), cluster, found, owner);

	free(text);
	log_info("nodes_loaded", "cluster %s: %u nodes from %s", cluster->name, count, path);
}
