/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail_nodes: a hash table behind a lock. A node may stand in any of a few places from that of its
 * hash on, so that looking takes the same time for the first and the thousandth.
 */
#include <penstock/mail/nodes.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 8

struct entry {
	uint64_t hash;	  /* of cluster and id */
	uint64_t cluster; /* hash of its name */
	uint64_t until_ns;
	struct mail_nodes_place place;
};

struct mail_nodes {
	pthread_mutex_t lock;
	struct entry entries[MAIL_NODES_MAX];
};

struct mail_nodes *mail_nodes_new(void)
{
	struct mail_nodes *nodes = calloc(1, sizeof(*nodes));

	if (nodes != NULL)
		(void)pthread_mutex_init(&nodes->lock, NULL);
	return nodes;
}

void mail_nodes_free(struct mail_nodes *nodes)
{
	free(nodes);
}

static uint64_t hash_of_name(const char *cluster)
{
	return span_hash(span_str(cluster), 0);
}

static uint64_t hash_of(const char *cluster, int32_t id)
{
	return span_hash(span_of(&id, sizeof(id)), hash_of_name(cluster));
}

/* Its entry; else that of its places which expires first. */
static struct entry *find(struct mail_nodes *nodes, uint64_t hash)
{
	struct entry *oldest = &nodes->entries[hash % MAIL_NODES_MAX];

	for (uint64_t i = 0; i < PLACES; i++) {
		struct entry *entry = &nodes->entries[(hash + i) % MAIL_NODES_MAX];

		if (entry->hash == hash && entry->until_ns != 0)
			return entry;
		if (entry->until_ns < oldest->until_ns)
			oldest = entry;
	}
	return oldest;
}

/* Nobody has said anything new; a rack may be left unsaid. */
static bool is_same(const struct mail_nodes_place *known, const struct mail_nodes_place *place)
{
	return known->port == place->port && strcmp(known->host, place->host) == 0 &&
	       (place->rack[0] == '\0' || strcmp(known->rack, place->rack) == 0);
}

/* Nobody else is where this one is now. */
static void forget_others(struct mail_nodes *nodes, const struct entry *entry)
{
	for (uint32_t i = 0; i < MAIL_NODES_MAX; i++) {
		struct entry *other = &nodes->entries[i];

		if (other != entry && other->until_ns != 0 && other->cluster == entry->cluster &&
		    other->place.port == entry->place.port &&
		    strcmp(other->place.host, entry->place.host) == 0)
			other->until_ns = 0;
	}
}

bool mail_nodes_add(struct mail_nodes *nodes, const char *cluster, int32_t id,
		    const struct mail_nodes_place *place, uint64_t now_ns)
{
	uint64_t hash = hash_of(cluster, id);

	(void)pthread_mutex_lock(&nodes->lock);
	struct entry *entry = find(nodes, hash);
	bool is_news = entry->hash != hash || !is_same(&entry->place, place) ||
		       entry->until_ns < now_ns + MAIL_NODES_NS / 2;

	if (is_news) {
		*entry = (struct entry){ hash, hash_of_name(cluster), now_ns + MAIL_NODES_NS,
					 *place };
		forget_others(nodes, entry);
	}
	(void)pthread_mutex_unlock(&nodes->lock);
	return is_news;
}

void mail_nodes_forget(struct mail_nodes *nodes, const char *cluster, int32_t id)
{
	uint64_t hash = hash_of(cluster, id);

	(void)pthread_mutex_lock(&nodes->lock);
	struct entry *entry = find(nodes, hash);

	if (entry->hash == hash)
		entry->until_ns = 0;
	(void)pthread_mutex_unlock(&nodes->lock);
}

bool mail_nodes_find(struct mail_nodes *nodes, const char *cluster, int32_t id, uint64_t since_ns,
		     uint64_t now_ns, struct mail_nodes_place *ret_place)
{
	uint64_t hash = hash_of(cluster, id);

	(void)pthread_mutex_lock(&nodes->lock);
	const struct entry *entry = find(nodes, hash);
	bool is_there = entry->hash == hash && entry->until_ns > now_ns &&
			entry->until_ns > since_ns + MAIL_NODES_NS;

	if (is_there)
		*ret_place = entry->place;
	(void)pthread_mutex_unlock(&nodes->lock);
	return is_there;
}
