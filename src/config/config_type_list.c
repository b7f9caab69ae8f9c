/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_type_list: the value types that are lists. Items come one at a time with the number of
 * all of them, so that the first can make room for the rest.
 */
#include <ctype.h>

#include "config_priv.h"

/* ---- names ----------------------------------------------------------------------------------- */

/* "name", "*.suffix", "**.suffix" or "*"; *ret_host: what is left without the wildcard. */
static bool pattern_check(struct config_value *value, struct span *ret_host)
{
	struct span host = value->text;
	char shown[80];

	*ret_host = host;
	if (span_is(host, "*"))
		return true;
	/* The wildcard stands for whole labels, as in certificates. */
	if (span_starts(host, "**."))
		host = span_of(host.at + 3, host.len - 3);
	else if (span_starts(host, "*."))
		host = span_of(host.at + 2, host.len - 2);
	*ret_host = host;
	if (span_find(host, '*') < host.len)
		return config_bad(value,
				  "'%s': a wildcard stands at the beginning, for whole labels; "
				  "write *.suffix (one label), **.suffix (one or more) or *",
				  config_show(value->text, shown, sizeof(shown)));
	return config_host_check(value, host);
}

/* A server name, as clients send it: no address, no dot at its end. */
bool config_type_host(struct config_value *value)
{
	struct span host, text = value->text;
	char shown[80];

	if (text.len > 1 && text.at[text.len - 1] == '.')
		text.len--;
	value->text = text;
	if (!pattern_check(value, &host))
		return false;
	if (addr_is_ip_like(host))
		return config_bad(value,
				  "'%s': TLS clients send no server name for an address; write a "
				  "name, and see no_sni",
				  config_show(text, shown, sizeof(shown)));
	*(const char **)value->field = config_host_copy(value->read->config, text);
	return true;
}

static struct config_names *names_begin(struct config_value *value)
{
	struct config_names *names = value->field;

	if (value->item == 0)
		*names = (struct config_names){
			.at = config_alloc(value->read->config, sizeof(names->at[0]) * value->count)
		};
	return names;
}

bool config_type_hosts(struct config_value *value)
{
	struct config_names *names = names_begin(value);
	struct span host;
	char shown[80];

	if (value->count == 0)
		return true;
	if (!pattern_check(value, &host))
		return false;
	if (host.len != value->text.len && addr_is_ip_like(host))
		return config_bad(value,
				  "'%s': addresses have no wildcards; put the network into "
				  "egress.allow.networks",
				  config_show(value->text, shown, sizeof(shown)));
	names->at[names->count++] = config_host_copy(value->read->config, value->text);
	return true;
}

#define WORD_MAX 255 /* a protocol name of ALPN, RFC 7301 3.1 */

bool config_type_words(struct config_value *value)
{
	struct config_names *names = names_begin(value);
	struct span word = value->text;
	bool is_good = word.len > 0 && word.len <= WORD_MAX;
	char shown[80];

	if (value->count == 0)
		return config_bad(value, "the list is empty; name something, or remove the key");
	for (size_t i = 0; i < word.len; i++)
		is_good &= word.at[i] > ' ' && word.at[i] < 0x7f;
	if (!is_good)
		return config_bad(value,
				  "'%s' is not a word; write 1 to %d printable ASCII characters "
				  "without blanks",
				  config_show(word, shown, sizeof(shown)), WORD_MAX);
	names->at[names->count++] = config_copy(value->read->config, word);
	return true;
}

bool config_type_rules(struct config_value *value)
{
	struct config_names *names = names_begin(value);
	struct span rule = value->text;
	bool is_good = rule.len > 0 && rule.len <= WORD_MAX && rule.at[0] != ' ' &&
		       rule.at[rule.len - 1] != ' ';
	char shown[80];

	if (value->count == 0)
		return config_bad(value, "the list is empty; name something, or remove the key");
	for (size_t i = 0; i < rule.len; i++)
		is_good &= rule.at[i] >= ' ' && rule.at[i] != 0x7f;
	if (!is_good)
		return config_bad(value,
				  "'%s' is not a rule; write 1 to %d printable characters without "
				  "blanks around them",
				  config_show(rule, shown, sizeof(shown)), WORD_MAX);
	names->at[names->count++] = config_copy(value->read->config, rule);
	return true;
}

#define PATH_MAX_LEN 4096

bool config_type_paths(struct config_value *value)
{
	struct config_names *names = names_begin(value);
	struct span path = value->text;
	bool is_good = path.len > 0 && path.len <= PATH_MAX_LEN && path.at[0] == '/';
	char shown[80];

	if (value->count == 0)
		return config_bad(value, "the list is empty; name something, or remove the key");
	for (size_t i = 0; i < path.len; i++)
		is_good &= path.at[i] >= ' ' && path.at[i] != 0x7f;
	if (!is_good)
		return config_bad(value, "'%s' is not an absolute path; begin it with /",
				  config_show(path, shown, sizeof(shown)));
	names->at[names->count++] = config_copy(value->read->config, path);
	return true;
}

void config_print_hosts(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out)
{
	const struct config_names *names = (const void *)((const uint8_t *)unit + row->offset);

	(void)config;
	for (uint32_t i = 0; i < names->count; i++) {
		fputs(i == 0 ? "[" : ", ", out);
		config_text_print(out, names->at[i]);
	}
	fputs(names->count == 0 ? "[]" : "]", out);
}

/* ---- networks -------------------------------------------------------------------------------- */

bool config_type_cidrs(struct config_value *value)
{
	struct config_cidrs *cidrs = value->field;
	struct cidr cidr;
	char shown[80];

	if (value->item == 0)
		*cidrs = (struct config_cidrs){ .at = config_alloc(value->read->config,
								   sizeof(cidr) * value->count) };
	if (value->count == 0)
		return true;
	if (!addr_parse_cidr(value->text, &cidr))
		return config_bad(value,
				  "'%s' is not a network; write 10.0.0.0/8, 2001:db8::/32 or a "
				  "bare address",
				  config_show(value->text, shown, sizeof(shown)));
	cidrs->at[cidrs->count++] = cidr;
	return true;
}

void config_print_cidrs(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out)
{
	const struct config_cidrs *cidrs = (const void *)((const uint8_t *)unit + row->offset);

	(void)config;
	for (uint32_t i = 0; i < cidrs->count; i++) {
		char text[ADDR_TEXT_MAX];

		fprintf(out, "%s\"%s\"", i == 0 ? "[" : ", ",
			addr_format_cidr(&cidrs->at[i], text));
	}
	fputs(cidrs->count == 0 ? "[]" : "]", out);
}

/* ---- ports ----------------------------------------------------------------------------------- */

bool config_type_ports(struct config_value *value)
{
	struct config_ports *ports = value->field;
	uint64_t port;
	char shown[60];

	if (value->item == 0)
		*ports = (struct config_ports){
			.at = config_alloc(value->read->config, sizeof(ports->at[0]) * value->count)
		};
	if (value->count == 0)
		return true;
	if (span_is(value->text, "*")) {
		ports->is_any = true;
		return true;
	}
	if (!span_to_u64(value->text, &port) || port == 0 || port > UINT16_MAX)
		return config_bad(value,
				  "'%s' is not a port; write numbers from 1 to 65535, or \"*\" "
				  "for any",
				  config_show(value->text, shown, sizeof(shown)));
	ports->at[ports->count++] = (uint16_t)port;
	return true;
}

void config_print_ports(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out)
{
	const struct config_ports *ports = (const void *)((const uint8_t *)unit + row->offset);

	(void)config;
	fputs(ports->is_any ? "[\"*\"" : "[", out);
	for (uint32_t i = 0; i < ports->count; i++)
		fprintf(out, "%s%u", i > 0 || ports->is_any ? ", " : "", ports->at[i]);
	fputs("]", out);
}

/* ---- broker URLs ----------------------------------------------------------------------------- */

#define PULSAR_PORT	6650
#define PULSAR_TLS_PORT 6651

bool config_type_urls(struct config_value *value)
{
	struct config_cluster *cluster = value->unit;
	struct config *config = value->read->config;
	struct span rest = value->text;
	bool is_tls = span_starts(rest, "pulsar+ssl://");
	struct span host;
	uint16_t port = is_tls ? PULSAR_TLS_PORT : PULSAR_PORT;
	char shown[100];

	if (value->item == 0) {
		cluster->urls = config_alloc(config, sizeof(cluster->urls[0]) * value->count);
		cluster->url_count = 0;
	}
	if (value->count == 0)
		return config_bad(value, "the list is empty; write [pulsar://broker-1:6650]");
	config_show(value->text, shown, sizeof(shown));
	if (!span_skip(&rest, strlen(is_tls ? "pulsar+ssl://" : "pulsar://")) ||
	    (!is_tls && !span_starts(value->text, "pulsar://")))
		return config_bad(value, "'%s' is not a broker URL; write pulsar://host:6650",
				  shown);
	if (rest.len > 0 && rest.at[rest.len - 1] == '/')
		rest.len--;
	if (span_find(rest, ',') < rest.len)
		return config_bad(value,
				  "'%s': one URL per item; write [pulsar://a:6650, "
				  "pulsar://b:6650]",
				  shown);
	bool is_bare_v6 = rest.len > 1 && rest.at[0] == '[' && rest.at[rest.len - 1] == ']';

	if (is_bare_v6)
		host = span_of(rest.at + 1, rest.len - 2);
	else if (span_find(rest, ':') == rest.len)
		host = rest;
	else if (!addr_split(rest, &host, &port))
		return config_bad(value,
				  "'%s' is not a broker URL; write pulsar://host:6650 and "
				  "nothing behind the port",
				  shown);
	if (!config_host_check(value, host))
		return false;
	cluster->urls[cluster->url_count++] = (struct config_url){
		.host = config_host_copy(config, host),
		.port = port,
		.is_tls = is_tls,
	};
	return true;
}

void config_print_urls(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out)
{
	const struct config_cluster *cluster = unit;

	(void)config;
	(void)row;
	for (uint32_t i = 0; i < cluster->url_count; i++) {
		const struct config_url *url = &cluster->urls[i];

		fputs(i == 0 ? "[" : ", ", out);
		config_host_print(out, url->is_tls ? "pulsar+ssl://" : "pulsar://", url->host,
				  url->port);
	}
	fputs(cluster->url_count == 0 ? "[]" : "]", out);
}

/* ---- targets of routes ----------------------------------------------------------------------- */

/* A name or an address; or a name with "{1}" in it, which is checked as if a name stood there. */
static bool target_check(struct config_value *value, struct span host, bool *ret_is_derived)
{
	static const char capture[] = "{1}";
	char text[HOST_MAX], shown[80];
	struct sink sink = sink_of(text, sizeof(text));
	uint8_t byte;

	*ret_is_derived = false;
	while (host.len > 0) {
		bool is_capture = span_starts(host, capture) && span_skip(&host, strlen(capture));

		*ret_is_derived |= is_capture;
		if (is_capture)
			sink_u8(&sink, 'x');
		else if (span_u8(&host, &byte))
			sink_u8(&sink, byte);
	}
	if (span_find(sink_written(&sink), '{') < sink.len ||
	    span_find(sink_written(&sink), '}') < sink.len)
		return config_bad(
			value,
			"'%s': {1}, what the wildcard of host stands for, is all there is "
			"to be put in",
			config_show(value->text, shown, sizeof(shown)));
	return config_host_check(value, sink_written(&sink));
}

bool config_type_targets(struct config_value *value)
{
	struct config_route *route = value->unit;
	struct config *config = value->read->config;
	struct config_target target;
	struct span host;
	char shown[80];

	if (value->item == 0) {
		route->targets = config_alloc(config, sizeof(target) * value->count);
		route->target_count = 0;
	}
	if (value->count == 0)
		return config_bad(value, "the list is empty; write \"host:port\"");
	if (!addr_split(value->text, &host, &target.port))
		return config_bad(value,
				  "'%s' is not host:port; write it like 10.0.0.1:6651, "
				  "[2001:db8::9]:6651 or {1}.internal:6651",
				  config_show(value->text, shown, sizeof(shown)));
	if (!target_check(value, host, &target.is_derived))
		return false;
	target.host = config_host_copy(config, host);
	route->targets[route->target_count++] = target;
	return true;
}

void config_print_targets(const struct config *config, const struct config_row *row,
			  const void *unit, FILE *out)
{
	const struct config_route *route = unit;

	(void)config;
	(void)row;
	for (uint32_t i = 0; i < route->target_count; i++) {
		fputs(i > 0 ? ", " : route->target_count > 1 ? "[" : "", out);
		config_host_print(out, "", route->targets[i].host, route->targets[i].port);
	}
	fputs(route->target_count > 1 ? "]" : "", out);
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

bool config_type_cpus(struct config_value *value)
{
	struct cpu_list *cpus = value->field;
	struct cpu_list list;
	char text[256];
	char shown[60];

	if (!span_to_str(value->text, text, sizeof(text)) || !cpu_parse(text, &list) ||
	    list.count == 0)
		return config_bad(value,
				  "'%s' is not a list of CPUs; write numbers and ranges, like "
				  "2-5,8",
				  config_show(value->text, shown, sizeof(shown)));
	*cpus = list;
	return true;
}

void config_print_cpus(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out)
{
	const struct cpu_list *cpus = (const void *)((const uint8_t *)unit + row->offset);

	(void)config;
	fputc('"', out);
	for (uint32_t i = 0; i < cpus->count;) {
		uint32_t end = i;

		while (end + 1 < cpus->count && cpus->cpu[end + 1] == cpus->cpu[end] + 1)
			end++;
		fprintf(out, "%s%u", i > 0 ? "," : "", cpus->cpu[i]);
		if (end > i)
			fprintf(out, "-%u", cpus->cpu[end]);
		i = end + 1;
	}
	fputc('"', out);
}
