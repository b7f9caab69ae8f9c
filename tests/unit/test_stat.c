/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stat, close, err, rng, clock and cpu: tables without holes, and the small functions.
 */
#include "unit.h"

#include <errno.h>
#include <limits.h>

#include <penstock/base/clock.h>
#include <penstock/base/cpu.h>
#include <penstock/base/err.h>
#include <penstock/base/rng.h>
#include <penstock/base/stat.h>

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < STAT_COUNT; i++) {
		assert_non_null(stat_rows[i].metric);
		assert_true(span_starts(span_str(stat_rows[i].metric), "penstock_"));
		assert_true(strcmp(stat_rows[i].type, "counter") == 0 ||
			    strcmp(stat_rows[i].type, "gauge") == 0);
		assert_true(strlen(stat_rows[i].help) > 0);
	}
	for (size_t i = 0; i < CLOSE_COUNT; i++) {
		assert_non_null(close_rows[i].name);
		assert_true(strlen(close_rows[i].text) > 0);
		assert_true(strchr("-CScsPRDKLI", close_rows[i].who) != NULL);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(close_rows[i].name, close_rows[k].name);
	}
}

static void test_counts(void **state)
{
	(void)state;
	static struct stat_block block;
	stat_add(&block, STAT_DIALS, 5);
	stat_add(&block, STAT_UNROUTED, 2);
	stat_sub(&block, STAT_UNROUTED, 1);
	assert_int_equal(stat_get(&block, STAT_DIALS), 5);
	assert_int_equal(stat_get(&block, STAT_UNROUTED), 1);
	static const struct {
		uint64_t ns;
		uint32_t bucket;
	} rows[] = { { 0, 0 },	      { 1, 0 },	       { 1000, 0 },
		     { 1001, 1 },     { 2000, 1 },     { 2001, 2 },
		     { 1024000, 10 }, { 1024001, 11 }, { UINT64_MAX, STAT_BUCKETS - 1 } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t before = block.dial_us[rows[i].bucket];
		stat_dial(&block, rows[i].ns);
		assert_int_equal(block.dial_us[rows[i].bucket], before + 1);
	}
}

static void test_kafka_times(void **state)
{
	(void)state;
	static struct stat_kafka_api api;
	static struct stat_kafka_node node;
	static const struct {
		uint64_t us;
		uint32_t bucket;
	} rows[] = { { 0, 0 },	     { 256, 0 },	{ 257, 1 },	  { 1024, 1 },
		     { 1025, 2 },    { 4096, 2 },	{ 16384, 3 },	  { 16385, 4 },
		     { 65536, 4 },   { 262144, 5 },	{ 1048576, 6 },	  { 4194304, 7 },
		     { 4194305, 8 }, { UINT32_MAX, 8 }, { UINT64_MAX, 8 } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint64_t before = api.times.us[rows[i].bucket];
		stat_kafka_response(&api, &node, 1, rows[i].us);
		assert_int_equal(api.times.us[rows[i].bucket], before + 1);
		assert_true(rows[i].us <= stat_kafka_bucket_us(rows[i].bucket));
		if (rows[i].bucket > 0)
			assert_true(rows[i].us > stat_kafka_bucket_us(rows[i].bucket - 1));
	}
	assert_int_equal(api.response_bytes, COUNT_OF(rows));
	assert_memory_equal(&node.times, &api.times, sizeof(node.times));
	stat_kafka_response(&api, NULL, 1, 0); /* of no broker that is known */
	assert_int_equal(api.times.us[0], node.times.us[0] + 1);
}

/* As many brokers as there are places have one each, always the same; all others share one. */
static void test_kafka_places(void **state)
{
	(void)state;
	static struct stat_kafka_places places;
	static bool is_taken[STAT_KAFKA_NODES];
	const int32_t brokers = (STAT_KAFKA_NODES - 1) / 3;
	/* The same nodes of two listeners, and of a route of one of them. */
	static const struct {
		uint16_t listener, route;
	} rows[] = { { 0, STAT_KAFKA_NO_ROUTE }, { 63, STAT_KAFKA_NO_ROUTE }, { 63, 8191 } };
	struct stat_kafka_owner owner;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (int32_t n = 0; n < brokers; n++) {
			uint16_t place =
				stat_kafka_place(&places, rows[i].listener, rows[i].route, n - 1);
			assert_in_range(place, 1, STAT_KAFKA_NODES - 1);
			assert_false(is_taken[place]);
			is_taken[place] = true;
			assert_int_equal(stat_kafka_place(&places, rows[i].listener, rows[i].route,
							  n - 1),
					 place);
			assert_true(stat_kafka_place_of(&places, place, &owner));
			assert_int_equal(owner.listener, rows[i].listener);
			assert_int_equal(owner.route, rows[i].route);
			assert_int_equal(owner.node, n - 1);
		}
	assert_true(stat_kafka_has_route(&places, 8191));
	assert_false(stat_kafka_has_route(&places, 0) || stat_kafka_has_route(&places, 8190));
	uint16_t last = stat_kafka_place(&places, 3, 0, INT32_MAX);
	assert_int_not_equal(last, STAT_KAFKA_OTHERS);
	assert_true(stat_kafka_has_route(&places, 0));
	assert_int_equal(stat_kafka_place(&places, 4, 0, 0), STAT_KAFKA_OTHERS);
	assert_int_not_equal(stat_kafka_place(&places, 0, STAT_KAFKA_NO_ROUTE, 0),
			     STAT_KAFKA_OTHERS);
	assert_false(stat_kafka_place_of(&places, STAT_KAFKA_OTHERS, &owner));
}

static void test_err(void **state)
{
	(void)state;
	assert_string_equal(err_text(-ECONNREFUSED), "Connection refused");
	assert_string_equal(err_text(ECONNREFUSED), "Connection refused");
	assert_non_null(err_text(-99999));
	assert_non_null(err_text(INT_MIN));
	assert_non_null(err_text(0));
}

static void test_rng(void **state)
{
	(void)state;
	struct rng rng, other;
	rng_seed(&rng, 0);
	assert_true(rng_next(&rng) == 0xe220a8397b1dcdafu); /* SplitMix64's vectors for seed 0 */
	assert_true(rng_next(&rng) == 0x6e789e6aa1b965f4u);
	uint32_t seen[7] = { 0 };
	for (uint32_t i = 0; i < 7000; i++)
		seen[rng_below(&rng, 7)]++;
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(rng_below(&rng, 1), 0);
	rng_init(&rng);
	rng_init(&other);
	assert_true(rng_next(&rng) != rng_next(&other));
}

static void test_route(void **state)
{
	struct stat_route route = { 0 };
	(void)state;
	assert_true(stat_route_enter(&route, 2));
	assert_true(stat_route_enter(&route, 2));
	assert_false(stat_route_enter(&route, 2));
	assert_int_equal(route.active, 2);
	assert_int_equal(route.total, 2);
	stat_route_leave(&route);
	assert_true(stat_route_enter(&route, 2));
	assert_int_equal(route.total, 3);
	assert_true(stat_route_enter(&route, UINT64_MAX));
	assert_int_equal(route.active, 3);
}

static void test_clock(void **state)
{
	(void)state;
	uint64_t a = clock_now_ns(), b = clock_now_ns();
	assert_true(a != 0 && b >= a);
	assert_true(clock_wall_us() > 1700000000ull * 1000000);
}

static void test_cpu(void **state)
{
	(void)state;
	struct cpu_list list;
	assert_int_equal(cpu_available(&list), 0);
	assert_true(list.count > 0);
	uint16_t first = list.cpu[0];
	assert_int_equal(cpu_pin(first), 0);
	assert_int_equal(cpu_available(&list), 0);
	assert_int_equal(list.count, 1);
	assert_true(cpu_parse("2-5,8", &list));
	static const uint16_t want[] = { 2, 3, 4, 5, 8 };
	assert_int_equal(list.count, COUNT_OF(want));
	assert_memory_equal(list.cpu, want, sizeof(want));
	assert_true(cpu_parse("0-1023", &list));
	assert_int_equal(list.count, CPU_MAX);
	static const char *const bad[] = {
		"",	 ",",	"1,",	 ",1",	   "a",
		"1-",	 "-1",	"5-2",	 "1024",   "1,1",
		"0-3,2", "1 2", "1-2-3", "0-1024", "99999999999999999999"
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (cpu_parse(bad[i], &list))
			fail_msg("%s", bad[i]);
	}
	assert_true(cpu_pin(CPU_MAX - 1) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),	    cmocka_unit_test(test_counts),
		cmocka_unit_test(test_kafka_times), cmocka_unit_test(test_kafka_places),
		cmocka_unit_test(test_err),	    cmocka_unit_test(test_rng),
		cmocka_unit_test(test_clock),	    cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_route),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
