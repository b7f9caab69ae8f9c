/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_peer: who a certificate belongs to, held against the names a listener lets in.
 */
#include <penstock/route.h>
#include <penstock/tls/peer.h>

/* Where a name stands. */
enum part { COMMON_NAME, UNIT, ALTERNATIVE };

static const struct kind {
	const char *prefix;
	enum part part;
	enum tls_name_kind kind; /* of alternative names */
} kinds[] = {
	{ "cn:", COMMON_NAME, 0 },
	{ "ou:", UNIT, 0 },
	{ "dns:", ALTERNATIVE, TLS_NAME_DNS },
	{ "uri:", ALTERNATIVE, TLS_NAME_URI },
	{ "email:", ALTERNATIVE, TLS_NAME_EMAIL },
	{ "ip:", ALTERNATIVE, TLS_NAME_IP },
};

static const struct kind *kind_of(const char *rule)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (strncmp(rule, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return &kinds[i];
	return NULL;
}

bool tls_peer_rule_is_good(const char *rule)
{
	const struct kind *kind = kind_of(rule);

	return kind != NULL && rule[strlen(kind->prefix)] != '\0';
}

/* Exact, or what a `*` at the end leaves open. */
static bool is_like(struct span text, const char *pattern)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return text.len >= len - 1 && memcmp(text.at, pattern, len - 1) == 0;
	return span_is(text, pattern);
}

static bool has_name(const struct tls_peer *peer, const struct kind *kind, const char *pattern)
{
	if (kind->part == COMMON_NAME)
		return peer->common_name.len > 0 && is_like(peer->common_name, pattern);
	for (uint32_t i = 0; i < peer->unit_count && kind->part == UNIT; i++)
		if (is_like(peer->units[i], pattern))
			return true;
	for (uint32_t i = 0; i < peer->name_count; i++) {
		struct span text = peer->names[i].text;

		if (kind->part != ALTERNATIVE || peer->names[i].kind != kind->kind)
			continue;
		if (kind->kind == TLS_NAME_DNS ? route_host_matches(text, pattern)
					       : is_like(text, pattern))
			return true;
	}
	return false;
}

bool tls_peer_is_one_of(const struct tls_peer *peer, const struct config_names *rules)
{
	if (!peer->has_certificate)
		return false;
	for (uint32_t i = 0; i < rules->count; i++) {
		const struct kind *kind = kind_of(rules->at[i]);

		if (kind != NULL && has_name(peer, kind, rules->at[i] + strlen(kind->prefix)))
			return true;
	}
	return false;
}

/* ---- Pulsar's principal --------------------------------------------------------------------- */

static bool is_plain(struct span name)
{
	if (name.len == 0 || name.len >= HOST_MAX || name.at[0] == ' ' ||
	    name.at[name.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] < ' ' || name.at[i] > '~' ||
		    strchr(",=+<>#;\"\\", name.at[i]) != NULL)
			return false;
	return true;
}

/* Is the comma at `at` inside a value? */
static bool is_escaped(struct span text, size_t at)
{
	size_t slashes = 0;

	while (slashes < at && text.at[at - 1 - slashes] == '\\')
		slashes++;
	return slashes % 2 != 0;
}

/* The first "CN=" of the text. Java looks for it behind every comma, those inside values too, where
 * its own text, unlike OpenSSL's, has no "CN=": it escapes the equals sign as well. */
static bool first_common_name(struct span subject, struct span *ret_name)
{
	for (size_t at = 0, begin = 0; at <= subject.len; at++) {
		if (at < subject.len && (subject.at[at] != ',' || is_escaped(subject, at)))
			continue;
		struct span part = span_of(subject.at + begin, at - begin);

		begin = at + 1;
		if (!span_starts(part, "CN=") || part.len == 3)
			continue;
		*ret_name = span_of(part.at + 3, part.len - 3);
		return true;
	}
	return false;
}

struct span tls_peer_principal(const struct tls_peer *peer)
{
	struct span read;

	if (!peer->has_certificate || !is_plain(peer->common_name) ||
	    !first_common_name(peer->subject, &read) || !span_equal(read, peer->common_name))
		return span_of(NULL, 0);
	return peer->common_name;
}
