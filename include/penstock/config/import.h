/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * import: the SNI routing of an Apache Traffic Server as a penstock.yaml. Which kind each file is
 * of (sni.yaml, ssl_server_name.config in Lua or YAML, records.config, records.yaml) its contents
 * say, else its name.
 * Thread:   any; nothing is kept
 * Memory:   files of at most 1 MiB each; all of it is freed on return
 * Errors:   collected in `errors` with file, line and column; then nothing is written
 */
#pragma once

#include <penstock/config.h>

/* Writes to `out` what config_load takes, with comments. False: a file cannot be read or
 * understood. *ret_left: the number of things that could not be carried over; each is a warning in
 * `errors` and a comment in `out`. */
MUST_USE bool config_import(const char *const *paths, uint32_t count, struct config_errors *errors,
			    FILE *out, uint32_t *ret_left);
