/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The small readers below the configuration: durations, sizes, nearest words, Java properties, and
 * address ranges as networks.
 */
#include "../../src/config/config_proxy.h"
#include "config_help.h"

/* ---- durations and sizes --------------------------------------------------------------------- */

static char *printed(void print(FILE *, uint64_t), uint64_t value)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(out, value);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "1us", 1000 },
		{ "250ms", 250 * NS_PER_MS },
		{ "10s", 10 * NS_PER_S },
		{ "5m", 300 * NS_PER_S },
		{ "2h", 7200 * NS_PER_S },
		{ "3d", 3 * 86400 * NS_PER_S },
		{ "0s", 0 },
		{ "007s", 7 * NS_PER_S },
		{ "1500ms", 3 * NS_PER_S / 2 },
	};
	static const char *const bad[] = { "",
					   "s",
					   "1",
					   "1S",
					   "1 s",
					   "-1s",
					   "1.5s",
					   "1e3s",
					   "1ns",
					   "1m30s",
					   "+1s",
					   "1sec",
					   "18446744073709551615s",
					   "18446744073709551616us" };
	uint64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(config_duration_parse(span_str(good[i].text), &ns));
		assert_true(ns == good[i].ns);
		char *text = printed(config_duration_print, ns);
		uint64_t again = 1;

		assert_true(config_duration_parse(span_str(text), &again));
		assert_true(again == ns);
		free(text);
	}
	ns = 77;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(config_duration_parse(span_str(bad[i]), &ns));
	assert_int_equal(ns, 77);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "0B", 0 },
		     { "1B", 1 },
		     { "64KiB", 65536 },
		     { "1MiB", 1 << 20 },
		     { "3GiB", 3ull << 30 },
		     { "1025B", 1025 } };
	static const char *const bad[] = { "",
					   "1",
					   "KiB",
					   "1KB",
					   "1kib",
					   "1 KiB",
					   "1K",
					   "-1B",
					   "1.5MiB",
					   "99999999999999999999B",
					   "17179869184GiB" };
	uint64_t bytes = 77;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(config_size_parse(span_str(good[i].text), &bytes));
		assert_true(bytes == good[i].bytes);
		char *text = printed(config_size_print, bytes);

		assert_string_equal(text, good[i].text);
		free(text);
	}
	bytes = 77;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(config_size_parse(span_str(bad[i]), &bytes));
	assert_int_equal(bytes, 77);
}

/* ---- nearest words --------------------------------------------------------------------------- */

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		uint32_t steps;
	} rows[] = {
		{ "", "", 0 },
		{ "a", "", 1 },
		{ "", "abc", 3 },
		{ "abc", "abc", 0 },
		{ "abc", "acb", 1 },
		{ "abc", "ab", 1 },
		{ "kitten", "sitting", 3 },
		{ "conections", "connections", 1 },
		{ "ca", "abc", 3 },
		{ "esat", "east", 1 },
	};
	char longest[80];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct span a = span_str(rows[i].a), b = span_str(rows[i].b);

		assert_int_equal(config_distance(a, b, 10), rows[i].steps);
		assert_int_equal(config_distance(b, a, 10), rows[i].steps);
		if (rows[i].steps > 0)
			assert_int_equal(config_distance(a, b, rows[i].steps - 1), rows[i].steps);
	}
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(config_distance(span_of(longest, 80), span_str("a"), 5), 6);
	assert_int_equal(config_distance(span_of(longest, 64), span_of(longest, 63), 5), 1);
	assert_null(config_nearer("qqqqqq", NULL, "limits"));
	assert_string_equal(config_nearer("limit", NULL, "limits"), "limits");
	assert_string_equal(config_nearer("limit", "limits", "lists"), "limits");
	assert_string_equal(config_nearer("lists", "limits", "lists"), "lists");
}

static void test_show(void **state)
{
	char text[16];

	(void)state;
	assert_string_equal(config_show(span_str("a\033[1mb"), text, sizeof(text)), "a?[1mb");
	assert_string_equal(config_show(span_str("aaaaaaaaaaaaaaaaaaaa"), text, sizeof(text)),
			    "aaaaaaaaaaaa...");
	assert_string_equal(config_show(span_of("a\0b", 3), text, sizeof(text)), "a?b");
}

/* ---- Java properties ------------------------------------------------------------------------- */

static void on_property(void *context, struct span key, struct span value, uint32_t line)
{
	FILE *out = context;

	fprintf(out, "%u<%.*s><%.*s>", line, key.at == NULL ? 1 : (int)key.len,
		key.at == NULL ? "!" : (const char *)key.at, (int)value.len,
		(const char *)value.at);
}

static char *properties(const char *bytes, size_t len)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	uint8_t *copy = malloc(len + 1); /* an exact copy, so that ASan sees every overrun */

	assert_non_null(out);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	config_properties_read(span_of(copy, len), on_property, out);
	free(copy);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_properties(void **state)
{
	/* The examples of java.util.Properties.load, and the corners beside them. */
	static const char *const rows[][2] = {
		{ "", "" },
		{ "\n \n\t\n", "" },
		{ "Truth = Beauty\n", "1<Truth><Beauty>" },
		{ " Truth:Beauty", "1<Truth><Beauty>" },
		{ "Truth\t\t\t:Beauty", "1<Truth><Beauty>" },
		{ "fruits   apple, banana, pear, \\\n    cantaloupe, \\\n    kiwi\nx=1",
		  "1<fruits><apple, banana, pear, cantaloupe, kiwi>4<x><1>" },
		{ "cheeses\n", "1<cheeses><>" },
		{ "a=", "1<a><>" },
		{ "=b", "1<><b>" },
		{ "a==b", "1<a><=b>" },
		{ "a = : b", "1<a><: b>" },
		{ "a b=c", "1<a><b=c>" },
		{ "\\:\\=", "1<:=><>" },
		{ "a\\ b=c", "1<a b><c>" },
		{ "a=b\\", "1<a><b>" },
		{ "a=b\\\\\nc=d", "1<a><b\\>2<c><d>" },
		{ "a=b\\\\\\\nc=d", "1<a><b\\c=d>" },
		{ "#a=b\n!c=d\ne=f", "3<e><f>" },
		{ "a=1\\\n#2\n", "1<a><1#2>" },
		{ "#c \\\na=b", "2<a><b>" },
		{ "a=1\r\nb=2\rc=3\n\rd=4", "1<a><1>2<b><2>3<c><3>5<d><4>" },
		{ "a=1\\\r\n  2", "1<a><12>" },
		{ "a=\\t\\n\\r\\f|\\z\\\"", "1<a><|z\">" },
		{ "a=x\\ty", "1<a><x\ty>" },
		{ "a=\\u0041\\u00e9\\u20AC\\ud83d\\ude00",
		  "1<a><A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80>" },
		{ "a=\\ud83d.", "1<a><\xef\xbf\xbd.>" },
		{ "a=\\u12\nb=1", "1<!><a>2<b><1>" },
		{ "a=\\u0000", "1<!><a>" },
		{ "a\\u00zz=1", "1<!><a\\u00zz>" },
		{ "a=\xc3\xa9", "1<a><\xc3\xa9>" },
		{ "a=\xe9", "1<a><\xc3\xa9>" },
		{ "a=\\\xe9\\\xc3\xa9", "1<a><\xc3\xa9\xc3\x83\xc2\xa9>" },
		{ "a=  b  ", "1<a><b>" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char *text = properties(rows[i][0], strlen(rows[i][0]));

		if (strcmp(text, rows[i][1]) != 0)
			print_error("%s\n", rows[i][0]);
		assert_string_equal(text, rows[i][1]);
		free(text);
	}
	/* Cut off anywhere. */
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (size_t len = 0; len < strlen(rows[i][0]); len++)
			free(properties(rows[i][0], len));
}

/* ---- address ranges -------------------------------------------------------------------------- */

static void test_networks(void **state)
{
	static const char *const good[][2] = {
		{ "*", "0.0.0.0/0,::/0" },
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "10.0.0.1", "10.0.0.1" },
		{ "::1", "::1" },
		{ "10.0.0.0/255.0.0.0", "10.0.0.0/8" },
		{ "10.1.2.3/255.255.255.255", "10.1.2.3/32" },
		{ "10.1.2.3/0.0.0.0", "0.0.0.0/0" },
		{ "10.1.*", "10.1.0.0/16" },
		{ "10.1.*.*", "10.1.0.0/16" },
		{ "10.1.2.*", "10.1.2.0/24" },
		{ "*.*.*.*", "0.0.0.0/0" },
		{ "10.0-15.*.*", "10.0.0.0/12" },
		{ "10.1-2.*.*", "10.1.0.0/16,10.2.0.0/16" },
		{ "10.0.0.4-7", "10.0.0.4/30" },
		{ "0.0.0.0-255.255.255.255", "0.0.0.0/0" },
		{ "10.0.0.1-10.0.0.1", "10.0.0.1/32" },
		{ "255.255.255.254-255.255.255.255", "255.255.255.254/31" },
		{ "10.0.0.255-10.0.1.0", "10.0.0.255/32,10.0.1.0/32" },
	};
	static const char *const bad[] = {
		"",	      "x",	    "10.0.0.0/33", "10.*.1",
		"10.0.0",     "10.0.0.256", "10.0.0.9-4",  "1.2.3.4.5",
		"10.1-2.3.4", "1.2.3.4-",   "-1.2.3.4",	   "10..1.*",
		"*.1",	      "1.2.3.4/",   "/8",	   "fd00::1-fd00::2"
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct sink list = sink_of(text, sizeof(text) - 1);

		assert_true(config_proxy_networks(span_str(good[i][0]), &list));
		text[list.len] = '\0';
		assert_string_equal(text, good[i][1]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct sink list = sink_of(text, sizeof(text));

		if (config_proxy_networks(span_str(bad[i]), &list))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(list.len, 0);
	}
}

/* The networks of a range hold exactly its addresses. */
static void test_ranges(void **state)
{
	(void)state;
	for (uint32_t low = 0; low < 64; low++) {
		for (uint32_t high = low; high < 64; high++) {
			char range[40], text[400];
			struct sink list = sink_of(text, sizeof(text) - 1);
			uint64_t seen = 0;

			snprintf(range, sizeof(range), "10.0.0.%u-10.0.0.%u", low, high);
			assert_true(config_proxy_networks(span_str(range), &list));
			assert_false(list.full);
			struct span rest = sink_written(&list);

			for (;;) {
				size_t len = span_find(rest, ',');
				struct cidr cidr;

				assert_true(addr_parse_cidr(span_of(rest.at, len), &cidr));
				for (uint32_t i = 0; i < 64; i++) {
					struct addr addr = addr_v4(0x0a000000 + i, 0);

					if (!addr_in_cidr(&addr, &cidr))
						continue;
					assert_false(seen >> i & 1);
					seen |= 1ull << i;
				}
				if (len == rest.len)
					break;
				rest = span_of(rest.at + len + 1, rest.len - len - 1);
			}
			for (uint32_t i = 0; i < 64; i++)
				assert_int_equal(seen >> i & 1, i >= low && i <= high);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),  cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_distance),   cmocka_unit_test(test_show),
		cmocka_unit_test(test_properties), cmocka_unit_test(test_networks),
		cmocka_unit_test(test_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
