/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_drain: the way out (DECISIONS 6): unready, so that the load balancer looks away; after
 * drain.lame_duck listeners take what is queued and close; lookup connections and those of Kafka go
 * first, spread over drain.spread, since their clients reconnect elsewhere without noticing; the
 * rest may finish until
 * timeouts.drain and is reset then, broker side first (Pulsar #20011: a broker that still sees the
 * old consumer refuses the new one). A second signal skips to the end. After a handover there is no
 * lame duck: the heir accepts at the same addresses.
 */
#include "control_priv.h"

static uint64_t count_sessions(const struct control *control)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < control->office->worker_count; i++)
		if (!control->workers[i].is_stopped)
			sum += stat_get(control->office->stats[i], STAT_SESSIONS_IN_USE);
	return sum;
}

static uint64_t count_closed(const struct control *control, enum close_reason reason)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < control->office->worker_count; i++)
		for (uint32_t id = 0; id < control->listener_count; id++)
			sum += atomic_load_explicit(
				&control->office->stats[i]->listener[id].closed[reason],
				memory_order_relaxed);
	return sum;
}

static void on_timer(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, drain_timer);

	control_drain_step(control, clock_now_ns());
}

/* Moves on to a phase that ends then at the latest; 0: never by itself. */
static void move(struct control *control, enum control_phase phase, uint64_t deadline_ns)
{
	CHECK(phase > control->phase);
	control->phase = phase;
	control->drain_deadline_ns = deadline_ns;
}

static bool is_overdue(const struct control *control, uint64_t now_ns)
{
	return control->drain_deadline_ns != 0 && now_ns >= control->drain_deadline_ns;
}

void control_drain_begin(struct control *control, const char *why)
{
	const struct config *config = control_config(control);

	if (control->phase >= CONTROL_LAME_DUCK)
		return;
	control_handover_abort(control);
	for (uint32_t i = 0; i < CLOSE_COUNT; i++)
		control->drain_closed[i] = count_closed(control, (enum close_reason)i);
	control->drain_sessions = count_sessions(control);
	log_info("drain", "%s: %llu connections open", why,
		 (unsigned long long)control->drain_sessions);
	control_notify_send("STOPPING=1\nSTATUS=draining");
	timer_clear(&control->wheel, &control->reload_timer);
	control->drain_begun_ns = clock_now_ns();
	if (!control->is_handed_over)
		log_info("lame_duck", "unready for %llu ms, then listeners close",
			 (unsigned long long)(config->drain.lame_duck_ns / NS_PER_MS));
	move(control, CONTROL_LAME_DUCK,
	     control->drain_begun_ns + (control->is_handed_over ? 0 : config->drain.lame_duck_ns));
	timer_set(&control->wheel, &control->drain_timer, clock_now_ns() + CONTROL_DRAIN_TICK_NS,
		  on_timer);
}

static void report(struct control *control)
{
	uint64_t counts[CLOSE_COUNT];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < CLOSE_COUNT; i++) {
		counts[i] = count_closed(control, (enum close_reason)i) - control->drain_closed[i];
		sum += counts[i];
	}
	uint64_t forced = counts[CLOSE_DRAIN] + counts[CLOSE_DRAIN_TIMEOUT] + counts[CLOSE_STOP];

	log_info("drained",
		 "%llu finished by themselves, %llu closed in order, %llu reset at "
		 "timeouts.drain, %llu stopped at once",
		 (unsigned long long)(sum - forced), (unsigned long long)counts[CLOSE_DRAIN],
		 (unsigned long long)counts[CLOSE_DRAIN_TIMEOUT],
		 (unsigned long long)counts[CLOSE_STOP]);
}

void control_drain_stop(struct control *control, const char *why)
{
	const struct mail mail = { .kind = MAIL_STOP };

	if (control->phase >= CONTROL_STOPPING)
		return;
	control_handover_abort(control);
	log_info("stop", "%s: %llu connections open", why,
		 (unsigned long long)count_sessions(control));
	if (control->phase < CONTROL_LAME_DUCK)
		control_notify_send("STOPPING=1\nSTATUS=stopping");
	control_listen_close_all(control);
	move(control, CONTROL_STOPPING, clock_now_ns() + CONTROL_STOP_NS);
	control_mail_post_all(control, &mail);
	timer_set(&control->wheel, &control->drain_timer, clock_now_ns(), on_timer);
}

static void begin_draining(struct control *control)
{
	const struct config *config = control_config(control);
	struct mail mail = { .kind = MAIL_DRAIN };

	mail.drain.spread_ns = config->drain.spread_ns;
	/* All of it, the lame duck's time included, so that it fits into a grace period (systemd's
	 * TimeoutStopSec, Kubernetes' terminationGracePeriodSeconds). */
	move(control, CONTROL_DRAINING,
	     config->timeouts.drain_ns == CONFIG_OFF
		     ? 0
		     : control->drain_begun_ns + config->timeouts.drain_ns);
	control_listen_close_all(control);
	control_mail_post_all(control, &mail);
	log_info("draining", "listeners close; %llu connections may finish",
		 (unsigned long long)count_sessions(control));
}

static void begin_resetting(struct control *control)
{
	const struct mail mail = { .kind = MAIL_RESET };

	log_warn("drain_timeout", "%llu connections are reset: timeouts.drain is over",
		 (unsigned long long)count_sessions(control));
	move(control, CONTROL_RESETTING, clock_now_ns() + CONTROL_RESET_NS);
	control_mail_post_all(control, &mail);
}

/* All workers have left their loops, or the ones that have not never will. */
static bool is_stopped(struct control *control, uint64_t now_ns)
{
	for (uint32_t i = 0; i < control->office->worker_count; i++) {
		if (control->workers[i].is_stopped)
			continue;
		if (!is_overdue(control, now_ns))
			return false;
		log_error("worker_stuck", "worker %u has not stopped within %llu s", i,
			  (unsigned long long)(CONTROL_STOP_NS / NS_PER_S));
		control->exit_code = 1;
	}
	return true;
}

void control_drain_step(struct control *control, uint64_t now_ns)
{
	switch (control->phase) {
	case CONTROL_STARTING:
	case CONTROL_SERVING:
	case CONTROL_STOPPED:
		return;
	case CONTROL_LAME_DUCK:
		if (is_overdue(control, now_ns))
			begin_draining(control);
		break;
	case CONTROL_DRAINING:
		/* Only when every listener is closed can there be no further session. */
		if (control_listen_closing(control) == 0 && count_sessions(control) == 0)
			control_drain_stop(control, "all connections have ended");
		else if (is_overdue(control, now_ns))
			begin_resetting(control);
		break;
	case CONTROL_RESETTING:
		if (count_sessions(control) == 0 || is_overdue(control, now_ns))
			control_drain_stop(control, "drained");
		break;
	case CONTROL_STOPPING:
		if (is_stopped(control, now_ns)) {
			report(control);
			control->phase = CONTROL_STOPPED;
		}
		break;
	}
	if (control->phase != CONTROL_STOPPED)
		timer_set(&control->wheel, &control->drain_timer, now_ns + CONTROL_DRAIN_TICK_NS,
			  on_timer);
}

void control_drain_on_stopped(struct control *control, const struct mail_stopped *mail)
{
	if (mail->worker >= control->office->worker_count)
		return;
	control->workers[mail->worker].is_stopped = true;
	if (control->admin != NULL)
		admin_on_stopped(control->admin, mail->worker);
	if (control->phase >= CONTROL_STOPPING) {
		control_drain_step(control, clock_now_ns());
		return;
	}
	log_error("worker_died",
		  "worker %u has left its loop; the process ends, so that its "
		  "service manager starts it again",
		  mail->worker);
	control->exit_code = 1;
	control_drain_stop(control, "a worker died");
}
