/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail: nothing lost, nothing doubled, and no wake-up forgotten, with a fake ring whose sleeper
 * really sleeps (also under ThreadSanitizer).
 */
#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <penstock/mail.h>

/* A ring that only counts and signals. */
struct uring {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool is_woken;
	_Atomic uint32_t wakes;
	_Atomic uint32_t foreign_wakes;
};

static void ring_init(struct uring *ring)
{
	*ring = (struct uring){ .is_woken = false };
	(void)pthread_mutex_init(&ring->lock, NULL);
	(void)pthread_cond_init(&ring->cond, NULL);
}

static void ring_signal(struct uring *ring)
{
	(void)pthread_mutex_lock(&ring->lock);
	ring->is_woken = true;
	(void)pthread_cond_signal(&ring->cond);
	(void)pthread_mutex_unlock(&ring->lock);
}

/* False when nobody woke us for ten seconds: the lost wake-up this test is about. */
static bool ring_sleep(struct uring *ring)
{
	struct timespec until;
	int res = 0;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	(void)pthread_mutex_lock(&ring->lock);
	while (!ring->is_woken && res == 0)
		res = pthread_cond_timedwait(&ring->cond, &ring->lock, &until);
	bool is_woken = ring->is_woken;
	ring->is_woken = false;
	(void)pthread_mutex_unlock(&ring->lock);
	return is_woken;
}

void uring_wake(struct uring *from, struct uring *to)
{
	(void)from;
	(void)atomic_fetch_add(&to->wakes, 1);
	ring_signal(to);
}

void uring_wake_foreign(struct uring *to)
{
	(void)atomic_fetch_add(&to->foreign_wakes, 1);
	ring_signal(to);
}

static struct mail mail_of(uint64_t number)
{
	return (struct mail){ .kind = MAIL_DRAIN, .drain = { .spread_ns = number } };
}

static void test_coalescing(void **state)
{
	(void)state;
	struct mail_box box;
	struct uring ring, from;
	struct mail mail;
	ring_init(&ring);
	ring_init(&from);
	assert_int_equal(mail_box_init(&box, 8), 0);
	atomic_store(&box.ring, &ring);
	for (uint64_t i = 0; i < 8; i++) {
		mail = mail_of(i);
		assert_true(mail_send(&box, &from, &mail));
	}
	assert_false(mail_send(&box, &from, &mail)); /* full */
	assert_int_equal(ring.wakes, 1);
	mail_awake(&box);
	for (uint64_t i = 0; i < 8; i++) {
		assert_true(mail_take(&box, &mail));
		assert_int_equal(mail.kind, MAIL_DRAIN);
		assert_int_equal(mail.drain.spread_ns, i);
	}
	assert_false(mail_take(&box, &mail));
	assert_true(mail_send(&box, NULL, &mail));
	assert_int_equal(ring.wakes, 1);
	assert_int_equal(ring.foreign_wakes, 1);
	mail_wake(&box, &from);
	assert_int_equal(ring.wakes, 1); /* one is under way */
	mail_box_fini(&box);
}

static void test_before_start(void **state)
{
	(void)state;
	struct mail_box box;
	struct uring ring;
	struct mail mail = mail_of(5);
	ring_init(&ring);
	assert_int_equal(mail_box_init(&box, 4), 0);
	assert_true(mail_send(&box, NULL, &mail)); /* nobody to wake yet */
	atomic_store(&box.ring, &ring);
	mail_awake(&box);
	assert_true(mail_take(&box, &mail));
	assert_int_equal(mail.drain.spread_ns, 5);
	assert_true(mail_send(&box, NULL, &mail));
	assert_int_equal(ring.foreign_wakes, 1);
	mail_box_fini(&box);
}

static void test_route_slot(void **state)
{
	(void)state;
	struct mail_box box;
	struct uring ring;
	struct route one = { .version = 1 }, two = { .version = 2 };
	ring_init(&ring);
	assert_int_equal(mail_box_init(&box, 4), 0);
	atomic_store(&box.ring, &ring);
	assert_null(mail_take_route(&box));
	assert_null(mail_publish(&box, NULL, &one));
	assert_ptr_equal(mail_publish(&box, NULL, &two), &one);
	assert_int_equal(ring.foreign_wakes, 1);
	assert_ptr_equal(mail_take_route(&box), &two);
	assert_null(mail_take_route(&box));
	assert_null(mail_publish(&box, NULL, &one));
	mail_box_fini(&box);
}

static void test_office(void **state)
{
	(void)state;
	struct mail_office office;
	assert_int_equal(mail_office_init(&office, 3), 0);
	assert_int_equal(office.worker_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal((uintptr_t)&office.workers[i] % CACHE_LINE, 0);
		assert_int_equal((uintptr_t)&office.loads[i] % CACHE_LINE, 0);
		assert_int_equal((uintptr_t)office.stats[i] % CACHE_LINE, 0);
		assert_int_equal(office.stats[i]->heartbeat_ns, 0);
		struct mail mail = mail_of(i);
		for (uint32_t n = 0; n < 1024; n++)
			assert_true(mail_send(&office.workers[i], NULL, &mail));
		assert_false(mail_send(&office.workers[i], NULL, &mail));
	}
	mail_office_fini(&office);
	mail_office_fini(&office);
}

#define SENDERS	   3
#define PER_SENDER 20000

struct traffic {
	struct mail_box box;
	struct uring ring;
	struct route routes[PER_SENDER];
	uint64_t published_twice; /* snapshots that came back unread */
};

struct sender {
	pthread_t thread;
	struct traffic *traffic;
	uint64_t number;
};

/* The first sender also publishes snapshots; now and then everybody lets the receiver sleep. */
static void *send_all(void *context)
{
	struct sender *self = context;
	struct traffic *traffic = self->traffic;
	for (uint64_t i = 0; i < PER_SENDER; i++) {
		struct mail mail = mail_of(self->number << 32 | i);
		if (self->number == 0 &&
		    mail_publish(&traffic->box, NULL, &traffic->routes[i]) != NULL)
			traffic->published_twice++;
		while (!mail_send(&traffic->box, NULL, &mail))
			(void)sched_yield();
		if (i % 64 == 0)
			(void)sched_yield();
	}
	return NULL;
}

static void test_no_lost_wake(void **state)
{
	(void)state;
	static struct traffic traffic;
	struct sender senders[SENDERS];
	uint64_t next[SENDERS] = { 0 }, taken = 0, routes_taken = 0;
	struct route *newest = NULL;
	assert_int_equal(mail_box_init(&traffic.box, 16), 0);
	ring_init(&traffic.ring);
	for (uint64_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ .traffic = &traffic, .number = i };
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]),
				 0);
	}
	(void)sched_yield();
	atomic_store(&traffic.box.ring, &traffic.ring); /* starts late, as a worker does */
	for (;;) {
		struct mail mail;
		struct route *route;
		mail_awake(&traffic.box);
		while (mail_take(&traffic.box, &mail)) {
			uint64_t sender = mail.drain.spread_ns >> 32;
			assert_true(sender < SENDERS);
			assert_int_equal(mail.drain.spread_ns & UINT32_MAX, next[sender]++);
			taken++;
		}
		while ((route = mail_take_route(&traffic.box)) != NULL) {
			assert_true(newest == NULL || route > newest);
			newest = route;
			routes_taken++;
		}
		if (taken == SENDERS * PER_SENDER && newest == &traffic.routes[PER_SENDER - 1])
			break;
		assert_true(ring_sleep(&traffic.ring));
	}
	for (size_t i = 0; i < SENDERS; i++)
		(void)pthread_join(senders[i].thread, NULL);
	assert_int_equal(routes_taken + traffic.published_twice, PER_SENDER);
	mail_box_fini(&traffic.box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coalescing),   cmocka_unit_test(test_before_start),
		cmocka_unit_test(test_route_slot),   cmocka_unit_test(test_office),
		cmocka_unit_test(test_no_lost_wake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
