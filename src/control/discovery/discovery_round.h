/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_round: one reading of the brokers in ZooKeeper: the names, then for each name of
 * Pulsar's whether its node is known already (by czxid), then the data of those that are not; of
 * Kafka's always the data, which is watched. A node that vanishes between two questions is skipped;
 * one that cannot be understood keeps its last good entry.
 * Thread:   control
 */
#pragma once

#include "discovery_session.h"

enum discovery_round_step {
	DISCOVERY_ROUND_GOING,
	DISCOVERY_ROUND_DONE,  /* discovery_round_take */
	DISCOVERY_ROUND_AGAIN, /* the list has come into being meanwhile */
};

enum discovery_round_result {
	DISCOVERY_ROUND_GOOD,
	DISCOVERY_ROUND_FAILED, /* the connection was lost in between */
};

struct discovery_round_entry;

#define DISCOVERY_BAD_MAX 64 /* nodes that were complained about and have not changed since */

struct discovery_round {
	bool is_going, is_full, is_failed;
	bool is_kafka;
	uint32_t number; /* so that answers to an older round are told apart */
	uint64_t started_ns;
	struct discovery_round_entry *entries;
	uint32_t entry_count;
	uint32_t open; /* questions without an answer yet */
	uint64_t bad[DISCOVERY_BAD_MAX];
	uint32_t bad_next;
};

/* With `is_full` the data of known nodes is read again too, if it was written since. */
MUST_USE bool discovery_round_begin(struct discovery_round *round,
				    struct discovery_session *session, bool is_full,
				    uint64_t now_ns);
/* Gives it up. */
void discovery_round_end(struct discovery_round *round);
bool discovery_round_is_mine(const struct discovery_round *round,
			     const struct discovery_letter *letter);
MUST_USE enum discovery_round_step discovery_round_letter(struct discovery_round *round,
							  const struct discovery_cluster *cluster,
							  struct discovery_session *session,
							  const struct discovery_letter *letter);
/* The brokers found, by id. */
MUST_USE enum discovery_round_result discovery_round_take(struct discovery_round *round,
							  struct discovery_brokers *ret_brokers);
