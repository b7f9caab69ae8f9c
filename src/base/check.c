/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The end of the process after one of our own bugs: place and condition on standard error, then
 * abort. Nothing here allocates or takes a lock, since the heap may be what is broken.
 */
#include <penstock/base/check.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

NORETURN void check_failed(const char *file, int line, const char *func, const char *what)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%s:%d: CHECK(%s) failed in %s\n", file, line, what,
			   func);
	if (len > (int)sizeof(text) - 1)
		len = (int)sizeof(text) - 1;
	/* A failed write changes nothing: we abort either way. */
	if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
		abort();
	abort();
}
