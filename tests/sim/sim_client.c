/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The client's end of a lookup connection: CONNECT, then lookups, noise and pings in any mixture,
 * some of them before CONNECTED has come; answers challenges; reads fast or slowly; half-closes
 * when everything it asked has been answered, or resets in the middle.
 */
#include <stdio.h>

#include "sim_lookup.h"
#include "sim_town.h"

#define QUEUED_MAX 65536

static void step(void *context);

/* The client hardly reads, so that its end comes while answers wait for room. */
static void plan_clogged(struct sim_lookups *all)
{
	all->noise_to_client += 5;
	all->noise_len_max = 150000;
	all->talk.read_max = 3000;
	all->talk.read_pause_ns = 2 * NS_PER_MS;
	all->window = SIM_LOOKUPS_MAX;
	all->pause_ns = 0;
}

void sim_client_make(struct sim_flow *flow)
{
	struct sim_lookups *all = sim_alloc(sizeof(*all));

	flow->lookups = all;
	*all = (struct sim_lookups){
		.flow = flow,
		.talk = { .who = "lookup client", .read_max = 65536 },
		.noise_to_broker = (uint32_t)sim_skewed(20),
		.noise_to_client = (uint32_t)sim_skewed(20),
		.noise_len_max = sim_chance(300) ? 150000 : 300,
		.pings_to_broker = (uint32_t)sim_skewed(4),
		.window = (uint32_t)sim_between(1, SIM_LOOKUPS_MAX),
		.challenges = sim_chance(300) ? (uint32_t)sim_between(1, 3) : 0,
		.token = 1,
		.pause_ns = sim_chance(500) ? 0 : sim_skewed(20 * NS_PER_MS),
		.broker_last = SIM_LAST_FIN,
		.primary = -1,
	};
	if (sim_chance(150))
		all->is_eager = true;
	else if (sim_chance(150))
		all->rounds = (uint32_t)sim_between(1, 2);
	if (sim_chance(200))
		all->side_fault = (enum sim_side_fault)sim_between(SIM_SIDE_ERROR, SIM_SIDE_MUTE);
	if (sim_chance(120))
		all->rst_ns = sim_skewed(200 * NS_PER_MS) + 1;
	if (sim_chance(120)) {
		all->broker_last = sim_chance(500) ? SIM_LAST_RST : SIM_LAST_CLOSE;
		all->broker_ends_ns = sim_skewed(200 * NS_PER_MS);
	}
	if (sim_chance(300)) {
		all->talk.read_max = 1 + all->noise_len_max / 60 + sim_skewed(8192);
		all->talk.read_pause_ns = sim_skewed(NS_PER_MS);
	}
	if ((all->rst_ns > 0 || all->broker_last != SIM_LAST_FIN) && sim_chance(500))
		plan_clogged(all);
	sim_lookup_plan(all);
}

static void reset_now(void *context)
{
	struct sim_lookups *all = context;

	if (all->talk.is_done || all->talk.end->state != SIM_TCP_OPEN)
		return;
	sim_trace("flow %u: lookup client resets", all->flow->id);
	sim_talk_leave(&all->talk, true);
}

void sim_client_begin(struct sim_flow *flow, const struct sim_wire *wire)
{
	struct sim_lookups *all = flow->lookups;
	const struct addr to = sim_town_listener(flow->listener);

	sim_frame_append(&all->talk.out, flow->client.prefix.at, flow->client.prefix.len);
	all->talk.end = sim_tcp_connect(&to, &flow->from, wire, step, all);
	if (all->rst_ns > 0)
		sim_at(all->rst_ns, reset_now, all);
}

/* ---- what it hears ---- */

static void answer_challenge(struct sim_lookups *all, bool is_refresh)
{
	struct sim_text data = { 0 }, body = { 0 };
	char secret[48];

	if (is_refresh)
		all->token++;
	(void)snprintf(secret, sizeof(secret), "secret-%u-%u", all->flow->id, all->token);
	sim_frame_str(&data, 1, "token");
	sim_frame_str(&data, 2, secret);
	sim_frame_str(&body, 1, "sim");
	sim_frame_bytes(&body, 2, span_of(data.at, data.len));
	sim_frame_put(&all->talk.out, 37, &body, span_of(NULL, 0));
	sim_frame_free(&data);
	sim_frame_free(&body);
}

static void hear(struct sim_lookups *all, const struct sim_frame *frame)
{
	struct sim_text nothing = { 0 };

	if (sim_frame_is_noise(frame)) {
		sim_frame_check_noise(frame, all->flow->id, false, all->noise_seen++,
				      all->talk.who);
		return;
	}
	switch (frame->type) {
	case 3: /* CONNECTED */
		if (all->is_connected)
			sim_fail("flow %u: CONNECTED twice", all->flow->id);
		all->is_connected = true;
		break;
	case 14: /* ERROR */
		all->is_refused = true;
		if (!all->flow->may_be_refused && !all->flow->is_excused)
			sim_fail("flow %u: the lookup connection was refused", all->flow->id);
		break;
	case 18: /* PING */
		sim_frame_put(&all->talk.out, 19, &nothing, span_of(NULL, 0));
		break;
	case 19: /* PONG */
		all->pongs_to_client++;
		break;
	case 24:
		sim_lookup_check(all, frame);
		break;
	case 36: /* AUTH_CHALLENGE */
		answer_challenge(all, all->is_connected);
		break;
	default:
		sim_fail("flow %u: a frame of type %u", all->flow->id, frame->type);
	}
}

/* ---- what it says ---- */

static uint32_t waiting(const struct sim_lookups *all)
{
	return all->next - all->answered;
}

/* One thing of those left, any of them; false: nothing may be said now. */
static bool say_one(struct sim_lookups *all)
{
	struct sim_text nothing = { 0 };
	bool may_ask = all->next < all->count && waiting(all) < all->window;
	uint64_t what = sim_below(3);

	for (uint32_t i = 0; i < 3; i++, what = (what + 1) % 3) {
		if (what == 0 && may_ask) {
			struct sim_lookup *lookup = &all->at[all->next++];

			lookup->is_asked = true;
			sim_frame_append(&all->talk.out, lookup->frame.at, lookup->frame.len);
			return true;
		}
		if (what == 1 && all->noise_sent < all->noise_to_broker) {
			sim_frame_noise(&all->talk.out, all->flow->id, true, all->noise_sent++,
					sim_skewed(all->noise_len_max));
			return true;
		}
		if (what == 2 && all->pings_sent < all->pings_to_broker) {
			all->pings_sent++;
			sim_frame_put(&all->talk.out, 18, &nothing, span_of(NULL, 0));
			return true;
		}
	}
	return false;
}

/* True: there is more, once this is sent. */
static bool say(struct sim_lookups *all)
{
	while ((all->is_connected || all->is_eager) && !all->talk.has_fin) {
		if (all->talk.out.len > QUEUED_MAX)
			return true;
		if (sim_now() < all->may_send_ns) {
			sim_alarm(&all->alarm, all->may_send_ns, step, all);
			return false;
		}
		if (!say_one(all))
			return false;
		if (all->pause_ns > 0)
			all->may_send_ns = sim_now() + sim_below(all->pause_ns);
	}
	return false;
}

/* ---- how it ends ---- */

static bool has_everything(const struct sim_lookups *all)
{
	return all->answered == all->count && all->noise_sent == all->noise_to_broker &&
	       all->noise_seen == all->noise_to_client &&
	       all->pongs_to_client == all->pings_to_broker && all->token == 1 + all->challenges &&
	       all->is_connected;
}

static void saw_end(struct sim_lookups *all)
{
	const struct sim_flow *flow = all->flow;
	bool may_be = flow->is_excused || all->is_refused || all->has_primary_ended ||
		      (flow->may_be_refused && all->primary < 0) || sim_plan.bufs > 0;

	if (!may_be && (all->talk.saw_rst || !all->talk.has_fin))
		sim_fail("flow %u: the lookup client saw %s", flow->id,
			 all->talk.saw_rst ? "a reset" : "a FIN");
	sim_talk_leave(&all->talk, false);
}

static void step(void *context)
{
	struct sim_lookups *all = context;
	struct sim_talk *talk = &all->talk;
	struct sim_frame frame;
	size_t used;

	if (talk->is_done || talk->end->state == SIM_TCP_CONNECTING)
		return;
	do {
		while (sim_talk_next(talk, &frame, &used)) {
			hear(all, &frame);
			sim_talk_used(talk, used);
		}
	} while (sim_talk_read(talk, step, all));
	if (talk->saw_rst || talk->saw_fin) {
		saw_end(all);
		return;
	}
	bool has_more;

	do {
		has_more = say(all);
		if (!sim_talk_flush(talk))
			return;
	} while (has_more);
	if (has_everything(all))
		sim_talk_finish(talk);
}

void sim_client_show(const struct sim_flow *flow)
{
	const struct sim_lookups *all = flow->lookups;

	(void)fprintf(
		stderr,
		"flow %u: lookup client %s%s: %u of %u lookups asked, %u answered; noise %u of "
		"%u sent, %u of %u seen; %u of %u pongs; credentials %u of %u; %u brokers\n",
		flow->id, all->talk.is_done ? "done" : "not done",
		all->talk.has_fin ? ", finished" : "", all->next, all->count, all->answered,
		all->noise_sent, all->noise_to_broker, all->noise_seen, all->noise_to_client,
		all->pongs_to_client, all->pings_to_broker, all->token, 1 + all->challenges,
		all->conns);
}

bool sim_client_is_done(const struct sim_flow *flow)
{
	return flow->lookups->talk.is_done && flow->lookups->conns == 0;
}

void sim_client_check(const struct sim_flow *flow)
{
	const struct sim_lookups *all = flow->lookups;
	bool is_cut = all->rst_ns > 0 || all->has_primary_ended || all->is_refused;

	if (flow->is_excused || is_cut || flow->may_be_refused)
		return;
	if (!has_everything(all))
		sim_fail("flow %u: %u of %u lookups answered, %u of %u frames seen", flow->id,
			 all->answered, all->count, all->noise_seen, all->noise_to_client);
	if (all->noise_arrived != all->noise_to_broker)
		sim_fail("flow %u: %u of %u frames reached the broker", flow->id,
			 all->noise_arrived, all->noise_to_broker);
}
