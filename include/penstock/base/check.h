/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * check: assertions that stay on in production, and the attributes every other header uses.
 * Thread:   any
 * Memory:   none
 * Errors:   a failed CHECK prints place and condition and aborts: it is only ever our own bug,
 *           never input (docs/adr/0005)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE			__attribute__((warn_unused_result))
#define NORETURN			__attribute__((noreturn))
#define PRINTF_LIKE(f, a)		__attribute__((format(printf, f, a)))
#define ALIGNED(n)			__attribute__((aligned(n)))
#define LIKELY(x)			__builtin_expect(!!(x), 1)
#define UNLIKELY(x)			__builtin_expect(!!(x), 0)
#define CACHE_LINE			64
#define COUNT_OF(a)			(sizeof(a) / sizeof((a)[0]))

/* The structure of type `type` whose member `member` is at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Prints "file:line: CHECK(condition) failed in function" on standard error and aborts. */
NORETURN void check_failed(const char *file, int line, const char *func, const char *what);

#define CHECK(cond)                                                        \
	do {                                                               \
		if (UNLIKELY(!(cond)))                                     \
			check_failed(__FILE__, __LINE__, __func__, #cond); \
	} while (0)
