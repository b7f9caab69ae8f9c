/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail_learned: a small table behind a lock. Entries are found by a 64-bit hash of cluster, host
 * and port; two names with the same hash would be taken for one, and the egress rules are not what
 * stands behind it then: an attacker who can choose broker URLs already owns a configured broker.
 */
#include <pthread.h>
#include <stdlib.h>

#include <penstock/mail/learned.h>

struct learned {
	uint64_t hash;
	uint64_t until_ns;
};

struct mail_learned_table {
	pthread_mutex_t lock;
	struct learned entries[MAIL_LEARNED_MAX];
};

struct mail_learned_table *mail_learned_new(void)
{
	struct mail_learned_table *table = calloc(1, sizeof(*table));

	if (table != NULL)
		(void)pthread_mutex_init(&table->lock, NULL);
	return table;
}

void mail_learned_free(struct mail_learned_table *table)
{
	free(table);
}

static uint64_t hash_of(const char *cluster, struct span host, uint16_t port)
{
	return span_hash(host, span_hash(span_str(cluster), port));
}

/* The entry with that hash, else the one that is expired or expires first. */
static struct learned *find(struct mail_learned_table *table, uint64_t hash)
{
	struct learned *oldest = &table->entries[0];

	for (uint32_t i = 0; i < MAIL_LEARNED_MAX; i++) {
		struct learned *entry = &table->entries[i];

		if (entry->hash == hash && entry->until_ns != 0)
			return entry;
		if (entry->until_ns < oldest->until_ns)
			oldest = entry;
	}
	return oldest;
}

bool mail_learned_add(struct mail_learned_table *table, const char *cluster, struct span host,
		      uint16_t port, uint64_t now_ns)
{
	uint64_t hash = hash_of(cluster, host, port);

	(void)pthread_mutex_lock(&table->lock);
	struct learned *entry = find(table, hash);
	bool is_fresh = entry->hash == hash && entry->until_ns > now_ns + MAIL_LEARNED_NS / 2;

	*entry = (struct learned){ .hash = hash, .until_ns = now_ns + MAIL_LEARNED_NS };
	(void)pthread_mutex_unlock(&table->lock);
	return !is_fresh;
}

bool mail_learned_has(struct mail_learned_table *table, const char *cluster, struct span host,
		      uint16_t port, uint64_t now_ns)
{
	uint64_t hash = hash_of(cluster, host, port);

	(void)pthread_mutex_lock(&table->lock);
	const struct learned *entry = find(table, hash);
	bool has = entry->hash == hash && entry->until_ns > now_ns;

	(void)pthread_mutex_unlock(&table->lock);
	return has;
}
