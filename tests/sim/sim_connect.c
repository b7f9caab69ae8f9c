/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a client says first: a PROXY header where a load balancer stands in front, then CONNECT or a
 * ClientHello, or something that is neither.
 */
#include <stdio.h>
#include <string.h>

#include "sim_flow.h"
#include "sim_hello.h"
#include "sim_town.h"

#define ERROR_NOT_READY	  6
#define ERROR_NOT_ALLOWED 22

void sim_connect_put(struct sim_text *text, const struct sim_flow *flow, uint32_t version,
		     const char *target)
{
	struct sim_text body = { 0 };
	char name[32], secret[48];

	(void)snprintf(name, sizeof(name), "sim-%u", flow->id);
	(void)snprintf(secret, sizeof(secret), "secret-%u-%u", flow->id, version);
	sim_frame_str(&body, 1, name);
	if (target != NULL && flow->id % 2 == 0)
		sim_frame_str(&body, 6, target);
	sim_frame_str(&body, 5, flow->id % 3 == 0 ? "basic" : "token");
	sim_frame_str(&body, 3, secret);
	sim_frame_varint(&body, 4, 21);
	sim_frame_bytes(&body, 10, span_of("\x08\x01", 2));
	if (target != NULL && flow->id % 2 == 1)
		sim_frame_str(&body, 6, target);
	sim_frame_str(&body, 99, "of a time to come"); /* a field nobody knows */
	sim_frame_put(text, 2, &body, span_of(NULL, 0));
	sim_frame_free(&body);
}

static uint32_t ip_of(const struct addr *addr)
{
	return (uint32_t)addr->ip[12] << 24 | (uint32_t)addr->ip[13] << 16 |
	       (uint32_t)addr->ip[14] << 8 | addr->ip[15];
}

static void put_v2(struct sim_text *text, const struct addr *from, const struct addr *to)
{
	static const uint8_t head[16] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
					  0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c };
	const uint32_t ips[2] = { ip_of(from), ip_of(to) };
	const uint16_t ports[2] = { from->port, to->port };
	uint8_t rest[12];

	for (uint32_t i = 0; i < 8; i++)
		rest[i] = (uint8_t)(ips[i / 4] >> (24 - 8 * (i % 4)));
	for (uint32_t i = 0; i < 4; i++)
		rest[8 + i] = (uint8_t)(ports[i / 2] >> (8 - 8 * (i % 2)));
	sim_frame_append(text, head, sizeof(head));
	sim_frame_append(text, rest, sizeof(rest));
}

void sim_connect_proxy_header(struct sim_text *text, const struct addr *from, const struct addr *to)
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX], line[160];

	if (sim_chance(500)) {
		put_v2(text, from, to);
		return;
	}
	(void)snprintf(line, sizeof(line), "PROXY TCP4 %s %s %u %u\r\n", addr_format_ip(from, a),
		       addr_format_ip(to, b), from->port, to->port);
	sim_frame_append(text, line, strlen(line));
}

/* ---- by kind ---- */

/* Names a broker it can have, by a name the snapshot knows or by one DNS knows, or any. */
static const char *choose_target(struct sim_flow *flow)
{
	static char text[64];

	if (sim_chance(250)) {
		flow->target = -1;
		return "";
	}
	do {
		flow->target = (int32_t)sim_below(sim_plan.brokers);
	} while (sim_town_is_dead((uint32_t)flow->target));
	if (sim_chance(sim_plan.dns_share)) {
		(void)snprintf(text, sizeof(text), "n%d.ext.sim:%d", flow->target, SIM_TOWN_PORT);
		flow->may_be_refused |=
			sim_plan.faults.dns_failed > 0 || sim_plan.faults.dns_late > 0;
	} else {
		(void)snprintf(text, sizeof(text), "%s:%d", sim_town_host((uint32_t)flow->target),
			       SIM_TOWN_PORT);
	}
	return text;
}

static const char *choose_denied(struct sim_flow *flow)
{
	static const struct {
		const char *target;
		uint32_t error;
	} rows[] = {
		{ "10.1.0.1:6650", ERROR_NOT_ALLOWED },
		{ "127.0.0.1:6650", ERROR_NOT_ALLOWED },
		{ "169.254.169.254:80", ERROR_NOT_ALLOWED },
		{ "[::ffff:127.0.0.1]:6650", ERROR_NOT_ALLOWED },
		{ "2130706433:6650", ERROR_NOT_ALLOWED },
		{ "broker-0.sim:6652", ERROR_NOT_ALLOWED },
		{ "broker-0.sim:0", ERROR_NOT_ALLOWED },
		{ "a@broker-0.sim:6650", ERROR_NOT_ALLOWED },
		{ "evil.example.com:6650", ERROR_NOT_ALLOWED },
		{ "n0.ext.sim:22", ERROR_NOT_ALLOWED },
		{ "loop.ext.sim:6650", ERROR_NOT_ALLOWED },
		{ "nobody.ext.sim:6650", ERROR_NOT_READY },
		{ "198.51.100.1:6600", ERROR_NOT_ALLOWED },
	};
	static char text[64];
	size_t row = sim_below(COUNT_OF(rows) + 2);

	if (row < COUNT_OF(rows)) {
		flow->wants_error = rows[row].error;
		if (strcmp(rows[row].target, "loop.ext.sim:6650") == 0 &&
		    (sim_plan.faults.dns_failed > 0 || sim_plan.faults.dns_late > 0))
			flow->wants_error = 0; /* either */
		return rows[row].target;
	}
	/* A broker that is known, and dead. */
	uint8_t dead = sim_plan.dead_broker != 0 ? sim_plan.dead_broker : sim_plan.black_broker;

	if (dead == 0)
		return choose_denied(flow);
	flow->wants_error = ERROR_NOT_READY;
	(void)snprintf(text, sizeof(text), "%s:%d", sim_town_host(dead - 1u), SIM_TOWN_PORT);
	return text;
}

static void make_wrong(struct sim_text *prefix)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27 },
		{ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11 },
		{ "SSH-2.0-OpenSSH_9.2p1\r\n", 23 },
		{ "\x00\x00\x00\x00\x00\x00\x00\x00", 8 },
		{ "\x00\x00\x00\x08\x00\x00\x00\x04\x08\x12\x92\x01\x00", 13 },
		{ "\x7f\xff\xff\xff\x00\x00\x00\x04\x08\x02", 10 },
		{ "\x00\x00\x00\x10\x00\x00\x00\x0c\x08\x02\x12\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		  20 },
	};
	size_t row = sim_below(COUNT_OF(rows));

	sim_frame_append(prefix, rows[row].bytes, rows[row].len);
}

/* ---- by server name ---- */

#define ALERT_UNEXPECTED   10
#define ALERT_HANDSHAKE	   40
#define ALERT_DENIED	   49
#define ALERT_INTERNAL	   80
#define ALERT_UNRECOGNIZED 112

static bool is_lenient(const struct sim_flow *flow)
{
	return flow->listener == SIM_TOWN_EDGE_PROXY;
}

static bool is_near(const struct sim_flow *flow)
{
	return flow->shown.ip[12] == 192 && flow->shown.ip[15] < 128;
}

static void may_lack_dns(struct sim_flow *flow)
{
	flow->may_be_refused |= sim_plan.faults.dns_failed > 0 || sim_plan.faults.dns_late > 0;
}

/* A name and where it leads. */
static const char *choose_name(struct sim_flow *flow)
{
	static char text[64];

	flow->target = SIM_FLOW_TO_TARGET;
	may_lack_dns(flow); /* its target's name may not be resolved yet */
	switch (sim_below(7)) {
	case 0:
		flow->may_be_refused = true;
		return "few.sim";
	case 1:
		if (!is_near(flow))
			break;
		return "NEAR.sim";
	case 2:
		flow->target = -1;
		return "pool.sim.";
	case 3:
	case 4:
		do {
			flow->target = (int32_t)sim_below(sim_plan.brokers);
		} while (sim_town_is_dead((uint32_t)flow->target));
		(void)snprintf(text, sizeof(text),
			       sim_chance(500) ? "broker-%d.Sim" : "N%d.wild.sim", flow->target);
		return text;
	case 5:
		if (!is_lenient(flow))
			break;
		flow->wants_header = true;
		return sim_chance(500) ? NULL : "who.knows";
	default:
		break;
	}
	flow->wants_header = true;
	return "One.sim";
}

/* A name that leads nowhere, and what its client is told. */
static const char *choose_lost_name(struct sim_flow *flow)
{
	static char text[64];
	uint8_t dead = sim_plan.dead_broker != 0 ? sim_plan.dead_broker : sim_plan.black_broker;

	flow->wants_error = ALERT_UNRECOGNIZED;
	switch (sim_below(7)) {
	case 0:
		if (dead == 0)
			break;
		flow->wants_error = ALERT_INTERNAL;
		(void)snprintf(text, sizeof(text), "broker-%d.sim", dead - 1);
		return text;
	case 1:
		if (is_near(flow))
			break;
		flow->wants_error = ALERT_DENIED;
		return "near.sim";
	case 2:
		flow->wants_error = ALERT_INTERNAL;
		return "nobody.wild.sim";
	case 3:
		if (is_lenient(flow))
			break;
		flow->wants_error = ALERT_HANDSHAKE;
		return NULL;
	case 4:
		if (is_lenient(flow))
			break;
		return "n0.n0.wild.sim";
	default:
		break;
	}
	if (sim_plan.faults.dns_failed > 0 || sim_plan.faults.dns_late > 0)
		flow->wants_error = 0; /* either */
	return "loop.wild.sim";
}

static void make_routed(struct sim_flow *flow)
{
	struct sim_side *client = &flow->client;

	sim_hello_put(&flow->connect, flow->id, choose_name(flow));
	sim_frame_append(&client->prefix, flow->connect.at, flow->connect.len);
	/* The whole of it within timeouts.hello, whatever the wire. */
	if (client->write_max < client->prefix.len / 100)
		client->write_max = client->prefix.len / 100;
	flow->may_be_refused |= client->prefix.len > 4000;
}

static void make_alerted(struct sim_flow *flow)
{
	struct sim_text *prefix = &flow->client.prefix;

	switch (sim_below(4)) {
	case 0:
		flow->wants_error = ALERT_UNEXPECTED;
		sim_frame_append(prefix, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
		return;
	case 1:
		sim_hello_put(&flow->connect, flow->id, "one.sim");
		flow->wants_silence = true;
		sim_frame_append(prefix, flow->connect.at, sim_below(flow->connect.len));
		return;
	default:
		sim_hello_put(prefix, flow->id, choose_lost_name(flow));
		flow->client.write_max = 65536;
		flow->may_be_refused |= prefix->len > 4000;
	}
}

/* ---- the beginning ---- */

static uint32_t first_listener(enum sim_flow_kind kind)
{
	if (kind == SIM_FLOW_RAW)
		return SIM_TOWN_FORWARD;
	if (kind == SIM_FLOW_KAFKA)
		return SIM_TOWN_KAFKA;
	return kind == SIM_FLOW_ROUTED || kind == SIM_FLOW_ALERTED ? SIM_TOWN_EDGE
								   : SIM_TOWN_PULSAR;
}

static void make_header(struct sim_flow *flow)
{
	bool has_listener = flow->kind != SIM_FLOW_KAFKA && sim_chance(400);

	flow->listener = first_listener(flow->kind);
	flow->from = flow->shown = sim_town_client(flow->id);
	if (!has_listener)
		return;
	/* Clients without a balancer are welcome only where the header is optional. */
	bool is_direct = sim_plan.proxy_mode == CONFIG_PROXY_OPTIONAL && sim_chance(500);
	const struct addr to = sim_town_listener(++flow->listener);

	if (is_direct)
		return;
	flow->from = sim_town_balancer(flow->id);
	if (sim_plan.proxy_mode == CONFIG_PROXY_OPTIONAL && sim_chance(200))
		flow->shown = flow->from;
	else
		sim_connect_proxy_header(&flow->client.prefix, &flow->shown, &to);
}

void sim_connect_make(struct sim_flow *flow)
{
	struct sim_text *prefix = &flow->client.prefix;

	make_header(flow);
	switch (flow->kind) {
	case SIM_FLOW_RAW:
		flow->may_be_refused |=
			sim_plan.faults.dns_failed > 0 || sim_plan.faults.dns_late > 0;
		return;
	case SIM_FLOW_DATA:
		sim_connect_put(&flow->connect, flow, 1, choose_target(flow));
		break;
	case SIM_FLOW_DENIED:
		sim_connect_put(&flow->connect, flow, 1, choose_denied(flow));
		break;
	case SIM_FLOW_LOOKUP:
	case SIM_FLOW_SILENT:
		sim_connect_put(&flow->connect, flow, 1, NULL);
		break;
	case SIM_FLOW_WRONG:
		make_wrong(prefix);
		return;
	case SIM_FLOW_ROUTED:
		make_routed(flow);
		return;
	case SIM_FLOW_ALERTED:
		make_alerted(flow);
		return;
	case SIM_FLOW_KAFKA:
		return;
	}
	sim_connect_put(&flow->bare, flow, 1, NULL);
	size_t len = flow->connect.len;

	sim_frame_append(prefix, flow->connect.at,
			 flow->kind == SIM_FLOW_SILENT ? sim_below(len) : len);
}
