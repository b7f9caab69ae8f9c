/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route_rule: which rule a server name falls under, in which order, and the places a rule leads to.
 */
#include "test_routes_harness.h"

static const char text[] =
	"clusters:\n"
	"  c: { discovery: { zookeeper: { servers: z } } }\n"
	"  d: { discovery: { zookeeper: { servers: z } } }\n"
	"  k: { protocol: kafka, discovery: { bootstrap: [h] } }\n"
	"listeners:\n"
	"  - { name: plain, bind: \"127.0.0.1:1\", cluster: c }\n"
	"  - name: edge\n"
	"    bind: \"127.0.0.1:2\"\n"
	"    allow_ports: [6651, 6652]\n"
	"    routes:\n"
	"      - { host: \"*.example.com\", forward: \"{1}.internal:6651\" }\n"
	"      - { host: \"**.example.com\", forward: [\"x{1}y.internal:6651\", \"t:1\", "
	"\"{1}:6652\"] }\n"
	"      - { host: \"**.east.example.com\", cluster: c }\n"
	"      - { host: a.example.com, forward: [\"t:1\", \"u:2\", \"10.0.0.3:3\"] }\n"
	"      - { host: a.example.com, forward: \"t:1\", alpn: [h2] }\n"
	"      - { host: b1.example.com, forward: \"t:1\" }\n"
	"      - { discovered: d }\n"
	"      - { discovered: c }\n"
	"      - { host: a.example.com, forward: \"t:1\", alpn: [x] }\n"
	"  - name: any\n"
	"    bind: \"127.0.0.1:3\"\n"
	"    routes:\n"
	"      - { host: \"*\", forward: \"{1}:6651\" }\n"
	"      - { discovered: c }\n"
	"  - name: guarded\n"
	"    bind: \"127.0.0.1:4\"\n"
	"    no_sni: h.test\n"
	"    unknown: i.test\n"
	"    routes:\n"
	"      - { host: h.test, forward: \"t:1\", alpn: [h2, h3], allow: [192.0.2.0/24, "
	"\"2001:db8::/32\"] }\n"
	"      - { host: i.test, forward: \"t:1\", alpn: [h2] }\n"
	"  - name: kafka\n"
	"    bind: \"127.0.0.1:5\"\n"
	"    tls: { cert_file: /c, key_file: /k }\n"
	"    routes:\n"
	"      - { host: \"*.a.test\", cluster: k, mode: terminate, alpn: [x], kafka: { advertise: "
	"\"b{id}.a.test\", bootstrap: a.test } }\n"
	"      - { host: \"*.a.test\", forward: \"t:1\" }\n"
	"      - { host: \"**.test\", cluster: k, mode: terminate, kafka: { advertise: "
	"\"b{id}.b.test\", bootstrap: Any.a.test } }\n"
	"egress: { allow: { hosts: [\"*.internal\"], networks: [10.0.0.0/8], ports: [6651, 6652] } }\n";

#define EDGE	1
#define ANY	2
#define GUARDED 3
#define KAFKA	4

static const struct broker brokers[] = {
	{ "B1.example.com", "10.1.0.1", 6650, 6651 }, /* also a route written out */
	{ "b2.east.example.com", "10.1.0.2", 6650, 6651 },
	{ "b3.example.net", "10.1.0.3", 6650, 6652 },
	{ "b4.example.net", NULL, 6650, 6651 },
	{ "b5.example.net", "10.1.0.5", 6650, 6699 }, /* a port that is not allowed */
	{ "b6.example.net", "10.1.0.6", 6650, 0 },    /* no TLS */
	{ "10.1.0.7", "10.1.0.7", 6650, 6651 },
	{ "b3.example.net", "10.1.0.3", 6660, 6653 }, /* another on the same host */
};

static struct config *config;
static struct route *route;

static int setup(void **state)
{
	(void)state;
	config = config_of(text);
	route = route_of(config, brokers, COUNT_OF(brokers), "10.2.0.1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	route_free(route);
	config_free(config);
	return 0;
}

/* ---- which rule ---- */

static void finds(uint32_t listener, const char *name, uint32_t number)
{
	uint8_t *copy = exact_copy(name, strlen(name));
	uint32_t rule = 77;
	bool is_found = route_rule_find(route, listener, span_of(copy, strlen(name)), &rule);

	free(copy);
	if (number == ROUTE_NO_RULE)
		assert_false(is_found);
	else if (!is_found || rule != config->listeners[listener].route_first + number)
		fail_msg("%s: %u", name, rule);
}

static void test_find(void **state)
{
	(void)state;
	finds(EDGE, "x.example.com", 0);
	finds(EDGE, "X.Example.COM.", 0);
	finds(EDGE, "x.y.example.com", 1);
	finds(EDGE, "x.east.example.com", 2); /* the longer suffix, though the other is one label */
	finds(EDGE, "a.example.com", 3);      /* the first of three */
	finds(EDGE, "b1.example.com", 5);     /* written out before discovered */
	finds(EDGE, "b2.east.example.com", 7); /* discovered before a wildcard */
	finds(EDGE, "B3.example.net", 7);
	finds(EDGE, "b4.example.net", 7);
	finds(EDGE, "b5.example.net", 7);
	finds(EDGE, "b6.example.net", ROUTE_NO_RULE);
	finds(EDGE, "10.1.0.7", ROUTE_NO_RULE);
	finds(EDGE, "example.com", ROUTE_NO_RULE);
	finds(EDGE, "east.example.com", 0);
	finds(EDGE, "evil-example.com", ROUTE_NO_RULE);
	finds(EDGE, "a.example.com.evil", ROUTE_NO_RULE);
	finds(EDGE, "", ROUTE_NO_RULE);
	finds(ANY, "x.y.z", 0);
	finds(ANY, "b3.example.net", 1);
	finds(ANY, "10.1.0.7", ROUTE_NO_RULE);
}

/* Rules of one host follow each other as written; and those by discovered. */
static void test_next(void **state)
{
	(void)state;
	assert_int_equal(route->rules[3].next, 4);
	assert_int_equal(route->rules[4].next, 8);
	assert_int_equal(route->rules[8].next, ROUTE_NO_RULE);
	assert_int_equal(route->names[EDGE].discovered, 6);
	assert_int_equal(route->rules[6].next, 7);
	assert_int_equal(route->rules[7].next, ROUTE_NO_RULE);
	assert_null(route->names[0].hosts);
}

/* ---- which rule for which client ---- */

/* `alpn` as it is sent: each with its length in front. */
static void chooses(uint32_t listener, const char *name, const char *alpn, const char *client,
		    enum close_reason reason, uint32_t number)
{
	struct route_asked asked = { .alpn = span_str(alpn) };
	uint32_t rule = ROUTE_NO_RULE;

	if (name != NULL)
		asked.name = span_str(name);
	assert_true(addr_parse_ip(span_str(client), &asked.client));
	assert_int_equal(route_rule_choose(route, listener, &asked, &rule), reason);
	assert_int_equal(rule, number == ROUTE_NO_RULE
				       ? number
				       : config->listeners[listener].route_first + number);
}

static void test_choose(void **state)
{
	static const char here[] = "192.0.2.1", there[] = "198.51.100.1";

	(void)state;
	chooses(EDGE, "a.example.com", "", there, CLOSE_NONE, 3);
	chooses(EDGE, "a.example.com", "\2h2", there, CLOSE_NONE, 4);
	chooses(EDGE, "a.example.com", "\1y\1x\2h2", there, CLOSE_NONE, 4); /* the first route */
	chooses(EDGE, "a.example.com", "\1y\1x", there, CLOSE_NONE, 8);
	chooses(EDGE, "a.example.com", "\3h2x", there, CLOSE_NONE, 3);
	chooses(EDGE, "a.example.com", "\7h2", there, CLOSE_NONE, 3); /* longer than the list */
	chooses(EDGE, "nobody.test", "", there, CLOSE_NO_ROUTE, ROUTE_NO_RULE);
	chooses(EDGE, "10.0.0.1", "", there, CLOSE_NO_ROUTE, ROUTE_NO_RULE);
	chooses(EDGE, NULL, "", there, CLOSE_SNI_MISSING, ROUTE_NO_RULE);
	chooses(ANY, "x", "", there, CLOSE_NONE, 0);
	chooses(ANY, NULL, "", there, CLOSE_SNI_MISSING, ROUTE_NO_RULE);
	/* The defaults go by ALPN and networks as well. */
	chooses(GUARDED, NULL, "\2h2", here, CLOSE_NONE, 0);
	chooses(GUARDED, NULL, "\2h3", "2001:db8::7", CLOSE_NONE, 0);
	chooses(GUARDED, NULL, "\2h2", there, CLOSE_ACL_CIDR, 0);
	chooses(GUARDED, NULL, "", here, CLOSE_NO_ALPN, ROUTE_NO_RULE);
	chooses(GUARDED, "who.knows", "\2h2", there, CLOSE_NONE, 1);
	chooses(GUARDED, "10.0.0.1", "\2h2", there, CLOSE_NONE, 1);
	chooses(GUARDED, "who.knows", "\2h3", there, CLOSE_NO_ALPN, ROUTE_NO_RULE);
}

/* The name of any broker leads to its own rule, whatever the hosts are. */
static void test_bootstrap(void **state)
{
	static const char client[] = "192.0.2.1";

	(void)state;
	finds(KAFKA, "b7.a.test", 0);
	finds(KAFKA, "A.test.", 0);
	finds(KAFKA, "any.a.test", 2); /* written out before a wildcard */
	finds(KAFKA, "b7.b.test", 2);
	finds(KAFKA, "x.any.a.test", 2);
	finds(KAFKA, "test", ROUTE_NO_RULE);
	chooses(KAFKA, "b7.a.test", "", client, CLOSE_NONE, 1);
	chooses(KAFKA, "b7.a.test", "\1x", client, CLOSE_NONE, 0);
	chooses(KAFKA, "a.test", "\1x", client, CLOSE_NONE, 0);
	chooses(KAFKA, "any.a.test", "", client, CLOSE_NONE, 2);
}

static void test_ids(void **state)
{
	(void)state;
	assert_int_equal(route_rule_of_id(route, 0), ROUTE_NO_RULE);
	assert_int_equal(route_rule_of_id(route, 6), ROUTE_NO_RULE);
	for (uint16_t i = 0; i < config->route_count; i++)
		assert_int_equal(route_rule_of_id(route, (uint16_t)(7 + i)), i);
	assert_int_equal(route_rule_of_id(route, (uint16_t)(7 + config->route_count)),
			 ROUTE_NO_RULE);
	assert_int_equal(route_rule_of_id(route, UINT16_MAX), ROUTE_NO_RULE);
}

/* ---- places ---- */

/* "ip:port" or "host:port?" (to be resolved) or the reason; "-": there is none. */
static const char *place_of(uint32_t rule, const char *name, uint32_t start, uint32_t n)
{
	static char said[400];
	char addr[ADDR_TEXT_MAX];
	uint8_t *copy = exact_copy(name, strlen(name));
	struct route_place place;

	memset(&place, 0xa5, sizeof(place));
	bool is_there =
		route_rule_place(route, rule, span_of(copy, strlen(name)), start, n, &place);

	free(copy);
	if (!is_there)
		return "-";
	const struct route_verdict *verdict = &place.verdict;
	const char *trusted = verdict->is_trusted ? "" : " untrusted";

	if (verdict->answer == ROUTE_DENY)
		return close_rows[verdict->reason].name;
	if (verdict->answer == ROUTE_NEED_DNS) {
		(void)snprintf(said, sizeof(said), "%s:%u?%s", place.host, place.port, trusted);
		return said;
	}
	assert_true(verdict->addr_count > 0);
	assert_int_equal(verdict->addrs[0].port, place.port);
	(void)snprintf(said, sizeof(said), "%s%s", addr_format(&verdict->addrs[0], addr), trusted);
	return said;
}

static void test_targets(void **state)
{
	(void)state;
	assert_string_equal(place_of(3, "a.example.com", 0, 0), "10.2.0.1:1");
	assert_string_equal(place_of(3, "a.example.com", 0, 1), "10.2.0.1:2");
	assert_string_equal(place_of(3, "a.example.com", 0, 2), "10.2.0.1:3");
	assert_string_equal(place_of(3, "a.example.com", 0, 3), "-");
	assert_string_equal(place_of(3, "a.example.com", UINT32_MAX, 0), "10.2.0.1:1");
	assert_string_equal(place_of(3, "a.example.com", UINT32_MAX, 1), "10.2.0.1:2");
	assert_string_equal(place_of(3, "a.example.com", 7, 2), "10.2.0.1:1");
}

/* A literal needs no resolver; a name that does not resolve now is asked for when it is wanted. */
static void test_targets_unresolved(void **state)
{
	(void)state;
	route_free(route);
	route = route_of(config, NULL, 0, NULL);
	assert_string_equal(place_of(3, "a.example.com", 0, 0), "t:1?");
	assert_string_equal(place_of(3, "a.example.com", 0, 2), "10.0.0.3:3");
}

static void test_derived(void **state)
{
	static const struct {
		uint32_t rule, n;
		const char *name, *said;
	} rows[] = {
		{ 0, 0, "X.example.com", "x.internal:6651? untrusted" },
		{ 1, 0, "a.example.com", "xay.internal:6651? untrusted" },
		{ 1, 0, "a.b.example.com", "target_host_denied" }, /* *.internal is one label */
		{ 1, 1, "a.b.example.com", "10.2.0.1:1" },
		{ 1, 2, "10.0.0.9.example.com", "10.0.0.9:6652 untrusted" },
		{ 9, 0, "a.internal", "a.internal:6651? untrusted" },
		{ 9, 0, "a.external", "target_host_denied" },
		{ 9, 0, "10.0.0.9", "10.0.0.9:6651 untrusted" },
		{ 9, 0, "11.0.0.9", "target_network_denied" },
		{ 9, 0, "127.0.0.1", "target_special_denied" },
		{ 9, 0, "169.254.169.254", "target_special_denied" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_string_equal(place_of(rows[i].rule, rows[i].name, 0, rows[i].n),
				    rows[i].said);
	assert_string_equal(place_of(0, "x.example.com", 0, 1), "-");
}

/* A name that fits a host of 253 bytes, and a target that does not. */
static void test_derived_too_long(void **state)
{
	char name[HOST_MAX] = "";

	(void)state;
	memset(name, 'a', 253);
	for (size_t i = 63; i < 253; i += 64)
		name[i] = '.';
	assert_string_equal(place_of(9, name, 0, 0), "target_host_denied");
	memcpy(name + 253 - 12, ".example.com", 13);
	assert_string_equal(place_of(1, name, 0, 0), "target_syntax_denied");
}

static void test_discovered(void **state)
{
	(void)state;
	assert_string_equal(place_of(7, "B2.East.example.com", 3, 0), "10.1.0.2:6651");
	assert_string_equal(place_of(7, "b2.east.example.com", 3, 1), "-");
	assert_string_equal(place_of(7, "b3.example.net", 0, 0), "10.1.0.3:6652");
	assert_string_equal(place_of(7, "b4.example.net", 0, 0), "b4.example.net:6651?");
	assert_string_equal(place_of(7, "b5.example.net", 0, 0), "target_port_denied");
	assert_string_equal(place_of(7, "gone.example.net", 0, 0), "-");
	assert_string_equal(place_of(6, "b3.example.net", 0, 0), "-"); /* of the other cluster */
}

/* Live brokers with a TLS port that is allowed, from any of them on, each once. */
static void test_pool(void **state)
{
	static const char *const wanted[] = { "10.1.0.1:6651", "10.1.0.2:6651", "10.1.0.3:6652",
					      "10.1.0.7:6651" };

	(void)state;
	for (uint32_t start = 0; start < 2 * COUNT_OF(brokers); start++) {
		uint32_t seen = 0, n = 0;
		const char *said;

		for (; strcmp(said = place_of(2, "x.east.example.com", start, n), "-") != 0; n++)
			for (uint32_t i = 0; i < COUNT_OF(wanted); i++)
				if (strcmp(said, wanted[i]) == 0)
					seen |= 1u << i;
		assert_int_equal(n, COUNT_OF(wanted));
		assert_int_equal(seen, (1u << COUNT_OF(wanted)) - 1);
	}
	assert_string_equal(place_of(2, "x", 1, 0), "10.1.0.2:6651");
}

#define RULE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE_TEST(test_find),	    RULE_TEST(test_next),
		RULE_TEST(test_choose),	    RULE_TEST(test_ids),
		RULE_TEST(test_targets),    RULE_TEST(test_targets_unresolved),
		RULE_TEST(test_derived),    RULE_TEST(test_derived_too_long),
		RULE_TEST(test_discovered), RULE_TEST(test_pool),
		RULE_TEST(test_bootstrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
