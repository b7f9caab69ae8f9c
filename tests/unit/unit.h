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

static inline void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.at, text, span.len);
}
