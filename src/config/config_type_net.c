/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_type_net: the value types that name a place: addresses to bind, host:port, ZooKeeper
 * connect strings.
 */
#include <ctype.h>
#include <inttypes.h>

#include "config_priv.h"

#define ZOOKEEPER_PORT 2181

/* Says what is wrong with a text that should have been "address:port". */
static bool no_addr(struct config_value *value, const char *or_what)
{
	struct span text = value->text;
	char shown[80];
	struct span host;
	uint64_t number;
	uint16_t port;

	config_show(text, shown, sizeof(shown));
	if (span_to_u64(text, &number))
		return config_bad(value,
				  "'%s' has no address; write 0.0.0.0:%s for all IPv4, "
				  "[::]:%s for all%s",
				  shown, shown, shown, or_what);
	if (span_starts(text, ":") || span_starts(text, "*:"))
		return config_bad(value,
				  "'%s' has no address; write 0.0.0.0%s for all IPv4, "
				  "[::]%s for all%s",
				  shown, strchr(shown, ':'), strchr(shown, ':'), or_what);
	if (addr_split(text, &host, &port) && addr_is_host(host) && !addr_is_ip_like(host))
		return config_bad(value,
				  "'%s' is a name; write a literal address, 127.0.0.1:%u "
				  "or [::1]:%u%s",
				  shown, port, port, or_what);
	return config_bad(value,
			  "'%s' is not address:port; write 0.0.0.0:6650 or [::]:6650, with "
			  "a port from 1 to 65535%s",
			  shown, or_what);
}

bool config_type_addr(struct config_value *value)
{
	struct addr addr;

	if (!addr_parse(value->text, &addr) || addr.port == 0)
		return no_addr(value, "");
	*(struct addr *)value->field = addr;
	return true;
}

void config_print_addr(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out)
{
	char text[ADDR_TEXT_MAX];

	(void)config;
	addr_format((const void *)((const uint8_t *)unit + row->offset), text);
	config_text_print(out, text);
}

/* Longest path of a unix socket: sun_path with its NUL. */
#define UNIX_PATH_MAX 108

bool config_type_admin(struct config_value *value)
{
	struct config *config = value->read->config;
	struct span path = value->text;
	struct addr addr = { .is_set = 0 };
	char shown[80];

	if (span_is(value->text, "off")) {
		config->admin.is_on = false;
		return true;
	}
	if (span_starts(path, "unix:")) {
		if (!span_skip(&path, strlen("unix:")) || path.len == 0 || path.at[0] != '/' ||
		    path.len >= UNIX_PATH_MAX)
			return config_bad(value,
					  "'%s' is not an absolute path below 108 bytes; "
					  "write unix:/run/penstock/admin.sock",
					  config_show(value->text, shown, sizeof(shown)));
		config->admin.unix_path = config_copy(config, path);
	} else {
		if (!addr_parse(value->text, &addr) || addr.port == 0)
			return no_addr(value, ", or unix:/path, or off");
		config->admin.unix_path = NULL;
	}
	config->admin.listen = addr;
	config->admin.is_on = true;
	return true;
}

void config_print_admin(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out)
{
	char text[ADDR_TEXT_MAX], path[UNIX_PATH_MAX + 8];

	(void)row;
	(void)unit;
	if (!config->admin.is_on) {
		fputs("off", out);
	} else if (config->admin.unix_path != NULL) {
		snprintf(path, sizeof(path), "unix:%s", config->admin.unix_path);
		config_text_print(out, path);
	} else {
		config_text_print(out, addr_format(&config->admin.listen, text));
	}
}

bool config_type_web(struct config_value *value)
{
	struct config *config = value->read->config;
	struct addr addr;

	if (span_is(value->text, "off")) {
		config->web.is_on = false;
		return true;
	}
	if (!addr_parse(value->text, &addr) || addr.port == 0)
		return no_addr(value, ", or off");
	config->web.listen = addr;
	config->web.is_on = true;
	return true;
}

void config_print_web(const struct config *config, const struct config_row *row, const void *unit,
		      FILE *out)
{
	char text[ADDR_TEXT_MAX];

	(void)row;
	(void)unit;
	if (config->web.is_on)
		config_text_print(out, addr_format(&config->web.listen, text));
	else
		fputs("off", out);
}

/* ---- host:port ------------------------------------------------------------------------------- */

const char *config_host_copy(struct config *config, struct span host)
{
	char *copy = config_alloc(config, host.len + 1);

	for (size_t i = 0; i < host.len; i++)
		copy[i] = (char)tolower(host.at[i]);
	return copy;
}

bool config_host_check(struct config_value *value, struct span host)
{
	struct addr addr;
	char shown[80];

	config_show(host, shown, sizeof(shown));
	if (addr_is_ip_like(host) && !addr_parse_ip(host, &addr))
		return config_bad(value,
				  "'%s' looks like an address but is not one; write four "
				  "decimal numbers without leading zeros",
				  shown);
	if (!addr_is_host(host))
		return config_bad(value,
				  "'%s' is neither a host name nor an address; a name has "
				  "letters, digits, '-', '_' and dots",
				  shown);
	return true;
}

bool config_type_forward(struct config_value *value)
{
	struct config_listener *listener = value->unit;
	struct span host;
	uint16_t port;
	char shown[80];

	if (!addr_split(value->text, &host, &port))
		return config_bad(value,
				  "'%s' is not host:port; write it like 10.0.0.9:7000 or "
				  "[2001:db8::9]:7000",
				  config_show(value->text, shown, sizeof(shown)));
	if (!config_host_check(value, host))
		return false;
	listener->forward_host = config_host_copy(value->read->config, host);
	listener->forward_port = port;
	return true;
}

void config_host_print(FILE *out, const char *scheme, const char *host, uint16_t port)
{
	bool is_v6 = strchr(host, ':') != NULL;

	fprintf(out, "\"%s%s%s%s:%u\"", scheme, is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

void config_print_forward(const struct config *config, const struct config_row *row,
			  const void *unit, FILE *out)
{
	const struct config_listener *listener = unit;

	(void)config;
	(void)row;
	config_host_print(out, "", listener->forward_host, listener->forward_port);
}

/* ---- ZooKeeper ------------------------------------------------------------------------------- */

/* "host", "host:port", "1.2.3.4:port", "[v6]" or "[v6]:port" onto the end of `servers`. */
static bool servers_add(struct config_value *value, struct span server, struct sink *servers)
{
	bool is_v6 = server.len > 0 && server.at[0] == '[';
	bool has_port =
		is_v6 ? server.at[server.len - 1] != ']' : span_find(server, ':') < server.len;
	uint16_t port = ZOOKEEPER_PORT;
	struct span host = server;
	char shown[80];

	config_show(server, shown, sizeof(shown));
	if (server.len == 0)
		return config_bad(value,
				  "an empty server between commas; write host:port,host:port");
	if (span_find(server, ';') < server.len)
		return config_bad(value, "'%s': separate servers by commas, not semicolons", shown);
	if (has_port && !addr_split(server, &host, &port))
		return config_bad(value,
				  "'%s' is not host:port; write it like zk-0:2181, with "
				  "brackets around an IPv6 address",
				  shown);
	if (is_v6 && !has_port)
		host = span_of(server.at + 1, server.len - 2);
	if (!config_host_check(value, host))
		return false;
	sink_str(servers, servers->len > 0 ? "," : "");
	sink_str(servers, is_v6 ? "[" : "");
	sink_span(servers, host);
	sink_str(servers, is_v6 ? "]" : "");
	sink_printf(servers, ":%u", port);
	return true;
}

static bool chroot_check(struct config_value *value, struct span chroot)
{
	bool is_bad = false;
	char shown[80];

	for (size_t i = 0; i < chroot.len; i++)
		is_bad |= chroot.at[i] <= ' ' || chroot.at[i] == ',' || chroot.at[i] == 0x7f ||
			  (chroot.at[i] == '/' && i > 0 && chroot.at[i - 1] == '/');
	if (chroot.len > 1 && chroot.at[chroot.len - 1] == '/')
		is_bad = true;
	if (is_bad)
		return config_bad(value,
				  "'%s' is not a chroot; write one path after the last "
				  "server, like zk-0:2181,zk-1:2181/pulsar",
				  config_show(chroot, shown, sizeof(shown)));
	return true;
}

/* Metadata stores the Java proxy can use and penstock cannot. */
static const char *const other_stores[] = { "oxia:", "etcd:", "rocksdb:", "memory:" };
static const char *const broker_schemes[] = { "pulsar://", "pulsar+ssl://", "http://", "https://" };

/* "zk:host" has a scheme, "zk:2181" is a host called zk with its port. */
static bool has_scheme(struct span text, const char *scheme)
{
	size_t at = strlen(scheme);

	if (!span_starts(text, scheme))
		return false;
	while (at < text.len && isdigit(text.at[at]))
		at++;
	return at > strlen(scheme) ? at < text.len && text.at[at] != ',' && text.at[at] != '/'
				   : true;
}

static bool scheme_check(struct config_value *value, struct span text)
{
	for (size_t i = 0; i < COUNT_OF(other_stores); i++)
		if (has_scheme(text, other_stores[i]))
			return config_bad(value,
					  "penstock discovers brokers from ZooKeeper only, not "
					  "from %s; give fixed broker URLs instead "
					  "(discovery.urls, or brokerServiceURL in proxy.conf)",
					  other_stores[i]);
	for (size_t i = 0; i < COUNT_OF(broker_schemes); i++)
		if (span_starts(text, broker_schemes[i]))
			return config_bad(value,
					  "that is a broker's URL, not ZooKeeper; put it into "
					  "discovery.urls (brokerServiceURL in proxy.conf)");
	return true;
}

bool config_type_servers(struct config_value *value)
{
	char text[4400];
	struct sink servers = sink_of(text, sizeof(text));
	struct span rest = span_trim(value->text);

	if (!scheme_check(value, rest))
		return false;
	if (has_scheme(rest, "zk:") && !span_skip(&rest, strlen("zk:")))
		return false;
	size_t slash = span_find(rest, '/');
	struct span chroot = span_trim(span_of(rest.at + slash, rest.len - slash));

	rest.len = slash;
	for (size_t comma = 0; comma < rest.len || rest.len == 0;) {
		comma = span_find(rest, ',');
		if (!servers_add(value, span_trim(span_of(rest.at, comma)), &servers))
			return false;
		if (comma == rest.len)
			break;
		rest = span_of(rest.at + comma + 1, rest.len - comma - 1);
		comma = 0;
	}
	if (!chroot_check(value, chroot))
		return false;
	if (chroot.len > 1)
		sink_span(&servers, chroot);
	if (servers.full)
		return config_bad(value, "more than 4,096 bytes of servers; name fewer");
	*(const char **)value->field = config_copy(value->read->config, sink_written(&servers));
	return true;
}
