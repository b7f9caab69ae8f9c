/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_copy: the engine for small chunks: one recv(2) into a buffer that is hot in the cache, one
 * send(2) at once. The buffer goes back before the next lane is served, unless the sink blocks.
 *
 * When half of the buffers are held for sinks that block, bytes are only looked at, sent as far as
 * the sink takes them, and what it took is taken off the source: slower by one look, but a thousand
 * slow readers then hold nothing, and nobody waits for them.
 */
#include <errno.h>

#include "relay_end.h"

static enum relay_status copy_once(struct relay *relay, struct lane *lane, struct relay_buf *buf,
				   ssize_t *ret_read)
{
	ssize_t got = relay_end_recv(lane, buf->bytes, relay_at_most(lane, RELAY_BUF_BYTES));

	*ret_read = got;
	if (got == -EAGAIN)
		return relay_end_wait(lane, RELAY_DRAINED);
	if (got < 0)
		return relay_source_failed(lane, got);
	if (got == 0) {
		lane->saw_fin = true;
		return RELAY_FIN;
	}
	relay_took(lane, (size_t)got);
	buf->decided = buf->filled = (uint32_t)got;

	ssize_t sent = relay_end_send(lane, buf->bytes, (size_t)got);

	if (sent > 0) {
		lane->is_corked = false;
		buf->done = (uint32_t)sent;
		relay_count(relay, lane, (size_t)sent, false);
	}
	if (sent == got)
		return RELAY_DECIDE;
	if (sent < 0 && sent != -EAGAIN)
		return relay_sink_failed(lane, sent);
	return RELAY_WAIT_SINK;
}

static enum relay_status copy_peeked(struct relay *relay, struct lane *lane)
{
	ssize_t seen = relay_end_peek(lane, relay->peeked, relay_at_most(lane, RELAY_BUF_BYTES));

	stat_add(relay->stats, STAT_FALLBACK_BUFFER_LOW, 1);
	if (seen == -EAGAIN)
		return relay_end_wait(lane, RELAY_WAIT_SOURCE);
	if (seen < 0)
		return relay_source_failed(lane, seen);
	if (seen == 0) {
		lane->saw_fin = true;
		return RELAY_FIN;
	}
	ssize_t sent = relay_end_send(lane, relay->peeked, (size_t)seen);

	if (sent == -EAGAIN)
		return RELAY_WAIT_SINK;
	if (sent < 0)
		return relay_sink_failed(lane, sent);
	lane->is_corked = false;
	/* They were there a moment ago, and only this lane takes them. */
	CHECK(relay_end_discard(lane, (size_t)sent) == sent);
	relay_took(lane, (size_t)sent);
	relay_count(relay, lane, (size_t)sent, false);
	if (sent < seen)
		return RELAY_WAIT_SINK;
	if (lane->pass == 0)
		return RELAY_DECIDE;
	return relay_end_must_read_on(lane) ? RELAY_AGAIN : RELAY_WAIT_SOURCE;
}

enum relay_status relay_copy(struct relay *relay, struct lane *lane)
{
	/* Leased before reading: a byte read has a place to stay. */
	enum relay_status status = RELAY_DRAINED;

	if (UNLIKELY(relay->bufs.in_use >= relay->bufs_for_streams))
		return copy_peeked(relay, lane);
	struct relay_buf *buf = relay_buf_get(relay);

	CHECK(buf != NULL);
	for (int reads = 0; reads < RELAY_TURN_READS; reads++) {
		ssize_t got;

		buf->done = buf->decided = buf->filled = 0;
		status = copy_once(relay, lane, buf, &got);
		if (status != RELAY_DECIDE)
			break;
		if (got >= RELAY_PROMOTE_BYTES && !lane->is_splice_off) {
			lane->is_promoted = true;
			lane->small_run = 0;
		}
		if (lane->pass == 0)
			break;
		status = lane->is_promoted ? RELAY_AGAIN : relay_end_wait(lane, RELAY_DRAINED);
		/* A short read emptied the socket. */
		if ((got < RELAY_BUF_BYTES && !relay_end_must_read_on(lane)) || lane->is_promoted)
			break;
		status = RELAY_AGAIN;
	}
	if (status == RELAY_WAIT_SINK)
		lane->in = buf;
	else
		relay_buf_put(relay, buf);
	return status;
}
