/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_rule: one entry of sni.yaml or server_config: the keys a route can have, what the
 * others meant, where it leads, and which names it is for.
 */
#include <stdlib.h>

#include "config_import.h"
#include "config_proxy.h"

#define NETWORKS_MAX  1024 /* what allow takes */
#define NETWORKS_SIZE 16384

/* ---- keys that a route has ------------------------------------------------------------------- */

/* What is left of a name without its '*'; at NULL: `value` says why it is no name. */
static struct span name_of(struct span host, bool *ret_is_wild, struct config_value *value)
{
	struct span bare = host;

	*ret_is_wild = span_is(host, "*") || span_starts(host, "*.");
	if (span_is(host, "*"))
		return span_of(host.at, 0);
	if (*ret_is_wild)
		bare = span_of(host.at + 2, host.len - 2);
	if (span_find(bare, '*') < bare.len)
		config_bad(value, "a wildcard stands at the front, for whole labels: *.name");
	else if (addr_is_ip_like(bare))
		config_bad(value, "TLS clients send no server name for an address");
	else if (config_host_check(value, bare))
		return *ret_is_wild ? span_of(host.at + 1, host.len - 1) : host;
	return (struct span){ .at = NULL };
}

static void fqdn_take(struct config_import *import, struct import_rule *rule, struct span text,
		      struct config_mark mark)
{
	struct config_value value = { .text = text };
	char shown[80];

	rule->fqdn = config_copy(import->arena, span_str(config_show(text, shown, sizeof(shown))));
	rule->mark = mark;
	if (text.len > 1 && text.at[text.len - 1] == '.')
		text.len--;
	struct span name = name_of(text, &rule->is_wild, &value);

	if (name.at == NULL) {
		rule->is_left = true;
		config_import_left(import, mark, "fqdn %s: %s", rule->fqdn, value.why);
		return;
	}
	rule->name = config_host_copy(import->arena, name);
	rule->name_len = name.len;
}

static const char *const mode_keys[IMPORT_MODES] = {
	[IMPORT_PASS] = "tunnel_route",
	[IMPORT_TERMINATE] = "forward_route",
	[IMPORT_REENCRYPT] = "partial_blind_route",
};

const char *config_import_mode_key(enum import_mode mode)
{
	return mode_keys[mode];
}

static void route_take(struct config_import *import, struct import_rule *rule,
		       enum import_mode mode, struct span text, struct config_mark mark)
{
	rule->routes[mode] = (struct import_record){
		.text = config_copy(import->arena, text),
		.mark = mark,
	};
}

static void tunnel_take(struct config_import *import, struct import_rule *rule, struct span text,
			struct config_mark mark)
{
	route_take(import, rule, IMPORT_PASS, text, mark);
}

static void forward_take(struct config_import *import, struct import_rule *rule, struct span text,
			 struct config_mark mark)
{
	route_take(import, rule, IMPORT_TERMINATE, text, mark);
}

static void partial_take(struct config_import *import, struct import_rule *rule, struct span text,
			 struct config_mark mark)
{
	route_take(import, rule, IMPORT_REENCRYPT, text, mark);
}

static void ranges_take(struct config_import *import, struct import_rule *rule, struct span text,
			struct config_mark mark)
{
	struct span word;
	char shown[80];

	while (config_import_word(&text, &word)) {
		if (rule->range_count == IMPORT_RANGES_MAX) {
			IMPORT_ERROR(import, mark, "inbound_port_ranges: more than %d; name fewer",
				     IMPORT_RANGES_MAX);
			return;
		}
		if (config_import_range(word, &rule->ranges[rule->range_count]))
			rule->range_count++;
		else
			IMPORT_ERROR(import, mark,
				     "inbound_port_ranges: '%s' is neither a port nor a range of "
				     "ports; write 443 or 8080-8086",
				     config_show(word, shown, sizeof(shown)));
	}
}

/* Whoever is let in by more than networks can say must not get in: the route is left out. */
static void allow_left(struct config_import *import, struct import_rule *rule, struct span word,
		       const char *why, struct config_mark mark)
{
	char shown[80];

	rule->is_left = true;
	config_import_left(import, mark,
			   "ip_allow: '%s' %s, so this route is left out, lest others get in",
			   config_show(word, shown, sizeof(shown)), why);
}

static void networks_take(struct config_import *import, struct import_rule *rule, struct span text,
			  struct config_mark mark)
{
	char networks[NETWORKS_SIZE];
	struct sink list = sink_of(networks, sizeof(networks));
	struct span word = span_of("", 0);
	uint32_t count = 1;

	while (config_import_word(&text, &word))
		if (!config_proxy_networks(word, &list)) {
			allow_left(import, rule, word, "cannot be said in networks", mark);
			return;
		}
	for (size_t i = 0; i < list.len; i++)
		count += networks[i] == ',';
	if (list.len == 0)
		allow_left(import, rule, word, "names nobody", mark);
	else if (list.full || count > NETWORKS_MAX)
		allow_left(import, rule, word, "makes more than 1,024 networks", mark);
	else
		rule->networks = config_copy(import->arena, sink_written(&list));
}

/* A list, or "@file", where one is. ATS lets everybody in when it cannot read that. */
static void allow_take(struct config_import *import, struct import_rule *rule, struct span text,
		       struct config_mark mark)
{
	struct import_record name = { .mark = mark };
	size_t len = 0;

	if (!span_starts(text, "@")) {
		networks_take(import, rule, text, mark);
		return;
	}
	name.text = config_copy(import->arena, span_of(text.at + 1, text.len - 1));
	char *list = config_import_file(import, &name, &len);

	if (list == NULL) {
		allow_left(import, rule, text, "is a file that cannot be read", mark);
		return;
	}
	networks_take(import, rule, span_of(list, len), mark);
	free(list);
	if (!rule->is_left)
		config_import_note(import, mark,
				   "ip_allow: %s: what is in that file now; penstock does not look "
				   "there again",
				   name.text);
}

static const struct {
	const char *key;
	void (*take)(struct config_import *import, struct import_rule *rule, struct span text,
		     struct config_mark mark);
} takers[] = {
	{ "fqdn", fqdn_take },
	{ "tunnel_route", tunnel_take },
	{ "forward_route", forward_take },
	{ "partial_blind_route", partial_take },
	{ "inbound_port_ranges", ranges_take },
	{ "ip_allow", allow_take },
};

/* ---- keys that it has not -------------------------------------------------------------------- */

/* What keys mean; the first that the key begins with counts. */
static const struct {
	const char *start;
	const char *what;
	bool is_demand; /* whoever ends TLS without it lets more in, or believes more */
} meanings[] = {
	{ "tunnel_prewarm", "connections made before clients come; penstock makes none", false },
	{ "valid_tls_versions_in", "a list; write valid_tls_version_min_in and _max_in", true },
	{ "verify_origin_server",
	  "what is checked of the target's certificate; write "
	  "verify_server_policy",
	  true },
	{ "server_max_early", "early data, which penstock does not take", false },
	{ "server_", "groups and the like are penstock's own choice, or the target's in a tunnel",
	  false },
	{ "host_sni_policy", "about HTTP, which penstock does not look into", false },
	{ "disable_h", "about HTTP, which penstock does not look into", false },
	{ "http2", "about HTTP, which penstock does not look into", false },
	{ "quic", "about QUIC, which penstock does not serve", false },
};

static void key_left(struct config_import *import, struct import_rule *rule, struct span key,
		     struct span value, struct config_mark mark)
{
	char keys[80], values[80] = "...";
	const char *what = "a key that neither ATS nor penstock knows";

	config_show(key, keys, sizeof(keys));
	if (value.at != NULL)
		config_show(value, values, sizeof(values));
	for (size_t i = 0; i < COUNT_OF(meanings); i++) {
		if (!span_starts(key, meanings[i].start))
			continue;
		what = meanings[i].what;
		rule->is_laxer |= meanings[i].is_demand;
		break;
	}
	config_import_left(import, mark, "%s: %s: %s", keys, values, what);
}

void config_import_rule_key(struct config_import *import, struct import_rule *rule, struct span key,
			    struct span value, struct config_mark mark)
{
	for (uint32_t i = 0; i < COUNT_OF(takers); i++) {
		if (!span_is(key, takers[i].key))
			continue;
		if ((rule->taken & 1u << i) != 0)
			IMPORT_ERROR(import, mark, "%s: is there twice; remove one of them",
				     takers[i].key);
		else if (value.at == NULL)
			IMPORT_ERROR(import, mark, "%s: has keys below it; write one value",
				     takers[i].key);
		else
			takers[i].take(import, rule, span_trim(value), mark);
		rule->taken |= 1u << i;
		return;
	}
	if (!config_import_tls_key(import, rule, key, value, mark))
		key_left(import, rule, key, value, mark);
}

/* ---- the entry ------------------------------------------------------------------------------- */

static struct import_rule *rule_room(struct config_import *import, struct config_mark mark)
{
	struct import_rule *old = import->rules;

	if (import->rule_count == IMPORT_RULES_MAX) {
		IMPORT_ERROR(import, mark,
			     "more than %d entries; import them in parts, for several penstocks",
			     IMPORT_RULES_MAX);
		return NULL;
	}
	if (import->rule_count == import->rule_room) {
		import->rule_room = import->rule_room > 0 ? 2 * import->rule_room : 16;
		import->rules = config_alloc(import->arena, import->rule_room * sizeof(*old));
		if (import->rule_count > 0)
			memcpy(import->rules, old, import->rule_count * sizeof(*old));
	}
	return &import->rules[import->rule_count++];
}

/* Only one of them can be; ATS looks for them in this order. */
static void mode_choose(struct config_import *import, struct import_rule *rule)
{
	rule->mode = IMPORT_MODES;
	for (enum import_mode mode = 0; mode < IMPORT_MODES; mode++) {
		const struct import_record *route = &rule->routes[mode];

		if (route->text == NULL)
			continue;
		if (rule->mode == IMPORT_MODES)
			rule->mode = mode;
		else
			config_import_left(import, route->mark, "%s: ATS takes the %s beside it",
					   mode_keys[mode], mode_keys[rule->mode]);
	}
}

bool config_import_rule_end(struct config_import *import, const struct import_rule *rule)
{
	struct import_rule *added = rule_room(import, rule->mark);

	if (added == NULL)
		return false;
	*added = *rule;
	mode_choose(import, added);
	added->is_left |= rule->fqdn == NULL || added->mode == IMPORT_MODES;
	if (rule->fqdn == NULL)
		config_import_left(import, rule->mark,
				   "an entry without fqdn: a route goes by a name");
	else if (added->mode == IMPORT_MODES)
		config_import_left(import, rule->mark,
				   "fqdn %s: has no tunnel_route: ATS ends TLS and serves HTTP "
				   "there, penstock does neither",
				   rule->fqdn);
	if (rule->is_laxer && added->mode != IMPORT_PASS && !added->is_left) {
		added->is_left = true;
		config_import_left(import, rule->mark,
				   "fqdn %s: without that the route would be laxer than it was, so "
				   "it is left out",
				   rule->fqdn);
	}
	return true;
}

/* ---- targets --------------------------------------------------------------------------------- */

/* "host:port", "[v6]:port", or the host alone. */
static bool target_split(struct config_value *value, struct span *ret_host, struct span *ret_port)
{
	struct span text = value->text;
	bool is_v6 = text.len > 0 && text.at[0] == '[';
	size_t end = is_v6 ? span_find(text, ']') : span_rfind(text, ':');

	if (is_v6 && end == text.len)
		return config_bad(value, "a bracket is not closed");
	*ret_host = is_v6 ? span_of(text.at + 1, end - 1) : span_of(text.at, end);
	end += is_v6;
	*ret_port = span_of(text.at + end, text.len - end);
	if (ret_port->len > 0 && ret_port->at[0] != ':')
		return config_bad(value, "there is more than a port behind the brackets");
	if (ret_port->len > 0)
		*ret_port = span_of(ret_port->at + 1, ret_port->len - 1);
	if (!is_v6 && span_find(*ret_host, ':') < ret_host->len)
		return config_bad(value, "an IPv6 address needs brackets");
	return true;
}

static bool port_take(struct import_rule *rule, struct span port, struct config_value *value)
{
	uint64_t number = 0;

	if (span_is(port, "{proxy_protocol_port}"))
		return config_bad(value, "the port a PROXY header names is no place to lead to");
	if (port.len > 0 && !span_is(port, "{inbound_local_port}") &&
	    (!span_to_u64(port, &number) || number == 0 || number > UINT16_MAX))
		return config_bad(value, "it has no port from 1 to 65535");
	rule->port = (uint16_t)number;
	return true;
}

/* `$1` becomes `{1}`; checked as if a name stood there. */
static bool host_take(struct config_import *import, struct import_rule *rule, struct span host,
		      struct config_value *value)
{
	char text[HOST_MAX], likes[HOST_MAX];
	struct sink out = sink_of(text, sizeof(text)), like = sink_of(likes, sizeof(likes));
	uint8_t byte;

	if (host.len > 1 && host.at[host.len - 1] == '.')
		host.len--;
	while (host.len > 0) {
		if (span_starts(host, "$1") && span_skip(&host, 2)) {
			rule->is_derived = true;
			sink_str(&out, "{1}");
			sink_u8(&like, 'x');
			if (host.len == 0 || host.at[0] < '0' || host.at[0] > '9')
				continue;
			return config_bad(value, "fqdn has one wildcard, so $1 is all there is");
		}
		if (span_u8(&host, &byte)) {
			sink_u8(&out, byte);
			sink_u8(&like, byte);
		}
	}
	if (span_find(sink_written(&like), '$') < like.len)
		return config_bad(value, "fqdn has one wildcard, so $1 is all there is");
	if (rule->is_derived && !rule->is_wild)
		return config_bad(value, "$1 is what the * of fqdn stands for, and there is none");
	if (out.full)
		return config_bad(value, "the name is too long");
	if (!config_host_check(value, sink_written(&like)))
		return false;
	rule->host = config_host_copy(import->arena, sink_written(&out));
	return true;
}

/* All that the host can become, as egress.allow.hosts says it. */
static const char *pattern_of(struct config_import *import, const char *host)
{
	static const char capture[] = "{1}";
	const char *rest = host;
	char text[HOST_MAX + 2];

	for (const char *at = strstr(host, capture); at != NULL; at = strstr(rest, capture))
		rest = at + strlen(capture);
	const char *dot = strchr(rest, '.');

	if (dot == NULL || addr_is_ip_like(span_str(dot + 1)))
		return "*";
	snprintf(text, sizeof(text), "**%s", dot);
	return config_copy(import->arena, span_str(text));
}

void config_import_target(struct config_import *import, struct import_rule *rule)
{
	struct span host, port;
	char shown[80];

	if (rule->is_left)
		return;
	const struct import_record *route = &rule->routes[rule->mode];
	struct config_value value = { .text = span_str(route->text) };

	if (target_split(&value, &host, &port) && port_take(rule, port, &value) &&
	    host_take(import, rule, host, &value)) {
		rule->pattern = rule->is_derived ? pattern_of(import, rule->host) : NULL;
		return;
	}
	rule->is_left = true;
	config_import_left(import, route->mark, "%s: '%s': %s", mode_keys[rule->mode],
			   config_show(value.text, shown, sizeof(shown)), value.why);
}

/* ---- names and ports ------------------------------------------------------------------------- */

bool config_import_covers(const struct import_rule *rule, const struct import_rule *other)
{
	if (rule->name == NULL || other->name == NULL)
		return false;
	if (!rule->is_wild)
		return !other->is_wild && strcmp(rule->name, other->name) == 0;
	/* A wildcard stands for something, a name of its own for itself. */
	if (other->name_len < rule->name_len + (other->is_wild ? 0 : 1))
		return false;
	return strcmp(other->name + other->name_len - rule->name_len, rule->name) == 0;
}

bool config_import_has_port(const struct import_rule *rule, uint16_t port)
{
	for (uint32_t i = 0; i < rule->range_count; i++)
		if (port >= rule->ranges[i].low && port <= rule->ranges[i].high)
			return true;
	return rule->range_count == 0;
}
