/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The descriptor table of the fake kernel. A file lives as long as a descriptor or an armed poll
 * refers to it, as in Linux: closing a socket whose poll has not been cancelled yet does not end
 * the connection. Any use of a closed descriptor, or of one of another kind, fails the run.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>

#include "sim.h"
#include "sim_tcp.h"

#define FDS_MAX	 65536
#define FD_FIRST 100

static struct sim_file *table[FDS_MAX];
static int next_fd = FD_FIRST;
static uint32_t open_count;

static int free_fd(void)
{
	int fd = next_fd;

	if (sim_plan.reuses_fds)
		for (fd = FD_FIRST; table[fd] != NULL;)
			fd++;
	else
		next_fd++;
	CHECK(fd < FDS_MAX);
	return fd;
}

int sim_fd_open(enum sim_kind kind, void *object)
{
	struct sim_file *file = sim_alloc(sizeof(*file));
	int fd = free_fd();

	*file = (struct sim_file){ .kind = kind, .refs = 1, .fd = fd, .object = object };
	table[fd] = file;
	open_count++;
	return fd;
}

struct sim_file *sim_fd_find(int fd)
{
	return fd >= 0 && fd < FDS_MAX ? table[fd] : NULL;
}

struct sim_file *sim_fd_get(int fd, enum sim_kind kind, const char *who)
{
	struct sim_file *file = sim_fd_find(fd);

	if (file == NULL)
		sim_fail("%s on descriptor %d, which is not open", who, fd);
	if (file->kind != kind)
		sim_fail("%s on descriptor %d, which is of another kind", who, fd);
	return file;
}

void sim_fd_hold(struct sim_file *file)
{
	file->refs++;
}

void sim_fd_drop(struct sim_file *file)
{
	CHECK(file->refs > 0);
	if (--file->refs > 0)
		return;
	switch (file->kind) {
	case SIM_CONN:
		sim_tcp_release(file->object);
		return;
	case SIM_LISTENER:
		sim_tcp_listener_release(file->object);
		return;
	case SIM_PIPE_READ:
	case SIM_PIPE_WRITE:
		sim_pipe_release(file);
		return;
	}
}

void sim_fd_close(int fd)
{
	struct sim_file *file = sim_fd_find(fd);

	if (file == NULL)
		sim_fail("close of descriptor %d, which is not open", fd);
	table[fd] = NULL;
	file->fd = -1;
	open_count--;
	sim_fd_drop(file);
}

uint32_t sim_fd_count(void)
{
	return open_count;
}

unsigned sim_fd_events(const struct sim_file *file)
{
	if (file->kind == SIM_CONN)
		return sim_tcp_events(file->object);
	if (file->kind == SIM_LISTENER)
		return sim_tcp_listener_events(file->object);
	return 0; /* nobody polls a pipe */
}
