/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * CRC32C; crc32c.h says what for. Sums are polynomials over GF(2), bit-reversed: bit 31 is x^0.
 * Behind n more bytes a sum is worth x^(8n) times as much, so joining two is one multiplication.
 */
#include "crc32c.h"

#define ONE	   UINT32_C(0x80000000) /* x^0 */
#define ONE_BYTE   UINT32_C(0x00800000) /* x^8 */
#define POLYNOMIAL UINT32_C(0x82f63b78)

static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
	}
	return product;
}

uint32_t crc32c(const void *data, size_t size)
{
	static uint32_t table[256];
	const uint8_t *bytes = data;
	uint32_t crc = ~0u;

	if (table[1] == 0)
		for (uint32_t i = 0; i < 256; i++)
			table[i] = multiply(ONE_BYTE, i);
	for (size_t i = 0; i < size; i++)
		crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

struct crc32c_tail crc32c_tail(const void *data, size_t size)
{
	struct crc32c_tail tail = { .crc = crc32c(data, size), .power = ONE };
	uint32_t square = ONE_BYTE;

	for (; size > 0; size >>= 1) {
		if (size & 1)
			tail.power = multiply(tail.power, square);
		square = multiply(square, square);
	}
	return tail;
}

uint32_t crc32c_join(uint32_t head, const struct crc32c_tail *tail)
{
	return multiply(head, tail->power) ^ tail->crc;
}
