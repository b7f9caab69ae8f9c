/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * err: text for -errno, without strerror's shared buffer.
 * Thread:   any
 */
#pragma once

/* "connection refused"-style text for -errno or errno. */
const char *err_text(int err);
