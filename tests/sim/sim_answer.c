/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A broker's end of a lookup connection: the client's own (it carries everything), or one penstock
 * makes to follow a redirect (it carries the client's CONNECT and its redirected lookups, nothing
 * else). Answers late and out of order.
 */
#include <stdio.h>
#include <string.h>

#include "sim_lookup.h"
#include "sim_town.h"

#define QUEUED_MAX 300000

struct answerer {
	struct sim_lookups *all;
	struct sim_talk talk;
	uint32_t broker;
	uint32_t rounds;     /* challenges left before CONNECTED */
	uint32_t challenges; /* refreshes left */
	uint32_t noise_sent;
	uint32_t waiting; /* lookups to be answered */
	bool is_side, is_connected, is_chatting;
	enum sim_side_fault fault;
};

struct question {
	struct answerer *answerer;
	struct sim_lookup *lookup;
};

static void step(void *context);

static void leave(struct answerer *answerer, bool is_reset)
{
	if (answerer->talk.is_done)
		return;
	sim_talk_leave(&answerer->talk, is_reset);
	answerer->all->conns--;
	sim_frame_free(&answerer->talk.in);
	sim_frame_free(&answerer->talk.out);
}

/* ---- what it says by itself ---- */

static void put_empty(struct answerer *answerer, uint32_t type)
{
	struct sim_text nothing = { 0 };

	sim_frame_put(&answerer->talk.out, type, &nothing, span_of(NULL, 0));
}

static void put_challenge(struct answerer *answerer)
{
	struct sim_text data = { 0 }, body = { 0 };

	sim_frame_str(&data, 1, "token");
	sim_frame_str(&data, 2, answerer->is_connected ? "PulsarAuthRefresh" : "round");
	sim_frame_str(&body, 1, "sim broker");
	sim_frame_bytes(&body, 2, span_of(data.at, data.len));
	sim_frame_put(&answerer->talk.out, 36, &body, span_of(NULL, 0));
	sim_frame_free(&data);
	sim_frame_free(&body);
}

/* Noise, refreshes and pings, one after the other. */
static void chat(void *context)
{
	struct answerer *answerer = context;
	struct sim_lookups *all = answerer->all;

	if (answerer->talk.is_done || answerer->talk.has_fin)
		return;
	bool has_noise = !answerer->is_side && answerer->noise_sent < all->noise_to_client;
	bool has_refresh = !answerer->is_side && answerer->challenges > 0;

	if (answerer->talk.out.len < QUEUED_MAX) {
		if (sim_chance(100))
			put_empty(answerer, 18);
		if (has_refresh && sim_chance(300)) {
			answerer->challenges--;
			put_challenge(answerer);
		} else if (has_noise) {
			sim_frame_noise(&answerer->talk.out, all->flow->id, false,
					answerer->noise_sent++, sim_skewed(all->noise_len_max));
		}
	}
	answerer->is_chatting = has_noise || has_refresh;
	if (answerer->is_chatting)
		sim_at(sim_skewed(10 * NS_PER_MS), chat, answerer);
	step(answerer);
}

static void become_connected(struct answerer *answerer)
{
	struct sim_text body = { 0 };

	if (answerer->fault == SIM_SIDE_ERROR) {
		sim_frame_varint(&body, 1, UINT64_MAX);
		sim_frame_varint(&body, 2, 3);
		sim_frame_str(&body, 3, "not you");
		sim_frame_put(&answerer->talk.out, 14, &body, span_of(NULL, 0));
	} else if (answerer->fault == SIM_SIDE_CHALLENGE || answerer->rounds > 0) {
		put_challenge(answerer);
	} else {
		sim_frame_str(&body, 1, "sim broker");
		sim_frame_varint(&body, 2, 21);
		if (sim_chance(500))
			sim_frame_varint(&body, 3, 5 << 20);
		sim_frame_put(&answerer->talk.out, 3, &body, span_of(NULL, 0));
		answerer->is_connected = true;
		answerer->is_chatting = true;
		sim_at(sim_skewed(10 * NS_PER_MS), chat, answerer);
	}
	sim_frame_free(&body);
}

/* ---- what it hears ---- */

static void answer(void *context)
{
	struct question *question = context;
	struct answerer *answerer = question->answerer;

	answerer->waiting--;
	if (answerer->talk.is_done)
		return;
	sim_lookup_answer(answerer->all, question->lookup, answerer->broker, &answerer->talk.out);
	step(answerer);
}

static void check_way_here(const struct answerer *answerer, const struct sim_lookup *lookup,
			   const struct sim_frame *frame)
{
	uint32_t flow = answerer->all->flow->id;
	bool is_first = lookup->hop == 0;

	/* Penstock may have given up while the question was on its way. */
	if ((lookup->is_answered && !lookup->has_failed) || lookup->hop > lookup->hops)
		sim_fail("flow %u: lookup %u is asked again", flow, lookup->index);
	if (is_first) {
		if (answerer->is_side || frame->whole.len != lookup->frame.len ||
		    memcmp(frame->whole.at, lookup->frame.at, lookup->frame.len) != 0)
			sim_fail("flow %u: lookup %u is not as it was asked", flow, lookup->index);
		return;
	}
	bool is_authoritative = sim_frame_value(frame, 3, 0) != 0;

	if (!sim_lookup_is_replayable(answerer->all)) {
		if (answerer->is_side || !is_authoritative)
			sim_fail("flow %u: lookup %u is asked elsewhere", flow, lookup->index);
		return;
	}
	if (!answerer->is_side || lookup->route[lookup->hop - 1] != answerer->broker)
		sim_fail("flow %u: lookup %u went to broker %u", flow, lookup->index,
			 answerer->broker);
	if (is_authoritative != ((lookup->hop - 1) % 2 != 0))
		sim_fail("flow %u: lookup %u: `authoritative` is not the redirect's", flow,
			 lookup->index);
}

static void hear_lookup(struct answerer *answerer, const struct sim_frame *frame)
{
	struct sim_lookup *lookup = sim_lookup_of(answerer->all, frame);
	struct question *question;

	sim_trace("flow %u: broker %u is asked lookup %u", answerer->all->flow->id,
		  answerer->broker, lookup->index);
	check_way_here(answerer, lookup, frame);
	if (answerer->fault == SIM_SIDE_MUTE)
		return;
	question = sim_alloc(sizeof(*question));
	*question = (struct question){ .answerer = answerer, .lookup = lookup };
	answerer->waiting++;
	sim_at(sim_skewed(20 * NS_PER_MS), answer, question);
}

/* Which credentials: "secret-FLOW-VERSION". */
static uint32_t version_of(const struct answerer *answerer, struct span secret)
{
	char text[48] = "";
	uint32_t flow = 0, version = 0;

	if (secret.len < sizeof(text) && secret.len > 0)
		memcpy(text, secret.at, secret.len);
	if (sscanf(text, "secret-%u-%u", &flow, &version) != 2 || flow != answerer->all->flow->id)
		sim_fail("flow %u: credentials %s", answerer->all->flow->id, text);
	return version;
}

static void hear_auth_response(struct answerer *answerer, const struct sim_frame *frame)
{
	struct sim_frame data = { .body = sim_frame_text(frame, 2) };

	uint32_t version = version_of(answerer, sim_frame_text(&data, 2));

	CHECK(version < COUNT_OF(answerer->all->token_ns));
	if (answerer->is_connected)
		answerer->all->token_ns[version] = sim_now();
	if (answerer->is_connected)
		return;
	if (answerer->rounds > 0)
		answerer->rounds--;
	become_connected(answerer);
}

static void hear(struct answerer *answerer, const struct sim_frame *frame)
{
	struct sim_lookups *all = answerer->all;

	if (sim_frame_is_noise(frame) && !answerer->is_side) {
		sim_frame_check_noise(frame, all->flow->id, true, all->noise_arrived++,
				      answerer->talk.who);
		return;
	}
	switch (frame->type) {
	case 18:
		if (answerer->is_side)
			sim_fail("flow %u: a side connection is pinged", all->flow->id);
		put_empty(answerer, 19);
		break;
	case 19:
		break;
	case 23:
		hear_lookup(answerer, frame);
		break;
	case 37:
		if (answerer->is_side)
			sim_fail("flow %u: AUTH_RESPONSE on a side connection", all->flow->id);
		hear_auth_response(answerer, frame);
		break;
	default:
		sim_fail("flow %u: broker %u got a frame of type %u", all->flow->id,
			 answerer->broker, frame->type);
	}
}

/* ---- how it ends ---- */

static void saw_end(struct answerer *answerer)
{
	struct sim_lookups *all = answerer->all;
	bool may_be = answerer->is_side || all->talk.is_done || all->flow->is_excused ||
		      all->flow->may_be_refused;

	if (answerer->talk.saw_rst) {
		if (!may_be)
			sim_fail("flow %u: its broker saw a reset", all->flow->id);
		leave(answerer, false);
		return;
	}
	if (!may_be && !all->talk.has_fin)
		sim_fail("flow %u: its broker saw a FIN", all->flow->id);
	if (sim_talk_flush(&answerer->talk) && answerer->waiting == 0) {
		sim_talk_finish(&answerer->talk);
		leave(answerer, false);
	} else if (answerer->talk.end->state == SIM_TCP_CLOSED) {
		leave(answerer, false);
	}
}

static void step(void *context)
{
	struct answerer *answerer = context;
	struct sim_talk *talk = &answerer->talk;
	struct sim_frame frame;
	size_t used;

	if (talk->is_done)
		return;
	do {
		while (sim_talk_next(talk, &frame, &used)) {
			hear(answerer, &frame);
			sim_talk_used(talk, used);
		}
	} while (sim_talk_read(talk, step, answerer));
	(void)sim_talk_flush(talk);
	if (talk->saw_fin || talk->saw_rst)
		saw_end(answerer);
}

static void end_early(void *context)
{
	struct answerer *answerer = context;
	struct sim_lookups *all = answerer->all;

	if (answerer->talk.is_done)
		return;
	if (!answerer->is_side)
		all->has_primary_ended = true;
	leave(answerer, answerer->is_side ? answerer->fault == SIM_SIDE_RESET
					  : all->broker_last == SIM_LAST_RST);
}

/* ---- how it begins ---- */

static void check_side(const struct answerer *answerer, const struct sim_frame *connect)
{
	const struct sim_lookups *all = answerer->all;
	uint32_t version = version_of(answerer, sim_frame_text(connect, 3));

	if (!sim_lookup_is_replayable(all))
		sim_fail("flow %u: a CONNECT replayed that cannot be", all->flow->id);
	/* What its broker had when we were dialled must be known to penstock by then. */
	for (uint32_t newer = version + 1; newer < COUNT_OF(all->token_ns); newer++)
		if (all->token_ns[newer] != 0 && all->token_ns[newer] < answerer->talk.end->born_ns)
			sim_fail("flow %u: credentials %u replayed; its broker has %u",
				 all->flow->id, version, newer);
	if (version > all->token)
		sim_fail("flow %u: credentials %u replayed", all->flow->id, version);
	if (!span_is(sim_frame_text(connect, 99), "of a time to come"))
		sim_fail("flow %u: a replayed CONNECT lost a field", all->flow->id);
}

void sim_answer_begin(struct sim_flow *flow, struct sim_end *end, uint32_t broker,
		      const struct sim_frame *connect)
{
	struct sim_lookups *all = flow->lookups;
	struct answerer *answerer = sim_alloc(sizeof(*answerer));

	*answerer = (struct answerer){
		.all = all,
		.talk = { .end = end, .who = "broker", .read_max = 65536 },
		.broker = broker,
		.is_side = all->primary >= 0,
		.challenges = all->challenges,
	};
	all->conns++;
	if (answerer->is_side) {
		check_side(answerer, connect);
		answerer->fault = sim_chance(500) ? all->side_fault : SIM_SIDE_FINE;
	} else {
		all->primary = (int32_t)broker;
		answerer->rounds = all->rounds;
	}
	end->changed = step;
	end->context = answerer;
	become_connected(answerer);
	if (answerer->is_side
		    ? answerer->fault == SIM_SIDE_RESET || answerer->fault == SIM_SIDE_CLOSE
		    : all->broker_last != SIM_LAST_FIN)
		sim_at(answerer->is_side ? sim_skewed(30 * NS_PER_MS) : all->broker_ends_ns,
		       end_early, answerer);
	step(answerer);
}
