/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * log_priv: what log.c (any thread, makes lines) and log_writer.c (the log thread, writes them)
 * share.
 */
#pragma once

#include <penstock/base/log.h>

/* Takes a finished line: into the queue, or straight to standard error when no thread runs. */
void log_writer_put(const struct log_line *line);
