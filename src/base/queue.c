/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A ring of cells, each with a sequence number that says whose turn it is (Vyukov, "Bounded MPMC
 * queue", 1024cores.net), with the consumer's side reduced to one thread:
 *
 *     sequence == position                 free: the producer that wins `tail` may fill it
 *     sequence == position + 1             filled: the consumer may take it
 *     sequence == position + capacity      taken: free for the next lap
 *
 * The release store of the sequence carries the item from producer to consumer and the empty cell
 * back. Positions are 32 bits and wrap; only their differences count.
 */
#include <penstock/base/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cell {
	_Atomic uint32_t sequence;
	_Alignas(8) uint8_t item[];
};

static struct cell *cell_at(const struct queue *queue, uint32_t position)
{
	return (void *)(queue->cells + queue->cell_size * (position & queue->mask));
}

int queue_init(struct queue *queue, size_t item_size, uint32_t capacity)
{
	/* With one cell `filled` and `free for the next lap` would be one number. */
	CHECK(capacity >= 2 && (capacity & (capacity - 1)) == 0 && capacity <= UINT32_MAX / 4);
	size_t cell_size = (sizeof(struct cell) + item_size + 7) / 8 * 8;
	*queue = (struct queue){
		.cells = calloc(capacity, cell_size),
		.cell_size = cell_size,
		.item_size = item_size,
		.mask = capacity - 1,
	};
	if (queue->cells == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < capacity; i++)
		atomic_init(&cell_at(queue, i)->sequence, i);
	return 0;
}

void queue_fini(struct queue *queue)
{
	free(queue->cells);
	queue->cells = NULL;
}

bool queue_put(struct queue *queue, const void *item)
{
	uint32_t position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
	struct cell *cell;
	for (;;) {
		cell = cell_at(queue, position);
		uint32_t seq = atomic_load_explicit(&cell->sequence, memory_order_acquire);
		int32_t ahead = (int32_t)(seq - position);
		if (ahead < 0)
			return false; /* not taken since the last lap: full */
		if (ahead > 0) {
			position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&queue->tail, &position, position + 1,
							  memory_order_relaxed,
							  memory_order_relaxed))
			break;
	}
	memcpy(cell->item, item, queue->item_size);
	atomic_store_explicit(&cell->sequence, position + 1, memory_order_release);
	return true;
}

bool queue_take(struct queue *queue, void *ret_item)
{
	struct cell *cell = cell_at(queue, queue->head);
	uint32_t seq = atomic_load_explicit(&cell->sequence, memory_order_acquire);
	if (seq != queue->head + 1)
		return false; /* empty, or its producer has not finished: it will wake us */
	memcpy(ret_item, cell->item, queue->item_size);
	atomic_store_explicit(&cell->sequence, queue->head + queue->mask + 1, memory_order_release);
	queue->head++;
	return true;
}
