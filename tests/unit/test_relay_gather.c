/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_gather: who is left alone between two looks, and who never is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <penstock/base/clock.h>
#include <penstock/worker/relay.h>

#define TURN_NS NS_PER_US /* between two turns of a fast stream */

struct fixture {
	struct relay relay;
	struct lane lane, other;
	uint64_t now_ns;
};

static void set_up(struct fixture *f)
{
	*f = (struct fixture){ .now_ns = NS_PER_S };
	relay_queue_init(&f->relay.gathering);
	f->lane.pass = f->other.pass = RELAY_ALL;
}

/* One turn after `ns` that moved `bytes`: is the lane left alone now? */
static bool turn(struct fixture *f, uint64_t bytes, uint64_t ns)
{
	f->now_ns += ns;
	f->lane.bytes += bytes;
	return relay_gathers(&f->relay, &f->lane, &f->other, f->now_ns);
}

/* How many of `turns` equal turns leave the lane alone. */
static int left_alone(struct fixture *f, int turns, uint64_t bytes, uint64_t ns)
{
	int count = 0;

	for (int i = 0; i < turns; i++)
		count += turn(f, bytes, ns);
	return count;
}

static void test_fast_stream(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	/* It is known by its ninth turn, and stays so while each look finds enough. */
	assert_int_equal(left_alone(&f, 9, 4096, TURN_NS), 1);
	assert_int_equal(left_alone(&f, 100, 4096, RELAY_GATHER_NS), 100);
}

static void test_slow_stream(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	/* 4 KiB each 60 us: a look every 50 us would bring nothing together. */
	assert_int_equal(left_alone(&f, 100, 4096, 60 * NS_PER_US), 0);
	/* Small messages, as fast as they come. */
	assert_int_equal(left_alone(&f, 100, 16, TURN_NS), 0);
}

static void test_stream_that_slows_down(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(left_alone(&f, 9, 65536, TURN_NS), 1);
	/* Two poor looks are forgiven, the third is the last; then it is judged anew. */
	assert_int_equal(left_alone(&f, 3, 100, RELAY_GATHER_NS), 2);
	assert_int_equal(left_alone(&f, 96, 100, RELAY_GATHER_NS), 0);
	assert_int_equal(left_alone(&f, 8, 65536, TURN_NS), 1);
	assert_int_equal(left_alone(&f, 2, 100, RELAY_GATHER_NS), 2);
	assert_int_equal(left_alone(&f, 1, 4096, RELAY_GATHER_NS), 1);
	assert_int_equal(left_alone(&f, 2, 100, RELAY_GATHER_NS), 2);
}

static void test_whoever_gets_answers(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	for (int i = 0; i < 100; i++) {
		assert_false(turn(&f, 65536, TURN_NS));
		f.other.bytes++;
	}
	/* A stream that gets its first answer is waited for at once. */
	assert_int_equal(left_alone(&f, 9, 65536, TURN_NS), 1);
	f.other.bytes++;
	assert_false(turn(&f, 65536, TURN_NS));
}

static void test_never(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.lane.pass = 1 << 20; /* a brain counts frames */
	assert_int_equal(left_alone(&f, 100, 65536, TURN_NS), 0);
	set_up(&f);
	f.lane.is_source_hup = true;
	assert_int_equal(left_alone(&f, 100, 65536, TURN_NS), 0);
	set_up(&f);
	f.relay.is_eager = true;
	assert_int_equal(left_alone(&f, 100, 65536, TURN_NS), 0);
}

static void test_one_clock_for_all(void **state)
{
	struct fixture f;
	struct lane second = { .pass = RELAY_ALL }, third = { .pass = RELAY_ALL };
	uint64_t now = NS_PER_S;

	(void)state;
	set_up(&f);
	assert_null(relay_gathered(&f.relay, now));
	relay_gather(&f.relay, &f.lane, now);
	relay_gather(&f.relay, &second, now + RELAY_GATHER_NS / 2);
	relay_gather(&f.relay, &third, now + RELAY_GATHER_NS / 2);
	relay_queue_leave(&third); /* its session has ended */
	assert_int_equal(f.relay.look_ns, now + RELAY_GATHER_NS);
	assert_null(relay_gathered(&f.relay, now + RELAY_GATHER_NS - 1));
	assert_ptr_equal(relay_gathered(&f.relay, now + RELAY_GATHER_NS), &f.lane);
	assert_ptr_equal(relay_gathered(&f.relay, now + RELAY_GATHER_NS), &second);
	assert_null(relay_gathered(&f.relay, now + RELAY_GATHER_NS));
	assert_int_equal(f.relay.look_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_stream),
		cmocka_unit_test(test_slow_stream),
		cmocka_unit_test(test_stream_that_slows_down),
		cmocka_unit_test(test_whoever_gets_answers),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_one_clock_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
