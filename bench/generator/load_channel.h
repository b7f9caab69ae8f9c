/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A connection of a mode that takes --tls: a socket, or TLS on a socket. Where a mode has more to
 * say to the socket (a half-close, bytes that the kernel drops) it does so itself.
 */
#ifndef BENCH_LOAD_CHANNEL_H
#define BENCH_LOAD_CHANNEL_H

#include "load.h"

#include <sys/types.h>

struct ssl_st;
struct tls_client;

struct load_channel {
	int fd;		    /* -1: failed or closed */
	struct ssl_st *ssl; /* NULL: plain */
};

/* What --tls and its companions ask for; NULL: nothing. Freed by tls_client_free. */
struct tls_client *load_channel_tls(struct load *l);

/* Opens `count` connections to --to, TLS handshake included; the number that were opened. What
 * failed is counted and has fd -1. */
uint32_t load_channel_open_all(struct load *l, struct tls_client *tls, struct load_channel *all,
			       uint32_t count);
void load_channel_close(struct load_channel *ch); /* with close_notify */

/* As send(2) and recv(2). Inside TLS a send that ended with EAGAIN must be made again as it was. */
ssize_t load_channel_send(const struct load_channel *ch, const void *data, size_t size);
ssize_t load_channel_recv(const struct load_channel *ch, void *into, size_t size);

#endif
