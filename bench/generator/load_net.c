/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Socket helpers of penstock-bench; load_net.h says what they promise.
 */
#include "load_net.h"

#include "load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	DIALS_MAX = 256,    /* connections being opened at once: far below any listen backlog */
	DIAL_MS_MAX = 5000, /* silence for this long while opening gives up */
	LISTEN_BACKLOG = 4096,
};

void load_net_parse(const char *text, struct load_addr *ret_addr)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[256];

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
		fprintf(stderr, "penstock-bench: an address is HOST:PORT, not '%s'\n", text);
		exit(2);
	}
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';

	int error = getaddrinfo(host, colon + 1, &hints, &found);
	if (error != 0) {
		fprintf(stderr, "penstock-bench: %s: %s\n", text, gai_strerror(error));
		exit(2);
	}
	memcpy(&ret_addr->name, found->ai_addr, found->ai_addrlen);
	ret_addr->size = found->ai_addrlen;
	ret_addr->text = text;
	freeaddrinfo(found);
}

bool load_net_is_same(const struct load_addr *a, const struct load_addr *b)
{
	return a->size == b->size && memcmp(&a->name, &b->name, a->size) == 0;
}

static void set_flag(int fd, int level, int option)
{
	const int on = 1;

	if (setsockopt(fd, level, option, &on, sizeof(on)) != 0)
		load_die("setsockopt");
}

int load_net_listen(const struct load_addr *addr)
{
	int fd = socket(addr->name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		load_die("socket");
	set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
	set_flag(fd, IPPROTO_TCP, TCP_NODELAY); /* inherited by what it accepts */
	if (bind(fd, (const struct sockaddr *)&addr->name, addr->size) != 0)
		load_die(addr->text);
	if (listen(fd, LISTEN_BACKLOG) != 0)
		load_die(addr->text);
	return fd;
}

int load_net_dial(struct load *l, const struct load_addr *to)
{
	int fd = socket(to->name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		load_count_error(l, errno);
		return -1;
	}
	set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
	if (connect(fd, (const struct sockaddr *)&to->name, to->size) != 0 &&
	    errno != EINPROGRESS) {
		load_count_error(l, errno);
		close(fd);
		return -1;
	}
	return fd;
}

int load_net_epoll(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		load_die("epoll_create1");
	return fd;
}

void load_net_watch(int epoll_fd, int fd, uint32_t events, void *with)
{
	struct epoll_event event = { .events = events, .data.ptr = with };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		load_die("epoll_ctl add");
}

void load_net_rewatch(int epoll_fd, int fd, uint32_t events, void *with)
{
	struct epoll_event event = { .events = events, .data.ptr = with };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
		load_die("epoll_ctl mod");
}

uint32_t load_net_open_all(struct load *l, const struct load_addr *to, int *fds, uint32_t count)
{
	int epoll_fd = load_net_epoll();
	uint32_t dialled = 0, pending = 0, opened = 0;

	while (dialled < count || pending > 0) {
		for (; dialled < count && pending < DIALS_MAX; dialled++) {
			fds[dialled] = load_net_dial(l, to);
			if (fds[dialled] < 0)
				continue;
			load_net_watch(epoll_fd, fds[dialled], EPOLLOUT, &fds[dialled]);
			pending++;
		}

		struct epoll_event events[DIALS_MAX];
		int ready = epoll_wait(epoll_fd, events, DIALS_MAX, DIAL_MS_MAX);

		if (ready <= 0 && pending > 0) {
			l->errors[LOAD_ERROR_STUCK] += pending;
			break;
		}
		for (int i = 0; i < ready; i++) {
			int *fd = events[i].data.ptr;
			int error = 0;
			socklen_t size = sizeof(error);

			getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &size);
			pending--;
			if (error == 0) {
				epoll_ctl(epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
				opened++;
				continue;
			}
			load_count_error(l, error);
			close(*fd);
			*fd = -1;
		}
	}
	close(epoll_fd);
	return opened;
}

void load_net_handle(const struct epoll_event *event)
{
	struct load_handler *h = event->data.ptr;

	h->on_events(h, event->events);
}

void load_net_raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		load_die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		load_die("setrlimit");
}
