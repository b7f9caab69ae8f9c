/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_dial: beginning a connection to a broker.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_priv.h"

int net_dial(const struct addr *addr, int *ret_fd)
{
	union net_sockaddr name;
	socklen_t len = net_to_sockaddr(addr, &name);
	int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	net_tune(fd);

	int ret = connect(fd, &name.any, len) < 0 ? -errno : 0;

	/* An interrupted connect goes on by itself. */
	if (ret == -EINTR)
		ret = -EINPROGRESS;
	if (ret != 0 && ret != -EINPROGRESS) {
		(void)close(fd);
		return ret;
	}
	*ret_fd = fd;
	return ret;
}
