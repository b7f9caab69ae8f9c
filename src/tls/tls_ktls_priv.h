/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_ktls_priv: the probe, for tls_init.c.
 */
#pragma once

#include "tls_end_priv.h"

void tls_ktls_probe(void);
