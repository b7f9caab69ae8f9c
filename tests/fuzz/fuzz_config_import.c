/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Any bytes as files of Apache Traffic Server, up to three with a NUL between: never a crash, and
 * what is written is a configuration that is taken.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../src/config/config_import.h"
#include "fuzz.h"

static FILE *null;

static void check(const char *yaml)
{
	struct config_errors errors = { .out = null };
	struct config_read *read = config_read_new(&errors);

	if (config_yaml_read(read, "out.yaml", yaml, strlen(yaml)))
		config_check(read, "out.yaml");
	if (errors.error_count > 0)
		fputs(yaml, stderr);
	CHECK(errors.error_count == 0);
	config_free(config_read_end(read, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "sni.yaml", "records.config", "ssl_multicert.config" };
	struct span text = span_of(data, size);
	char *yaml = NULL;
	size_t yaml_size = 0;
	uint32_t left = 0;
	struct config_import import;

	if (null == NULL)
		null = fopen("/dev/null", "we");
	CHECK(null != NULL);
	struct config_errors errors = { .out = null };
	FILE *out = open_memstream(&yaml, &yaml_size);

	CHECK(out != NULL);
	config_import_begin(&import, &errors);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len =
			i + 1 < sizeof(names) / sizeof(names[0]) ? span_find(text, '\0') : text.len;

		config_import_text(&import, names[i], (const char *)text.at, len);
		if (len == text.len)
			break;
		text = span_of(text.at + len + 1, text.len - len - 1);
	}
	bool is_fine = config_import_end(&import, out, &left);

	CHECK(fclose(out) == 0);
	CHECK(is_fine == (errors.error_count == 0));
	if (is_fine)
		check(yaml);
	free(yaml);
	return 0;
}
