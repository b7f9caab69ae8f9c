/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stat_kafka: what is counted of Kafka: for each API, and for each broker that clients came to.
 * Each worker counts into its own arrays; admin reads them all and adds up.
 *
 * A broker is a place in the arrays, the same for all workers: the first connection to a node id by
 * a listener, or by one of its routes, takes one for the life of the process. There is a bound to
 * them, so that a scrape has one, too; what comes when all are taken is counted together in
 * STAT_KAFKA_OTHERS.
 * Thread:   places: any; counters: write: the owning worker; read: any
 * Memory:   counters in struct stat_block; places of the caller
 */
#pragma once

#include <stdatomic.h>

#include <penstock/base/check.h>

#define STAT_KAFKA_APIS	   128			 /* keys of the protocol, from 0 on; */
#define STAT_KAFKA_UNKNOWN (STAT_KAFKA_APIS - 1) /* all keys that have no name here */
#define STAT_KAFKA_BUCKETS 9   /* of time: 256 us, 1.024 ms, ... times 4, 4.2 s; longer */
#define STAT_KAFKA_NODES   512 /* places */
#define STAT_KAFKA_OTHERS  0   /* the place of brokers that have none of their own */

/* From requests to the first bytes of their responses. */
struct stat_kafka_times {
	_Atomic uint64_t us_sum;
	_Atomic uint64_t us[STAT_KAFKA_BUCKETS]; /* their sum: the number of responses */
};

/* Bytes are those of whole frames. */
struct stat_kafka_api {
	_Atomic uint64_t requests, request_bytes;
	_Atomic uint64_t response_bytes;
	_Atomic uint64_t denied;
	struct stat_kafka_times times;
};

struct stat_kafka_node {
	_Atomic uint64_t connections;
	_Atomic uint64_t active;
	_Atomic uint64_t requests;
	_Atomic uint64_t bytes[2]; /* to the broker, to the client */
	struct stat_kafka_times times;
};

struct stat_kafka {
	struct stat_kafka_api api[STAT_KAFKA_APIS];
	struct stat_kafka_node node[STAT_KAFKA_NODES];
};

/* Which broker has which place. Begins as zeros. */
struct stat_kafka_places {
	_Atomic uint64_t taken[STAT_KAFKA_NODES];
};

/* Relaxed single-writer add: a plain load and store, no locked instruction. */
static inline void stat_count(_Atomic uint64_t *value, uint64_t n)
{
	uint64_t old = atomic_load_explicit(value, memory_order_relaxed);

	atomic_store_explicit(value, old + n, memory_order_relaxed);
}

/* A response that came `us` microseconds after its request; node: NULL, or the broker's counters.
 */
void stat_kafka_response(struct stat_kafka_api *api, struct stat_kafka_node *node, uint64_t bytes,
			 uint64_t us);
/* The longest time a bucket counts, in microseconds; UINT64_MAX: the last one. */
uint64_t stat_kafka_bucket_us(uint32_t bucket);

#define STAT_KAFKA_NO_ROUTE UINT16_MAX

/* Whose a place is: ids of the listener and of its route, as of the snapshot. */
struct stat_kafka_owner {
	uint16_t listener, route; /* STAT_KAFKA_NO_ROUTE: it has none */
	int32_t node;		  /* -1: any broker */
};

/* The place of a node. Takes one if it has none yet. */
uint16_t stat_kafka_place(struct stat_kafka_places *places, uint16_t listener, uint16_t route,
			  int32_t node);
/* false: nobody's. */
bool stat_kafka_place_of(const struct stat_kafka_places *places, uint16_t place,
			 struct stat_kafka_owner *ret_owner);
/* Is one of a node by this route? Then its id must not become another route's. */
bool stat_kafka_has_route(const struct stat_kafka_places *places, uint16_t route);
