/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the tests of src/config share: files in a directory of their own, and a configuration with
 * its complaints as text.
 */
#pragma once

#include <unistd.h>

#include <penstock/config.h>

#include "unit.h"

struct outcome {
	struct config *config;
	char *said;
	uint32_t errors, warnings;
};

static inline int help_setup(void **state)
{
	(void)state;
	return chdir(unit_folder());
}

static inline void help_write(const char *name, const char *text, size_t len)
{
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* The configuration's dump; the caller frees. */
static inline char *help_dump(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	config_dump(config, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static inline void help_free(struct outcome *outcome)
{
	config_free(outcome->config);
	free(outcome->said);
	*outcome = (struct outcome){ .config = NULL };
}

/* Loads a text as t.yaml, or with `args` as proxy.conf. */
static inline struct outcome help_load(const char *text, struct config_proxy_args *args)
{
	struct outcome outcome = { .config = NULL };
	size_t size = 0;
	struct config_errors errors = { .out = open_memstream(&outcome.said, &size) };

	assert_non_null(errors.out);
	if (args == NULL) {
		help_write("t.yaml", text, strlen(text));
		outcome.config = config_load("t.yaml", &errors);
	} else {
		if (text != NULL) {
			help_write("proxy.conf", text, strlen(text));
			args->file = "proxy.conf";
		}
		outcome.config = config_load_proxy(args, &errors);
	}
	assert_int_equal(fclose(errors.out), 0);
	outcome.errors = errors.error_count;
	outcome.warnings = errors.warn_count;
	/* No configuration and an error go together. */
	assert_true((outcome.config == NULL) == (outcome.errors > 0));
	return outcome;
}
