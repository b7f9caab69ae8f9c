/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_import: what the readers of Apache Traffic Server's files gather, and what the writer
 * makes penstock.yaml of.
 *
 *     sni.yaml, Lua ---------> rules -----+
 *     records.* --> binds, ports, TLS ----+--> plan: routes of each listener --> penstock.yaml
 *     ssl_multicert.config --> pairs -----+
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

#define IMPORT_PAIRS_MAX    64 /* certificates that tls.cert_file takes */

struct import_range {
	uint16_t low, high;
};

/* A setting and where it stood. */
struct import_record {
	struct config_mark mark;
	const char *text; /* NULL: in no file */
};

/* What an entry does with TLS. Of several the first counts, as in ATS. */
enum import_mode { IMPORT_PASS, IMPORT_TERMINATE, IMPORT_REENCRYPT, IMPORT_MODES };

/* Keys of an entry that mean something where TLS ends. */
enum import_tls_key {
	IMPORT_VERIFY_CLIENT,
	IMPORT_CLIENT_CA,
	IMPORT_MIN_VERSION,
	IMPORT_MAX_VERSION,
	IMPORT_TICKETS,
	IMPORT_SUITES,	  /* of TLS 1.2 */
	IMPORT_SUITES_13, /* of TLS 1.3 */
	/* With another TLS behind it: */
	IMPORT_ALPN,
	IMPORT_POLICY,
	IMPORT_PROPERTIES,
	IMPORT_OUT_CERT,
	IMPORT_OUT_KEY,
	IMPORT_OUT_NAME,
	IMPORT_TLS_KEYS,
};

/* Settings of records.* of the same kind. */
enum import_setting {
	IMPORT_SET_CERT_PATH,
	IMPORT_SET_KEY_PATH,
	IMPORT_SET_VERIFY_CLIENT,
	IMPORT_SET_CA_PATH,
	IMPORT_SET_CA_FILE,
	IMPORT_SET_SUITES,
	IMPORT_SET_SUITES_13,
	/* With another TLS behind it: */
	IMPORT_SET_OUT_CERT_PATH,
	IMPORT_SET_OUT_CERT_FILE,
	IMPORT_SET_OUT_KEY_PATH,
	IMPORT_SET_OUT_KEY_FILE,
	IMPORT_SET_OUT_CA_PATH,
	IMPORT_SET_OUT_CA_FILE,
	IMPORT_SET_OUT_POLICY,
	IMPORT_SET_OUT_PROPERTIES,
	IMPORT_SET_OUT_NAME,
	IMPORT_SET_OUT_SUITES,
	IMPORT_SET_OUT_SUITES_13,
	IMPORT_SETTINGS,
};

/* What has become of them: keys of a route; NULL: left to the default. */
struct import_tls {
	const char *client_auth, *client_ca_file, *min_version, *max_version, *alpn, *ciphers;
	bool has_no_tickets;
	const char *ca_file, *verify, *cert_file, *key_file, *out_ciphers;
	bool is_named_by_client;
};

/* One entry of sni.yaml or of server_config. */
struct import_rule {
	struct config_mark mark;
	const char *fqdn; /* as written, safe to show; NULL: none */
	const char *name; /* without '*': ".example.com", or "" for all; NULL: no name to route */
	size_t name_len;
	bool is_wild;
	bool is_left;  /* not carried over; a finding says why */
	bool is_laxer; /* a demand on certificates or versions got lost */

	enum import_mode mode;			   /* IMPORT_MODES: it has no route */
	struct import_record routes[IMPORT_MODES]; /* as written */
	struct import_record keys[IMPORT_TLS_KEYS];
	struct import_tls tls; /* by config_import_tls */
	const char *networks;  /* of ip_allow, with commas; NULL: all */
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
	struct import_record settings[IMPORT_SETTINGS];
	struct import_pair {
		struct import_record cert, key;
	} pairs[IMPORT_PAIRS_MAX]; /* the default first */
	uint32_t pair_count;
	bool has_default; /* dest_ip=* */
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
/* "tunnel_route" and so on. */
const char *config_import_mode_key(enum import_mode mode);
/* Where its route leads. A rule whose target cannot be written is left. */
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

/* ---- config_import_tls.c, config_import_cert.c, config_import_suite.c ------------------------ */

/* A key of an entry that it keeps for later; false: another. */
bool config_import_tls_key(struct config_import *import, struct import_rule *rule, struct span key,
			   struct span value, struct config_mark mark);
/* A setting of records.* that it keeps for later; false: another. */
bool config_import_tls_record(struct config_import *import, struct span name, struct span value,
			      struct config_mark mark);
/* When all files are read: what is known of certificates, and what no route wants. */
void config_import_tls_begin(struct config_import *import);
/* How its route speaks TLS. A rule that cannot be kept as strict as it is is left. */
void config_import_tls(struct config_import *import, struct import_rule *rule);
/* The tls of a listener: the certificates alone. */
void config_import_tls_write_pairs(const struct config_import *import, FILE *out);
/* Does it differ from that of its listener? */
bool config_import_tls_is_own(const struct import_rule *rule);
/* ", mode: terminate, tls: { ... }" of a route. */
void config_import_tls_write(const struct config_import *import, const struct import_rule *rule,
			     FILE *out);
void config_import_certs(struct config_import *import, struct span text);
/* "name" in the folder of the setting, else in that of ATS's configuration, which is where the file
 * was that names it. NULL: nobody can know. */
const char *config_import_path(struct config_import *import, enum import_setting folder,
			       const struct import_record *name);
/* What is in the file "name", found in the same way; the caller frees. NULL: it cannot be read. */
char *config_import_file(struct config_import *import, const struct import_record *name,
			 size_t *ret_len);
/* What `ciphers` is to say for the lists that OpenSSL takes for TLS 1.2 and for 1.3, whose text is
 * NULL where nothing is asked for. NULL: all that is spoken. */
const char *config_import_suites(struct config_import *import, const struct import_record *list,
				 const struct import_record *list_13);

/* ---- config_import_write.c ------------------------------------------------------------------- */

void config_import_write(struct config_import *import, FILE *out);
