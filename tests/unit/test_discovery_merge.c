/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * By which rules a new broker list replaces the old one, what a snapshot shows of it, what is saved
 * and read again, and what a reload does to clusters.
 */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "../../src/control/discovery/discovery_priv.h"

#define NOW   (1000 * NS_PER_S)
#define GRACE (60 * NS_PER_S)

static uint32_t changes;
static const char *directory;

/* Literals have themselves as an address, names "10.0.0.<length>", but "none" has none. */
static uint32_t resolve(void *context, const char *host, struct addr *ret_addrs, uint32_t max,
			bool *ret_is_final)
{
	(void)context;
	(void)max;
	*ret_is_final = true;
	if (strcmp(host, "none") == 0)
		return 0;
	if (!addr_parse_ip(span_str(host), &ret_addrs[0]))
		ret_addrs[0] = addr_v4(0x0a000000u + (uint32_t)strlen(host), 0);
	return 1;
}

static void changed(void *context)
{
	(void)context;
	changes++;
}

static struct config *config_of(uint32_t zookeepers, uint32_t statics)
{
	static struct config_url urls[2] = { { "s1", 6650, false }, { "S2", 6651, true } };
	static const char *const names[] = { "c0", "c1", "c2", "c3" };
	struct config *config = calloc(1, sizeof(*config));

	assert_non_null(config);
	for (uint32_t i = 0; i < zookeepers + statics; i++) {
		struct config_cluster *cluster = &config->clusters[i];

		cluster->name = names[i];
		cluster->zookeeper_session_ns = 30 * NS_PER_S;
		cluster->zookeeper_resync_ns = 300 * NS_PER_S;
		cluster->grace_ns = GRACE;
		if (i < zookeepers) {
			cluster->zookeeper_servers = "zk:2181";
			continue;
		}
		cluster->urls = urls;
		cluster->url_count = 2;
	}
	config->cluster_count = zookeepers + statics;
	return config;
}

static struct discovery *discovery_of(const struct config *config)
{
	const struct discovery_host host = { .resolve = resolve, .changed = changed };
	struct discovery *discovery = discovery_new(&host);

	assert_non_null(discovery);
	assert_int_equal(discovery_apply(discovery, config), 0);
	changes = 0;
	return discovery;
}

/* A list of brokers "pulsar://<name>:6650", ids the names. */
static void merge(struct discovery_cluster *cluster, uint64_t now_ns, uint32_t count,
		  const char *const *names)
{
	struct discovery_brokers fresh = { .count = count };

	fresh.at = calloc(count + 1u, sizeof(*fresh.at));
	assert_non_null(fresh.at);
	for (uint32_t i = 0; i < count; i++) {
		struct discovery_broker *broker = &fresh.at[i];
		char url[64];

		broker->node = -1;
		(void)snprintf(broker->id, sizeof(broker->id), "%s", names[i]);
		(void)snprintf(url, sizeof(url), "pulsar://%s:6650", names[i]);
		assert_true(discovery_url_parse(url, &broker->plain));
	}
	discovery_merge(cluster, &fresh, now_ns);
}

#define MERGE(cluster, now_ns, ...)                                                        \
	merge(cluster, now_ns, (uint32_t)COUNT_OF(((const char *const[]){ __VA_ARGS__ })), \
	      (const char *const[]){ __VA_ARGS__ })

static struct route *snapshot(struct discovery *discovery, const struct config *config,
			      uint64_t now_ns)
{
	struct route_builder *builder = route_build_begin(config, 1);

	for (uint32_t i = 0; i < config->cluster_count; i++)
		discovery_build(discovery, i, builder, now_ns);
	struct route *route = route_build_end(builder);

	assert_non_null(route);
	return route;
}

static void test_static(void **state)
{
	struct config *config = config_of(0, 1);
	struct discovery *discovery = discovery_of(config);
	struct route *route = snapshot(discovery, config, NOW);
	const struct route_cluster *cluster = &route->clusters[0];
	struct discovery_view view;

	(void)state;
	assert_true(cluster->is_loaded);
	assert_false(cluster->is_zookeeper);
	assert_false(cluster->is_direct);
	assert_int_equal(cluster->broker_count, 2);
	assert_string_equal(cluster->brokers[0].url, "pulsar://s1:6650");
	assert_null(cluster->brokers[0].url_tls);
	assert_int_equal(cluster->brokers[0].tls, -1);
	assert_string_equal(cluster->brokers[1].url_tls, "pulsar+ssl://s2:6651");
	assert_null(cluster->brokers[1].url);
	assert_int_equal(cluster->endpoint_count, 2);
	assert_int_equal(cluster->endpoints[0].addr_count, 1);
	assert_int_equal(cluster->endpoints[0].addrs[0].port, 6650);
	assert_true(cluster->endpoints[1].is_tls);
	assert_true(discovery_view(discovery, 0, clock_now_ns(), &view));
	assert_string_equal(view.zookeeper, "none");
	assert_int_equal(view.broker_count, 2);
	assert_false(discovery_view(discovery, 1, NOW, &view));
	route_free(route);
	discovery_free(discovery);
	free(config);
}

static void test_empty_never_replaces(void **state)
{
	struct config *config = config_of(1, 0);
	struct discovery *discovery = discovery_of(config);
	struct discovery_cluster *cluster = discovery->clusters[0];

	(void)state;
	/* Nothing listed at first: not loaded, so not ready. */
	merge(cluster, NOW, 0, NULL);
	assert_false(cluster->is_loaded);
	assert_int_equal(changes, 0);

	MERGE(cluster, NOW, "b1", "b2");
	assert_true(cluster->is_loaded);
	assert_int_equal(changes, 1);
	assert_int_equal(discovery_merge_age_ns(cluster, NOW + NS_PER_S), NS_PER_S);

	/* One leaves while another remains; then the last one would: it stays, and ages. */
	MERGE(cluster, NOW + NS_PER_S, "b2");
	assert_int_equal(cluster->brokers.count, 1);
	merge(cluster, NOW + 5 * NS_PER_S, 0, NULL);
	assert_int_equal(cluster->brokers.count, 1);
	assert_int_equal(discovery_merge_age_ns(cluster, NOW + 9 * NS_PER_S), 8 * NS_PER_S);
	assert_int_equal(changes, 2);

	/* The same again is no change, but a confirmation. */
	MERGE(cluster, NOW + 10 * NS_PER_S, "b2");
	assert_int_equal(changes, 2);
	assert_int_equal(discovery_merge_age_ns(cluster, NOW + 10 * NS_PER_S), 0);
	MERGE(cluster, NOW + 11 * NS_PER_S, "b3");
	assert_int_equal(changes, 3);
	assert_string_equal(cluster->brokers.at[0].id, "b3");
	discovery_free(discovery);
	free(config);
}

static const struct route_endpoint *find(const struct route *route, const char *host)
{
	return route_find(route, 0, span_str(host), 6650);
}

static void test_departed_are_allowed_for_a_while(void **state)
{
	struct config *config = config_of(1, 0);
	struct discovery *discovery = discovery_of(config);
	struct discovery_cluster *cluster = discovery->clusters[0];
	uint64_t left = NOW + 10 * NS_PER_S;

	(void)state;
	MERGE(cluster, NOW, "b1", "b2");
	MERGE(cluster, left, "b2");
	struct route *route = snapshot(discovery, config, left);

	/* Known, so that a client sent there a moment ago is told to try again; not a candidate. */
	assert_non_null(find(route, "b1"));
	assert_int_equal(route->clusters[0].broker_count, 1);
	route_free(route);

	assert_false(discovery_merge_forget(cluster, left + GRACE - 1));
	assert_true(discovery_merge_forget(cluster, left + GRACE));
	route = snapshot(discovery, config, left + GRACE);
	assert_null(find(route, "b1"));
	assert_non_null(find(route, "b2"));
	route_free(route);

	/* Back before the time is over: no longer departed, so never forgotten. */
	MERGE(cluster, left + 61 * NS_PER_S, "b1", "b2");
	MERGE(cluster, left + 62 * NS_PER_S, "b2");
	assert_int_equal(cluster->departed_count, 1);
	MERGE(cluster, left + 63 * NS_PER_S, "b1", "b2");
	assert_int_equal(cluster->departed_count, 0);
	discovery_free(discovery);
	free(config);
}

static void test_departed_are_bounded(void **state)
{
	struct config *config = config_of(1, 0);
	struct discovery *discovery = discovery_of(config);
	struct discovery_cluster *cluster = discovery->clusters[0];

	(void)state;
	for (uint32_t i = 0; i < 3 * DISCOVERY_DEPARTED_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "b%u", i);
		MERGE(cluster, NOW + i, name);
		assert_true(cluster->departed_count <= DISCOVERY_DEPARTED_MAX);
	}
	/* The newest are the ones kept. */
	bool has_last = false;

	for (uint32_t i = 0; i < cluster->departed_count; i++)
		has_last = has_last || strcmp(cluster->departed[i].url.host, "b766") == 0;
	assert_true(has_last);
	discovery_free(discovery);
	free(config);
}

static void test_endpoints(void **state)
{
	struct config *config = config_of(1, 0);
	struct discovery *discovery = discovery_of(config);
	struct discovery_brokers fresh = { .count = 2 };

	(void)state;
	fresh.at = calloc(2, sizeof(*fresh.at));
	assert_non_null(fresh.at);
	(void)snprintf(fresh.at[0].id, sizeof(fresh.at[0].id), "[2001:db8::1]:8080");
	assert_true(discovery_url_parse("pulsar://[2001:db8::1]:6650", &fresh.at[0].plain));
	assert_true(discovery_url_parse("pulsar+ssl://[2001:db8::1]:6651", &fresh.at[0].tls));
	fresh.at[0].listeners = calloc(1, sizeof(*fresh.at[0].listeners));
	fresh.at[0].listener_count = 1;
	assert_true(discovery_url_parse("pulsar://Out.example:6650", fresh.at[0].listeners));
	(void)snprintf(fresh.at[1].id, sizeof(fresh.at[1].id), "none:8080");
	assert_true(discovery_url_parse("pulsar://none:6650", &fresh.at[1].plain));
	discovery_merge(discovery->clusters[0], &fresh, NOW);

	struct route *route = snapshot(discovery, config, NOW);
	const struct route_cluster *cluster = &route->clusters[0];

	assert_string_equal(cluster->brokers[0].url, "pulsar://[2001:db8::1]:6650");
	assert_string_equal(cluster->brokers[0].url_tls, "pulsar+ssl://[2001:db8::1]:6651");
	assert_int_equal(cluster->endpoint_count, 4);
	assert_non_null(find(route, "out.example"));
	assert_non_null(find(route, "2001:db8::1"));
	/* A name without an address is listed: it may have one soon. */
	assert_int_equal(find(route, "none")->addr_count, 0);
	route_free(route);
	discovery_free(discovery);
	free(config);
}

static void test_saved_and_read(void **state)
{
	struct config *config = config_of(1, 0);

	(void)state;
	config->state_dir = directory;
	struct discovery *discovery = discovery_of(config);

	assert_false(discovery->clusters[0]->is_loaded);
	MERGE(discovery->clusters[0], clock_now_ns(), "b1", "b2");
	discovery_free(discovery);

	/* The next start has no ZooKeeper, and serves. */
	discovery = discovery_of(config);
	struct discovery_cluster *cluster = discovery->clusters[0];

	assert_true(cluster->is_loaded);
	assert_int_equal(cluster->brokers.count, 2);
	assert_string_equal(cluster->brokers.at[1].id, "b2");
	assert_true(discovery_has_url(cluster, &cluster->brokers.at[1].plain));
	assert_true(discovery_merge_age_ns(cluster, clock_now_ns()) < 5 * NS_PER_S);
	discovery_free(discovery);

	/* Other servers may be another cluster. */
	config->clusters[0].zookeeper_servers = "other:2181";
	discovery = discovery_of(config);
	assert_false(discovery->clusters[0]->is_loaded);
	discovery_free(discovery);
	free(config);
}

static void merge_kafka(struct discovery_cluster *cluster, const char *url)
{
	struct discovery_brokers fresh = { .count = 1 };

	fresh.at = calloc(1, sizeof(*fresh.at));
	assert_non_null(fresh.at);
	fresh.at[0] = (struct discovery_broker){ .id = "7", .node = 7, .rack = "a b" };
	assert_true(discovery_url_parse(url, &fresh.at[0].tls));
	discovery_merge(cluster, &fresh, clock_now_ns());
}

static struct discovery *kafka_again(struct discovery *old, const struct config *config)
{
	discovery_free(old);
	return discovery_of(config);
}

static void test_kafka_saved_and_read(void **state)
{
	struct config *config = config_of(1, 0);
	struct config_cluster *about = &config->clusters[0];

	(void)state;
	config->state_dir = directory;
	about->name = "kafka";
	about->protocol = CONFIG_KAFKA;
	about->zookeeper_listener = "CLIENT";
	about->broker_tls.verify = CONFIG_VERIFY_OFF;
	struct discovery *discovery = discovery_of(config);

	merge_kafka(discovery->clusters[0], "kafka+ssl://k7:9093");
	discovery = kafka_again(discovery, config);
	const struct discovery_broker *broker = discovery_find_node(discovery->clusters[0], 7);

	assert_non_null(broker);
	assert_string_equal(broker->rack, "a b");
	assert_string_equal(broker->tls.host, "k7");
	assert_true(broker->tls.is_kafka);

	/* Another listener has other addresses, a plain one too; and Pulsar none of these. */
	about->zookeeper_listener = "OTHER";
	discovery = kafka_again(discovery, config);
	assert_false(discovery->clusters[0]->is_loaded);
	about->zookeeper_listener = "CLIENT";
	about->broker_tls.verify = CONFIG_VERIFY_FULL;
	discovery = kafka_again(discovery, config);
	assert_false(discovery->clusters[0]->is_loaded);
	about->protocol = CONFIG_PULSAR;
	discovery = kafka_again(discovery, config);
	assert_false(discovery->clusters[0]->is_loaded);
	discovery_free(discovery);
	free(config);
}

static void write_state(const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/c0.brokers.json", directory);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void test_spoiled_state(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{}",
		"{\"version\":2,\"servers\":\"zk:2181\",\"saved\":1,\"brokers\":[{\"id\":\"b\","
		"\"url\":\"pulsar://b:1\",\"url_tls\":null}]}",
		"{\"version\":1,\"servers\":\"zk:2181\",\"saved\":1,\"brokers\":[]}",
		"{\"version\":1,\"servers\":\"zk:2181\",\"saved\":1,\"brokers\":[1,{},{\"id\":\"b\"},"
		"{\"id\":\"b\",\"url\":\"x\",\"url_tls\":null}]}",
		"{\"version\":1,\"servers\":\"zk:2181\",\"saved\":1,\"brokers\":{\"id\":\"b\"}}",
	};
	struct config *config = config_of(1, 0);

	(void)state;
	config->state_dir = directory;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		write_state(bad[i]);
		struct discovery *discovery = discovery_of(config);

		assert_false(discovery->clusters[0]->is_loaded);
		discovery_free(discovery);
	}
	/* One entry of several is good; saved long ago, so old. */
	write_state("{\"version\":1,\"servers\":\"zk:2181\",\"saved\":1000,\"brokers\":[7,"
		    "{\"id\":\"b\",\"url\":\"pulsar://b:1\",\"url_tls\":null,"
		    "\"listeners\":[\"pulsar://l:2\",null,\"x\"]}]}");
	struct discovery *discovery = discovery_of(config);
	struct discovery_cluster *cluster = discovery->clusters[0];

	assert_true(cluster->is_loaded);
	assert_int_equal(cluster->brokers.count, 1);
	assert_int_equal(cluster->brokers.at[0].listener_count, 1);
	assert_true(discovery_merge_age_ns(cluster, clock_now_ns()) >
		    3600ull * 24 * 365 * NS_PER_S);
	discovery_free(discovery);
	free(config);
}

static void test_reload(void **state)
{
	struct config *config = config_of(2, 1);
	struct config *next = config_of(1, 2);
	struct discovery *discovery = discovery_of(config);

	(void)state;
	MERGE(discovery->clusters[0], NOW, "b1");
	MERGE(discovery->clusters[1], NOW, "b2");
	struct discovery_cluster *first = discovery->clusters[0];
	struct discovery_cluster *third = discovery->clusters[2];

	/* Nothing changes for c0 and c2; c1 turns from ZooKeeper to URLs. */
	assert_int_equal(discovery_apply(discovery, next), 0);
	assert_ptr_equal(discovery->clusters[0], first);
	assert_ptr_equal(discovery->clusters[2], third);
	assert_int_equal(discovery->clusters[1]->brokers.count, 2);
	assert_string_equal(discovery->clusters[1]->brokers.at[0].id, "pulsar://s1:6650");
	/* Clients of its old brokers may still finish what they are at. */
	assert_int_equal(discovery->clusters[1]->departed_count, 1);

	/* And back: the list stays until ZooKeeper has one. */
	assert_int_equal(discovery_apply(discovery, config), 0);
	assert_true(discovery->clusters[1]->is_loaded);
	assert_int_equal(discovery->clusters[1]->brokers.count, 2);

	/* Another place, the same cluster; the others go. */
	struct config *one = config_of(0, 1);

	one->clusters[0] = config->clusters[0];
	one->clusters[0].name = "c0";
	assert_int_equal(discovery_apply(discovery, one), 0);
	assert_int_equal(discovery->cluster_count, 1);
	assert_ptr_equal(discovery->clusters[0], first);
	discovery_free(discovery);
	free(config);
	free(next);
	free(one);
}

static int setup(void **state)
{
	(void)state;
	directory = unit_folder();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_empty_never_replaces),
		cmocka_unit_test(test_departed_are_allowed_for_a_while),
		cmocka_unit_test(test_departed_are_bounded),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_kafka_saved_and_read),
		cmocka_unit_test(test_saved_and_read),
		cmocka_unit_test(test_spoiled_state),
		cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
