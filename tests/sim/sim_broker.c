/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The servers behind penstock: they accept, read the PROXY header if there should be one, and find
 * out by the first bytes whose connection it is: a stream's head, or CONNECT.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim_hello.h"
#include "sim_kafka.h"
#include "sim_lookup.h"
#include "sim_town.h"

#define NOT_PULSAR UINT32_MAX
#define TLS	   22

struct arrival {
	struct sim_end *end;
	uint32_t broker; /* NOT_PULSAR: the target of forward listeners */
	struct sim_text bytes;
	bool has_header; /* it has been read, or there is none */
	struct addr shown;
};

static void step(void *context);

/* Reads until there are n bytes. */
static bool have(struct arrival *arrival, size_t n)
{
	uint8_t bytes[4096];

	while (arrival->bytes.len < n) {
		size_t more = n - arrival->bytes.len;
		ssize_t got = sim_tcp_read(arrival->end, bytes,
					   more < sizeof(bytes) ? more : sizeof(bytes));

		if (got == -EAGAIN)
			return false;
		if (got <= 0) {
			/* Given up before a word was said, or in the middle of it. */
			sim_tcp_close(arrival->end, false);
			sim_frame_free(&arrival->bytes);
			arrival->end = NULL;
			return false;
		}
		sim_frame_append(&arrival->bytes, bytes, (size_t)got);
	}
	return true;
}

/* ---- PROXY header ---- */

static bool read_v1(struct arrival *arrival)
{
	char line[128] = "", ip[64], to[64];
	unsigned from_port = 0, to_port = 0;
	struct addr addr;

	while (arrival->bytes.at[arrival->bytes.len - 1] != '\n')
		if (!have(arrival, arrival->bytes.len + 1))
			return false;
	CHECK(arrival->bytes.len < sizeof(line));
	memcpy(line, arrival->bytes.at, arrival->bytes.len);
	if (sscanf(line, "PROXY TCP4 %63s %63s %u %u\r\n", ip, to, &from_port, &to_port) != 4 ||
	    !addr_parse_ip(span_str(ip), &addr))
		sim_fail("broker: a PROXY header that says %s", line);
	arrival->shown = addr;
	arrival->shown.port = (uint16_t)from_port;
	return true;
}

static bool read_v2(struct arrival *arrival)
{
	static const uint8_t head[16] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
					  0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c };
	const uint8_t *at;

	if (!have(arrival, 28))
		return false;
	at = arrival->bytes.at;
	if (memcmp(at, head, sizeof(head)) != 0)
		sim_fail("broker %u: no PROXY header of version 2: %.28s", arrival->broker,
			 (const char *)at);
	arrival->shown = addr_v4((uint32_t)at[16] << 24 | (uint32_t)at[17] << 16 |
					 (uint32_t)at[18] << 8 | at[19],
				 (uint16_t)(at[24] << 8 | at[25]));
	return true;
}

static bool read_header(struct arrival *arrival)
{
	bool is_there = true;

	if (arrival->has_header)
		return true;
	if (!have(arrival, 1))
		return false;
	if (arrival->bytes.at[0] == 0 || arrival->bytes.at[0] == TLS) {
		arrival->has_header = true; /* CONNECT or a hello: there is none */
		return true;
	}
	if (sim_plan.send_proxy == CONFIG_SEND_PROXY_V1)
		is_there = have(arrival, 8) && read_v1(arrival);
	else if (sim_plan.send_proxy == CONFIG_SEND_PROXY_V2)
		is_there = read_v2(arrival);
	if (!is_there)
		return false;
	arrival->has_header = true;
	if (sim_plan.send_proxy != CONFIG_SEND_PROXY_OFF)
		arrival->bytes.len = 0;
	return true;
}

/* A redirect is followed without one: that connection is not the client's. */
static void check_shown(const struct arrival *arrival, const struct sim_flow *flow)
{
	bool is_side = flow->kind == SIM_FLOW_LOOKUP && flow->lookups->primary >= 0;
	bool may_lack_it = is_side || (flow->kind == SIM_FLOW_ROUTED && !flow->wants_header);
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

	if (!may_lack_it && !arrival->shown.is_set && sim_plan.send_proxy != CONFIG_SEND_PROXY_OFF)
		sim_fail("flow %u: its broker was told of nobody", flow->id);

	if (arrival->shown.is_set && !addr_equal(&arrival->shown, &flow->shown))
		sim_fail("flow %u: its broker was told of %s, not of %s", flow->id,
			 addr_format(&arrival->shown, a), addr_format(&flow->shown, b));
}

/* ---- whose is it ---- */

/* The hello byte for byte, and nothing in front of it but the header its route asks for. */
static void begin_routed(struct arrival *arrival)
{
	int32_t here =
		arrival->broker == NOT_PULSAR ? SIM_FLOW_TO_TARGET : (int32_t)arrival->broker;

	if (!have(arrival, SIM_HELLO_HEAD))
		return;
	struct sim_flow *flow = sim_flow_of(sim_hello_flow(arrival->bytes.at));

	if (flow == NULL || flow->kind != SIM_FLOW_ROUTED)
		sim_fail("a hello of nobody");
	if (!have(arrival, flow->connect.len))
		return;
	if (memcmp(arrival->bytes.at, flow->connect.at, flow->connect.len) != 0)
		sim_fail("flow %u: its hello is not what the client sent", flow->id);
	if (flow->target != here && !(flow->target == -1 && here >= 0))
		sim_fail("flow %u: routed to %d, not to %d", flow->id, here, flow->target);
	check_shown(arrival, flow);
	sim_side_attach(&flow->broker, arrival->end, span_of(NULL, 0));
	sim_frame_free(&arrival->bytes);
}

static void begin_raw(struct arrival *arrival)
{
	uint32_t number;

	if (!have(arrival, SIM_STREAM_HEAD))
		return;
	memcpy(&number, arrival->bytes.at + 8, sizeof(number));
	struct sim_flow *flow = sim_flow_of_stream(number);

	if (flow == NULL || flow->kind != SIM_FLOW_RAW)
		sim_fail("target: bytes of nobody");
	check_shown(arrival, flow);
	sim_side_attach(&flow->broker, arrival->end,
			span_of(arrival->bytes.at, arrival->bytes.len));
	sim_frame_free(&arrival->bytes);
}

static void begin_data(struct arrival *arrival, struct sim_flow *flow)
{
	if (flow->target >= 0 && (uint32_t)flow->target != arrival->broker)
		sim_fail("flow %u: it named broker %d and got %u", flow->id, flow->target,
			 arrival->broker);
	if (arrival->bytes.len != flow->bare.len ||
	    memcmp(arrival->bytes.at, flow->bare.at, flow->bare.len) != 0)
		sim_fail("flow %u: its CONNECT is not what the client sent", flow->id);
	sim_side_attach(&flow->broker, arrival->end, span_of(NULL, 0));
}

static void begin_pulsar(struct arrival *arrival)
{
	struct sim_frame frame;

	if (!have(arrival, 4))
		return;
	size_t size = 4 + ((size_t)arrival->bytes.at[2] << 8 | arrival->bytes.at[3]);

	if (!have(arrival, size))
		return;
	if (!sim_frame_read(span_of(arrival->bytes.at, size), &frame, "broker"))
		sim_fail("broker: the first bytes are no frame");
	struct sim_flow *flow = sim_flow_of_connect(&frame);

	if (flow == NULL || (flow->kind != SIM_FLOW_DATA && flow->kind != SIM_FLOW_LOOKUP))
		sim_fail("broker: the first frame is nobody's CONNECT");
	check_shown(arrival, flow);
	sim_trace("flow %u arrives at broker %u", flow->id, arrival->broker);
	if (flow->kind == SIM_FLOW_DATA)
		begin_data(arrival, flow);
	else
		sim_answer_begin(flow, arrival->end, arrival->broker, &frame);
	sim_frame_free(&arrival->bytes);
}

static void step(void *context)
{
	struct arrival *arrival = context;

	if (!read_header(arrival) || !have(arrival, 1))
		return;
	if (arrival->bytes.at[0] == TLS)
		begin_routed(arrival);
	else if (arrival->broker == NOT_PULSAR)
		begin_raw(arrival);
	else
		begin_pulsar(arrival);
}

static void accept_one(struct sim_end *end, void *context)
{
	struct arrival *arrival = sim_alloc(sizeof(*arrival));

	*arrival = (struct arrival){ .end = end, .broker = *(const uint32_t *)context };
	end->changed = step;
	end->context = arrival;
}

static void accept_kafka(struct sim_end *end, void *context)
{
	sim_kafka_accept(end, *(const uint32_t *)context);
}

static void serve_kafka(uint32_t broker, enum sim_serving how)
{
	struct addr addr = sim_town_broker(broker);
	uint32_t *context = sim_alloc(sizeof(*context));

	*context = broker;
	addr.port = SIM_KAFKA_PORT;
	sim_tcp_serve(&addr, accept_kafka, context);
	sim_tcp_serve_how(&addr, how);
}

static void serve(const struct addr *addr, uint32_t broker, enum sim_serving how)
{
	uint32_t *context = sim_alloc(sizeof(*context));

	*context = broker;
	sim_tcp_serve(addr, accept_one, context);
	sim_tcp_serve_how(addr, how);
}

void sim_broker_start_all(void)
{
	const struct addr target = sim_town_target(), dead = sim_town_target_dead();
	const struct addr other = sim_town_target_other();

	serve(&target, NOT_PULSAR, SIM_SERVING);
	serve(&dead, NOT_PULSAR, SIM_REFUSING);
	serve(&other, NOT_PULSAR, sim_chance(500) ? SIM_REFUSING : SIM_SILENT);
	for (uint32_t i = 0; i < sim_plan.brokers + sim_plan.hidden; i++) {
		struct addr addr = sim_town_broker(i);
		enum sim_serving how = SIM_SERVING;

		if (sim_town_is_dead(i))
			how = i + 1 == sim_plan.dead_broker ? SIM_REFUSING : SIM_SILENT;
		serve(&addr, i, how);
		addr.port = SIM_TOWN_TLS_PORT;
		serve(&addr, i, how);
		if (sim_plan.kafka_share > 0)
			serve_kafka(i, how);
	}
}
