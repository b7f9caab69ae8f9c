/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_unix: the admin server's unix socket, and file times (control_unix.h says why here).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <penstock/base/clock.h>

#include "control_unix.h"

/* A socket file nobody listens on is left over from a crash; one that answers is somebody's. */
static int remove_stale(int fd, const struct sockaddr_un *name)
{
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0)
		return -EADDRINUSE;
	if (errno == ENOENT)
		return 0;
	if (errno != ECONNREFUSED)
		return errno == EAGAIN ? -EADDRINUSE : -errno;
	struct stat status;

	if (lstat(name->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return -EADDRINUSE;
	return unlink(name->sun_path) < 0 ? -errno : 0;
}

static int unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int control_unix_listen(const char *path, int backlog, int *ret_fd)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, len + 1);

	int probe = unix_socket();

	if (probe < 0)
		return probe;
	int ret = remove_stale(probe, &name);

	(void)close(probe);
	if (ret < 0)
		return ret;
	int fd = unix_socket();

	if (fd < 0)
		return fd;
	/* 0660 from its first moment on: owner and group may ask, nobody else. */
	mode_t mask = umask(0117);

	ret = bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (ret == 0 && listen(fd, backlog) < 0)
		ret = -errno;
	if (ret < 0)
		(void)close(fd);
	else
		*ret_fd = fd;
	return ret;
}

int64_t control_unix_mtime_ns(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return 0;
	return (int64_t)status.st_mtim.tv_sec * (int64_t)NS_PER_S + status.st_mtim.tv_nsec;
}

uint64_t control_unix_identity(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return 0;
	/* An inode number may come again when the old file is gone, its time does not. */
	const uint64_t parts[] = { status.st_dev, status.st_ino, (uint64_t)status.st_mtim.tv_sec,
				   (uint64_t)status.st_mtim.tv_nsec };
	uint64_t identity = 1;

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		identity = (identity ^ parts[i]) * 0x9e3779b97f4a7c15u;
	return identity;
}
