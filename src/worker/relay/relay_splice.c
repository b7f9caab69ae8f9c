/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_splice: the engine for streams: socket -> pipe -> socket inside the kernel, without a copy
 * into our memory. Always splice(2), never IORING_OP_SPLICE, which is handed to a kernel worker
 * thread (uring.h). The pipe is leased while bytes are in it and filled only when empty, so
 * -EAGAIN from the source can only mean "no data".
 */
#include <errno.h>

#include "relay_end.h"

static void pipe_put(struct relay *relay, struct lane *lane)
{
	relay_pipe_put(relay, lane->pipe);
	lane->pipe = NULL;
}

enum relay_status relay_splice_flush(struct relay *relay, struct lane *lane)
{
	struct relay_pipe *pipe = lane->pipe;

	while (pipe->fill > 0) {
		ssize_t n = relay_end_splice_out(lane, pipe->fds[0], pipe->fill);

		if (n == -EAGAIN || n == 0)
			return RELAY_WAIT_SINK;
		if (n < 0)
			return relay_sink_failed(lane, n);
		CHECK((size_t)n <= pipe->fill);
		pipe->fill -= (uint32_t)n;
		lane->is_corked = false;
		relay_count(relay, lane, (size_t)n, true);
	}
	pipe_put(relay, lane);
	return RELAY_DECIDE;
}

/* Back to copying; for good if this socket cannot splice. */
static enum relay_status demote(struct relay *relay, struct lane *lane, bool is_for_good)
{
	if (lane->pipe != NULL)
		pipe_put(relay, lane);
	lane->is_promoted = false;
	lane->is_splice_off |= is_for_good;
	return relay_copy(relay, lane);
}

static void note_size(struct lane *lane, size_t n)
{
	if (n >= RELAY_SMALL_BYTES) {
		lane->small_run = 0;
	} else if (++lane->small_run >= RELAY_SMALL_RUN) {
		lane->is_promoted = false;
		lane->small_run = 0;
	}
}

enum relay_status relay_splice(struct relay *relay, struct lane *lane)
{
	for (int reads = 0; reads < RELAY_TURN_READS; reads++) {
		if (lane->pipe == NULL)
			lane->pipe = relay_pipe_get(relay);
		if (lane->pipe == NULL)
			return demote(relay, lane, false);

		size_t want = relay_at_most(lane, lane->pipe->size);
		ssize_t got = relay_end_splice_in(lane, lane->pipe->fds[1], want);

		if (got == -EINVAL) {
			stat_add(relay->stats, STAT_FALLBACK_SPLICE_EINVAL, 1);
			return demote(relay, lane, true);
		}
		if (got <= 0) {
			pipe_put(relay, lane);
			/* Woken for nothing again and again: an urgent byte, which splice does not
			 * step over. A read does. */
			if (got == -EAGAIN && reads == 0)
				note_size(lane, 0);
			if (got == -EAGAIN)
				return relay_end_wait(lane, RELAY_WAIT_SOURCE);
			if (got < 0)
				return relay_source_failed(lane, got);
			lane->saw_fin = true;
			return RELAY_FIN;
		}
		relay_took(lane, (size_t)got);
		lane->pipe->fill = (uint32_t)got;
		note_size(lane, (size_t)got);

		enum relay_status status = relay_splice_flush(relay, lane);

		if (status != RELAY_DECIDE || lane->pass == 0)
			return status;
		/* A short read is not an empty socket (a pipe has slots, not bytes), a very short
		 * one most likely is. The poll will tell. The kernel's TLS gives one record at a
		 * time. */
		if ((got < RELAY_PROMOTE_BYTES && lane->source_tls == NULL) || !lane->is_promoted)
			return relay_end_must_read_on(lane) ? RELAY_AGAIN : RELAY_WAIT_SOURCE;
	}
	return RELAY_AGAIN;
}
