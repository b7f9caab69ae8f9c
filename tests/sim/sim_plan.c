/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a seed makes of a run: how many of what, which faults, how it ends. Every fault is absent in
 * many seeds, so that one does not hide what another would show, and some seeds have none at all.
 */
#include <penstock/config.h>

#include "sim.h"

struct sim_plan sim_plan;

/* A chance that is nothing in `absent` per mille of the runs and up to `most` in the others. */
static uint32_t maybe(uint32_t absent, uint32_t most)
{
	if (sim_chance(absent))
		return 0;
	return (uint32_t)(sim_chance(500) ? sim_below(most + 1) : sim_skewed(most));
}

static void make_faults(struct sim_faults *faults)
{
	if (sim_chance(100))
		return;
	*faults = (struct sim_faults){
		.short_move = maybe(300, 500),
		.try_again = maybe(400, 200),
		.splice_einval = maybe(700, 300),
		.pipe_small = maybe(800, 500),
		.pipe_failed = maybe(800, 500),
		.accept_failed = maybe(800, 200),
		.late_completion = maybe(300, 400),
		.delay_completion = maybe(300, 400),
		.end_many = maybe(400, 300),
		.spurious = maybe(500, 100),
		.wake_failed = maybe(700, 300),
		.dial_failed = maybe(850, 100),
		.dns_failed = maybe(850, 300),
		.dns_late = maybe(600, 500),
	};
	if (sim_chance(150)) {
		faults->emfile_from_ns = sim_now() + sim_below(2 * NS_PER_S);
		faults->emfile_until_ns = faults->emfile_from_ns + sim_below(NS_PER_S);
	}
}

static void make_limits(struct sim_plan *plan)
{
	plan->pipes = sim_chance(200) ? (uint32_t)sim_below(3) : 32;
	plan->unrouted = sim_chance(200) ? (uint32_t)sim_between(1, 4) : 64;
	plan->lookups = sim_chance(200) ? sim_between(1, 6) : 50000;
	plan->connections = sim_chance(100) ? sim_between(4, 40) : 1000;
	/* As the budget does, a buffer for each that is unrouted and some more. */
	if (sim_chance(300)) {
		plan->unrouted = (uint32_t)sim_between(1, 4);
		plan->bufs = plan->unrouted + (uint32_t)sim_between(2, 5);
	}
	if (sim_chance(100))
		plan->busy_poll_ns = sim_between(1, 50) * NS_PER_US;
}

void sim_plan_make(void)
{
	struct sim_plan *plan = &sim_plan;

	make_faults(&plan->faults);
	make_limits(plan);
	plan->workers = sim_chance(300) ? 2 : 1;
	plan->flows = (uint32_t)sim_between(4, 128);
	plan->lookup_share = sim_chance(200) ? 0 : (uint32_t)sim_below(700);
	plan->brokers = (uint32_t)sim_between(3, 6);
	plan->hidden = (uint32_t)sim_below(3);
	plan->start_spread_ns = sim_skewed(8 * NS_PER_S);
	plan->len_max = sim_chance(300) ? 1000000 : 100000;
	plan->reuses_fds = sim_chance(300);
	plan->dns_share = 300;
	if (sim_chance(150)) {
		plan->dns_share = 900;
		plan->faults.dns_late = 500;
		plan->start_spread_ns = 8 * NS_PER_S;
	}
	plan->is_zookeeper = sim_chance(500);
	plan->is_direct = plan->is_zookeeper && sim_chance(400);
	plan->send_proxy =
		sim_chance(600) ? CONFIG_SEND_PROXY_OFF
				: (uint8_t)sim_between(CONFIG_SEND_PROXY_V1, CONFIG_SEND_PROXY_V2);
	plan->proxy_mode = sim_chance(500) ? CONFIG_PROXY_OPTIONAL : CONFIG_PROXY_REQUIRED;
	if (sim_chance(250))
		plan->dead_broker = (uint8_t)sim_between(1, plan->brokers);
	if (sim_chance(150))
		plan->black_broker = (uint8_t)sim_between(1, plan->brokers);
	if (sim_chance(250)) {
		plan->ending = sim_chance(700) ? SIM_ENDING_DRAIN : SIM_ENDING_STOP;
		plan->ending_ns = sim_now() + sim_below(plan->start_spread_ns + NS_PER_S / 2);
	}
	/* In some seeds, and without a throw: the others are what they were before. */
	plan->kafka_share = sim_seed() % 4 == 3 ? 300 : 0;
	plan->is_paced = plan->kafka_share > 0 && (sim_seed() >> 8) % 2 == 1;
	plan->has_login = plan->kafka_share > 0 && (sim_seed() >> 9) % 2 == 1;
	plan->denies = plan->kafka_share > 0 && (sim_seed() >> 12) % 2 == 1;
	/* Clients come before it, and are held for less than timeouts.connect. */
	if (plan->kafka_share > 0 && (sim_seed() >> 11) % 2 == 1)
		plan->list_ns = sim_now() + 5 * NS_PER_S / 4;
	plan->breaks_login = plan->has_login && (sim_seed() >> 8) % 8 >= 6;
	plan->has_limits = plan->connections < 2 * plan->flows || plan->faults.dial_failed > 0 ||
			   plan->faults.emfile_until_ns > 0 || plan->faults.accept_failed > 0;
}
