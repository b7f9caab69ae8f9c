/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Any bytes as penstock.yaml: never a crash, and what is taken is dumped as something that is taken
 * again and means the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../src/config/config_priv.h"

static struct config *load(const char *text, size_t len, FILE *out)
{
	struct config_errors errors = { .out = out };
	struct config_read *read = config_read_new(&errors);

	if (config_yaml_read(read, "t.yaml", text, len))
		config_check(read, "t.yaml");
	return config_read_end(read, 0);
}

static char *dump(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	CHECK(out != NULL);
	config_dump(config, out);
	CHECK(fclose(out) == 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static FILE *null;

	if (null == NULL)
		null = fopen("/dev/null", "we");
	CHECK(null != NULL);
	struct config *config = load((const char *)bytes, len, null);

	if (config == NULL)
		return 0;
	char *first = dump(config);

	config_free(config);
	config = load(first, strlen(first), null);
	if (config == NULL)
		(void)load(first, strlen(first), stderr);
	CHECK(config != NULL);
	char *second = dump(config);

	CHECK(strcmp(first, second) == 0);
	config_free(config);
	free(second);
	free(first);
	return 0;
}
