/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_memory: wolfSSL's heap: malloc with a count and a bound. An allocation past the bound fails,
 * and with it one handshake (tls_no_memory), not the process. Every block carries its size in
 * front.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <stdlib.h>

#include "tls_priv.h"

/* As large as malloc's own alignment, so that what follows is aligned for every type. */
union head {
	size_t size;
	max_align_t align;
};

static _Atomic size_t used, peak;
static _Atomic uint64_t refused;
static _Thread_local uint64_t refused_here;
static size_t most;

static bool take(size_t size)
{
	size_t now = atomic_fetch_add_explicit(&used, size, memory_order_relaxed) + size;

	if (UNLIKELY(now > most)) {
		atomic_fetch_sub_explicit(&used, size, memory_order_relaxed);
		atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
		refused_here++;
		return false;
	}

	size_t old = atomic_load_explicit(&peak, memory_order_relaxed);

	while (now > old &&
	       !atomic_compare_exchange_weak_explicit(&peak, &old, now, memory_order_relaxed,
						      memory_order_relaxed))
		;
	return true;
}

static void give_back(size_t size)
{
	atomic_fetch_sub_explicit(&used, size, memory_order_relaxed);
}

static void *get(size_t size)
{
	if (size > SIZE_MAX - sizeof(union head) || !take(size))
		return NULL;

	union head *head = malloc(sizeof(*head) + size);

	if (head == NULL) {
		give_back(size);
		return NULL;
	}
	head->size = size;
	return head + 1;
}

static void put(void *block)
{
	if (block == NULL)
		return;

	union head *head = (union head *)block - 1;

	give_back(head->size);
	free(head);
}

static void *resize(void *block, size_t size)
{
	if (block == NULL)
		return get(size);

	size_t old_size = ((union head *)block - 1)->size;
	void *copy = get(size);

	if (copy == NULL)
		return NULL;
	memcpy(copy, block, old_size < size ? old_size : size);
	put(block);
	return copy;
}

int tls_memory_init(size_t memory_max)
{
	most = memory_max;
	return wolfSSL_SetAllocators(get, put, resize) == 0 ? 0 : -1;
}

bool tls_memory_is_scarce(void)
{
	return atomic_load_explicit(&used, memory_order_relaxed) > most / 2;
}

uint64_t tls_memory_refused(void)
{
	return refused_here;
}

void tls_memory(struct tls_memory *ret_memory)
{
	*ret_memory = (struct tls_memory){
		.used = atomic_load_explicit(&used, memory_order_relaxed),
		.peak = atomic_load_explicit(&peak, memory_order_relaxed),
		.most = most,
		.refused = atomic_load_explicit(&refused, memory_order_relaxed),
	};
}
