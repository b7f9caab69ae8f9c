/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin: the HTTP server of the control thread: /metrics /healthz /readyz /brokers[.txt]
 * /connections /routes /certs on the admin address, /status.html and /metrics on the Java proxy's
 * web port. Thread:   control (libmicrohttpd without threads of its own, its epoll fd polled on our
 * ring) Memory:   at most ADMIN_CONNECTIONS connections of 32 KiB and ADMIN_BODIES /connections
 * bodies Errors:   0 or -errno at open; later HTTP status codes See:      docs/METRICS.md
 */
#pragma once

#include <penstock/base/timer.h>
#include <penstock/config.h>
#include <penstock/mail.h>

#define ADMIN_CONNECTIONS  64
#define ADMIN_TIMEOUT_S	   10 /* a client that does not read or write for so long is dropped */
#define ADMIN_ROWS_MAX	   100000
#define ADMIN_BODIES	   4 /* /connections bodies held by slow readers at once */
#define ADMIN_HEARTBEAT_NS (2 * 1000000000ull)

struct admin;

struct admin_state {
	uint64_t snapshot_version;
	uint64_t config_generation;
	bool is_last_reload_good;
	bool is_draining;
	uint32_t cluster_count;
	uint64_t dns_pending, dns_cached, dns_failures, dns_queries;
	uint64_t mail_waiting;
	uint64_t tls_memory_used, tls_memory_peak, tls_memory_max, tls_memory_refused;
};

struct admin_cluster {
	const char *name;
	bool is_zookeeper, is_loaded;
	uint64_t age_ns;
	const char *zookeeper;
	uint32_t broker_count, namespace_count;
	bool is_kafka;
	bool is_by_rule; /* of Kafka: the configuration says where each node is */
	bool is_asked;	 /* of Kafka: bootstrap brokers are, and how that went: */
	uint64_t asked_good, asked_failed;
	const char *why; /* the last round failed; empty: it did not */
};

/* Where a broker of Kafka is known from. */
struct admin_node {
	const char *source;
	bool is_leaving; /* no longer listed: for a time of grace */
	bool has_age;
	uint64_t age_ns; /* since it was last said */
};

struct admin_certificate {
	const char *file;
	const char *place; /* where it is used */
	int64_t expires;   /* seconds since 1970 */
};

/* What control tells admin. */
struct admin_host {
	struct uring *ring;
	struct timer_wheel *wheel;
	struct mail_office *office;
	/* False, and reasons one per line, while the process should get no new connections. */
	bool (*ready)(void *context, char *ret_reasons, size_t size);
	/* The snapshot published last; valid until the next turn of the loop. */
	const struct route *(*route)(void *context);
	void (*state)(void *context, struct admin_state *ret_state);
	bool (*cluster)(void *context, uint32_t index, struct admin_cluster *ret_cluster);
	/* False: nothing more is known of it. */
	bool (*node)(void *context, uint32_t cluster, int32_t id, struct admin_node *ret_node);
	/* By file; false past the last. Valid until the next turn of the loop. */
	bool (*certificate)(void *context, uint32_t index,
			    struct admin_certificate *ret_certificate);
	/* Asks a worker for rows; false: it will never answer. */
	bool (*ask_rows)(void *context, uint32_t worker, uint32_t cursor,
			 struct mail_row_page *page);
	void *context;
};

/* Takes listening sockets (-1: that server is off) and owns them from then on. */
MUST_USE int admin_open(struct admin **ret_admin, const struct admin_host *host, int admin_fd,
			int web_fd, const struct config *config);
void admin_close(struct admin *admin);
/* Takes no new connections: another process does, at the same sockets. */
void admin_quiesce(struct admin *admin);
/* A page of rows came back. */
void admin_on_rows(struct admin *admin, const struct mail_rows *rows);
/* A worker has left its loop: nothing more will come from it. */
void admin_on_stopped(struct admin *admin, uint32_t worker);
