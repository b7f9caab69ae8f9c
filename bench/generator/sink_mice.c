/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink mice: the first byte of a connection says which of three sinks it shall have, so that all
 * connections of mode mice go through one listener of the proxy.
 */
#include "load.h"
#include "sink.h"

#include <errno.h>

static bool mice_readable(struct sink *s, struct guest *g)
{
	uint8_t role;
	ssize_t n = recv(g->fd, &role, sizeof(role), 0);

	(void)s;
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	if (role == SINK_ROLE_ECHO)
		g->kind = &sink_echo;
	else if (role == SINK_ROLE_DISCARD)
		g->kind = &sink_discard;
	else if (role == SINK_ROLE_SOURCE)
		g->kind = &sink_source;
	return g->kind != &sink_mice;
}

const struct sink_kind sink_mice = {
	.name = "mice",
	.summary = "echo, discard or source, as the connection's first byte says",
	.about =
		"For mice. The first byte is e, d or s; the rest is as for the sink of that letter.",
	.takes = OPTION_LISTEN,
	.guest_bytes = SINK_GUEST_BYTES_MAX,
	.readable = mice_readable,
};
