/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * worker_accept: taking connections from this worker's own listening sockets, handing some to less
 * loaded workers, and pausing when there is no room: accepting then stops in the kernel's queue,
 * where nothing is lost, instead of in a loop of failing accepts (2.46 million
 * turns in a second were measured).
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>

#include <penstock/base/clock.h>
#include <penstock/base/pace.h>
#include <penstock/net.h>
#include <penstock/wire/hello.h>
#include <penstock/wire/pulsar.h>

#include "worker_priv.h"

#define ACCEPTS_A_TURN 64
#define PAUSE_NS       (NS_PER_S / 10)

static void on_acceptable(struct uring_op *op, int events);

static uint32_t load_of(const struct worker *worker, uint32_t index)
{
	return atomic_load_explicit(&worker->env.office->loads[index].sessions,
				    memory_order_relaxed);
}

/* Who should serve a new connection: we, unless we exceed the mean by more than 10 % and 8
 * connections (SO_REUSEPORT alone left 1.8 times the mean of 50 on one of 8). */
static uint32_t choose_worker(const struct worker *worker, uint64_t *ret_total)
{
	uint32_t count = worker->env.office->worker_count;
	uint32_t own = load_of(worker, worker->env.worker);
	uint32_t least = worker->env.worker;
	uint64_t total = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t load = load_of(worker, i);

		total += load;
		if (load < load_of(worker, least))
			least = i;
	}
	*ret_total = total;
	if ((uint64_t)own * count * 10 > total * 11 && (uint64_t)own * count > total + 8ull * count)
		return least;
	return worker->env.worker;
}

/* In the words of whoever connects there. */
static void say_full(const struct config *config, const struct config_listener *listener,
		     struct sink *sink)
{
	const struct hello unknown = { .version = 0 };

	/* Kafka has no words for it before the first request is read. */
	if (listener->route_count > 0 || listener->tls.cert_files.count > 0)
		hello_write_alert(sink, &unknown, HELLO_ALERT_INTERNAL_ERROR);
	else if (listener->cluster >= 0 &&
		 config->clusters[listener->cluster].protocol == CONFIG_PULSAR)
		pulsar_write_error(sink, UINT64_MAX, PULSAR_NOT_ALLOWED,
				   "penstock: reached the maximum number of connections");
}

/* Refused before it became a session: told why as far as one send goes, counted, closed. */
static void refuse(struct worker *worker, const struct mail_handoff *handoff,
		   enum close_reason reason)
{
	struct session_env *env = &worker->env;
	struct stat_listener *stats = &env->stats->listener[handoff->listener_id];
	int32_t index = env->route->listener_of_id[handoff->listener_id];
	struct sink sink = sink_of(env->scratch, 512);

	if (index >= 0)
		say_full(env->route->config, &env->route->config->listeners[index], &sink);
	/* Best effort: a full send buffer on a new connection does not happen. */
	if (sink.len > 0 && net_send(handoff->fd, sink.at, sink.len) > 0)
		(void)!net_shutdown_write(handoff->fd);
	net_close(handoff->fd, false);
	session_log_refused(env, handoff, reason);
	stat_closed(stats, reason);
	atomic_fetch_sub_explicit(&env->office->loads[env->worker].sessions, 1,
				  memory_order_relaxed);
}

void worker_accept_take(struct worker *worker, const struct mail_handoff *handoff)
{
	if (worker->is_stopping) {
		refuse(worker, handoff, CLOSE_STOP);
		return;
	}
	if (!session_open(&worker->env, handoff->fd, handoff->listener_id, &handoff->peer,
			  handoff->accepted_ns))
		refuse(worker, handoff, CLOSE_CONN_LIMIT);
}

/* As the configuration has it now; NULL: a reload took it away. */
static const struct config_listener *listener_of(const struct session_env *env, uint16_t id)
{
	int32_t index = env->route->listener_of_id[id];

	return index < 0 ? NULL : &env->route->config->listeners[index];
}

static void pace(struct session_env *env, uint16_t id)
{
	const struct config_listener *listener = listener_of(env, id);

	if (listener != NULL && listener->accept_rate > 0)
		pace_take_shared(&env->office->gates[id].accept_due_ns, listener->accept_rate, 1,
				 env->now_ns);
}

static void accepted(struct worker *worker, uint16_t listener_id, int fd, const struct addr *peer)
{
	struct session_env *env = &worker->env;
	uint64_t total = 0;
	uint32_t to = choose_worker(worker, &total);
	struct mail mail = {
		.kind = MAIL_HANDOFF,
		.handoff = { .fd = fd,
			     .listener_id = listener_id,
			     .peer = *peer,
			     .accepted_ns = env->now_ns },
	};

	stat_accepted(&env->stats->listener[listener_id]);
	pace(env, listener_id);
	/* Counted before it arrives, so that a burst does not all go to the same worker. */
	atomic_fetch_add_explicit(&env->office->loads[to].sessions, 1, memory_order_relaxed);
	if (total >= env->route->config->limits.connections) {
		atomic_fetch_sub_explicit(&env->office->loads[to].sessions, 1,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&env->office->loads[env->worker].sessions, 1,
					  memory_order_relaxed);
		refuse(worker, &mail.handoff, CLOSE_CONN_LIMIT);
		return;
	}
	if (to != env->worker) {
		if (mail_send(&env->office->workers[to], env->ring, &mail)) {
			stat_add(env->stats, STAT_HANDED_OFF, 1);
			return;
		}
		atomic_fetch_sub_explicit(&env->office->loads[to].sessions, 1,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&env->office->loads[env->worker].sessions, 1,
					  memory_order_relaxed);
	}
	worker_accept_take(worker, &mail.handoff);
}

static void on_pause_over(struct timer *timer)
{
	(void)timer; /* worker_accept_resume looks every turn */
}

static void pause_accept(struct worker *worker)
{
	if (worker->is_accept_paused)
		return;
	worker->is_accept_paused = true;
	stat_add(worker->env.stats, STAT_ACCEPT_PAUSED, 1);
}

static bool has_room(const struct worker *worker)
{
	const struct session_env *env = &worker->env;

	return env->unrouted < env->route->config->limits.unrouted;
}

/* True: nothing is left in the queue for now. */
static bool accept_some(struct worker *worker, struct worker_listener *listener, uint32_t most)
{
	for (uint32_t i = 0; i < most; i++) {
		struct addr peer;

		if (!has_room(worker)) {
			pause_accept(worker);
			return true;
		}
		int fd = net_accept(listener->fd, &peer);

		if (fd >= 0) {
			accepted(worker, listener->id, fd, &peer);
			continue;
		}
		if (fd == -EAGAIN)
			return true;
		stat_add(worker->env.stats, STAT_ACCEPT_ERRORS, 1);
		if (fd != -EMFILE && fd != -ENFILE && fd != -ENOBUFS && fd != -ENOMEM)
			continue; /* that connection's own trouble (EPROTO, EHOSTDOWN, ...) */
		timer_set(&worker->env.wheel, &worker->accept_timer, worker->env.now_ns + PAUSE_NS,
			  on_pause_over);
		pause_accept(worker);
		return true;
	}
	return false;
}

static void on_accept_due(struct timer *timer)
{
	struct worker_listener *listener = CONTAINER_OF(timer, struct worker_listener, timer);

	if (!listener->worker->is_accept_paused)
		uring_poll(listener->worker->env.ring, &listener->op, listener->fd, POLLIN,
			   on_acceptable);
}

/* One at a time where there is a rate: fellows accept from it, too. false: the socket waits. */
static bool accept_paced(struct worker_listener *listener)
{
	struct worker *worker = listener->worker;
	struct session_env *env = &worker->env;
	const struct config_listener *config = listener_of(env, listener->id);
	_Atomic uint64_t *due_ns = &env->office->gates[listener->id].accept_due_ns;

	if (config == NULL || config->accept_rate == 0) {
		(void)accept_some(worker, listener, ACCEPTS_A_TURN);
		return true;
	}
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		uint64_t until_ns = pace_wait_shared(due_ns, env->now_ns);

		if (until_ns > 0) {
			stat_add(env->stats, STAT_ACCEPT_PACED, 1);
			timer_set(&env->wheel, &listener->timer, until_ns, on_accept_due);
			return false;
		}
		if (accept_some(worker, listener, 1))
			break;
	}
	return true;
}

static void on_acceptable(struct uring_op *op, int events)
{
	struct worker_listener *listener = CONTAINER_OF(op, struct worker_listener, op);
	struct worker *worker = listener->worker;

	if (events < 0)
		return;
	/* Control publishes a snapshot to every worker before it hands out listeners. */
	CHECK(worker->env.route != NULL);
	if (!accept_paced(listener))
		return;
	/* One-shot: armed again it checks the level, so what was left over comes next turn. */
	if (listener->fd >= 0 && !worker->is_accept_paused)
		uring_poll(worker->env.ring, op, listener->fd, POLLIN, on_acceptable);
}

void worker_accept_resume(struct worker *worker)
{
	if (LIKELY(!worker->is_accept_paused))
		return;
	if (timer_is_set(&worker->accept_timer) || !has_room(worker))
		return;
	worker->is_accept_paused = false;
	for (uint32_t i = 0; i < worker->listener_count; i++) {
		struct worker_listener *listener = &worker->listeners[i];

		if (listener->fd >= 0 && !listener->op.is_armed && !timer_is_set(&listener->timer))
			uring_poll(worker->env.ring, &listener->op, listener->fd, POLLIN,
				   on_acceptable);
	}
}

static struct worker_listener *free_place(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->listener_count; i++)
		if (worker->listeners[i].fd < 0)
			return &worker->listeners[i];
	CHECK(worker->listener_count < WORKER_SOCKETS_MAX);
	return &worker->listeners[worker->listener_count++];
}

void worker_accept_add(struct worker *worker, uint16_t id, int fd)
{
	struct worker_listener *listener = free_place(worker);

	CHECK(id < STAT_LISTENERS_MAX);
	listener->id = id;
	listener->fd = fd;
	if (!worker->is_accept_paused)
		uring_poll(worker->env.ring, &listener->op, fd, POLLIN, on_acceptable);
}

static void close_listener(struct worker *worker, struct worker_listener *listener)
{
	uring_cancel(worker->env.ring, &listener->op);
	timer_clear(&worker->env.wheel, &listener->timer);
	net_close(listener->fd, false);
	listener->fd = -1;
}

/* Closing resets what is queued: take it first. */
static void empty_listener(struct worker *worker, struct worker_listener *listener)
{
	while (!accept_some(worker, listener, ACCEPTS_A_TURN))
		continue;
}

void worker_accept_remove_one(struct worker *worker, const struct mail_close_port *mail)
{
	for (uint32_t i = 0; i < worker->listener_count; i++) {
		struct worker_listener *listener = &worker->listeners[i];

		if (listener->fd != mail->fd || listener->id != mail->listener_id)
			continue;
		empty_listener(worker, listener);
		close_listener(worker, listener);
	}
}

void worker_accept_remove(struct worker *worker, const struct mail_unlisten *mail)
{
	const struct mail done = {
		.kind = MAIL_UNLISTENED,
		.unlistened = { .listener_id = mail->listener_id,
				.worker = (uint16_t)worker->env.worker },
	};

	for (uint32_t i = 0; i < worker->listener_count; i++) {
		struct worker_listener *listener = &worker->listeners[i];

		if (listener->fd < 0 || listener->id != mail->listener_id)
			continue;
		if (!mail->is_inherited)
			empty_listener(worker, listener);
		close_listener(worker, listener);
	}
	/* Without it the listener would be closing for ever; control takes its mail every turn. */
	while (!mail_send(&worker->env.office->control, worker->env.ring, &done))
		(void)sched_yield();
}

void worker_accept_close_all(struct worker *worker)
{
	timer_clear(&worker->env.wheel, &worker->accept_timer);
	for (uint32_t i = 0; i < worker->listener_count; i++)
		if (worker->listeners[i].fd >= 0)
			close_listener(worker, &worker->listeners[i]);
}
