/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink hello: answers the first TLS record, whatever is in it, once it is whole.
 */
#include "load.h"
#include "sink.h"

#include <errno.h>

enum {
	HEADER_BYTES = 5,
	HOT_BYTES = 16 * 1024,
};

/* A record of TLS 1.2: alert, warning, user_canceled. No proxy says that of its own accord. */
const uint8_t sink_hello_answer[SINK_HELLO_ANSWER_BYTES] = { 21, 3, 3, 0, 2, 1, 90 };

struct hello_guest {
	struct guest guest;
	size_t received;
	size_t wanted; /* of the record, as far as is known */
	bool answered;
};

static bool hello_readable(struct sink *s, struct guest *g)
{
	static uint8_t hot[HOT_BYTES];
	struct hello_guest *h = (struct hello_guest *)g;
	ssize_t n = recv(g->fd, hot, sizeof(hot), 0);

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	/* Bytes 3 and 4 are the length of what follows the header. */
	for (size_t i = 3; i < HEADER_BYTES; i++) {
		if (i >= h->received && i < h->received + (size_t)n)
			h->wanted += (size_t)hot[i - h->received] << (i == 3 ? 8 : 0);
	}
	h->received += (size_t)n;
	if (h->answered || h->received < HEADER_BYTES + h->wanted)
		return true;
	h->answered = true;
	return sink_answer(s, g, sink_hello_answer, sizeof(sink_hello_answer));
}

const struct sink_kind sink_hello = {
	.name = "hello",
	.summary = "answers one TLS record with an alert",
	.about = "For hello. It does not look into the record; the answer is a warning alert of "
		 "seven bytes. A client that half-closes is closed.",
	.takes = OPTION_LISTEN | OPTION_DELAY,
	.guest_bytes = sizeof(struct hello_guest),
	.readable = hello_readable,
};
