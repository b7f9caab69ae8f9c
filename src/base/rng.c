/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SplitMix64 (Steele, Lea, Flood 2014): one word of state, so that a seed printed by the simulator
 * is the whole run.
 */
#include <penstock/base/rng.h>

#include <sys/random.h>

#include <penstock/base/check.h>
#include <penstock/base/clock.h>

void rng_init(struct rng *rng)
{
	uint64_t seed;
	/* Early in boot the source may not be ready; none of our uses needs secrecy. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = clock_now_ns();
	rng->state = seed;
}

void rng_seed(struct rng *rng, uint64_t seed)
{
	rng->state = seed;
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void rng_secret(void *bytes, size_t size)
{
	/* Up to 256 bytes come whole once the source is ready, and it is since boot. */
	CHECK(size <= 256 && getrandom(bytes, size, 0) == (ssize_t)size);
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	CHECK(bound > 0);
	/* The lowest 2^64 mod bound values would make small results likelier: drawn again. */
	uint64_t skew = (0 - bound) % bound;
	uint64_t value = rng_next(rng);
	while (value < skew)
		value = rng_next(rng);
	return value % bound;
}
