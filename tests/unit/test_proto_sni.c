/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_sni: what real clients send (tests/vectors/hello) at every split offset, which route it
 * takes, every way to be refused and with which alert; and that nothing is dialled before.
 */
#include "test_routes_harness.h"

#include <penstock/worker/proto.h>

#define MOST 65536

static const char text[] =
	"clusters:\n"
	"  c: { discovery: { zookeeper: { servers: z } } }\n"
	"listeners:\n"
	"  - name: edge\n"
	"    bind: \"127.0.0.1:1\"\n"
	"    routes:\n"
	"      - { host: pulsar-broker1.example.com, forward: \"t:1\" }\n"
	"      - { host: \"*.example.com\", forward: \"t:1\" }\n"
	"      - { host: alpn.test, forward: \"t:1\", alpn: [h2, x] }\n"
	"      - { host: alpn.test, forward: \"t:1\", alpn: [y] }\n"
	"      - { host: both.test, forward: \"t:1\", alpn: [h2] }\n"
	"      - { host: both.test, forward: \"t:1\" }\n"
	"      - { host: allow.test, forward: \"t:1\", allow: [10.0.0.0/8, \"2001:db8::/32\"] }\n"
	"      - { discovered: c }\n"
	"  - name: lenient\n"
	"    bind: \"127.0.0.1:2\"\n"
	"    no_sni: none.test\n"
	"    unknown: other.test\n"
	"    routes:\n"
	"      - { host: none.test, forward: \"t:1\", alpn: [h2] }\n"
	"      - { host: none.test, forward: \"t:1\" }\n"
	"      - { host: other.test, forward: \"t:1\" }\n"
	"  - { name: plain, bind: \"127.0.0.1:3\", cluster: c }\n";

enum { EDGE, LENIENT, PLAIN };

static const struct broker brokers[] = { { "b1.pulsar.test", "10.1.0.1", 6650, 6651 } };

static struct {
	struct config *config;
	struct route *route;
	struct proto proto;
	struct proto_context context;
	uint8_t scratch[MOST];
	char name[HOST_MAX]; /* noted for the session */
	int32_t listener;
	uint32_t first_frame_max;
	const char *client;
} bench;

static int setup(void **state)
{
	(void)state;
	memset(&bench, 0, sizeof(bench));
	bench.config = config_of(text);
	bench.route = route_of(bench.config, brokers, COUNT_OF(brokers), "10.2.0.1");
	bench.first_frame_max = MOST;
	bench.client = "10.0.0.1";
	proto_begin(&bench.proto, &proto_sni_ops, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bench.proto.ops->end(&bench.proto, &bench.context);
	route_free(bench.route);
	config_free(bench.config);
	return 0;
}

static struct proto_verdict see(enum proto_channel channel, struct span bytes)
{
	struct proto_verdict verdict = { .what = PROTO_HOLD };
	uint8_t *copy = exact_copy(bytes.at, bytes.len);

	memset(bench.scratch, 0xee, sizeof(bench.scratch));
	bench.context = (struct proto_context){
		.route = bench.route,
		.listener = bench.listener,
		.first_frame_max = bench.first_frame_max,
		.scratch = sink_of(bench.scratch, sizeof(bench.scratch)),
	};
	assert_true(addr_parse_ip(span_str(bench.client), &bench.context.client));
	bench.proto.ops->see(&bench.proto, channel, span_of(copy, bytes.len), &bench.context,
			     &verdict);
	assert_true(span_to_str(bench.context.server_name, bench.name, sizeof(bench.name)));
	free(copy);
	return verdict;
}

/* By a new brain. */
static struct proto_verdict see_new(struct span bytes)
{
	proto_begin(&bench.proto, &proto_sni_ops, NULL);
	return see(PROTO_CLIENT, bytes);
}

/* ---- hellos ---- */

#define TLS12 0x0303
#define TLS13 0x0304

/* Extensions 0 (server_name), 16 (ALPN, of one-letter words or "h2") and 43 (versions). */
static struct span hello_of(const char *name, const char *const *alpn, uint16_t version)
{
	static uint8_t bytes[1024];
	uint8_t extension_bytes[600], list_bytes[100];
	struct sink extensions = sink_of(extension_bytes, sizeof(extension_bytes));
	struct sink list = sink_of(list_bytes, sizeof(list_bytes));
	struct sink sink = sink_of(bytes, sizeof(bytes));

	if (name != NULL) {
		uint16_t len = (uint16_t)strlen(name);

		sink_u16(&extensions, 0);
		sink_u16(&extensions, len + 5);
		sink_u16(&extensions, len + 3);
		sink_u8(&extensions, 0);
		sink_u16(&extensions, len);
		sink_str(&extensions, name);
	}
	for (; alpn != NULL && *alpn != NULL; alpn++) {
		sink_u8(&list, (uint8_t)strlen(*alpn));
		sink_str(&list, *alpn);
	}
	if (list.len > 0) {
		sink_u16(&extensions, 16);
		sink_u16(&extensions, (uint16_t)(list.len + 2));
		sink_u16(&extensions, (uint16_t)list.len);
		sink_span(&extensions, sink_written(&list));
	}
	sink_u16(&extensions, 43);
	sink_u16(&extensions, 3);
	sink_u8(&extensions, 2);
	sink_u16(&extensions, version);

	uint32_t size = (uint32_t)(2 + 32 + 7 + 2 + extensions.len);

	sink_bytes(&sink, "\x16\x03\x01", 3);
	sink_u16(&sink, (uint16_t)(4 + size));
	sink_u32(&sink, 1u << 24 | size);
	sink_u16(&sink, TLS12);
	for (int i = 0; i < 32; i++)
		sink_u8(&sink, 0xab);
	sink_bytes(&sink, "\0\0\x02\x13\x01\x01\0", 7);
	sink_u16(&sink, (uint16_t)extensions.len);
	sink_span(&sink, sink_written(&extensions));
	assert_false(sink.full || extensions.full || list.full);
	return sink_written(&sink);
}

static void assert_routed(struct proto_verdict verdict, const char *label)
{
	if (verdict.what == PROTO_REFUSE)
		fail_msg("%s: refused with %s", label, close_rows[verdict.reason].name);
	assert_int_equal(verdict.what, PROTO_ROUTE);
	assert_string_equal(bench.config->routes[verdict.rule].label, label);
	assert_int_equal(bench.proto.kind, PROTO_KIND_ROUTED);
}

/* The alert behind a refusal; -1: the client is told nothing. */
static int alert_of(enum close_reason reason, uint16_t version)
{
	uint8_t bytes[64];
	struct sink sink = sink_of(bytes, sizeof(bytes));

	bench.proto.ops->refuse(&bench.proto, reason, &sink);
	if (sink.len == 0)
		return -1;
	assert_int_equal(sink.len, HELLO_ALERT_BYTES);
	assert_int_equal(bytes[0], 21);
	assert_int_equal(bytes[1] << 8 | bytes[2], version);
	assert_memory_equal(bytes + 3, "\0\x02\x02", 3); /* two bytes, fatal */
	return bytes[6];
}

static void assert_refused(struct proto_verdict verdict, enum close_reason reason, int alert)
{
	assert_int_equal(verdict.what, PROTO_REFUSE);
	assert_string_equal(close_rows[verdict.reason].name, close_rows[reason].name);
	assert_int_equal(verdict.bytes.len, 0);
	assert_int_equal(alert_of(reason, TLS12), alert);
	assert_int_equal(bench.proto.kind, PROTO_KIND_NEW);
}

/* ---- real clients ---- */

#define BROKER1 "pulsar-broker1.example.com"

static const struct vector {
	const char *file, *name; /* NULL: no server name */
	enum close_reason reason;
	int alert;
} vectors[] = {
	{ "gnutls2", BROKER1, CLOSE_NONE, 0 },
	{ "java_10.0.0.1", NULL, CLOSE_SNI_MISSING, HELLO_ALERT_MISSING_EXTENSION },
	{ "java_pulsar-broker1", NULL, CLOSE_SNI_MISSING, HELLO_ALERT_MISSING_EXTENSION },
	{ "java_pulsar-broker1.example.com", BROKER1, CLOSE_NONE, 0 },
	{ "node", BROKER1, CLOSE_NONE, 0 },
	{ "openssl30", BROKER1, CLOSE_NONE, 0 },
	{ "openssl30_nosni", NULL, CLOSE_SNI_MISSING, HELLO_ALERT_MISSING_EXTENSION },
	{ "openssl30_tls12", "pulsar-broker1", CLOSE_NO_ROUTE, HELLO_ALERT_UNRECOGNIZED_NAME },
	{ "openssl35", BROKER1, CLOSE_NONE, 0 },
	{ "ossl35_bigalpn", BROKER1, CLOSE_NONE, 0 },
	{ "ossl35_frag512", BROKER1, CLOSE_NONE, 0 },
	{ "ossl_frag512", BROKER1, CLOSE_NONE, 0 },
	{ "python", "pulsar-broker1", CLOSE_NO_ROUTE, HELLO_ALERT_UNRECOGNIZED_NAME },
	{ "split1", BROKER1, CLOSE_NONE, 0 },
	{ "split_mid", BROKER1, CLOSE_NONE, 0 },
	{ "sslv2", NULL, CLOSE_HELLO_SSLV2, HELLO_ALERT_PROTOCOL_VERSION },
	{ "wolf554", BROKER1, CLOSE_NONE, 0 },
	{ "wolf592", BROKER1, CLOSE_NONE, 0 },
	{ "wolf592pq", BROKER1, CLOSE_NONE, 0 },
};

static struct span load(const char *file)
{
	static uint8_t bytes[MOST];
	char path[100];

	(void)snprintf(path, sizeof(path), "tests/vectors/hello/%s.bin", file);
	FILE *in = fopen(path, "rb");

	if (in == NULL)
		fail_msg("%s: run the test from the top of the tree", path);
	size_t len = fread(bytes, 1, sizeof(bytes), in);

	assert_true(len > 0 && len < sizeof(bytes));
	assert_int_equal(fclose(in), 0);
	return span_of(bytes, len);
}

static void assert_vector(const struct vector *vector, struct proto_verdict verdict)
{
	assert_string_equal(bench.name, vector->name != NULL ? vector->name : "");
	if (vector->reason == CLOSE_NONE)
		assert_routed(verdict, BROKER1);
	else
		assert_refused(verdict, vector->reason, vector->alert);
}

/* More is wanted until the hello is whole, by a brain that has seen all beginnings and by one that
 * sees this one first; and never more than the hello. What glues on behind changes nothing. */
static void check_splits(const struct vector *vector, struct span stream)
{
	size_t len = 0;
	struct proto_verdict verdict;

	proto_begin(&bench.proto, &proto_sni_ops, NULL);
	while ((verdict = see(PROTO_CLIENT, span_of(stream.at, len))).what == PROTO_NEED) {
		assert_true(verdict.n > len && verdict.n <= stream.len);
		assert_int_equal(verdict.max, MOST);
		assert_int_equal(bench.name[0], '\0');
		len++;
	}
	assert_vector(vector, verdict);
	for (size_t at = 0; at < len; at += 1 + stream.len / 300)
		assert_int_equal(see_new(span_of(stream.at, at)).what, PROTO_NEED);
	assert_vector(vector, see_new(span_of(stream.at, len)));
	if (vector->reason == CLOSE_NONE)
		assert_int_equal(len, stream.len);
}

static void test_vectors(void **state)
{
	static uint8_t glued[2 * MOST];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct span stream = load(vectors[i].file);

		check_splits(&vectors[i], stream);
		memcpy(glued, stream.at, stream.len);
		memset(glued + stream.len, 0x17, 300);
		assert_vector(&vectors[i], see_new(span_of(glued, stream.len + 300)));
	}
}

/* The hello goes on with what is behind it, and nothing is looked at any more. */
static void test_passed_on(void **state)
{
	struct span stream = load("openssl35");

	(void)state;
	assert_routed(see_new(stream), BROKER1);
	bench.proto.ops->dialled(&bench.proto);
	for (int channel = PROTO_CLIENT; channel <= PROTO_BROKER; channel++) {
		struct proto_verdict verdict = see((enum proto_channel)channel, stream);

		assert_int_equal(verdict.what, PROTO_PASS);
		assert_true(verdict.n == PROTO_ALL);
	}
	assert_int_equal(see(PROTO_CLIENT, span_str("GET / HTTP/1.1\r\n")).what, PROTO_PASS);
	assert_int_equal(see(PROTO_BROKER, span_of(NULL, 0)).what, PROTO_PASS);
}

/* ---- the route ---- */

static void test_names(void **state)
{
	(void)state;
	assert_routed(see_new(hello_of("Other.EXAMPLE.com.", NULL, TLS13)), "*.example.com");
	assert_string_equal(bench.name, "Other.EXAMPLE.com");
	assert_routed(see_new(hello_of("b1.pulsar.test", NULL, TLS13)), "discovered:c");
	assert_refused(see_new(hello_of("a.b.example.com", NULL, TLS13)), CLOSE_NO_ROUTE, 112);
	assert_refused(see_new(hello_of("b2.pulsar.test", NULL, TLS12)), CLOSE_NO_ROUTE, 112);
	assert_refused(see_new(hello_of("10.0.0.1", NULL, TLS13)), CLOSE_NO_ROUTE, 112);
	assert_string_equal(bench.name, "10.0.0.1");
	assert_refused(see_new(hello_of(NULL, NULL, TLS13)), CLOSE_SNI_MISSING, 109);
	assert_refused(see_new(hello_of(NULL, NULL, TLS12)), CLOSE_SNI_MISSING, 40);
}

static void test_alpn(void **state)
{
	static const struct {
		const char *name, *alpn[4], *label; /* NULL: refused */
	} rows[] = {
		{ "alpn.test", { "h2" }, "alpn.test[h2]" },
		{ "alpn.test", { "q", "x" }, "alpn.test[h2]" },
		{ "alpn.test", { "y", "x" }, "alpn.test[h2]" }, /* our order, not the client's */
		{ "alpn.test", { "y" }, "alpn.test[y]" },
		{ "alpn.test", { "Y", "H2", "h" }, NULL },
		{ "alpn.test", { NULL }, NULL },
		{ "both.test", { "h2" }, "both.test[h2]" },
		{ "both.test", { "y" }, "both.test" },
		{ "both.test", { NULL }, "both.test" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct proto_verdict verdict = see_new(hello_of(rows[i].name, rows[i].alpn, TLS13));

		if (rows[i].label != NULL)
			assert_routed(verdict, rows[i].label);
		else
			assert_refused(verdict, CLOSE_NO_ALPN, 120);
	}
}

static void test_allow(void **state)
{
	struct span hello = hello_of("allow.test", NULL, TLS13);

	(void)state;
	assert_routed(see_new(hello), "allow.test");
	bench.client = "2001:db8::1";
	assert_routed(see_new(hello), "allow.test");
	bench.client = "11.0.0.1";
	assert_refused(see_new(hello), CLOSE_ACL_CIDR, 49);
	bench.client = "2001:db9::1";
	assert_refused(see_new(hello), CLOSE_ACL_CIDR, 49);
}

static void test_defaults(void **state)
{
	(void)state;
	bench.listener = LENIENT;
	assert_routed(see_new(hello_of(NULL, NULL, TLS12)), "none.test");
	assert_routed(see_new(hello_of(NULL, (const char *[]){ "h2", NULL }, TLS12)),
		      "none.test[h2]");
	assert_routed(see_new(hello_of("none.test", NULL, TLS13)), "none.test");
	assert_routed(see_new(hello_of("who.knows", NULL, TLS13)), "other.test");
	assert_routed(see_new(hello_of("10.0.0.1", NULL, TLS13)), "other.test");
	assert_routed(see_new(hello_of("b1.pulsar.test", NULL, TLS13)), "other.test");
}

/* A reload took the listener away while the hello came in, or made another of it. */
static void test_listener_gone(void **state)
{
	struct span hello = hello_of(BROKER1, NULL, TLS13);

	(void)state;
	proto_begin(&bench.proto, &proto_sni_ops, NULL);
	assert_int_equal(see(PROTO_CLIENT, span_of(hello.at, hello.len - 1)).what, PROTO_NEED);
	bench.listener = -1;
	assert_refused(see(PROTO_CLIENT, hello), CLOSE_LISTENER_GONE, 80);
	bench.listener = PLAIN;
	assert_refused(see_new(hello), CLOSE_LISTENER_GONE, 80);
}

/* ---- refusals ---- */

static void test_no_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum close_reason reason;
		int alert;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n", 16, CLOSE_HELLO_HTTP, 10 },
		{ "PRI * HTTP/2.0\r\n", 16, CLOSE_HELLO_HTTP, 10 },
		{ "\x00\x00\x00\x20\x00\x00\x00\x1c\x08\x02\x12\x18", 12, CLOSE_HELLO_PULSAR, 10 },
		{ "\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05", 14, CLOSE_HELLO_KAFKA,
		  10 },
		{ "PROXY TCP4 1.2.3.4", 18, CLOSE_HELLO_PROXY, 10 },
		{ "SSH-2.0-OpenSSH", 15, CLOSE_HELLO_SSH, 10 },
		{ "whatever this is", 16, CLOSE_HELLO_OTHER, 10 },
		{ "\x17\x03\x03\x00\x10 application data", 21, CLOSE_HELLO_RECORD_TYPE, 10 },
		{ "\x16\x02\x01\x00\x10", 5, CLOSE_HELLO_RECORD_VERSION, 70 },
		{ "\x16\x03\x01\x00\x00", 5, CLOSE_HELLO_RECORD_EMPTY, 10 },
		{ "\x16\x03\x01\x40\x01", 5, CLOSE_HELLO_RECORD_LONG, 22 },
		{ "\x16\x03\x01\x00\x04\x02", 6, CLOSE_HELLO_MESSAGE_TYPE, 10 },
		{ "\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, CLOSE_HELLO_MESSAGE_LONG, 47 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_refused(see_new(span_of(rows[i].bytes, rows[i].len)), rows[i].reason,
			       rows[i].alert);
}

static void test_bad_names(void **state)
{
	(void)state;
	assert_refused(see_new(hello_of("", NULL, TLS13)), CLOSE_HELLO_NAME_EMPTY, 50);
	assert_refused(see_new(hello_of("a..b", NULL, TLS13)), CLOSE_HELLO_NAME_BYTES, 50);
	assert_refused(see_new(hello_of("a b", NULL, TLS13)), CLOSE_HELLO_NAME_BYTES, 50);
	assert_refused(see_new(hello_of("\xc3\xa4.b", NULL, TLS13)), CLOSE_HELLO_NAME_BYTES, 50);
	assert_string_equal(bench.name, "");
}

/* Every fault of a hello has its close reason, its word and its alert. */
static void test_faults(void **state)
{
	static const enum close_reason reasons[HELLO_FAULTS] = {
#define HELLO(NAME, name, ALERT, sentence) [HELLO_##NAME] = CLOSE_HELLO_##NAME,
#include <penstock/wire/hello.def>
#undef HELLO
	};

	(void)state;
	for (int fault = HELLO_FINE + 1; fault < HELLO_FAULTS; fault++) {
		const struct close_row *row = &close_rows[reasons[fault]];
		char name[64];

		(void)snprintf(name, sizeof(name), "hello_%s", hello_faults[fault].name);
		assert_string_equal(row->name, name);
		assert_string_equal(row->text, hello_faults[fault].text);
		assert_true(row->is_error && row->who == 'P');
		assert_int_equal(alert_of(reasons[fault], TLS12), hello_faults[fault].alert);
	}
}

/* Longer than the limit: told as soon as the length is known. */
static void test_limit(void **state)
{
	struct span stream = load("ossl35_bigalpn");

	(void)state;
	bench.first_frame_max = (uint32_t)stream.len;
	assert_routed(see_new(stream), BROKER1);
	bench.first_frame_max--;
	assert_refused(see_new(stream), CLOSE_HELLO_MESSAGE_LONG, 47);
	bench.first_frame_max = 1024;
	assert_refused(see_new(span_of(stream.at, 9)), CLOSE_HELLO_MESSAGE_LONG, 47);
}

/* A client of TLS 1.0 reads an alert of TLS 1.0. */
static void test_old_version(void **state)
{
	(void)state;
	assert_int_equal(see_new(hello_of("who.knows", NULL, 0x0301)).reason, CLOSE_NO_ROUTE);
	assert_int_equal(alert_of(CLOSE_NO_ROUTE, 0x0301), 112);
	assert_int_equal(alert_of(CLOSE_SNI_MISSING, 0x0301), 40);
}

static void test_other_reasons(void **state)
{
	static const struct {
		enum close_reason reason;
		int alert;
	} rows[] = {
		{ CLOSE_HELLO_TIMEOUT, -1 },	   { CLOSE_PROXY_MISSING, -1 },
		{ CLOSE_PROXY_UNTRUSTED, -1 },	   { CLOSE_DRAIN, -1 },
		{ CLOSE_TARGET_HOST_DENIED, 112 }, { CLOSE_TARGET_SPECIAL_DENIED, 112 },
		{ CLOSE_CONNECT_REFUSED, 80 },	   { CLOSE_DNS_FAILED, 80 },
		{ CLOSE_NO_BROKER, 80 },	   { CLOSE_CONN_LIMIT_ROUTE, 80 },
		{ CLOSE_CONN_LIMIT_IP, 80 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(alert_of(rows[i].reason, TLS12), rows[i].alert);
}

#define SNI_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SNI_TEST(test_vectors),	      SNI_TEST(test_passed_on), SNI_TEST(test_names),
		SNI_TEST(test_alpn),	      SNI_TEST(test_allow),	SNI_TEST(test_defaults),
		SNI_TEST(test_listener_gone), SNI_TEST(test_no_tls),	SNI_TEST(test_bad_names),
		SNI_TEST(test_faults),	      SNI_TEST(test_limit),	SNI_TEST(test_old_version),
		SNI_TEST(test_other_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
