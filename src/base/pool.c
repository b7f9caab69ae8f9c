/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Objects of one size in one mapping. An object is found by its index and the other way round, and
 * the mapping stays until pool_fini: a completion that arrives after its object was put may still
 * read the object's generation, find it changed, and be dropped.
 *
 *     base                      fresh * size              capacity * size
 *     | handed out or in free_list | never touched: no memory behind it |
 */
#include <penstock/base/pool.h>

#include <errno.h>
#include <sys/mman.h>

/* Small objects are packed by 16 (every type's alignment), larger ones get lines of their own. */
static size_t padded(size_t size)
{
	size_t unit = size < CACHE_LINE ? 16 : CACHE_LINE;
	return (size + unit - 1) / unit * unit;
}

/* NORESERVE: sized for the worst case of the configuration, of which most is never touched. */
static void *map(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

int pool_init(struct pool *pool, size_t size, uint32_t capacity)
{
	*pool = (struct pool){ .size = padded(size), .capacity = capacity };
	if (capacity == 0)
		return 0;
	size_t bytes;
	CHECK(size > 0);
	if (__builtin_mul_overflow(pool->size, (size_t)capacity, &bytes))
		return -ENOMEM;
	pool->base = map(bytes);
	pool->free_list = map(capacity * sizeof(pool->free_list[0]));
	if (pool->base != NULL && pool->free_list != NULL)
		return 0;
	pool_fini(pool);
	return -ENOMEM;
}

void pool_fini(struct pool *pool)
{
	if (pool->base != NULL)
		(void)munmap(pool->base, pool->size * pool->capacity);
	if (pool->free_list != NULL)
		(void)munmap(pool->free_list, pool->capacity * sizeof(pool->free_list[0]));
	*pool = (struct pool){ .size = pool->size };
}

void *pool_get(struct pool *pool)
{
	uint32_t index;
	if (pool->free_count > 0)
		index = pool->free_list[--pool->free_count];
	else if (pool->fresh < pool->capacity)
		index = pool->fresh++;
	else
		return NULL;
	pool->in_use++;
	if (pool->trimmed > pool->free_count)
		pool->trimmed = pool->free_count;
	return pool->base + pool->size * index;
}

void pool_put(struct pool *pool, void *object)
{
	uint32_t index = pool_index(pool, object);
	CHECK(pool->in_use > 0);
	CHECK(pool->free_count < pool->fresh);
	pool->in_use--;
	pool->free_list[pool->free_count++] = index;
}

void pool_trim(struct pool *pool, uint32_t keep)
{
	CHECK(pool->size % PAGE_BYTES == 0);
	while (pool->free_count > keep && pool->trimmed < pool->free_count - keep) {
		uint8_t *object = pool->base + pool->size * pool->free_list[pool->trimmed++];
		(void)madvise(object, pool->size, MADV_DONTNEED);
	}
}

uint32_t pool_index(const struct pool *pool, const void *object)
{
	size_t offset = (size_t)((const uint8_t *)object - pool->base);
	CHECK(offset % pool->size == 0);
	CHECK(offset / pool->size < pool->fresh);
	return (uint32_t)(offset / pool->size);
}

void *pool_at(const struct pool *pool, uint32_t index)
{
	CHECK(index < pool->fresh);
	return pool->base + pool->size * index;
}
