/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * glibc's constant error texts: no buffer, no lock, no locale, hence fit for every thread.
 */
#define _GNU_SOURCE
#include <penstock/base/err.h>

#include <limits.h>
#include <stddef.h>
#include <string.h>

const char *err_text(int err)
{
	if (err == 0)
		return "no error";
	if (err == INT_MIN)
		return "unknown error";
	const char *text = strerrordesc_np(err < 0 ? -err : err);
	return text != NULL ? text : "unknown error";
}
