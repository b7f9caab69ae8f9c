/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rng: the only source of randomness (start broker of a round robin, spread of a drain, jitter).
 * Not for keys. The simulator seeds it.
 * Thread:   one struct rng per thread
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* Seeds from the kernel's random source. */
void rng_init(struct rng *rng);

/* Seeds with a value, so that a run can be repeated. */
void rng_seed(struct rng *rng, uint64_t seed);

/* The next 64 bits (SplitMix64). */
uint64_t rng_next(struct rng *rng);

/* Bytes from the kernel that nobody can foresee: for nonces. Does not come from any struct rng. */
void rng_secret(void *bytes, size_t size);

/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
