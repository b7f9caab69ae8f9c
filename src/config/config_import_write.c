/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import_write: which listener has which routes, and penstock.yaml with the reasons beside.
 *
 * ATS takes the first entry that matches; penstock the exact name, then the longest wildcard. Since
 * wildcards only stand at the front, two that overlap lie one inside the other: without the entries
 * that an earlier one hides, both rules choose the same.
 */
#include "config_import.h"

struct route {
	const struct import_rule *rule;
	uint16_t port;
};

struct plan {
	struct config_import *import;
	uint32_t first[CONFIG_LISTENERS_MAX + 1]; /* of the routes of each listener */
	uint32_t route_count;
	struct route routes[CONFIG_ROUTES_MAX];
};

/* ---- plan ------------------------------------------------------------------------------------ */

/* An earlier entry, for this port, that takes every client of this one; or NULL. */
static const struct import_rule *hider_of(const struct config_import *import, uint32_t index,
					  uint16_t port)
{
	const struct import_rule *rules = import->rules;

	for (uint32_t i = 0; i < index; i++)
		if (config_import_has_port(&rules[i], port) &&
		    config_import_covers(&rules[i], &rules[index]))
			return &rules[i];
	return NULL;
}

static bool host_add(struct config_import *import, const char *pattern)
{
	for (uint32_t i = 0; i < import->host_count; i++)
		if (strcmp(import->hosts[i], pattern) == 0)
			return true;
	if (import->host_count == IMPORT_HOSTS_MAX)
		return false;
	if (import->hosts == NULL)
		import->hosts =
			config_alloc(import->arena, IMPORT_HOSTS_MAX * sizeof(import->hosts[0]));
	import->hosts[import->host_count++] = pattern;
	return true;
}

/* NULL, or why there can be no such route. */
static const char *route_fault(struct plan *plan, const struct import_rule *rule, uint16_t port)
{
	struct config_import *import = plan->import;

	if (plan->route_count == CONFIG_ROUTES_MAX)
		return "all listeners together have as many routes as penstock takes";
	if (rule->port == 0 && import->connect_ports.text != NULL &&
	    !config_import_ports_has(&import->connect, port))
		return "leads to the port clients come to, which is not in connect_ports: ATS "
		       "refuses that";
	if (rule->is_derived &&
	    (!config_import_ports_add(&import->allowed, port) || !host_add(import, rule->pattern)))
		return "egress.allow takes no more ports or hosts";
	return NULL;
}

static void route_plan(struct plan *plan, uint32_t index, uint16_t listener_port)
{
	struct config_import *import = plan->import;
	const struct import_rule *rule = &import->rules[index];
	const struct import_rule *hider = hider_of(import, index, listener_port);
	uint16_t port = rule->port != 0 ? rule->port : listener_port;

	if (hider != NULL) {
		config_import_note(import, rule->mark,
				   "fqdn %s: ATS never gets to it on port %u, since %s (%s:%u) "
				   "comes first: left out",
				   rule->fqdn, listener_port, hider->fqdn, hider->mark.file,
				   hider->mark.line);
		return;
	}
	const char *why = route_fault(plan, rule, port);

	if (why != NULL)
		config_import_left(import, rule->routes[rule->mode].mark, "%s of %s, port %u: %s",
				   config_import_mode_key(rule->mode), rule->fqdn, listener_port,
				   why);
	else
		plan->routes[plan->route_count++] = (struct route){ .rule = rule, .port = port };
}

static bool has_route(const struct plan *plan, uint32_t first, const struct import_rule *rule)
{
	for (uint32_t i = first; i < plan->route_count; i++)
		if (plan->routes[i].rule == rule)
			return true;
	return false;
}

/* Clients of an entry that has no route may fall under one that was meant for others. */
static void falls_check(struct plan *plan, uint32_t index, uint32_t first, uint16_t port)
{
	struct config_import *import = plan->import;
	const struct import_rule *rule = &import->rules[index];

	if (has_route(plan, first, rule) || hider_of(import, index, port) != NULL)
		return;
	for (uint32_t i = first; i < plan->route_count; i++) {
		const struct import_rule *other = plan->routes[i].rule;

		if (!config_import_covers(other, rule))
			continue;
		config_import_left(import, rule->mark,
				   "fqdn %s: is left out, so on port %u its clients fall under %s "
				   "(%s:%u): give them a route of their own",
				   rule->fqdn, port, other->fqdn, other->mark.file,
				   other->mark.line);
		return;
	}
}

static void listener_plan(struct plan *plan, uint32_t index)
{
	struct config_import *import = plan->import;
	const struct import_bind *bind = &import->binds[index];
	uint32_t first = plan->route_count;

	plan->first[index] = first;
	for (uint32_t i = 0; i < import->rule_count; i++)
		if (!import->rules[i].is_left &&
		    config_import_has_port(&import->rules[i], bind->addr.port))
			route_plan(plan, i, bind->addr.port);
	for (uint32_t i = 0; i < import->rule_count; i++)
		if (config_import_has_port(&import->rules[i], bind->addr.port))
			falls_check(plan, i, first, bind->addr.port);
	plan->first[index + 1] = plan->route_count;
	if (plan->route_count == first)
		config_import_left(import, bind->mark,
				   "port %u: %s, and a listener without routes leads nowhere: left "
				   "out",
				   bind->addr.port,
				   import->rule_count > 0 ? "there is no route for it"
							  : "no sni.yaml was given");
}

/* An entry that no listener's port is in the ranges of. */
static void ranges_check(struct config_import *import, const struct import_rule *rule)
{
	for (uint32_t i = 0; i < import->bind_count; i++)
		if (config_import_has_port(rule, import->binds[i].addr.port))
			return;
	config_import_left(import, rule->mark,
			   "fqdn %s: no listener has a port of its inbound_port_ranges: left out",
			   rule->fqdn);
}

static struct plan *plan_make(struct config_import *import)
{
	struct plan *plan = config_alloc(import->arena, sizeof(*plan));
	bool has_route = false;

	plan->import = import;
	config_import_tls_begin(import);
	for (uint32_t i = 0; i < import->rule_count; i++) {
		config_import_target(import, &import->rules[i]);
		config_import_tls(import, &import->rules[i]);
		has_route |= !import->rules[i].is_left;
	}
	if (import->bind_count == 0 && has_route) {
		config_import_left(import, import->server_ports.mark,
				   "server_ports: %s, so port %d is a guess; set bind",
				   import->server_ports.text != NULL ? "has no TLS port (:ssl)"
								     : "is in no file given",
				   IMPORT_PORT_GUESS);
		import->binds[import->bind_count++].addr = addr_v4(0, IMPORT_PORT_GUESS);
	}
	for (uint32_t i = 0; i < import->rule_count; i++)
		if (!import->rules[i].is_left)
			ranges_check(import, &import->rules[i]);
	for (uint32_t i = 0; i < import->bind_count; i++)
		listener_plan(plan, i);
	return plan;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* The end of a line, with where it comes from. */
static void line_end(FILE *out, struct config_mark mark)
{
	if (mark.line > 0)
		fprintf(out, "  # %s:%u", mark.file, mark.line);
	fputc('\n', out);
}

static void findings_write(const struct config_import *import, bool is_note, const char *title,
			   FILE *out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < import->finding_count; i++) {
		const struct import_finding *finding = &import->findings[i];

		if (finding->is_note != is_note)
			continue;
		if (count++ == 0)
			fprintf(out, "#\n# %s\n", title);
		fputs("#   ", out);
		if (finding->mark.line > 0)
			fprintf(out, "%s:%u: ", finding->mark.file, finding->mark.line);
		fprintf(out, "%s\n", finding->text);
	}
	if (!is_note && import->left_count > count)
		fprintf(out, "#   and %u more, named on standard error\n",
			import->left_count - count);
}

static void header_write(const struct config_import *import, FILE *out)
{
	fputs("# penstock.yaml, made by `penstock import` from files of Apache Traffic Server (ATS).\n"
	      "# Read it, then check it: penstock check -c FILE\n"
	      "#\n"
	      "# - The wildcard *.name of ATS takes names of any depth. That is **.name here: *.name would be\n"
	      "#   one label, as in certificates.\n"
	      "# - ATS takes the first entry that matches. Here the exact name wins, then the longest wildcard,\n"
	      "#   which comes to the same, since entries that ATS never gets to are left out.\n"
	      "# - Where no entry matches, ATS ends TLS itself. Here such clients are refused with a TLS alert;\n"
	      "#   `unknown` and `no_sni` of a listener can name a route instead.\n",
	      out);
	findings_write(import, true, "Remarks:", out);
	findings_write(import, false, "Not carried over:", out);
	fputc('\n', out);
}

static void ports_write(const struct config_import *import, FILE *out)
{
	const char *between = "";

	fputc('[', out);
	for (uint32_t port = 1; port <= UINT16_MAX && !import->allowed.is_any; port++)
		if (config_import_ports_has(&import->allowed, (uint16_t)port)) {
			fprintf(out, "%s%u", between, port);
			between = ", ";
		}
	fputs(import->allowed.is_any ? "\"*\"]" : "]", out);
}

static void route_write(const struct config_import *import, const struct route *route, FILE *out)
{
	const struct import_rule *rule = route->rule;

	fprintf(out, "      - { host: \"%s%s\", forward: ",
		!rule->is_wild	     ? ""
		: rule->name_len > 0 ? "**"
				     : "*",
		rule->name);
	config_host_print(out, "", rule->host, route->port);
	if (rule->networks != NULL) {
		struct span rest = span_str(rule->networks), network;
		const char *between = ", allow: [";

		while (config_import_word(&rest, &network)) {
			fprintf(out, "%s\"%.*s\"", between, (int)network.len,
				(const char *)network.at);
			between = ", ";
		}
		fputc(']', out);
	}
	config_import_tls_write(import, rule, out);
	fputs(" }", out);
	line_end(out, rule->mark);
}

/* Does one of its routes end TLS with the listener's certificates? */
static bool ends_tls(const struct plan *plan, uint32_t index)
{
	for (uint32_t i = plan->first[index]; i < plan->first[index + 1]; i++) {
		const struct import_rule *rule = plan->routes[i].rule;

		if (rule->mode != IMPORT_PASS && !config_import_tls_is_own(rule))
			return true;
	}
	return false;
}

/* The route of "*", which in ATS is also that of clients without a name; or NULL. */
static const struct import_rule *nameless_of(const struct plan *plan, uint32_t index)
{
	for (uint32_t i = plan->first[index]; i < plan->first[index + 1]; i++) {
		const struct import_rule *rule = plan->routes[i].rule;

		if (rule->is_wild && rule->name_len == 0 && !rule->is_derived)
			return rule;
	}
	return NULL;
}

static void listener_write(const struct plan *plan, uint32_t index, FILE *out)
{
	const struct config_import *import = plan->import;
	const struct import_bind *bind = &import->binds[index];
	const struct import_rule *nameless = nameless_of(plan, index);
	bool is_alone = true;
	char text[ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < index; i++)
		is_alone &= import->binds[i].addr.port != bind->addr.port;
	fprintf(out, "  - name: tls-%u", bind->addr.port);
	if (!is_alone)
		fprintf(out, "-%u", index);
	fprintf(out, "\n    bind: \"%s\"", addr_format(&bind->addr, text));
	line_end(out, bind->mark);
	if (addr_kind(&bind->addr) == ADDR_UNSPECIFIED && !addr_is_v4(&bind->addr))
		fputs("    # [::] takes IPv4 as well.\n", out);
	/* Empty would be a mistake; no target depends on it then. */
	if (import->allowed.is_any || import->allowed.count > 0) {
		fputs("    allow_ports: ", out);
		ports_write(import, out);
		line_end(out, import->connect_ports.mark);
	}
	if (nameless != NULL) {
		fputs("    no_sni: \"*\"", out);
		line_end(out, nameless->mark);
	}
	if (ends_tls(plan, index)) {
		fputs("    tls: { ", out);
		config_import_tls_write_pairs(import, out);
		fputs(" }\n", out);
	}
	fputs("    routes:\n", out);
	for (uint32_t i = plan->first[index]; i < plan->first[index + 1]; i++)
		route_write(import, &plan->routes[i], out);
}

static void egress_write(const struct config_import *import, FILE *out)
{
	if (import->host_count == 0)
		return;
	fputs("\n# Clients have a say in where {1} leads: add networks: [...] to bound that further.\n"
	      "egress:\n  allow:\n    hosts: [",
	      out);
	for (uint32_t i = 0; i < import->host_count; i++)
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", import->hosts[i]);
	fputs("]\n    ports: ", out);
	ports_write(import, out);
	fputc('\n', out);
}

/* Its own port, unless a listener has it. */
static uint16_t admin_port(const struct config_import *import)
{
	uint16_t port = 9180;

	for (uint32_t i = 0; i < import->bind_count; i++)
		if (import->binds[i].addr.port == port) {
			port++;
			i = UINT32_MAX; /* from the beginning */
		}
	return port;
}

void config_import_write(struct config_import *import, FILE *out)
{
	const struct plan *plan = plan_make(import);

	header_write(import, out);
	if (plan->route_count == 0)
		fputs("# No listeners: nothing could be carried over.\n", out);
	else
		fputs("listeners:\n", out);
	for (uint32_t i = 0; i < import->bind_count; i++)
		if (plan->first[i + 1] > plan->first[i])
			listener_write(plan, i, out);
	egress_write(import, out);
	fprintf(out, "\nadmin: { listen: \"127.0.0.1:%u\" }\n", admin_port(import));
}
