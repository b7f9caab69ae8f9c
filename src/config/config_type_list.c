/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_type_list: the value types that are lists. Items come one at a time with the number of
 * all of them, so that the first can make room for the rest.
 */
#include <ctype.h>

#include "config_priv.h"

/* ---- names
 * ---------------------------------------------------------------------------------------- */

bool config_type_hosts(struct config_value *value)
{
	struct config_names *names = value->field;
	struct config *config = value->read->config;
	struct span host = value->text;
	char shown[80];

	if (value->item == 0)
		*names = (struct config_names){ .at = config_alloc(config, sizeof(names->at[0]) *
										   value->count) };
	if (value->count == 0)
		return true;
	if (!span_is(value->text, "*")) {
		/* The wildcard stands for whole labels, as in certificates. */
		if (span_starts(host, "**."))
			host = span_of(host.at + 3, host.len - 3);
		else if (span_starts(host, "*."))
			host = span_of(host.at + 2, host.len - 2);
		if (span_find(host, '*') < host.len)
			return config_bad(value,
					  "'%s': a wildcard stands at the beginning, for whole "
					  "labels; write *.suffix (one label), **.suffix "
					  "(one or more) or *",
					  config_show(value->text, shown, sizeof(shown)));
		if (!config_host_check(value, host))
			return false;
		if (host.len != value->text.len && addr_is_ip_like(host))
			return config_bad(value,
					  "'%s': addresses have no wildcards; put the network "
					  "into egress.allow.networks",
					  config_show(value->text, shown, sizeof(shown)));
	}
	names->at[names->count++] = config_host_copy(config, value->text);
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

/* ---- networks
 * ------------------------------------------------------------------------------------- */

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
		struct addr addr = { .is_set = 1 };
		char text[ADDR_TEXT_MAX];

		memcpy(addr.ip, cidrs->at[i].ip, sizeof(addr.ip));
		/* bits count on the mapped form; ::/0 is not an IPv4 network. */
		bool is_v4 = addr_is_v4(&addr) && cidrs->at[i].bits >= 96;

		fprintf(out, "%s\"%s/%d\"", i == 0 ? "[" : ", ", addr_format_ip(&addr, text),
			is_v4 ? cidrs->at[i].bits - 96 : cidrs->at[i].bits);
	}
	fputs(cidrs->count == 0 ? "[]" : "]", out);
}

/* ---- ports
 * ---------------------------------------------------------------------------------------- */

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

/* ---- broker URLs
 * ---------------------------------------------------------------------------------- */

#define PULSAR_PORT 6650

bool config_type_urls(struct config_value *value)
{
	struct config_cluster *cluster = value->unit;
	struct config *config = value->read->config;
	struct span rest = value->text;
	struct span host;
	uint16_t port = PULSAR_PORT;
	char shown[100];

	if (value->item == 0) {
		cluster->urls = config_alloc(config, sizeof(cluster->urls[0]) * value->count);
		cluster->url_count = 0;
	}
	if (value->count == 0)
		return config_bad(value, "the list is empty; write [pulsar://broker-1:6650]");
	config_show(value->text, shown, sizeof(shown));
	if (span_starts(rest, "pulsar+ssl://"))
		return config_bad(value,
				  "'%s': TLS to brokers is not in this version of penstock; "
				  "write the broker's pulsar:// URL",
				  shown);
	if (!span_starts(rest, "pulsar://") || !span_skip(&rest, strlen("pulsar://")))
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
	cluster->urls[cluster->url_count++] =
		(struct config_url){ .host = config_host_copy(config, host), .port = port };
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

/* ---- CPUs
 * ----------------------------------------------------------------------------------------- */

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
