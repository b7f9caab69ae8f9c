/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route_topic and route_allow: Pulsar's hash on its own vectors, topic names, host patterns.
 */
#include "unit.h"

#include <penstock/route.h>

static void test_hash(void **state)
{
	(void)state;
	/* Of java.util.zip.CRC32, which brokers use; the first is CRC-32's own check value. */
	static const struct {
		const char *text;
		uint32_t hash;
	} rows[] = {
		{ "123456789", 0xcbf43926 },
		{ "persistent://public/default/my-topic", 0x2bad45f7 },
		{ "persistent://public/default/test-topic-partition-0", 0x5f628afd },
		{ "non-persistent://t/n/x", 0x4870e692 },
		{ "", 0 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(route_topic_hash(span_str(rows[i].text)), rows[i].hash);
}

static void test_namespace(void **state)
{
	(void)state;
	struct span ns;
	assert_true(route_topic_namespace(span_str("persistent://public/default/t"), &ns));
	assert_span(ns, "public/default");
	assert_true(route_topic_namespace(span_str("non-persistent://a/b/c"), &ns));
	assert_span(ns, "a/b");
	static const char *const bad[] = { "",
					   "t",
					   "public/default/t",
					   "persistent://",
					   "persistent://a",
					   "persistent://a/b",
					   "persistent://a/b/",
					   "persistent://a//c",
					   "persistent:///b/c",
					   "persistent://prop/cluster/ns/t",
					   "topic://a/b/c",
					   "Persistent://a/b/c" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (route_topic_namespace(span_str(bad[i]), &ns))
			fail_msg("%s", bad[i]);
	}
}

static void test_host_matches(void **state)
{
	(void)state;
	static const struct {
		const char *host, *pattern;
		bool want;
	} rows[] = {
		{ "a.example", "a.example", true },
		{ "A.Example", "a.eXample", true },
		{ "a.example.", "a.example", true },
		{ "a.example", "a.example.", true },
		{ "b.example", "a.example", false },
		{ "aa.example", "a.example", false },
		{ "a.example", "*.example", true },
		{ "A.EXAMPLE", "*.example", true },
		{ "example", "*.example", false },
		{ ".example", "*.example", false },
		{ "a.b.example", "*.example", false },
		{ "aexample", "*.example", false },
		{ "a.b.example", "**.example", true },
		{ "a.example", "**.example", true },
		{ "example", "**.example", false },
		{ ".example", "**.example", false },
		{ "a..example", "**.example", false },
		{ ".a.example", "**.example", false },
		{ "a.example.com", "**.example", false },
		{ "anything", "*", true },
		{ "a.b", "*", true },
		{ "", "*", false },
		{ "", "", false },
		{ "x.a.b", "*.a.b", true },
		{ "evil-a.b", "*.a.b", false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (route_host_matches(span_str(rows[i].host), rows[i].pattern) != rows[i].want)
			fail_msg("%s ~ %s", rows[i].host, rows[i].pattern);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_namespace),
		cmocka_unit_test(test_host_matches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
