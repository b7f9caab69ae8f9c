/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * queue: full, empty, around the end of its positions, and many producers at once (also under
 * ThreadSanitizer).
 */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include <penstock/base/queue.h>

struct item {
	uint32_t producer;
	uint32_t number;
	uint64_t check;
};

#define PRODUCERS    4
#define PER_PRODUCER 50000

static void test_bounds(void **state)
{
	(void)state;
	struct queue queue;
	uint64_t item = 0;
	assert_int_equal(queue_init(&queue, sizeof(item), 8), 0);
	assert_false(queue_take(&queue, &item));
	for (uint64_t lap = 0; lap < 5; lap++) {
		for (uint64_t i = 0; i < 8; i++) {
			item = lap * 100 + i;
			assert_true(queue_put(&queue, &item));
		}
		assert_false(queue_put(&queue, &item));
		for (uint64_t i = 0; i < 8; i++) {
			assert_true(queue_take(&queue, &item));
			assert_int_equal(item, lap * 100 + i);
		}
		assert_false(queue_take(&queue, &item));
	}
	queue_fini(&queue);
	assert_int_equal(queue_init(&queue, 3, 2), 0); /* the least, odd-sized */
	assert_true(queue_put(&queue, "abc"));
	assert_true(queue_put(&queue, "abc"));
	assert_false(queue_put(&queue, "abc"));
	queue_fini(&queue);
}

static void test_wrap(void **state)
{
	(void)state;
	struct queue queue;
	uint32_t item;
	assert_int_equal(queue_init(&queue, sizeof(item), 4), 0);
	/* As after 2^32 - 2 messages. */
	struct {
		_Atomic uint32_t sequence;
	} * cell;
	uint32_t start = UINT32_MAX - 1;
	for (uint32_t i = 0; i < 4; i++) {
		cell = (void *)(queue.cells + queue.cell_size * ((start + i) & queue.mask));
		atomic_store(&cell->sequence, start + i);
	}
	atomic_store(&queue.tail, start);
	queue.head = start;
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(queue_put(&queue, &i));
		assert_true(queue_take(&queue, &item));
		assert_int_equal(item, i);
	}
	queue_fini(&queue);
}

struct producer {
	pthread_t thread;
	struct queue *queue;
	uint32_t number;
};

static void *produce(void *context)
{
	struct producer *self = context;
	for (uint32_t i = 0; i < PER_PRODUCER; i++) {
		struct item item = { self->number, i, ((uint64_t)self->number << 32 | i) * 31 };
		while (!queue_put(self->queue, &item))
			(void)sched_yield();
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	struct queue queue;
	struct producer producers[PRODUCERS];
	uint32_t next[PRODUCERS] = { 0 };
	assert_int_equal(queue_init(&queue, sizeof(struct item), 64), 0);
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){ .queue = &queue, .number = i };
		assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]),
				 0);
	}
	for (uint32_t taken = 0; taken < PRODUCERS * PER_PRODUCER;) {
		struct item item;
		if (!queue_take(&queue, &item)) {
			(void)sched_yield();
			continue;
		}
		taken++;
		assert_true(item.producer < PRODUCERS);
		assert_int_equal(item.number, next[item.producer]++); /* in order, none lost */
		assert_true(item.check == ((uint64_t)item.producer << 32 | item.number) * 31);
	}
	for (uint32_t i = 0; i < PRODUCERS; i++)
		(void)pthread_join(producers[i].thread, NULL);
	struct item item;
	assert_false(queue_take(&queue, &item));
	queue_fini(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
