/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net.h over the fake kernel, with the faults a real one has: short moves, -EAGAIN out of the blue,
 * no descriptors for a while, accepts that fail in all ways.
 */
#include <errno.h>

#include <penstock/net.h>

#include "sim_tcp.h"

static bool is_short_of_fds(void)
{
	return sim_now() >= sim_plan.faults.emfile_from_ns &&
	       sim_now() < sim_plan.faults.emfile_until_ns;
}

static struct sim_end *end_of(int fd, const char *who)
{
	return sim_fd_get(fd, SIM_CONN, who)->object;
}

static size_t maybe_short(size_t len)
{
	return len > 1 && sim_chance(sim_plan.faults.short_move) ? sim_between(1, len) : len;
}

ssize_t net_recv(int fd, void *ret_bytes, size_t size)
{
	struct sim_end *end = end_of(fd, "net_recv");

	CHECK(size > 0);
	if (sim_chance(sim_plan.faults.try_again)) {
		sim_tcp_owe_edge(end);
		return -EAGAIN;
	}
	ssize_t n = sim_tcp_read(end, ret_bytes, maybe_short(size));

	if (n > 0)
		sim_tcp_owe_edge(end);
	sim_trace("fd %d: recv %zd of %zu", fd, n, size);
	return n;
}

static ssize_t send_now(int fd, const void *bytes, size_t len)
{
	struct sim_end *end = end_of(fd, "net_send");

	CHECK(len > 0);
	if (end->is_shut_write && end->state == SIM_TCP_OPEN)
		sim_fail("bytes sent on descriptor %d behind its FIN", fd);
	if (sim_chance(sim_plan.faults.try_again) && sim_tcp_try_again(end))
		return -EAGAIN;
	ssize_t n = sim_tcp_write(end, bytes, maybe_short(len));

	/* Short for want of memory: as with -EAGAIN, a POLLOUT is owed (SOCK_NOSPACE). */
	if (n > 0 && (size_t)n < len)
		(void)sim_tcp_try_again(end);
	sim_trace("fd %d: send %zd of %zu", fd, n, len);
	return n;
}

ssize_t net_send(int fd, const void *bytes, size_t len)
{
	ssize_t n = send_now(fd, bytes, len);

	sim_tcp_uncork(end_of(fd, "net_send"));
	return n;
}

/* Linux may send at any time all the same; what did not fit goes at once (tcp_sendmsg_locked). */
ssize_t net_send_more(int fd, const void *bytes, size_t len)
{
	ssize_t n = send_now(fd, bytes, len);
	struct sim_end *end = end_of(fd, "net_send_more");

	if (n == (ssize_t)len && end->state == SIM_TCP_OPEN && sim_chance(800))
		sim_tcp_cork(end);
	else
		sim_tcp_uncork(end);
	return n;
}

void net_push(int fd)
{
	sim_tcp_uncork(end_of(fd, "net_push"));
}

ssize_t net_peek(int fd, void *ret_bytes, size_t size)
{
	struct sim_end *end = end_of(fd, "net_peek");

	CHECK(size > 0);
	if (sim_chance(sim_plan.faults.try_again))
		return -EAGAIN;
	return sim_tcp_peek(end, ret_bytes, maybe_short(size));
}

ssize_t net_discard(int fd, size_t len)
{
	uint8_t bytes[4096];
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < sizeof(bytes) ? len - done : sizeof(bytes);
		ssize_t got = sim_tcp_read(end_of(fd, "net_discard"), bytes, n);

		if (got <= 0)
			return done > 0 ? (ssize_t)done : got;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int net_shutdown_write(int fd)
{
	int ret = sim_tcp_shutdown(end_of(fd, "net_shutdown_write"));

	sim_trace("fd %d: FIN", fd);
	return ret == -ENOTCONN ? 0 : ret;
}

int net_unsent(int fd)
{
	const struct sim_end *end = end_of(fd, "net_unsent");

	return (int)(end->out.len + end->unacked);
}

int net_error(int fd)
{
	struct sim_end *end = end_of(fd, "net_error");
	int err = end->err;

	end->err = 0;
	return err;
}

void net_close(int fd, bool reset)
{
	struct sim_file *file = sim_fd_find(fd);

	if (file == NULL)
		sim_fail("net_close of descriptor %d, which is not open", fd);
	sim_trace("fd %d: close%s", fd, reset ? " with reset" : "");
	if (file->kind == SIM_CONN)
		((struct sim_end *)file->object)->resets_at_release = reset;
	sim_fd_close(fd);
}

void net_tune(int fd)
{
	(void)end_of(fd, "net_tune");
}

int net_local_addr(int fd, struct addr *ret_addr)
{
	*ret_addr = end_of(fd, "net_local_addr")->local;
	return 0;
}

/* Called by control only. */
int net_listen(const struct addr *addr, uint32_t backlog, uint32_t count, int *ret_fds)
{
	(void)backlog;
	for (uint32_t i = 0; i < count; i++)
		ret_fds[i] = sim_tcp_listen(addr);
	return 0;
}

int net_accept(int fd, struct addr *ret_peer)
{
	struct sim_listener *listener = sim_fd_get(fd, SIM_LISTENER, "net_accept")->object;
	static const int errors[] = { -ECONNABORTED, -EPROTO, -EHOSTUNREACH };

	if (sim_tcp_listener_events(listener) == 0)
		return -EAGAIN;
	if (is_short_of_fds())
		return sim_chance(500) ? -EMFILE : -ENFILE;
	struct sim_end *end = sim_tcp_listener_take(listener);

	sim_progress();
	if (sim_chance(sim_plan.faults.accept_failed)) {
		sim_tcp_close(end, true);
		return errors[sim_below(COUNT_OF(errors))];
	}
	*ret_peer = end->remote;
	int conn = sim_fd_open(SIM_CONN, end);

	end->file = sim_fd_find(conn);
	sim_trace("accepted: fd %d", conn);
	return conn;
}

int net_dial(const struct addr *addr, int *ret_fd)
{
	static const int errors[] = { -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT };

	if (is_short_of_fds())
		return -EMFILE;
	if (sim_chance(sim_plan.faults.dial_failed))
		return errors[sim_below(COUNT_OF(errors))];
	return sim_tcp_dial(addr, ret_fd);
}
