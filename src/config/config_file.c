/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_file: a whole configuration file in memory, with a bound, and config_load itself.
 */
#include <errno.h>
#include <stdlib.h>

#include <penstock/base/err.h>

#include "config_priv.h"

#define YAML_SIZE_MAX ((size_t)1 << 20)

char *config_file_read(const char *path, size_t most, struct config_errors *errors, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;

	if (file == NULL) {
		config_error(errors, path, 0, 0, "cannot be opened: %s; check its name and rights",
			     err_text(errno));
		return NULL;
	}
	text = calloc(1, most + 2);
	CHECK(text != NULL);
	errno = 0;
	size_t len = fread(text, 1, most + 1, file);
	bool is_broken = ferror(file) != 0;
	int err = errno;

	fclose(file);
	if (is_broken || len > most) {
		if (is_broken)
			config_error(errors, path, 0, 0, "cannot be read: %s", err_text(err));
		else
			config_error(errors, path, 0, 0,
				     "is longer than %zu bytes; is it the right file?", most);
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*ret_len = len;
	return text;
}

struct config *config_load(const char *path, struct config_errors *errors)
{
	uint32_t before = errors->error_count;
	size_t len;
	char *text = config_file_read(path, YAML_SIZE_MAX, errors, &len);

	if (text == NULL)
		return NULL;
	struct config_read *read = config_read_new(errors);

	if (config_yaml_read(read, path, text, len))
		config_check(read, path);
	free(text);
	return config_read_end(read, before);
}
