/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool: bounds, order, and that an object keeps its bytes from put to get.
 */
#include "unit.h"

#include <penstock/base/pool.h>

struct object {
	uint32_t generation;
	char bytes[96];
};

static void test_bounds(void **state)
{
	(void)state;
	struct pool pool;
	void *objects[5];
	assert_int_equal(pool_init(&pool, sizeof(struct object), 5), 0);
	assert_int_equal(pool.size % CACHE_LINE, 0);
	for (size_t i = 0; i < 5; i++) {
		objects[i] = pool_get(&pool);
		assert_non_null(objects[i]);
		assert_int_equal(pool_index(&pool, objects[i]), i);
		assert_ptr_equal(pool_at(&pool, (uint32_t)i), objects[i]);
		assert_int_equal((uintptr_t)objects[i] % 16, 0);
	}
	assert_null(pool_get(&pool));
	assert_int_equal(pool.in_use, 5);
	pool_put(&pool, objects[1]);
	pool_put(&pool, objects[3]);
	assert_ptr_equal(pool_get(&pool), objects[3]); /* the last one put is the warmest */
	assert_ptr_equal(pool_get(&pool), objects[1]);
	assert_null(pool_get(&pool));
	pool_fini(&pool);
	assert_null(pool_get(&pool));
}

static void test_generation_survives(void **state)
{
	(void)state;
	struct pool pool;
	assert_int_equal(pool_init(&pool, sizeof(struct object), 4), 0);
	struct object *object = pool_get(&pool);
	assert_int_equal(object->generation, 0);
	for (uint32_t i = 1; i < 100; i++) {
		object->generation++;
		pool_put(&pool, object);
		assert_int_equal(((struct object *)pool_at(&pool, 0))->generation, i);
		assert_ptr_equal(pool_get(&pool), object);
		assert_int_equal(object->generation, i);
	}
	pool_fini(&pool);
}

/* What a burst has touched is given back, but for the warmest; what is handed out stays as it is.
 */
static void test_trim(void **state)
{
	(void)state;
	struct pool pool;
	uint8_t *objects[6];
	assert_int_equal(pool_init(&pool, PAGE_BYTES, 6), 0);
	for (size_t i = 0; i < 6; i++) {
		objects[i] = pool_get(&pool);
		memset(objects[i], 'x', PAGE_BYTES);
	}
	for (size_t i = 0; i < 5; i++)
		pool_put(&pool, objects[i]);
	for (int again = 0; again < 2; again++) {
		pool_trim(&pool, 2);
		assert_int_equal(pool.trimmed, 3);
		for (size_t i = 0; i < 6; i++)
			assert_int_equal(objects[i][PAGE_BYTES - 1], i < 3 ? 0 : 'x');
	}
	for (size_t i = 5; i-- > 2;) /* the warm ones first, then one that was given back */
		assert_ptr_equal(pool_get(&pool), objects[i]);
	assert_int_equal(pool.trimmed, 2);
	memset(objects[2], 'y', PAGE_BYTES);
	pool_put(&pool, objects[2]);
	pool_trim(&pool, 1);
	assert_int_equal(objects[2][0], 'y');
	pool_trim(&pool, 9);
	assert_int_equal(objects[2][0], 'y');
	pool_trim(&pool, 0);
	assert_int_equal(objects[2][0], 0);
	pool_fini(&pool);
}

static void test_sizes(void **state)
{
	(void)state;
	struct pool pool;
	assert_int_equal(pool_init(&pool, 1, 0), 0);
	assert_null(pool_get(&pool));
	pool_fini(&pool);
	/* A terabyte that is never touched costs nothing. */
	assert_int_equal(pool_init(&pool, 1u << 20, 1u << 20), 0);
	assert_non_null(pool_get(&pool));
	pool_fini(&pool);
	assert_true(pool_init(&pool, SIZE_MAX / 4, 64) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_generation_survives),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
