/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Connections that may be inside TLS; load_channel.h says what they promise.
 */
#include "load_channel.h"

#include "tls_client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	SHAKES_MAX = 256,    /* at once: no proxy's time limit for a handshake runs out meanwhile */
	SHAKE_MS_MAX = 5000, /* silence for this long gives up */
};

struct tls_client *load_channel_tls(struct load *l)
{
	return l->ask.tls ? tls_client_make(l) : NULL;
}

ssize_t load_channel_send(const struct load_channel *ch, const void *data, size_t size)
{
	return ch->ssl == NULL ? send(ch->fd, data, size, MSG_NOSIGNAL)
			       : tls_client_send(ch->ssl, data, size);
}

ssize_t load_channel_recv(const struct load_channel *ch, void *into, size_t size)
{
	return ch->ssl == NULL ? recv(ch->fd, into, size, 0) : tls_client_recv(ch->ssl, into, size);
}

static void channel_drop(struct load_channel *ch)
{
	if (ch->ssl != NULL)
		tls_client_end(ch->ssl);
	close(ch->fd);
	*ch = (struct load_channel){ .fd = -1 };
}

void load_channel_close(struct load_channel *ch)
{
	if (ch->ssl != NULL)
		tls_client_say_end(ch->ssl);
	channel_drop(ch);
}

/* 1: the handshake is complete; 0: the socket has to be waited for; -1: counted and closed. */
static int channel_shake(struct load *l, struct load_channel *ch)
{
	int done = tls_client_shake(ch->ssl);

	if (done > 0)
		return 1;
	if (done < 0 && errno == EAGAIN)
		return 0;
	load_count_end(l, done < 0 ? errno : 0);
	channel_drop(ch);
	return -1;
}

/* Whoever answers first is served first: a proxy that makes so many handshakes at once and no more
 * would else wait for us, and we for it. */
static void channels_await(struct load *l, int epoll_fd, uint32_t pending)
{
	while (pending > 0) {
		struct epoll_event events[SHAKES_MAX];
		int ready = epoll_wait(epoll_fd, events, SHAKES_MAX, SHAKE_MS_MAX);

		if (ready <= 0) {
			l->errors[LOAD_ERROR_STUCK] += pending;
			return;
		}
		for (int i = 0; i < ready; i++) {
			struct load_channel *ch = events[i].data.ptr;
			int fd = ch->fd;
			int done = channel_shake(l, ch);

			pending -= done != 0;
			if (done > 0)
				epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		}
	}
}

/* The channels that became whole; the others are closed. */
static uint32_t channels_keep(struct tls_client *tls, struct load_channel *all, uint32_t count)
{
	uint32_t whole = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (all[i].fd < 0)
			continue;
		if (!tls_client_is_agreed(all[i].ssl)) {
			channel_drop(&all[i]);
			continue;
		}
		tls_client_keep_kind(tls, all[i].ssl);
		whole++;
	}
	return whole;
}

static uint32_t channels_shake(struct load *l, struct tls_client *tls, struct load_channel *all,
			       uint32_t count)
{
	int epoll_fd = load_net_epoll();
	uint32_t pending = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (all[i].fd < 0)
			continue;
		all[i].ssl = tls_client_begin(tls, all[i].fd);
		if (channel_shake(l, &all[i]) != 0)
			continue;
		load_net_watch(epoll_fd, all[i].fd, EPOLLIN, &all[i]);
		pending++;
	}
	channels_await(l, epoll_fd, pending);
	close(epoll_fd);
	return channels_keep(tls, all, count);
}

uint32_t load_channel_open_all(struct load *l, struct tls_client *tls, struct load_channel *all,
			       uint32_t count)
{
	uint32_t at_once = tls == NULL || count < SHAKES_MAX ? count : SHAKES_MAX;
	int *fds = load_alloc(at_once, sizeof(*fds));
	uint32_t opened = 0;

	for (uint32_t at = 0; at < count; at += at_once) {
		uint32_t more = count - at < at_once ? count - at : at_once;
		uint32_t got = load_net_open_all(l, &l->ask.to, fds, more);

		for (uint32_t i = 0; i < more; i++)
			all[at + i] = (struct load_channel){ .fd = fds[i] };
		opened += tls == NULL ? got : channels_shake(l, tls, all + at, more);
	}
	free(fds);
	return opened;
}
