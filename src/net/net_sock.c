/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_sock: moving bytes over connected sockets, ending them, and asking about them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_priv.h"

socklen_t net_to_sockaddr(const struct addr *addr, union net_sockaddr *ret_sockaddr)
{
	memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
	if (addr_is_v4(addr)) {
		ret_sockaddr->v4.sin_family = AF_INET;
		ret_sockaddr->v4.sin_port = htons(addr->port);
		memcpy(&ret_sockaddr->v4.sin_addr, addr->ip + 12, 4);
		return sizeof(ret_sockaddr->v4);
	}
	ret_sockaddr->v6.sin6_family = AF_INET6;
	ret_sockaddr->v6.sin6_port = htons(addr->port);
	ret_sockaddr->v6.sin6_scope_id = addr->scope;
	memcpy(&ret_sockaddr->v6.sin6_addr, addr->ip, 16);
	return sizeof(ret_sockaddr->v6);
}

void net_from_sockaddr(const union net_sockaddr *sockaddr, struct addr *ret_addr)
{
	if (sockaddr->any.sa_family == AF_INET) {
		*ret_addr =
			addr_v4(ntohl(sockaddr->v4.sin_addr.s_addr), ntohs(sockaddr->v4.sin_port));
		return;
	}
	*ret_addr = (struct addr){
		.port = ntohs(sockaddr->v6.sin6_port),
		.scope = sockaddr->v6.sin6_scope_id,
		.is_set = sockaddr->any.sa_family == AF_INET6,
	};
	memcpy(ret_addr->ip, &sockaddr->v6.sin6_addr, 16);
}

static ssize_t recv_flags(int fd, void *ret_bytes, size_t size, int flags)
{
	ssize_t n;

	do {
		n = recv(fd, ret_bytes, size, MSG_DONTWAIT | flags);
	} while (UNLIKELY(n < 0 && errno == EINTR));
	return n < 0 ? -errno : n;
}

ssize_t net_recv(int fd, void *ret_bytes, size_t size)
{
	return recv_flags(fd, ret_bytes, size, 0);
}

ssize_t net_peek(int fd, void *ret_bytes, size_t size)
{
	return recv_flags(fd, ret_bytes, size, MSG_PEEK);
}

ssize_t net_discard(int fd, size_t len)
{
	return recv_flags(fd, NULL, len, MSG_TRUNC);
}

static ssize_t send_flags(int fd, const void *bytes, size_t len, int flags)
{
	ssize_t n;

	do {
		n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL | flags);
	} while (UNLIKELY(n < 0 && errno == EINTR));
	return n < 0 ? -errno : n;
}

ssize_t net_send(int fd, const void *bytes, size_t len)
{
	return send_flags(fd, bytes, len, 0);
}

ssize_t net_send_more(int fd, const void *bytes, size_t len)
{
	return send_flags(fd, bytes, len, MSG_MORE);
}

/* Setting TCP_NODELAY, even where it is set, sends what is kept back (tcp(7)). */
void net_push(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The flag covers the pipe side only; the socket side goes by O_NONBLOCK (splice(2)). */
static ssize_t splice_once(int from, int to, size_t len)
{
	ssize_t n;

	do {
		n = splice(from, NULL, to, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	} while (UNLIKELY(n < 0 && errno == EINTR));
	return n < 0 ? -errno : n;
}

ssize_t net_splice_in(int fd, int pipe_write, size_t len)
{
	return splice_once(fd, pipe_write, len);
}

/* Never SPLICE_F_MORE: it would cork the end of a burst for up to 200 ms. */
ssize_t net_splice_out(int pipe_read, int fd, size_t len)
{
	return splice_once(pipe_read, fd, len);
}

int net_shutdown_write(int fd)
{
	if (shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN)
		return 0;
	return -errno;
}

int net_unsent(int fd)
{
	int bytes = 0;

	if (ioctl(fd, SIOCOUTQ, &bytes) < 0)
		return -errno;
	return bytes;
}

int net_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

bool net_is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

bool net_is_writable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	return poll(&pollfd, 1, 0) > 0;
}

bool net_is_ended(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLRDHUP };

	return poll(&pollfd, 1, 0) > 0;
}

void net_close(int fd, bool reset)
{
	if (reset) {
		const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	(void)close(fd);
}

static void set_int(int fd, int level, int name, int value)
{
	/* Tuning only: a socket without it still works. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

void net_wake_at(int fd, size_t bytes)
{
	set_int(fd, SOL_SOCKET, SO_RCVLOWAT, (int)bytes);
}

void net_tune(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

int net_local_addr(int fd, struct addr *ret_addr)
{
	union net_sockaddr name = { .v6 = { 0 } };
	socklen_t len = sizeof(name);

	if (getsockname(fd, &name.any, &len) < 0)
		return -errno;
	net_from_sockaddr(&name, ret_addr);
	return 0;
}
