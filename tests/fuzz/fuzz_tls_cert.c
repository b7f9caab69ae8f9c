/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What certificates say and what is made of it: any DER as a certificate, its names, and access
 * rules about them. The signature is not looked at (wolfSSL has done so before), so that mutations
 * reach every name. The input ends with a rule behind a NUL, if it has one.
 */
#include "fuzz.h"

#include "../../src/tls/tls_priv.h"

#include <penstock/tls/peer.h>

#define STORE_BYTES 4096

static bool is_in(const struct sink *store, struct span text)
{
	return text.len == 0 ||
	       (text.at >= store->at && text.at + text.len <= store->at + store->len);
}

static bool matches(const struct tls_peer *peer, const char *kind, struct span text,
		    const char *end)
{
	char rule[STORE_BYTES + 16];
	struct sink sink = sink_of(rule, sizeof(rule));
	const char *at = rule;
	const struct config_names rules = { .at = &at, .count = 1 };

	sink_bytes(&sink, kind, strlen(kind));
	sink_span(&sink, text);
	sink_bytes(&sink, end, strlen(end) + 1);
	CHECK(!sink.full);
	return tls_peer_is_one_of(peer, &rules);
}

static void check_name(const struct tls_peer *peer, const struct tls_peer_name *name,
		       struct span der)
{
	static const char *const kinds[] = { "dns:", "ip:", "uri:", "email:" };
	char host[HOST_MAX];
	struct addr addr;

	CHECK(name->text.len > 0 && memchr(name->text.at, 0, name->text.len) == NULL);
	/* A name matches itself; what ends with a `*` matches as a pattern. */
	if (name->kind != TLS_NAME_DNS)
		CHECK(matches(peer, kinds[name->kind], name->text, "") &&
		      matches(peer, kinds[name->kind], name->text, "*"));
	else if (addr_is_host(name->text))
		CHECK(matches(peer, "dns:", name->text, "") &&
		      matches(peer, "dns:*", span_of("", 0), ""));
	if (name->kind == TLS_NAME_IP)
		CHECK(addr_parse_ip(name->text, &addr));
	/* And the certificate is for it. */
	if (name->text.len < HOST_MAX && span_to_str(name->text, host, sizeof(host)) &&
	    (name->kind == TLS_NAME_IP || (name->kind == TLS_NAME_DNS && addr_is_host(name->text) &&
					   !addr_parse_ip(name->text, &addr))))
		CHECK(tls_cert_is_for(der, host));
}

static void check_units(const struct tls_peer *peer)
{
	for (uint32_t i = 0; i < peer->unit_count; i++)
		CHECK(matches(peer, "ou:", peer->units[i], "") &&
		      matches(peer, "ou:", peer->units[i], "*"));
}

static void check_rule(const struct tls_peer *peer, const char *rule)
{
	const struct config_names rules = { .at = &rule, .count = 1 };
	const struct tls_peer nobody = { .has_certificate = false };

	if (tls_peer_is_one_of(peer, &rules))
		CHECK(tls_peer_rule_is_good(rule) || strchr(rule, ':') != NULL);
	CHECK(!tls_peer_is_one_of(&nobody, &rules));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t store_bytes[STORE_BYTES], name_bytes[1 << 16];
	struct span der = span_of(data, size);
	struct sink store = sink_of(store_bytes, sizeof(store_bytes));
	struct sink names =
		sink_of(name_bytes, size < sizeof(name_bytes) ? size : sizeof(name_bytes));
	char rule[300] = "";
	struct tls_peer peer;
	size_t tail = 0;

	while (tail < size && tail < sizeof(rule) - 1 && data[size - 1 - tail] != 0)
		tail++;
	memcpy(rule, data + size - tail, tail);
	uint32_t count = tls_cert_dns_names(der, &names);

	/* A sink of the certificate's size will do. */
	CHECK(size > sizeof(name_bytes) || !names.full);
	if (!tls_cert_peer(der, &peer, &store)) {
		CHECK(count == 0 && !tls_cert_is_for(der, "h"));
		return 0;
	}
	CHECK(peer.has_certificate && !store.full && peer.name_count <= TLS_PEER_NAMES);
	CHECK(is_in(&store, peer.subject) && is_in(&store, peer.common_name));
	uint32_t dns = 0;
	for (uint32_t i = 0; i < peer.name_count; i++) {
		CHECK(is_in(&store, peer.names[i].text));
		check_name(&peer, &peer.names[i], der);
		dns += peer.names[i].kind == TLS_NAME_DNS;
	}
	CHECK(dns <= count);
	if (peer.common_name.len > 0)
		CHECK(matches(&peer, "cn:", peer.common_name, ""));
	for (uint32_t i = 0; i < peer.unit_count; i++)
		CHECK(is_in(&store, peer.units[i]));
	check_units(&peer);
	check_rule(&peer, rule);
	return 0;
}
