/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bounded reading and writing of bytes. Every parser goes through these functions, so this file is
 * where a length can be got wrong, and nowhere else.
 */
#include <penstock/base/span.h>

#include <stdarg.h>
#include <stdio.h>

bool span_take(struct span *span, size_t n, struct span *ret_head)
{
	if (span->len < n)
		return false;
	*ret_head = span_of(span->at, n);
	return span_skip(span, n);
}

bool span_skip(struct span *span, size_t n)
{
	if (span->len < n)
		return false;
	if (n > 0) { /* NULL + 0 is undefined in C */
		span->at += n;
		span->len -= n;
	}
	return true;
}

bool span_u8(struct span *span, uint8_t *ret_value)
{
	if (span->len < 1)
		return false;
	*ret_value = span->at[0];
	return span_skip(span, 1);
}

bool span_u16(struct span *span, uint16_t *ret_value)
{
	if (span->len < 2)
		return false;
	*ret_value = (uint16_t)(span->at[0] << 8 | span->at[1]);
	return span_skip(span, 2);
}

bool span_u32(struct span *span, uint32_t *ret_value)
{
	if (span->len < 4)
		return false;
	*ret_value = (uint32_t)span->at[0] << 24 | (uint32_t)span->at[1] << 16 |
		     (uint32_t)span->at[2] << 8 | span->at[3];
	return span_skip(span, 4);
}

bool span_varint(struct span *span, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (size_t i = 0; i < span->len && i < 10; i++) {
		uint8_t byte = span->at[i];
		if (i == 9 && byte > 1) /* bits 64 and up */
			return false;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*ret_value = value;
			return span_skip(span, i + 1);
		}
	}
	return false;
}

bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static uint8_t fold(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool is_space(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

struct span span_trim(struct span span)
{
	while (span.len > 0 && is_space(span.at[0]))
		span = span_of(span.at + 1, span.len - 1);
	while (span.len > 0 && is_space(span.at[span.len - 1]))
		span.len--;
	return span;
}

bool span_equal_fold(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (fold(a.at[i]) != fold(b.at[i]))
			return false;
	}
	return true;
}

bool span_is(struct span span, const char *text)
{
	return span_equal(span, span_str(text));
}

bool span_starts(struct span span, const char *prefix)
{
	size_t len = strlen(prefix);
	return span.len >= len && (len == 0 || memcmp(span.at, prefix, len) == 0);
}

/* How many bytes follow this one, and what the first of them must be; 4: it begins nothing. */
static size_t utf8_tail(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*ret_high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (lead < 0x80)
		return 0;
	if (lead < 0xc2 || lead > 0xf4)
		return 4;
	return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

bool span_is_utf8(struct span span)
{
	for (size_t i = 0; i < span.len;) {
		uint8_t low, high;
		size_t more = utf8_tail(span.at[i++], &low, &high);

		if (more == 4 || span.len - i < more)
			return false;
		for (; more > 0; more--, low = 0x80, high = 0xbf) {
			if (span.at[i] < low || span.at[i] > high)
				return false;
			i++;
		}
	}
	return true;
}

size_t span_find(struct span span, uint8_t byte)
{
	const uint8_t *hit = span.len > 0 ? memchr(span.at, byte, span.len) : NULL;
	return hit != NULL ? (size_t)(hit - span.at) : span.len;
}

size_t span_rfind(struct span span, uint8_t byte)
{
	for (size_t i = span.len; i > 0; i--) {
		if (span.at[i - 1] == byte)
			return i - 1;
	}
	return span.len;
}

bool span_to_str(struct span span, char *ret_text, size_t size)
{
	if (span.len >= size || span_find(span, 0) < span.len)
		return false;
	if (span.len > 0)
		memcpy(ret_text, span.at, span.len);
	ret_text[span.len] = '\0';
	return true;
}

bool span_to_u64(struct span span, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (size_t i = 0; i < span.len; i++) {
		uint8_t byte = span.at[i];
		if (byte < '0' || byte > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(byte - '0'), &value))
			return false;
	}
	if (span.len == 0)
		return false;
	*ret_value = value;
	return true;
}

uint64_t span_hash(struct span span, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325u ^ seed;
	for (size_t i = 0; i < span.len; i++)
		hash = (hash ^ span.at[i]) * 0x100000001b3u;
	/* FNV leaves the bits in the middle almost alone when only the last bytes differ, as they
	 * do in neighbouring addresses (MurmurHash3's finalizer mends that). */
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
	return hash ^ hash >> 33;
}

/* Room for n more bytes, or NULL and `full` for good. */
static uint8_t *reserve(struct sink *sink, size_t n)
{
	if (sink->full || sink->size - sink->len < n) {
		sink->full = true;
		return NULL;
	}
	uint8_t *at = sink->at + sink->len;
	sink->len += n;
	return at;
}

void sink_bytes(struct sink *sink, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	uint8_t *at = reserve(sink, len);
	if (at != NULL)
		memcpy(at, bytes, len);
}

void sink_span(struct sink *sink, struct span span)
{
	sink_bytes(sink, span.at, span.len);
}

void sink_u8(struct sink *sink, uint8_t value)
{
	sink_bytes(sink, &value, 1);
}

void sink_u16(struct sink *sink, uint16_t value)
{
	uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };
	sink_bytes(sink, bytes, sizeof(bytes));
}

static void store_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

void sink_u32(struct sink *sink, uint32_t value)
{
	uint8_t *at = reserve(sink, 4);
	if (at != NULL)
		store_u32(at, value);
}

void sink_varint(struct sink *sink, uint64_t value)
{
	uint8_t bytes[10];
	size_t len = 0;
	while (value >= 0x80) {
		bytes[len++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	bytes[len++] = (uint8_t)value;
	sink_bytes(sink, bytes, len);
}

void sink_str(struct sink *sink, const char *text)
{
	sink_bytes(sink, text, strlen(text));
}

void sink_patch_u32(struct sink *sink, size_t at, uint32_t value)
{
	if (sink->full)
		return; /* the place may never have been written; the caller looks at `full` */
	CHECK(at + 4 <= sink->len);
	store_u32(sink->at + at, value);
}

void sink_printf(struct sink *sink, const char *format, ...)
{
	size_t room = sink->full ? 0 : sink->size - sink->len;
	va_list args;
	va_start(args, format);
	int len = vsnprintf(room > 0 ? (char *)sink->at + sink->len : NULL, room, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= room) /* vsnprintf wants a byte for its NUL */
		sink->full = true;
	else
		sink->len += (size_t)len;
}
