/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink marked: the receiving end of stream --tls. Like discard, but the sender ends with one byte
 * instead of a half-close, which not every proxy that ends TLS passes on. So the bytes have to be
 * read: a buffer that stays in the cache, and one look at the end of each piece.
 */
#include "load.h"
#include "load_stream.h"
#include "sink.h"

#include <errno.h>
#include <stdio.h>

enum { MARKED_BYTES = 256 * 1024 };

struct marked {
	struct guest guest;
	uint64_t received;
};

static bool marked_readable(struct sink *s, struct guest *g)
{
	static uint8_t into[MARKED_BYTES];
	struct marked *m = (struct marked *)g;
	ssize_t n = recv(g->fd, into, sizeof(into), 0);

	(void)s;
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	m->received += (uint64_t)n;
	if (into[n - 1] != STREAM_MARK)
		return true;
	if (send(g->fd, &m->received, sizeof(m->received), MSG_NOSIGNAL) < 0)
		perror("penstock-bench: sink answer");
	return false;
}

const struct sink_kind sink_marked = {
	.name = "marked",
	.summary = "throws away what it gets up to a mark, and says how much it was",
	.about = "For stream --tls. The mark is a 'q', the only one the sender sends; the answer "
		 "is the number of bytes received (eight bytes, the machine's own order), then it "
		 "closes.",
	.takes = OPTION_LISTEN,
	.guest_bytes = sizeof(struct marked),
	.readable = marked_readable,
};
