/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_kafka: names of nodes by port and by template, and every one of them read back; and what
 * becomes of calls that nobody here knows.
 */
#include "config_help.h"

#include <stdio.h>

#include <penstock/base/addr.h>
#include <penstock/base/rng.h>
#include <penstock/config/kafka.h>

static struct config_kafka_ids ids[] = { { 0, 2 }, { 101, 103 } };

static const struct config_kafka by_port = {
	.mode = CONFIG_KAFKA_PORT,
	.advertise = "gw.example.com",
	.advertise_port = 19100,
	.base_port = 9100,
	.ids = ids,
	.id_count = COUNT_OF(ids),
};

static struct config_kafka by_name(const char *template)
{
	return (struct config_kafka){
		.mode = CONFIG_KAFKA_SNI,
		.advertise = template,
		.advertise_port = 9093,
	};
}

static void assert_name(const struct config_kafka *kafka, int32_t node, const char *rack,
			const char *host, uint16_t port)
{
	uint8_t room[HOST_MAX];
	struct sink sink = sink_of(room, sizeof(room));
	uint16_t got = 1;

	assert_true(config_kafka_name(kafka, "orders", node, span_str(rack), &sink, &got));
	assert_span(sink_written(&sink), host);
	assert_int_equal(got, port);
}

static void test_ports(void **state)
{
	static const struct {
		int32_t node;
		uint16_t port;
	} rows[] = {
		{ 0, 19100 }, { 2, 19102 }, { 101, 19201 }, { 103, 19203 },   { 3, 0 },
		{ 100, 0 },   { 104, 0 },   { -1, 0 },	    { INT32_MAX, 0 }, { INT32_MIN, 0 },
	};
	int32_t node;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_name(&by_port, rows[i].node, "r", "gw.example.com", rows[i].port);
	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		bool is_node = (port >= 9100 && port <= 9102) || (port >= 9201 && port <= 9203);

		assert_int_equal(config_kafka_node_at(&by_port, (uint16_t)port, &node), is_node);
		if (is_node)
			assert_int_equal(node, (int32_t)port - 9100);
	}
	assert_false(
		config_kafka_node_named(&by_port, "orders", span_str("gw.example.com"), &node));
}

/* Ports end at 65535: what would be beyond is nowhere, never another port. */
static void test_last_port(void **state)
{
	static struct config_kafka_ids many[] = { { 0, INT32_MAX } };
	struct config_kafka kafka = by_port;

	(void)state;
	kafka.ids = many;
	kafka.id_count = 1;
	assert_name(&kafka, 65535 - 19100, "", "gw.example.com", 65535);
	assert_name(&kafka, 65536 - 19100, "", "gw.example.com", 0);
	assert_name(&kafka, INT32_MAX, "", "gw.example.com", 0);
}

static void test_names(void **state)
{
	static const struct {
		const char *template;
		int32_t node;
		const char *rack, *host;
	} rows[] = {
		{ "b{id}.kafka.example.com", 7, "", "b7.kafka.example.com" },
		{ "b{id}.kafka.example.com", INT32_MAX, "x", "b2147483647.kafka.example.com" },
		{ "kafka-####.ext", 12, "", "kafka-0012.ext" },
		{ "kafka-####.ext", 123456, "", "kafka-123456.ext" },
		{ "kafka-#.ext", 12, "", "kafka-12.ext" },
		{ "lkc-g###-{rack}-x.{cluster}.cloud", 3, "use1-az1",
		  "lkc-g003-use1-az1-x.orders.cloud" },
		{ "{rack}-{id}.ext", 3, "", "unknown-3.ext" },
		{ "{rack}-{id}.ext", 3, "rack a/b", "rack-a-b-3.ext" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct config_kafka kafka = by_name(rows[i].template);
		int32_t node = -1;

		assert_true(config_kafka_is_template(span_str(rows[i].template)));
		assert_name(&kafka, rows[i].node, rows[i].rack, rows[i].host, 9093);
		assert_true(
			config_kafka_node_named(&kafka, "orders", span_str(rows[i].host), &node));
		assert_int_equal(node, rows[i].node);
		assert_false(config_kafka_node_at(&kafka, 9093, &node));
	}
}

/* What a name says of the rack, as it is written there. */
static void test_racks(void **state)
{
	static const struct {
		const char *template, *host, *rack;
	} rows[] = {
		{ "b{id}-{rack}.ext", "b3-use1-az1.ext", "use1-az1" },
		{ "b{id}-{rack}.ext", "B3-USE1-AZ1.EXT.", "USE1-AZ1" },
		{ "{rack}-##.ext", "rack-1-03.ext", "rack-1" },
		{ "b{id}-{rack}.ext", "b3-unknown.ext", "" },
		{ "b{id}-{rack}.ext", "b3-unknown-1.ext", "unknown-1" },
		{ "b{id}-{rack}.ext", "b3.ext", "" },
		{ "b{id}-{rack}.ext", "gw.ext", "" },
		{ "b{id}-{rack}.ext", "", "" },
		{ "b{id}.ext", "b3.ext", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct config_kafka kafka = by_name(rows[i].template);
		struct span rack =
			config_kafka_rack_named(&kafka, "orders", span_str(rows[i].host));

		assert_span(rack, rows[i].rack);
	}
	assert_int_equal(
		config_kafka_rack_named(&by_port, "orders", span_str("gw.example.com")).len, 0);
	assert_true(config_kafka_has_rack(span_str("b{id}-{rack}.ext")));
	assert_false(config_kafka_has_rack(span_str("b{id}.rack.ext")));
}

static void test_other_names(void **state)
{
	static const struct {
		const char *template, *host;
	} rows[] = {
		{ "b{id}.ext", "b.ext" },
		{ "b{id}.ext", "b07.ext" },
		{ "b{id}.ext", "b-1.ext" },
		{ "b{id}.ext", "b2147483648.ext" },
		{ "b{id}.ext", "b99999999999999999999.ext" },
		{ "b{id}.ext", "b7.ext.more" },
		{ "b{id}.ext", "ab7.ext" },
		{ "b{id}.ext", "b7xext" },
		{ "b{id}.ext", "" },
		{ "b{id}.ext", "." },
		{ "b##.ext", "b7.ext" },
		{ "b##.ext", "b007.ext" },
		{ "b##.ext", "b0012.ext" },
		{ "b{id}-{rack}.ext", "b7-.ext" },
		{ "b{id}-{rack}.ext", "b7-a.b.ext" },
		{ "b{id}.{cluster}.ext", "b7.other.ext" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct config_kafka kafka = by_name(rows[i].template);
		int32_t node;

		if (config_kafka_node_named(&kafka, "orders", span_str(rows[i].host), &node))
			fail_msg("%s is a name by %s", rows[i].host, rows[i].template);
	}
}

/* As TLS clients write names: in any case, and with the dot at the end. */
static void test_spelling(void **state)
{
	const struct config_kafka kafka = by_name("b{id}-{rack}.Kafka.{cluster}");
	int32_t node = -1;

	(void)state;
	assert_true(config_kafka_node_named(&kafka, "orders", span_str("B12-Rack-1.kafka.ORDERS."),
					    &node));
	assert_int_equal(node, 12);
}

static void test_templates(void **state)
{
	static const char *const bad[] = {
		"",	      "kafka.ext",    "b{id}-{id}.ext", "b{id}#.ext",
		"b{ID}.ext",  "b{id.ext",     "b{id}{rack",	"{rack}{rack}-{id}.ext",
		"b {id}.ext", "b{id}..ext",   "b{id}.ext:9093", "b###########.ext",
		"{1}.{id}",   "{rack}{id}.e", "b{id}{rack}.e",	"{id}{cluster}.e",
		"b{id}1.e",   "b#{id}.e",     "b{id}.ext/",	"b#.#.ext",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (config_kafka_is_template(span_str(bad[i])))
			fail_msg("'%s' is taken for a template", bad[i]);
	assert_true(config_kafka_is_template(span_str("{id}")));
	assert_true(config_kafka_is_template(span_str("##########")));
}

/* Whatever a template makes of a node, it makes that node of it. */
static void test_back(void **state)
{
	static const char *const templates[] = {
		"{id}.e",	 "b{id}.e",	    "###.e",
		"{rack}x{id}.e", "{cluster}{id}.e", "{id}-{rack}.{cluster}.e",
		"1{id}.e",	 "a#-{rack}",
	};
	static const char *const racks[] = { "", "a", "9", "1-2", "use1-az1", "0" };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	for (size_t i = 0; i < COUNT_OF(templates) * 2000; i++) {
		const struct config_kafka kafka = by_name(templates[i % COUNT_OF(templates)]);
		int32_t node = (int32_t)(rng_next(&rng) >> (33 + rng_below(&rng, 31))), got = -1;
		struct span rack = span_str(racks[rng_below(&rng, COUNT_OF(racks))]);
		uint8_t room[HOST_MAX];
		struct sink sink = sink_of(room, sizeof(room));
		uint16_t port;

		assert_true(config_kafka_name(&kafka, "c", node, rack, &sink, &port));
		assert_true(config_kafka_node_named(&kafka, "c", sink_written(&sink), &got));
		if (got != node)
			fail_msg("%s makes node %d of %.*s", kafka.advertise, got, (int)sink.len,
				 (const char *)room);
	}
}

/* What a client is led to by the name it asks for. */
static void test_wanted(void **state)
{
	static const struct {
		const char *host;
		enum config_kafka_wanted wanted, open; /* with unknown: bootstrap */
	} rows[] = {
		{ "b7.ext", CONFIG_KAFKA_NODE, CONFIG_KAFKA_NODE },
		{ "kafka.ext", CONFIG_KAFKA_ANY, CONFIG_KAFKA_ANY },
		{ "Kafka.EXT.", CONFIG_KAFKA_ANY, CONFIG_KAFKA_ANY },
		{ "kafka.ext.x", CONFIG_KAFKA_NOBODY, CONFIG_KAFKA_ANY },
		{ "b07.ext", CONFIG_KAFKA_NOBODY, CONFIG_KAFKA_ANY },
		{ "", CONFIG_KAFKA_NOBODY, CONFIG_KAFKA_ANY },
	};
	struct config_kafka kafka = by_name("b{id}.ext");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span host = span_str(rows[i].host);
		int32_t node = -1;

		kafka.bootstrap = "kafka.ext";
		kafka.unknown = CONFIG_KAFKA_UNKNOWN_REFUSE;
		assert_int_equal(config_kafka_wanted(&kafka, "c", host, &node), rows[i].wanted);
		assert_int_equal(node, rows[i].wanted == CONFIG_KAFKA_NODE ? 7 : -1);
		kafka.unknown = CONFIG_KAFKA_UNKNOWN_BOOTSTRAP;
		assert_int_equal(config_kafka_wanted(&kafka, "c", host, &node), rows[i].open);
		kafka.bootstrap = NULL;
		assert_int_equal(config_kafka_wanted(&kafka, "c", host, &node), rows[i].open);
	}
}

static void test_no_room(void **state)
{
	const struct config_kafka kafka = by_name("b{id}.{cluster}.example.com");
	uint8_t room[40];

	(void)state;
	for (size_t size = 0; size < sizeof(room); size++) {
		struct sink sink = sink_of(room, size), host = sink_of(room, size);
		uint16_t port = 4711;
		/* "b7.orders.example.com", and a NUL behind each number on the way. */
		bool is_there = config_kafka_name(&kafka, "orders", 7, span_str(""), &sink, &port);

		assert_int_equal(is_there, size >= 21);
		assert_int_equal(port, is_there ? 9093 : 4711);
		is_there = config_kafka_name(&by_port, "orders", 1, span_str(""), &host, &port);
		assert_int_equal(is_there, size >= strlen("gw.example.com"));
	}
}

/* ---- calls that nobody here knows ---- */

static struct outcome load_keys(const char *keys)
{
	char text[2000];

	(void)snprintf(
		text, sizeof(text),
		"clusters: { a: { protocol: kafka, discovery: { bootstrap: [k] } } }\n"
		"listeners:\n"
		"  - { name: x, bind: 0.0.0.0:1, cluster: a, kafka: { advertise: h%s%s } }\n",
		keys[0] != '\0' ? ", " : "", keys);
	return help_load(text, NULL);
}

/* As the configuration has them, and as its dump has them when it is read again. */
static void assert_unread(const char *keys, enum kafka_allow unknown, enum kafka_allow vendor,
			  uint32_t warnings)
{
	struct outcome outcome = load_keys(keys);

	for (int round = 0; round < 2; round++) {
		assert_int_equal(outcome.errors, 0);
		assert_int_equal(outcome.warnings, warnings);
		const struct kafka_policy *policy = &outcome.config->listeners[0].kafka.policy;

		assert_int_equal(kafka_policy_allows(policy, 200, 0), unknown);
		assert_int_equal(kafka_policy_allows(policy, 10000, 0), vendor);
		char *dump = help_dump(outcome.config);

		help_free(&outcome);
		outcome = help_load(dump, NULL);
		free(dump);
	}
	help_free(&outcome);
}

static void test_read_only_unread(void **state)
{
	static const struct {
		const char *keys;
		enum kafka_allow unknown, vendor;
		uint32_t warnings;
	} rows[] = {
		{ "", KAFKA_ALLOW_UNKNOWN, KAFKA_ALLOW, 0 },
		{ "vendor_apis: pass", KAFKA_ALLOW_UNKNOWN, KAFKA_ALLOW, 0 },
		{ "vendor_apis: hide", KAFKA_ALLOW_UNKNOWN, KAFKA_ALLOW_UNKNOWN, 0 },
		{ "unknown_apis: pass", KAFKA_ALLOW, KAFKA_ALLOW, 1 },
		{ "read_only: true", KAFKA_ALLOW_UNKNOWN, KAFKA_ALLOW_UNKNOWN, 0 },
		{ "read_only: true, unknown_apis: hide, vendor_apis: hide", KAFKA_ALLOW_UNKNOWN,
		  KAFKA_ALLOW_UNKNOWN, 0 },
		{ "read_only: true, vendor_apis: pass", KAFKA_ALLOW_UNKNOWN, KAFKA_ALLOW, 1 },
		{ "read_only: true, unknown_apis: pass", KAFKA_ALLOW, KAFKA_ALLOW_UNKNOWN, 2 },
		{ "read_only: true, unknown_apis: pass, vendor_apis: pass, deny_apis: [200, 10000]",
		  KAFKA_ALLOW_DENIED, KAFKA_ALLOW_DENIED, 3 },
		{ "read_only: true, deny_apis: [10000]", KAFKA_ALLOW_UNKNOWN, KAFKA_ALLOW_DENIED,
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_unread(rows[i].keys, rows[i].unknown, rows[i].vendor, rows[i].warnings);
}

static void test_denied_numbers(void **state)
{
	char keys[600];
	size_t len;
	struct outcome outcome = load_keys("deny_apis: [20, 500, 32767, 500, Fetch, 0]");

	(void)state;
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	const struct kafka_policy *policy = &outcome.config->listeners[0].kafka.policy;
	static const int16_t denied[] = { KAFKA_DELETE_TOPICS, 500, INT16_MAX, KAFKA_FETCH,
					  KAFKA_PRODUCE };

	for (size_t i = 0; i < COUNT_OF(denied); i++)
		assert_int_equal(kafka_policy_allows(policy, denied[i], 0), KAFKA_ALLOW_DENIED);
	assert_int_equal(kafka_policy_allows(policy, 501, 0), KAFKA_ALLOW);
	assert_int_equal(kafka_policy_allows(policy, KAFKA_METADATA, 0), KAFKA_ALLOW);
	help_free(&outcome);
	/* As many as there is room for, each twice, and one more. */
	for (int more = 0; more < 2; more++) {
		len = (size_t)snprintf(keys, sizeof(keys), "deny_apis: [500");
		for (int i = 1; i < 2 * KAFKA_DENY_MORE; i++)
			len += (size_t)snprintf(keys + len, sizeof(keys) - len, ", %d",
						500 + i % KAFKA_DENY_MORE);
		(void)snprintf(keys + len, sizeof(keys) - len, more > 0 ? ", 95]" : "]");
		outcome = load_keys(keys);
		assert_int_equal(outcome.errors, more);
		if (more > 0)
			assert_non_null(strstr(outcome.said,
					       "'95' is one more than the 32 calls without a name "
					       "here that can be denied; "));
		help_free(&outcome);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_last_port),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_other_names),
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_read_only_unread),
		cmocka_unit_test(test_denied_numbers),
		cmocka_unit_test(test_racks),
		cmocka_unit_test(test_wanted),
	};
	return cmocka_run_group_tests(tests, help_setup, NULL);
}
