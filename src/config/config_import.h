/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import: what the readers of Apache Traffic Server's files gather, and what the writer
 * makes penstock.yaml of.
 *
 *     sni.yaml, Lua --> rules ------------+
 *                                         +--> plan: routes of each listener --> penstock.yaml
 *     records.* ------> binds, ports -----+
 *         all of them --> findings: what is left behind, and where it stood
 *
 * Thread:   the one that imports
 * Memory:   the arena; rules and findings grow in it
 */
#pragma once

#include <penstock/config/import.h>

#include "config_priv.h"

#define IMPORT_FILE_MAX	    ((size_t)1 << 20)
#define IMPORT_RULES_MAX    4096
#define IMPORT_FINDINGS_MAX 1000 /* in comments; standard error has all */
#define IMPORT_RANGES_MAX   32
#define IMPORT_PORTS_MAX    1024 /* what allow_ports takes */
#define IMPORT_HOSTS_MAX    1024 /* what egress.allow.hosts takes */
#define IMPORT_PORT_GUESS   443	 /* to listen on; and what ATS has for connect_ports */

struct import_range {
	uint16_t low, high;
};

/* One entry of sni.yaml or of server_config. */
struct import_rule {
	struct config_mark mark;
	const char *fqdn; /* as written, safe to show; NULL: none */
	const char *name; /* without '*': ".example.com", or "" for all; NULL: no name to route */
	size_t name_len;
	bool is_wild;
	bool is_left; /* not carried over; a finding says why */
	bool has_end; /* a key that ends TLS */

	const char *route; /* tunnel_route; NULL: none */
	struct config_mark route_mark;
	const char *networks; /* of ip_allow, with commas; NULL: all */
	struct import_range ranges[IMPORT_RANGES_MAX];
	uint32_t range_count; /* 0: every port */
	uint32_t taken;	      /* a bit for each key that was there */

	/* By config_import_target: */
	const char *host;    /* with {1} */
	uint16_t port;	     /* 0: the one the client came to */
	bool is_derived;     /* it has a {1} */
	const char *pattern; /* of egress.allow.hosts, when derived */
};

/* Something left behind, which is counted, or a remark. */
struct import_finding {
	struct config_mark mark;
	const char *text;
	bool is_note;
};

/* A setting of records.* and where it stood. */
struct import_record {
	struct config_mark mark;
	const char *text; /* NULL: in no file */
};

/* At most IMPORT_PORTS_MAX ports, or any. */
struct import_ports {
	bool is_any;
	uint32_t count;
	uint8_t bits[8192];
};

struct import_bind {
	struct addr addr;
	struct config_mark mark;
};

struct config_import {
	struct config *arena; /* for its memory */
	struct config_errors *errors;
	uint32_t errors_before;
	const char *file; /* being read */

	struct import_rule *rules;
	uint32_t rule_count, rule_room;
	struct import_finding *findings;
	uint32_t finding_count, finding_room;
	uint32_t left_count; /* that are no notes, with those beyond IMPORT_FINDINGS_MAX */

	struct import_record server_ports, connect_ports;
	struct import_bind binds[CONFIG_LISTENERS_MAX];
	uint32_t bind_count;
	struct import_ports connect; /* connect_ports */
	struct import_ports allowed; /* and those of routes with {1} */
	const char **hosts;	     /* of egress.allow */
	uint32_t host_count;
};

/* ---- config_import.c ------------------------------------------------------------------------- */

void config_import_begin(struct config_import *import, struct config_errors *errors);
/* One file; errors are reported. */
void config_import_text(struct config_import *import, const char *file, const char *text,
			size_t len);
/* After all files; frees everything. False: there were errors, nothing is written. */
MUST_USE bool config_import_end(struct config_import *import, FILE *out, uint32_t *ret_left);

#define IMPORT_ERROR(import, mark, ...) \
	config_error((import)->errors, (mark).file, (mark).line, (mark).column, __VA_ARGS__)

/* Something that is not carried over. */
PRINTF_LIKE(3, 4)
void config_import_left(struct config_import *import, struct config_mark mark, const char *format,
			...);
/* Something to know about what is. */
PRINTF_LIKE(3, 4)
void config_import_note(struct config_import *import, struct config_mark mark, const char *format,
			...);

struct span config_import_trim(struct span text);
/* Takes the next word off a list with blanks or commas; false at the end. */
bool config_import_word(struct span *rest, struct span *ret_word);
/* "443" or "8080-8086". */
bool config_import_range(struct span text, struct import_range *ret_range);

/* ---- config_import_rule.c -------------------------------------------------------------------- */

/* One key of an entry; text.at NULL: neither a single value nor a list of such. */
void config_import_rule_key(struct config_import *import, struct import_rule *rule, struct span key,
			    struct span text, struct config_mark mark);
/* The entry is complete. False: there are too many. */
bool config_import_rule_end(struct config_import *import, const struct import_rule *rule);
/* Where tunnel_route leads. A rule whose target cannot be written is left. */
void config_import_target(struct config_import *import, struct import_rule *rule);
/* Is every name `other` is for one that `rule` is for? */
bool config_import_covers(const struct import_rule *rule, const struct import_rule *other);
/* Is it for clients that come to this port? */
bool config_import_has_port(const struct import_rule *rule, uint16_t port);

/* ---- config_import_yaml.c, config_import_lua.c, config_import_records.c ---------------------- */

void config_import_yaml(struct config_import *import, struct span text);
void config_import_lua(struct config_import *import, struct span text);
void config_import_records(struct config_import *import, struct span text);
/* One setting, of either form of records. */
void config_import_record(struct config_import *import, struct span name, struct span value,
			  struct config_mark mark);

/* ---- config_import_ports.c ------------------------------------------------------------------- */

/* server_ports and connect_ports, when all files are read. */
void config_import_ports(struct config_import *import);
bool config_import_ports_has(const struct import_ports *ports, uint16_t port);
/* False: there are as many as allow_ports takes. */
MUST_USE bool config_import_ports_add(struct import_ports *ports, uint16_t port);

/* ---- config_import_write.c ------------------------------------------------------------------- */

void config_import_write(struct config_import *import, FILE *out);
