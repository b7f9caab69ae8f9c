/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What Pulsar and Kafka keep in ZooKeeper, in all its forms, and what else may be found there.
 */
#include "unit.h"

#include "../../src/control/discovery/discovery_json.h"

static char why[DISCOVERY_WHY_MAX];

static bool parse(const char *json, struct discovery_broker *ret_broker)
{
	size_t len = strlen(json);
	uint8_t *copy = exact_copy(json, len);
	bool is_good = discovery_broker_json_parse("b1:8080", copy, len, ret_broker, why);

	free(copy);
	return is_good;
}

static void assert_url(const struct discovery_url *url, const char *text)
{
	char have[DISCOVERY_URL_MAX];

	assert_int_equal(discovery_url_format(url, have), strlen(text));
	assert_string_equal(have, text);
}

static void test_url(void **state)
{
	static const char *const good[] = {
		"pulsar://b1:6650",    "pulsar+ssl://b1.example.com:6651",
		"pulsar://10.0.0.1:1", "pulsar://[2001:db8::1]:65535",
		"kafka://k1:9092",     "kafka+ssl://[::1]:9093"
	};
	static const char *const bad[] = {
		"",
		"b1:6650",
		"http://b1:6650",
		"pulsar:/b1:6650",
		"pulsar://b1",
		"pulsar://b1:",
		"pulsar://:6650",
		"pulsar://b1:0",
		"pulsar://b1:65536",
		"pulsar://b1:66x",
		"pulsar://b1:6650,b2:6650",
		"pulsar://b1:6650/x",
		"pulsar://a b:6650",
		"pulsar://a@b:6650",
		"pulsar+tls://b1:6650",
		"pulsar://::1:6650",
	};
	struct discovery_url url;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(discovery_url_parse(good[i], &url));
		assert_url(&url, good[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(discovery_url_parse(bad[i], &url));
	assert_true(discovery_url_parse("pulsar://B1.Example.COM:6650/", &url));
	assert_url(&url, "pulsar://b1.example.com:6650");
}

static void test_local_broker_data(void **state)
{
	struct discovery_broker broker;

	(void)state;
	assert_true(
		parse("{\"webServiceUrl\":\"http://b1:8080\",\"webServiceUrlTls\":null,"
		      "\"pulsarServiceUrl\":\"pulsar://b1:6650\","
		      "\"pulsarServiceUrlTls\":\"pulsar+ssl://b1:6651\","
		      "\"persistentTopicsEnabled\":true,\"cpu\":{\"usage\":1.5,\"limit\":200.0},"
		      "\"bundles\":[\"public/default/0x00000000_0x40000000\"],"
		      "\"loadReportType\":\"LocalBrokerData\",\"brokerVersionString\":\"4.0.8\","
		      "\"loadManagerClassName\":\"org.apache.pulsar.broker.loadbalance.impl."
		      "ModularLoadManagerImpl\",\"protocols\":{},"
		      "\"advertisedListeners\":{\"internal\":{\"brokerServiceUrl\":"
		      "\"pulsar://in1:6650\",\"brokerServiceUrlTls\":null},\"external\":{"
		      "\"brokerServiceUrl\":\"pulsar://out1:16650\",\"brokerServiceUrlTls\":"
		      "\"pulsar+ssl://out1:16651\",\"brokerHttpUrl\":\"http://x:1\"}}}",
		      &broker));
	assert_string_equal(why, "");
	assert_string_equal(broker.id, "b1:8080");
	assert_url(&broker.plain, "pulsar://b1:6650");
	assert_url(&broker.tls, "pulsar+ssl://b1:6651");
	assert_false(broker.is_extensible);
	assert_int_equal(broker.listener_count, 3);
	assert_url(&broker.listeners[0], "pulsar://in1:6650");
	assert_url(&broker.listeners[1], "pulsar://out1:16650");
	assert_url(&broker.listeners[2], "pulsar+ssl://out1:16651");
	free(broker.listeners);
}

static void test_load_report(void **state)
{
	struct discovery_broker broker;

	(void)state;
	assert_true(parse("{\"name\":\"b1:8080\",\"pulsarServiceUrl\":\"pulsar://b1:6650\","
			  "\"underLoaded\":true,\"overLoaded\":false,"
			  "\"loadReportType\":\"LoadReport\",\"systemResourceUsage\":{}}",
			  &broker));
	assert_url(&broker.plain, "pulsar://b1:6650");
	assert_int_equal(broker.tls.port, 0);
	assert_int_equal(broker.listener_count, 0);
	assert_null(broker.listeners);
}

static void test_broker_lookup_data(void **state)
{
	struct discovery_broker broker;

	(void)state;
	assert_true(parse("{\"webServiceUrlTls\":\"https://b1:8443\",\"brokerId\":\"b1:8443\","
			  "\"pulsarServiceUrlTls\":\"pulsar+ssl://b1:6651\","
			  "\"pulsarServiceUrl\":null,\"advertisedListeners\":null,"
			  "\"loadManagerClassName\":\"org.apache.pulsar.broker.loadbalance."
			  "extensions.ExtensibleLoadManagerImpl\",\"startTimestamp\":17,"
			  "\"properties\":{}}",
			  &broker));
	assert_int_equal(broker.plain.port, 0);
	assert_url(&broker.tls, "pulsar+ssl://b1:6651");
	assert_true(broker.is_extensible);
}

static void test_one_bad_url(void **state)
{
	struct discovery_broker broker;

	(void)state;
	/* The good one is of use, and the complaint names the bad one. */
	assert_true(parse("{\"pulsarServiceUrl\":\"pulsar://b1:0\","
			  "\"pulsarServiceUrlTls\":\"pulsar+ssl://b1:6651\"}",
			  &broker));
	assert_int_equal(broker.plain.port, 0);
	assert_non_null(strstr(why, "pulsarServiceUrl "));
	assert_true(parse("{\"pulsarServiceUrl\":\"pulsar://b1:6650\",\"pulsarServiceUrlTls\":5}",
			  &broker));
	assert_int_equal(broker.tls.port, 0);
	/* A plain URL under the TLS key would make us speak plaintext to a TLS port, or the other
	 * way round. */
	assert_true(parse("{\"pulsarServiceUrl\":\"pulsar://b1:6650\","
			  "\"pulsarServiceUrlTls\":\"pulsar://b1:6651\"}",
			  &broker));
	assert_int_equal(broker.tls.port, 0);
}

static void test_bad_nodes(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"nope",
		"[]",
		"null",
		"\"x\"",
		"{}",
		"{\"pulsarServiceUrl\":null}",
		"{\"pulsarServiceUrl\":5}",
		"{\"pulsarServiceUrl\":[\"pulsar://b1:6650\"]}",
		"{\"pulsarServiceUrl\":\"pulsar://b1:65536\"}",
		"{\"pulsarServiceUrl\":\"http://b1:8080\"}",
		"{\"pulsarServiceUrl\":\"pulsar://b1:6650\"} x",
		"{\"pulsarServiceUrl\":\"pulsar://b1\\u0000:6650\"}",
	};
	struct discovery_broker broker;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		why[0] = '\0';
		assert_false(parse(bad[i], &broker));
		assert_string_not_equal(why, "");
	}
}

static void test_odd_listeners(void **state)
{
	struct discovery_broker broker;

	(void)state;
	assert_true(parse("{\"pulsarServiceUrl\":\"pulsar://b1:6650\",\"advertisedListeners\":{"
			  "\"a\":null,\"b\":[],\"c\":\"x\",\"d\":{},\"e\":{\"brokerServiceUrl\":7},"
			  "\"f\":{\"brokerServiceUrlTls\":\"pulsar+ssl://f:1\"}}}",
			  &broker));
	assert_int_equal(broker.listener_count, 1);
	assert_url(&broker.listeners[0], "pulsar+ssl://f:1");
	free(broker.listeners);
	assert_true(parse("{\"pulsarServiceUrl\":\"pulsar://b1:6650\",\"advertisedListeners\":[1]}",
			  &broker));
	assert_int_equal(broker.listener_count, 0);
	/* The same key twice: the last counts, as in Java. */
	assert_true(parse("{\"pulsarServiceUrl\":\"pulsar://a:1\","
			  "\"pulsarServiceUrl\":\"pulsar://b:2\"}",
			  &broker));
	assert_url(&broker.plain, "pulsar://b:2");
}

static void test_many_listeners(void **state)
{
	char json[8192];
	struct sink sink = sink_of(json, sizeof(json) - 1);
	struct discovery_broker broker;

	(void)state;
	sink_str(&sink, "{\"pulsarServiceUrl\":\"pulsar://b1:6650\",\"advertisedListeners\":{");
	for (int i = 0; i < 100; i++)
		sink_printf(&sink, "%s\"l%d\":{\"brokerServiceUrl\":\"pulsar://l%d:1\"}",
			    i == 0 ? "" : ",", i, i);
	sink_str(&sink, "}}");
	json[sink.len] = '\0';
	assert_true(parse(json, &broker));
	assert_int_equal(broker.listener_count, DISCOVERY_LISTENERS_MAX);
	free(broker.listeners);
}

static void test_size_and_depth(void **state)
{
	size_t size = DISCOVERY_JSON_MAX + 1;
	uint8_t *big = malloc(size);
	struct discovery_broker broker;
	char deep[200];

	(void)state;
	assert_non_null(big);
	memset(big, ' ', size);
	memcpy(big, "{\"pulsarServiceUrl\":\"pulsar://b1:6650\"}", 39);
	assert_true(discovery_broker_json_parse("b", big, size - 1, &broker, why));
	assert_false(discovery_broker_json_parse("b", big, size, &broker, why));
	assert_non_null(strstr(why, "1 MiB"));
	memset(big, '[', size);
	assert_false(discovery_broker_json_parse("b", big, size - 1, &broker, why));
	assert_non_null(strstr(why, "deeper"));
	free(big);

	struct sink sink = sink_of(deep, sizeof(deep) - 1);

	sink_str(&sink, "{\"x\":");
	for (int i = 0; i < DISCOVERY_JSON_DEPTH; i++)
		sink_str(&sink, "[");
	for (int i = 0; i < DISCOVERY_JSON_DEPTH; i++)
		sink_str(&sink, "]");
	sink_str(&sink, "}");
	deep[sink.len] = '\0';
	assert_false(parse(deep, &broker));
	assert_non_null(strstr(why, "deeper"));
	/* Brackets in a text are no depth. */
	assert_true(parse("{\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\","
			  "\"pulsarServiceUrl\":\"pulsar://b1:6650\"}",
			  &broker));
}

/* ---- brokers of Kafka ---- */

static bool parse_kafka(const char *id, const char *listener, bool is_tls, const char *json,
			struct discovery_broker *ret_broker)
{
	const struct discovery_wanted wanted = { listener, is_tls };
	size_t len = strlen(json);
	uint8_t *copy = exact_copy(json, len);
	bool is_good = discovery_kafka_json_parse(id, &wanted, copy, len, ret_broker, why);

	free(copy);
	assert_int_equal(is_good, why[0] == '\0');
	return is_good;
}

/* As 3.9.2 writes it. */
static const char kafka_5[] =
	"{\"features\":{},\"listener_security_protocol_map\":{\"INTERNAL\":\"PLAINTEXT\","
	"\"CLIENT\":\"SASL_SSL\",\"V6\":\"SSL\"},\"endpoints\":[\"INTERNAL://127.77.0.31:9091\","
	"\"CLIENT://Kafka-1.Example.com:9093\",\"V6://[2001:db8::1]:9094\"],\"rack\":\"rack-1\","
	"\"jmx_port\":-1,\"port\":-1,\"host\":null,\"version\":5,\"timestamp\":\"1700000000000\"}";

static void test_kafka(void **state)
{
	struct discovery_broker broker;

	(void)state;
	assert_true(parse_kafka("7", "client", true, kafka_5, &broker));
	assert_string_equal(broker.id, "7");
	assert_int_equal(broker.node, 7);
	assert_string_equal(broker.rack, "rack-1");
	assert_url(&broker.tls, "kafka+ssl://kafka-1.example.com:9093");
	assert_int_equal(broker.plain.port, 0);
	assert_true(parse_kafka("2147483647", "V6", true, kafka_5, &broker));
	assert_url(&broker.tls, "kafka+ssl://[2001:db8::1]:9094");
	/* Without a name: the first that is of that kind. */
	assert_true(parse_kafka("0", NULL, false, kafka_5, &broker));
	assert_url(&broker.plain, "kafka://127.77.0.31:9091");
	assert_int_equal(broker.tls.port, 0);
	assert_true(parse_kafka("0", NULL, true, kafka_5, &broker));
	assert_url(&broker.tls, "kafka+ssl://kafka-1.example.com:9093");

	assert_false(parse_kafka("7", "CLIENT", false, kafka_5, &broker));
	assert_string_equal(why,
			    "has listener CLIENT with SASL_SSL, and the cluster has no broker_tls");
	assert_false(parse_kafka("7", "INTERNAL", true, kafka_5, &broker));
	assert_false(parse_kafka("7", "CLIENTS", true, kafka_5, &broker));
	assert_string_equal(why, "has no listener CLIENTS");
}

static void test_kafka_versions(void **state)
{
	struct discovery_broker broker;

	(void)state;
	/* 1: host and port, and nothing else. */
	assert_true(parse_kafka("1", NULL, false,
				"{\"version\":1,\"host\":\"K1\",\"port\":9092,\"jmx_port\":1}",
				&broker));
	assert_url(&broker.plain, "kafka://k1:9092");
	assert_string_equal(broker.rack, "");
	assert_true(parse_kafka("1", "plaintext", false,
				"{\"version\":1,\"host\":\"2001:db8::9\",\"port\":9092}", &broker));
	assert_url(&broker.plain, "kafka://[2001:db8::9]:9092");
	assert_false(parse_kafka("1", "SSL", false, "{\"version\":1,\"host\":\"k\",\"port\":9092}",
				 &broker));
	assert_false(parse_kafka("1", NULL, true, "{\"version\":1,\"host\":\"k\",\"port\":9092}",
				 &broker));
	/* 2 and 3: endpoints, called after their protocols. */
	assert_true(parse_kafka("1", NULL, true,
				"{\"version\":2,\"host\":\"a\",\"port\":1,\"endpoints\":["
				"\"PLAINTEXT://b:2\",\"SSL://c:3\"]}",
				&broker));
	assert_url(&broker.tls, "kafka+ssl://c:3");
	assert_true(parse_kafka("1", "SASL_PLAINTEXT", false,
				"{\"version\":3,\"rack\":\"r\",\"endpoints\":["
				"\"SASL_PLAINTEXT://b:2\"]}",
				&broker));
	assert_string_equal(broker.rack, "r");
	/* Nobody says what is spoken there: the configuration does. */
	assert_true(parse_kafka("1", "OWN", true, "{\"version\":4,\"endpoints\":[\"OWN://b:2\"]}",
				&broker));
	assert_url(&broker.tls, "kafka+ssl://b:2");
	/* Versions to come. */
	assert_true(parse_kafka("1", NULL, false,
				"{\"version\":6,\"new\":[{}],\"endpoints\":[\"PLAINTEXT://b:2\"]}",
				&broker));
	/* From 2 on host and port are not what counts. */
	assert_false(parse_kafka("1", NULL, false, "{\"version\":2,\"host\":\"a\",\"port\":1}",
				 &broker));
}

static void test_bad_kafka(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"version\":null}",
		"{\"version\":\"5\",\"endpoints\":[\"PLAINTEXT://b:2\"]}",
		"{\"version\":0,\"host\":\"a\",\"port\":1}",
		"{\"version\":-1,\"host\":\"a\",\"port\":1}",
		"{\"version\":1}",
		"{\"version\":1,\"host\":\"a\"}",
		"{\"version\":1,\"host\":null,\"port\":1}",
		"{\"version\":1,\"host\":\"a\",\"port\":0}",
		"{\"version\":1,\"host\":\"a\",\"port\":-1}",
		"{\"version\":1,\"host\":\"a\",\"port\":65536}",
		"{\"version\":1,\"host\":\"a\",\"port\":\"1\"}",
		"{\"version\":1,\"host\":\"a b\",\"port\":1}",
		"{\"version\":1,\"host\":\"a\\u0000\",\"port\":1}",
		"{\"version\":5,\"endpoints\":null}",
		"{\"version\":5,\"endpoints\":\"PLAINTEXT://b:2\"}",
		"{\"version\":5,\"endpoints\":{\"a\":\"PLAINTEXT://b:2\"}}",
		"{\"version\":5,\"endpoints\":[]}",
		"{\"version\":5,\"endpoints\":[1,null,[],{}]}",
		"{\"version\":5,\"endpoints\":[\"\",\":\",\"://\",\"://b:2\",\"PLAINTEXT:b:2\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://b\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://:9092\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://b:-1\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://b:65536\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://b:2/x\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://2001:db8::1:2\"]}",
		"{\"version\":5,\"endpoints\":[\"PLAINTEXT://a@b:2\"]}",
		"{\"version\":5,\"endpoints\":[\"X://b:2\"],\"listener_security_protocol_map\":{"
		"\"X\":\"QUIC\"}}",
		"{\"version\":5,\"endpoints\":[\"X://b:2\"],\"listener_security_protocol_map\":[\"X\"]}",
	};
	static const char *const ids[] = { "", "-1", "+1", "01", "1 ", "x", "2147483648", "1/2" };
	struct discovery_broker broker = { .id = "as it was" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (parse_kafka("1", NULL, false, bad[i], &broker))
			fail_msg("taken: %s", bad[i]);
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		if (parse_kafka(ids[i], NULL, true, kafka_5, &broker))
			fail_msg("taken: %s", ids[i]);
	assert_string_equal(broker.id, "as it was");
	/* Cut anywhere it is no JSON, and nothing behind the end is read. */
	for (size_t len = 0; len < sizeof(kafka_5) - 1; len++) {
		char cut[sizeof(kafka_5)];

		memcpy(cut, kafka_5, len);
		cut[len] = '\0';
		assert_false(parse_kafka("1", NULL, true, cut, &broker));
	}
	/* A rack that is none, or longer than any, is left out. */
	assert_true(parse_kafka("1", NULL, false,
				"{\"version\":3,\"rack\":7,\"endpoints\":[\"PLAINTEXT://b:2\"]}",
				&broker));
	assert_string_equal(broker.rack, "");
	assert_true(parse_kafka("1", NULL, false,
				"{\"version\":3,\"rack\":\"0123456789012345678901234567890123456789"
				"012345678901234567890123\",\"endpoints\":[\"PLAINTEXT://b:2\"]}",
				&broker));
	assert_string_equal(broker.rack, "");
}

static void test_owner(void **state)
{
	static const char full[] =
		"{\"nativeUrl\":\"pulsar://b1:6650\",\"nativeUrlTls\":\"pulsar+ssl://b1:6651\","
		"\"httpUrl\":\"http://b1:8080\",\"disabled\":false,\"advertisedListeners\":{}}";
	static const char *const bad[] = {
		"{}",
		"{\"nativeUrl\":null}",
		"{\"nativeUrl\":3}",
		"{\"nativeUrl\":\"pulsar://b1:6650\",\"nativeUrlTls\":\"pulsar://b1:6651\"}",
		"{\"nativeUrl\":\"pulsar://b1:6650\",\"nativeUrlTls\":[]}",
		"[",
	};
	struct discovery_owner owner;

	(void)state;
	assert_true(discovery_bundle_json_owner((const uint8_t *)full, strlen(full), &owner, why));
	assert_url(&owner.plain, "pulsar://b1:6650");
	assert_url(&owner.tls, "pulsar+ssl://b1:6651");
	assert_false(owner.is_disabled);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(discovery_bundle_json_owner((const uint8_t *)bad[i], strlen(bad[i]),
							 &owner, why));
}

static void test_disabled_owner(void **state)
{
	/* Only a clear false, or no such key, is an owner that serves. */
	static const char *const values[] = { "true", "null", "0", "\"false\"", "{}" };
	struct discovery_owner owner;
	char json[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct sink sink = sink_of(json, sizeof(json));

		sink_printf(&sink, "{\"nativeUrl\":\"pulsar://b:1\",\"disabled\":%s}", values[i]);
		assert_true(
			discovery_bundle_json_owner((const uint8_t *)json, sink.len, &owner, why));
		assert_true(owner.is_disabled);
	}
	static const char without[] = "{\"nativeUrl\":\"pulsar://b:1\"}";

	assert_true(discovery_bundle_json_owner((const uint8_t *)without, strlen(without), &owner,
						why));
	assert_false(owner.is_disabled);
}

static enum discovery_bounds bounds(const char *json, uint32_t *lows, uint32_t *count)
{
	return discovery_bundle_json_bounds((const uint8_t *)json, strlen(json), lows, count, why);
}

static void test_bounds(void **state)
{
	uint32_t lows[DISCOVERY_BUNDLES_MAX];
	uint32_t count = 0;

	(void)state;
	assert_int_equal(bounds("{\"bundles\":{\"boundaries\":[\"0x00000000\",\"0x40000000\","
				"\"0x80000000\",\"0xc0000000\",\"0xffffffff\"],\"numBundles\":4},"
				"\"migrated\":false}",
				lows, &count),
			 DISCOVERY_BOUNDS_OK);
	assert_int_equal(count, 4);
	assert_int_equal(lows[0], 0);
	assert_int_equal(lows[3], 0xc0000000);
	/* What Long.decode takes. */
	assert_int_equal(
		bounds("{\"bundles\":{\"boundaries\":[\"0\",\"#7F\",\"255\",\"0XFFFFFFFF\"]}}",
		       lows, &count),
		DISCOVERY_BOUNDS_OK);
	assert_int_equal(count, 3);
	assert_int_equal(lows[1], 0x7f);
	assert_int_equal(lows[2], 255);
	assert_int_equal(bounds("{\"bundles\":null}", lows, &count), DISCOVERY_BOUNDS_NONE);
	assert_int_equal(bounds("{}", lows, &count), DISCOVERY_BOUNDS_NONE);
}

static void test_bad_bounds(void **state)
{
	static const char *const bad[] = {
		"{\"bundles\":[]}",
		"{\"bundles\":{}}",
		"{\"bundles\":{\"boundaries\":[]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x1\",\"0xffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"0xfffffffe\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"0x8\",\"0x8\",\"0xffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"0x9\",\"0x8\",\"0xffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"010\",\"0xffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"-5\",\"0xffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"0x\",\"0xffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[\"0x0\",\"0x1ffffffff\"]}}",
		"{\"bundles\":{\"boundaries\":[0,1]}}",
		"nope",
	};
	uint32_t lows[DISCOVERY_BUNDLES_MAX];
	uint32_t count;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(bounds(bad[i], lows, &count), DISCOVERY_BOUNDS_BAD);
}

static void test_most_bounds(void **state)
{
	static char json[32 * (DISCOVERY_BUNDLES_MAX + 2)];
	uint32_t lows[DISCOVERY_BUNDLES_MAX];
	uint32_t count;

	(void)state;
	for (uint32_t bundles = DISCOVERY_BUNDLES_MAX; bundles <= DISCOVERY_BUNDLES_MAX + 1;
	     bundles++) {
		struct sink sink = sink_of(json, sizeof(json) - 1);

		sink_str(&sink, "{\"bundles\":{\"boundaries\":[");
		for (uint32_t i = 0; i < bundles; i++)
			sink_printf(&sink, "\"0x%08x\",", i);
		sink_str(&sink, "\"0xffffffff\"]}}");
		json[sink.len] = '\0';
		assert_int_equal(bounds(json, lows, &count), bundles == DISCOVERY_BUNDLES_MAX
								     ? DISCOVERY_BOUNDS_OK
								     : DISCOVERY_BOUNDS_BAD);
	}
}

static void test_range(void **state)
{
	static const char *const bad[] = {
		"",
		"0x0",
		"_",
		"0x0_",
		"_0x1",
		"0x1_0x1",
		"0x2_0x1",
		"0_1",
		"0x0_0x100000000",
		"0x0_0x1_0x2",
		"lock",
		"0xg_0x1",
		"0x00000000-0x40000000",
	};
	uint32_t low, high;

	(void)state;
	assert_true(discovery_bundle_json_range("0x40000000_0xffffffff", &low, &high));
	assert_int_equal(low, 0x40000000);
	assert_int_equal(high, UINT32_MAX);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(discovery_bundle_json_range(bad[i], &low, &high));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_local_broker_data),
		cmocka_unit_test(test_load_report),
		cmocka_unit_test(test_broker_lookup_data),
		cmocka_unit_test(test_one_bad_url),
		cmocka_unit_test(test_bad_nodes),
		cmocka_unit_test(test_odd_listeners),
		cmocka_unit_test(test_many_listeners),
		cmocka_unit_test(test_size_and_depth),
		cmocka_unit_test(test_kafka),
		cmocka_unit_test(test_kafka_versions),
		cmocka_unit_test(test_bad_kafka),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_disabled_owner),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bad_bounds),
		cmocka_unit_test(test_most_bounds),
		cmocka_unit_test(test_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
