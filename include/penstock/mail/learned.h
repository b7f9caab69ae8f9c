/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail/learned: broker URLs that lookups of configured brokers have named (fixed URLs know nothing
 * else, DECISIONS 5.4). A client that was given one comes back at once, and to any worker: so the
 * table is shared, and not as late as the next snapshot, which carries it on for /brokers and DNS.
 * Thread:   any: one lock, taken on a lookup answer and for a name the snapshot does not hold
 * Memory:   MAIL_LEARNED_MAX entries; the one that expires first makes room
 */
#pragma once

#include <penstock/base/span.h>

#define MAIL_LEARNED_MAX 1024
#define MAIL_LEARNED_NS	 (600ull * 1000000000)

struct mail_learned_table;

/* NULL: out of memory. */
struct mail_learned_table *mail_learned_new(void);
void mail_learned_free(struct mail_learned_table *table);
/* True: it was not there, or is about to expire: control wants to know. */
bool mail_learned_add(struct mail_learned_table *table, const char *cluster, struct span host,
		      uint16_t port, uint64_t now_ns);
bool mail_learned_has(struct mail_learned_table *table, const char *cluster, struct span host,
		      uint16_t port, uint64_t now_ns);
