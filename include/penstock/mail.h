/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mail: the only road between threads: typed messages of one size on a bounded queue per receiver,
 * with a wake-up through the receiver's ring, and one latest-wins slot per worker for the routing
 * snapshot.
 * Thread:   mail_send: any; mail_take: the owner of the box
 * Memory:   messages are copied. What a message points to changes owner with it
 * Errors:   mail_send answers false when the receiver's queue is full: keep it and try later, or
 *           count it and drop
 */
#pragma once

#include <stdatomic.h>

#include <penstock/base/queue.h>
#include <penstock/base/stat.h>
#include <penstock/base/tally.h>
#include <penstock/mail/learned.h>
#include <penstock/mail/nodes.h>
#include <penstock/route.h>
#include <penstock/uring.h>

#define MAIL_CONTROL   UINT16_MAX /* sender id of the control thread */
#define MAIL_ROWS_MAX  256	  /* connections described per turn */
#define MAIL_ADDRS_MAX 8

enum mail_kind {
#define MAIL(KIND, kind) MAIL_##KIND,
#include <penstock/mail.def>
#undef MAIL
};

struct mail_listen {
	uint16_t listener_id;
	int fd;
};
struct mail_unlisten {
	uint16_t listener_id;
	bool is_inherited; /* another process has the socket too: what is queued is for that one */
};
struct mail_close_port {
	uint16_t listener_id;
	int fd; /* as in LISTEN */
};
struct mail_unlistened {
	uint16_t listener_id;
	uint16_t worker;
};
struct mail_drain {
	uint64_t spread_ns;
};
struct mail_reset {
	char nothing;
};
struct mail_stop {
	char nothing;
};
struct mail_stopped {
	uint16_t worker;
};
struct mail_dns_ask {
	uint64_t ticket; /* the worker's own; comes back with the answer */
	uint16_t worker;
	char host[HOST_MAX];
};
struct mail_dns_answer {
	uint64_t ticket;
	uint8_t addr_count;		   /* 0: failed */
	struct addr addrs[MAIL_ADDRS_MAX]; /* port 0 */
};
struct mail_learned {
	uint32_t cluster;
	uint16_t port;
	bool is_tls;
	char host[HOST_MAX];
};
struct mail_node {
	uint32_t cluster;
	int32_t id;
	struct mail_nodes_place place;
};
struct mail_node_wanted {
	uint32_t cluster;
};
struct mail_namespace {
	uint32_t cluster;
	char name[HOST_MAX]; /* "tenant/namespace"; longer ones are not watched */
};
/* One row of /connections. */
struct mail_row {
	uint64_t id;
	uint16_t worker;
	uint16_t listener_id;
	uint16_t rule_id;	  /* UINT16_MAX: none */
	const char *kind, *state; /* static texts */
	struct addr client, broker;
	uint64_t age_ns;
	uint64_t bytes_to_broker, bytes_to_client, spliced;
};
struct mail_row_page {
	uint64_t ticket; /* the asker's */
	uint32_t count;
	struct mail_row rows[MAIL_ROWS_MAX];
};
struct mail_rows_ask {
	uint32_t cursor;	    /* 0 at first */
	struct mail_row_page *page; /* lent; comes back in ROWS */
};
struct mail_rows {
	uint16_t worker;
	uint32_t cursor; /* where to go on; UINT32_MAX: that was all */
	struct mail_row_page *page;
};
struct mail_handoff {
	int fd;
	uint16_t listener_id;
	struct addr peer;
	uint64_t accepted_ns;
};

struct mail {
	enum mail_kind kind;
	union {
#define MAIL(KIND, kind) struct mail_##kind kind;
#include <penstock/mail.def>
#undef MAIL
	};
};

/* A receiver. */
struct mail_box {
	struct queue queue;
	struct uring *_Atomic ring; /* set when the receiver's thread has opened its ring */
	_Atomic uint32_t is_waking; /* a wake-up is under way: the next sender need not send one */
	_Alignas(CACHE_LINE) struct route
		*_Atomic route; /* newest snapshot not yet taken, or NULL */
};

/* capacity: messages, a power of two. */
MUST_USE int mail_box_init(struct mail_box *box, uint32_t capacity);
void mail_box_fini(struct mail_box *box);
/* `from`: the sender's ring, NULL for a thread without one. */
MUST_USE bool mail_send(struct mail_box *to, struct uring *from, const struct mail *mail);
MUST_USE bool mail_take(struct mail_box *box, struct mail *ret_mail);
/* Wakes the receiver if nobody has. */
void mail_wake(struct mail_box *to, struct uring *from);
/* Before the receiver looks: from now on senders wake it again. Its first turn, after `ring` was
 * set, does the same: what was sent before that has woken nobody. */
void mail_awake(struct mail_box *box);

/* Puts a snapshot into the slot; returns the one that was never taken, or NULL. */
MUST_USE struct route *mail_publish(struct mail_box *to, struct uring *from, struct route *route);
/* Takes the newest snapshot, or NULL when there is none newer. */
struct route *mail_take_route(struct mail_box *box);

/* How many sessions a worker has: written by it, read by its fellows at accept. */
struct mail_load {
	_Alignas(CACHE_LINE) _Atomic uint32_t sessions;
};

/* What the limits of a listener are held against. */
struct mail_gate {
	_Alignas(CACHE_LINE) struct stat_route count;
	_Atomic uint64_t accept_due_ns; /* pace.h */
};

/* Everything more than one thread may see, made by main before any of them starts. */
struct mail_office {
	uint32_t worker_count;
	struct mail_box *workers;	    /* one box per worker */
	struct mail_load *loads;	    /* one per worker */
	struct tally *per_ip;		    /* connections of each client address */
	struct mail_learned_table *learned; /* broker URLs lookups have named */
	struct mail_nodes *nodes;	    /* brokers of Kafka that answers have named */
	struct stat_block **stats;	    /* one per worker */
	struct stat_route *routes;	    /* STAT_ROUTES_MAX, touched as used */
	struct mail_gate *gates;	    /* STAT_LISTENERS_MAX: by listener id */
	struct stat_kafka_places *places;   /* of brokers of Kafka in the workers' counters */
	struct mail_box control;
};

/* 0 or -ENOMEM. */
MUST_USE int mail_office_init(struct mail_office *office, uint32_t worker_count);
void mail_office_fini(struct mail_office *office);
