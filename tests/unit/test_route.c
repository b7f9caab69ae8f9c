/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route: what may be dialled, who comes next, who owns a topic; and that a snapshot keeps
 * everything the builder was told, and nothing of the builder.
 */
#include "unit.h"

#include <stdio.h>

#include <penstock/route.h>

static struct config config;

/* The configuration of all tests: two clusters, the second with check_active. */
static struct config *reset_config(void)
{
	static const char *hosts[] = { "*.internal", "relay.example.com" };
	static uint16_t ports[] = { 6650, 6651 };
	static struct cidr networks[2];
	assert_true(addr_parse_cidr(span_str("10.0.0.0/8"), &networks[0]));
	assert_true(addr_parse_cidr(span_str("2001:db8::/32"), &networks[1]));
	memset(&config, 0, sizeof(config));
	config.cluster_count = 2;
	config.clusters[0].name = "east";
	config.clusters[1].name = "strict";
	config.clusters[1].check_active = true;
	config.listener_count = 2;
	config.egress.hosts = (struct config_names){ .at = hosts, .count = 2 };
	config.egress.ports = (struct config_ports){ .at = ports, .count = 2 };
	config.egress.networks = (struct config_cidrs){ .at = networks, .count = 2 };
	return &config;
}

static int32_t add_endpoint(struct route_builder *builder, uint32_t cluster, const char *host,
			    uint16_t port, const char *ip)
{
	struct route_endpoint endpoint = { .host = host, .port = port };
	if (ip != NULL) {
		assert_true(addr_parse_ip(span_str(ip), &endpoint.addrs[0]));
		endpoint.addr_count = 1;
	}
	return route_build_endpoint(builder, cluster, &endpoint);
}

static void add_own(struct route_builder *builder, const char *text)
{
	struct addr addr;
	assert_true(addr_parse(span_str(text), &addr));
	route_build_own(builder, &addr);
}

static void add_local(struct route_builder *builder, const char *text)
{
	struct addr addr;
	assert_true(addr_parse_ip(span_str(text), &addr));
	route_build_local(builder, &addr);
}

static struct route *make_route(bool is_loaded)
{
	struct route_builder *builder = route_build_begin(&config, 7);
	assert_non_null(builder);
	for (uint32_t c = 0; c < 2; c++) {
		route_build_cluster(builder, c, is_loaded, true, c == 0, 1234);
		assert_int_equal(add_endpoint(builder, c, "Broker-1.Example.", 6650, "192.0.2.1"),
				 0);
		assert_int_equal(add_endpoint(builder, c, "broker-2.example", 6650, NULL), 1);
		assert_int_equal(add_endpoint(builder, c, "127.77.0.11", 6650, NULL), 2);
		assert_int_equal(add_endpoint(builder, c, "2001:DB8:0::5", 6650, NULL), 3);
	}
	add_own(builder, "10.1.1.1:6650");
	add_own(builder, "0.0.0.0:6651");
	add_local(builder, "10.2.2.2");
	struct route *route = route_build_end(builder);
	assert_non_null(route);
	return route;
}

struct target_row {
	const char *target;
	enum route_answer answer;
	enum close_reason reason;
	bool is_trusted;
};

static void check_row(const struct route *route, uint32_t cluster, const struct target_row *row)
{
	struct route_verdict verdict;
	size_t len = strlen(row->target);
	uint8_t *copy = exact_copy(row->target, len);
	memset(&verdict, 0xa5, sizeof(verdict));
	route_target(route, cluster, span_of(copy, len), &verdict);
	free(copy);
	if (verdict.answer != row->answer || verdict.reason != row->reason ||
	    verdict.is_trusted != row->is_trusted)
		fail_msg("%s: %d %s", row->target, (int)verdict.answer,
			 close_rows[verdict.reason].name);
	assert_int_equal(verdict.addr_count > 0, row->answer == ROUTE_DIAL);
	for (uint8_t i = 0; i < verdict.addr_count; i++)
		assert_true(verdict.addrs[i].is_set && verdict.addrs[i].port != 0);
}

#define SYNTAX	ROUTE_DENY, CLOSE_TARGET_SYNTAX_DENIED, false
#define HOST	ROUTE_DENY, CLOSE_TARGET_HOST_DENIED, false
#define PORT	ROUTE_DENY, CLOSE_TARGET_PORT_DENIED, false
#define NETWORK ROUTE_DENY, CLOSE_TARGET_NETWORK_DENIED, false
#define SPECIAL ROUTE_DENY, CLOSE_TARGET_SPECIAL_DENIED, false

static const struct target_row target_rows[] = {
	/* discovered, in every spelling */
	{ "broker-1.example:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "BROKER-1.example.:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "pulsar://broker-1.example:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "pulsar+ssl://broker-1.example:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "broker-2.example:6650", ROUTE_NEED_DNS, CLOSE_NONE, true },
	{ "127.77.0.11:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "[::ffff:127.77.0.11]:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "[2001:db8::5]:6650", ROUTE_DIAL, CLOSE_NONE, true },
	{ "[2001:0db8:0:0::5]:6650", ROUTE_DIAL, CLOSE_NONE, true },
	/* the same host on another port is another endpoint */
	{ "broker-1.example:6651", HOST },
	{ "127.77.0.11:6651", SPECIAL },
	/* allowed by the egress rules */
	{ "a.internal:6650", ROUTE_NEED_DNS, CLOSE_NONE, false },
	{ "A.Internal.:6651", ROUTE_NEED_DNS, CLOSE_NONE, false },
	{ "relay.example.com:6650", ROUTE_NEED_DNS, CLOSE_NONE, false },
	{ "10.9.9.9:6650", ROUTE_DIAL, CLOSE_NONE, false },
	{ "[2001:db8::99]:6651", ROUTE_DIAL, CLOSE_NONE, false },
	{ "[::ffff:10.9.9.9]:6650", ROUTE_DIAL, CLOSE_NONE, false },
	/* and not */
	{ "evil.example:6650", HOST },
	{ "internal:6650", HOST },
	{ "a.b.internal:6650", HOST },
	{ "a.internal:22", PORT },
	{ "10.9.9.9:22", PORT },
	{ "11.0.0.1:6650", NETWORK },
	{ "[2001:db9::1]:6650", NETWORK },
	{ "[64:ff9b::8.8.8.8]:6650", NETWORK },
	/* special, in every disguise */
	{ "localhost:6650", HOST },
	{ "127.0.0.1:6650", SPECIAL },
	{ "0.0.0.0:6650", SPECIAL },
	{ "169.254.169.254:80", SPECIAL },
	{ "224.0.0.1:6650", SPECIAL },
	{ "255.255.255.255:6650", SPECIAL },
	{ "[::1]:6650", SPECIAL },
	{ "[::]:6650", SPECIAL },
	{ "[fe80::1]:6650", SPECIAL },
	{ "[ff02::1]:6650", SPECIAL },
	{ "[fd00:ec2::254]:80", SPECIAL },
	{ "[::ffff:127.0.0.1]:6650", SPECIAL },
	{ "[::ffff:7f00:1]:6650", SPECIAL },
	{ "[::127.0.0.1]:6650", SPECIAL },
	{ "[64:ff9b::7f00:1]:6650", SPECIAL },
	{ "[2002:7f00:1::]:6650", SPECIAL },
	{ "127.0.0.1.:6650", SPECIAL },
	/* ourselves */
	{ "10.1.1.1:6650", SPECIAL },
	{ "10.2.2.2:6651", SPECIAL },
	{ "10.2.2.2:6650", ROUTE_DIAL, CLOSE_NONE, false },
	{ "10.1.1.1:6651", ROUTE_DIAL, CLOSE_NONE, false },
	/* not a host and a port */
	{ "", SYNTAX },
	{ "a", SYNTAX },
	{ "a.internal", SYNTAX },
	{ ":6650", SYNTAX },
	{ ".:6650", SYNTAX },
	{ "a.internal:", SYNTAX },
	{ "a.internal:0", SYNTAX },
	{ "a.internal:65536", SYNTAX },
	{ "a.internal:-1", SYNTAX },
	{ "a.internal:6650 ", SYNTAX },
	{ " a.internal:6650", SYNTAX },
	{ "a internal:6650", SYNTAX },
	{ "a.internal:6650,b.internal:6650", SYNTAX },
	{ "a.internal:6650/x", SYNTAX },
	{ "user@a.internal:6650", SYNTAX },
	{ "broker-1.example:6650@a.internal:6650", SYNTAX },
	{ "http://a.internal:6650", SYNTAX },
	{ "pulsar://pulsar://a.internal:6650", SYNTAX },
	{ "pulsar://", SYNTAX },
	{ "a..internal:6650", SYNTAX },
	{ "a.internal..:6650", SYNTAX },
	{ "-a.internal:6650", SYNTAX },
	{ "\xd0\xb0.internal:6650", SYNTAX },
	{ "a\r\n.internal:6650", SYNTAX },
	{ "127.1:6650", SYNTAX },
	{ "0177.0.0.1:6650", SYNTAX },
	{ "0x7f.0.0.1:6650", SYNTAX },
	{ "0x7f000001:6650", SYNTAX },
	{ "2130706433:6650", SYNTAX },
	{ "127.0.0.01:6650", SYNTAX },
	{ "010.9.9.9:6650", SYNTAX },
	{ "::1:6650", SYNTAX },
	{ "2001:db8::5:6650", SYNTAX },
	{ "[::1:6650", SYNTAX },
	{ "[fe80::1%1]:6650", SYNTAX },
	{ "[10.9.9.9]:6650", SYNTAX },
	{ "[a.internal]:6650", SYNTAX },
};

static void test_target(void **state)
{
	(void)state;
	reset_config();
	struct route *route = make_route(true);
	for (size_t i = 0; i < COUNT_OF(target_rows); i++)
		check_row(route, 0, &target_rows[i]);
	struct route_verdict verdict;
	route_target(route, 0, span_of("a.internal\0:6650", 16), &verdict);
	assert_int_equal(verdict.reason, CLOSE_TARGET_SYNTAX_DENIED);
	route_target(route, 0, span_of(NULL, 0), &verdict);
	assert_int_equal(verdict.reason, CLOSE_TARGET_SYNTAX_DENIED);
	static char name[5000];
	memset(name, 'a', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 50)
		name[i] = '.';
	memcpy(name + sizeof(name) - 5, ":6650", 5);
	route_target(route, 0, span_of(name, sizeof(name)), &verdict);
	assert_int_equal(verdict.reason, CLOSE_TARGET_SYNTAX_DENIED);
	route_free(route);
}

static void test_check_active(void **state)
{
	(void)state;
	reset_config();
	struct route *route = make_route(true);
	for (size_t i = 0; i < COUNT_OF(target_rows); i++) {
		struct target_row row = target_rows[i];
		bool is_special = row.reason == CLOSE_TARGET_SPECIAL_DENIED &&
				  strcmp(row.target, "10.1.1.1:6650") != 0 &&
				  strcmp(row.target, "10.2.2.2:6651") != 0;
		if (!row.is_trusted && row.reason != CLOSE_TARGET_SYNTAX_DENIED && !is_special) {
			row.answer = ROUTE_DENY;
			row.reason = CLOSE_TARGET_HOST_DENIED;
		}
		check_row(route, 1, &row);
	}
	route_free(route);
}

static void test_not_loaded(void **state)
{
	(void)state;
	reset_config();
	struct route *route = make_route(false);
	static const struct target_row rows[] = {
		{ "evil.example:6650", ROUTE_DENY, CLOSE_NO_BROKER, false },
		{ "11.0.0.1:6650", ROUTE_DENY, CLOSE_NO_BROKER, false },
		{ "127.0.0.1:6650", SPECIAL },
		{ "127.1:6650", SYNTAX },
		{ "a.internal:6650", ROUTE_NEED_DNS, CLOSE_NONE, false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_row(route, 0, &rows[i]);
	route_free(route);
}

static void test_empty_rules(void **state)
{
	(void)state;
	static const struct target_row nothing[] = {
		{ "a.internal:6650", HOST },
		{ "10.9.9.9:6650", NETWORK },
		{ "broker-1.example:6650", ROUTE_DIAL, CLOSE_NONE, true },
	};
	reset_config();
	config.egress.hosts.count = 0;
	config.egress.networks.count = 0;
	struct route *route = make_route(true);
	for (size_t i = 0; i < COUNT_OF(nothing); i++)
		check_row(route, 0, &nothing[i]);
	/* An allowed name may resolve to anything that is not special. */
	struct addr addr = addr_v4(0x08080808, 6650), loopback = addr_v4(0x7f000001, 6650);
	assert_int_equal(route_addr_check(route, &addr), CLOSE_NONE);
	assert_int_equal(route_addr_check(route, &loopback), CLOSE_TARGET_SPECIAL_DENIED);
	addr.port = 22;
	assert_int_equal(route_addr_check(route, &addr), CLOSE_TARGET_PORT_DENIED);
	addr.is_set = 0;
	assert_int_equal(route_addr_check(route, &addr), CLOSE_TARGET_SPECIAL_DENIED);
	route_free(route);

	reset_config();
	config.egress.ports.count = 0;
	route = make_route(true);
	check_row(route, 0, &(struct target_row){ "a.internal:6650", PORT });
	check_row(route, 0, &(struct target_row){ "10.9.9.9:6650", PORT });
	route_free(route);

	config.egress.ports.is_any = true;
	route = make_route(true);
	check_row(route, 0, &(struct target_row){ "10.9.9.9:22", ROUTE_DIAL, CLOSE_NONE, false });
	addr = addr_v4(0x08080808, 22);
	assert_int_equal(route_addr_check(route, &addr), CLOSE_TARGET_NETWORK_DENIED);
	route_free(route);
}

static void test_find(void **state)
{
	(void)state;
	reset_config();
	struct route_builder *builder = route_build_begin(&config, 1);
	char host[32];
	for (uint32_t i = 0; i < ROUTE_ENDPOINTS_MAX; i++) {
		(void)snprintf(host, sizeof(host), "b%u.example", i / 4);
		assert_int_equal(add_endpoint(builder, 0, host, (uint16_t)(6650 + i % 4), NULL), i);
	}
	assert_int_equal(add_endpoint(builder, 0, "one-more", 6650, NULL), -1);
	assert_int_equal(add_endpoint(builder, 0, "B7.example.", 6651, "192.0.2.9"), 29);
	assert_int_equal(add_endpoint(builder, 0, "no host", 6650, NULL), -1);
	assert_int_equal(add_endpoint(builder, 0, "b", 0, NULL), -1);
	struct route *route = route_build_end(builder);
	for (uint32_t i = 0; i < ROUTE_ENDPOINTS_MAX; i++) {
		(void)snprintf(host, sizeof(host), "B%u.example", i / 4);
		const struct route_endpoint *found =
			route_find(route, 0, span_str(host), (uint16_t)(6650 + i % 4));
		assert_ptr_equal(found, &route->clusters[0].endpoints[i]);
	}
	assert_null(route_find(route, 0, span_str("b1024.example"), 6650));
	assert_null(route_find(route, 0, span_str("b0.example"), 6654));
	assert_null(route_find(route, 0, span_str("no host"), 6650));
	assert_null(route_find(route, 1, span_str("b0.example"), 6650));
	/* The second mention brought an address. */
	const struct route_endpoint *merged = route_find(route, 0, span_str("b7.example"), 6651);
	assert_int_equal(merged->addr_count, 1);
	assert_int_equal(merged->addrs[0].port, 6651);
	route_free(route);
}

static void test_any(void **state)
{
	(void)state;
	reset_config();
	struct route_builder *builder = route_build_begin(&config, 1);
	route_build_cluster(builder, 0, true, true, false, 1);
	char host[16];
	for (uint32_t i = 0; i < 6; i++) {
		(void)snprintf(host, sizeof(host), "b%u", i);
		/* b1 does not resolve, b4 speaks TLS only */
		int32_t at = add_endpoint(builder, 0, host, 6650, i == 1 ? NULL : "192.0.2.1");
		struct route_broker broker = {
			.id = host, .url = host, .plain = i == 4 ? -1 : at, .tls = -1
		};
		route_build_broker(builder, 0, &broker);
	}
	(void)add_endpoint(builder, 0, "listener", 6650, "192.0.2.1"); /* no broker's main URL */
	struct route *route = route_build_end(builder);
	static const uint32_t starts[] = { 0, 1, 2, 3, 4, 5, 6, 7, UINT32_MAX };
	for (size_t s = 0; s < COUNT_OF(starts); s++) {
		const struct route_endpoint *endpoint;
		bool seen[6] = { false };
		for (uint32_t n = 0; n < 4; n++) {
			assert_true(route_any(route, 0, NULL, starts[s], n, &endpoint));
			size_t at = (size_t)(endpoint->host[1] - '0');
			assert_true(at < 6 && !seen[at] && at != 1 && at != 4);
			seen[at] = true;
			if (n == 0 && starts[s] % 6 == 2)
				assert_int_equal(at, 2);
		}
		assert_false(route_any(route, 0, NULL, starts[s], 4, &endpoint));
	}
	const struct route_endpoint *none;
	assert_false(route_any(route, 1, NULL, 0, 0, &none));
	assert_string_equal(route->clusters[0].brokers[3].id, "b3");
	assert_null(route->clusters[0].brokers[3].url_tls);
	route_free(route);
}

static struct route *make_owned(bool is_loaded, bool is_direct)
{
	struct route_builder *builder = route_build_begin(&config, 1);
	route_build_cluster(builder, 0, is_loaded, true, is_direct, 1);
	int32_t a = add_endpoint(builder, 0, "a", 6650, "192.0.2.1");
	int32_t b = add_endpoint(builder, 0, "b", 6650, "192.0.2.2");
	int32_t c = add_endpoint(builder, 0, "c", 6650, NULL);
	/* my-topic hashes to 2bad45f7, test-topic-partition-0 to 5f628afd */
	struct route_bundle halves[] = {
		{ 0, a, -1 }, { 0x2bad45f7, b, -1 }, { 0x40000000, -1, -1 }, { 0x80000000, c, -1 }
	};
	struct route_bundle late[] = { { 1, a, -1 } }, twice[] = { { 0, a, -1 }, { 0, b, -1 } };
	struct route_namespace namespaces[] = {
		{ "z/z", halves, 1 },		{ "public/default", halves, 4 },
		{ "a/a", halves, 1 },		{ "public/late", late, 1 },
		{ "public/twice", twice, 2 },	{ "public/none", NULL, 0 },
		{ "public/defaul", halves, 1 }, { "public/default2", halves, 1 },
	};
	for (size_t i = 0; i < COUNT_OF(namespaces); i++)
		route_build_namespace(builder, 0, &namespaces[i]);
	struct route *route = route_build_end(builder);
	memset(halves, 0xff, sizeof(halves)); /* the snapshot has copies */
	return route;
}

static void test_owner(void **state)
{
	(void)state;
	static const struct {
		const char *topic, *owner;
	} rows[] = {
		{ "persistent://public/default/my-topic",
		  "b" }, /* its hash is the bundle's first */
		{ "persistent://public/default/test-topic-partition-0", NULL }, /* no owner */
		{ "persistent://z/z/x", "a" },
		{ "persistent://a/a/x", "a" },
		{ "persistent://public/defaul/x", "a" },
		{ "persistent://public/default2/x", "a" },
		{ "persistent://public/late/x", NULL },
		{ "persistent://public/twice/x", NULL },
		{ "persistent://public/none/x", NULL },
		{ "persistent://public/x/x", NULL },
		{ "persistent://public/default3/x", NULL },
		{ "my-topic", NULL },
		{ "persistent://p/c/public/default/my-topic", NULL },
	};
	reset_config();
	struct route *route = make_owned(true, true);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct route_endpoint *owner = route_owner(route, 0, span_str(rows[i].topic));
		assert_int_equal(owner != NULL, rows[i].owner != NULL);
		if (owner != NULL)
			assert_string_equal(owner->host, rows[i].owner);
	}
	/* Every topic whose bundle is c's, which does not resolve: nobody. */
	char topic[64];
	size_t of_c = 0, of_a = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		(void)snprintf(topic, sizeof(topic), "persistent://public/default/t%u", i);
		uint32_t hash = route_topic_hash(span_str(topic));
		const struct route_endpoint *owner = route_owner(route, 0, span_str(topic));
		const char *want = hash < 0x2bad45f7 ? "a" : hash < 0x40000000 ? "b" : NULL;
		of_c += hash >= 0x80000000;
		of_a += hash < 0x2bad45f7;
		assert_int_equal(owner != NULL, want != NULL);
		if (owner != NULL)
			assert_string_equal(owner->host, want);
	}
	assert_true(of_c > 100 && of_a > 50);
	route_free(route);
	route = make_owned(true, false);
	assert_null(route_owner(route, 0, span_str("persistent://z/z/x")));
	route_free(route);
	route = make_owned(false, true);
	assert_null(route_owner(route, 0, span_str("persistent://z/z/x")));
	route_free(route);
}

/* Kafka's brokers by id; of the same one told twice the second counts. */
static void test_node(void **state)
{
	(void)state;
	static const int32_t ids[] = { 7, 1001, 0, 3, 7, INT32_MAX };
	reset_config();
	struct route_builder *builder = route_build_begin(&config, 1);
	char rack[] = "rack-a";
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		char host[] = "a";
		host[0] = (char)('a' + i);
		const struct route_endpoint endpoint = { .host = host, .port = 9092 };
		const struct route_node node = {
			.id = ids[i],
			.endpoint = route_build_endpoint(builder, 0, &endpoint),
			.rack = i == 4 ? rack : NULL,
		};
		route_build_node(builder, 0, &node);
	}
	struct route *route = route_build_end(builder);
	memset(rack, 'x', 4);
	assert_int_equal(route->clusters[0].node_count, 5);
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		const struct route_node *node = route_node(route, 0, ids[i]);
		const char host[] = { (char)('a' + (i == 0 ? 4 : i)), '\0' };
		assert_int_equal(node->id, ids[i]);
		assert_string_equal(route->clusters[0].endpoints[node->endpoint].host, host);
		assert_int_equal(node->rack != NULL, ids[i] == 7);
	}
	assert_string_equal(route_node(route, 0, 7)->rack, "rack-a");
	assert_null(route_node(route, 0, 4));
	assert_null(route_node(route, 0, -1));
	assert_null(route_node(route, 1, 7));
	route_free(route);
}

static void add_node(struct route_builder *builder, int32_t id, uint32_t ip, uint64_t told_ns)
{
	char host[ADDR_TEXT_MAX];
	struct route_endpoint endpoint = { .host = host, .port = 9092, .addr_count = ip > 0 };

	(void)snprintf(host, sizeof(host), "b%u", (unsigned)ip);
	endpoint.addrs[0] = addr_v4(0x0a000000 + ip, 0);
	const struct route_node node = {
		.id = id,
		.endpoint = route_build_endpoint(builder, 0, &endpoint),
		.told_ns = told_ns,
	};
	route_build_node(builder, 0, &node);
}

/* A broker comes back where another one was, and nothing newer is known of that one: it is nowhere.
 * Of words that are equally new none is wrong. */
static void test_node_replaced(void **state)
{
	(void)state;
	reset_config();
	struct route_builder *builder = route_build_begin(&config, 1);
	add_node(builder, 1, 1, 10);
	add_node(builder, 2, 2, 10);
	add_node(builder, 3, 1, 30); /* where 1 was, */
	add_node(builder, 4, 2, 20); /* where 2 was, */
	add_node(builder, 5, 2, 25); /* and 5 after it */
	add_node(builder, 6, 6, 40);
	add_node(builder, 7, 6, 40);
	add_node(builder, 8, 0, 50); /* its address is not known yet */
	struct route *route = route_build_end(builder);
	const struct addr at[] = {
		addr_v4(0x0a000001, 9092),
		addr_v4(0x0a000002, 9092),
		addr_v4(0x0a000006, 9092),
		addr_v4(0x0a000006, 9093),
	};
	assert_int_equal(route->clusters[0].node_count, 5);
	assert_null(route_node(route, 0, 1));
	assert_null(route_node(route, 0, 2));
	assert_null(route_node(route, 0, 4));
	assert_int_equal(route_node(route, 0, 3)->told_ns, 30);
	assert_non_null(route_node(route, 0, 5));
	assert_non_null(route_node(route, 0, 6));
	assert_non_null(route_node(route, 0, 7));
	/* Connections that were made before. */
	assert_true(route_is_another_node(route, 0, 1, &at[0]));
	assert_true(route_is_another_node(route, 0, 2, &at[1]));
	assert_true(route_is_another_node(route, 0, 3, &at[1]));
	assert_false(route_is_another_node(route, 0, 3, &at[0]));
	assert_false(route_is_another_node(route, 0, 6, &at[2]));
	assert_false(route_is_another_node(route, 0, 7, &at[2]));
	assert_false(route_is_another_node(route, 0, 7, &at[3])); /* another port is nobody's */
	assert_false(route_is_another_node(route, 0, 8, &at[0]));
	assert_false(route_is_another_node(route, 1, 3, &at[1]));
	route_free(route);
}

static void add_node_of_two(struct route_builder *builder, int32_t id, uint32_t one, uint32_t other)
{
	char host[ADDR_TEXT_MAX];
	struct route_endpoint endpoint = { .host = host, .port = 9092, .addr_count = 2 };

	(void)snprintf(host, sizeof(host), "n%d", (int)id);
	endpoint.addrs[0] = addr_v4(0x0a000000 + one, 0);
	endpoint.addrs[1] = addr_v4(0x0a000000 + other, 0);
	const struct route_node node = {
		.id = id,
		.endpoint = route_build_endpoint(builder, 0, &endpoint),
	};
	route_build_node(builder, 0, &node);
}

/* A load balancer in front of all of them, of whose addresses DNS gives now these, now those: which
 * of them a connection is to says nothing. */
static void test_nodes_behind_one_door(void **state)
{
	(void)state;
	reset_config();
	struct route_builder *builder = route_build_begin(&config, 1);
	add_node_of_two(builder, 1, 1, 2);
	add_node_of_two(builder, 2, 2, 3);
	add_node_of_two(builder, 3, 4, 5);
	struct route *route = route_build_end(builder);
	const struct addr shared = addr_v4(0x0a000003, 9092), apart = addr_v4(0x0a000004, 9092);
	assert_false(route_is_another_node(route, 0, 1, &shared));
	assert_true(route_is_another_node(route, 0, 1, &apart));
	route_free(route);
}

static void test_snapshot(void **state)
{
	(void)state;
	reset_config();
	struct route_builder *builder = route_build_begin(&config, 99);
	char name[] = "plain", host[] = "Forward.Example";
	struct route_endpoint forward = { .host = host, .port = 7000, .addr_count = 1 };
	forward.addrs[0] = addr_v4(0x0a000009, 0);
	route_build_listener(builder, 5, 1, name);
	route_build_forward(builder, 1, &forward);
	for (uint32_t i = 0; i < 2 * ROUTE_LOCALS_MAX; i++)
		route_build_local(builder, &forward.addrs[0]); /* the rest is left out */
	memset(name, 'x', 5);
	struct route *route = route_build_end(builder);
	memset(host, 'x', 5);
	assert_int_equal(route->version, 99);
	assert_ptr_equal(route->config, &config);
	assert_int_equal(route->cluster_count, 2);
	assert_string_equal(route->clusters[1].name, "strict");
	assert_int_equal(route->listener_of_id[5], 1);
	assert_int_equal(route->listener_of_id[4], -1);
	assert_string_equal(route->listener_name[5], "plain");
	assert_null(route->listener_name[4]);
	assert_string_equal(route->forwards[1].host, "forward.example");
	assert_int_equal(route->forwards[1].addrs[0].port, 7000);
	assert_null(route->forwards[0].host);
	assert_int_equal(route->local_count, ROUTE_LOCALS_MAX);
	const struct route_endpoint *none;
	assert_false(route_any(route, 0, NULL, 0, 0, &none));
	assert_null(route_find(route, 0, span_str("a"), 1));
	route_free(route);
	route_free(NULL);
	/* Out of memory is told once. */
	route_build_cluster(NULL, 0, true, true, true, 1);
	assert_int_equal(route_build_endpoint(NULL, 0, &forward), -1);
	route_build_own(NULL, &forward.addrs[0]);
	assert_null(route_build_end(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target),	      cmocka_unit_test(test_check_active),
		cmocka_unit_test(test_not_loaded),    cmocka_unit_test(test_empty_rules),
		cmocka_unit_test(test_find),	      cmocka_unit_test(test_any),
		cmocka_unit_test(test_owner),	      cmocka_unit_test(test_node),
		cmocka_unit_test(test_node_replaced), cmocka_unit_test(test_nodes_behind_one_door),
		cmocka_unit_test(test_snapshot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
