/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * worker_priv: struct worker, and the seams between worker.c (the loop), worker_accept.c (listening
 * sockets) and worker_mail.c (messages).
 */
#pragma once

#include <pthread.h>

#include <penstock/worker.h>
#include <penstock/worker/session.h>

/* Listeners and ports of Kafka's brokers. */
#define WORKER_SOCKETS_MAX (STAT_LISTENERS_MAX + CONFIG_KAFKA_PORTS_MAX)

/* A listening socket; a listener in front of Kafka has one for each broker besides its own. */
struct worker_listener {
	struct uring_op op;
	struct timer timer; /* set while it waits for accept_rate */
	struct worker *worker;
	int fd; /* -1: this place is free */
	uint16_t id;
};

struct worker {
	struct session_env env;
	struct mail_box *box;
	struct worker_listener listeners[WORKER_SOCKETS_MAX];
	uint32_t listener_count;   /* places from here on were never taken */
	struct timer accept_timer; /* accepting is paused for want of descriptors */
	bool is_accept_paused;	   /* ... or of room for connections without a route */
	bool is_stopping;
	bool has_mail;
	bool is_pinned;
	uint16_t cpu;
	uint64_t busy_poll_ns;
	uint64_t cpu_checked_ns;
	uint64_t late_seen, overflow_seen;
	pthread_t thread;
	int result;
};

/* ---- worker.c ---- */
/* The newest snapshot, if there is one that was not taken yet. */
void worker_take_route(struct worker *worker);

/* ---- worker_accept.c ---- */
void worker_accept_add(struct worker *worker, uint16_t id, int fd);
/* Takes what is queued, then closes the listener's sockets and tells control. */
void worker_accept_remove(struct worker *worker, const struct mail_unlisten *mail);
/* The same for one socket, and nobody is told. */
void worker_accept_remove_one(struct worker *worker, const struct mail_close_port *mail);
void worker_accept_close_all(struct worker *worker);
/* Goes on accepting when the reason to pause is gone. */
void worker_accept_resume(struct worker *worker);
/* Makes a session of an accepted socket, ours or handed to us. */
void worker_accept_take(struct worker *worker, const struct mail_handoff *handoff);

/* ---- worker_mail.c ---- */
void worker_mail_take(struct worker *worker);
