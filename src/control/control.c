/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control: the control thread: opens everything, then one loop over signals, mail, timers and
 * discovery until the drain is over. The loop sleeps in the ring; everything that may wake it is a
 * poll on a descriptor or a wake-up of the ring.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <penstock/base/err.h>

#include "control_priv.h"
#include "control_unix.h"
#include "discovery/discovery_file.h"

#define TIMERS_MOST 1024 /* a turn */

static void on_signal(struct uring_op *op, int events)
{
	struct control *control = CONTAINER_OF(op, struct control, signal_op);
	struct signalfd_siginfo info;

	if (events < 0)
		log_error("signal_poll_failed", "%s", err_text(events));
	while (read(control->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			if (control->phase >= CONTROL_LAME_DUCK)
				control_drain_stop(control, "second signal");
			else
				control_drain_begin(control, info.ssi_signo == SIGINT ? "SIGINT"
										      : "SIGTERM");
			break;
		case SIGQUIT:
			control_drain_stop(control, "SIGQUIT");
			break;
		case SIGHUP:
			control_reload_soon(control);
			break;
		case SIGUSR2:
			control_handover_begin(control);
			break;
		default:
			/* USR1 reopens logs in other servers: not deadly here. */
			log_info("signal_ignored", "signal %u does nothing in this version",
				 info.ssi_signo);
			break;
		}
	}
}

static int open_signals(struct control *control)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(signals); i++)
		sigaddset(&set, signals[i]);
	int ret = pthread_sigmask(SIG_BLOCK, &set, NULL);

	if (ret != 0)
		return -ret;
	/* Libraries write to sockets too, without MSG_NOSIGNAL. */
	if (sigaction(SIGPIPE, &ignore, NULL) < 0)
		return -errno;
	control->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (control->signal_fd < 0)
		return -errno;
	uring_poll_many(control->ring, &control->signal_op, control->signal_fd, POLLIN, on_signal);
	return 0;
}

static void on_woken(void *context)
{
	struct control *control = context;

	control->is_woken = true;
}

static void on_changed(void *context)
{
	control_publish_soon(context);
}

static int open_discovery(struct control *control)
{
	const struct discovery_host host = {
		.ring = control->ring,
		.resolve = control_dns_resolve,
		.changed = on_changed,
		.gone = control_nodes_gone,
		.context = control,
	};

	if (control_config(control)->state_dir != NULL)
		discovery_file_tidy(control_config(control)->state_dir);
	control->discovery = discovery_new(&host);
	if (control->discovery == NULL)
		return -ENOMEM;
	return discovery_apply(control->discovery, control_config(control));
}

static int open_listeners(struct control *control)
{
	const struct config *config = control_config(control);
	struct control_listen_plan plan;
	struct control_rule_plan *rules;
	int ret = control_rule_prepare(control, config, &rules);

	if (ret < 0)
		return ret;
	control_rule_commit(control, config, rules);
	ret = control_listen_prepare(control, config, &plan);
	if (ret == 0)
		control_listen_commit(control, config, &plan);
	return ret;
}

static int open_all(struct control *control)
{
	int ret = uring_open(&control->ring, CONTROL_RING_ENTRIES);

	if (ret < 0) {
		log_error("ring_failed", "the control ring: %s", err_text(ret));
		return ret;
	}
	uring_on_wake(control->ring, on_woken, control);
	atomic_store_explicit(&control->office->control.ring, control->ring, memory_order_release);
	ret = open_signals(control);
	if (ret == 0)
		ret = control_inherit_open(control);
	if (ret == 0)
		ret = open_listeners(control);
	if (ret == 0)
		ret = control_admin_open(control);
	if (ret == 0)
		ret = control_dns_open(control);
	if (ret == 0)
		ret = open_discovery(control);
	if (ret == 0)
		control_ask_apply(control);
	return ret;
}

/* A stolen key opens the tickets of three hours at the most (tls/context.h). */
static void on_ticket(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, ticket_timer);

	tls_tickets_rotate(control->tickets);
	timer_set(&control->wheel, timer, clock_now_ns() + CONTROL_TICKET_NS, on_ticket);
}

int control_open(struct control **ret_control, const struct control_args *args)
{
	struct control *control = calloc(1, sizeof(*control));

	if (control == NULL) {
		tls_set_free(args->tls);
		config_free(args->config);
		return -ENOMEM;
	}
	control->config = control_publish_config(args->config, args->tls);
	control->workers = calloc(args->office->worker_count, sizeof(*control->workers));
	if (control->config == NULL || control->workers == NULL) {
		control_publish_config_undo(control->config);
		free(control->workers);
		free(control);
		tls_set_free(args->tls);
		config_free(args->config);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < args->office->worker_count; i++)
		control->workers[i].last = &control->workers[i].first;
	control->office = args->office;
	control->reload = args->reload;
	control->reload_context = args->reload_context;
	control->tickets = args->tickets;
	control->signal_fd = -1;
	control->admin_fd = control->web_fd = -1;
	control->handover_fd = control->predecessor_fd = -1;
	control->program = args->program;
	control->argv = args->argv;
	control->program_identity = control_unix_identity("/proc/self/exe");
	control->is_last_reload_good = true;
	control->config_generation = control->config_generation_served = 1;
	control->started_ns = clock_now_ns();
	rng_init(&control->rng);
	timer_wheel_init(&control->wheel, control->started_ns);
	control_learned_apply(control, args->config);
	timer_set(&control->wheel, &control->ticket_timer, control->started_ns + CONTROL_TICKET_NS,
		  on_ticket);
	control_refresh_begin(control);

	control_certificates_begin(control);

	int ret = open_all(control);

	if (ret < 0) {
		control_close(control);
		return ret;
	}
	*ret_control = control;
	return 0;
}

/* Adds a reason while there is room. */
PRINTF_LIKE(3, 4)
static void give_reason(char *reasons, size_t size, const char *format, ...)
{
	size_t len = strlen(reasons);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(reasons + len, size - len, format, args);
	va_end(args);
}

/* What workers route by, not what discovery has just read. */
static bool are_clusters_ready(const struct control *control, char *reasons, size_t size)
{
	const struct config *config = control_config(control);
	const struct route *route = control->newest != NULL ? control->newest->route : NULL;

	for (uint32_t i = 0; i < config->cluster_count; i++)
		if (route == NULL || i >= route->cluster_count || !route->clusters[i].is_loaded)
			give_reason(reasons, size, "cluster %s: no broker list yet\n",
				    config->clusters[i].name);
	if (reasons[0] != '\0')
		return false;
	if (control->loaded_version != 0 &&
	    control_publish_is_taken(control, control->loaded_version))
		return true;
	give_reason(reasons, size, "starting: a worker has no snapshot yet\n");
	return false;
}

/* Names that are asked for, or whose answers no worker routes by yet. */
static bool is_resolving(const struct control *control)
{
	return control->dns.pending_count > 0 || control->is_changed ||
	       !control_publish_is_taken(control, control->version);
}

bool control_is_ready(struct control *control, char *ret_reasons, size_t size)
{
	ret_reasons[0] = '\0';
	if (control->phase > CONTROL_SERVING) {
		give_reason(ret_reasons, size, "draining\n");
		return false;
	}
	bool is_ready = are_clusters_ready(control, ret_reasons, size);

	/* The first answers only: later a name that does not resolve is that broker's affair. */
	if (control->phase == CONTROL_STARTING && is_resolving(control) &&
	    clock_now_ns() < control->started_ns + CONTROL_START_DNS_NS) {
		give_reason(ret_reasons, size, "starting: names are being resolved\n");
		is_ready = false;
	}
	return is_ready;
}

void control_check_ready(struct control *control)
{
	char reasons[1024];

	if (control->phase != CONTROL_STARTING ||
	    !control_is_ready(control, reasons, sizeof(reasons)))
		return;
	control->phase = CONTROL_SERVING;
	log_info("ready", "%u clusters, %u listeners, %u workers",
		 control_config(control)->cluster_count, control_config(control)->listener_count,
		 control->office->worker_count);
	if (control_is_heir(control))
		control_inherit_done(control);
	if (!control->is_notified)
		control_notify_send("READY=1\nSTATUS=serving");
	control->is_notified = true;
}

/* A ZooKeeper that is down must not make the service manager give up on us: what can be served is
 * served (503 on /readyz says the rest), and the list comes when it comes. */
static void notify_anyway(struct control *control, uint64_t now_ns)
{
	char reasons[1024];
	char text[sizeof(reasons) + 64];

	if (control->is_notified || control->phase != CONTROL_STARTING ||
	    control_is_heir(control) || now_ns - control->started_ns < CONTROL_START_MOST_NS)
		return;
	(void)control_is_ready(control, reasons, sizeof(reasons));
	reasons[strcspn(reasons, "\n")] = '\0';
	(void)snprintf(text, sizeof(text), "READY=1\nSTATUS=waiting: %s", reasons);
	control_notify_send(text);
	control->is_notified = true;
	log_warn("not_ready", "%s; going on without", reasons);
}

static void check_heartbeats(struct control *control, uint64_t now_ns)
{
	bool is_any_late = false;

	for (uint32_t i = 0; i < control->office->worker_count; i++) {
		struct control_worker *worker = &control->workers[i];
		uint64_t beat_ns = atomic_load_explicit(&control->office->stats[i]->heartbeat_ns,
							memory_order_relaxed);
		bool is_late = beat_ns != 0 && !worker->is_stopped &&
			       beat_ns + ADMIN_HEARTBEAT_NS < now_ns;

		if (is_late && !worker->is_late)
			log_error("worker_late", "worker %u has not turned its loop for %llu ms", i,
				  (unsigned long long)((now_ns - beat_ns) / NS_PER_MS));
		worker->is_late = is_late;
		is_any_late |= is_late;
	}
	/* A worker that never comes back is a reason to be killed and started again. */
	if (!is_any_late)
		control_notify_alive(now_ns);
}

static void on_tick(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, tick_timer);
	uint64_t now_ns = clock_now_ns();

	control_publish_sweep(control);
	control_learned_sweep(control, now_ns);
	control_nodes_save(control, now_ns);
	check_heartbeats(control, now_ns);
	control_inherit_look(control);
	control_check_ready(control);
	notify_anyway(control, now_ns);
	/* Until it is ready somebody may be waiting for just that. */
	bool is_starting = control->phase == CONTROL_STARTING && !control->is_notified;

	timer_set(&control->wheel, timer,
		  now_ns + (is_starting ? CONTROL_DRAIN_TICK_NS : CONTROL_TICK_NS), on_tick);
}

/* One turn: what came, what is due, then sleep until there is more. */
static int turn(struct control *control)
{
	uint64_t now_ns = clock_now_ns();
	bool was_woken = control->is_woken;

	control->is_woken = false;
	control_mail_take(control);
	if (was_woken || now_ns >= control->discovery_due_ns)
		control->discovery_due_ns = discovery_tick(control->discovery, now_ns);
	(void)timer_run(&control->wheel, now_ns, TIMERS_MOST);

	uint64_t deadline_ns = timer_next_ns(&control->wheel);

	if (deadline_ns == 0 || control->discovery_due_ns < deadline_ns)
		deadline_ns = control->discovery_due_ns;
	if (control->is_woken || deadline_ns == 0)
		deadline_ns = 1; /* long past: do not sleep */
	int ret = uring_turn(control->ring, deadline_ns, 0);

	return ret < 0 && ret != -EINTR ? ret : 0;
}

/* Only the workers can end this now, and they answer by mail. */
static void on_ring_failure(struct control *control, int err)
{
	const struct timespec pause = { .tv_nsec = (long)CONTROL_DRAIN_TICK_NS };

	if (control->phase < CONTROL_STOPPING)
		log_error("ring_failed", "control: %s", err_text(err));
	control->exit_code = 1;
	control_drain_stop(control, "the control ring failed");
	(void)nanosleep(&pause, NULL);
}

int control_run(struct control *control)
{
	log_thread_name("control");
	control_publish_now(control);
	timer_set(&control->wheel, &control->tick_timer, clock_now_ns(), on_tick);
	while (control->phase != CONTROL_STOPPED) {
		int ret = turn(control);

		if (ret < 0)
			on_ring_failure(control, ret);
	}
	return control->exit_code;
}

void control_close(struct control *control)
{
	if (control == NULL)
		return;
	const struct config *config = control_config(control);

	if (control->admin != NULL) {
		/* Before its socket closes: a successor may make its own right after. It is not
		 * ours where another process has it: our heir, or whom we were to be heir of. */
		if (config->admin.is_on && config->admin.unix_path != NULL &&
		    !control->is_handed_over && !control_is_heir(control))
			(void)unlink(config->admin.unix_path);
		admin_close(control->admin);
	}
	control_ask_fini(control);
	if (control->discovery != NULL)
		discovery_free(control->discovery);
	control_dns_close(control);
	control_mail_fini(control);
	control_listen_fini(control);
	control_inherit_fini(control);
	control_learned_fini(control);
	control_nodes_fini(control);
	control_publish_fini(control);
	atomic_store_explicit(&control->office->control.ring, NULL, memory_order_release);
	if (control->ring != NULL)
		uring_close(control->ring);
	if (control->signal_fd >= 0)
		(void)close(control->signal_fd);
	control_publish_config_put(control->config);
	free(control->workers);
	free(control);
}
