/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy: the keys of proxy_conf.def as a table, and what the files that read proxy.conf
 * share.
 */
#pragma once

#include "config_priv.h"

/* The only cluster, and its listener without TLS. */
#define CONFIG_PROXY_NAME "pulsar"

enum proxy_class { PROXY_SET, PROXY_CODE, PROXY_PART, PROXY_GUARD, PROXY_FINE, PROXY_NONE };

enum proxy_how {
	PROXY_HOW_TEXT,
	PROXY_HOW_MS,
	PROXY_HOW_MS_MOST,
	PROXY_HOW_MS_OFF,
	PROXY_HOW_SECONDS,
	PROXY_HOW_SECONDS_MOST,
	PROXY_HOW_COUNT,
	PROXY_HOW_COUNT_OFF,
	PROXY_HOW_COUNT_OURS,
	PROXY_HOW_BOOL,
};

struct proxy_row {
	const char *key;
	const char *java;
	enum proxy_class class;
	enum proxy_how how;
	enum config_scope scope;
	const char *path;
	const char *parents;
	bool is_inert;
	const char *note;
};

/* PROXY_KEY_<key>: the number of every row. */
enum proxy_key {
#define SET(key, java, how, scope, path, note)	  PROXY_KEY_##key,
#define CODE(key, java, note)			  PROXY_KEY_##key,
#define PART(key, java, parents, note)		  PROXY_KEY_##key,
#define GUARD(key, java, parents, is_inert, note) PROXY_KEY_##key,
#define FINE(key, java, note)			  PROXY_KEY_##key,
#define NONE(key, java, note)			  PROXY_KEY_##key,
#include <penstock/config/proxy_conf.def>
#undef SET
#undef CODE
#undef PART
#undef GUARD
#undef FINE
#undef NONE
	PROXY_KEY_COUNT,
};

extern const struct proxy_row config_proxy_rows[PROXY_KEY_COUNT];

/* config_docs.c: what is said above a list of these keys, and what becomes of one; both with
 * `words` as Markdown has them. */
extern const char config_docs_proxy[];
void config_docs_becomes(FILE *out, const struct proxy_row *row);

/* What the file says of one key. */
struct proxy_value {
	const char *text; /* NULL: the key is not there */
	uint32_t line;
	bool is_ignored; /* --ignore */
};

struct proxy {
	const struct config_proxy_args *args;
	struct config_read *read;
	struct config_errors *errors;
	const char *file; /* for messages: proxy.conf, or the command */
	struct proxy_value values[PROXY_KEY_COUNT];
	uint32_t listener_count; /* for Pulsar's clients: the first ones */
	FILE *none;		 /* names of keys that have no effect here */
	uint32_t none_count;
	uint32_t unknown_count;
};

/* Set to something else than Java's default. */
bool config_proxy_is_changed(const struct proxy *proxy, enum proxy_key key);
/* The text of a key that is there and not empty, else NULL. */
const char *config_proxy_text(const struct proxy *proxy, enum proxy_key key);
/* What an option of the command line sets has no line. */
static inline struct config_mark config_proxy_flag(const char *name)
{
	return (struct config_mark){ .file = name };
}
struct config_mark config_proxy_mark(const struct proxy *proxy, enum proxy_key key);
PRINTF_LIKE(3, 4)
void config_proxy_error(struct proxy *proxy, enum proxy_key key, const char *format, ...);
PRINTF_LIKE(3, 4)
void config_proxy_warn(struct proxy *proxy, enum proxy_key key, const char *format, ...);
/* Sets a key of config.def on behalf of a key of the file; one of LISTENER at all listeners for
 * Pulsar's clients. */
bool config_proxy_set(struct proxy *proxy, enum proxy_key key, enum config_scope scope,
		      const char *path, const char *text);
bool config_proxy_set_at(struct proxy *proxy, enum proxy_key key, enum config_scope scope,
			 uint32_t index, const char *path, const char *text);
MUST_USE bool config_proxy_bool(struct proxy *proxy, enum proxy_key key, bool *ret_value);
MUST_USE bool config_proxy_int(struct proxy *proxy, enum proxy_key key, int64_t *ret_value);

/* config_proxy_file.c: reads the file and sorts its keys by class. */
void config_proxy_file(struct proxy *proxy);
/* config_proxy_keys.c: the rows of class SET and CODE. */
void config_proxy_keys(struct proxy *proxy);
/* config_proxy_listen.c: listeners and the web port. First the listeners for Pulsar's clients, so
 * that keys can be set there. */
void config_proxy_listeners(struct proxy *proxy);
void config_proxy_addresses(struct proxy *proxy);
/* config_proxy_tls.c: what a listener speaks TLS with, and broker_tls. */
void config_proxy_tls_listener(struct proxy *proxy, uint32_t index, enum proxy_key port,
			       enum proxy_key protocols, enum proxy_key ciphers);
void config_proxy_tls_brokers(struct proxy *proxy);
/* config_proxy_role.c: is it the proxy that authenticates clients, by their certificates? Then
 * these keys are no lost safeguards. */
bool config_proxy_is_role(const struct proxy *proxy);
bool config_proxy_is_of_role(enum proxy_key key);
void config_proxy_role(struct proxy *proxy);
/* tlsEnabledWithBroker */
bool config_proxy_is_tls(struct proxy *proxy);
/* config_proxy_egress.c: brokerProxyAllowed*. */
void config_proxy_egress(struct proxy *proxy);
/* CIDR blocks that make up "a.b.c.d-e.f.g.h", masks and trailing wildcards, as a list with commas;
 * false if that cannot be said in networks. */
MUST_USE bool config_proxy_networks(struct span text, struct sink *ret_list);

/* config_properties.c. key.at NULL: the line cannot be decoded, value is what it begins with. */
typedef void config_property_fn(void *context, struct span key, struct span value, uint32_t line);
void config_properties_read(struct span text, config_property_fn *fn, void *context);
