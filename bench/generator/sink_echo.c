/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink echo: sends back what it gets.
 */
#include "load.h"
#include "sink.h"

#include <errno.h>

enum { ECHO_BYTES = 64 * 1024 };

static bool echo_readable(struct sink *s, struct guest *g)
{
	static uint8_t hot[ECHO_BYTES]; /* one for all, so it stays in the cache */
	ssize_t n = recv(g->fd, hot, sizeof(hot), 0);

	if (n < 0)
		return errno == EAGAIN;
	return n > 0 && sink_answer(s, g, hot, (size_t)n);
}

const struct sink_kind sink_echo = {
	.name = "echo",
	.summary = "sends back what it gets",
	.about = "For pingpong, open, crr and idle, and behind a proxy for tls. A client that "
		 "half-closes is closed.",
	.takes = OPTION_LISTEN | OPTION_DELAY,
	.readable = echo_readable,
};
