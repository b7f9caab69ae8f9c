/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_priv: what the files of src/config share: the rows of config.def as a table, the reading
 * context with the position of every key that was set, and the value types.
 * Thread:   the one that loads; nothing here outlives config_load but the arena
 */
#pragma once

#include <penstock/base/clock.h>
#include <penstock/config.h>

enum config_scope {
	CONFIG_SCOPE_TOP,
	CONFIG_SCOPE_CLUSTER,
	CONFIG_SCOPE_LISTENER,
	CONFIG_SCOPE_ROUTE, /* numbered over all listeners */
};

enum config_type {
	CONFIG_TYPE_COUNT,     /* uint64_t */
	CONFIG_TYPE_SMALL,     /* uint32_t */
	CONFIG_TYPE_DURATION,  /* uint64_t, nanoseconds */
	CONFIG_TYPE_SIZE,      /* uint64_t, bytes */
	CONFIG_TYPE_CHOICE,    /* an enum; the words are in its order */
	CONFIG_TYPE_BOOL,      /* bool */
	CONFIG_TYPE_TEXT,      /* const char * */
	CONFIG_TYPE_PATH,      /* const char *, absolute */
	CONFIG_TYPE_NAME,      /* const char *, of the letters names are made of */
	CONFIG_TYPE_HOST,      /* const char *, a server name or a wildcard */
	CONFIG_TYPE_ADDR,      /* struct addr */
	CONFIG_TYPE_ADMIN,     /* config.admin */
	CONFIG_TYPE_WEB,       /* config.web.is_on and .listen */
	CONFIG_TYPE_SERVERS,   /* const char *, a ZooKeeper connect string with all ports */
	CONFIG_TYPE_FORWARD,   /* forward_host and forward_port */
	CONFIG_TYPE_NODES_AT,  /* node_host and node_port of a cluster */
	CONFIG_TYPE_ADVERTISE, /* kafka.advertise and kafka.advertise_port of a listener, a route */
	CONFIG_TYPE_CLUSTER,   /* int32_t: the name is resolved when all clusters are known */
	CONFIG_TYPE_WORKERS,   /* uint32_t; auto is 0 until config_check */
	CONFIG_TYPE_CPUS,      /* struct cpu_list */
	CONFIG_TYPE_HOSTS,     /* struct config_names; this and what follows are lists */
	CONFIG_TYPE_CIDRS,     /* struct config_cidrs */
	CONFIG_TYPE_PORTS,     /* struct config_ports */
	CONFIG_TYPE_URLS,      /* struct config_url *urls and url_count */
	CONFIG_TYPE_WORDS,     /* struct config_names, of any printable characters */
	CONFIG_TYPE_RULES,     /* the same, and blanks and what is not ASCII within them */
	CONFIG_TYPE_PATHS,     /* struct config_names, absolute; a single one is no list */
	CONFIG_TYPE_TARGETS,   /* targets and target_count of a route; a single one is no list */
	CONFIG_TYPE_BOOTSTRAP, /* struct config_url *urls and url_count, of Kafka */
	CONFIG_TYPE_IDS,       /* kafka.ids and kafka.id_count of a listener */
	CONFIG_TYPE_LAST,
};

enum { CONFIG_FLAG_OFF = 1, CONFIG_FLAG_ZERO = 2, CONFIG_FLAG_RESTART = 4 };

/* A frame of 64 KiB is to hold a token beside a client's own credentials. */
#define CONFIG_TOKEN_MAX 16384

/* Up to CONFIG_TOKEN_MAX + 1 bytes; NULL, or what is wrong with it. `is_open`: everybody may read
 * it.
 */
MUST_USE const char *config_token_read(const char *path, uint8_t *ret_bytes, size_t *ret_len,
				       bool *ret_open);

/* One line: blanks within it are part of it, the line's end is not. As config_token_read, and one
 * that everybody may read will not do. */
MUST_USE const char *config_password_read(const char *path, uint8_t *ret_bytes, size_t *ret_len);

/* The file of a cluster's users; as config_clients_read, and whether all of them can be said
 * (wire/sasl.h). */
MUST_USE const char *config_sasl_users_read(const struct config_broker_sasl *sasl,
					    struct config_clients **ret_users, uint32_t *ret_line);
/* The same for who asks brokers, and the file of the password. */
MUST_USE const char *config_sasl_asker_read(const struct config_ask_sasl *sasl,
					    struct config_clients **ret_users);

struct config_row {
	enum config_scope scope;
	const char *path;
	enum config_type type;
	uint32_t offset;
	const char *initial;
	uint64_t low, high;
	uint32_t flags;
	const char *hint;
	const char *text;
};

struct config_section {
	enum config_scope scope;
	const char *path;
	const char *text;
};

#define CONFIG_NO_SECTION(scope, path, text)
#define CONFIG_NO_OPTION(scope, path, type, field, initial, low, high, flags, hint, text)

enum {
#define SECTION									CONFIG_NO_SECTION
#define OPTION(scope, path, type, field, initial, low, high, flags, hint, text) +1
	CONFIG_ROW_COUNT = 0
#include <penstock/config/config.def>
#undef SECTION
#undef OPTION
};

enum { CONFIG_UNITS = 1 + CONFIG_CLUSTERS_MAX + CONFIG_LISTENERS_MAX + CONFIG_ROUTES_MAX };

extern const struct config_row config_rows[CONFIG_ROW_COUNT];
extern const struct config_section config_sections[];
extern const uint32_t config_section_count;

/* Where something was written; line 0: nowhere. */
struct config_mark {
	const char *file;
	uint32_t line, column;
};

/* A cluster's name, until all are known. */
struct config_wanted {
	struct config_wanted *next;
	const struct config_row *row;
	uint32_t index;
	const char *name;
};

/* A configuration in the making. */
struct config_read {
	struct config *config;
	struct config_errors *errors;
	/* The file itself, then the clusters, the listeners, the routes. NULL: there is no such
	 * unit (yet). */
	struct config_mark *marks[CONFIG_UNITS]; /* a row each */
	struct config_mark unit_marks[CONFIG_UNITS];
	struct config_wanted *wanted; /* the newest first */
	uint32_t route_room;	      /* config->routes has room for so many */
	const char *alias;	      /* the key of proxy.conf on whose behalf a key is being set */
	bool is_told[CONFIG_UNITS]; /* what is wrong with it: what lacks then is no second error */
};

/* One scalar on its way into a field. A list comes as `count` items, one at a time. */
struct config_value {
	struct config_read *read;
	const struct config_row *row;
	uint32_t index; /* of the cluster, listener or route */
	void *unit;	/* struct config, config_cluster, config_listener or config_route */
	void *field;
	struct span text;
	uint32_t item, count;
	char why[400]; /* what is wrong with it, and what to do */
};

/* ---- config.c: the table and the structure --------------------------------------------------- */

MUST_USE struct config_read *config_read_new(struct config_errors *errors);
/* Ends the reading: the configuration if there was no error, else NULL. */
MUST_USE struct config *config_read_end(struct config_read *read, uint32_t errors_before);
void *config_alloc(struct config *config, size_t size); /* zeroed */
const char *config_copy(struct config *config, struct span text);
const struct config_row *config_row_find(enum config_scope scope, const char *path);
bool config_is_section(enum config_scope scope, const char *path);
/* A key of a listener that goes with routes. */
bool config_is_of_routes(const struct config_row *row);
/* A key of a cluster's role mode. */
bool config_is_of_role(const struct config_row *row);
/* A key of a cluster that only goes with Pulsar. */
bool config_is_of_pulsar(const struct config_row *row);
/* A key that only goes with Kafka. */
bool config_is_of_kafka(const struct config_row *row);
/* One of Kafka's that goes with ZooKeeper, so not with bootstrap. */
bool config_is_beside_bootstrap(const struct config_row *row);
/* A new cluster or listener with its defaults; NULL with an error when there are too many. */
struct config_cluster *config_add_cluster(struct config_read *read, struct span name,
					  struct config_mark mark);
struct config_listener *config_add_listener(struct config_read *read, struct config_mark mark);
/* The same for a route of the last listener. */
struct config_route *config_add_route(struct config_read *read, struct config_mark mark);
void *config_unit(struct config *config, enum config_scope scope, uint32_t index);
static inline void *config_field(struct config *config, const struct config_row *row,
				 uint32_t index)
{
	return (uint8_t *)config_unit(config, row->scope, index) + row->offset;
}
/* What a listener or a route has for Kafka. */
const struct config_kafka *config_kafka_of(enum config_scope scope, const void *unit);
struct config_mark *config_mark(struct config_read *read, enum config_scope scope, uint32_t index,
				const char *path);
bool config_is_set(struct config_read *read, enum config_scope scope, uint32_t index,
		   const char *path);
/* Notes that it has been said what is wrong with the unit. */
void config_mark_told(struct config_read *read, enum config_scope scope, uint32_t index);
bool config_is_told(const struct config_read *read, enum config_scope scope, uint32_t index);
/* "limits.connections", "clusters.east.lookup", "listeners[0].bind", "listeners[0].routes[1]". */
const char *config_label(const struct config_read *read, enum config_scope scope, uint32_t index,
			 const char *path, char *ret_text, size_t size);

/* ---- config_set.c: text into fields ---------------------------------------------------------- */

/* One item of a list, or a scalar (item 0 of 1); count 0 empties a list. False: error reported. */
bool config_set_item(struct config_read *read, enum config_scope scope, uint32_t index,
		     const struct config_row *row, struct span text, uint32_t item, uint32_t count,
		     struct config_mark mark);
/* The same for a path known to exist; lists from commas. */
bool config_set(struct config_read *read, enum config_scope scope, uint32_t index, const char *path,
		const char *text, struct config_mark mark);
static inline bool config_is_list(enum config_type type)
{
	return type >= CONFIG_TYPE_HOSTS;
}
/* A list that may be written as its only item. */
static inline bool config_is_list_or_one(enum config_type type)
{
	return type == CONFIG_TYPE_TARGETS || type == CONFIG_TYPE_PATHS ||
	       type == CONFIG_TYPE_BOOTSTRAP || type == CONFIG_TYPE_IDS;
}

/* ---- config_type.c, config_type_net.c, config_type_list.c ------------------------------------ */

struct config_type_row {
	bool (*parse)(struct config_value *value);
	void (*print)(const struct config *config, const struct config_row *row, const void *unit,
		      FILE *out);
	const char *name; /* for the manual */
};

extern const struct config_type_row config_types[CONFIG_TYPE_LAST];

PRINTF_LIKE(2, 3) bool config_bad(struct config_value *value, const char *format, ...);
bool config_is_name(struct span text);
bool config_duration_parse(struct span text, uint64_t *ret_ns);
bool config_size_parse(struct span text, uint64_t *ret_bytes);
void config_duration_print(FILE *out, uint64_t ns);
void config_size_print(FILE *out, uint64_t bytes);
void config_text_print(FILE *out, const char *text);

/* A copy in lower case; the check of a host name or literal; "scheme host:port" in quotes. */
const char *config_host_copy(struct config *config, struct span host);
bool config_host_check(struct config_value *value, struct span host);
void config_host_print(FILE *out, const char *scheme, const char *host, uint16_t port);

bool config_type_addr(struct config_value *value);
bool config_type_admin(struct config_value *value);
bool config_type_web(struct config_value *value);
bool config_type_servers(struct config_value *value);
bool config_type_forward(struct config_value *value);
bool config_type_host(struct config_value *value);
bool config_type_hosts(struct config_value *value);
bool config_type_cidrs(struct config_value *value);
bool config_type_ports(struct config_value *value);
bool config_type_urls(struct config_value *value);
bool config_type_words(struct config_value *value);
bool config_type_rules(struct config_value *value);
bool config_type_paths(struct config_value *value);
bool config_type_targets(struct config_value *value);
bool config_type_cpus(struct config_value *value);
bool config_type_nodes_at(struct config_value *value);
bool config_type_advertise(struct config_value *value);
bool config_type_bootstrap(struct config_value *value);
bool config_type_ids(struct config_value *value);
void config_print_addr(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out);
void config_print_admin(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out);
void config_print_web(const struct config *config, const struct config_row *row, const void *unit,
		      FILE *out);
void config_print_forward(const struct config *config, const struct config_row *row,
			  const void *unit, FILE *out);
void config_print_hosts(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out);
void config_print_cidrs(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out);
void config_print_ports(const struct config *config, const struct config_row *row, const void *unit,
			FILE *out);
void config_print_urls(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out);
void config_print_targets(const struct config *config, const struct config_row *row,
			  const void *unit, FILE *out);
void config_print_cpus(const struct config *config, const struct config_row *row, const void *unit,
		       FILE *out);
void config_print_nodes_at(const struct config *config, const struct config_row *row,
			   const void *unit, FILE *out);
void config_print_advertise(const struct config *config, const struct config_row *row,
			    const void *unit, FILE *out);
void config_print_bootstrap(const struct config *config, const struct config_row *row,
			    const void *unit, FILE *out);
void config_print_ids(const struct config *config, const struct config_row *row, const void *unit,
		      FILE *out);
/* Nothing to print: no value and no default. */
bool config_is_empty(const struct config_row *row, const void *unit);

/* ---- config_docs.c ----------------------------------------------------------------------------
 */

/* What a key may be, in words: "1 to 256, or auto". */
void config_docs_range(FILE *out, const struct config_row *row);

/* ---- config_guess.c: "did you mean" ---------------------------------------------------------- */

/* Steps (insert, delete, replace, swap neighbours) between two words; `most` + 1 when further. */
uint32_t config_distance(struct span a, struct span b, uint32_t most);
/* Among candidates offered one by one, the nearest that is near enough to suggest. */
struct config_guess {
	struct span wanted;
	uint32_t distance;
	const char *best;
};
void config_guess_begin(struct config_guess *guess, struct span wanted);
void config_guess_offer(struct config_guess *guess, const char *candidate);
/* A copy of text that is safe and short enough to show, for use in one message. */
const char *config_show(struct span text, char *ret_text, size_t size);

/* ---- config_yaml.c, config_file.c ------------------------------------------------------------ */

/* The whole file, at most `most` bytes, NUL-terminated; the caller frees. NULL: error reported. */
MUST_USE char *config_file_read(const char *path, size_t most, struct config_errors *errors,
				size_t *ret_len);
/* Reads the text of a YAML file into the configuration; false if it is not even YAML, so that
 * complaints about what is missing from it would be noise. */
bool config_yaml_read(struct config_read *read, const char *file, const char *text, size_t len);
/* One --set. */
void config_override_read(struct config_read *read, const struct config_override *override);

/* ---- config_proxy_tls.c ---------------------------------------------------------------------- */

/* The file with the public authorities of this system. */
const char *config_system_cas(void);

/* ---- config_check.c -------------------------------------------------------------------------- */

/* Everything that needs more than one key: resolves names and `auto`, reports contradictions. */
void config_check(struct config_read *read, const char *file);
