/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * queue: a bounded queue with many producers and one consumer (D. Vyukov's sequence-number ring).
 * Thread:   queue_put from any thread, queue_take from one
 * Memory:   capacity * item size, allocated by queue_init
 * Errors:   queue_put answers false when full; nothing blocks
 */
#pragma once

#include <stdatomic.h>

#include <penstock/base/check.h>

struct queue {
	uint8_t *cells;
	size_t cell_size;
	size_t item_size;
	uint32_t mask;
	_Alignas(CACHE_LINE) _Atomic uint32_t tail;
	_Alignas(CACHE_LINE) uint32_t head;
};

/* capacity: a power of two, at least 2. 0 or -ENOMEM. */
MUST_USE int queue_init(struct queue *queue, size_t item_size, uint32_t capacity);
void queue_fini(struct queue *queue);
MUST_USE bool queue_put(struct queue *queue, const void *item);
MUST_USE bool queue_take(struct queue *queue, void *ret_item);
