/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_set: which context a listener, a cluster, a route and its target have; what is said about
 * files, and when certificates run out.
 */
#include "tls_bench.h"

#include <penstock/base/clock.h>
#include <penstock/tls/set.h>

#define DAY 86400l

static struct pki_cert root, middle, gate, own, client;
static struct config *config;
static struct config_errors errors;
static char *said;
static size_t said_size;

/* Loads a file made of these words, with the folder of the certificates for each %s. */
PRINTF_LIKE(1, 2) static struct tls_set *load(const char *format, ...)
{
	char path[128];
	va_list args;

	pki_path(path, "penstock", "yaml");
	FILE *file = pki_create(path);

	va_start(args, format);
	assert_true(vfprintf(file, format, args) > 0);
	va_end(args);
	assert_int_equal(fclose(file), 0);
	errors = (struct config_errors){ .out = open_memstream(&said, &said_size) };
	config = config_load(path, &errors);
	fflush(errors.out);
	if (config == NULL)
		fail_msg("%s", said);
	struct tls_set *set = tls_set_new(config, NULL, &errors);

	fclose(errors.out);
	return set;
}

static void forget(struct tls_set *set)
{
	tls_set_free(set);
	config_free(config);
	free(said);
}

#define FILES(name) "cert_file: %s/" name ".pem, key_file: %s/" name ".key"
#define FOLDER2	    pki_folder, pki_folder

static struct tls_set *load_all(const char *extra)
{
	return load(
		"clusters:\n"
		"  c: { discovery: { urls: [\"pulsar+ssl://b:6651\"] }, broker_tls: { ca_file: "
		"%s/root.pem, " FILES(
			"client") " } }\n"
				  "listeners:\n"
				  "  - name: edge\n"
				  "    bind: \"127.0.0.1:1\"\n"
				  "    tls: { " FILES(
					  "gate") " }\n"
						  "    routes:\n"
						  "      - { host: pass.test, forward: \"t:1\" }\n"
						  "      - { host: gate.test, mode: terminate, forward: \"t:1\" }\n"
						  "      - { host: own.test, mode: reencrypt, forward: \"t:1\", tls: { " FILES(
							  "own") " }, broker_tls: { ca_file: %s/root.pem, " FILES("client") " } }\n"
															    "      - { host: c.test, mode: reencrypt, cluster: c }\n"
															    "      - { mode: reencrypt, discovered: c }\n"
															    "%s",
		pki_folder, FOLDER2, FOLDER2, FOLDER2, pki_folder, FOLDER2, extra);
}

static void test_contexts(void **state)
{
	struct tls_set *set = load_all("");

	(void)state;
	assert_non_null(set);
	struct tls_context *listener = tls_set_listener(set, 0), *cluster = tls_set_cluster(set, 0);

	assert_non_null(listener);
	assert_non_null(cluster);
	assert_null(tls_set_route(set, config, 0));
	assert_null(tls_set_route_target(set, config, 0));
	assert_ptr_equal(tls_set_route(set, config, 1), listener);
	assert_null(tls_set_route_target(set, config, 1));
	assert_non_null(tls_set_route(set, config, 2));
	assert_ptr_not_equal(tls_set_route(set, config, 2), listener);
	assert_non_null(tls_set_route_target(set, config, 2));
	assert_ptr_not_equal(tls_set_route_target(set, config, 2), cluster);
	assert_ptr_equal(tls_set_route(set, config, 3), listener);
	assert_ptr_equal(tls_set_route_target(set, config, 3), cluster);
	assert_ptr_equal(tls_set_route_target(set, config, 4), cluster);
	assert_null(tls_set_route(NULL, config, 0));
	assert_null(tls_set_route_target(NULL, config, 1));
	forget(set);
}

static void has_expiry(const struct tls_expiry *expiry, const char *file, const char *place,
		       long days)
{
	char path[128];

	pki_path(path, file, "pem");
	assert_string_equal(expiry->file, path);
	assert_string_equal(expiry->place, place);
	assert_in_range(expiry->when, time(NULL) + days * DAY - 60, time(NULL) + days * DAY);
}

/* By file; one that is used twice is there twice; no CA. */
static void test_expiries(void **state)
{
	struct tls_set *set = load_all("");
	uint32_t count;
	const struct tls_expiry *expiries = tls_set_expiries(set, &count);

	(void)state;
	assert_int_equal(count, 4);
	has_expiry(&expiries[0], "client", expiries[0].place, 5);
	has_expiry(&expiries[1], "client", expiries[1].place, 5);
	assert_true(strcmp(expiries[0].place, expiries[1].place) != 0);
	has_expiry(&expiries[2], "gate", "listener edge: tls", 20); /* its intermediate */
	has_expiry(&expiries[3], "own", "listener edge: route own.test: tls", 40);
	assert_int_equal(errors.error_count, 0);
	assert_non_null(strstr(said, "warning: cluster c: broker_tls: "));
	assert_non_null(strstr(said, "warning: listener edge: route own.test: broker_tls: "));
	assert_null(strstr(said, "gate.pem"));
	forget(set);
	assert_null(tls_set_expiries(NULL, &count));
	assert_int_equal(count, 0);
}

static void test_warnings(void **state)
{
	struct tls_set *set = load_all("certificates: { warn_before: 30d }\n");
	time_t now = time(NULL);
	char text[80];

	(void)state;
	assert_non_null(strstr(said, "warning: listener edge: tls: "));
	assert_non_null(strstr(said, "gate.pem: runs out on "));
	assert_null(strstr(said, "own.pem"));
	assert_true(tls_expiry_is_near(config, now - 1, now));
	assert_true(tls_expiry_is_near(config, now + 30 * DAY - 1, now));
	assert_false(tls_expiry_is_near(config, now + 30 * DAY, now));
	forget(set);
	set = load_all("certificates: { warn_before: off }\n");
	assert_null(strstr(said, "runs out"));
	assert_false(tls_expiry_is_near(config, now - 1, now));
	forget(set);
	const struct tls_expiry expiry = { .when = 1000000000 };

	tls_expiry_text(&expiry, 1000000000 - DAY, text, sizeof(text));
	assert_string_equal(text, "runs out on 2001-09-09 01:46:40 UTC, in 1 day");
	tls_expiry_text(&expiry, 1000000000 - 3 * DAY + 1, text, sizeof(text));
	assert_string_equal(text, "runs out on 2001-09-09 01:46:40 UTC, in 2 days");
	tls_expiry_text(&expiry, 1000000001, text, sizeof(text));
	assert_string_equal(text, "expired on 2001-09-09 01:46:40 UTC");
}

/* All mistakes at once, each with the place that named the file. */
static void test_mistakes(void **state)
{
	struct tls_set *set =
		load("listeners:\n"
		     "  - name: edge\n"
		     "    bind: \"127.0.0.1:1\"\n"
		     "    tls: { cert_file: /nowhere/a.pem, key_file: %s/gate.key }\n"
		     "    routes:\n"
		     "      - { host: a.test, mode: terminate, forward: \"t:1\", tls: { cert_file: "
		     "%s/own.pem, key_file: %s/gate.key } }\n"
		     "      - { host: b.test, mode: reencrypt, forward: \"t:1\", broker_tls: { "
		     "ca_file: /nowhere/ca.pem } }\n",
		     pki_folder, FOLDER2);

	(void)state;
	assert_null(set);
	assert_int_equal(errors.error_count, 3);
	assert_non_null(strstr(said, "listener edge: tls: /nowhere/a.pem: "));
	assert_non_null(strstr(said, "listener edge: route a.test: tls: "));
	assert_non_null(strstr(said, "gate.key: is not the key of "));
	assert_non_null(strstr(said, "listener edge: route b.test: broker_tls: /nowhere/ca.pem: "));
	forget(set);
}

/* What the file is told of, which is none, or not what it should be. */
static void is_refused(const char *cert_file, const char *key_file, const char *why)
{
	struct tls_set *set = load("listeners:\n"
				   "  - name: edge\n"
				   "    bind: \"127.0.0.1:1\"\n"
				   "    forward: \"t:1\"\n"
				   "    tls: { cert_file: %s, key_file: %s }\n",
				   cert_file, key_file);

	assert_null(set);
	assert_int_equal(errors.error_count, 1);
	if (strstr(said, why) == NULL)
		fail_msg("%s", said);
	forget(set);
}

/* A pipe nobody writes to is not waited for. */
static void test_no_files(void **state)
{
	char fifo[128];

	(void)state;
	pki_path(fifo, "pipe", "pem");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	(void)alarm(300);
	is_refused(fifo, own.key_file, "/pipe.pem: is no file");
	is_refused(own.cert_file, fifo, "/pipe.pem: is no file");
	is_refused(pki_folder, own.key_file, ": is no file");
	is_refused("/dev/null", own.key_file, "/dev/null: is no file");
	(void)alarm(0);
}

static void test_modes(void **state)
{
	static const mode_t open_modes[] = { 0644, 0604, 0642 }, fine[] = { 0600, 0640, 0440 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(open_modes); i++) {
		assert_int_equal(chmod(own.key_file, open_modes[i]), 0);
		is_refused(own.cert_file, own.key_file,
			   "own.key: everybody may read this key: chmod 640");
	}
	for (size_t i = 0; i < COUNT_OF(fine); i++) {
		assert_int_equal(chmod(own.key_file, fine[i]), 0);

		struct tls_set *set = load_all("");

		assert_non_null(set);
		assert_null(strstr(said, "everybody"));
		forget(set);
	}
}

/* Without its issuer a certificate cannot be stapled; then that is said, and nothing is. */
static void test_issuers(void **state)
{
	char staple[128];

	(void)state;
	pki_staple(staple, "staple", &middle, &gate);
	for (int i = 0; i < 4; i++) {
		bool has_issuer = i % 2 == 0, is_asked = i >= 2;
		struct tls_set *set = load(
			"listeners:\n"
			"  - name: a\n"
			"    bind: \"127.0.0.1:1\"\n"
			"    forward: \"t:1\"\n"
			"    tls: { cert_file: %s/%s.pem, key_file: %s/gate.key, ocsp_file: %s%s%s }\n",
			pki_folder, is_asked || has_issuer ? "gate" : "alone", pki_folder, staple,
			is_asked ? ", client_auth: require, client_ca_file: " : "",
			!is_asked    ? ""
			: has_issuer ? middle.cert_file
				     : root.cert_file);

		assert_non_null(set);
		assert_int_equal(strstr(said, "is not stapled") == NULL, has_issuer);
		if (!has_issuer)
			assert_non_null(strstr(said, is_asked ? "root.pem; add it there"
							      : "alone.pem; add it there"));
		forget(set);
	}
}

static int refuse_all(int is_fine, X509_STORE_CTX *store)
{
	(void)is_fine, (void)store;
	return 0;
}

/* OpenSSL says so in clear in TLS 1.3, where it has no keys for sending yet. */
static void test_client_refuses_us(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	SSL_CTX *peer = SSL_CTX_new(TLS_client_method());
	struct tls_set *set = load_all("");
	struct tls *tls;

	(void)state;
	SSL_CTX_set_verify(peer, SSL_VERIFY_PEER, refuse_all);
	assert_int_equal(tls_new(&tls, 2, 2, &bench_stats), 0);
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct bench bench;

		bench_begin(&bench, tls, tls_set_listener(set, 0), peer, NULL);
		SSL_set_max_proto_version(bench.ssl, versions[i]);
		SSL_set_min_proto_version(bench.ssl, versions[i]);
		bench_shake(&bench);
		assert_int_equal(bench.progress, TLS_FAILED);
		assert_int_equal(tls_why(bench.end), TLS_FAIL_PEER_ALERT);
		assert_int_equal(tls_why_alert(bench.end), 48);
		assert_string_equal(tls_why_detail(bench.end), "alert 48");
		bench_end(&bench);
	}
	tls_free(tls);
	forget(set);
	SSL_CTX_free(peer);
}

/* ---- another certificate for each client ---------------------------------------------------- */

/* A cluster of Kafka whose brokers are shown what these lines say. */
static struct tls_set *load_lines(const char *lines)
{
	char path[128];

	pki_path(path, "clients", "lines");
	FILE *file = pki_create(path);

	assert_true(fputs(lines, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return load(
		"clusters: { k: { protocol: kafka, discovery: { bootstrap: [b] }, broker_tls: "
		"{ ca_file: %s/root.pem, clients_file: %s, " FILES(
			"client") " } } }\n"
				  "listeners: [{ name: l, bind: \"127.0.0.1:1\", cluster: k, kafka: { advertise: g "
				  "}, tls: { " FILES(
					  "gate") ", client_auth: require, client_ca_file: %s/root.pem } "
						  "}]\n",
		pki_folder, path, FOLDER2, FOLDER2, pki_folder);
}

/* `count` lines, each for somebody else, and lines that say nothing in between. */
static void many_lines(char *text, size_t size, int count)
{
	struct sink sink = sink_of(text, size - 1);

	for (int i = 0; i < count; i++) {
		char line[400];

		(void)snprintf(line, sizeof(line), "# %d\n\ncn:c%d %s %s\n", i, i, client.cert_file,
			       client.key_file);
		sink_str(&sink, line);
	}
	assert_false(sink.full);
	text[sink.len] = '\0';
}

/* 64 lines are taken, each with its own context; the 65th is one too many. */
static void test_clients(void **state)
{
	static char text[65 * 400];

	(void)state;
	many_lines(text, sizeof(text), 64);
	struct tls_set *set = load_lines(text);
	uint32_t count;

	if (set == NULL)
		fail_msg("%s", said);
	(void)tls_set_expiries(set, &count);
	assert_int_equal(count, 66); /* and cert_file, and penstock's own for clients */
	assert_non_null(strstr(said, "warning: cluster k: broker_tls.clients_file, line 192: "));
	forget(set);
	many_lines(text, sizeof(text), 65);
	set = load_lines(text);
	assert_null(set);
	assert_int_equal(errors.error_count, 1);
	if (strstr(said, "clients.lines:195: cluster k: broker_tls.clients_file: there are more "
			 "than 64 lines") == NULL)
		fail_msg("%s", said);
	forget(set);
}

/* With the folder of the certificates for each @. */
static void fill(char *text, size_t size, const char *from)
{
	struct sink sink = sink_of(text, size - 1);

	for (; *from != '\0'; from++) {
		if (*from == '@')
			sink_str(&sink, pki_folder);
		else
			sink_u8(&sink, (uint8_t)*from);
	}
	assert_false(sink.full);
	text[sink.len] = '\0';
}

static void lines_are_refused(const char *lines, const char *why)
{
	struct tls_set *set = load_lines(lines);

	if (set != NULL || errors.error_count != 1 || strstr(said, why) == NULL)
		fail_msg("%u: not '%s' but '%s'", errors.error_count, why, said);
	forget(set);
}

/* One wrong line is enough, wherever it stands; the place is told, and it is the line's. */
static void test_bad_clients(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "", "clients.lines: cluster k: broker_tls.clients_file: is for nobody" },
		{ "# cn:a b c\n", "is for nobody: there is no line in it" },
		{ "cn:a @/own.pem\n",
		  "clients.lines:1: cluster k: broker_tls.clients_file: it must "
		  "have three words" },
		{ "\n* @/own.pem @/own.key more\n", "clients.lines:2: cluster k: "
						    "broker_tls.clients_file: it has more" },
		{ "own @/own.pem @/own.key\n", "who it is for is none of cn:" },
		{ "* \"@/own.pem @/own.key\n", "a word in quotes that has no end" },
		{ "* @/own.pem @/own.key\ncn:b @/nothing.pem @/own.key\n",
		  "cluster k: broker_tls.clients_file, line 2: @/nothing.pem: " },
		{ "* @/own.pem @/nothing.key\n",
		  "cluster k: broker_tls.clients_file, line 1: @/nothing.key: " },
		{ "* @/own.pem @/gate.key\n", "gate.key: is not the key of " },
	};
	char line[600], why[300];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fill(line, sizeof(line), rows[i].line);
		fill(why, sizeof(why), rows[i].why);
		lines_are_refused(line, why);
	}
}

static int setup(void **state)
{
	char alone_file[128];

	(void)state;
	pki_open();
	pki_path(alone_file, "alone", "pem");
	root = pki_issue("root", &(struct pki_wish){ .common_name = "root", .is_ca = true }, NULL,
			 NULL);
	middle = pki_issue("middle",
			   &(struct pki_wish){
				   .common_name = "middle", .is_ca = true, .until_s = 20 * DAY },
			   &root, NULL);
	gate = pki_issue("gate",
			 &(struct pki_wish){ .common_name = "gate.test",
					     .names = "DNS:gate.test",
					     .until_s = 50 * DAY },
			 &middle, &middle);
	FILE *alone = pki_create(alone_file);

	assert_int_equal(PEM_write_X509(alone, gate.cert), 1);
	assert_int_equal(fclose(alone), 0);
	own = pki_issue("own",
			&(struct pki_wish){ .common_name = "own.test",
					    .names = "DNS:own.test",
					    .until_s = 40 * DAY },
			&root, &root); /* which runs out tomorrow, and does not count */
	client = pki_issue("client",
			   &(struct pki_wish){ .common_name = "client", .until_s = 5 * DAY }, &root,
			   NULL);
	return tls_init(64 << 20);
}

static int teardown(void **state)
{
	(void)state;
	struct pki_cert *const all[] = { &root, &middle, &gate, &own, &client };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		pki_free(all[i]);
	pki_close();
	tls_fini();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contexts), cmocka_unit_test(test_expiries),
		cmocka_unit_test(test_warnings), cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_no_files), cmocka_unit_test(test_modes),
		cmocka_unit_test(test_issuers),	 cmocka_unit_test(test_client_refuses_us),
		cmocka_unit_test(test_clients),	 cmocka_unit_test(test_bad_clients),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
