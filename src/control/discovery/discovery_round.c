/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_round: see discovery_round.h.
 */
#include "discovery_round.h"

#include <stdlib.h>

#include "discovery_json.h"

#define BROKERS		"/loadbalance/brokers"
#define KAFKA_BROKERS	"/brokers/ids"
#define PATH_SIZE	(sizeof(BROKERS) + DISCOVERY_ID_MAX)

#define RC_NO_AUTH_MARK UINT64_MAX /* no mzxid */

enum { RC_OK = 0, RC_NO_NODE = -101, RC_NO_AUTH = -102 };

struct discovery_round_entry {
	char *name;
	bool is_found;
	struct discovery_broker broker;
};

static const char *brokers_of(const struct discovery_round *round)
{
	return round->is_kafka ? KAFKA_BROKERS : BROKERS;
}

void discovery_round_end(struct discovery_round *round)
{
	for (uint32_t i = 0; i < round->entry_count; i++) {
		free(round->entries[i].name);
		free(round->entries[i].broker.listeners);
	}
	free(round->entries);
	round->entries = NULL;
	round->entry_count = 0;
	round->is_going = false;
}

/* 0 in the low half: the list; else 1 + the number of the entry. */
static uint64_t tag_of(const struct discovery_round *round, uint32_t entry)
{
	return (uint64_t)round->number << 32 | entry;
}

bool discovery_round_begin(struct discovery_round *round, struct discovery_session *session,
			   bool is_full, uint64_t now_ns)
{
	discovery_round_end(round);
	round->number++;
	if (!discovery_session_children(session, brokers_of(round), true, tag_of(round, 0)))
		return false;
	round->is_going = true;
	round->is_full = is_full;
	round->is_failed = false;
	round->started_ns = now_ns;
	round->open = 1;
	return true;
}

bool discovery_round_is_mine(const struct discovery_round *round,
			     const struct discovery_letter *letter)
{
	return span_starts(span_str(letter->path), brokers_of(round));
}

static void path_of(const struct discovery_round *round, char path[static PATH_SIZE],
		    const char *name)
{
	struct sink sink = sink_of(path, PATH_SIZE - 1);

	sink_str(&sink, brokers_of(round));
	sink_u8(&sink, '/');
	sink_str(&sink, name);
	CHECK(!sink.full); /* names that are too long were left out */
	path[sink.len] = '\0';
}

static void add_entry(struct discovery_round *round, struct discovery_session *session,
		      const char *name)
{
	struct discovery_round_entry *entry = &round->entries[round->entry_count];
	char path[PATH_SIZE];

	if (strlen(name) >= DISCOVERY_ID_MAX)
		return;
	*entry = (struct discovery_round_entry){ .name = strdup(name) };
	if (entry->name == NULL) {
		round->is_failed = true;
		return;
	}
	round->entry_count++;
	path_of(round, path, name);
	uint64_t tag = tag_of(round, round->entry_count);

	/* Kafka writes its nodes when listeners change, and only then. */
	if (round->is_kafka ? discovery_session_get(session, path, true, tag)
			    : discovery_session_exists(session, path, false, tag))
		round->open++;
	else
		round->is_failed = true;
}

/* Complaints are made once per path and state: nodes are read again and again. */
static bool is_new(struct discovery_round *round, const struct discovery_letter *letter,
		   uint64_t state)
{
	uint64_t mark = span_hash(span_str(letter->path), state);

	for (uint32_t i = 0; i < DISCOVERY_BAD_MAX; i++)
		if (round->bad[i] == mark)
			return false;
	round->bad[round->bad_next++ % DISCOVERY_BAD_MAX] = mark;
	return true;
}

static void complain(struct discovery_round *round, const struct discovery_letter *letter,
		     const struct discovery_session *session, const char *why, bool has_known)
{
	if (is_new(round, letter, (uint64_t)letter->mzxid))
		log_warn("broker_unreadable", "cluster %s: %s %s; %s", session->cluster,
			 letter->path, why,
			 has_known ? "its last good entry stays" : "it is left out");
}

static void on_list(struct discovery_round *round, struct discovery_session *session,
		    const struct discovery_letter *letter)
{
	uint32_t count = letter->name_count;

	if (letter->rc == RC_NO_NODE) {
		/* No broker has ever started here. Its creation is watched; the answer counts. */
		if (discovery_session_exists(session, brokers_of(round), true, tag_of(round, 0)))
			round->open++;
		else
			round->is_failed = true;
		return;
	}
	if (letter->rc != RC_OK) {
		if (letter->rc == RC_NO_AUTH && is_new(round, letter, RC_NO_AUTH_MARK))
			log_error("discovery_unreadable",
				  "cluster %s: %s may not be read; its ACL must allow it",
				  session->cluster, brokers_of(round));
		round->is_failed = true;
		return;
	}
	if (count > DISCOVERY_BROKERS_MAX) {
		log_warn("discovery_too_many", "cluster %s: only %u of %u brokers are used",
			 session->cluster, DISCOVERY_BROKERS_MAX, count);
		count = DISCOVERY_BROKERS_MAX;
	}
	round->entries = calloc((size_t)count + 1, sizeof(*round->entries));
	if (round->entries == NULL) {
		round->is_failed = true;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		add_entry(round, session, letter->names[i]);
}

/* What was read of this node before is still true. */
static void keep_known(struct discovery_round *round, struct discovery_round_entry *entry,
		       const struct discovery_broker *known)
{
	if (discovery_broker_copy(&entry->broker, known))
		entry->is_found = true;
	else
		round->is_failed = true;
}

static void on_exists(struct discovery_round *round, const struct discovery_cluster *cluster,
		      struct discovery_session *session, struct discovery_round_entry *entry,
		      const struct discovery_letter *letter)
{
	const struct discovery_broker *known = discovery_find(cluster, entry->name);

	if (letter->rc == RC_NO_NODE)
		return; /* gone since the list was made */
	if (letter->rc != RC_OK) {
		round->is_failed = true;
		return;
	}
	if (known != NULL && known->czxid == letter->czxid &&
	    (!round->is_full || known->mzxid == letter->mzxid)) {
		keep_known(round, entry, known);
		return;
	}
	if (discovery_session_get(session, letter->path, false, letter->tag))
		round->open++;
	else
		round->is_failed = true;
}

static bool parse(const struct discovery_round *round, const struct discovery_cluster *cluster,
		  struct discovery_round_entry *entry, const struct discovery_letter *letter,
		  char why[static DISCOVERY_WHY_MAX])
{
	const struct discovery_wanted wanted = { cluster->listener, cluster->is_tls };

	return round->is_kafka ? discovery_kafka_json_parse(entry->name, &wanted, letter->bytes,
							    letter->len, &entry->broker, why)
			       : discovery_broker_json_parse(entry->name, letter->bytes,
							     letter->len, &entry->broker, why);
}

static void on_data(struct discovery_round *round, const struct discovery_cluster *cluster,
		    const struct discovery_session *session, struct discovery_round_entry *entry,
		    const struct discovery_letter *letter)
{
	const struct discovery_broker *known = discovery_find(cluster, entry->name);
	char why[DISCOVERY_WHY_MAX] = "may not be read";

	if (letter->rc == RC_NO_NODE)
		return;
	if (letter->rc != RC_OK && letter->rc != RC_NO_AUTH) {
		round->is_failed = true;
		return;
	}
	if (letter->rc == RC_OK && parse(round, cluster, entry, letter, why)) {
		entry->is_found = true;
		entry->broker.czxid = letter->czxid;
		entry->broker.mzxid = letter->mzxid;
		if (why[0] != '\0')
			complain(round, letter, session, why, false);
		return;
	}
	complain(round, letter, session, why, known != NULL);
	if (known != NULL)
		keep_known(round, entry, known);
}

enum discovery_round_step discovery_round_letter(struct discovery_round *round,
						 const struct discovery_cluster *cluster,
						 struct discovery_session *session,
						 const struct discovery_letter *letter)
{
	uint32_t index = (uint32_t)letter->tag;

	if (!round->is_going || letter->tag >> 32 != round->number || index > round->entry_count)
		return DISCOVERY_ROUND_GOING;
	CHECK(round->open > 0);
	round->open--;
	if (index == 0 && letter->what == DISCOVERY_EXISTS && letter->rc == RC_OK) {
		discovery_round_end(round); /* created between the two questions */
		return DISCOVERY_ROUND_AGAIN;
	}
	if (index == 0 && letter->what == DISCOVERY_CHILDREN)
		on_list(round, session, letter);
	else if (index == 0)
		round->is_failed = round->is_failed || letter->rc != RC_NO_NODE;
	else if (letter->what == DISCOVERY_EXISTS)
		on_exists(round, cluster, session, &round->entries[index - 1], letter);
	else
		on_data(round, cluster, session, &round->entries[index - 1], letter);
	return round->open == 0 ? DISCOVERY_ROUND_DONE : DISCOVERY_ROUND_GOING;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct discovery_broker *)a)->id,
		      ((const struct discovery_broker *)b)->id);
}

enum discovery_round_result discovery_round_take(struct discovery_round *round,
						 struct discovery_brokers *ret_brokers)
{
	struct discovery_brokers brokers = { .count = 0 };

	brokers.at = calloc((size_t)round->entry_count + 1, sizeof(*brokers.at));
	if (brokers.at == NULL || round->is_failed) {
		free(brokers.at);
		discovery_round_end(round);
		return DISCOVERY_ROUND_FAILED;
	}
	for (uint32_t i = 0; i < round->entry_count; i++) {
		if (!round->entries[i].is_found)
			continue;
		brokers.at[brokers.count++] = round->entries[i].broker;
		round->entries[i].broker.listeners = NULL; /* they have a new owner */
	}
	discovery_round_end(round);
	/* ZooKeeper lists names in no order; a stable one keeps lists comparable. */
	if (brokers.count > 1)
		qsort(brokers.at, brokers.count, sizeof(brokers.at[0]), compare);
	*ret_brokers = brokers;
	return DISCOVERY_ROUND_GOOD;
}
