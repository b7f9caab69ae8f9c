/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tally: open addressing with linear probing inside a stripe; a removed entry is filled by moving
 * later ones of its run back, so a run never has holes and a search ends at the first empty slot.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <penstock/base/tally.h>

struct tally_slot {
	uint8_t ip[16];
	uint32_t count; /* 0: empty */
};

struct tally_stripe {
	pthread_mutex_t lock;
	uint32_t used;
	struct tally_slot slots[TALLY_SLOTS];
};

struct tally {
	struct tally_stripe stripes[TALLY_STRIPES];
};

struct tally *tally_new(void)
{
	/* Big enough to come from mmap: zero pages that cost memory once they are touched. */
	struct tally *tally = calloc(1, sizeof(*tally));

	for (uint32_t i = 0; tally != NULL && i < TALLY_STRIPES; i++)
		(void)pthread_mutex_init(&tally->stripes[i].lock, NULL);
	return tally;
}

void tally_free(struct tally *tally)
{
	free(tally);
}

static uint64_t hash_of(const uint8_t ip[16])
{
	return span_hash(span_of(ip, 16), 0);
}

static struct tally_stripe *stripe_of(struct tally *tally, uint64_t hash)
{
	return &tally->stripes[(hash >> 32) % TALLY_STRIPES];
}

/* The address's slot, or the empty one where it would go. */
static uint32_t find(const struct tally_stripe *stripe, const uint8_t ip[16], uint64_t hash)
{
	uint32_t at = (uint32_t)hash % TALLY_SLOTS;

	while (stripe->slots[at].count != 0 && memcmp(stripe->slots[at].ip, ip, 16) != 0)
		at = (at + 1) % TALLY_SLOTS;
	return at;
}

bool tally_add(struct tally *tally, const struct addr *addr, uint64_t most)
{
	uint64_t hash = hash_of(addr->ip);
	struct tally_stripe *stripe = stripe_of(tally, hash);
	bool is_counted = false;

	(void)pthread_mutex_lock(&stripe->lock);
	struct tally_slot *slot = &stripe->slots[find(stripe, addr->ip, hash)];

	/* One slot stays empty, so that every search ends. */
	if (slot->count < most && (slot->count > 0 || stripe->used < TALLY_SLOTS - 1)) {
		if (slot->count == 0) {
			memcpy(slot->ip, addr->ip, 16);
			stripe->used++;
		}
		slot->count++;
		is_counted = true;
	}
	(void)pthread_mutex_unlock(&stripe->lock);
	return is_counted;
}

/* Moves entries that an emptied slot would cut off from their home. */
static void close_gap(struct tally_stripe *stripe, uint32_t gap)
{
	uint32_t at = gap;

	for (;;) {
		at = (at + 1) % TALLY_SLOTS;
		if (stripe->slots[at].count == 0)
			return;
		uint32_t home = (uint32_t)hash_of(stripe->slots[at].ip) % TALLY_SLOTS;
		uint32_t from_home = (at - home) % TALLY_SLOTS;
		uint32_t from_gap = (at - gap) % TALLY_SLOTS;

		if (from_home < from_gap)
			continue;
		stripe->slots[gap] = stripe->slots[at];
		stripe->slots[at].count = 0;
		gap = at;
	}
}

void tally_remove(struct tally *tally, const struct addr *addr)
{
	uint64_t hash = hash_of(addr->ip);
	struct tally_stripe *stripe = stripe_of(tally, hash);

	(void)pthread_mutex_lock(&stripe->lock);
	uint32_t at = find(stripe, addr->ip, hash);

	CHECK(stripe->slots[at].count > 0);
	if (--stripe->slots[at].count == 0) {
		stripe->used--;
		close_gap(stripe, at);
	}
	(void)pthread_mutex_unlock(&stripe->lock);
}
