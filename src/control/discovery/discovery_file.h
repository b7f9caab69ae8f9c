/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_file: small files, read whole and replaced whole. Apart, because <fcntl.h> declares a
 * struct stat, and our enum stat_id (base/stat.h) cannot be seen by the same file.
 */
#pragma once

#include <penstock/base/check.h>

/* The whole file in *ret_bytes (free it). -EFBIG: longer than `most`. */
MUST_USE int discovery_file_read(const char *path, size_t most, uint8_t **ret_bytes,
				 size_t *ret_len);
/* Removes what processes that are no more have left half-written in a folder of such files. */
void discovery_file_tidy(const char *folder);
/* Readers see the old file or the new one, never a part. */
MUST_USE int discovery_file_replace(const char *path, const void *bytes, size_t len);
