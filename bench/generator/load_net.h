/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Socket helpers of penstock-bench: addresses, listening, dialling and opening many connections
 * at once. Every socket is non-blocking with TCP_NODELAY, as the proxies' own sockets are.
 */
#ifndef BENCH_LOAD_NET_H
#define BENCH_LOAD_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct epoll_event;
struct load;

struct load_addr {
	const char *text; /* as it was given */
	struct sockaddr_storage name;
	socklen_t size;
};

/* A mode with connections of several kinds puts this first in each and watches with it. */
struct load_handler {
	void (*on_events)(struct load_handler *h, uint32_t events);
};

void load_net_parse(const char *text, struct load_addr *ret_addr); /* exits when it cannot */
bool load_net_is_same(const struct load_addr *a, const struct load_addr *b);
int load_net_listen(const struct load_addr *addr);
/* Non-blocking; -1 after counting the error. */
int load_net_dial(struct load *l, const struct load_addr *to);
/* Opens `count` connections, each established when it returns; the number that were opened. A
 * place in `fds` whose connection failed holds -1. */
uint32_t load_net_open_all(struct load *l, const struct load_addr *to, int *fds, uint32_t count);
int load_net_epoll(void);
void load_net_watch(int epoll_fd, int fd, uint32_t events, void *with);
void load_net_rewatch(int epoll_fd, int fd, uint32_t events, void *with);
void load_net_handle(const struct epoll_event *event); /* of something watched with a handler */
void load_net_raise_fd_limit(void);

#endif
