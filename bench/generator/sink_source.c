/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sink source: the sending end of stream --down. A client first sends the size of a chunk (eight
 * bytes, this machine's order) and gets such chunks as fast as it takes them. One more byte stops
 * that: the current chunk is finished, the number of bytes sent follows (eight bytes), then FIN.
 */
#include "load.h"
#include "sink.h"

#include <errno.h>

enum { HOT_BYTES = 1024 * 1024 };

struct source {
	struct guest guest;
	uint64_t chunk_bytes;
	size_t asked_bytes; /* of the eight that say it */
	uint64_t chunk_left;
	uint64_t sent;
	size_t count_at; /* of the eight that say how much was sent */
	bool stopping;
};

_Static_assert(sizeof(struct source) <= SINK_GUEST_BYTES_MAX, "sink mice makes them");

static bool source_readable(struct sink *s, struct guest *g)
{
	struct source *o = (struct source *)g;
	size_t wanted = sizeof(o->chunk_bytes) - o->asked_bytes;
	uint8_t stop;
	ssize_t n = wanted > 0 ? recv(g->fd, (uint8_t *)&o->chunk_bytes + o->asked_bytes, wanted, 0)
			       : recv(g->fd, &stop, sizeof(stop), 0);

	(void)s;
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	if (wanted == 0) {
		o->stopping = true;
		return true;
	}
	o->asked_bytes += (size_t)n;
	g->pushing = o->asked_bytes == sizeof(o->chunk_bytes);
	o->chunk_left = o->chunk_bytes;
	return o->chunk_bytes > 0 || !g->pushing;
}

static bool source_count(struct source *o)
{
	ssize_t n = send(o->guest.fd, (const uint8_t *)&o->sent + o->count_at,
			 sizeof(o->sent) - o->count_at, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN;
	o->count_at += (size_t)n;
	if (o->count_at < sizeof(o->sent))
		return true;
	o->guest.pushing = false;
	return shutdown(o->guest.fd, SHUT_WR) == 0; /* the client closes */
}

static bool source_writable(struct sink *s, struct guest *g)
{
	static uint8_t hot[HOT_BYTES];
	struct source *o = (struct source *)g;

	(void)s;
	if (o->stopping && o->chunk_left == o->chunk_bytes)
		return source_count(o);

	size_t size = o->chunk_left < sizeof(hot) ? (size_t)o->chunk_left : sizeof(hot);
	ssize_t n = send(g->fd, hot, size, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	o->sent += (uint64_t)n;
	o->chunk_left -= (uint64_t)n;
	if (o->chunk_left == 0)
		o->chunk_left = o->chunk_bytes;
	return true;
}

const struct sink_kind sink_source = {
	.name = "source",
	.summary = "sends as much as is taken",
	.about =
		"For stream --down. The client says first how large the writes shall be (eight "
		"bytes, the machine's own order). After one more byte from it, the number of bytes sent "
		"follows in eight bytes, and FIN.",
	.takes = OPTION_LISTEN,
	.guest_bytes = sizeof(struct source),
	.readable = source_readable,
	.writable = source_writable,
};
