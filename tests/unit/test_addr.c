/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * addr: what is an address, what only looks like one, and what must never be dialled.
 */
#include "unit.h"

#include <arpa/inet.h>

#include <penstock/base/addr.h>

static struct addr ip(const char *text)
{
	struct addr addr;
	if (!addr_parse_ip(span_str(text), &addr))
		fail_msg("%s", text);
	return addr;
}

static void test_parse_ip(void **state)
{
	(void)state;
	static const char *const good[][2] = {
		{ "1.2.3.4", "1.2.3.4" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "::1", "::1" },
		{ "::", "::" },
		{ "2001:DB8::A", "2001:db8::a" },
		{ "2001:0db8:0:0:0:0:0:1", "2001:db8::1" },
		{ "::ffff:10.0.0.1", "10.0.0.1" },
		{ "::ffff:a00:1", "10.0.0.1" },
		{ "64:ff9b::7f00:1", "64:ff9b::7f00:1" },
	};
	char text[ADDR_TEXT_MAX];
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct addr addr = ip(good[i][0]);
		assert_string_equal(addr_format_ip(&addr, text), good[i][1]);
		assert_true(addr_is_ip_like(span_str(good[i][0])));
	}
	static const char *const bad[] = {
		"",	     "1.2.3",	   "1.2.3.4.5",	 "1.2.3.256",  "01.2.3.4",
		"1.2.3.04",  "1.2.3.4 ",   " 1.2.3.4",	 "1..3.4",     "1.2.3.",
		"127.1",     "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
		"1.2.3.4/8", "a.b.c.d",	   ":",		 ":::",	       "1:2:3:4:5:6:7:8:9",
		"::1%1",     "::1%lo",	   "[::1]",	 "12345::",    "::ffff:1.2.3.04",
		"1.2.3.-4",  "1.2.3.+4",   "localhost",
	};
	struct addr addr;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (addr_parse_ip(span_str(bad[i]), &addr))
			fail_msg("%s", bad[i]);
	}
	assert_false(addr_parse_ip(span_of("1.2.3.4\0", 8), &addr));
	assert_false(addr_parse_ip(span_of("::1\0", 4), &addr));
}

/* Every text over an alphabet that matters: what inet_aton takes, we call IP-like. */
static void test_ip_like_covers_inet_aton(void **state)
{
	(void)state;
	static const char letters[] = "0189x.aX";
	size_t base = sizeof(letters) - 1, hits = 0;
	for (size_t len = 1; len <= 6; len++) {
		size_t total = 1;
		for (size_t i = 0; i < len; i++)
			total *= base;
		for (size_t n = 0; n < total; n++) {
			char text[8] = "";
			struct in_addr in;
			size_t rest = n;
			for (size_t i = 0; i < len; i++, rest /= base)
				text[i] = letters[rest % base];
			if (inet_aton(text, &in) == 0)
				continue;
			hits++;
			if (!addr_is_ip_like(span_str(text)))
				fail_msg("%s", text);
		}
	}
	assert_true(hits > 1000);
	assert_true(addr_is_ip_like(span_str("127.0.0.1.")));
	assert_true(addr_is_ip_like(span_str("1.2.3.4.5")));
	assert_true(addr_is_ip_like(span_str("0x7f.1")));
	static const char *const names[] = { "",      "a",	    "localhost", "1a",
					     "b1.2c", "10.example", "0y1",	 "x" };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (addr_is_ip_like(span_str(names[i])))
			fail_msg("%s", names[i]);
	}
}

static void test_kind(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum addr_kind kind, embedded;
	} rows[] = {
		{ "10.0.0.1", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "0.0.0.0", ADDR_UNSPECIFIED, ADDR_UNSPECIFIED },
		{ "0.1.2.3", ADDR_UNSPECIFIED, ADDR_UNSPECIFIED },
		{ "127.0.0.1", ADDR_LOOPBACK, ADDR_LOOPBACK },
		{ "127.255.255.254", ADDR_LOOPBACK, ADDR_LOOPBACK },
		{ "126.255.255.255", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "128.0.0.0", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "169.254.169.254", ADDR_LINK_LOCAL, ADDR_LINK_LOCAL },
		{ "169.253.255.255", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "224.0.0.1", ADDR_MULTICAST, ADDR_MULTICAST },
		{ "240.0.0.1", ADDR_MULTICAST, ADDR_MULTICAST },
		{ "255.255.255.255", ADDR_MULTICAST, ADDR_MULTICAST },
		{ "223.255.255.255", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "100.100.100.200", ADDR_METADATA, ADDR_METADATA },
		{ "168.63.129.16", ADDR_METADATA, ADDR_METADATA },
		{ "::", ADDR_UNSPECIFIED, ADDR_UNSPECIFIED },
		{ "::1", ADDR_LOOPBACK, ADDR_LOOPBACK },
		{ "fe80::1", ADDR_LINK_LOCAL, ADDR_LINK_LOCAL },
		{ "febf::1", ADDR_LINK_LOCAL, ADDR_LINK_LOCAL },
		{ "fec0::1", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "ff02::1", ADDR_MULTICAST, ADDR_MULTICAST },
		{ "fd00:ec2::254", ADDR_METADATA, ADDR_METADATA },
		{ "fd20:ce::254", ADDR_METADATA, ADDR_METADATA },
		{ "fd00:ec2::253", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "2001:db8::1", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "::ffff:127.0.0.1", ADDR_LOOPBACK, ADDR_LOOPBACK },
		{ "::127.0.0.1", ADDR_GLOBAL, ADDR_LOOPBACK },
		{ "::ffff:0:127.0.0.1", ADDR_GLOBAL, ADDR_LOOPBACK },
		{ "64:ff9b::127.0.0.1", ADDR_GLOBAL, ADDR_LOOPBACK },
		{ "64:ff9b::169.254.169.254", ADDR_GLOBAL, ADDR_LINK_LOCAL },
		{ "64:ff9b:1::10.0.0.1", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "64:ff9b:1:ffff::127.0.0.1", ADDR_GLOBAL, ADDR_LOOPBACK },
		{ "64:ff9b::8.8.8.8", ADDR_GLOBAL, ADDR_GLOBAL },
		{ "2002:7f00:1::1", ADDR_GLOBAL, ADDR_LOOPBACK },
		{ "2002:a9fe:a9fe::", ADDR_GLOBAL, ADDR_LINK_LOCAL },
		{ "2002:808:808::", ADDR_GLOBAL, ADDR_GLOBAL },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct addr addr = ip(rows[i].text);
		if (addr_kind(&addr) != rows[i].kind ||
		    addr_kind_embedded(&addr) != rows[i].embedded)
			fail_msg("%s", rows[i].text);
	}
}

static void test_cidr(void **state)
{
	(void)state;
	static const struct {
		const char *cidr, *inside, *outside;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255", "11.0.0.0" },
		{ "10.1.2.3/8", "10.9.9.9", "9.255.255.255" },
		{ "192.168.4.0/23", "192.168.5.255", "192.168.6.0" },
		{ "192.0.2.1", "192.0.2.1", "192.0.2.2" },
		{ "192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.0" },
		{ "0.0.0.0/0", "8.8.8.8", "2001:db8::1" },
		{ "::/0", "2001:db8::1", "8.8.8.8" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
		{ "fe80::/10", "febf::1", "fec0::1" },
		{ "::1/128", "::1", "::2" },
		{ "::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1" },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct cidr cidr;
		struct addr inside = ip(rows[i].inside), outside = ip(rows[i].outside);
		if (!addr_parse_cidr(span_str(rows[i].cidr), &cidr) ||
		    !addr_in_cidr(&inside, &cidr) || addr_in_cidr(&outside, &cidr))
			fail_msg("%s", rows[i].cidr);
	}
	static const char *const bad[] = { "",	     "10.0.0.0/33",  "10.0.0.0/",    "10.0.0/8",
					   "::/129", "10.0.0.0/-1",  "10.0.0.0/8/8", "/8",
					   "a/8",    "10.0.0.0/08x", "10.0.0.0/ 8" };
	struct cidr cidr;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (addr_parse_cidr(span_str(bad[i]), &cidr))
			fail_msg("%s", bad[i]);
	}
}

static void test_split(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{ "a:1", "a", 1 },
		{ "broker-1.example.com:6650", "broker-1.example.com", 6650 },
		{ "1.2.3.4:65535", "1.2.3.4", 65535 },
		{ "[::1]:80", "::1", 80 },
		{ "[2001:db8::1]:6650", "2001:db8::1", 6650 },
	};
	struct span host;
	uint16_t port;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (!addr_split(span_str(good[i].text), &host, &port))
			fail_msg("%s", good[i].text);
		assert_span(host, good[i].host);
		assert_int_equal(port, good[i].port);
	}
	static const char *const bad[] = {
		"",	   ":",	      "a",	"a:",		":1",	    "a:0",	  "a:65536",
		"a:-1",	   "a:+1",    "a: 1",	"a:1 ",		"a:0x1",    "a:1a",	  "::1:80",
		"[::1:80", "::1]:80", "[a]:80", "[1.2.3.4]:80", "[]:80",    "a:1:2",	  "[::1]80",
		"[::1]",   "a]:1",    "a[:1",	"[[::1]]:80",	"a:000001", "[::1%1]:80", "[:]:1",
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (addr_split(span_str(bad[i]), &host, &port))
			fail_msg("%s", bad[i]);
	}
	struct addr addr;
	char text[ADDR_TEXT_MAX];
	assert_true(addr_parse(span_str("[2001:db8::1]:6650"), &addr));
	assert_string_equal(addr_format(&addr, text), "[2001:db8::1]:6650");
	assert_true(addr_parse(span_str("1.2.3.4:9"), &addr));
	assert_string_equal(addr_format(&addr, text), "1.2.3.4:9");
	assert_false(addr_parse(span_str("a:9"), &addr));
}

static void test_host(void **state)
{
	(void)state;
	char label[65], name[300];
	memset(label, 'a', 64);
	label[64] = '\0';
	static const char *const good[] = { "a",	"A-b.c_d.example",
					    "1a",	"10.0.0.1",
					    "::1",	"_x.y",
					    "3com.com", "xn--bcher-kva.example" };
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (!addr_is_host(span_str(good[i])))
			fail_msg("%s", good[i]);
	}
	static const char *const bad[] = { "",	  ".",	       "a..b",	".a",	      "a.",
					   "-a",  "a-",	       "a b",	"a@b",	      "a,b",
					   "a/b", "b\xc3\xbc", "127.1", "0x7f000001", "a\tb",
					   "a:b", "[::1]",     "a%b",	"a.-b" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (addr_is_host(span_str(bad[i])))
			fail_msg("%s", bad[i]);
	}
	assert_false(addr_is_host(span_of("a\0b", 3)));
	assert_false(addr_is_host(span_str(label)));
	assert_true(addr_is_host(span_of(label, 63)));
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_true(addr_is_host(span_of(name, 253)));
	assert_false(addr_is_host(span_of(name, 255)));
}

static void test_values(void **state)
{
	(void)state;
	struct addr a = addr_v4(0x01020304, 5), b = addr_v4(0x01020304, 6), none = { 0 };
	char text[ADDR_TEXT_MAX];
	assert_true(addr_is_v4(&a));
	assert_true(addr_equal_ip(&a, &b));
	assert_false(addr_equal(&a, &b));
	assert_int_not_equal(addr_hash(&a), addr_hash(&b));
	assert_false(addr_equal_ip(&a, &none));
	assert_string_equal(addr_format(&none, text), "-");
	struct addr longest = ip("fe80:1111:2222:3333:4444:5555:6666:7777");
	longest.scope = UINT32_MAX;
	longest.port = UINT16_MAX;
	assert_string_equal(addr_format(&longest, text),
			    "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_ip), cmocka_unit_test(test_ip_like_covers_inet_aton),
		cmocka_unit_test(test_kind),	 cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_split),	 cmocka_unit_test(test_host),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
