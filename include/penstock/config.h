/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config: what the operator asked for, as one immutable structure. Made from penstock.yaml, or
 * from the command line and proxy.conf of the Java proxy, by one table (config.def): parser,
 * defaults, dump, reference manual and example file all come from it.
 * Thread:   made by control; immutable afterwards, so any thread may read it
 * Memory:   one arena per struct config, freed by config_free
 * Errors:   collected in a struct config_errors, each with file, line and column, and what to do
 */
#pragma once

#include <stdio.h>

#include <penstock/base/addr.h>
#include <penstock/base/cpu.h>
#include <penstock/base/log.h>
#include <penstock/base/span.h>
#include <penstock/config/clients.h>
#include <penstock/config/kafka.h>

#define CONFIG_CLUSTERS_MAX  64
#define CONFIG_LISTENERS_MAX 32
#define CONFIG_ROUTES_MAX    4096	/* of all listeners together */
#define CONFIG_OFF	     UINT64_MAX /* "off" where a number or a duration is expected */

enum config_lookup { CONFIG_LOOKUP_RELAY, CONFIG_LOOKUP_DIRECT };
enum config_credentials { CONFIG_CREDENTIALS_PASS, CONFIG_CREDENTIALS_ROLE };
enum config_send_proxy { CONFIG_SEND_PROXY_OFF, CONFIG_SEND_PROXY_V1, CONFIG_SEND_PROXY_V2 };
enum config_proxy_mode { CONFIG_PROXY_OFF, CONFIG_PROXY_OPTIONAL, CONFIG_PROXY_REQUIRED };
enum config_splice { CONFIG_SPLICE_AUTO, CONFIG_SPLICE_OFF };
enum config_protocol { CONFIG_PULSAR, CONFIG_KAFKA };
enum config_access { CONFIG_ACCESS_ALL, CONFIG_ACCESS_ERRORS, CONFIG_ACCESS_OFF };

struct config_cidrs {
	struct cidr *at;
	uint32_t count;
};

struct config_names {
	const char **at;
	uint32_t count;
};

struct config_ports {
	uint16_t *at;
	uint32_t count;
	bool is_any; /* "*" */
};

/* A broker URL, "pulsar://host:port" or "pulsar+ssl://host:port". */
struct config_url {
	const char *host;
	uint16_t port;
	bool is_tls;
};

enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_ktls { CONFIG_KTLS_AUTO, CONFIG_KTLS_OFF, CONFIG_KTLS_REQUIRE };
enum config_ktls_rekey { CONFIG_KTLS_REKEY_KEEP, CONFIG_KTLS_REKEY_CLOSE };
enum config_client_auth {
	CONFIG_CLIENT_AUTH_NONE,
	CONFIG_CLIENT_AUTH_OPTIONAL,
	CONFIG_CLIENT_AUTH_REQUIRE
};
enum config_unknown_name { CONFIG_UNKNOWN_NAME_DEFAULT, CONFIG_UNKNOWN_NAME_REFUSE };
enum config_mode { CONFIG_MODE_PASS, CONFIG_MODE_TERMINATE, CONFIG_MODE_REENCRYPT };
enum config_name_source { CONFIG_NAME_TARGET, CONFIG_NAME_CLIENT };
enum config_verify { CONFIG_VERIFY_FULL, CONFIG_VERIFY_CA, CONFIG_VERIFY_OFF };

/* TLS with clients; no certificates: none is spoken. */
struct config_tls_server {
	struct config_names cert_files, key_files, ocsp_files;
	enum config_unknown_name unknown_name;
	bool is_name_required;
	enum config_client_auth client_auth;
	const char *client_ca_file, *crl_file;
	struct config_names allow_clients; /* rules of tls/peer.h; count 0: all verified ones */
	struct config_names alpn;
	bool has_tickets;
	enum config_tls_version min_version, max_version;
	struct config_names ciphers; /* count 0: all */
	enum config_ktls ktls;
	enum config_ktls_rekey ktls_rekey;
};

/* TLS with brokers (config_tls_is_on). */
struct config_tls_client {
	const char *ca_file, *crl_file, *cert_file, *key_file;
	enum config_verify verify;
	enum config_tls_version min_version, max_version;
	struct config_names ciphers; /* count 0: all */
	struct config_names alpn;
	enum config_ktls ktls;
	enum config_ktls_rekey ktls_rekey;
};

/* As of wire/sasl.h. */
enum config_sasl { CONFIG_SASL_PLAIN, CONFIG_SASL_SCRAM_SHA_256, CONFIG_SASL_SCRAM_SHA_512 };

/* Authentication to brokers of Kafka in the place of clients; no file: there is none. */
struct config_broker_sasl {
	enum config_sasl mechanism;
	const char *users_file;
	struct config_clients *users; /* as the file was when the configuration was read */
};

/* As whom brokers of Kafka are asked where all are; no user: as broker_sasl has it. */
struct config_ask_sasl {
	enum config_sasl mechanism;
	const char *user;
	const char *password_file;
	struct config_clients *users; /* one line, with the password as it was then */
};

/* The proxy's own credential, with CONFIG_CREDENTIALS_ROLE: one of the two. */
struct config_role {
	const char *token_file;
	bool has_certificate; /* broker_tls.cert_file */
	bool is_forwarding;   /* clients' other credentials go along */
	/* Pulsar's name for it, and what CONNECT carries: the token as the file had it when the
	 * configuration was read, or nothing. */
	const char *method;
	struct span data;
};

struct config_cluster {
	const char *name;
	enum config_protocol protocol;
	/* Exactly one of the two: */
	const char *zookeeper_servers; /* "h:p,h:p/chroot", ports filled in; NULL: fixed URLs */
	struct config_url *urls;       /* of Kafka: the brokers to begin with */
	uint32_t url_count;
	const char *node_host; /* of Kafka: a template for the host of a node; NULL: none */
	uint16_t node_port;

	const char *zookeeper_global_servers; /* NULL: the local ones */
	uint64_t zookeeper_session_ns;
	uint64_t zookeeper_resync_ns;
	uint64_t grace_ns;
	uint64_t refresh_ns;		/* of Kafka; CONFIG_OFF: brokers are not asked */
	const char *zookeeper_listener; /* of Kafka; NULL: the first that fits */
	enum config_lookup lookup;
	enum config_send_proxy send_proxy_protocol;
	enum config_credentials credentials;
	struct config_role role;
	struct config_tls_client broker_tls;
	const char *broker_clients_file; /* who is shown to brokers as whom, by certificate; NULL:
					    all as one */
	struct config_broker_sasl broker_sasl;
	struct config_ask_sasl ask_sasl;
	bool check_active; /* discovered and configured brokers only: egress.allow is not asked */
	uint32_t line;
};

/* One place a route leads to. */
struct config_target {
	const char
		*host; /* lower case; "{1}" stands for what the wildcard of the route stands for */
	uint16_t port;
	bool is_derived; /* it has a "{1}": clients have a say in where it is */
};

/* Where a listener sends the connections of some server names. */
struct config_route {
	const char *label; /* in logs and metrics; one of its kind in the listener */
	const char *host;  /* "name", "*.suffix", "**.suffix" or "*"; NULL: with discovered */
	/* Exactly one of the three: */
	struct config_target *targets;
	uint32_t target_count;
	int32_t cluster;    /* any live broker of it */
	int32_t discovered; /* the broker of it whose host is the name */

	enum config_mode mode;
	/* Unless mode is PASS: what TLS with clients is like; no certificates: as the listener's
	 * (config_route_server). */
	struct config_tls_server tls;
	struct config_tls_client broker_tls; /* REENCRYPT with targets (config_route_client) */
	enum config_name_source name_source;

	struct config_names alpn;  /* only clients that offer one of these; count 0: all */
	struct config_cidrs allow; /* clients from elsewhere are refused; count 0: none are */
	uint64_t max_connections;
	enum config_send_proxy send_proxy_protocol;
	struct config_kafka kafka; /* with a cluster of that protocol: by server names */
	struct config_names deny_apis;
	struct config_names allow_users; /* kafka.users */
	uint32_t listener;
	uint32_t line;
};

struct config_listener {
	const char *name;
	struct addr bind; /* resolved: a literal address */
	/* Exactly one of the three: */
	int32_t cluster; /* index; -1: another */
	const char *forward_host;
	uint32_t route_count; /* of config->routes, from route_first on */

	uint32_t route_first;
	const char *no_sni, *unknown;	     /* as written */
	int32_t no_sni_route, unknown_route; /* the first route of that host; -1: refuse */
	struct config_ports allow_ports;
	uint16_t forward_port;
	enum config_proxy_mode proxy_mode;
	struct config_cidrs proxy_trusted;
	enum config_send_proxy send_proxy_protocol; /* with forward */
	struct config_tls_server tls;
	enum config_splice splice;
	struct config_cidrs allow; /* clients from elsewhere are refused; count 0: none are */
	uint64_t max_connections;  /* 0: as many as come */
	uint64_t accept_rate;	   /* a second; 0: as they come */
	struct config_kafka kafka; /* with a cluster of that protocol */
	struct config_names deny_apis;
	struct config_names allow_users; /* kafka.users */
	uint32_t backlog;
	uint32_t line;
};

struct config {
	struct config_cluster clusters[CONFIG_CLUSTERS_MAX];
	uint32_t cluster_count;
	struct config_listener listeners[CONFIG_LISTENERS_MAX];
	uint32_t listener_count;
	struct config_route *routes; /* listener by listener, as written */
	uint32_t route_count;

	struct {
		uint64_t refresh_ns;	 /* CONFIG_OFF: never */
		uint64_t warn_before_ns; /* CONFIG_OFF: never */
		uint64_t warn_every_ns;
	} certificates;

	struct {
		struct config_names
			hosts; /* "name", "*.suffix" as in certificates, "**.suffix", "*" */
		struct config_cidrs networks;
		struct config_ports ports;
	} egress;

	struct {
		uint64_t connections;	    /* of the process; config_budget_fit may lower it */
		uint64_t connections_asked; /* as the operator wrote it */
		uint64_t per_ip;	    /* CONFIG_OFF: none */
		uint64_t unrouted;	    /* of one worker */
		uint64_t lookups;	    /* in flight, of the process */
		uint64_t first_frame;	    /* bytes, <= 64 KiB */
		uint64_t pipes;		    /* of one worker */
		uint64_t handshakes;	    /* of one worker, at once */
		uint64_t tls_memory;	    /* bytes: certificates and handshakes */
		uint64_t max_frame;	    /* bytes of a whole Pulsar frame before CONNECTED says
					     * otherwise: maxMessageSize + 10,240 */
	} limits;

	struct {
		uint64_t hello_ns, handshake_ns, connect_ns, frame_ns, half_close_ns, idle_ns,
			drain_ns;
	} timeouts;

	struct {
		uint64_t lame_duck_ns, spread_ns;
	} drain;

	struct {
		uint32_t workers;      /* as resolved: never 0 */
		struct cpu_list cpus;  /* count 0: not pinned */
		uint64_t busy_poll_ns; /* 0: off */
	} process;

	struct {
		bool is_on;
		struct addr listen;
		const char *unix_path; /* instead of listen */
	} admin;

	/* The Java proxy's web port: /status.html and /metrics. `penstock proxy` switches it on. */
	struct {
		bool is_on;
		struct addr listen;
		const char *status_file; /* NULL: /status.html answers 404, as in Java */
		bool has_metrics;
		const char *cluster_name; /* value of the `cluster` label; NULL: none */
	} web;

	struct {
		enum log_level level;
		enum log_format format;
		enum config_access access;
	} log;

	const char *state_dir; /* where the last broker lists are saved; NULL: nowhere */
	uint64_t files_stamp;  /* config_files_stamp() before any of these files was read */
	void *arena;
};

struct config_errors {
	FILE *out; /* where problems are written, one per line; NULL: only counted */
	uint32_t error_count;
	uint32_t warn_count;
};

/* Adds one problem: "file:line:col: what, and what to do". line 0: no position. */
PRINTF_LIKE(5, 6)
void config_error(struct config_errors *errors, const char *file, uint32_t line, uint32_t column,
		  const char *format, ...);
PRINTF_LIKE(5, 6)
void config_warn(struct config_errors *errors, const char *file, uint32_t line, uint32_t column,
		 const char *format, ...);

/* Reads and checks penstock.yaml. NULL if there was any error; all of them are in `errors`. */
struct config *config_load(const char *path, struct config_errors *errors);

/* One "path=value" (limits.connections=100), laid over a file or the defaults before checking. */
struct config_override {
	const char *path;
	const char *value;
};

/* The command line of `penstock proxy`, in the words of the Java proxy. */
struct config_proxy_args {
	const char *file;		   /* proxy.conf or NULL */
	const char *zookeeper;		   /* -zk */
	const char *metadata_store;	   /* -md: wins over -zk */
	const char *global_zookeeper;	   /* -gzk */
	const char *configuration_servers; /* -cs: wins over -gzk */
	const char *configuration_store;   /* -cms: wins over -cs */
	const char *bind;		   /* --bind HOST:PORT */
	const char *web;		   /* --web HOST:PORT or off */
	const char *admin;		   /* --admin HOST:PORT, unix:PATH or off */
	const char **ignore;		   /* --ignore KEY */
	uint32_t ignore_count;
	const struct config_override *overrides; /* --set path=value */
	uint32_t override_count;
};

/* The configuration `penstock proxy` runs with: one cluster, one listener, the web port. */
struct config *config_load_proxy(const struct config_proxy_args *args,
				 struct config_errors *errors);

void config_free(struct config *config);

/* The effective configuration as YAML that config_load takes. */
void config_dump(const struct config *config, FILE *out);

/* Names the first thing that differs and cannot change without a restart (process.*, admin, web);
 * NULL when a reload from `old` to `new` is possible. */
const char *config_needs_restart(const struct config *old, const struct config *new);

/* Tokens, users of brokers and passwords, as their files have them now, by cluster. */
struct config_tokens {
	uint32_t count;
	struct {
		struct span token;	      /* at == NULL: it has none */
		struct config_clients *users; /* the same */
		struct config_clients *asker; /* the same */
	} at[];
};

/* NULL: the errors say why. */
MUST_USE struct config_tokens *config_tokens_read(const struct config *config,
						  struct config_errors *errors);
void config_tokens_free(struct config_tokens *tokens); /* may be NULL */
/* What a cluster's CONNECT carries in role mode: of `tokens`, or where that is NULL as it was when
 * the configuration was read. */
static inline struct span config_token(const struct config *config,
				       const struct config_tokens *tokens, uint32_t cluster)
{
	if (tokens == NULL || tokens->at[cluster].token.at == NULL)
		return config->clusters[cluster].role.data;
	return tokens->at[cluster].token;
}
/* As whom penstock authenticates to a cluster's brokers; NULL: it does not. */
static inline const struct config_clients *
config_users(const struct config *config, const struct config_tokens *tokens, uint32_t cluster)
{
	if (tokens == NULL || tokens->at[cluster].users == NULL)
		return config->clusters[cluster].broker_sasl.users;
	return tokens->at[cluster].users;
}

/* As whom penstock asks a cluster's brokers where all are, in a line of its own; NULL: as
 * config_users has it. */
static inline const struct config_clients *
config_asker(const struct config *config, const struct config_tokens *tokens, uint32_t cluster)
{
	if (tokens == NULL || tokens->at[cluster].asker == NULL)
		return config->clusters[cluster].ask_sasl.users;
	return tokens->at[cluster].asker;
}

/* Another number when one of the files of TLS, or with a token, is another one, or other in size or
 * times, or came or went. Looks at them, so not for a worker. */
uint64_t config_files_stamp(const struct config *config);

/* What the configuration can take at the most: printed at start, held against the limits. */
struct config_budget {
	uint64_t descriptors;
	uint64_t memory_bytes; /* of ours, all pools full */
	uint64_t pipe_bytes;   /* of kernel memory in leased pipes */
	uint64_t sessions_per_worker;
	uint64_t hops_per_worker;
	uint64_t buffers_per_worker;
	uint64_t chunks_per_worker; /* of Kafka requests without a response */
	uint64_t bulks_per_worker;  /* long responses of Kafka */
};

void config_budget(const struct config *config, struct config_budget *ret_budget);
/* Lowers limits.connections until the descriptors fit under `descriptor_limit`; false if not even
 * a handful fits. */
bool config_budget_fit(struct config *config, uint64_t descriptor_limit);

/* What wolfSSL takes for as many handshakes as there may be, and for a few certificates, in bytes;
 * limits.tls_memory is that much where it is not set. */
uint64_t config_tls_need(const struct config *config);

static inline bool config_tls_is_on(const struct config_tls_client *tls)
{
	return tls->ca_file != NULL || tls->verify == CONFIG_VERIFY_OFF;
}

/* Is TLS ended or begun anywhere? Any thread. */
bool config_has_tls(const struct config *config);
/* Is TLS spoken to the brokers of the cluster? */
static inline bool config_speaks_tls(const struct config_cluster *cluster)
{
	return config_tls_is_on(&cluster->broker_tls);
}

/* How a route ends TLS with clients; NULL: it passes it through. */
static inline const struct config_tls_server *config_route_server(const struct config *config,
								  const struct config_route *route)
{
	if (route->mode == CONFIG_MODE_PASS)
		return NULL;
	return route->tls.cert_files.count > 0 ? &route->tls
					       : &config->listeners[route->listener].tls;
}

/* What is inside TLS is understood: the route ends it, and leads to a cluster. */
static inline bool config_route_has_brain(const struct config_route *route)
{
	return route->mode != CONFIG_MODE_PASS && route->cluster >= 0;
}

/* And it is Kafka: route->kafka is meant. */
static inline bool config_route_is_kafka(const struct config *config,
					 const struct config_route *route)
{
	return config_route_has_brain(route) &&
	       config->clusters[route->cluster].protocol == CONFIG_KAFKA;
}

/* Ports besides its own that a listener has: one for each broker of Kafka it may lead to. */
static inline uint32_t config_listener_ports(const struct config *config, uint32_t index)
{
	const struct config_listener *listener = &config->listeners[index];
	bool is_kafka = listener->cluster >= 0 &&
			config->clusters[listener->cluster].protocol == CONFIG_KAFKA;

	return is_kafka ? config_kafka_port_count(&listener->kafka) : 0;
}
/* The n-th of them. */
static inline struct addr config_listener_port(const struct config *config, uint32_t index,
					       uint32_t n)
{
	struct addr addr = config->listeners[index].bind;

	addr.port = config_kafka_port(&config->listeners[index].kafka, n);
	return addr;
}

/* The nearer of two candidates to a word somebody may have meant; NULL: none is near enough. */
const char *config_nearer(const char *word, const char *best, const char *candidate);

/* docs/OPTIONS.md, conf/penstock.yaml and the manual page penstock.yaml(5), from config.def and
 * proxy_conf.def. */
void config_docs_options(FILE *out);
void config_docs_yaml(FILE *out);
void config_man(FILE *out);
/* Of the keys that need no name of a cluster or listener (limits.connections) the one at `index`;
 * NULL: there are no more. For completion. */
const char *config_path(uint32_t index);
