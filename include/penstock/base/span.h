/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * span: a bounded view on bytes somebody else owns, and the only pointer arithmetic on input.
 *
 *        at            at + len
 *        |<---- len ---->|
 *
 * A read either takes bytes off the front, or answers false and leaves the span as it was.
 * Thread:   any
 * Memory:   borrows; never frees
 */
#pragma once

#include <string.h>

#include <penstock/base/check.h>

struct span {
	const uint8_t *at;
	size_t len;
};

static inline struct span span_of(const void *at, size_t len)
{
	return (struct span){ .at = at, .len = len };
}

static inline struct span span_str(const char *text)
{
	return span_of(text, strlen(text));
}

/* The first n bytes off `span` into *ret_head. */
MUST_USE bool span_take(struct span *span, size_t n, struct span *ret_head);
MUST_USE bool span_skip(struct span *span, size_t n);
MUST_USE bool span_u8(struct span *span, uint8_t *ret_value);
/* Big-endian, as on every wire penstock speaks. */
MUST_USE bool span_u16(struct span *span, uint16_t *ret_value);
MUST_USE bool span_u32(struct span *span, uint32_t *ret_value);
/* Protobuf base-128 varint, at most 10 bytes, at most 64 bits. */
MUST_USE bool span_varint(struct span *span, uint64_t *ret_value);

bool span_equal(struct span a, struct span b);
/* Without the ASCII white space at both ends. */
struct span span_trim(struct span span);
/* ASCII case folded. */
bool span_equal_fold(struct span a, struct span b);
bool span_is(struct span span, const char *text);
bool span_starts(struct span span, const char *prefix);
/* Well-formed (RFC 3629): no overlong forms, no surrogates. */
bool span_is_utf8(struct span span);
/* Index of the byte, or span.len. */
size_t span_find(struct span span, uint8_t byte);
size_t span_rfind(struct span span, uint8_t byte);
/* Copies as a NUL-terminated string; false if it does not fit or holds a NUL. */
MUST_USE bool span_to_str(struct span span, char *ret_text, size_t size);
/* Decimal digits only, the whole span, no sign, no overflow. */
MUST_USE bool span_to_u64(struct span span, uint64_t *ret_value);
/* FNV-1a with MurmurHash3's finalizer, for hash tables of bounded size. */
uint64_t span_hash(struct span span, uint64_t seed);

/* A bounded writer. `full` latches on the first write that does not fit; nothing is ever
 * written past `size`. */
struct sink {
	uint8_t *at;
	size_t size;
	size_t len;
	bool full;
};

static inline struct sink sink_of(void *at, size_t size)
{
	return (struct sink){ .at = at, .size = size };
}

void sink_bytes(struct sink *sink, const void *bytes, size_t len);
void sink_span(struct sink *sink, struct span span);
void sink_u8(struct sink *sink, uint8_t value);
void sink_u16(struct sink *sink, uint16_t value);
void sink_u32(struct sink *sink, uint32_t value);
void sink_varint(struct sink *sink, uint64_t value);
void sink_str(struct sink *sink, const char *text);
/* Overwrites the big-endian u32 at offset `at` (already written). */
void sink_patch_u32(struct sink *sink, size_t at, uint32_t value);
PRINTF_LIKE(2, 3) void sink_printf(struct sink *sink, const char *format, ...);

static inline struct span sink_written(const struct sink *sink)
{
	return span_of(sink->at, sink->len);
}
