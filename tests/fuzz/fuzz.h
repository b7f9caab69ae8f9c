/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz: the one function of a fuzz target. libFuzzer hands it a heap copy of exactly `size` bytes,
 * and so does replay.c, so AddressSanitizer sees a read past the end in both.
 */
#pragma once

#include <stdlib.h>

#include <penstock/base/span.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
