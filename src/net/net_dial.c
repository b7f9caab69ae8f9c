/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_dial: beginning a connection, to a broker or to another penstock's admin socket.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

int net_dial_unix(const char *path, int *ret_fd)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
		int ret = -errno;

		(void)close(fd);
		return ret;
	}
	*ret_fd = fd;
	return 0;
}
