/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink discard: throws everything away and, once the sender has half-closed, answers with the
 * number of bytes it got (eight bytes, this machine's order) and closes. It asks the kernel to
 * drop the data unread (MSG_TRUNC), so that the sink, which shares its core with the generator,
 * costs little.
 */
#include "load.h"
#include "sink.h"

#include <errno.h>
#include <stdio.h>

enum { DISCARD_BYTES = 4 * 1024 * 1024 };

struct discard {
	struct guest guest;
	uint64_t received;
};

_Static_assert(sizeof(struct discard) <= SINK_GUEST_BYTES_MAX, "sink mice makes them");

static bool discard_readable(struct sink *s, struct guest *g)
{
	static uint8_t unused[DISCARD_BYTES];
	struct discard *d = (struct discard *)g;
	ssize_t n = recv(g->fd, unused, sizeof(unused), MSG_TRUNC);

	(void)s;
	if (n < 0)
		return errno == EAGAIN;
	if (n > 0) {
		d->received += (uint64_t)n;
		return true;
	}
	if (send(g->fd, &d->received, sizeof(d->received), MSG_NOSIGNAL) < 0)
		perror("penstock-bench: sink answer");
	return false;
}

const struct sink_kind sink_discard = {
	.name = "discard",
	.summary = "throws away what it gets, and says at the end how much it was",
	.about = "For stream. Once the sender has half-closed, it answers with the number of bytes "
		 "received (eight bytes, the machine's own order) and closes.",
	.takes = OPTION_LISTEN,
	.guest_bytes = sizeof(struct discard),
	.readable = discard_readable,
};
