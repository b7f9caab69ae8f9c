/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Short connections: N slots, each of which opens a connection, has one exchange on it,
 * half-closes, waits for the proxy's FIN and starts over. A connection counts when it is over at
 * both ends, so the proxy has paid for its whole life. Latency is from connect(2) to the end of
 * the exchange. A failed connection is counted and its slot starts again, so the load stays.
 */
#ifndef BENCH_LOAD_SLOTS_H
#define BENCH_LOAD_SLOTS_H

#include "load.h"

/* A kind with state of its own puts this first in a larger struct, all zero for each connection. */
struct load_slot {
	int fd;
	bool closing;
	uint64_t begin_ns;
};

enum slot_verdict {
	SLOT_MORE,   /* wait for the socket */
	SLOT_WHOLE,  /* the exchange is done */
	SLOT_FAILED, /* and the error has been counted */
};

struct load_slots {
	struct load *load;
	const struct load_slots_kind *kind;
	void *with; /* the kind's, for all slots */
	uint8_t *all;
	int epoll_fd;
	uint32_t open;
};

struct load_slots_kind {
	size_t slot_bytes;
	void (*opened)(struct load_slots *s, struct load_slot *one); /* not yet connected */
	/* Called for every edge; must go on until the socket would block. */
	enum slot_verdict (*exchange)(struct load_slots *s, struct load_slot *one);
	void (*closed)(struct load_slots *s, struct load_slot *one); /* NULL: nothing to free */
};

void load_slots_run(struct load *l, const struct load_slots_kind *kind, void *with);

/* The exchange of most modes: send the request, receive so many bytes. */
struct load_slots_plain {
	const uint8_t *request;
	size_t request_bytes;
	const uint8_t *answer; /* NULL: only counted, not compared */
	size_t answer_bytes;
};

void load_slots_run_plain(struct load *l, struct load_slots_plain *plain);

#endif
