/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_world: one run of the simulator, from its seed to the last check. Fails the process or
 * returns.
 */
#pragma once

#include "sim.h"

/* stop_ns: fail at that time of the run, to see what is going on; 0: never. */
void sim_world_run(uint64_t seed, bool is_verbose, uint64_t stop_ns);
