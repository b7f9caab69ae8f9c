/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * close: why a connection ended, from close.def: an enum, a log word, a metric label and a text.
 * Thread:   any (constant tables)
 */
#pragma once

#include <penstock/base/check.h>

enum close_reason {
	CLOSE_NONE,
#define CLOSE(NAME, name, who, is_error, text) CLOSE_##NAME,
#include <penstock/base/close.def>
#undef CLOSE
	CLOSE_COUNT,
};

struct close_row {
	const char *name;
	const char *text;
	char who;
	bool is_error;
};

extern const struct close_row close_rows[CLOSE_COUNT];
