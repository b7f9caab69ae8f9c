/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_unix: what needs <sys/stat.h>, whose struct stat and our enum stat_id (base/stat.h)
 * cannot be seen by one file.
 */
#pragma once

#include <penstock/base/check.h>

/* Listens on a unix socket of mode 0660; removes one that a crash has left over. */
MUST_USE int control_unix_listen(const char *path, int backlog, int *ret_fd);
/* When a file changed last, in nanoseconds; 0: it is not there. */
int64_t control_unix_mtime_ns(const char *path);
/* Which file this is, or was before it was replaced; 0: there is none. */
uint64_t control_unix_identity(const char *path);
