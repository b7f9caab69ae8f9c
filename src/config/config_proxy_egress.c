/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy_egress: brokerProxyAllowedHostNames, -IPAddresses and -TargetPorts as egress.allow.
 * Java's patterns say more than ours: what cannot be said exactly is refused, never widened.
 */
#include <inttypes.h>

#include "config_proxy.h"

#define LIST_MAX 16384

/* Takes the next item of a list with commas; false at the end. */
static bool next_item(struct span *rest, struct span *ret_item)
{
	if (rest->at == NULL)
		return false;
	size_t len = span_find(*rest, ',');

	*ret_item = span_trim(span_of(rest->at, len));
	*rest = len < rest->len ? span_of(rest->at + len + 1, rest->len - len - 1)
				: (struct span){ .at = NULL };
	return true;
}

static void list_add(struct sink *list, struct span item)
{
	if (list->len > 0)
		sink_str(list, ",");
	sink_span(list, item);
}

/* ---- networks -------------------------------------------------------------------------------- */

/* The range low..high as the fewest networks. */
static void range_add(struct sink *list, uint64_t low, uint64_t high)
{
	while (low <= high) {
		uint32_t bits = 32;

		/* The largest block that begins at `low` and does not reach beyond `high`. */
		while (bits > 0) {
			uint64_t size = 1ull << (33 - bits);

			if (low % size != 0 || low + size - 1 > high)
				break;
			bits--;
		}
		if (list->len > 0)
			sink_str(list, ",");
		sink_printf(list, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRIu64 "/%u", low >> 24,
			    low >> 16 & 255, low >> 8 & 255, low & 255, bits);
		low += 1ull << (32 - bits);
	}
}

static bool parse_v4(struct span text, uint64_t *ret_ip)
{
	struct addr addr;

	if (!addr_parse_ip(span_trim(text), &addr) || !addr_is_v4(&addr))
		return false;
	*ret_ip = (uint64_t)addr.ip[12] << 24 | (uint64_t)addr.ip[13] << 16 |
		  (uint64_t)addr.ip[14] << 8 | addr.ip[15];
	return true;
}

/* "10.0.0.0/255.0.0.0" */
static bool mask_add(struct sink *list, struct span text)
{
	size_t slash = span_find(text, '/');
	uint64_t ip, mask;

	if (slash == text.len || !parse_v4(span_of(text.at, slash), &ip) ||
	    !parse_v4(span_of(text.at + slash + 1, text.len - slash - 1), &mask))
		return false;
	uint64_t rest = ~mask & UINT32_MAX;

	if ((rest & (rest + 1)) != 0)
		return false;
	range_add(list, ip & mask, (ip & mask) + rest);
	return true;
}

/* "7", "3-9" or "*", one of four. */
static bool octet_parse(struct span text, uint64_t *ret_low, uint64_t *ret_high)
{
	size_t dash = span_find(text, '-');
	uint64_t low = 0, high = 255;

	if (!span_is(text, "*") && dash == text.len) {
		if (!span_to_u64(text, &low))
			return false;
		high = low;
	} else if (!span_is(text, "*")) {
		if (!span_to_u64(span_of(text.at, dash), &low) ||
		    !span_to_u64(span_of(text.at + dash + 1, text.len - dash - 1), &high))
			return false;
	}
	*ret_low = low;
	*ret_high = high;
	return low <= high && high <= 255;
}

/* "10.1.*.*" and "10.0-15.*.*": one run of addresses, so what follows a range must be all of it.
 * Fewer than four octets end in one "*" that stands for the rest, as in Java's library. */
static bool octets_add(struct sink *list, struct span text)
{
	uint64_t from = 0, to = 0;
	bool is_wide = false;
	uint32_t count = 0;

	for (bool is_last = false; !is_last; count++) {
		size_t dot = span_find(text, '.');
		uint64_t low, high;

		is_last = dot == text.len;
		if (count == 4 || !octet_parse(span_of(text.at, dot), &low, &high))
			return false;
		if (is_wide && (low != 0 || high != 255))
			return false;
		if (is_last && count < 3 && !(low == 0 && high == 255))
			return false;
		is_wide |= low != high;
		from = from << 8 | low;
		to = to << 8 | high;
		text = is_last ? text : span_of(text.at + dot + 1, text.len - dot - 1);
	}
	for (; count < 4; count++) {
		from = from << 8;
		to = to << 8 | 255;
	}
	range_add(list, from, to);
	return true;
}

bool config_proxy_networks(struct span text, struct sink *ret_list)
{
	size_t dash = span_find(text, '-');
	struct cidr cidr;
	uint64_t low, high;

	if (span_is(text, "*")) {
		list_add(ret_list, span_str("0.0.0.0/0,::/0"));
		return true;
	}
	if (addr_parse_cidr(text, &cidr)) {
		list_add(ret_list, text);
		return true;
	}
	if (dash < text.len && parse_v4(span_of(text.at, dash), &low) &&
	    parse_v4(span_of(text.at + dash + 1, text.len - dash - 1), &high) && low <= high) {
		range_add(ret_list, low, high);
		return true;
	}
	return mask_add(ret_list, text) || octets_add(ret_list, text);
}

static void networks_set(struct proxy *proxy)
{
	const enum proxy_key key = PROXY_KEY_brokerProxyAllowedIPAddresses;
	struct span rest = span_str(config_proxy_text(proxy, key));
	struct span item;
	char text[LIST_MAX], shown[80];
	struct sink list = sink_of(text, sizeof(text) - 1);

	while (next_item(&rest, &item)) {
		if (config_proxy_networks(item, &list))
			continue;
		config_proxy_error(proxy, key,
				   "'%s' cannot be said in networks; write 10.0.0.0/8, "
				   "2001:db8::/32, 10.0.0.1-10.0.0.9 or 10.1.*",
				   config_show(item, shown, sizeof(shown)));
		return;
	}
	if (list.full) {
		config_proxy_error(proxy, key, "makes more than %d bytes of networks; name fewer",
				   LIST_MAX);
		return;
	}
	text[list.len] = '\0';
	config_proxy_set(proxy, key, CONFIG_SCOPE_TOP, "egress.allow.networks", text);
}

/* ---- names and ports ------------------------------------------------------------------------- */

/* *ret_is_any: one of the patterns was "*". */
static void hosts_set(struct proxy *proxy, bool *ret_is_any)
{
	const enum proxy_key key = PROXY_KEY_brokerProxyAllowedHostNames;
	struct span rest = span_str(config_proxy_text(proxy, key));
	struct span item;
	char text[LIST_MAX], shown[80];
	struct sink list = sink_of(text, sizeof(text) - 1);

	while (next_item(&rest, &item)) {
		struct span tail = item;

		if (span_starts(item, "*.") && span_skip(&tail, 2) &&
		    span_find(tail, '*') == tail.len) {
			list_add(&list, span_str("**."));
			sink_span(&list, tail);
		} else if (span_is(item, "*") || span_find(item, '*') == item.len) {
			*ret_is_any |= span_is(item, "*");
			list_add(&list, item);
		} else {
			config_proxy_error(proxy, key,
					   "'%s' has a wildcard inside a label, which egress.allow "
					   "cannot say; write whole names, *.suffix or *",
					   config_show(item, shown, sizeof(shown)));
			return;
		}
	}
	if (list.full) {
		config_proxy_error(proxy, key, "is longer than %d bytes; name fewer", LIST_MAX);
		return;
	}
	text[list.len] = '\0';
	config_proxy_set(proxy, key, CONFIG_SCOPE_TOP, "egress.allow.hosts", text);
}

void config_proxy_egress(struct proxy *proxy)
{
	const enum proxy_key hosts = PROXY_KEY_brokerProxyAllowedHostNames;
	const enum proxy_key networks = PROXY_KEY_brokerProxyAllowedIPAddresses;
	const enum proxy_key ports = PROXY_KEY_brokerProxyAllowedTargetPorts;
	bool has_hosts = config_proxy_text(proxy, hosts) != NULL;
	bool has_networks = config_proxy_text(proxy, networks) != NULL;
	bool is_any = false;

	if (config_proxy_text(proxy, ports) != NULL)
		config_proxy_set(proxy, ports, CONFIG_SCOPE_TOP, "egress.allow.ports",
				 config_proxy_text(proxy, ports));
	if (has_hosts)
		hosts_set(proxy, &is_any);
	if (has_networks)
		networks_set(proxy);
	/* Java's default for the one that is not there is "*". With host patterns, no networks mean
	 * any for names and none for bare addresses, which is what Java makes of patterns too. */
	if (has_networks && !has_hosts)
		config_proxy_set(proxy, networks, CONFIG_SCOPE_TOP, "egress.allow.hosts", "*");
	if (is_any && !has_networks)
		config_proxy_set(proxy, hosts, CONFIG_SCOPE_TOP, "egress.allow.networks",
				 "0.0.0.0/0,::/0");
}
