/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Connections with frames; framed.h says what they promise. Level-triggered; writability is
 * watched only while something waits for it.
 */
#include "framed.h"

#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUT_ROOM_LEAST = 1024 };

void framed_close(struct framed *f)
{
	if (f->open)
		close(f->fd);
	f->open = false;
	f->out_at = f->out_end = f->tail_bytes = 0;
}

void framed_free(struct framed *f)
{
	framed_close(f);
	frames_free(&f->in);
	free(f->out);
	f->out = NULL;
	f->out_room = 0;
}

void framed_put(struct framed *f, const void *data, size_t size)
{
	if (f->tail_bytes > 0) { /* order first: the payload under way becomes a copy */
		size_t tail_bytes = f->tail_bytes;

		f->tail_bytes = 0;
		framed_put(f, f->tail, tail_bytes);
	}
	if (f->out_at == f->out_end)
		f->out_at = f->out_end = 0;
	if (f->out_end + size > f->out_room) {
		f->out_room = 2 * (f->out_end + size) + OUT_ROOM_LEAST;
		f->out = realloc(f->out, f->out_room);
		if (f->out == NULL)
			load_die("memory");
	}
	memcpy(f->out + f->out_end, data, size);
	f->out_end += size;
}

void framed_put_tail(struct framed *f, const uint8_t *data, size_t size)
{
	if (f->tail_bytes > 0) {
		framed_put(f, data, size);
		return;
	}
	f->tail = data;
	f->tail_bytes = size;
}

static void watch_room(struct framed *f, bool wanted)
{
	if (f->watching_room == wanted)
		return;
	f->watching_room = wanted;
	load_net_rewatch(f->epoll_fd, f->fd, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, f);
}

static void sent(struct framed *f, size_t bytes)
{
	size_t copies = f->out_end - f->out_at;

	if (bytes < copies) {
		f->out_at += bytes;
		return;
	}
	f->out_at = f->out_end = 0;
	if (f->tail_bytes > 0) {
		f->tail += bytes - copies;
		f->tail_bytes -= bytes - copies;
	}
}

/* A failed send shows as the end of the connection, by the event that the shutdown makes: the
 * caller may be in the middle of something. */
void framed_flush(struct framed *f)
{
	if (!f->open || framed_is_clear(f))
		return;

	struct iovec parts[2] = {
		{ .iov_base = f->out + f->out_at, .iov_len = f->out_end - f->out_at },
		{ .iov_base = (void *)(uintptr_t)f->tail, .iov_len = f->tail_bytes },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n = sendmsg(f->fd, &message, MSG_NOSIGNAL);

	if (n >= 0) {
		sent(f, (size_t)n);
	} else if (errno != EAGAIN) {
		f->send_error = errno;
		f->out_at = f->out_end = f->tail_bytes = 0;
		shutdown(f->fd, SHUT_RDWR);
	}
	if (!framed_is_clear(f))
		watch_room(f, true);
}

static bool on_frame(void *owner, const struct frame *frame)
{
	struct framed *f = owner;
	uint32_t opens = f->opens;

	f->user->on_frame(f, frame);
	return f->open && f->opens == opens; /* else the frames behind it are of another life */
}

static void receive(struct framed *f)
{
	int status = frames_read(&f->in, f->fd, on_frame, f);

	if (status > 0) {
		framed_flush(f);
		return;
	}
	if (f->send_error != 0)
		status = -f->send_error;
	framed_close(f);
	f->user->on_end(f, -status);
}

static void on_events(struct load_handler *h, uint32_t events)
{
	struct framed *f = (struct framed *)h;

	if (f->open && (events & EPOLLOUT)) {
		framed_flush(f);
		if (framed_is_clear(f)) {
			f->user->on_room(f);
			framed_flush(f);
		}
		if (f->open && framed_is_clear(f))
			watch_room(f, false);
	}
	if (f->open && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		receive(f);
}

void framed_open(struct framed *f, int fd, int epoll_fd)
{
	f->open = true;
	f->opens++;
	f->handler.on_events = on_events;
	f->fd = fd;
	f->epoll_fd = epoll_fd;
	f->watching_room = true; /* the first room is the end of connecting */
	f->send_error = 0;
	frames_reset(&f->in);
	load_net_watch(epoll_fd, fd, EPOLLIN | EPOLLOUT, f);
}
