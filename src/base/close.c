/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of close reasons, from close.def.
 */
#include <penstock/base/close.h>

const struct close_row close_rows[CLOSE_COUNT] = {
	[CLOSE_NONE] = { .name = "none", .text = "still open", .who = '-' },
#define CLOSE(NAME, label, letter, error, sentence) \
	[CLOSE_##NAME] = { .name = #label, .text = sentence, .who = letter, .is_error = error },
#include <penstock/base/close.def>
#undef CLOSE
};
