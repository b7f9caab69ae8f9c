/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stat_kafka: the histogram of response times, and the table of places: open addressing, without a
 * lock, and nothing is ever taken out of it.
 */
#include <penstock/base/stat_kafka.h>

#define FIRST_BITS   8 /* of the shortest bucket: 2^8 us */
#define IS_TAKEN     (1ull << 63)
#define LISTENER_MAX 127

uint64_t stat_kafka_bucket_us(uint32_t bucket)
{
	return bucket < STAT_KAFKA_BUCKETS - 1 ? 1ull << (FIRST_BITS + 2 * bucket) : UINT64_MAX;
}

/* Four times as long each: two bits. */
static uint32_t bucket_of(uint64_t us)
{
	if (us <= 1ull << FIRST_BITS)
		return 0;
	uint32_t bits = 64 - (uint32_t)__builtin_clzll(us - 1);
	uint32_t bucket = (bits - FIRST_BITS + 1) / 2;
	return bucket < STAT_KAFKA_BUCKETS ? bucket : STAT_KAFKA_BUCKETS - 1;
}

static void count_time(struct stat_kafka_times *times, uint64_t us, uint32_t bucket)
{
	stat_count(&times->us_sum, us);
	stat_count(&times->us[bucket], 1);
}

void stat_kafka_response(struct stat_kafka_api *api, struct stat_kafka_node *node, uint64_t bytes,
			 uint64_t us)
{
	uint32_t bucket = bucket_of(us);
	stat_count(&api->response_bytes, bytes);
	count_time(&api->times, us, bucket);
	if (LIKELY(node != NULL))
		count_time(&node->times, us, bucket);
}

/* 7 bits of the listener, 16 of the route, 32 of the node. */
static uint64_t key_of(uint16_t listener, uint16_t route, int32_t node)
{
	CHECK(listener <= LISTENER_MAX);
	return IS_TAKEN | (uint64_t)listener << 56 | (uint64_t)route << 32 | (uint32_t)node;
}

uint16_t stat_kafka_place(struct stat_kafka_places *places, uint16_t listener, uint16_t route,
			  int32_t node)
{
	uint64_t key = key_of(listener, route, node);
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32);
	for (uint32_t i = 0; i < STAT_KAFKA_NODES; i++) {
		uint16_t place = (uint16_t)((at + i) % STAT_KAFKA_NODES);
		uint64_t found = 0;
		if (place == STAT_KAFKA_OTHERS)
			continue;
		if (atomic_compare_exchange_strong(&places->taken[place], &found, key) ||
		    found == key)
			return place;
	}
	return STAT_KAFKA_OTHERS;
}

bool stat_kafka_place_of(const struct stat_kafka_places *places, uint16_t place,
			 struct stat_kafka_owner *ret_owner)
{
	uint64_t key = atomic_load_explicit(&places->taken[place], memory_order_relaxed);
	*ret_owner = (struct stat_kafka_owner){
		.listener = (uint16_t)(key >> 56 & LISTENER_MAX),
		.route = (uint16_t)(key >> 32),
		.node = (int32_t)(uint32_t)key,
	};
	return key != 0;
}

bool stat_kafka_has_route(const struct stat_kafka_places *places, uint16_t route)
{
	struct stat_kafka_owner owner;
	for (uint16_t place = 0; place < STAT_KAFKA_NODES; place++)
		if (stat_kafka_place_of(places, place, &owner) && owner.route == route)
			return true;
	return false;
}
