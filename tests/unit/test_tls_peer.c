/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_peer: whom rules about certificates let in, and whom they do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <penstock/tls/peer.h>

static struct tls_peer peer_of(const char *common_name)
{
	struct tls_peer peer = { .has_certificate = true, .common_name = span_str(common_name) };

	return peer;
}

static void add(struct tls_peer *peer, enum tls_name_kind kind, const char *text)
{
	peer->names[peer->name_count].kind = kind;
	peer->names[peer->name_count++].text = span_str(text);
}

static bool is_let_in(const struct tls_peer *peer, const char *rule)
{
	const char *rules[] = { "cn:somebody-else", rule };
	const struct config_names names = { .at = rules, .count = 2 };

	return tls_peer_is_one_of(peer, &names);
}

static void test_names(void **state)
{
	struct tls_peer peer = peer_of("client-1");

	(void)state;
	peer.units[peer.unit_count++] = span_str("Order Service");
	peer.units[peer.unit_count++] = span_str("east");
	add(&peer, TLS_NAME_DNS, "a.clients.example.com");
	add(&peer, TLS_NAME_URI, "spiffe://east/ns/orders");
	add(&peer, TLS_NAME_EMAIL, "ops@example.com");
	add(&peer, TLS_NAME_IP, "10.1.2.3");
	static const char *const good[] = {
		"cn:client-1",
		"cn:client-*",
		"cn:*",
		"ou:Order Service",
		"ou:Order S*",
		"ou:east",
		"dns:a.clients.example.com",
		"dns:*.clients.example.com",
		"dns:**.example.com",
		"dns:*",
		"uri:spiffe://east/ns/orders",
		"uri:spiffe://east/*",
		"email:ops@example.com",
		"ip:10.1.2.3",
		"ip:10.1.*",
	};
	static const char *const bad[] = {
		"cn:client",
		"cn:client-11",
		"cn:Client-1",
		"cn:east",
		"ou:client-1",
		"ou:Order",
		"ou:order service",
		"dns:east",
		"ou:spiffe://east/*",
		"dns:client-1",
		"dns:*.example.com",
		"dns:clients.example.com",
		"uri:spiffe://east/ns",
		"uri:spiffe://west/*",
		"email:example.com",
		"ip:10.1.2.30",
		"client-1",
		"",
		"uri:a.clients.example.com",
		"cn:",
	};

	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (!is_let_in(&peer, good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (is_let_in(&peer, bad[i]))
			fail_msg("%s", bad[i]);
}

static void test_nobody(void **state)
{
	struct tls_peer none = { .has_certificate = false };
	struct tls_peer nameless = { .has_certificate = true };

	(void)state;
	assert_false(is_let_in(&none, "cn:*"));
	assert_false(is_let_in(&nameless, "cn:*"));
	assert_false(is_let_in(&nameless, "ou:*"));
	assert_false(is_let_in(&nameless, "dns:*"));
}

static void test_rules(void **state)
{
	(void)state;
	assert_true(tls_peer_rule_is_good("cn:x"));
	assert_true(tls_peer_rule_is_good("uri:*"));
	assert_false(tls_peer_rule_is_good("x"));
	assert_false(tls_peer_rule_is_good("cn:"));
	assert_false(tls_peer_rule_is_good("CN=x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
