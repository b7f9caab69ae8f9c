/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Role mode in penstock.yaml: what goes with what, the token in its file, and the dump.
 */
#include <sys/stat.h>

#include "config_help.h"

#define TLS ", tls: { cert_file: /c, key_file: /k, client_ca_file: /ca, client_auth: require }"
#define FILE_OF(cluster, listener)                                                     \
	"clusters: { c: { discovery: { zookeeper: { servers: z } }, " cluster " } }\n" \
	"listeners: [{ name: l, bind: \"127.0.0.1:7001\", cluster: c" listener " }]\n"
#define BROKER_TLS ", broker_tls: { ca_file: /ca, cert_file: /c, key_file: /k }"

static char token_file[300];

/* The configuration, with @ for the token's file. */
static struct outcome load(const char *text)
{
	char whole[2000];
	const char *at = strchr(text, '@');

	if (at == NULL)
		return help_load(text, NULL);
	(void)snprintf(whole, sizeof(whole), "%.*s%s%s", (int)(at - text), text, token_file,
		       at + 1);
	return help_load(whole, NULL);
}

static void write_token(const char *token, size_t len)
{
	help_write("token", token, len);
	assert_int_equal(chmod("token", 0640), 0);
}

static int set_up(void **state)
{
	char folder[200];

	if (help_setup(state) != 0 || getcwd(folder, sizeof(folder)) == NULL)
		return 1;
	(void)snprintf(token_file, sizeof(token_file), "%s/token", folder);
	return 0;
}

static const char *const good[] = {
	FILE_OF("credentials: { role: { token_file: @ } }" BROKER_TLS, TLS),
	FILE_OF("credentials: { role: { token_file: @, forward: true } }" BROKER_TLS, TLS),
	FILE_OF("credentials: { role: { certificate: true } }" BROKER_TLS, TLS),
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		write_token("a.b.c\r\n", 7);
		struct outcome outcome = load(good[i]), again;

		assert_string_equal(outcome.said, "");
		assert_non_null(outcome.config);
		const struct config_cluster *cluster = &outcome.config->clusters[0];
		bool is_token = i < 2;

		assert_int_equal(cluster->credentials, CONFIG_CREDENTIALS_ROLE);
		assert_string_equal(cluster->role.method, is_token ? "token" : "tls");
		assert_int_equal(cluster->role.data.len, is_token ? 5 : 0);
		assert_non_null(cluster->role.data.at);
		if (is_token)
			assert_memory_equal(cluster->role.data.at, "a.b.c", 5);
		assert_int_equal(cluster->role.is_forwarding, i == 1);

		/* The dump reads back as the same, and has no token in it. */
		char *dump = help_dump(outcome.config);

		assert_null(strstr(dump, "a.b.c"));
		assert_null(strstr(dump, "credentials: "));
		again = help_load(dump, NULL);
		assert_string_equal(again.said, "");
		char *second = help_dump(again.config);

		assert_string_equal(dump, second);
		assert_string_equal(again.config->clusters[0].role.method, cluster->role.method);
		free(dump);
		free(second);
		help_free(&again);
		help_free(&outcome);
	}
}

static void test_pass(void **state)
{
	struct outcome outcome = load(FILE_OF("credentials: pass", ""));
	char *dump = help_dump(outcome.config);

	(void)state;
	assert_string_equal(outcome.said, "");
	assert_int_equal(outcome.config->clusters[0].credentials, CONFIG_CREDENTIALS_PASS);
	assert_non_null(strstr(dump, "credentials: pass\n"));
	assert_null(strstr(dump, "role"));
	free(dump);
	help_free(&outcome);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ FILE_OF("credentials: role" BROKER_TLS, TLS),
		  "t.yaml:1:73: clusters.c.credentials: role mode without a credential of our own; write role: { token_file: /etc/penstock/proxy.jwt } or role: { certificate: true }\n" },
		{ FILE_OF("credentials: { role: {} }" BROKER_TLS, TLS),
		  "t.yaml:1:73: clusters.c.credentials: role mode without a credential of our own; write role: { token_file: /etc/penstock/proxy.jwt } or role: { certificate: true }\n" },
		{ FILE_OF("credentials: { role: { forward: true } }" BROKER_TLS, TLS),
		  "t.yaml:1:73: clusters.c.credentials: role mode without a credential of our own; write role: { token_file: /etc/penstock/proxy.jwt } or role: { certificate: true }\n" },
		{ FILE_OF("credentials: { rolle: { certificate: true } }", ""),
		  "t.yaml:1:75: clusters.c.credentials.rolle: unknown key; did you mean role?\n"
		  "t.yaml:1:73: clusters.c.credentials: role mode without a credential of our own; write role: { token_file: /etc/penstock/proxy.jwt } or role: { certificate: true }\n"
		  "t.yaml:2:57: listeners[0].cluster: clusters.c.credentials is role, which knows clients by their certificate; add tls: { client_auth: require, client_ca_file: ... }\n" },
		{ FILE_OF("credentials: { role: { certificate: true } }", TLS),
		  "t.yaml:1:96: clusters.c.credentials.role.certificate: there is none to show; add broker_tls.cert_file and broker_tls.key_file\n" },
		{ FILE_OF("credentials: { role: { certificate: true } }" BROKER_TLS, ""),
		  "t.yaml:2:57: listeners[0].cluster: clusters.c.credentials is role, which knows clients by their certificate; add tls: { client_auth: require, client_ca_file: ... }\n" },
		{ FILE_OF("credentials: { role: { certificate: true } }" BROKER_TLS,
			  ", tls: { cert_file: /c, key_file: /k, client_ca_file: /ca, client_auth: optional }"),
		  "t.yaml:2:57: listeners[0].cluster: clusters.c.credentials is role, which knows clients by their certificate; add tls: { client_auth: require, client_ca_file: ... }\n" },
		{ "clusters: { c: { discovery: { zookeeper: { servers: z } }, credentials: { role: { certificate: true } }" BROKER_TLS
		  " } }\n"
		  "listeners: [{ name: l, bind: \"127.0.0.1:7001\"" TLS ", routes: [\n"
		  "  { host: a.b, cluster: c, mode: reencrypt },\n"
		  "  { host: b.b, cluster: c, mode: reencrypt, tls: { cert_file: /c, key_file: /k } },\n"
		  "  { host: c.b, cluster: c }] }]\n",
		  "t.yaml:4:25: listeners[0].routes[1].cluster: clusters.c.credentials is role, which knows clients by their certificate; add tls: { client_auth: require, client_ca_file: ... } to the listener, or to the route\n" },
		{ FILE_OF("credentials: token", ""),
		  "t.yaml:1:73: clusters.c.credentials: 'token' is none of its words; write pass or role\n" },
		{ FILE_OF("credentials: [role]", ""),
		  "t.yaml:1:73: clusters.c.credentials: this is a list; write a single value\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = load(rows[i].text);

		assert_string_equal(outcome.said, rows[i].said);
		assert_null(outcome.config);
		help_free(&outcome);
	}
}

static void test_both(void **state)
{
	struct outcome outcome = load(
		FILE_OF("credentials: { role: { token_file: @, certificate: true } }" BROKER_TLS,
			TLS));

	(void)state;
	write_token("x", 1);
	assert_non_null(strstr(outcome.said, "has both token_file and certificate; keep one"));
	help_free(&outcome);
}

/* ---- the file ---- */

static void assert_token(const char *token, size_t len, const char *said)
{
	write_token(token, len);
	struct outcome outcome = load(good[0]);

	if (said == NULL)
		assert_string_equal(outcome.said, "");
	else if (strstr(outcome.said, said) == NULL)
		fail_msg("'%s' is not in '%s'", said, outcome.said);
	assert_int_equal(outcome.config == NULL, said != NULL);
	help_free(&outcome);
}

static void test_token(void **state)
{
	static char text[20000];

	(void)state;
	assert_token("x", 1, NULL);
	assert_token("x\n\n", 3, NULL);
	assert_token("", 0, "/token: is empty; write the token into it, in one line");
	assert_token("\r\n", 2, ": is empty");
	assert_token("a b", 3, ": holds more than a token");
	assert_token("a\nb", 3, ": holds more than a token");
	assert_token("a\0b", 3, ": holds more than a token");
	assert_token("\xc3\xa4", 2, ": holds more than a token");
	memset(text, 'x', sizeof(text));
	assert_token(text, 16384, NULL);
	assert_token(text, 16385, ": is longer than a token");
	assert_token(text, sizeof(text), ": is longer than a token");
}

static void test_file(void **state)
{
	(void)state;
	write_token("x", 1);
	assert_int_equal(chmod("token", 0644), 0);
	struct outcome outcome = load(good[0]);

	assert_non_null(strstr(outcome.said, "everybody may read this token: chmod 640"));
	assert_int_equal(outcome.errors, 1);
	assert_null(outcome.config);
	help_free(&outcome);

	assert_int_equal(unlink("token"), 0);
	outcome = load(good[0]);
	assert_non_null(strstr(outcome.said, "/token: No such file or directory"));
	help_free(&outcome);

	/* A pipe nobody writes to: said at once, not waited for. */
	assert_int_equal(mkfifo("token", 0600), 0);
	outcome = load(good[0]);
	assert_non_null(strstr(outcome.said, "/token: is no file"));
	help_free(&outcome);
	assert_int_equal(unlink("token"), 0);
}

static void test_in_clear(void **state)
{
	(void)state;
	write_token("x", 1);
	struct outcome outcome = load(FILE_OF("credentials: { role: { token_file: @ } }", TLS));

	assert_non_null(
		strstr(outcome.said, "can read the token and be this proxy; add broker_tls"));
	assert_int_equal(outcome.errors, 0);
	help_free(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_pass),
		cmocka_unit_test(test_bad),	 cmocka_unit_test(test_both),
		cmocka_unit_test(test_token),	 cmocka_unit_test(test_file),
		cmocka_unit_test(test_in_clear),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
