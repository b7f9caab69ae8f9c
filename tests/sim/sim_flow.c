/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The flows of a run: made by the plan, started one by one, found again by the brokers from what
 * they say, and judged at the end.
 */
#include <stdio.h>
#include <string.h>

#include "sim_flow.h"
#include "sim_kafka.h"
#include "sim_town.h"

#define FLOWS_MAX 128
#define SHOWN_MAX 10

static struct sim_flow *flows[FLOWS_MAX];
static uint32_t flow_count;

struct sim_flow *sim_flow_of(uint32_t id)
{
	return id >= 1 && id <= flow_count ? flows[id - 1] : NULL;
}

struct sim_flow *sim_flow_of_stream(uint32_t number)
{
	for (uint32_t i = 0; i < flow_count; i++)
		if (flows[i]->client.out.number == number)
			return flows[i];
	return NULL;
}

struct sim_flow *sim_flow_of_connect(const struct sim_frame *connect)
{
	struct span name = sim_frame_text(connect, 1);
	char text[32] = "";
	uint32_t id = 0;

	if (name.len < sizeof(text))
		memcpy(text, name.at, name.len);
	if (connect->type != 2 || sscanf(text, "sim-%u", &id) != 1)
		return NULL;
	return sim_flow_of(id);
}

/* ---- making ---- */

static enum sim_flow_kind choose_kind(void)
{
	if (sim_plan.kafka_share > 0 && sim_chance(sim_plan.kafka_share))
		return SIM_FLOW_KAFKA;
	if (sim_chance(sim_plan.lookup_share))
		return SIM_FLOW_LOOKUP;
	switch (sim_below(16)) {
	case 12:
		return SIM_FLOW_ALERTED;
	case 13:
	case 14:
	case 15:
		return SIM_FLOW_ROUTED;
	case 0:
		return SIM_FLOW_DENIED;
	case 1:
		return SIM_FLOW_WRONG;
	case 2:
		return SIM_FLOW_SILENT;
	case 3:
	case 4:
	case 5:
	case 6:
		return SIM_FLOW_RAW;
	default:
		return SIM_FLOW_DATA;
	}
}

static void begin(void *context)
{
	struct sim_flow *flow = context;
	struct sim_wire wire = sim_tcp_wire();
	const struct addr to = sim_town_listener(flow->listener);

	flow->born_ns = sim_now();
	sim_trace("flow %u begins: kind %d, listener %u", flow->id, (int)flow->kind,
		  flow->listener);
	if (flow->kind == SIM_FLOW_LOOKUP)
		sim_client_begin(flow, &wire);
	else if (flow->kind == SIM_FLOW_KAFKA)
		sim_kafka_begin(flow, &wire);
	else
		flow->client.end =
			sim_tcp_connect(&to, &flow->from, &wire, sim_side_step, &flow->client);
}

/* Clients that are refused read what they are told and wait for the end. */
static void make_patient(struct sim_side *client)
{
	client->last = SIM_LAST_WAIT;
	client->reads_all = true;
	client->read_pause_ns = client->stall_ns = 0;
	client->read_max = 65536;
	client->out.len = 0;
}

/* One may wait for the other's end; or for its reset, which must come through after its FIN. */
static void plan_ends(struct sim_flow *flow)
{
	struct sim_side *first = sim_chance(500) ? &flow->client : &flow->broker;
	struct sim_side *other = first == &flow->client ? &flow->broker : &flow->client;

	if (sim_chance(300)) {
		first->last = SIM_LAST_WAIT;
	} else if (sim_chance(150)) {
		first->last = SIM_LAST_STAY;
		other->last = SIM_LAST_FIN_RST;
	}
}

static void make(uint32_t id)
{
	struct sim_flow *flow = sim_alloc(sizeof(*flow));

	flows[flow_count++] = flow;
	flow->id = id;
	flow->kind = choose_kind();
	flow->target = -1;
	flow->may_be_refused = sim_plan.has_limits || sim_plan.bufs > 0;
	sim_side_plan(&flow->client, flow, "client");
	sim_side_plan(&flow->broker, flow, "broker");
	plan_ends(flow);
	sim_connect_make(flow);
	if (flow->kind == SIM_FLOW_LOOKUP)
		sim_client_make(flow);
	if (flow->kind == SIM_FLOW_KAFKA)
		sim_kafka_make(flow);
	if (flow->kind == SIM_FLOW_DENIED || flow->kind == SIM_FLOW_WRONG ||
	    flow->kind == SIM_FLOW_SILENT || flow->kind == SIM_FLOW_ALERTED)
		make_patient(&flow->client);
	sim_at(sim_below(sim_plan.start_spread_ns + 1), begin, flow);
}

void sim_flow_start_all(void)
{
	CHECK(sim_plan.flows <= FLOWS_MAX);
	for (uint32_t i = 0; i < sim_plan.flows; i++)
		make(i + 1);
}

/* ---- ending ---- */

static bool is_done(const struct sim_flow *flow)
{
	if (flow->kind == SIM_FLOW_LOOKUP)
		return sim_client_is_done(flow);
	if (flow->kind == SIM_FLOW_KAFKA)
		return sim_kafka_is_done(flow);
	return flow->client.is_done && (flow->broker.end == NULL || flow->broker.is_done);
}

bool sim_flow_are_done(void)
{
	for (uint32_t i = 0; i < flow_count; i++)
		if (!is_done(flows[i]))
			return false;
	return true;
}

void sim_flow_excuse_all(void)
{
	for (uint32_t i = 0; i < flow_count; i++)
		if (!is_done(flows[i]))
			flows[i]->is_excused = true;
}

static void show_side(const struct sim_side *side)
{
	(void)fprintf(stderr, "; %s %s%s%s, %llu of %llu out, %llu in", side->who,
		      side->end == NULL ? "never there"
		      : side->is_done	? "done"
					: "not done",
		      side->saw_fin ? ", saw FIN" : "", side->has_fin ? ", finished" : "",
		      (unsigned long long)side->out.done, (unsigned long long)side->out.len,
		      (unsigned long long)side->in.done);
}

void sim_flow_show(void)
{
	uint32_t shown = 0;

	for (uint32_t i = 0; i < flow_count && shown < SHOWN_MAX; i++) {
		const struct sim_flow *flow = flows[i];

		if (is_done(flow))
			continue;
		shown++;
		if (flow->kind == SIM_FLOW_LOOKUP) {
			sim_client_show(flow);
			continue;
		}
		if (flow->kind == SIM_FLOW_KAFKA) {
			sim_kafka_show(flow);
			continue;
		}
		(void)fprintf(stderr, "flow %u, kind %d", flow->id, (int)flow->kind);
		show_side(&flow->client);
		show_side(&flow->broker);
		(void)fputc('\n', stderr);
	}
}

static void check_alert(const struct sim_flow *flow)
{
	static const uint8_t begin[] = { 21, 3, 3, 0, 2, 2 };
	const struct sim_text *answer = &flow->client.answer;

	if (flow->wants_silence && answer->len == 0)
		return;
	if (answer->len != sizeof(begin) + 1 || memcmp(answer->at, begin, sizeof(begin)) != 0)
		sim_fail("flow %u: %zu bytes that are no alert", flow->id, answer->len);
	if (flow->wants_silence || (flow->wants_error != 0 && answer->at[6] != flow->wants_error))
		sim_fail("flow %u: refused with alert %u, not %u", flow->id, answer->at[6],
			 flow->wants_error);
}

/* A refused client: the right error, and not late. */
static void check_refused(const struct sim_flow *flow)
{
	const struct sim_side *client = &flow->client;
	struct sim_frame frame;
	uint64_t took_ns = client->saw_ns - flow->born_ns;

	if (flow->broker.end != NULL)
		sim_fail("flow %u: it must not reach a broker", flow->id);
	if (flow->is_excused || flow->may_be_refused)
		return;
	if (took_ns > 8 * NS_PER_S && sim_plan.unrouted >= sim_plan.flows)
		sim_fail("flow %u: refused only after %llu ms", flow->id,
			 (unsigned long long)(took_ns / NS_PER_MS));
	if (flow->kind == SIM_FLOW_WRONG)
		return;
	if (flow->kind == SIM_FLOW_ALERTED) {
		check_alert(flow);
		return;
	}
	if (!sim_frame_read(span_of(client->answer.at, client->answer.len), &frame, "client"))
		sim_fail("flow %u: refused without a word", flow->id);
	if (frame.type != 14 || frame.whole.len != client->answer.len)
		sim_fail("flow %u: refused with a frame of type %u", flow->id, frame.type);
	if (flow->wants_error != 0 && sim_frame_value(&frame, 2, 0) != flow->wants_error)
		sim_fail("flow %u: refused with error %llu, not %u", flow->id,
			 (unsigned long long)sim_frame_value(&frame, 2, 0), flow->wants_error);
}

void sim_flow_check_all(void)
{
	for (uint32_t i = 0; i < flow_count; i++) {
		const struct sim_flow *flow = flows[i];

		switch (flow->kind) {
		case SIM_FLOW_RAW:
		case SIM_FLOW_DATA:
		case SIM_FLOW_ROUTED:
			sim_side_check(flow);
			break;
		case SIM_FLOW_LOOKUP:
			sim_client_check(flow);
			break;
		case SIM_FLOW_KAFKA:
			sim_kafka_check(flow);
			break;
		case SIM_FLOW_DENIED:
		case SIM_FLOW_WRONG:
		case SIM_FLOW_SILENT:
		case SIM_FLOW_ALERTED:
			check_refused(flow);
			break;
		}
	}
}
