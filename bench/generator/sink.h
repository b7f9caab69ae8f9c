/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The far end of a run: a server in one thread with one epoll set, which serves until it is
 * killed. What it does with a connection is a struct sink_kind, one file sink_<kind>.c each.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One accepted connection. A kind with state of its own puts this first in a larger struct. */
struct guest {
	int fd;
	const struct sink_kind *kind;
	bool pushing;	/* set by the kind: call `writable` whenever the socket takes bytes */
	bool listening; /* a listener: one type behind every epoll pointer */
	bool closed;	/* waits for its delayed answers to be thrown away */
	uint32_t watched;
	uint32_t delayed_count;
	size_t kept_at; /* answers that did not fit into the socket: kept[kept_at..kept_end) */
	size_t kept_end;
	size_t kept_room;
	uint8_t *kept;
};

struct sink {
	const struct sink_kind *kind;
	const struct options *ask;
	int epoll_fd;
	struct sink_delayed *delayed_first; /* every answer waits equally long: a queue */
	struct sink_delayed *delayed_last;
};

/* The functions return false when the connection is to be closed. */
struct sink_kind {
	const char *name;
	const char *summary;
	const char *about;
	uint32_t takes;	    /* sum of enum option_bit */
	size_t guest_bytes; /* size of its struct that begins with struct guest; 0: just that */
	bool (*readable)(struct sink *s, struct guest *g); /* not called while answers are kept */
	bool (*writable)(struct sink *s, struct guest *g); /* only when it sets `pushing` */
	void (*closed)(struct guest *g);		   /* frees what it holds; may be NULL */
};

/* Sends the bytes, after --delay-us if that was asked; keeps what does not fit (and then reads
 * nothing more from this guest until it is out). The bytes are copied when they must wait. */
bool sink_answer(struct sink *s, struct guest *g, const void *bytes, size_t size);
/* The same without the delay, and only in the guest's own turn. */
bool sink_send(struct guest *g, const uint8_t *bytes, size_t size);
/* "HOST:PORT" that a broker gives as its own. */
void sink_address(const struct sink *s, const struct guest *g, char *into, size_t room);

/* sink.c */
extern const struct sink_kind *const sink_kinds[]; /* ends with NULL */
_Noreturn void sink_serve(const struct sink_kind *kind, const struct options *ask);

extern const struct sink_kind sink_echo, sink_discard, sink_marked, sink_source, sink_hello,
	sink_mice, sink_pulsar, sink_kafka;

enum {
	SINK_HELLO_ANSWER_BYTES = 7,
	SINK_GUEST_BYTES_MAX = 256, /* room for the guest of any sink that mice can turn into */
};

/* First byte of a connection to sink mice. */
enum sink_role { SINK_ROLE_ECHO = 'e', SINK_ROLE_DISCARD = 'd', SINK_ROLE_SOURCE = 's' };

extern const uint8_t sink_hello_answer[SINK_HELLO_ANSWER_BYTES];

#endif
