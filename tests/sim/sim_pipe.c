/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pipes: bounded in bytes and in slots, however few bytes are in a slot, so that a splice into one
 * comes out short for either reason; and splice(2) to and from connections.
 */
#include <errno.h>

#include <penstock/net.h>

#include "sim_tcp.h"

#define SLOTS_MAX 64

struct pipe {
	struct sim_fifo fifo;
	uint32_t slot[SLOTS_MAX]; /* bytes in each, oldest first */
	uint32_t slots, slots_max;
	uint32_t files;
};

static uint32_t pipe_count;

static bool is_short_of_fds(void)
{
	return sim_now() >= sim_plan.faults.emfile_from_ns &&
	       sim_now() < sim_plan.faults.emfile_until_ns;
}

int net_pipe(int fds[2], size_t size, size_t *ret_size)
{
	struct pipe *pipe;

	if (is_short_of_fds() || sim_chance(sim_plan.faults.pipe_failed))
		return -EMFILE;
	pipe = sim_alloc(sizeof(*pipe));
	if (sim_chance(sim_plan.faults.pipe_small))
		size = sim_chance(500) ? 4096 : 8192;
	pipe->fifo.size = size;
	pipe->slots_max = size < 65536 ? (uint32_t)(size / 4096) : (uint32_t)sim_between(16, 64);
	pipe->files = 2;
	fds[0] = sim_fd_open(SIM_PIPE_READ, pipe);
	fds[1] = sim_fd_open(SIM_PIPE_WRITE, pipe);
	*ret_size = size;
	pipe_count++;
	return 0;
}

void net_pipe_close(int fds[2])
{
	(void)sim_fd_get(fds[0], SIM_PIPE_READ, "net_pipe_close");
	(void)sim_fd_get(fds[1], SIM_PIPE_WRITE, "net_pipe_close");
	sim_fd_close(fds[0]);
	sim_fd_close(fds[1]);
	fds[0] = fds[1] = -1;
}

void sim_pipe_release(struct sim_file *file)
{
	struct pipe *pipe = file->object;

	if (--pipe->files == 0)
		pipe_count--;
}

/* How much goes into the free slots, at most `len`; notes the slots. */
static size_t fill_slots(struct pipe *pipe, size_t len)
{
	size_t room = pipe->fifo.size - pipe->fifo.len;
	size_t put = 0;

	if (len > room)
		len = room;
	while (put < len && pipe->slots < pipe->slots_max) {
		size_t n = sim_between(1, 32768);

		if (n > len - put)
			n = len - put;
		pipe->slot[pipe->slots++] = (uint32_t)n;
		put += n;
	}
	return put;
}

static void drain_slots(struct pipe *pipe, size_t n)
{
	uint32_t at = 0;

	while (n > 0 && pipe->slot[at] <= n)
		n -= pipe->slot[at++];
	if (n > 0)
		pipe->slot[at] -= (uint32_t)n;
	pipe->slots -= at;
	for (uint32_t i = 0; i < pipe->slots; i++)
		pipe->slot[i] = pipe->slot[at + i];
}

static size_t maybe_short(size_t len)
{
	return len > 1 && sim_chance(sim_plan.faults.short_move) ? sim_between(1, len) : len;
}

ssize_t net_splice_in(int fd, int pipe_write, size_t len)
{
	struct sim_end *end = sim_fd_get(fd, SIM_CONN, "net_splice_in")->object;
	struct pipe *pipe = sim_fd_get(pipe_write, SIM_PIPE_WRITE, "net_splice_in")->object;

	CHECK(len > 0);
	if (sim_chance(sim_plan.faults.splice_einval))
		return -EINVAL;
	if (sim_chance(sim_plan.faults.try_again))
		return -EAGAIN;
	if (pipe->slots == pipe->slots_max || pipe->fifo.len == pipe->fifo.size)
		return -EAGAIN;
	if (end->in.len == 0)
		return sim_tcp_to_fifo(end, &pipe->fifo, 1);
	if (len > end->in.len)
		len = end->in.len;
	ssize_t n = sim_tcp_to_fifo(end, &pipe->fifo, fill_slots(pipe, maybe_short(len)));

	sim_trace("fd %d: splice in %zd of %zu", fd, n, len);
	return n;
}

ssize_t net_splice_out(int pipe_read, int fd, size_t len)
{
	struct pipe *pipe = sim_fd_get(pipe_read, SIM_PIPE_READ, "net_splice_out")->object;
	struct sim_end *end = sim_fd_get(fd, SIM_CONN, "net_splice_out")->object;

	CHECK(len > 0);
	if (pipe->fifo.len == 0)
		return -EAGAIN;
	if (sim_chance(sim_plan.faults.try_again) && sim_tcp_try_again(end))
		return -EAGAIN;
	if (end->is_shut_write && end->state == SIM_TCP_OPEN)
		sim_fail("bytes spliced to descriptor %d behind its FIN", fd);
	if (len > pipe->fifo.len)
		len = pipe->fifo.len;

	ssize_t n = sim_tcp_from_fifo(end, &pipe->fifo, maybe_short(len));

	sim_trace("fd %d: splice out %zd of %zu", fd, n, len);
	if (n > 0) {
		drain_slots(pipe, (size_t)n);
		sim_tcp_uncork(end); /* without SPLICE_F_MORE: what was kept back goes first */
	}
	return n;
}
