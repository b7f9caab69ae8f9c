/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_talk: an end that speaks frames (lookup clients, lookup brokers): a frame at a time in, a
 * buffer of frames out.
 */
#pragma once

#include "sim_frame.h"
#include "sim_tcp.h"

struct sim_talk {
	struct sim_end *end;
	const char *who;
	struct sim_text in, out;
	size_t out_done;
	size_t read_max;
	uint64_t read_pause_ns, may_read_ns;
	struct sim_alarm alarm;
	bool saw_fin, saw_rst, has_fin;
	bool is_done;
};

/* The first bytes there are; false: nothing to be had now (see saw_fin, saw_rst). */
bool sim_talk_read(struct sim_talk *talk, sim_fn *again, void *context);
/* Takes the next whole frame off; its spans are good until the next read. */
bool sim_talk_next(struct sim_talk *talk, struct sim_frame *ret_frame, size_t *ret_used);
void sim_talk_used(struct sim_talk *talk, size_t used);
/* Sends what is in `out`; true: it is empty. */
bool sim_talk_flush(struct sim_talk *talk);
void sim_talk_finish(struct sim_talk *talk); /* FIN */
void sim_talk_leave(struct sim_talk *talk, bool is_reset);
