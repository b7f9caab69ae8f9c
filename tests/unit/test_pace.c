/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pace: a second's worth at once, then the rate exactly, debts, and several threads at one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <pthread.h>

#include <cmocka.h>

#include <penstock/base/clock.h>
#include <penstock/base/pace.h>

#define BEGIN (1000 * NS_PER_S)

/* How many go in that time, if there are always more. */
static uint64_t flood(struct pace *pace, uint64_t rate, uint64_t size, uint64_t span_ns)
{
	uint64_t now_ns = BEGIN, count = 0;

	while (now_ns <= BEGIN + span_ns) {
		uint64_t until_ns = pace_wait(pace, now_ns);

		if (until_ns > 0) {
			assert_true(until_ns > now_ns);
			now_ns = until_ns;
			continue;
		}
		pace_take(pace, rate, size, now_ns);
		count += size;
	}
	return count;
}

static void test_rate(void **state)
{
	static const struct {
		uint64_t rate, size;
	} rows[] = { { 1, 1 },	  { 7, 1 },	      { 1000, 1 },    { 10000000, 1 },
		     { 1024, 7 }, { 1 << 20, 65536 }, { 1000, 5000 }, { 1000, 1 << 30 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pace pace = { 0 };
		/* A burst, ten seconds, and the one that goes although there is not enough left;
		 * rounding is in favour of who comes. */
		uint64_t count = flood(&pace, rows[i].rate, rows[i].size, 10 * NS_PER_S);

		assert_true(count >= 11 * rows[i].rate || count == rows[i].size);
		assert_true(count <= 11 * rows[i].rate + 2 * rows[i].size + rows[i].rate / 50);
	}
}

/* What was not used is lost, but for a second's worth. */
static void test_burst(void **state)
{
	struct pace pace = { 0 };
	uint64_t count = 0;

	(void)state;
	for (uint64_t hour = 1; hour < 5; hour++) {
		uint64_t now_ns = BEGIN + hour * 3600 * NS_PER_S;

		for (count = 0; pace_wait(&pace, now_ns) == 0; count++)
			pace_take(&pace, 50, 1, now_ns);
		assert_int_equal(count, 51);
		assert_int_equal(pace_wait(&pace, now_ns), now_ns + NS_PER_S / 50);
	}
}

/* A frame of a hundred seconds' worth goes at once, and the next waits for all of it. */
static void test_debt(void **state)
{
	struct pace pace = { 0 };

	(void)state;
	pace_take(&pace, 1 << 20, 100 << 20, BEGIN);
	assert_int_equal(pace_wait(&pace, BEGIN), BEGIN + 99 * NS_PER_S);
	assert_int_equal(pace_wait(&pace, BEGIN + 99 * NS_PER_S), 0);
	pace_take(&pace, 1ull << 40, UINT64_C(1) << 40, BEGIN); /* does not overflow */
	assert_int_equal(pace.due_ns, BEGIN + 101 * NS_PER_S);
}

#define THREADS 4
#define TAKEN	100000

static _Atomic uint64_t shared;

static void *take(void *unused)
{
	for (int i = 0; i < TAKEN; i++)
		pace_take_shared(&shared, 1000000, 1, BEGIN);
	return unused;
}

/* Nothing anybody takes is lost. */
static void test_shared(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(pace_wait_shared(&shared, BEGIN), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shared, BEGIN + THREADS * TAKEN * UINT64_C(1000));
	pace_take_shared(&shared, 1, 1, BEGIN);
	assert_int_equal(pace_wait_shared(&shared, BEGIN), shared - NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_debt),
		cmocka_unit_test(test_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
