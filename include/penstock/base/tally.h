/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tally: how many connections each client address has, over all workers: the one thing workers
 * share that changes. Asked twice in the life of a connection and only where limits.per_ip is set,
 * so striped locks cost less than they would take to explain away.
 * Thread:   any
 * Memory:   TALLY_STRIPES * TALLY_SLOTS entries, allocated by tally_new, touched as used
 */
#pragma once

#include <penstock/base/addr.h>

#define TALLY_STRIPES 64
#define TALLY_SLOTS   2048

struct tally;

/* NULL: out of memory. */
struct tally *tally_new(void);
void tally_free(struct tally *tally);
/* Counts one more for the address (port ignored). False: it has `most` already, or the table is
 * full of other addresses. */
MUST_USE bool tally_add(struct tally *tally, const struct addr *addr, uint64_t most);
/* Counts one less. */
void tally_remove(struct tally *tally, const struct addr *addr);
