/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_peer_principal: what is taken from a subject, and what is not, beside what Java's
 * AuthenticationProviderTls would read.
 */
#include "unit.h"

#include <penstock/base/addr.h>
#include <penstock/tls/peer.h>

static void assert_principal(const char *common_name, const char *subject, const char *want)
{
	struct tls_peer peer = {
		.has_certificate = true,
		.common_name = span_str(common_name),
		.subject = span_str(subject),
	};
	struct span got = tls_peer_principal(&peer);

	if (got.len != strlen(want) || (got.len > 0 && memcmp(got.at, want, got.len) != 0))
		fail_msg("%s: '%.*s', and not '%s'", subject, (int)got.len, (const char *)got.at,
			 want);
	peer.has_certificate = false;
	assert_int_equal(tls_peer_principal(&peer).len, 0);
}

static void test_good(void **state)
{
	(void)state;
	assert_principal("alice", "CN=alice", "alice");
	assert_principal("alice", "CN=alice,OU=dev,O=acme", "alice");
	assert_principal("alice", "OU=dev,CN=alice,O=acme", "alice");
	assert_principal("alice", "CN=alice,CN=older", "alice");
	assert_principal("alice b", "CN=alice b,O=x\\, y", "alice b");
	assert_principal("*.clients.example.com", "CN=*.clients.example.com",
			 "*.clients.example.com");
	assert_principal("spiffe://east/x'(y)", "CN=spiffe://east/x'(y)", "spiffe://east/x'(y)");
	assert_principal("a@example.com", "emailAddress=a@b.c,CN=a@example.com", "a@example.com");
	/* What stands in a value is no name. */
	assert_principal("mallory", "O=x\\,CN=alice,CN=mallory", "mallory");
	assert_principal("mallory", "O=x\\\\,CN=mallory", "mallory");
}

static void test_bad(void **state)
{
	static const char *const names[] = {
		"a,b",	"a=b",	"a+b", "a<b", "a>b",  "a#b",  "#a",	  "a;b",
		"a\"b", "a\\b", " a",  "a ",  "a\nb", "\x7f", "\xc3\xa4", "",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char subject[64] = "CN=";

		assert_principal(names[i], strcat(subject, names[i]), "");
	}
	assert_principal("alice", "", "");
	assert_principal("alice", "O=acme", "");
	assert_principal("alice", "CN=alice+OU=dev", "");
	assert_principal("alice", "OU=dev+CN=alice", "");
	assert_principal("alice", "CN=mallory,CN=alice", "");
	assert_principal("alice", "O=x\\,CN=alice", "");
	assert_principal("alice", "O=x\\\\\\,CN=alice", "");
	assert_principal("alice", "cn=alice", "");
	assert_principal("alice", "CN=alic", "");
}

static void test_long(void **state)
{
	char name[HOST_MAX + 1], subject[HOST_MAX + 4] = "CN=";

	(void)state;
	memset(name, 'x', sizeof(name));
	name[HOST_MAX - 1] = '\0';
	assert_principal(name, strcat(subject, name), name);
	name[HOST_MAX - 1] = 'x';
	name[HOST_MAX] = '\0';
	subject[3] = '\0';
	assert_principal(name, strcat(subject, name), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
