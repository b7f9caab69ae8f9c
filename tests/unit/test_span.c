/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * span and sink: every read at every length around its own, and writers that never pass their end.
 */
#include "unit.h"

static void test_take(void **state)
{
	(void)state;
	struct span span = span_str("abcdef"), head;
	assert_true(span_take(&span, 2, &head));
	assert_span(head, "ab");
	assert_span(span, "cdef");
	assert_false(span_take(&span, 5, &head));
	assert_span(head, "ab");
	assert_span(span, "cdef");
	assert_false(span_skip(&span, SIZE_MAX));
	assert_true(span_skip(&span, 4));
	assert_int_equal(span.len, 0);
	assert_true(span_take(&span, 0, &head));
	struct span none = span_of(NULL, 0);
	assert_true(span_skip(&none, 0));
	assert_false(span_skip(&none, 1));
}

static void test_numbers(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0xf1, 0xe2, 0xd3, 0xc4, 0xb5 };
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		uint8_t *copy = exact_copy(bytes, len);
		uint8_t u8 = 7;
		uint16_t u16 = 7;
		uint32_t u32 = 7;
		struct span span = span_of(copy, len);
		assert_int_equal(span_u8(&span, &u8), len >= 1);
		assert_int_equal(u8, len >= 1 ? 0xf1 : 7);
		assert_int_equal(span.len, len >= 1 ? len - 1 : len);
		span = span_of(copy, len);
		assert_int_equal(span_u16(&span, &u16), len >= 2);
		assert_int_equal(u16, len >= 2 ? 0xf1e2 : 7);
		assert_int_equal(span.len, len >= 2 ? len - 2 : len);
		span = span_of(copy, len);
		assert_int_equal(span_u32(&span, &u32), len >= 4);
		assert_int_equal(u32, len >= 4 ? 0xf1e2d3c4 : 7);
		assert_int_equal(span.len, len >= 4 ? len - 4 : len);
		free(copy);
	}
}

static void test_varint(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit <= 64; bit++) {
		uint64_t edge = bit < 64 ? 1ull << bit : 0;
		for (uint64_t delta = 0; delta < 3; delta++) {
			uint8_t bytes[16];
			struct sink sink = sink_of(bytes, sizeof(bytes));
			uint64_t value = edge + delta - 1, back = 0;
			sink_varint(&sink, value);
			for (size_t len = 0; len <= sink.len; len++) {
				uint8_t *copy = exact_copy(bytes, len);
				struct span span = span_of(copy, len);
				assert_int_equal(span_varint(&span, &back), len == sink.len);
				assert_int_equal(span.len, len == sink.len ? 0 : len);
				free(copy);
			}
			assert_int_equal(back, value);
		}
	}
}

static void test_varint_bad(void **state)
{
	(void)state;
	uint8_t bytes[11];
	uint64_t value;
	memset(bytes, 0xff, sizeof(bytes));
	struct span span = span_of(bytes, sizeof(bytes));
	assert_false(span_varint(&span, &value)); /* no end within ten bytes */
	bytes[9] = 0x01;
	span = span_of(bytes, 10);
	assert_true(span_varint(&span, &value));
	assert_true(value == UINT64_MAX);
	bytes[9] = 0x02;
	span = span_of(bytes, 10);
	assert_false(span_varint(&span, &value)); /* bit 64 */
	assert_int_equal(span.len, 10);
	static const uint8_t padded[] = { 0x83, 0x80, 0x00 };
	span = span_of(padded, sizeof(padded));
	assert_true(span_varint(&span, &value)); /* longer than needed, but protobuf takes it */
	assert_int_equal(value, 3);
}

static void test_compare(void **state)
{
	(void)state;
	assert_true(span_equal(span_str("ab"), span_str("ab")));
	assert_false(span_equal(span_str("ab"), span_str("aB")));
	assert_false(span_equal(span_str("ab"), span_str("abc")));
	assert_true(span_equal(span_of(NULL, 0), span_str("")));
	assert_true(span_equal_fold(span_str("aB-Z@["), span_str("Ab-z@[")));
	assert_false(span_equal_fold(span_str("@"), span_str("`")));
	assert_true(span_is(span_str("x"), "x"));
	assert_true(span_starts(span_str("xyz"), "xy"));
	assert_false(span_starts(span_str("x"), "xy"));
	assert_int_equal(span_find(span_str("a:b:c"), ':'), 1);
	assert_int_equal(span_rfind(span_str("a:b:c"), ':'), 3);
	assert_int_equal(span_find(span_str("abc"), ':'), 3);
	assert_int_equal(span_rfind(span_str("abc"), ':'), 3);
	assert_int_equal(span_rfind(span_str(""), ':'), 0);
	assert_int_not_equal(span_hash(span_str("a"), 0), span_hash(span_str("a"), 1));
}

/* Texts that differ in their last byte only spread over the whole hash, wherever a table cuts it.
 */
static void test_hash_spread(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		uint32_t seen[256] = { 0 }, used = 0;
		for (unsigned last = 0; last < 256; last++) {
			uint8_t bytes[] = { 10, 0, 0, (uint8_t)last };
			seen[span_hash(span_of(bytes, sizeof(bytes)), 0) >> shift & 0xff]++;
		}
		for (size_t i = 0; i < COUNT_OF(seen); i++)
			used += seen[i] > 0;
		assert_in_range(used, 130, 195); /* 256 balls into 256 urns: 162 on average */
	}
}

static void test_to_str(void **state)
{
	(void)state;
	char text[4] = "zzz";
	assert_true(span_to_str(span_str("abc"), text, sizeof(text)));
	assert_string_equal(text, "abc");
	assert_false(span_to_str(span_str("abcd"), text, sizeof(text)));
	assert_false(span_to_str(span_of("a\0b", 3), text, sizeof(text)));
	assert_string_equal(text, "abc");
	assert_true(span_to_str(span_of(NULL, 0), text, sizeof(text)));
	assert_string_equal(text, "");
	assert_false(span_to_str(span_of(NULL, 0), text, 0));
}

static void test_to_u64(void **state)
{
	(void)state;
	uint64_t value = 5;
	static const char *const bad[] = { "",
					   "-1",
					   "+1",
					   " 1",
					   "1 ",
					   "0x1",
					   "1a",
					   "18446744073709551616",
					   "99999999999999999999" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(span_to_u64(span_str(bad[i]), &value));
	assert_int_equal(value, 5);
	assert_true(span_to_u64(span_str("18446744073709551615"), &value));
	assert_true(value == UINT64_MAX);
	assert_true(span_to_u64(span_str("007"), &value));
	assert_int_equal(value, 7);
}

static void write_all(struct sink *sink)
{
	sink_u8(sink, 1);
	sink_u16(sink, 0x0203);
	sink_u32(sink, 0x04050607);
	sink_varint(sink, 300);
	sink_str(sink, "ab");
	sink_span(sink, span_str("c"));
	sink_bytes(sink, "d", 1);
	sink_patch_u32(sink, 3, 0x14151617);
}

static void test_sink(void **state)
{
	(void)state;
	static const uint8_t want[] = { 1,    2,    3,	 0x14, 0x15, 0x16, 0x17,
					0xac, 0x02, 'a', 'b',  'c',  'd' };
	for (size_t size = 0; size <= sizeof(want) + 1; size++) {
		uint8_t *room = malloc(size > 0 ? size : 1);
		struct sink sink = sink_of(room, size);
		write_all(&sink);
		assert_int_equal(sink.full, size < sizeof(want));
		if (!sink.full) {
			assert_int_equal(sink.len, sizeof(want));
			assert_memory_equal(room, want, sizeof(want));
		}
		sink_u8(&sink, 9); /* `full` latches, even if this byte would fit */
		assert_true(sink.len <= size);
		free(room);
	}
}

static void test_sink_printf(void **state)
{
	(void)state;
	char room[6];
	struct sink sink = sink_of(room, sizeof(room));
	sink_printf(&sink, "%s", "abc");
	assert_false(sink.full);
	assert_span(sink_written(&sink), "abc");
	sink_printf(&sink, "%d", 123); /* fits without its NUL only */
	assert_true(sink.full);
	assert_int_equal(sink.len, 3);
	struct sink none = sink_of(NULL, 0);
	sink_printf(&none, "x");
	assert_true(none.full);
}

static void test_trim(void **state)
{
	(void)state;
	assert_span(span_trim(span_str(" \t\r\n\v\fa b\tc \n")), "a b\tc");
	assert_span(span_trim(span_str("a")), "a");
	assert_int_equal(span_trim(span_str(" \n ")).len, 0);
	assert_int_equal(span_trim(span_of(NULL, 0)).len, 0);
	assert_span(span_trim(span_str("\x01 a")), "\x01 a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),	cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_varint),	cmocka_unit_test(test_varint_bad),
		cmocka_unit_test(test_compare), cmocka_unit_test(test_hash_spread),
		cmocka_unit_test(test_to_str),	cmocka_unit_test(test_to_u64),
		cmocka_unit_test(test_sink),	cmocka_unit_test(test_sink_printf),
		cmocka_unit_test(test_trim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
