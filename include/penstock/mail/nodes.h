/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail/nodes: where Kafka's brokers are, by node id, as their own answers have told. A client that
 * was given a node's name comes back at once, and to any worker: so the table is shared, and not as
 * late as the next snapshot, which carries it on (as mail/learned.h for Pulsar, ADR 0006).
 * Thread:   any: one lock, taken for addresses that are new to the snapshot, and to dial a node
 * Memory:   MAIL_NODES_MAX entries; the one that expires first makes room
 */
#pragma once

#include <penstock/base/addr.h>

#define MAIL_NODES_MAX 1024
#define MAIL_NODES_NS  (600ull * 1000000000)
#define MAIL_RACK_MAX  64

struct mail_nodes;

struct mail_nodes_place {
	uint16_t port;
	char host[HOST_MAX];
	char rack[MAIL_RACK_MAX]; /* empty: not known */
};

/* NULL: out of memory. */
struct mail_nodes *mail_nodes_new(void);
void mail_nodes_free(struct mail_nodes *nodes);
/* True: it was not there like this, or is about to expire: control wants to know. Another node that
 * was told to be there is there no longer. */
bool mail_nodes_add(struct mail_nodes *nodes, const char *cluster, int32_t id,
		    const struct mail_nodes_place *place, uint64_t now_ns);
/* That one is gone. */
void mail_nodes_forget(struct mail_nodes *nodes, const char *cluster, int32_t id);
/* Where it was told to be later than at since_ns (0: ever). */
MUST_USE bool mail_nodes_find(struct mail_nodes *nodes, const char *cluster, int32_t id,
			      uint64_t since_ns, uint64_t now_ns,
			      struct mail_nodes_place *ret_place);
