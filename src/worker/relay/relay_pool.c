/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_pool: what lanes lease: buffers and pipes, both bounded, both held only while bytes are in
 * them; and the queue of lanes that wait for a buffer.
 */
#include <errno.h>
#include <stdlib.h>

#include <penstock/net.h>

#include "relay_priv.h"

#define BUFS_KEPT 32 /* free ones that keep their memory: 2 MiB of each worker */

static uint32_t pipe_count(const struct relay *relay)
{
	return (uint32_t)stat_get(relay->stats, STAT_PIPES_IN_USE);
}

/* In whole pages, so that those of a burst can be given back. */
static size_t buf_size(void)
{
	return (sizeof(struct relay_buf) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

int relay_init(struct relay *relay, uint32_t bufs, uint32_t pipes, struct stat_block *stats)
{
	*relay = (struct relay){ .stats = stats };
	relay_queue_init(&relay->starved);
	relay_queue_init(&relay->gathering);

	int ret = pool_init(&relay->bufs, buf_size(), bufs);

	if (ret < 0)
		return ret;
	relay->bufs_for_streams = bufs / 2;
	relay->peeked = malloc(RELAY_BUF_BYTES);
	relay->pipes = calloc(pipes + 1, sizeof(*relay->pipes));
	if (relay->pipes == NULL || relay->peeked == NULL) {
		free(relay->pipes);
		free(relay->peeked);
		pool_fini(&relay->bufs);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < pipes; i++) {
		relay->pipes[i].fds[0] = relay->pipes[i].fds[1] = -1;
		relay->pipes[i].next = relay->pipes_closed;
		relay->pipes_closed = &relay->pipes[i];
	}
	return 0;
}

void relay_fini(struct relay *relay)
{
	CHECK(relay->bufs.in_use == 0 && pipe_count(relay) == 0);
	for (struct relay_pipe *pipe = relay->pipes_idle; pipe != NULL; pipe = pipe->next)
		net_pipe_close(pipe->fds);
	free(relay->pipes);
	free(relay->peeked);
	pool_fini(&relay->bufs);
}

void relay_trim(struct relay *relay)
{
	pool_trim(&relay->bufs, BUFS_KEPT);
}

struct relay_buf *relay_buf_get(struct relay *relay)
{
	struct relay_buf *buf = pool_get(&relay->bufs);

	if (UNLIKELY(buf == NULL)) {
		stat_add(relay->stats, STAT_BUFFER_STARVED, 1);
		return NULL;
	}
	buf->done = buf->decided = buf->filled = 0;
	stat_add(relay->stats, STAT_BUFFERS_IN_USE, 1);
	return buf;
}

void relay_buf_put(struct relay *relay, struct relay_buf *buf)
{
	stat_sub(relay->stats, STAT_BUFFERS_IN_USE, 1);
	pool_put(&relay->bufs, buf);
}

/* Opens a pipe in the slot, or says why the stream must be copied. */
static bool pipe_open(struct relay *relay, struct relay_pipe *pipe)
{
	size_t size = 0;
	int ret = net_pipe(pipe->fds, RELAY_PIPE_BYTES, &size);

	if (ret < 0) {
		stat_add(relay->stats, STAT_FALLBACK_PIPE_EMFILE, 1);
		return false;
	}
	/* Over fs.pipe-user-pages-soft the kernel hands out 8 KiB pipes that cannot grow (pipe(7)):
	 * slower than copying. */
	if (size < RELAY_PROMOTE_BYTES) {
		net_pipe_close(pipe->fds);
		stat_add(relay->stats, STAT_FALLBACK_PIPE_SMALL, 1);
		return false;
	}
	pipe->size = (uint32_t)size;
	return true;
}

struct relay_pipe *relay_pipe_get(struct relay *relay)
{
	struct relay_pipe *pipe = relay->pipes_idle;

	if (LIKELY(pipe != NULL)) {
		relay->pipes_idle = pipe->next;
	} else {
		pipe = relay->pipes_closed;
		if (pipe == NULL) {
			stat_add(relay->stats, STAT_FALLBACK_PIPE_LIMIT, 1);
			return NULL;
		}
		if (!pipe_open(relay, pipe))
			return NULL;
		relay->pipes_closed = pipe->next;
	}
	CHECK(pipe->fill == 0);
	stat_add(relay->stats, STAT_PIPES_IN_USE, 1);
	return pipe;
}

void relay_pipe_put(struct relay *relay, struct relay_pipe *pipe)
{
	stat_sub(relay->stats, STAT_PIPES_IN_USE, 1);
	if (LIKELY(pipe->fill == 0)) {
		pipe->next = relay->pipes_idle;
		relay->pipes_idle = pipe;
		return;
	}
	/* Somebody's bytes are in it: they must never reach somebody else. */
	net_pipe_close(pipe->fds);
	pipe->fill = 0;
	pipe->next = relay->pipes_closed;
	relay->pipes_closed = pipe;
	stat_add(relay->stats, STAT_PIPES_DESTROYED, 1);
}

bool relay_has_buf(const struct relay *relay)
{
	return relay->bufs.in_use < relay->bufs.capacity;
}

bool relay_can_read(const struct relay *relay)
{
	return relay->bufs.in_use + 1 < relay->bufs.capacity;
}

struct lane *relay_first_starved(const struct relay *relay)
{
	struct lane *lane = relay->starved.head;

	while (lane != NULL && !(lane->in != NULL ? relay_has_buf(relay) : relay_can_read(relay)))
		lane = lane->next_queued;
	return lane;
}

struct lane *relay_unstarve(struct relay *relay)
{
	struct lane *lane = relay_first_starved(relay);

	if (lane != NULL)
		relay_queue_leave(lane);
	return lane;
}

void relay_queue_init(struct relay_queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
}

void relay_queue_push(struct relay_queue *queue, struct lane *lane)
{
	CHECK(lane->queue == NULL);
	lane->queue = queue;
	lane->next_queued = NULL;
	*queue->tail = lane;
	queue->tail = &lane->next_queued;
}

struct lane *relay_queue_pop(struct relay_queue *queue)
{
	struct lane *lane = queue->head;

	if (lane != NULL)
		relay_queue_leave(lane);
	return lane;
}

void relay_queue_leave(struct lane *lane)
{
	struct relay_queue *queue = lane->queue;

	if (queue == NULL)
		return;
	struct lane **at = &queue->head;

	while (*at != lane)
		at = &(*at)->next_queued;
	*at = lane->next_queued;
	if (*at == NULL)
		queue->tail = at;
	lane->next_queued = NULL;
	lane->queue = NULL;
}
