/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ways of mode stream inside TLS.
 *
 *	up	the generator sends chunks, then one byte that stands nowhere else; sink marked
 *		answers with its count and closes
 *	down	as outside of TLS
 *
 * OpenSSL sends a record of up to 16 KiB at a time, and a write that the socket did not take
 * whole must be made again as it was: a chunk counts when all of it is out, and the mark waits
 * for the chunk before it.
 */
#include "load_stream.h"

#include <errno.h>
#include <sys/epoll.h>

enum {
	RECORDS_AT_ONCE = 16, /* then the other connections have their turn */
	RECORD_BYTES_MAX = 16384,
};

/* Whether all is out; *ret_error says it was not for want of room. */
static bool tls_put(const struct stream *one, const void *data, size_t size, int *ret_error)
{
	ssize_t n = load_channel_send(&one->channel, data, size);

	*ret_error = 0;
	if (n == 0)
		*ret_error = STREAM_ENDED;
	else if (n < 0 && errno != EAGAIN)
		*ret_error = errno;
	return n > 0;
}

static int up_tls_start(struct streams *s, struct stream *one)
{
	(void)s;
	(void)one;
	return 0;
}

static int up_tls_move(struct streams *s, struct stream *one)
{
	size_t size = s->load->ask.message_bytes;
	int error;

	one->is_chunk_begun = !tls_put(one, s->chunk, size, &error);
	if (!one->is_chunk_begun)
		one->moved += size;
	return error;
}

static int up_tls_stop(struct streams *s, struct stream *one)
{
	static const uint8_t mark = STREAM_MARK;
	int error = 0;

	if (one->is_chunk_begun)
		error = up_tls_move(s, one);
	if (error != 0 || one->is_chunk_begun || one->is_stopped)
		return error;
	one->is_stopped = tls_put(one, &mark, sizeof(mark), &error);
	if (one->is_stopped) {
		one->moved += sizeof(mark);
		load_net_rewatch(s->epoll_fd, one->channel.fd, EPOLLIN, one);
	}
	return error;
}

static int down_tls_start(struct streams *s, struct stream *one)
{
	uint64_t size = s->load->ask.message_bytes;
	int error;

	tls_put(one, &size, sizeof(size), &error);
	return error;
}

static int down_tls_move(struct streams *s, struct stream *one)
{
	static uint8_t unused[RECORD_BYTES_MAX];

	(void)s;
	for (int i = 0; i < RECORDS_AT_ONCE; i++) {
		ssize_t n = load_channel_recv(&one->channel, unused, sizeof(unused));

		if (n < 0)
			return errno == EAGAIN ? 0 : errno;
		if (n == 0)
			return STREAM_ENDED;
		one->moved += (uint64_t)n;
	}
	return 0;
}

static int down_tls_stop(struct streams *s, struct stream *one)
{
	int error = 0;

	(void)s;
	if (!one->is_stopped)
		one->is_stopped = tls_put(one, "", 1, &error);
	return error;
}

const struct stream_way stream_up_tls = { EPOLLOUT,    EPOLLIN | EPOLLOUT, up_tls_start,
					  up_tls_move, up_tls_stop,	   stream_up_bytes };
const struct stream_way stream_down_tls = { EPOLLIN,	   EPOLLIN,	  down_tls_start,
					    down_tls_move, down_tls_stop, stream_down_bytes };
