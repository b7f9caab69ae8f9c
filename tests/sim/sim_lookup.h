/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_lookup: the lookups of one lookup connection: what each will meet on its way, and who has
 * seen what, so that the client's end and the brokers' ends can hold each other to it.
 */
#pragma once

#include "sim_flow.h"
#include "sim_talk.h"

#define SIM_LOOKUPS_MAX 48
#define SIM_HOPS_MAX	13

enum sim_lookup_end { SIM_LOOKUP_CONNECT, SIM_LOOKUP_FAILED, SIM_LOOKUP_NOWHERE };

struct sim_lookup {
	uint32_t index;
	uint64_t request_id;
	uint32_t hops, hop;	     /* redirects on its way; seen so far */
	uint8_t route[SIM_HOPS_MAX]; /* whom each leads to */
	uint8_t owner;		     /* the broker named at last */
	enum sim_lookup_end end;
	bool is_direct; /* penstock may know the answer by itself */
	bool may_fail, must_fail;
	bool is_asked, is_answered, has_failed;
	bool has_tls_url_only;
	struct sim_text frame; /* as the client sent it */
};

/* What a broker does to a connection penstock makes to follow a redirect. */
enum sim_side_fault {
	SIM_SIDE_FINE,
	SIM_SIDE_ERROR,
	SIM_SIDE_CHALLENGE,
	SIM_SIDE_RESET,
	SIM_SIDE_CLOSE,
	SIM_SIDE_MUTE,
};

struct sim_lookups {
	struct sim_flow *flow;
	struct sim_talk talk; /* the client's end */
	struct sim_lookup at[SIM_LOOKUPS_MAX];
	uint32_t count, next; /* next: to be asked */
	uint32_t answered;
	uint32_t noise_to_broker, noise_to_client; /* how many there will be */
	uint32_t noise_sent, noise_seen;	   /* by the client */
	uint32_t noise_arrived;			   /* at the broker */
	uint32_t noise_len_max;
	uint32_t pings_to_broker, pings_sent, pongs_to_client;
	uint32_t window;      /* lookups without an answer at one time */
	uint32_t challenges;  /* refreshes the broker will ask for */
	uint32_t rounds;      /* challenges before CONNECTED */
	uint32_t token;	      /* version of the client's credentials */
	uint64_t token_ns[8]; /* when its broker has seen each version */
	uint64_t pause_ns, may_send_ns;
	struct sim_alarm alarm;
	uint64_t rst_ns; /* when the client resets; 0: never */
	bool is_connected;
	bool is_eager; /* does not wait for CONNECTED */
	enum sim_side_fault side_fault;
	enum sim_last broker_last; /* FIN: a broker that behaves */
	uint64_t broker_ends_ns;
	int32_t primary; /* which broker the connection is at; -1: none yet */
	bool has_primary_ended;
	bool is_refused;
	uint32_t conns; /* of brokers, that are not done */
};

/* ---- sim_lookup.c ---- */

void sim_lookup_plan(struct sim_lookups *all);
/* The record of a LOOKUP frame, by its topic; fails the run for one nobody asked. */
struct sim_lookup *sim_lookup_of(struct sim_lookups *all, const struct sim_frame *frame);
/* Appends what the broker `broker` answers, and notes the step. */
void sim_lookup_answer(struct sim_lookups *all, struct sim_lookup *lookup, uint32_t broker,
		       struct sim_text *text);
/* Is this answer what the client may get? */
void sim_lookup_check(struct sim_lookups *all, const struct sim_frame *frame);
/* No CONNECT of one frame would do for another connection. */
bool sim_lookup_is_replayable(const struct sim_lookups *all);

/* ---- sim_answer.c: a broker's end ---- */

/* Takes over a connection whose CONNECT has been read. */
void sim_answer_begin(struct sim_flow *flow, struct sim_end *end, uint32_t broker,
		      const struct sim_frame *connect);
