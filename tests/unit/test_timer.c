/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * timer: never early, at most a slot late, and a long random run held against a plain list.
 */
#include "unit.h"

#include <penstock/base/clock.h>
#include <penstock/base/rng.h>
#include <penstock/base/timer.h>

struct watch {
	struct timer timer;
	uint64_t want; /* 0: not set */
	uint32_t fired;
};

static uint64_t now;
static struct timer_wheel wheel;

static void on_fire(struct timer *timer)
{
	struct watch *watch = CONTAINER_OF(timer, struct watch, timer);
	assert_false(timer_is_set(timer));
	assert_true(watch->want != 0);
	assert_true(watch->want <= now);
	watch->want = 0;
	watch->fired++;
}

static void set(struct watch *watch, uint64_t deadline)
{
	watch->want = deadline;
	timer_set(&wheel, &watch->timer, deadline, on_fire);
}

static void test_one(void **state)
{
	(void)state;
	static const uint64_t delays[] = {
		1,	  TIMER_SLOT_NS - 1, TIMER_SLOT_NS, TIMER_SLOT_NS + 1,
		NS_PER_S, 8 * NS_PER_S,	     9 * NS_PER_S,  3600 * NS_PER_S
	};
	for (size_t i = 0; i < COUNT_OF(delays); i++) {
		struct watch watch = { 0 };
		now = 123456789;
		timer_wheel_init(&wheel, now);
		assert_int_equal(timer_next_ns(&wheel), 0);
		uint64_t deadline = now + delays[i];
		set(&watch, deadline);
		/* Sleeping as told, it fires in the slot after its deadline. */
		for (uint32_t wakes = 0; watch.fired == 0; wakes++) {
			uint64_t next = timer_next_ns(&wheel);
			assert_true(next != 0 && next <= deadline + TIMER_SLOT_NS);
			assert_true(wakes < 1000);
			if (next > now)
				now = next;
			(void)timer_run(&wheel, now, 10);
		}
		assert_true(now >= deadline && now <= deadline + TIMER_SLOT_NS);
		assert_int_equal(wheel.count, 0);
		assert_int_equal(timer_next_ns(&wheel), 0);
	}
}

static void test_past_and_clear(void **state)
{
	(void)state;
	struct watch a = { 0 }, b = { 0 };
	now = NS_PER_S;
	timer_wheel_init(&wheel, now);
	set(&a, now - 5);
	set(&b, 1);
	assert_true(timer_next_ns(&wheel) <= now);
	timer_clear(&wheel, &a.timer);
	timer_clear(&wheel, &a.timer);
	assert_false(timer_is_set(&a.timer));
	assert_int_equal(timer_run(&wheel, now, 10), 1);
	assert_int_equal(b.fired, 1);
	set(&a, now + NS_PER_S);
	set(&a, now + 20 * NS_PER_S); /* moves */
	assert_int_equal(wheel.count, 1);
	now += 2 * NS_PER_S;
	assert_int_equal(timer_run(&wheel, now, 10), 0);
	timer_clear(&wheel, &a.timer);
	assert_int_equal(timer_next_ns(&wheel), 0);
}

static void on_again(struct timer *timer)
{
	struct watch *watch = CONTAINER_OF(timer, struct watch, timer);
	watch->fired++;
	timer_set(&wheel, timer, 1, on_again); /* in the past, for ever */
}

static void test_again(void **state)
{
	(void)state;
	struct watch watch = { 0 };
	now = NS_PER_S;
	timer_wheel_init(&wheel, now);
	timer_set(&wheel, &watch.timer, now + 1, on_again);
	now += NS_PER_S;
	assert_int_equal(timer_run(&wheel, now, 1000), 1); /* the next one is for the next call */
	assert_int_equal(timer_run(&wheel, now, 1000), 1);
	timer_clear(&wheel, &watch.timer);
	assert_int_equal(wheel.count, 0);
}

static struct watch victim;

static void on_kill(struct timer *timer)
{
	(void)timer;
	timer_clear(&wheel, &victim.timer);
	victim.want = 0;
}

static void test_clear_in_callback(void **state)
{
	(void)state;
	struct timer killer = { 0 };
	now = NS_PER_S;
	timer_wheel_init(&wheel, now);
	victim = (struct watch){ 0 };
	set(&victim, now + 1);
	timer_set(&wheel, &killer, now + 1, on_kill); /* fires first: the same list, last in */
	now += NS_PER_S;
	(void)timer_run(&wheel, now, 10);
	assert_int_equal(victim.fired, 0);
	assert_int_equal(wheel.count, 0);
}

static void test_most(void **state)
{
	(void)state;
	static struct watch many[1000];
	now = NS_PER_S;
	timer_wheel_init(&wheel, now);
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < COUNT_OF(many); i++)
		set(&many[i], now + NS_PER_S);
	now += 5 * NS_PER_S;
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(timer_run(&wheel, now, 100), 100);
		assert_int_equal(wheel.count, 900 - 100 * i);
		assert_true(i == 9 || timer_next_ns(&wheel) <= now);
	}
	assert_int_equal(timer_run(&wheel, now, 100), 0);
}

static void random_step(struct rng *rng, struct watch *all, size_t count)
{
	struct watch *watch = &all[rng_below(rng, count)];
	switch (rng_below(rng, 4)) {
	case 0:
		timer_clear(&wheel, &watch->timer);
		watch->want = 0;
		break;
	case 1:
		set(watch, now + rng_below(rng, 60 * NS_PER_S));
		break;
	default:
		set(watch, now - now / 2 + rng_below(rng, now));
		break;
	}
}

static void test_random(void **state)
{
	(void)state;
	static struct watch all[300];
	struct rng rng;
	rng_seed(&rng, 7);
	now = 50 * NS_PER_S;
	memset(all, 0, sizeof(all));
	timer_wheel_init(&wheel, now);
	for (uint32_t turn = 0; turn < 5000; turn++) {
		for (uint64_t n = rng_below(&rng, 8); n > 0; n--)
			random_step(&rng, all, COUNT_OF(all));
		uint64_t gap = rng_below(&rng, 100) == 0 ? 30 * NS_PER_S : 20 * NS_PER_MS;
		now += rng_below(&rng, gap);
		uint32_t most = rng_below(&rng, 3) == 0 ? 3 : UINT32_MAX;
		uint32_t fired = timer_run(&wheel, now, most);
		assert_true(fired <= most);
		uint32_t set_count = 0;
		for (size_t i = 0; i < COUNT_OF(all); i++) {
			set_count += all[i].want != 0;
			assert_int_equal(all[i].want != 0, timer_is_set(&all[i].timer));
			if (fired < most && all[i].want != 0)
				assert_true(all[i].want + TIMER_SLOT_NS > now);
		}
		assert_int_equal(set_count, wheel.count);
		for (size_t i = 0; i < TIMER_SLOTS; i++)
			assert_int_equal(wheel.used[i / 64] >> (i % 64) & 1, wheel.slot[i] != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),   cmocka_unit_test(test_past_and_clear),
		cmocka_unit_test(test_again), cmocka_unit_test(test_clear_in_callback),
		cmocka_unit_test(test_most),  cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
