/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_hello: ClientHellos as the models write them, on purpose without src/wire: of any size, cut
 * into records anywhere, and with the number of their flow in them.
 */
#pragma once

#include "sim_frame.h"

/* Bytes that are enough to tell whose it is. */
#define SIM_HELLO_HEAD 15

/* name NULL: no server name. */
void sim_hello_put(struct sim_text *text, uint32_t flow, const char *name);
/* Whose hello begins so; 0: it is none of ours. */
uint32_t sim_hello_flow(const uint8_t head[static SIM_HELLO_HEAD]);
