/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_ports: server_ports into addresses to listen on, connect_ports into the ports that
 * targets may have. Both are read when all files are: the last setting counts.
 *
 *     server_ports   4443:ssl 4080 443:ssl:ip-in=[2001:db8::1]
 *     connect_ports  443 6650-6652
 */
#include "config_check.h"
#include "config_import.h"

/* ---- listeners ------------------------------------------------------------------------------- */

/* One item of server_ports. */
struct server_port {
	struct config_import *import;
	struct config_mark mark;
	char shown[60]; /* the item */
	uint16_t port;
	bool is_tls, is_v6, is_quic;
	struct addr in[2]; /* ip-in, one of each family */
	uint32_t in_count;
};

/* Options that a listener has not, and what they meant. */
static const struct {
	const char *start, *what;
} meanings[] = {
	{ "pp",
	  "a PROXY header comes first: add proxy_protocol: { mode: optional, trusted: [...] } "
	  "to the listener, with the networks of your load balancers" },
	{ "proto=", "protocols inside TLS, which penstock does not look into" },
	{ "ip-out=", "the address connections to targets come from; here the system chooses it" },
	{ "ip-resolve=", "the kind of address preferred for targets; here whichever answers" },
	{ "tr-", "transparent proxying, which penstock does not do" },
	{ "mptcp", "multipath TCP, which penstock does not do" },
	{ "allow-plain", "clients without TLS, which are refused here" },
};

static void option_take(struct server_port *item, struct span option)
{
	struct config_import *import = item->import;
	struct addr *in = &item->in[item->in_count];
	char shown[60];

	if (span_is(option, "ssl") || span_is(option, "ipv4")) {
		item->is_tls |= span_is(option, "ssl");
	} else if (span_is(option, "ipv6")) {
		item->is_v6 = true;
	} else if (span_is(option, "quic")) {
		item->is_quic = true;
	} else if (span_starts(option, "ip-in=") && span_skip(&option, strlen("ip-in="))) {
		if (option.len > 2 && option.at[0] == '[' && option.at[option.len - 1] == ']')
			option = span_of(option.at + 1, option.len - 2);
		if (item->in_count < COUNT_OF(item->in) && addr_parse_ip(option, in))
			item->in_count++;
		else
			IMPORT_ERROR(import, item->mark,
				     "server_ports: ip-in=%s of %s is no address, or the third",
				     config_show(option, shown, sizeof(shown)), item->shown);
	} else {
		const char *what = "an unknown option";

		for (size_t i = 0; i < COUNT_OF(meanings); i++)
			if (span_starts(option, meanings[i].start))
				what = meanings[i].what;
		config_import_left(import, item->mark, "server_ports: %s of %s: %s",
				   config_show(option, shown, sizeof(shown)), item->shown, what);
	}
}

/* Of two that overlap, the one that is all of both. */
static struct addr wider(struct addr a, struct addr b)
{
	bool is_any_a = addr_kind(&a) == ADDR_UNSPECIFIED;

	return is_any_a && (!addr_is_v4(&a) || addr_kind(&b) != ADDR_UNSPECIFIED) ? a : b;
}

/* ATS has a socket for each; here one listener takes what overlaps. */
static void bind_add(struct config_import *import, struct addr addr, struct config_mark mark)
{
	for (uint32_t i = 0; i < import->bind_count;) {
		if (!config_check_is_overlapping(&addr, &import->binds[i].addr)) {
			i++;
			continue;
		}
		addr = wider(addr, import->binds[i].addr);
		import->binds[i] = import->binds[--import->bind_count];
		i = 0;
	}
	if (import->bind_count == CONFIG_LISTENERS_MAX) {
		config_import_left(import, mark, "server_ports: port %u: more than %d listeners",
				   addr.port, CONFIG_LISTENERS_MAX);
		return;
	}
	import->binds[import->bind_count++] = (struct import_bind){ .addr = addr, .mark = mark };
}

static void binds_add(const struct server_port *item)
{
	struct addr any = addr_v4(0, item->port);

	for (uint32_t i = 0; i < item->in_count; i++) {
		struct addr addr = item->in[i];

		addr.port = item->port;
		bind_add(item->import, addr, item->mark);
	}
	if (item->in_count > 0)
		return;
	if (item->is_v6)
		any = (struct addr){ .port = item->port, .is_set = 1 };
	bind_add(item->import, any, item->mark);
}

/* Up to a ':' that is not in brackets. */
static struct span option_next(struct span *rest)
{
	size_t len = 0;
	bool is_inside = false;

	for (; len < rest->len && (is_inside || rest->at[len] != ':'); len++)
		is_inside = rest->at[len] == '[' || (is_inside && rest->at[len] != ']');
	struct span option = span_of(rest->at, len);

	len += len < rest->len;
	*rest = span_of(rest->at + len, rest->len - len);
	return option;
}

static void server_port(struct config_import *import, struct span text)
{
	struct server_port item = { .import = import, .mark = import->server_ports.mark };
	uint64_t number;

	config_show(text, item.shown, sizeof(item.shown));
	while (text.len > 0) {
		struct span option = option_next(&text);

		if (span_to_u64(option, &number) && number > 0 && number <= UINT16_MAX)
			item.port = (uint16_t)number;
		else
			option_take(&item, option);
	}
	if (item.port == 0)
		IMPORT_ERROR(import, item.mark,
			     "server_ports: %s has no port from 1 to 65535; write 443:ssl",
			     item.shown);
	else if (item.is_quic)
		config_import_left(import, item.mark,
				   "server_ports: %s: QUIC, which penstock does not serve",
				   item.shown);
	else if (!item.is_tls)
		config_import_left(import, item.mark,
				   "server_ports: %s: HTTP without TLS (no :ssl), which penstock "
				   "does not serve",
				   item.shown);
	else
		binds_add(&item);
}

/* ---- ports of targets ------------------------------------------------------------------------ */

bool config_import_ports_has(const struct import_ports *ports, uint16_t port)
{
	return ports->is_any || (ports->bits[port / 8] >> port % 8 & 1) != 0;
}

bool config_import_ports_add(struct import_ports *ports, uint16_t port)
{
	if (config_import_ports_has(ports, port))
		return true;
	if (ports->count == IMPORT_PORTS_MAX)
		return false;
	ports->bits[port / 8] |= (uint8_t)(1u << port % 8);
	ports->count++;
	return true;
}

static void connect_port(struct config_import *import, struct span word)
{
	struct config_mark mark = import->connect_ports.mark;
	struct import_range range;
	char shown[60];

	config_show(word, shown, sizeof(shown));
	if (span_is(word, "*")) {
		import->connect.is_any = true;
	} else if (!config_import_range(word, &range)) {
		IMPORT_ERROR(import, mark,
			     "connect_ports: '%s' is neither a port nor a range of ports; write "
			     "443 or 6650-6652",
			     shown);
	} else if (range.low == 1 && range.high == UINT16_MAX) {
		import->connect.is_any = true;
	} else if (range.high - range.low >= IMPORT_PORTS_MAX) {
		config_import_left(import, mark,
				   "connect_ports: %s: allow_ports takes at most %d ports, one by "
				   "one; add those that are needed",
				   shown, IMPORT_PORTS_MAX);
	} else {
		bool has_room = true;

		for (uint32_t port = range.low; port <= range.high; port++)
			has_room &= config_import_ports_add(&import->connect, (uint16_t)port);
		if (!has_room)
			config_import_left(import, mark,
					   "connect_ports: %s: beyond the %d ports that "
					   "allow_ports takes; add those that are needed",
					   shown, IMPORT_PORTS_MAX);
	}
}

void config_import_ports(struct config_import *import)
{
	struct span rest, word;

	if (import->server_ports.text != NULL) {
		rest = span_str(import->server_ports.text);
		while (config_import_word(&rest, &word))
			server_port(import, word);
	}
	if (import->connect_ports.text != NULL) {
		rest = span_str(import->connect_ports.text);
		while (config_import_word(&rest, &word))
			connect_port(import, word);
	} else {
		bool has_room = config_import_ports_add(&import->connect, IMPORT_PORT_GUESS);

		CHECK(has_room);
	}
	import->allowed = import->connect;
}
