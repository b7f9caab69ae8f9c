/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading into one growing buffer, taking whole frames off its front, sending from another.
 */
#include "sim_talk.h"

#include <errno.h>
#include <string.h>

bool sim_talk_read(struct sim_talk *talk, sim_fn *again, void *context)
{
	static uint8_t bytes[65536];

	if (talk->saw_fin || talk->saw_rst)
		return false;
	if (sim_now() < talk->may_read_ns) {
		sim_alarm(&talk->alarm, talk->may_read_ns, again, context);
		return false;
	}
	ssize_t n = sim_tcp_read(talk->end, bytes, talk->read_max);

	if (n == -EAGAIN)
		return false;
	talk->saw_fin = n == 0;
	talk->saw_rst = n < 0;
	if (n <= 0)
		return false;
	sim_frame_append(&talk->in, bytes, (size_t)n);
	talk->may_read_ns = sim_now() + talk->read_pause_ns;
	return true;
}

bool sim_talk_next(struct sim_talk *talk, struct sim_frame *ret_frame, size_t *ret_used)
{
	if (!sim_frame_read(span_of(talk->in.at, talk->in.len), ret_frame, talk->who))
		return false;
	*ret_used = ret_frame->whole.len;
	return true;
}

void sim_talk_used(struct sim_talk *talk, size_t used)
{
	talk->in.len -= used;
	memmove(talk->in.at, talk->in.at + used, talk->in.len);
}

bool sim_talk_flush(struct sim_talk *talk)
{
	while (talk->out_done < talk->out.len && talk->end->state == SIM_TCP_OPEN) {
		size_t room = sim_tcp_room(talk->end);
		size_t left = talk->out.len - talk->out_done;

		if (room == 0 || talk->has_fin)
			return false;
		left = left < room ? left : room;
		CHECK(sim_tcp_write(talk->end, talk->out.at + talk->out_done, left) ==
		      (ssize_t)left);
		talk->out_done += left;
	}
	if (talk->out_done < talk->out.len)
		return false;
	talk->out_done = talk->out.len = 0;
	return true;
}

void sim_talk_finish(struct sim_talk *talk)
{
	if (talk->has_fin)
		return;
	talk->has_fin = true;
	(void)sim_tcp_shutdown(talk->end);
}

void sim_talk_leave(struct sim_talk *talk, bool is_reset)
{
	if (talk->is_done)
		return;
	talk->is_done = true;
	sim_tcp_close(talk->end, is_reset);
}
