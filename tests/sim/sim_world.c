/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One run: everything is made and started, the loop runs whoever can run and lets time pass when
 * nobody can, until every flow has come to its end (or the plan's end of the run overtakes them);
 * then penstock is told to stop and must leave nothing behind.
 */
#include <stdlib.h>

#include <penstock/base/log.h>
#include <penstock/mail.h>

#include "sim_flow.h"
#include "sim_town.h"
#include "sim_world.h"

#define FLOWS_NS (400 * NS_PER_S) /* every flow is done by then, or it hangs */
#define AFTER_NS (20 * NS_PER_S)  /* every session is gone so long after the last flow */
#define STOP_NS	 (5 * NS_PER_S)

static struct mail_office office;
static bool is_ended;

static uint64_t sessions_in_use(void)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < office.worker_count; i++)
		count += stat_get(office.stats[i], STAT_SESSIONS_IN_USE);
	return count;
}

typedef bool is_true_fn(void);

/* Runs until `is_true`, or for `limit_ns`: false. */
static bool run_until(is_true_fn *is_true, uint64_t limit_ns)
{
	uint64_t until = sim_now() + limit_ns;

	while (!is_true()) {
		uint64_t wakes_ns;

		if (sim_now() > until)
			return false;
		if (sim_worker_run_one(&wakes_ns))
			continue;
		uint64_t next = sim_next_ns();

		if (wakes_ns == UINT64_MAX && next == UINT64_MAX)
			return is_true();
		sim_advance(wakes_ns < next ? wakes_ns : next);
	}
	return true;
}

static bool are_gone(void)
{
	return sessions_in_use() == 0;
}

static bool are_done_or_ended(void)
{
	return is_ended || sim_flow_are_done();
}

static bool never(void)
{
	return false;
}

/* ---- the plan's end of the run ---- */

static void reset_all(void *context)
{
	(void)context;
	sim_trace("the drain is over");
	sim_control_reset();
}

static void end_run(void *context)
{
	(void)context;
	if (is_ended || sim_flow_are_done())
		return;
	is_ended = true;
	sim_flow_excuse_all();
	if (sim_plan.ending == SIM_ENDING_STOP)
		return;
	sim_trace("the drain begins");
	sim_control_unlisten();
	sim_control_drain(sim_skewed(NS_PER_S));
	sim_at(sim_skewed(3 * NS_PER_S), reset_all, NULL);
}

/* ---- from beginning to end ---- */

static void start(void)
{
	const struct config *config = sim_town_config();

	CHECK(mail_office_init(&office, sim_plan.workers) == 0);
	sim_broker_start_all();
	sim_control_start(&office, config);
	for (uint32_t i = 0; i < sim_plan.workers; i++)
		sim_worker_start(i, &office, config);
	sim_flow_start_all();
	if (sim_plan.ending != SIM_ENDING_FLOWS)
		sim_at(sim_plan.ending_ns - sim_now(), end_run, NULL);
}

static void check_after_flows(void)
{
	if (!run_until(are_gone, AFTER_NS))
		sim_fail("%llu sessions are left behind", (unsigned long long)sessions_in_use());
	if (!sim_worker_holds_nothing())
		sim_fail("buffers or pipes are held by nobody");
}

static void finish(void)
{
	if (!(is_ended && sim_plan.ending == SIM_ENDING_STOP)) {
		if (!is_ended)
			sim_control_unlisten();
		if (!run_until(sim_control_is_unlistened, STOP_NS))
			sim_fail("the listeners are not closed");
		if (is_ended && !run_until(are_gone, AFTER_NS))
			sim_fail("sessions have outlived the drain");
	}
	sim_control_stop();
	if (!run_until(sim_worker_are_done, STOP_NS))
		sim_fail("the workers do not stop");
	(void)run_until(never, NS_PER_S); /* letters on their way */
}

static void stop_here(void *context)
{
	(void)context;
	sim_fail("stopped here, as asked");
}

void sim_world_run(uint64_t seed, bool is_verbose, uint64_t stop_ns)
{
	sim_begin(seed, is_verbose);
	if (stop_ns > 0)
		sim_at(stop_ns, stop_here, NULL);
	sim_plan_make();
	log_configure(is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	start();
	if (!run_until(are_done_or_ended, FLOWS_NS))
		sim_fail("flows do not come to an end");
	if (!is_ended)
		check_after_flows();
	finish();
	sim_control_finish();
	sim_worker_check_and_free(&office);
	sim_flow_check_all();
	mail_office_fini(&office);
}
