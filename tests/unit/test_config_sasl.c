/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * clusters.broker_sasl: files of users, good and bad, what goes with what, what clients are offered
 * then, and the dump, which has no password in it. The same of discovery.sasl, penstock's own user.
 */
#include <sys/stat.h>

#include "config_help.h"

#include <penstock/tls/peer.h>

#define TLS ", tls: { cert_file: /c, key_file: /k, client_ca_file: /ca, client_auth: require }"
#define FILE_OF(cluster, listener)                                                            \
	"clusters: { c: { protocol: kafka, discovery: { bootstrap: [k] }, broker_tls: { "     \
	"ca_file: /ca }, " cluster " } }\n"                                                   \
	"listeners: [{ name: l, bind: \"127.0.0.1:7001\", cluster: c, kafka: { advertise: g " \
	"}" listener " }]\n"
#define ROUTE_OF(listener, route)                                                               \
	"clusters: { c: { protocol: kafka, discovery: { bootstrap: [k] }, broker_tls: { "       \
	"ca_file: /ca }, " SASL " } }\n"                                                        \
	"listeners: [{ name: l, bind: \"127.0.0.1:7001\", routes: [{ host: '*.x', cluster: c, " \
	"mode: reencrypt" route " }]" listener " }]\n"
#define SASL "broker_sasl: { mechanism: SCRAM-SHA-256, users_file: '@' }"

static char users_file[300];

static struct outcome load(const char *text)
{
	char whole[2000];
	const char *at = strchr(text, '@');

	assert_non_null(at);
	(void)snprintf(whole, sizeof(whole), "%.*s%s%s", (int)(at - text), text, users_file,
		       at + 1);
	return help_load(whole, NULL);
}

static void write_users(const char *text, size_t len, mode_t mode)
{
	help_write("users", text, len);
	assert_int_equal(chmod("users", mode), 0);
}

static int set_up(void **state)
{
	char folder[200];

	if (help_setup(state) != 0 || getcwd(folder, sizeof(folder)) == NULL)
		return 1;
	(void)snprintf(users_file, sizeof(users_file), "%s/users", folder);
	return 0;
}

static void assert_client(const struct config_client *client, const char *who, const char *first,
			  const char *second, uint32_t line)
{
	assert_string_equal(client->who, who);
	assert_string_equal(client->first, first);
	assert_string_equal(client->second, second);
	assert_int_equal(client->line, line);
}

static void test_good(void **state)
{
	static const char text[] = "# who user password\n"
				   "\n"
				   "cn:orders orders hunter2\r\n"
				   " \t\"ou:Team A\"\t\"team a\"  \"a \\\" \\\\ \\n b\" \n"
				   "uri:spiffe://x/* x #y\n"
				   "  # nothing\n"
				   "* guest hunter3";
	struct outcome outcome, again;
	char *dump;

	(void)state;
	write_users(text, sizeof(text) - 1, 0640);
	outcome = load(FILE_OF(SASL, TLS));
	assert_string_equal(outcome.said, "");
	const struct config_broker_sasl *sasl = &outcome.config->clusters[0].broker_sasl;
	const struct config_clients *users = config_users(outcome.config, NULL, 0);

	assert_int_equal(sasl->mechanism, CONFIG_SASL_SCRAM_SHA_256);
	assert_int_equal(users->count, 4);
	assert_client(&users->at[0], "cn:orders", "orders", "hunter2", 3);
	assert_client(&users->at[1], "ou:Team A", "team a", "a \" \\ \\n b", 4);
	assert_client(&users->at[2], "uri:spiffe://x/*", "x", "#y", 5);
	assert_client(&users->at[3], "*", "guest", "hunter3", 7);
	assert_ptr_equal(config_clients_any(users), &users->at[3]);
	assert_ptr_equal(config_clients_named(users, span_str("team a")), &users->at[1]);
	assert_null(config_clients_named(users, span_str("team")));
	dump = help_dump(outcome.config);
	assert_non_null(strstr(dump, users_file));
	assert_null(strstr(dump, "hunter"));
	again = help_load(dump, NULL);
	assert_non_null(again.config);
	assert_int_equal(again.config->clusters[0].broker_sasl.users->count, 4);
	free(dump);
	help_free(&again);
	help_free(&outcome);
}

/* What is between a broker and who has authenticated to it is not offered, and nothing else. */
static void test_policy(void **state)
{
	static const int16_t hidden[] = { 17, 36, 38, 39, 40, 41, 50, 51 };
	struct outcome outcome;

	(void)state;
	write_users("* a b\n", 6, 0600);
	outcome = load(FILE_OF(SASL, ""));
	assert_string_equal(outcome.said, "");
	const struct kafka_policy *policy = &outcome.config->listeners[0].kafka.policy;

	for (size_t i = 0; i < COUNT_OF(hidden); i++)
		assert_int_equal(kafka_policy_allows(policy, hidden[i], 0), KAFKA_ALLOW_DENIED);
	assert_int_equal(kafka_policy_allows(policy, KAFKA_API_VERSIONS, 3), KAFKA_ALLOW);
	assert_int_equal(kafka_policy_allows(policy, KAFKA_CREATE_TOPICS, 3), KAFKA_ALLOW);
	help_free(&outcome);
}

/* ---- what is wrong -------------------------------------------------------------------------- */

static void assert_fault(const char *text, size_t len, mode_t mode, const char *said)
{
	struct outcome outcome;

	write_users(text, len, mode);
	outcome = load(FILE_OF(SASL, TLS));
	if (outcome.config != NULL || strstr(outcome.said, said) == NULL)
		fail_msg("'%.60s' should be refused for: %s\nand it says: %s", text, said,
			 outcome.said);
	assert_null(strstr(outcome.said, "hunter"));
	help_free(&outcome);
}

#define FAULTY(text, said) assert_fault("" text, sizeof(text) - 1, 0640, said)

static void test_bad(void **state)
{
	(void)state;
	FAULTY("", "is for nobody: there is no line in it");
	FAULTY("# a b c\n", "is for nobody");
	FAULTY("cn:a b", "line 1: it must have three words");
	FAULTY("\ncn:a b \"\"\n", "line 2: it must have three words");
	FAULTY("cn:a b hunter2 d\n", "line 1: it has more than three words");
	FAULTY("cn:a b hunter 2\n", "line 1: it has more than three words");
	FAULTY("* b c\ncn:a b \"hunter2\n", "line 2: a word in quotes that has no end");
	FAULTY("cn:a b \"hunter\"2\n", "line 1: a word in quotes that has no end");
	FAULTY("a b hunter2\n", "line 1: who it is for is none of cn:");
	FAULTY("cn: b hunter2\n", "line 1: who it is for is none of cn:");
	FAULTY("** b hunter2\n", "line 1: who it is for is none of cn:");
	FAULTY("cn:a b\0b hunter2\n", "holds a byte 0");
	FAULTY("cn:a b hunter\xc3\xbc\n", "line 1: a user or a password that is not ASCII");
	FAULTY("cn:a b hunter2\ncn:b b hunter3\n", "line 2: this user has another password");
	assert_fault("* b c", 5, 0644, "everybody may read these passwords: chmod 640");
	assert_fault("* b c", 5, 0642, "everybody may read these passwords");
}

static void test_long(void **state)
{
	static char text[2 * CONFIG_CLIENTS_BYTES];
	struct sink sink = sink_of(text, sizeof(text));

	(void)state;
	sink_str(&sink, "* ");
	for (int i = 0; i < 256; i++)
		sink_u8(&sink, 'u');
	sink_str(&sink, " hunter2\n");
	assert_fault(text, sink.len, 0600, "line 1: a user has at most 255 letters");
	sink.len = 0;
	for (int i = 0; i <= CONFIG_CLIENTS_MAX; i++)
		sink_str(&sink, "* a hunter2\n");
	assert_fault(text, sink.len, 0600, "line 4097: there are more than 4096 before it");
	memset(text, '\n', sizeof(text));
	assert_fault(text, CONFIG_CLIENTS_BYTES + 1, 0600, "is longer than 1 MiB");
	assert_int_equal(remove("users"), 0);
	assert_int_equal(mkfifo("users", 0600), 0);
	struct outcome outcome = load(FILE_OF(SASL, TLS));

	assert_non_null(strstr(outcome.said, "is no file"));
	help_free(&outcome);
	assert_int_equal(remove("users"), 0);
	outcome = load(FILE_OF(SASL, TLS));
	assert_null(outcome.config);
	help_free(&outcome);
}

static void test_together(void **state)
{
	static const struct {
		const char *text, *said;
		bool is_error;
	} rows[] = {
		{ FILE_OF(SASL, ""),
		  "goes by clients' certificates, and this listener asks for none", true },
		{ FILE_OF(SASL, ", tls: { cert_file: /c, key_file: /k }"),
		  "goes by clients' certificates, and this listener asks for none", true },
		{ "# @\n" FILE_OF("broker_sasl: { mechanism: SCRAM-SHA-512 }", ""),
		  "broker_sasl: as whom? add users_file", true },
		{ "# @\n" FILE_OF("broker_sasl: { mechanism: GSSAPI }", ""), "GSSAPI", true },
		{ "clusters: { c: { discovery: { urls: ['pulsar://h'] }, " SASL
		  " } }\nlisteners: [{ name: l, bind: '127.0.0.1:1', cluster: c }]\n",
		  "broker_sasl.mechanism: is for Kafka; add protocol: kafka", true },
		{ "clusters: { c: { protocol: kafka, discovery: { bootstrap: [k] }, " SASL
		  " } }\nlisteners: [{ name: l, bind: '127.0.0.1:1', cluster: c, kafka: { "
		  "advertise: g }" TLS " }]\n",
		  "brokers are spoken to in clear, so whoever is between", false },
		{ ROUTE_OF(", tls: { cert_file: /c, key_file: /k }", ""),
		  "routes[0].cluster: clusters.c.broker_sasl.users_file goes by clients' "
		  "certificates, and this route asks for none",
		  true },
		{ ROUTE_OF(TLS, ", tls: { cert_file: /c, key_file: /k }"),
		  "and this route asks for none", true },
		{ ROUTE_OF(TLS,
			   ", kafka: { advertise: 'b{id}.x', bootstrap: x, allow_users: [a] }"),
		  "routes[0].kafka.allow_users: clients show no user where penstock authenticates",
		  true },
		{ ROUTE_OF(TLS, ", kafka: { advertise: 'b{id}.x', bootstrap: x }"), "", false },
	};

	(void)state;
	write_users("cn:a b c\n", 9, 0600);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = load(rows[i].text);

		if ((outcome.config == NULL) != rows[i].is_error ||
		    strstr(outcome.said, rows[i].said) == NULL)
			fail_msg("row %zu: not '%s' but '%s'", i, rows[i].said, outcome.said);
		help_free(&outcome);
	}
}

/* ---- discovery.sasl ------------------------------------------------------------------------- */

#define ASKING(tls, keys)                                                                   \
	"clusters: { c: { protocol: kafka, discovery: { " keys " }" tls " } }\n"            \
	"listeners: [{ name: l, bind: \"127.0.0.1:7001\", cluster: c, kafka: { advertise: " \
	"g } }]\n"
#define OWN_TLS ", broker_tls: { ca_file: /ca }"
#define OWN \
	"bootstrap: [k], sasl: { mechanism: SCRAM-SHA-512, user: 'pen stock', password_file: '@' }"

static void test_own(void **state)
{
	struct outcome outcome, again;
	struct config_errors errors = { .out = NULL };
	char *dump;

	(void)state;
	write_users("hunter 2\r\n", 10, 0640);
	outcome = load(ASKING("", OWN)); /* SCRAM shows nobody the password */
	assert_string_equal(outcome.said, "");
	const struct config_clients *asker = config_asker(outcome.config, NULL, 0);

	assert_int_equal(outcome.config->clusters[0].ask_sasl.mechanism, CONFIG_SASL_SCRAM_SHA_512);
	assert_client(config_clients_any(asker), "*", "pen stock", "hunter 2", 0);
	assert_null(config_users(outcome.config, NULL, 0));
	/* Clients are offered SASL as ever. */
	assert_int_equal(kafka_policy_allows(&outcome.config->listeners[0].kafka.policy, 17, 0),
			 KAFKA_ALLOW);
	dump = help_dump(outcome.config);
	assert_null(strstr(dump, "hunter"));
	again = help_load(dump, NULL);
	assert_non_null(again.config);
	assert_client(config_clients_any(config_asker(again.config, NULL, 0)), "*", "pen stock",
		      "hunter 2", 0);
	free(dump);
	help_free(&again);
	/* Renewed in place. */
	uint64_t stamp = config_files_stamp(outcome.config);

	write_users("hunter3", 7, 0600);
	assert_int_not_equal(config_files_stamp(outcome.config), stamp);
	struct config_tokens *tokens = config_tokens_read(outcome.config, &errors);

	assert_non_null(tokens);
	assert_client(config_clients_any(config_asker(outcome.config, tokens, 0)), "*", "pen stock",
		      "hunter3", 0);
	config_tokens_free(tokens);
	write_users("hunter3", 7, 0604);
	assert_null(config_tokens_read(outcome.config, &errors));
	help_free(&outcome);
}

static void test_own_bad(void **state)
{
	static const struct {
		const char *text, *said;
		mode_t mode;
	} files[] = {
		{ "hunter2", "everybody may read this password: chmod 640", 0644 },
		{ "hunter2", "everybody may read this password", 0602 },
		{ "\n", "is empty", 0600 },
		{ "hunter\xc3\xbc\n", "a user or a password that is not ASCII", 0600 },
		{ "hunter2\nhunter3\n", "is more than one line", 0600 },
	};
	static const struct {
		const char *text, *said;
		bool is_error;
	} rows[] = {
		{ ASKING("", "bootstrap: [k], sasl: { user: u, password_file: '@' }"),
		  "discovery.sasl: brokers are spoken to in clear, so whoever is between", false },
		{ "# @\n" ASKING(OWN_TLS, "bootstrap: [k], sasl: { user: u }"),
		  "discovery.sasl: as whom? add password_file", true },
		{ ASKING(OWN_TLS, "bootstrap: [k], sasl: { password_file: '@' }"),
		  "discovery.sasl: as whom? add user", true },
		{ "# @\n" ASKING(OWN_TLS, "bootstrap: [k], sasl: { mechanism: SCRAM-SHA-256 }"),
		  "discovery.sasl: as whom? add user, and password_file", true },
		{ ASKING(OWN_TLS, "refresh: off, " OWN), "discovery.refresh is off", true },
		{ ASKING(OWN_TLS, "nodes: 'k-{id}:1', " OWN),
		  "discovery.nodes says where brokers are", true },
		{ ASKING(OWN_TLS,
			 "zookeeper: { servers: z }, sasl: { user: u, password_file: '@' }"),
		  "nobody is asked, since ZooKeeper says where brokers are", true },
		{ "clusters: { c: { discovery: { urls: ['pulsar://h'], sasl: { user: u, "
		  "password_file: '@' } } } }\n"
		  "listeners: [{ name: l, bind: '127.0.0.1:1', cluster: c }]\n",
		  "discovery.sasl.user: is for Kafka; add protocol: kafka", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		write_users(files[i].text, strlen(files[i].text), files[i].mode);
		struct outcome outcome = load(ASKING(OWN_TLS, OWN));

		if (outcome.config != NULL || strstr(outcome.said, files[i].said) == NULL)
			fail_msg("file %zu: not '%s' but '%s'", i, files[i].said, outcome.said);
		assert_null(strstr(outcome.said, "hunter"));
		help_free(&outcome);
	}
	write_users("hunter2\n", 8, 0600);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = load(rows[i].text);

		if ((outcome.config == NULL) != rows[i].is_error ||
		    strstr(outcome.said, rows[i].said) == NULL)
			fail_msg("row %zu: not '%s' but '%s'", i, rows[i].said, outcome.said);
		help_free(&outcome);
	}
	assert_int_equal(remove("users"), 0);
	struct outcome outcome = load(ASKING(OWN_TLS, OWN));

	assert_non_null(strstr(outcome.said, "No such file"));
	help_free(&outcome);
}

/* Both know the same rules. */
static void test_rules(void **state)
{
	static const char *const rules[] = { "cn:a", "ou:a", "dns:a", "uri:a", "email:a", "ip:a",
					     "cn:",  "x:a",  "a",     ":a",    "CN:a",	  "san:a" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct config_clients *clients = NULL;
		char text[80];
		uint32_t line;
		int len = snprintf(text, sizeof(text), "%s b c\n", rules[i]);

		write_users(text, (size_t)len, 0600);
		const char *why = config_clients_read("users", true, &clients, &line);

		assert_int_equal(why == NULL, tls_peer_rule_is_good(rules[i]));
		config_clients_free(clients);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_policy),
		cmocka_unit_test(test_bad),   cmocka_unit_test(test_long),
		cmocka_unit_test(test_rules), cmocka_unit_test(test_together),
		cmocka_unit_test(test_own),   cmocka_unit_test(test_own_bad),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
