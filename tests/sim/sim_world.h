/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_world: one run of the simulator, from its seed to the last check. Fails the process or
 * returns.
 */
#pragma once

#include "sim.h"

void sim_world_run(uint64_t seed, bool is_verbose);
