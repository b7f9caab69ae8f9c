/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_listen: listening sockets and accepting from them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_priv.h"

static int bound_socket(const struct addr *addr, bool is_shared)
{
	union net_sockaddr name;
	socklen_t len = net_to_sockaddr(addr, &name);
	int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	const int on = 1;

	/* REUSEADDR: connections of our predecessor in TIME_WAIT must not stop a start. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
	    bind(fd, &name.any, len) < 0) {
		int ret = -errno;

		(void)close(fd);
		return ret;
	}
	return fd;
}

int net_listen(const struct addr *addr, uint32_t backlog, uint32_t count, int *ret_fds)
{
	/* REUSEPORT would let a second instance of the same user share the port in silence. */
	int fd = bound_socket(addr, false);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return net_listen_beside(addr, backlog, count, ret_fds);
}

int net_listen_beside(const struct addr *addr, uint32_t backlog, uint32_t count, int *ret_fds)
{
	for (uint32_t i = 0; i < count; i++) {
		int ret = bound_socket(addr, true);

		if (ret >= 0) {
			ret_fds[i] = ret;
			net_tune(ret);
			ret = listen(ret, (int)backlog) < 0 ? -errno : 0;
			if (ret == 0)
				continue;
			(void)close(ret_fds[i]);
		}
		while (i-- > 0)
			(void)close(ret_fds[i]);
		return ret;
	}
	return 0;
}

int net_accept(int fd, struct addr *ret_peer)
{
	union net_sockaddr name = { .v6 = { 0 } };
	int conn;

	do {
		socklen_t len = sizeof(name);

		conn = accept4(fd, &name.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		/* ECONNABORTED: this one is gone, the next may be there. */
	} while (conn < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (conn < 0)
		return -errno;
	net_from_sockaddr(&name, ret_peer);
	return conn;
}
