/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * CRC32C (Castagnoli), which both Pulsar and Kafka put over a message. A payload that is sent again
 * and again is summed up once: only the few bytes before it change, and crc32c_join adds the two.
 */
#ifndef BENCH_CRC32C_H
#define BENCH_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t size);

struct crc32c_tail {
	uint32_t crc;
	uint32_t power; /* what moves another sum over the bytes of this tail */
};

struct crc32c_tail crc32c_tail(const void *data, size_t size);

/* The sum of some bytes followed by the tail, from the sum of those bytes. */
uint32_t crc32c_join(uint32_t head, const struct crc32c_tail *tail);

#endif
