/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_file: a whole configuration file in memory, with a bound, and config_load itself.
 */
#include <errno.h>
#include <stdlib.h>

#include <penstock/base/err.h>

#include "config_priv.h"

#define YAML_SIZE_MAX ((size_t)1 << 20)

/* Reads to the end or beyond `most`; NULL: broken, errno says how. */
static char *read_all(FILE *file, size_t most, size_t *ret_len)
{
	size_t size = 16384, len = 0;
	char *text = malloc(size);

	CHECK(text != NULL);
	while (len <= most) {
		size_t got = fread(text + len, 1, size - len - 1, file);

		len += got;
		if (got == 0)
			break;
		if (size - len > 1)
			continue;
		size *= 2;
		char *more = realloc(text, size);

		CHECK(more != NULL);
		text = more;
	}
	if (ferror(file)) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*ret_len = len;
	return text;
}

char *config_file_read(const char *path, size_t most, struct config_errors *errors, size_t *ret_len)
{
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		config_error(errors, path, 0, 0, "cannot be opened: %s; check its name and rights",
			     err_text(errno));
		return NULL;
	}
	errno = 0;
	char *text = read_all(file, most, ret_len);

	if (text == NULL)
		config_error(errors, path, 0, 0, "cannot be read: %s", err_text(errno));
	fclose(file);
	if (text != NULL && *ret_len > most) {
		config_error(errors, path, 0, 0, "is longer than %zu bytes; is it the right file?",
			     most);
		free(text);
		return NULL;
	}
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
