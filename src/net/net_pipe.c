/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_pipe: the pipes bytes rest in between two splice calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <penstock/net.h>

int net_pipe(int fds[2], size_t size, size_t *ret_size)
{
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	/* Refused above fs.pipe-user-pages-soft; the size there is decides. */
	(void)fcntl(fds[1], F_SETPIPE_SZ, (int)size);

	int got = fcntl(fds[1], F_GETPIPE_SZ);

	*ret_size = got > 0 ? (size_t)got : 4096;
	return 0;
}

void net_pipe_close(int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
	fds[0] = fds[1] = -1;
}
