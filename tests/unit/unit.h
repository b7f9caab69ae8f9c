/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * unit: what every unit test includes: cmocka with the headers it wants first, and copies of input
 * at their exact size, so that AddressSanitizer sees a read one byte past the end.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <penstock/base/span.h>

/* The first `len` bytes of `bytes` in memory of exactly that size; free(3) it. */
static inline uint8_t *exact_copy(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

static char unit_at[64];

static inline void unit_forget(void)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", unit_at);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", unit_at);
}

/* A folder for this run's files, which is gone when the program ends; what ends by a signal leaves
 * its own to run.sh. */
static inline const char *unit_folder(void)
{
	const char *base = getenv("TMPDIR");

	if (unit_at[0] != '\0')
		return unit_at;
	(void)snprintf(unit_at, sizeof(unit_at), "%s/penstock-unit-XXXXXX",
		       base != NULL && strlen(base) < 36 ? base : "/tmp");
	assert_non_null(mkdtemp(unit_at));
	assert_int_equal(atexit(unit_forget), 0);
	return unit_at;
}

/* A file's place in it; 96 bytes. */
static inline const char *unit_path(char path[static 96], const char *name)
{
	(void)snprintf(path, 96, "%s/%s", unit_folder(), name);
	return path;
}

static inline void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.at, text, span.len);
}
