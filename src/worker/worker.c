/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * worker: the thread and its loop. One turn: take mail and the newest snapshot, submit what was
 * armed, wait, run what completed, run the queued lanes, fire timers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include <penstock/base/clock.h>
#include <penstock/base/log.h>

#include "worker_priv.h"

#define RING_ENTRIES  1024
#define TIMERS_A_TURN 256
#define HEARTBEAT_NS                                                                 \
	(NS_PER_S / 2) /* the longest a worker sleeps: /healthz wants a sign of life \
			*/

int worker_new(struct worker **ret_worker, uint32_t index, struct mail_office *office,
	       const struct config *config)
{
	/* Pools hold pointers into struct worker and completions carry addresses: it stays put. */
	struct worker *worker = aligned_alloc(CACHE_LINE, (sizeof(*worker) + CACHE_LINE - 1) &
								  ~(size_t)(CACHE_LINE - 1));

	if (worker == NULL)
		return -ENOMEM;
	*worker = (struct worker){
		.box = &office->workers[index],
		.busy_poll_ns = config->process.busy_poll_ns,
		.is_pinned = config->process.cpus.count > 0,
	};
	if (worker->is_pinned)
		worker->cpu = config->process.cpus.cpu[index % config->process.cpus.count];
	for (uint32_t i = 0; i < WORKER_SOCKETS_MAX; i++)
		worker->listeners[i] = (struct worker_listener){ .worker = worker, .fd = -1 };

	int ret = session_env_init(&worker->env, config, office, index);

	if (ret < 0) {
		free(worker);
		return ret;
	}
	*ret_worker = worker;
	return 0;
}

static void on_wake(void *context)
{
	struct worker *worker = context;

	worker->has_mail = true;
}

int worker_open(struct worker *worker)
{
	int ret = uring_open(&worker->env.ring, RING_ENTRIES);

	if (ret < 0)
		return ret;
	uring_on_wake(worker->env.ring, on_wake, worker);
	worker->has_mail = true; /* what came before we had a ring */
	atomic_store_explicit(&worker->box->ring, worker->env.ring, memory_order_seq_cst);
	atomic_store_explicit(&worker->env.stats->heartbeat_ns, clock_now_ns(),
			      memory_order_relaxed);
	return 0;
}

void worker_close(struct worker *worker)
{
	atomic_store_explicit(&worker->box->ring, NULL, memory_order_seq_cst);
	uring_close(worker->env.ring);
	worker->env.ring = NULL;
}

void worker_free(struct worker *worker)
{
	/* Not by the worker itself: others may be about to wake it until all are joined. */
	if (worker->env.ring != NULL)
		worker_close(worker);
	session_env_fini(&worker->env);
	free(worker);
}

/* The old one is control's to free once it sees our acknowledgement; no session has kept a pointer
 * into it. */
void worker_take_route(struct worker *worker)
{
	const struct route *old = worker->env.route;
	struct route *route = mail_take_route(worker->box);

	if (route == NULL)
		return;
	worker->env.route = route;
	if (old != NULL && old->config != route->config)
		session_follow_config(&worker->env, old);
	atomic_store_explicit(&worker->env.stats->acked_version, route->version,
			      memory_order_release);
}

static void publish_counts(struct worker *worker)
{
	struct session_env *env = &worker->env;
	struct uring_counts counts = uring_counts(env->ring);
	struct timespec cpu = { 0, 0 };

	stat_add(env->stats, STAT_LATE_COMPLETIONS, counts.late_completions - worker->late_seen);
	stat_add(env->stats, STAT_CQ_OVERFLOW, counts.cq_overflow - worker->overflow_seen);
	worker->late_seen = counts.late_completions;
	worker->overflow_seen = counts.cq_overflow;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);

	uint64_t usec = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;

	stat_add(env->stats, STAT_CPU_USEC, usec - stat_get(env->stats, STAT_CPU_USEC));
	worker->cpu_checked_ns = env->now_ns;
}

/* 0: never. */
static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return b_ns != 0 && b_ns < a_ns ? b_ns : a_ns;
}

static uint64_t turn_deadline(struct worker *worker)
{
	struct session_env *env = &worker->env;
	uint64_t next = earlier(env->now_ns + HEARTBEAT_NS, timer_next_ns(&env->wheel));

	if (worker->has_mail || session_has_queued(env) || worker_is_done(worker))
		return 1; /* long past: do not sleep */
	return earlier(next, env->relay.look_ns);
}

int worker_turn(struct worker *worker)
{
	struct session_env *env = &worker->env;

	/* Before waiting, so that whoever was armed by mail or a timer is submitted with the rest.
	 */
	bool has_mail = worker->has_mail;

	worker->has_mail = false;
	/* Awake first: whoever sends or publishes from here on wakes us again. */
	if (has_mail)
		mail_awake(worker->box);
	worker_take_route(worker);
	if (has_mail)
		worker_mail_take(worker);
	int ret = uring_wait(env->ring, turn_deadline(worker), worker->busy_poll_ns);

	if (ret < 0)
		return ret;
	env->now_ns = clock_now_ns();
	(void)uring_reap(env->ring);
	session_run_queued(env);
	(void)timer_run(&env->wheel, env->now_ns, TIMERS_A_TURN);
	worker_accept_resume(worker);
	stat_add(env->stats, STAT_TURNS, 1);
	atomic_store_explicit(&env->stats->heartbeat_ns, env->now_ns, memory_order_relaxed);
	if (env->now_ns - worker->cpu_checked_ns > NS_PER_S / 10) {
		publish_counts(worker);
		relay_trim(&env->relay);
	}
	return 0;
}

bool worker_is_done(const struct worker *worker)
{
	return worker->is_stopping && worker->env.sessions.in_use == 0;
}

/* Also when the ring could not be opened: else control would hand sockets to a worker that is not
 * there, and wait for it at the end. */
static void say_stopped(struct worker *worker)
{
	const struct mail stopped = {
		.kind = MAIL_STOPPED,
		.stopped = { .worker = (uint16_t)worker->env.worker },
	};

	while (!mail_send(&worker->env.office->control, NULL, &stopped))
		(void)sched_yield();
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	char name[32];

	(void)snprintf(name, sizeof(name), "worker %u", worker->env.worker);
	log_thread_name(name);
	(void)snprintf(name, sizeof(name), "penstock-w%u", worker->env.worker);
	(void)pthread_setname_np(pthread_self(), name);

	int ret = worker->is_pinned ? cpu_pin(worker->cpu) : 0;

	/* 50 us of slack, which threads have by default, would double a look's 50 us. */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	if (ret < 0)
		log_warn("not_pinned", "CPU %u cannot be used; running unpinned", worker->cpu);
	ret = worker_open(worker);
	while (ret == 0 && !worker_is_done(worker))
		ret = worker_turn(worker);
	if (ret < 0)
		log_error("worker_failed", "the ring failed with %d; stopping", ret);
	worker->result = ret;
	if (worker->env.ring != NULL)
		publish_counts(worker);
	worker_accept_close_all(worker);
	say_stopped(worker);
	return NULL;
}

int worker_start(struct worker *worker)
{
	return -pthread_create(&worker->thread, NULL, worker_main, worker);
}

int worker_join(struct worker *worker)
{
	(void)pthread_join(worker->thread, NULL);
	return worker->result;
}
