/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tally: limits hold per address, removal keeps every other count, a full stripe refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <penstock/base/rng.h>
#include <penstock/base/tally.h>

static void test_limit(void **state)
{
	struct tally *tally = tally_new();
	const struct addr a = addr_v4(0x0a000001, 1), same = addr_v4(0x0a000001, 2);
	const struct addr b = addr_v4(0x0a000002, 1);

	(void)state;
	assert_true(tally_add(tally, &a, 2));
	assert_true(tally_add(tally, &same, 2));
	assert_false(tally_add(tally, &a, 2));
	assert_true(tally_add(tally, &b, 2));
	tally_remove(tally, &same);
	assert_true(tally_add(tally, &a, 2));
	assert_false(tally_add(tally, &a, 2));
	tally_free(tally);
}

/* Against a plain array, with enough addresses for long runs and wrap-around. */
static void test_model(void **state)
{
	enum { ADDRS = 60000, STEPS = 400000, MOST = 3 };
	struct tally *tally = tally_new();
	uint8_t *model = calloc(ADDRS, 1);
	struct rng rng;

	(void)state;
	rng_seed(&rng, 7);
	for (int i = 0; i < STEPS; i++) {
		uint32_t n = (uint32_t)rng_below(&rng, ADDRS);
		const struct addr addr = addr_v4(0x0a000000 + n, 0);

		if (rng_below(&rng, 2) == 0 && model[n] > 0) {
			tally_remove(tally, &addr);
			model[n]--;
		} else {
			assert_int_equal(tally_add(tally, &addr, MOST), model[n] < MOST);
			model[n] = (uint8_t)(model[n] < MOST ? model[n] + 1 : MOST);
		}
	}
	for (uint32_t n = 0; n < ADDRS; n++) {
		const struct addr addr = addr_v4(0x0a000000 + n, 0);

		while (model[n]-- > 0)
			tally_remove(tally, &addr);
		assert_false(tally_add(tally, &addr, 0));
	}
	free(model);
	tally_free(tally);
}

static void test_full(void **state)
{
	struct tally *tally = tally_new();
	uint32_t added = 0;

	(void)state;
	for (uint32_t n = 0; n < TALLY_STRIPES * TALLY_SLOTS * 3; n++) {
		const struct addr addr = addr_v4(n, 0);

		added += tally_add(tally, &addr, 1);
	}
	assert_int_equal(added, TALLY_STRIPES * (TALLY_SLOTS - 1));
	tally_free(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
