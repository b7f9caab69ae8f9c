/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stat: counters and gauges from stat.def, one block per worker. Only the worker writes its block,
 * with relaxed stores (but stat_closed); admin reads them all and adds up. Connections are counted
 * per listener and per close reason besides, so that this identity holds for every listener at
 * every quiet moment: active = accepted - sum over reasons of closed Only routes, which have
 * limits, are counted by all workers together. Thread:   write: the owning worker; read: any
 * Memory:   one block per worker, allocated at start
 */
#pragma once

#include <stdatomic.h>

#include <penstock/base/close.h>
#include <penstock/base/stat_kafka.h>

enum stat_id {
#define STAT(NAME, metric, labels, type, help) STAT_##NAME,
#include <penstock/base/stat.def>
#undef STAT
	STAT_COUNT,
};

#define STAT_LISTENERS_MAX 64	/* listener ids over the life of a process, reloads included */
#define STAT_ROUTES_MAX	   8192 /* ids of routes: twice what a configuration may have */
#define STAT_BUCKETS	   32	/* power-of-two buckets of microseconds: 1 us .. 2^31 us */

struct stat_listener {
	_Atomic uint64_t accepted;
	_Atomic uint64_t closed[CLOSE_COUNT];
};

struct stat_block {
	_Alignas(CACHE_LINE) _Atomic uint64_t value[STAT_COUNT];
	_Atomic uint64_t dial_us[STAT_BUCKETS];
	_Atomic uint64_t dial_us_sum;
	_Atomic uint64_t heartbeat_ns;	/* last turn of the loop, for /healthz */
	_Atomic uint64_t acked_version; /* newest snapshot this worker has taken */
	struct stat_listener listener[STAT_LISTENERS_MAX];
	struct stat_kafka kafka;
};

/* Connections of a route, or of a listener, of all workers together: their limits are the
 * process's. */
struct stat_route {
	_Atomic uint64_t total;
	_Atomic uint64_t active;
};

struct stat_row {
	const char *metric;
	const char *labels;
	const char *type;
	const char *help;
};

extern const struct stat_row stat_rows[STAT_COUNT];

static inline void stat_add(struct stat_block *block, enum stat_id stat, uint64_t n)
{
	stat_count(&block->value[stat], n);
}

static inline void stat_sub(struct stat_block *block, enum stat_id stat, uint64_t n)
{
	stat_add(block, stat, 0 - n);
}

static inline uint64_t stat_get(const struct stat_block *block, enum stat_id stat)
{
	return atomic_load_explicit(&block->value[stat], memory_order_relaxed);
}

static inline void stat_accepted(struct stat_listener *listener)
{
	stat_count(&listener->accepted, 1);
}

/* Released: who sees (acquires) that a connection has ended sees that it was accepted, too, by
 * whichever worker. */
static inline void stat_closed(struct stat_listener *listener, enum close_reason reason)
{
	_Atomic uint64_t *value = &listener->closed[reason];

	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + 1,
			      memory_order_release);
}

/* Counts a duration in the power-of-two histogram of dial times. */
void stat_dial(struct stat_block *block, uint64_t ns);

/* Counts one more connection; false: it has `most` already. */
MUST_USE bool stat_route_enter(struct stat_route *route, uint64_t most);
void stat_route_leave(struct stat_route *route);
