/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every complaint about penstock.yaml, word by word: all of them at once, each with its position
 * and what to do.
 */
#include "config_help.h"

struct row {
	const char *name, *text, *said;
	uint32_t errors, warnings;
};

static const struct row rows[] = {
#include "config_errors.inc"
};

static void test_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = help_load(rows[i].text, NULL);

		if (strcmp(outcome.said, rows[i].said) != 0)
			print_error("%s: expected\n%sgot\n%s", rows[i].name, rows[i].said,
				    outcome.said);
		assert_string_equal(outcome.said, rows[i].said);
		assert_int_equal(outcome.errors, rows[i].errors);
		assert_int_equal(outcome.warnings, rows[i].warnings);
		help_free(&outcome);
	}
}

/* Each complaint has a position, or at least the file. */
static void test_positions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *line = rows[i].said;

		for (; *line != '\0'; line = strchr(line, '\n') + 1)
			assert_int_equal(strncmp(line, "t.yaml:", 7), 0);
	}
}

static void test_cpus(void **state)
{
	struct outcome outcome = help_load("process: { cpus: \"1000-1001\" }\n", NULL);

	(void)state;
	assert_non_null(strstr(outcome.said, "t.yaml:1:18: process.cpus: CPU 1000 is not there"));
	assert_non_null(strstr(outcome.said, "t.yaml:1:18: process.cpus: CPU 1001 is not there"));
	assert_int_equal(outcome.errors, 2);
	help_free(&outcome);
	outcome = help_load("process: { workers: 256 }\n", NULL);
	assert_non_null(strstr(outcome.said, "warning: process.workers: 256 workers share"));
	help_free(&outcome);
}

/* Enough for all handshakes, unless somebody wants it otherwise. */
static void test_tls_memory(void **state)
{
	static const char tls[] = "listeners: [{ name: x, bind: \"[::]:7000\", forward: \"h:1\", "
				  "tls: { cert_file: /c, key_file: /k } }]\n"
				  "process: { workers: 20 }\n";
	char text[400];
	struct outcome outcome = help_load(tls, NULL);

	(void)state;
	assert_int_equal(outcome.config->limits.tls_memory, 616ull << 20);
	assert_null(strstr(outcome.said, "tls_memory"));
	help_free(&outcome);
	(void)snprintf(text, sizeof(text), "%slimits: { handshakes: 100, tls_memory: 100MiB }\n",
		       tls);
	outcome = help_load(text, NULL);
	assert_int_equal(outcome.config->limits.tls_memory, 100ull << 20);
	assert_non_null(strstr(outcome.said,
			       "t.yaml:3:40: warning: limits.tls_memory: 100 MiB, and the 100 "
			       "handshakes of each of 20 workers can take 134 MiB: those that find "
			       "none fail; raise it, or lower limits.handshakes\n"));
	help_free(&outcome);
	(void)snprintf(text, sizeof(text), "%slimits: { handshakes: 70, tls_memory: 100MiB }\n",
		       tls);
	outcome = help_load(text, NULL);
	assert_null(strstr(outcome.said, "tls_memory"));
	help_free(&outcome);
}

/* More of something than there is room for: said once, nothing overwritten. */
static void test_too_many(void **state)
{
	char *text = calloc(1, 1 << 20);
	size_t len = 0;
	struct outcome outcome;

	(void)state;
	assert_non_null(text);
	len += (size_t)sprintf(text + len, "clusters:\n");
	for (int i = 0; i < 70; i++)
		len += (size_t)sprintf(text + len,
				       "  c%d: { discovery: { urls: [\"pulsar://b\"] } }\n", i);
	len += (size_t)sprintf(text + len, "listeners:\n");
	for (int i = 0; i < 40; i++)
		len += (size_t)sprintf(text + len,
				       "  - { name: l%d, bind: 0.0.0.0:%d, cluster: c%d }\n", i,
				       1000 + i, i);
	outcome = help_load(text, NULL);
	assert_non_null(strstr(outcome.said, "t.yaml:66:3: more than 64 clusters; "));
	assert_non_null(strstr(outcome.said, "t.yaml:105:5: more than 32 listeners; "));
	help_free(&outcome);
	len = (size_t)sprintf(text, "listeners:\n- name: l\n  bind: 0.0.0.0:1\n  routes:\n");
	for (int i = 0; i < 4098; i++)
		len += (size_t)sprintf(text + len, "  - { host: h%d.x, forward: \"h:1\" }\n", i);
	outcome = help_load(text, NULL);
	assert_string_equal(outcome.said, "t.yaml:4101:5: more than 4096 routes; use wildcards, or "
					  "run another penstock for the others\n");
	help_free(&outcome);
	len = (size_t)sprintf(text, "limits:\n");
	for (int i = 0; i < 1001; i++)
		len += (size_t)sprintf(text + len, "  k%d: 1\n", i);
	outcome = help_load(text, NULL);
	assert_non_null(strstr(outcome.said, "t.yaml:2:3: 1001 keys in one mapping; at most 1000"));
	assert_int_equal(outcome.errors, 1);
	help_free(&outcome);
	len = (size_t)sprintf(text, "egress: { allow: { ports: [1");
	for (int i = 0; i < 1024; i++)
		len += (size_t)sprintf(text + len, ",%d", i + 2);
	memcpy(text + len, "] } }\n", 7);
	outcome = help_load(text, NULL);
	assert_non_null(strstr(outcome.said, "egress.allow.ports: 1025 items; at most 1024"));
	help_free(&outcome);
	memset(text, '#', (1 << 20) - 1);
	outcome = help_load(text, NULL);
	assert_non_null(strstr(outcome.said, "the file is empty"));
	help_free(&outcome);
	free(text);
}

static void test_files(void **state)
{
	struct config_errors errors = { .out = NULL };
	char *big = calloc(1, (1 << 20) + 2);

	(void)state;
	assert_null(config_load("/nonexistent/t.yaml", &errors));
	assert_null(config_load("/", &errors));
	assert_int_equal(errors.error_count, 2);
	assert_non_null(big);
	memset(big, '#', (1 << 20) + 1);
	struct outcome outcome = help_load(big, NULL);

	assert_string_equal(outcome.said,
			    "t.yaml: is longer than 1048576 bytes; is it the right file?\n");
	help_free(&outcome);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	 cmocka_unit_test(test_positions),
		cmocka_unit_test(test_cpus),	 cmocka_unit_test(test_tls_memory),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, help_setup, NULL);
}
