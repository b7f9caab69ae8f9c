/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/proxy: both versions at every split, what the specification forbids, and that we read what
 * we write.
 */
#include "unit.h"

#include <penstock/wire/proxy.h>

struct row {
	const char *at;
	size_t len;
	const char *source, *destination; /* "-": none */
	bool is_local;
};
#define ROW(text, ...)                              \
	{                                           \
		text, sizeof(text) - 1, __VA_ARGS__ \
	}

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static const struct row good[] = {
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4242 6650\r\n", "192.0.2.1:4242", "192.0.2.2:6650",
	    false),
	ROW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
	    "255.255.255.255:65535", false),
	ROW("PROXY TCP6 2001:db8::1 2001:db8::2 0 6650\r\n", "[2001:db8::1]:0",
	    "[2001:db8::2]:6650", false),
	ROW("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n", "192.0.2.1:1", "[2001:db8::2]:2",
	    false),
	ROW("PROXY UNKNOWN\r\n", "-", "-", true),
	ROW("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "-", "-", true),
	ROW(V2 "\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19\xfa", "192.0.2.1:4242",
	    "192.0.2.2:6650", false),
	ROW(V2 "\x21\x11\0\x13\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19\xfa\x04\0\0\x01\0\x01x",
	    "192.0.2.1:4242", "192.0.2.2:6650", false),
	ROW(V2
	    "\x21\x21\0\x24 \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x01 \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
	    "\x10\x92\x19\xfa",
	    "[2001:db8::1]:4242", "[2001:db8::2]:6650", false),
	ROW(V2 "\x20\0\0\0", "-", "-", true),
	ROW(V2 "\x20\x11\0\x03"
	       "abc",
	    "-", "-", true),
	ROW(V2 "\x21\0\0\x02??", "-", "-", false), /* AF_UNSPEC */
	ROW(V2 "\x21\x12\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19\xfa", "-", "-",
	    false), /* UDP */
};

static const struct row bad[] = {
	ROW("GET / HTTP/1.1\r\n", NULL, NULL, false),
	ROW("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", NULL, NULL, false),
	ROW("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", NULL, NULL, false),
	ROW("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", NULL, NULL, false),
	ROW("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", NULL, NULL, false),
	ROW("PROXY TCP4\r\n", NULL, NULL, false),
	ROW("PROXY \r\n", NULL, NULL, false),
	ROW("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NULL, NULL, false),
	ROW("PROXY UNKNOWN\n", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx", NULL, NULL, false),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", NULL, NULL, false),
	ROW(V2 "\x11\x11\0\0", NULL, NULL, false), /* version 1 */
	ROW(V2 "\x22\x11\0\0", NULL, NULL, false), /* command 2 */
	ROW(V2 "\x21\x11\0\x0b\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19", NULL, NULL,
	    false),				   /* short */
	ROW(V2 "\x21\x41\0\0", NULL, NULL, false), /* family 4 */
	ROW(V2 "\x21\x13\0\0", NULL, NULL, false), /* transport 3 */
	ROW(V2 "\x21\x31\0\x04"
	       "abcd",
	    NULL, NULL, false), /* unix, short */
	ROW(V2 "\x21\x11\0\x0f\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19\xfa\x04\0\x01", NULL, NULL,
	    false), /* TLV overruns */
	ROW(V2 "\x21\x11\0\x0e\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19\xfa\x04\0", NULL, NULL,
	    false),
	ROW(V2 "\x21\x11\x08\x01", NULL, NULL, false), /* 2049 bytes */
};

static void assert_addr(const struct addr *addr, const char *want)
{
	char text[ADDR_TEXT_MAX];
	assert_string_equal(addr_format(addr, text), want);
}

static void read_good(const struct row *row)
{
	uint8_t *whole = malloc(row->len + 3);
	memcpy(whole, row->at, row->len);
	memcpy(whole + row->len, "abc", 3); /* what follows the header is not its business */
	for (size_t len = 0; len <= row->len + 3; len++) {
		struct proxy_header header = { 0 };
		uint8_t *copy = exact_copy(whole, len);
		size_t need = 99;
		enum wire res = proxy_read(span_of(copy, len), &header, &need);
		if (len > 0)
			assert_true(proxy_may_begin(span_of(copy, len)));
		if (len < row->len) {
			assert_int_equal(res, WIRE_MORE);
			assert_true(need > len && need <= row->len);
		} else {
			assert_int_equal(res, WIRE_OK);
			assert_int_equal(need, 0);
			assert_int_equal(header.size, row->len);
			assert_int_equal(header.is_local, row->is_local);
			assert_addr(&header.source, row->source);
			assert_addr(&header.destination, row->destination);
		}
		free(copy);
	}
	free(whole);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		read_good(&good[i]);
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct proxy_header header;
		size_t need = 99;
		enum wire res = WIRE_MORE;
		for (size_t len = 1; len <= bad[i].len; len++) {
			uint8_t *copy = exact_copy(bad[i].at, len);
			enum wire next = proxy_read(span_of(copy, len), &header, &need);
			assert_int_not_equal(next, WIRE_OK);
			assert_false(res == WIRE_BAD && next != WIRE_BAD); /* it stays bad */
			res = next;
			free(copy);
		}
		if (res != WIRE_BAD || need != 0)
			fail_msg("case %zu: %.40s", i, bad[i].at);
	}
}

static void test_first_byte(void **state)
{
	(void)state;
	struct proxy_header header;
	size_t need;
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t first = (uint8_t)byte;
		bool may = byte == 'P' || byte == '\r';
		assert_int_equal(proxy_may_begin(span_of(&first, 1)), may);
		assert_int_equal(proxy_read(span_of(&first, 1), &header, &need),
				 may ? WIRE_MORE : WIRE_BAD);
	}
	/* The longest line, and one byte more. */
	char line[200];
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(proxy_read(span_of(line, 107), &header, &need), WIRE_OK);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(proxy_read(span_of(line, 108), &header, &need), WIRE_BAD);
	assert_int_equal(proxy_read(span_of(line, 106), &header, &need), WIRE_MORE);
	assert_int_equal(proxy_read(span_of(line, 107), &header, &need), WIRE_BAD);
}

static void test_longest_v2(void **state)
{
	(void)state;
	static uint8_t bytes[PROXY_HEADER_MAX];
	struct proxy_header header;
	size_t need;
	memcpy(bytes, V2 "\x21\x11\x08\0\xc0\0\x02\x01\xc0\0\x02\x02\x10\x92\x19\xfa", 28);
	memcpy(bytes + 28, "\x04\x07\xf1", 3); /* one TLV fills it: 2048 - 12 - 3 */
	assert_int_equal(proxy_read(span_of(bytes, sizeof(bytes)), &header, &need), WIRE_OK);
	assert_int_equal(header.size, PROXY_HEADER_MAX);
	bytes[30] = 0xf2;
	assert_int_equal(proxy_read(span_of(bytes, sizeof(bytes)), &header, &need), WIRE_BAD);
}

typedef void write_fn(struct sink *sink, const struct addr *source, const struct addr *destination);

static void round_trip(write_fn *write, const char *source, const char *destination)
{
	uint8_t bytes[PROXY_WRITE_MAX];
	struct sink sink = sink_of(bytes, sizeof(bytes));
	struct addr from = { 0 }, to = { 0 };
	struct proxy_header header;
	size_t need;
	if (source != NULL)
		assert_true(addr_parse(span_str(source), &from));
	if (destination != NULL)
		assert_true(addr_parse(span_str(destination), &to));
	write(&sink, &from, &to);
	assert_false(sink.full);
	assert_int_equal(proxy_read(sink_written(&sink), &header, &need), WIRE_OK);
	assert_int_equal(header.size, sink.len);
	bool is_known = source != NULL && destination != NULL;
	assert_int_equal(header.is_local, !is_known);
	assert_addr(&header.source, is_known ? source : "-");
	assert_addr(&header.destination, is_known ? destination : "-");
}

static void test_write(void **state)
{
	(void)state;
	static write_fn *const writers[] = { proxy_write_v1, proxy_write_v2 };
	for (size_t i = 0; i < COUNT_OF(writers); i++) {
		round_trip(writers[i], "192.0.2.1:4242", "192.0.2.2:6650");
		round_trip(writers[i], "[2001:db8::1]:4242", "[2001:db8::2]:6650");
		round_trip(writers[i], "192.0.2.1:4242", "[2001:db8::2]:6650");
		round_trip(writers[i], "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
			   "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
		round_trip(writers[i], NULL, NULL);
		round_trip(writers[i], "192.0.2.1:4242", NULL);
	}
	char line[PROXY_WRITE_MAX];
	struct sink sink = sink_of(line, sizeof(line));
	struct addr from = addr_v4(0xc0000201, 4242), to = addr_v4(0xc0000202, 6650);
	proxy_write_v1(&sink, &from, &to);
	assert_span(sink_written(&sink), "PROXY TCP4 192.0.2.1 192.0.2.2 4242 6650\r\n");
	sink = sink_of(line, 10);
	proxy_write_v1(&sink, &from, &to);
	assert_true(sink.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_first_byte), cmocka_unit_test(test_longest_v2),
		cmocka_unit_test(test_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
