/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay: what a lane holds, in which order it leaves, and which engine moves the rest.
 */
#include <errno.h>
#include <string.h>

#include "relay_end.h"

void relay_lane_init(struct lane *lane, int source, int sink, bool is_to_client)
{
	/* The generation outlives the session: it tells late completions from live ones. */
	uint16_t generation = lane->op.generation;

	*lane = (struct lane){
		.op.generation = generation,
		.source = source,
		.sink = sink,
		.is_to_client = is_to_client,
	};
}

void relay_lane_tls(struct lane *lane, struct tls_end *source, struct tls_end *sink)
{
	/* Only the kernel can open and seal what it splices; each end is judged by itself. */
	if (source != NULL) {
		lane->source_tls = source;
		lane->is_splice_off |= !tls_can_splice_in(source);
	}
	if (sink != NULL) {
		lane->sink_tls = sink;
		lane->is_splice_off |= !tls_can_splice_out(sink);
	}
}

int relay_finish(struct lane *lane)
{
	CHECK(relay_is_clean(lane));
	lane->is_finishing = true;
	return lane->sink_tls != NULL ? tls_shutdown_write(lane->sink_tls)
				      : net_shutdown_write(lane->sink);
}

void relay_lane_fini(struct relay *relay, struct lane *lane)
{
	CHECK(!lane->op.is_armed);
	relay_queue_leave(lane);
	if (lane->in != NULL)
		relay_buf_put(relay, lane->in);
	if (lane->out != NULL)
		relay_buf_put(relay, lane->out);
	if (lane->pipe != NULL)
		relay_pipe_put(relay, lane->pipe);
	lane->in = lane->out = NULL;
	lane->pipe = NULL;
	lane->is_peeked = false;
}

void relay_count(struct relay *relay, struct lane *lane, size_t n, bool is_splice)
{
	static const enum stat_id stats[LANES][2] = {
		{ STAT_BYTES_TO_BROKER_COPY, STAT_BYTES_TO_BROKER_SPLICE },
		{ STAT_BYTES_TO_CLIENT_COPY, STAT_BYTES_TO_CLIENT_SPLICE },
	};

	lane->bytes += n;
	if (is_splice)
		lane->spliced += n;
	stat_add(relay->stats, stats[lane->is_to_client][is_splice], n);
	stat_add(relay->stats, STAT_MOVES, 1);
}

enum relay_status relay_source_failed(struct lane *lane, ssize_t err)
{
	CHECK(err < 0 && err != -EAGAIN);
	lane->err = (int)err;
	return RELAY_SOURCE_LOST;
}

enum relay_status relay_sink_failed(struct lane *lane, ssize_t err)
{
	CHECK(err < 0 && err != -EAGAIN);
	lane->err = (int)err;
	return RELAY_SINK_LOST;
}

static ssize_t send_some(struct lane *lane, const void *bytes, size_t len, bool has_more)
{
	/* A kernel that seals keeps such bytes back for good. */
	lane->is_corked = has_more && lane->sink_tls == NULL;
	return lane->is_corked ? net_send_more(lane->sink, bytes, len)
			       : relay_end_send(lane, bytes, len);
}

void relay_push(struct lane *lane)
{
	if (!lane->is_corked)
		return;
	lane->is_corked = false;
	if (!lane->sent_fin)
		net_push(lane->sink);
}

/* Sends buf's bytes up to `end`. RELAY_DECIDE: they are all out. */
static enum relay_status send_up_to(struct relay *relay, struct lane *lane, struct relay_buf *buf,
				    uint32_t end, bool has_more)
{
	while (buf->done < end) {
		ssize_t n = send_some(lane, buf->bytes + buf->done, end - buf->done, has_more);

		if (n == -EAGAIN)
			return RELAY_WAIT_SINK;
		if (n < 0)
			return relay_sink_failed(lane, n);
		buf->done += (uint32_t)n;
		relay_count(relay, lane, (size_t)n, false);
	}
	return RELAY_DECIDE;
}

static enum relay_status flush(struct relay *relay, struct lane *lane, bool has_more)
{
	enum relay_status status = RELAY_DECIDE;

	if (lane->pipe != NULL) {
		CHECK(lane->in == NULL && lane->out == NULL);
		return relay_splice_flush(relay, lane);
	}
	/* `out` first: it was put in when nothing decided was held (relay_can_emit), so what has
	 * been decided since comes behind it. */
	if (lane->out != NULL) {
		status = send_up_to(relay, lane, lane->out, lane->out->filled, has_more);
		if (status != RELAY_DECIDE)
			return status;
		relay_buf_put(relay, lane->out);
		lane->out = NULL;
	}
	if (lane->in != NULL) {
		status = send_up_to(relay, lane, lane->in, lane->in->decided, has_more);
		if (status != RELAY_DECIDE)
			return status;
		if (lane->in->done == lane->in->filled) {
			relay_buf_put(relay, lane->in);
			lane->in = NULL;
		}
	}
	return status;
}

enum relay_status relay_flush(struct relay *relay, struct lane *lane)
{
	enum relay_status status = flush(relay, lane, false);

	relay_push(lane);
	return status;
}

/* Is more to go out right behind what is held? The rest of a frame most likely is in the socket; of
 * a stream without frames nobody knows. */
static bool has_more(const struct relay *relay, const struct lane *lane)
{
	return relay_undecided(relay, lane).len > 0 || (lane->pass > 0 && lane->pass != RELAY_ALL);
}

enum relay_status relay_move(struct relay *relay, struct lane *lane)
{
	if (lane->in != NULL || lane->out != NULL || lane->pipe != NULL) {
		enum relay_status status = flush(relay, lane, has_more(relay, lane));

		if (status != RELAY_DECIDE)
			return status;
	}
	if (lane->pass == 0)
		return RELAY_DECIDE;
	CHECK(lane->in == NULL);
	if (lane->saw_fin)
		return RELAY_FIN;
	return lane->is_promoted ? relay_splice(relay, lane) : relay_copy(relay, lane);
}

/* Makes room behind the undecided bytes, which move to the front. */
static void compact(struct relay_buf *buf)
{
	CHECK(buf->done == buf->decided);
	if (buf->decided == 0)
		return;
	memmove(buf->bytes, buf->bytes + buf->decided, buf->filled - buf->decided);
	buf->filled -= buf->decided;
	buf->done = buf->decided = 0;
}

/* What was looked at is read after all. */
static void take_peeked(struct lane *lane)
{
	if (!lane->is_peeked)
		return;
	/* It was there a moment ago, and only this lane takes it. */
	CHECK(net_discard(lane->source, lane->in->filled) == (ssize_t)lane->in->filled);
	lane->is_peeked = false;
}

/* What was looked at goes by inside the kernel. */
static void leave_peeked(struct relay *relay, struct lane *lane)
{
	relay_buf_put(relay, lane->in);
	lane->in = NULL;
	lane->is_peeked = false;
}

/* Reads up to `max` bytes behind the undecided ones: at least `min`, or all there are. What the
 * last read said. */
static ssize_t fill(struct lane *lane, size_t min, size_t max)
{
	struct relay_buf *buf = lane->in;
	ssize_t n;

	do {
		n = relay_end_recv(lane, buf->bytes + buf->filled, max - buf->filled);
		if (n > 0)
			buf->filled += (uint32_t)n;
	} while (n > 0 && buf->filled < min && relay_end_must_read_on(lane));
	return n;
}

enum relay_status relay_read(struct relay *relay, struct lane *lane, size_t min, size_t max)
{
	size_t have = lane->in != NULL ? lane->in->filled - lane->in->decided : 0;

	CHECK(lane->pass == 0 && lane->pipe == NULL && lane->out == NULL);
	CHECK(min <= max && max <= RELAY_BUF_BYTES);
	if (have >= min)
		return RELAY_DECIDE;
	if (lane->saw_fin)
		return RELAY_FIN;
	take_peeked(lane);
	if (lane->in == NULL) {
		lane->in = relay_can_read(relay) ? relay_buf_get(relay) : NULL;
		if (lane->in == NULL)
			return RELAY_WAIT_BUFFER;
	}
	compact(lane->in);

	ssize_t n = fill(lane, min, max);

	have = lane->in->filled;
	if (have == 0) { /* an idle lane holds nothing */
		relay_buf_put(relay, lane->in);
		lane->in = NULL;
	}
	if (n == 0) {
		lane->saw_fin = true;
		return RELAY_FIN;
	}
	if (n < 0 && n != -EAGAIN)
		return relay_source_failed(lane, n);
	if (have >= min)
		return RELAY_DECIDE;
	return n < 0 ? relay_end_wait(lane, RELAY_WAIT_SOURCE) : RELAY_WAIT_SOURCE;
}

enum relay_status relay_peek(struct relay *relay, struct lane *lane, size_t min, size_t max)
{
	CHECK(lane->pass == 0 && lane->pipe == NULL && lane->out == NULL);
	CHECK(min <= max && max <= RELAY_BUF_BYTES);
	if (!lane->is_promoted || lane->source_tls != NULL || lane->in != NULL || lane->saw_fin ||
	    !relay_can_read(relay))
		return relay_read(relay, lane, min, max);

	struct relay_buf *buf = relay_buf_get(relay);
	ssize_t n = net_peek(lane->source, buf->bytes, max);

	if (n < (ssize_t)min) {
		relay_buf_put(relay, buf);
		if (n < 0 && n != -EAGAIN) /* looking takes the error off the socket, too */
			return relay_source_failed(lane, n);
		return n == -EAGAIN ? RELAY_WAIT_SOURCE : relay_read(relay, lane, min, max);
	}
	buf->done = buf->decided = 0;
	buf->filled = (uint32_t)n;
	lane->in = buf;
	lane->is_peeked = true;
	return RELAY_DECIDE;
}

struct span relay_undecided(const struct relay *relay, const struct lane *lane)
{
	(void)relay;
	if (lane->in == NULL)
		return span_of(NULL, 0);
	return span_of(lane->in->bytes + lane->in->decided, lane->in->filled - lane->in->decided);
}

void relay_pass(struct relay *relay, struct lane *lane, uint64_t n)
{
	CHECK(lane->pass == 0);
	if (lane->is_peeked && n >= RELAY_SMALL_BYTES)
		leave_peeked(relay, lane);
	take_peeked(lane);

	size_t have = relay_undecided(relay, lane).len;
	size_t now = n < have ? (size_t)n : have;

	if (lane->in != NULL)
		lane->in->decided += (uint32_t)now;
	lane->pass = n == RELAY_ALL ? RELAY_ALL : n - now;
}

void relay_drop(struct relay *relay, struct lane *lane, size_t n)
{
	if (n == 0)
		return;
	CHECK(lane->in != NULL && n <= lane->in->filled - lane->in->decided);
	take_peeked(lane);
	/* Only once the bytes before it are out, so that `done` may step over it. */
	CHECK(lane->in->done == lane->in->decided);
	lane->in->decided += (uint32_t)n;
	lane->in->done = lane->in->decided;
	if (lane->in->done == lane->in->filled) {
		relay_buf_put(relay, lane->in);
		lane->in = NULL;
	}
}

bool relay_can_emit(const struct lane *lane)
{
	return lane->pass == 0 && lane->out == NULL && lane->pipe == NULL && !lane->sent_fin &&
	       !lane->is_finishing && (lane->in == NULL || lane->in->done == lane->in->decided);
}

bool relay_emit(struct relay *relay, struct lane *lane, struct span bytes, bool has_more)
{
	CHECK(relay_can_emit(lane));
	CHECK(bytes.len <= RELAY_BUF_BYTES);

	/* Leased before sending, so that what does not fit into the socket has a place to stay. */
	struct relay_buf *buf = relay_buf_get(relay);

	if (buf == NULL)
		return false;

	/* A failed send shows again on the next flush. */
	ssize_t n = send_some(lane, bytes.at, bytes.len, has_more);

	if (n > 0)
		relay_count(relay, lane, (size_t)n, false);
	else
		n = 0;
	if ((size_t)n == bytes.len) {
		relay_buf_put(relay, buf);
		return true;
	}
	memcpy(buf->bytes, bytes.at + n, bytes.len - (size_t)n);
	buf->filled = buf->decided = (uint32_t)(bytes.len - (size_t)n);
	lane->out = buf;
	return true;
}

bool relay_is_clean(const struct lane *lane)
{
	return lane->in == NULL && lane->out == NULL && lane->pipe == NULL;
}
