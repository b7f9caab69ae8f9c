/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_priv: struct admin and what the files of src/control/admin ask of each other.
 */
#pragma once

/* Before our own headers: microhttpd.h wants the system's, and has no type of ours. */
#include <microhttpd.h>

#include <penstock/base/clock.h>
#include <penstock/control/admin.h>

/* A text that grows; `is_failed` latches when memory or the bound is used up. */
struct admin_text {
	char *at;
	size_t len, size;
	bool is_failed;
};

#define ADMIN_TEXT_MAX ((size_t)64 * 1024 * 1024)

/* One of the two servers. */
struct admin_server {
	struct MHD_Daemon *daemon; /* NULL: off */
	struct admin *admin;
	struct uring_op op;
	struct timer timer;
	int epoll_fd;
	bool is_web;
	uint64_t window_ns; /* how often it ran since then */
	uint32_t run_count;
};

/* A /connections request: suspended until its rows are in, then the owner of the answer's text
 * until that is sent. */
struct admin_waiter {
	struct admin_waiter *next;
	struct admin *admin;
	struct MHD_Connection *connection;
	struct admin_text text;
	uint32_t row_count;
	bool is_done;
	bool is_answered; /* a response holds it */
};

/* Rows on their way in, for one request at a time, from one worker after the other. */
struct admin_gather {
	struct admin_waiter *first; /* whose rows are coming; behind it who is next */
	struct mail_row_page *page;
	struct timer timer;
	uint32_t worker, cursor;
	bool is_lent; /* the page is at a worker */
};

struct admin {
	struct admin_host host;
	struct admin_server servers[2];
	char *status_file; /* of the web port; NULL: /status.html answers 404 */
	bool has_metrics;  /* on the web port */
	char *cluster_label;
	uint64_t started_wall_us;
	struct admin_gather gather;
	uint32_t waiter_count; /* at most ADMIN_BODIES */
};

/* admin.c: a suspended connection was resumed. */
void admin_run_soon(struct admin *admin);

/* ---- admin_text.c -----------------------------------------------------------------------------
 */

PRINTF_LIKE(2, 3) void admin_text_printf(struct admin_text *text, const char *format, ...);
void admin_text_add(struct admin_text *text, const char *bytes, size_t len);
/* A JSON string with its quotes, or null. */
void admin_text_json(struct admin_text *text, const char *value);
/* The value of a Prometheus label, with its quotes. */
void admin_text_label(struct admin_text *text, const char *value);
void admin_text_fini(struct admin_text *text);

/* ---- admin_metrics*.c, admin_process.c ---------------------------------
 */

void admin_metrics_write(const struct admin *admin, struct admin_text *text);
/* One metric's HELP and TYPE lines. */
void admin_metrics_head(struct admin_text *text, const char *name, const char *type,
			const char *help);
uint64_t admin_metrics_sum(const struct admin *admin, enum stat_id stat);
void admin_metrics_route_write(const struct admin *admin, struct admin_text *text);
void admin_metrics_certificate_write(const struct admin *admin, struct admin_text *text);
void admin_metrics_pulsar_write(const struct admin *admin, struct admin_text *text);
void admin_metrics_kafka_write(const struct admin *admin, struct admin_text *text);
void admin_process_write(struct admin_text *text, uint64_t started_wall_us);

/* ---- admin_routes.c --------------------------------------------------------------------------
 */

/* A client that one would like to know the way of; NULL: not said. */
struct admin_question {
	const char *sni;      /* empty: a client that sends no server name */
	const char *listener; /* NULL: all that have routes */
	const char *alpn;     /* one protocol */
	const char *client;   /* an address */
};

/* The routes; with an `sni`, which of them that client would take, where to, and why. False: the
 * question makes no sense, and the text says what is wrong with it. */
bool admin_routes_show(const struct admin *admin, const struct admin_question *question,
		       struct admin_text *text);

/* ---- admin_brokers.c --------------------------------------------------------------------------
 */

void admin_brokers_json(const struct admin *admin, struct admin_text *text);
void admin_brokers_table(const struct admin *admin, struct admin_text *text);

/* ---- admin_show.c, admin_rows.c ---------------------------------------------------------------
 */

void admin_show_certificates(const struct admin *admin, struct admin_text *text);
/* False, and a reason: a worker's loop does not turn. */
bool admin_show_health(const struct admin *admin, struct admin_text *text);

/* Suspends the connection until its rows are in. NULL: too many are waiting. */
struct admin_waiter *admin_rows_begin(struct admin *admin, struct MHD_Connection *connection);
void admin_rows_free(struct admin_waiter *waiter);
/* Lets go of all that wait, unanswered. */
void admin_rows_fini(struct admin *admin);
