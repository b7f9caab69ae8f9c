/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_flow: one connection of a model client through penstock to a model broker: what both will do
 * (decided when the flow is made), what came of it, and whether that may be.
 */
#pragma once

#include "sim_frame.h"
#include "sim_stream.h"
#include "sim_tcp.h"

enum sim_flow_kind {
	SIM_FLOW_RAW,	  /* forward listener: opaque bytes */
	SIM_FLOW_DATA,	  /* Pulsar CONNECT with field 6, then opaque bytes */
	SIM_FLOW_LOOKUP,  /* Pulsar CONNECT without it */
	SIM_FLOW_DENIED,  /* names a broker it may not have, or one that is dead */
	SIM_FLOW_WRONG,	  /* does not speak Pulsar */
	SIM_FLOW_SILENT,  /* says nothing, or half of CONNECT */
	SIM_FLOW_ROUTED,  /* ClientHello, then opaque bytes */
	SIM_FLOW_ALERTED, /* a ClientHello that goes nowhere, or something that is none */
	SIM_FLOW_KAFKA,	  /* requests and responses (sim_kafka.h) */
};

#define SIM_FLOW_TO_TARGET (-2) /* the target of forward listeners */

enum sim_last {
	SIM_LAST_FIN,	  /* half-closes behind its last byte, reads on */
	SIM_LAST_FIN_RST, /* the same, and resets later */
	SIM_LAST_RST,
	SIM_LAST_CLOSE, /* close(2): what comes is not wanted */
	SIM_LAST_WAIT,	/* ends when the other has */
	SIM_LAST_STAY,	/* does not end before it is reset */
};

/* One end of a flow that carries streams. */
struct sim_side {
	struct sim_flow *flow;
	const char *who;
	struct sim_end *end;	/* NULL: not connected */
	struct sim_text prefix; /* before the stream: PROXY header, CONNECT */
	size_t prefix_done;
	struct sim_stream_out out;
	struct sim_stream_in in;
	struct sim_text answer; /* what a refused client is told */
	enum sim_last last;
	size_t write_max, read_max;
	uint64_t write_pause_ns, read_pause_ns, last_pause_ns, stall_ns;
	uint64_t may_write_ns, may_read_ns, may_end_ns;
	uint64_t saw_ns;
	struct sim_alarm alarm;
	bool reads_all;			   /* whenever there is something */
	bool has_fin, has_rst, has_closed; /* our doing */
	bool saw_fin, saw_rst;
	bool is_done;
};

struct sim_lookups;
struct sim_kafka;

struct sim_flow {
	uint32_t id; /* from 1 */
	enum sim_flow_kind kind;
	uint32_t listener;
	struct addr from;     /* whose connection to penstock it is */
	struct addr shown;    /* whom a broker is told of: PROXY header, else `from` */
	int32_t target;	      /* the broker named; -1: any; or SIM_FLOW_TO_TARGET */
	uint32_t wants_error; /* DENIED: this Pulsar error; ALERTED: this alert; 0: any */
	bool wants_silence;   /* ALERTED: without a word */
	bool wants_header;    /* ROUTED: its route sends the target a PROXY header */
	uint64_t born_ns;
	bool may_be_refused;
	bool is_excused; /* the end of the run has overtaken it: ends are no longer checked */
	struct sim_text connect, bare; /* its CONNECT, and as a broker should see it; its hello */
	struct sim_side client, broker;
	struct sim_lookups *lookups;
	struct sim_kafka *kafka;
};

/* ---- sim_flow.c ---- */

/* Makes the flows of the plan and has them begin in time. */
void sim_flow_start_all(void);
struct sim_flow *sim_flow_of(uint32_t id);
struct sim_flow *sim_flow_of_stream(uint32_t number);
/* CONNECT names its flow: "sim-ID". */
struct sim_flow *sim_flow_of_connect(const struct sim_frame *connect);
bool sim_flow_are_done(void);
void sim_flow_excuse_all(void);
/* After the run: is what every flow saw what it should have seen? */
void sim_flow_check_all(void);

/* ---- sim_connect.c: what a client says first ---- */

/* CONNECT with credentials of a version, with field 6 unless `target` is NULL. */
void sim_connect_put(struct sim_text *text, const struct sim_flow *flow, uint32_t version,
		     const char *target);
void sim_connect_proxy_header(struct sim_text *text, const struct addr *from,
			      const struct addr *to);
/* Fills in the client's prefix for the kind of flow it is. */
void sim_connect_make(struct sim_flow *flow);

/* ---- sim_side.c ---- */

void sim_side_plan(struct sim_side *side, struct sim_flow *flow, const char *who);
/* Reads, writes and ends what can be; to be called when something has changed. */
void sim_side_step(void *context);
/* Gives a side its end, of which some bytes of the stream have been read already. */
void sim_side_attach(struct sim_side *side, struct sim_end *end, struct span read);
void sim_side_check(const struct sim_flow *flow);

/* ---- sim_broker.c ---- */

void sim_broker_start_all(void);

/* ---- sim_client.c ---- */

void sim_client_make(struct sim_flow *flow);
void sim_client_begin(struct sim_flow *flow, const struct sim_wire *wire);
bool sim_client_is_done(const struct sim_flow *flow);
void sim_client_show(const struct sim_flow *flow);
void sim_client_check(const struct sim_flow *flow);
