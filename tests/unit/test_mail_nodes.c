/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail_nodes: what is told of nodes is found again, by cluster and id; when it is news; and what
 * becomes of it in time, or in a crowd.
 */
#include "unit.h"

#include <stdio.h>

#include <penstock/mail/nodes.h>

#define NOW UINT64_C(1000000000000)

static struct mail_nodes *nodes;

static int begin(void **state)
{
	(void)state;
	nodes = mail_nodes_new();
	return nodes == NULL;
}

static int end(void **state)
{
	(void)state;
	mail_nodes_free(nodes);
	return 0;
}

static struct mail_nodes_place place_of(const char *host, uint16_t port, const char *rack)
{
	struct mail_nodes_place place = { .port = port };

	(void)snprintf(place.host, sizeof(place.host), "%s", host);
	(void)snprintf(place.rack, sizeof(place.rack), "%s", rack);
	return place;
}

static bool add(const char *cluster, int32_t id, const char *host, uint16_t port, const char *rack,
		uint64_t now_ns)
{
	const struct mail_nodes_place place = place_of(host, port, rack);

	return mail_nodes_add(nodes, cluster, id, &place, now_ns);
}

static void assert_place(const char *cluster, int32_t id, const char *host, uint16_t port)
{
	struct mail_nodes_place place;

	assert_true(mail_nodes_find(nodes, cluster, id, 0, NOW, &place));
	assert_string_equal(place.host, host);
	assert_int_equal(place.port, port);
}

static void test_news(void **state)
{
	struct mail_nodes_place place;

	(void)state;
	assert_false(mail_nodes_find(nodes, "a", 0, 0, NOW, &place));
	assert_true(add("a", 0, "b0", 9092, "", NOW));
	assert_false(add("a", 0, "b0", 9092, "", NOW));
	assert_true(add("a", 0, "b0", 9092, "rack", NOW));
	assert_false(add("a", 0, "b0", 9092, "rack", NOW));
	assert_false(add("a", 0, "b0", 9092, "", NOW)); /* as FindCoordinator, which tells none */
	assert_true(add("a", 0, "b0", 9093, "rack", NOW));
	assert_true(add("a", 0, "b1", 9093, "rack", NOW));
	assert_true(add("a", 1, "b1", 9094, "rack", NOW));
	assert_true(add("b", 0, "b9", 9092, "", NOW));
	assert_place("a", 0, "b1", 9093);
	assert_place("a", 1, "b1", 9094);
	assert_place("b", 0, "b9", 9092);
	assert_false(mail_nodes_find(nodes, "b", 1, 0, NOW, &place));
	assert_false(mail_nodes_find(nodes, "", 0, 0, NOW, &place));
}

static void test_time(void **state)
{
	struct mail_nodes_place place;

	(void)state;
	assert_true(add("a", 3, "b3", 9092, "", NOW));
	assert_false(add("a", 3, "b3", 9092, "", NOW + MAIL_NODES_NS / 2));
	assert_true(mail_nodes_find(nodes, "a", 3, 0, NOW + MAIL_NODES_NS - 1, &place));
	assert_false(mail_nodes_find(nodes, "a", 3, 0, NOW + MAIL_NODES_NS, &place));
	/* Half of its time is over: it is told once more. */
	assert_true(add("a", 3, "b3", 9092, "", NOW + MAIL_NODES_NS / 2 + 1));
	assert_true(mail_nodes_find(nodes, "a", 3, 0, NOW + MAIL_NODES_NS, &place));
}

static void test_gone(void **state)
{
	struct mail_nodes_place place;

	(void)state;
	assert_true(add("a", 3, "b3", 9092, "", NOW));
	mail_nodes_forget(nodes, "b", 3);
	mail_nodes_forget(nodes, "a", 4);
	assert_true(mail_nodes_find(nodes, "a", 3, 0, NOW, &place));
	mail_nodes_forget(nodes, "a", 3);
	assert_false(mail_nodes_find(nodes, "a", 3, 0, NOW, &place));
	assert_true(add("a", 3, "b3", 9092, "", NOW)); /* news again */
}

/* Two that change places, told one after the other: nobody is led to where another one is. */
static void test_places(void **state)
{
	struct mail_nodes_place place;

	(void)state;
	assert_true(add("a", 1, "b1", 9092, "", NOW));
	assert_true(add("a", 2, "b2", 9092, "", NOW));
	assert_true(add("b", 3, "b1", 9092, "", NOW)); /* is another cluster's business */
	assert_true(add("a", 1, "b2", 9092, "", NOW + 1));
	assert_place("a", 1, "b2", 9092);
	assert_false(mail_nodes_find(nodes, "a", 2, 0, NOW + 1, &place));
	assert_true(add("a", 2, "b1", 9092, "", NOW + 2));
	assert_place("a", 1, "b2", 9092);
	assert_place("a", 2, "b1", 9092);
	assert_place("b", 3, "b1", 9092);
	/* As seen from a snapshot that is newer, or not. */
	assert_true(mail_nodes_find(nodes, "a", 2, NOW + 1, NOW + 3, &place));
	assert_false(mail_nodes_find(nodes, "a", 2, NOW + 2, NOW + 3, &place));
	assert_false(mail_nodes_find(nodes, "a", 1, NOW + 2, NOW + 3, &place));
}

/* Hundreds of brokers of several clusters have room beside each other; beyond that the latest. */
static void test_crowd(void **state)
{
	struct mail_nodes_place place;
	uint32_t found = 0;

	(void)state;
	for (int32_t id = 0; id < 300; id++)
		assert_true(
			add(id % 2 == 0 ? "even" : "odd", id, "b", (uint16_t)(1000 + id), "", NOW));
	for (int32_t id = 0; id < 300; id++)
		assert_place(id % 2 == 0 ? "even" : "odd", id, "b", (uint16_t)(1000 + id));
	for (int32_t id = 0; id < 20000; id++)
		(void)add("many", id, "b", (uint16_t)id, "", NOW + (uint64_t)id);
	assert_true(mail_nodes_find(nodes, "many", 19999, 0, NOW, &place));
	for (int32_t id = 0; id < 20000; id++)
		found += mail_nodes_find(nodes, "many", id, 0, NOW, &place) && place.port == id;
	assert_in_range(found, MAIL_NODES_MAX / 2, MAIL_NODES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_news, begin, end),
		cmocka_unit_test_setup_teardown(test_time, begin, end),
		cmocka_unit_test_setup_teardown(test_gone, begin, end),
		cmocka_unit_test_setup_teardown(test_places, begin, end),
		cmocka_unit_test_setup_teardown(test_crowd, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
