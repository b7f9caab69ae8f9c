/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool: a fixed number of equal objects, mapped once, handed out last-in first-out so that hot
 * objects stay in cache. Untouched objects cost address space only. The memory is not given
 * back but by pool_trim, and an object keeps its bytes between put and get: a generation counter
 * inside it survives, which is how a late completion is told from a live one (uring.h).
 * Thread:   one
 * Memory:   capacity * size, mapped by pool_init
 * Errors:   pool_get answers NULL when all are out; the caller waits or refuses
 */
#pragma once

#include <penstock/base/check.h>

#define PAGE_BYTES 4096u

struct pool {
	uint8_t *base;
	uint32_t *free_list; /* indexes of free objects that were used before */
	uint32_t free_count;
	uint32_t trimmed; /* of free_list, from its beginning: objects with no memory behind them */
	uint32_t fresh;	  /* objects from here on were never handed out */
	uint32_t capacity;
	uint32_t in_use;
	size_t size;
};

/* 0 or -ENOMEM. */
MUST_USE int pool_init(struct pool *pool, size_t size, uint32_t capacity);
void pool_fini(struct pool *pool);
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *object);
/* Gives the memory of free objects back to the kernel, but for the `keep` warmest: what a burst has
 * touched does not stay for good. Their bytes are 0 then. Only for objects of whole pages whose
 * bytes mean nothing while they are free. */
void pool_trim(struct pool *pool, uint32_t keep);
uint32_t pool_index(const struct pool *pool, const void *object);
/* The object at an index below `fresh`, handed out or not: for walks and late completions. */
void *pool_at(const struct pool *pool, uint32_t index);
