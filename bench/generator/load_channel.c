/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Connections that may be inside TLS; load_channel.h says what they promise.
 */
#include "load_channel.h"

#include "tls_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SHAKES_MAX = 256, /* at once: no proxy's time limit for a handshake runs out meanwhile */
	SHAKE_MS_MAX = 5000,
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

/* Waits for the end of a handshake that has begun; after one that was waited for in vain, the
 * others have had their time too. */
static bool channel_await(struct load *l, struct load_channel *ch, int *patience_ms)
{
	int done = channel_shake(l, ch);

	while (done == 0) {
		struct pollfd ready = { .fd = ch->fd, .events = POLLIN };

		if (poll(&ready, 1, *patience_ms) <= 0) {
			*patience_ms = 0;
			l->errors[LOAD_ERROR_STUCK]++;
			channel_drop(ch);
			return false;
		}
		done = channel_shake(l, ch);
	}
	return done > 0;
}

/* All of a batch say hello before the first is waited for, so that the proxy is never idle. */
static uint32_t channels_shake(struct load *l, struct tls_client *tls, struct load_channel *all,
			       uint32_t count)
{
	int patience_ms = SHAKE_MS_MAX;
	uint32_t done = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (all[i].fd < 0)
			continue;
		all[i].ssl = tls_client_begin(tls, all[i].fd);
		channel_shake(l, &all[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (all[i].fd < 0 || !channel_await(l, &all[i], &patience_ms))
			continue;
		tls_client_keep_kind(tls, all[i].ssl);
		done++;
	}
	return done;
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
