/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route/sni: who wins, what is captured, what is no pattern; and that the table answers what trying
 * all patterns one by one would, for many tables and names.
 */
#include "unit.h"

#include <penstock/base/rng.h>
#include <penstock/route.h>
#include <penstock/route/sni.h>

#define PATTERNS_MOST 64

/* The values are the places in `patterns`. */
static struct route_sni *make_table(const char *const *patterns, uint32_t count)
{
	size_t text_size = 0;
	for (uint32_t i = 0; i < count; i++)
		text_size += strlen(patterns[i]);
	size_t size = route_sni_size(count, text_size);
	void *at = malloc(size);
	assert_non_null(at);
	memset(at, 0xa5, size);
	struct route_sni *sni = route_sni_init(at, count, text_size);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t value = UINT32_MAX;
		enum route_sni_put put = route_sni_put(sni, span_str(patterns[i]), i, &value);
		assert_int_not_equal(put, ROUTE_SNI_BAD);
		assert_true(put == ROUTE_SNI_DONE ? value == i : value < i);
	}
	return sni;
}

/* ---- who wins ------------------------------------------------------------------------------- */

static const char *const usual[] = {
	"broker-1.example.com",	   /* 0 */
	"*.example.com",	   /* 1 */
	"**.example.com",	   /* 2 */
	"*.east.example.com",	   /* 3 */
	"**.internal",		   /* 4 */
	"Mixed.Case.Example.ORG",  /* 5 */
	"dotted.example.net.",	   /* 6 */
	"*.xn--bcher-kva.example", /* 7 */
	"single",		   /* 8 */
	"example.com",		   /* 9 */
	"**.a.b.c.d.e.f",	   /* 10 */
};

static const struct {
	const char *name;
	int32_t value; /* -1: none */
	const char *capture;
} finds[] = {
	{ "broker-1.example.com", 0, "" },
	{ "BROKER-1.EXAMPLE.COM", 0, "" },
	{ "broker-1.example.com.", 0, "" },
	{ "broker-1.example.com..", -1, "" },
	{ "broker-2.example.com", 1, "broker-2" },
	{ "Broker-2.Example.com.", 1, "Broker-2" },
	{ "x.broker-1.example.com", 2, "x.broker-1" },
	{ "a.b.c.example.com", 2, "a.b.c" },
	{ "example.com", 9, "" },
	{ "b1.east.example.com", 3, "b1" },
	{ "east.example.com", 1, "east" },
	{ "a.b1.east.example.com", 2, "a.b1.east" },
	{ "a.internal", 4, "a" },
	{ "a.b.internal", 4, "a.b" },
	{ "internal", -1, "" },
	{ "mixed.case.example.org", 5, "" },
	{ "dotted.example.net", 6, "" },
	{ "dotted.example.net.", 6, "" },
	{ "a.xn--bcher-kva.example", 7, "a" },
	{ "a.XN--BCHER-KVA.example", 7, "a" },
	{ "xn--bcher-kva.example", -1, "" },
	{ "single", 8, "" },
	{ "a.single", -1, "" },
	{ "x.a.b.c.d.e.f", 10, "x" },
	{ "a.b.c.d.e.f", -1, "" },
	/* Suffixes are whole labels, to the end of the name (ATS 92693e8eb6). */
	{ "evil-example.com", -1, "" },
	{ "evilexample.com", -1, "" },
	{ "a.example.com.evil.net", -1, "" },
	{ "broker-1.example.com.evil.net", -1, "" },
	{ "com", -1, "" },
	/* No names. */
	{ "", -1, "" },
	{ ".", -1, "" },
	{ ".example.com", -1, "" },
	{ "a..example.com", -1, "" },
	{ "*.example.com", -1, "" },
	{ "b\xc3\xbc"
	  "cher.example.com",
	  -1, "" },
	{ "a b.example.com", -1, "" },
	{ "10.0.0.1", -1, "" },
	{ "2001:db8::1", -1, "" },
};

static void check_find(const struct route_sni *sni, const char *name, int32_t value,
		       const char *capture)
{
	struct route_sni_match match;
	uint8_t *copy = exact_copy(name, strlen(name));
	bool is_found = route_sni_find(sni, span_of(copy, strlen(name)), &match);
	if (is_found != (value >= 0) || (is_found && match.value != (uint32_t)value))
		fail_msg("%s: %d", name, is_found ? (int)match.value : -1);
	if (is_found)
		assert_span(match.capture, capture);
	free(copy);
}

static void test_find(void **state)
{
	(void)state;
	struct route_sni *sni = make_table(usual, COUNT_OF(usual));
	for (size_t i = 0; i < COUNT_OF(finds); i++)
		check_find(sni, finds[i].name, finds[i].value, finds[i].capture);
	free(sni);
}

static void test_any(void **state)
{
	(void)state;
	static const char *const patterns[] = { "*", "**.example.com", "a" };
	struct route_sni *sni = make_table(patterns, COUNT_OF(patterns));
	check_find(sni, "a", 2, "");
	check_find(sni, "b", 0, "b");
	check_find(sni, "example.com", 0, "example.com");
	check_find(sni, "b.example.com", 1, "b");
	check_find(sni, "B.Example.org.", 0, "B.Example.org");
	/* An address is no name, and neither is what merely looks like one to inet_aton. */
	check_find(sni, "10.0.0.1", -1, "");
	check_find(sni, "10.0.0.1.", -1, "");
	check_find(sni, "127.1", -1, "");
	check_find(sni, "0x7f000001", -1, "");
	check_find(sni, "::1", -1, "");
	check_find(sni, "a..b", -1, "");
	free(sni);
}

static void test_empty(void **state)
{
	(void)state;
	struct route_sni *sni = make_table(NULL, 0);
	check_find(sni, "a", -1, "");
	check_find(sni, "a.example.com", -1, "");
	free(sni);
}

static void test_longest(void **state)
{
	(void)state;
	char name[254] = "", suffix[256] = "*.";
	for (size_t i = 0; i < 253; i++)
		name[i] = i % 2 == 1 ? '.' : 'a';
	memcpy(suffix + 2, name + 2, 252);
	const char *const patterns[] = { name };
	const char *const wild[] = { suffix };
	struct route_sni *sni = make_table(patterns, 1);
	check_find(sni, name, 0, "");
	check_find(sni, name + 2, -1, "");
	free(sni);
	sni = make_table(wild, 1);
	check_find(sni, name, 0, "a");
	free(sni);
}

/* ---- patterns ------------------------------------------------------------------------------- */

static void test_put(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		".",
		"*.",
		"**.",
		"**",
		"***.example.com",
		"a.*.com",
		"*a.example",
		"a*",
		"*.*.com",
		"**.*.com",
		"*.**.com",
		"a..b",
		".a",
		"*..a",
		"a.b..",
		"10.0.0.1",
		"*.0.0.1",
		"2001:db8::",
		"a b.example",
		"a.example:1",
		"b\303\274cher",
		"-a.example",
		"*.10.0.0.1",
	};
	uint64_t block[64];
	assert_true(route_sni_size(5, 100) <= sizeof(block));
	struct route_sni *sni = route_sni_init(block, 5, 100);
	uint32_t value = 77;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (route_sni_put(sni, span_str(bad[i]), 1, &value) != ROUTE_SNI_BAD)
			fail_msg("\"%s\" is no pattern", bad[i]);
		assert_int_equal(value, 77);
	}
	assert_int_equal(route_sni_put(sni, span_str("A.example"), 1, &value), ROUTE_SNI_DONE);
	assert_int_equal(route_sni_put(sni, span_str("*.a.example"), 2, &value), ROUTE_SNI_DONE);
	assert_int_equal(route_sni_put(sni, span_str("**.a.example"), 3, &value), ROUTE_SNI_DONE);
	assert_int_equal(route_sni_put(sni, span_str("*"), 4, &value), ROUTE_SNI_DONE);
	assert_int_equal(value, 4);
	assert_int_equal(route_sni_put(sni, span_str("a.EXAMPLE."), 9, &value), ROUTE_SNI_TAKEN);
	assert_int_equal(value, 1);
	assert_int_equal(route_sni_put(sni, span_str("*.A.example"), 9, &value), ROUTE_SNI_TAKEN);
	assert_int_equal(value, 2);
	assert_int_equal(route_sni_put(sni, span_str("*"), 9, &value), ROUTE_SNI_TAKEN);
	assert_int_equal(value, 4);
	check_find(sni, "a.example", 1, "");
	check_find(sni, "x.a.example", 2, "x");
	check_find(sni, "x.y.a.example", 3, "x.y");
}

/* The block holds no pointers. */
static void test_copy(void **state)
{
	(void)state;
	size_t text_size = 0;
	for (size_t i = 0; i < COUNT_OF(usual); i++)
		text_size += strlen(usual[i]);
	struct route_sni *sni = make_table(usual, COUNT_OF(usual));
	void *copy = exact_copy(sni, route_sni_size(COUNT_OF(usual), text_size));
	memset(sni, 0xa5, route_sni_size(COUNT_OF(usual), text_size));
	free(sni);
	for (size_t i = 0; i < COUNT_OF(finds); i++)
		check_find(copy, finds[i].name, finds[i].value, finds[i].capture);
	free(copy);
}

/* ---- against one pattern at a time ---------------------------------------------------------- */

static void random_name(struct rng *rng, size_t labels, char *ret_name)
{
	for (size_t i = 0; i < labels; i++) {
		*ret_name++ = (char)("abAB"[rng_below(rng, 4)]);
		*ret_name++ = i + 1 < labels ? '.' : '\0';
	}
}

/* Exact before all; then the longest suffix; `*.` before `**.`; `*` last. */
static int rank_of(const char *pattern)
{
	int length = (int)strlen(pattern);
	if (pattern[0] != '*')
		return 1000;
	if (pattern[1] == '\0')
		return 0;
	return pattern[1] == '*' ? 2 * (length - 3) : 2 * (length - 2) + 1;
}

static int32_t find_slowly(char (*patterns)[32], uint32_t count, const char *name)
{
	int32_t best = -1;
	for (uint32_t i = 0; i < count; i++) {
		if (!route_host_matches(span_str(name), patterns[i]))
			continue;
		if (best < 0 || rank_of(patterns[i]) > rank_of(patterns[best]))
			best = (int32_t)i;
	}
	return best;
}

static void check_table(struct rng *rng, uint32_t count)
{
	static const char *const wildcards[] = { "", "*.", "**." };
	char patterns[PATTERNS_MOST][32], name[32];
	const char *list[PATTERNS_MOST];
	struct route_sni_match match;
	for (uint32_t i = 0; i < count; i++) {
		const char *wildcard = wildcards[rng_below(rng, 3)];
		size_t len = strlen(wildcard);
		memcpy(patterns[i], wildcard, len);
		random_name(rng, 1 + rng_below(rng, 4), patterns[i] + len);
		list[i] = patterns[i];
	}
	if (rng_below(rng, 4) == 0)
		memcpy(patterns[rng_below(rng, count)], "*", 2);
	struct route_sni *sni = make_table(list, count);
	for (int i = 0; i < 200; i++) {
		random_name(rng, 1 + rng_below(rng, 6), name);
		bool is_found = route_sni_find(sni, span_str(name), &match);
		int32_t slow = find_slowly(patterns, count, name);
		if ((is_found ? (int32_t)match.value : -1) != slow)
			fail_msg("%s: %d instead of %d", name, is_found ? (int)match.value : -1,
				 (int)slow);
	}
	free(sni);
}

static void test_same_as_slowly(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 20261121);
	for (int i = 0; i < 300; i++)
		check_table(&rng, 1 + (uint32_t)rng_below(&rng, PATTERNS_MOST));
}

/* ---- captures ------------------------------------------------------------------------------- */

static void check_expand(const char *text, const char *capture, const char *want)
{
	char bytes[64];
	struct sink sink = sink_of(bytes, sizeof(bytes));
	route_sni_expand(&sink, span_str(text), span_str(capture));
	assert_false(sink.full);
	assert_span(sink_written(&sink), want);
}

static void test_expand(void **state)
{
	(void)state;
	check_expand("{1}.internal:6651", "broker-1", "broker-1.internal:6651");
	check_expand("{1}.{1}:1", "a", "a.a:1");
	check_expand("10.0.0.1:6651", "a", "10.0.0.1:6651");
	check_expand("{1}", "{1}", "{1}");
	check_expand("{{1}}{2}{1", "x", "{x}{2}{1");
	check_expand("{1}x", "", "x");
	char small[4];
	struct sink sink = sink_of(small, sizeof(small));
	route_sni_expand(&sink, span_str("{1}"), span_str("abcde"));
	assert_true(sink.full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_same_as_slowly),
		cmocka_unit_test(test_expand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
