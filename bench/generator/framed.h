/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The generator's end of a connection that carries frames. Small things are sent by copy and one
 * long, unchanging payload by reference.
 */
#ifndef BENCH_FRAMED_H
#define BENCH_FRAMED_H

#include "frames.h"
#include "load_net.h"
#include "wire.h"

enum { FRAMED_PUT_MOST = 64 * 1024 };

struct framed;

struct framed_user {
	void (*on_frame)(struct framed *f, const struct frame *frame);
	/* Connected, or all that was put is with the kernel, after it was not. */
	void (*on_room)(struct framed *f);
	/* Over, and closed already; 0: the peer closed it. */
	void (*on_end)(struct framed *f, int error);
};

/* Zeroed, with user and owner set, before the first open. Watched as a load_handler. */
struct framed {
	struct load_handler handler;
	const struct framed_user *user;
	void *owner;
	bool open;
	uint32_t opens;
	int fd;
	int epoll_fd;
	bool watching_room;
	int send_error;
	struct frames in;

	/* what was put and is not sent: first the copies, then the payload */
	uint8_t *out;
	size_t out_room;
	size_t out_at;
	size_t out_end;
	const uint8_t *tail;
	size_t tail_bytes;
};

/* Takes over a connected or connecting socket. */
void framed_open(struct framed *f, int fd, int epoll_fd);
void framed_close(struct framed *f); /* silent: on_end is for the peer's doing */
void framed_free(struct framed *f);  /* closes, and frees the buffers */

void framed_put(struct framed *f, const void *data, size_t size);
/* Behind all that was put; the bytes stay the caller's and must not change until is_clear. */
void framed_put_tail(struct framed *f, const uint8_t *data, size_t size);
/* Needed only for what is put outside of on_frame and on_room. */
void framed_flush(struct framed *f);

static inline bool framed_is_clear(const struct framed *f)
{
	return f->out_at == f->out_end && f->tail_bytes == 0;
}

/* Whether one more request may be put: little waits for the kernel, and no payload. */
static inline bool framed_takes_more(const struct framed *f)
{
	return f->open && f->tail_bytes == 0 && f->out_end - f->out_at < FRAMED_PUT_MOST;
}

#endif
