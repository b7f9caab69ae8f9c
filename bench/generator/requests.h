/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Requests and their answers on many connections, for every mode that speaks a protocol: closed
 * loop (so many unanswered on each connection) or, with --rate, open loop. Each connection is a
 * line; its requests are numbered from 0, and an answer names the number. Latency is counted from
 * the intended time, which in a closed loop is the moment an earlier answer made room.
 */
#ifndef BENCH_REQUESTS_H
#define BENCH_REQUESTS_H

#include "framed.h"
#include "load.h"
#include "load_pace.h"

struct requests_time {
	uint64_t number; /* plus 1; 0: none */
	uint64_t intended_ns;
};

struct requests_line {
	struct requests *owner;
	uint32_t index;
	struct framed *via; /* NULL: not ready yet, or ended */
	uint64_t asked;	    /* numbers below it should be sent, as soon as the socket takes them */
	uint64_t sent;
	uint64_t unanswered;
	struct requests_time *times; /* of what is unanswered, at number modulo room */
	uint64_t times_room;
};

struct requests {
	struct load *load;
	int epoll_fd;
	/* Puts one request on line->via. */
	void (*send)(struct requests_line *line, uint64_t number);
	uint64_t window; /* closed loop: unanswered on each line */

	struct requests_line *lines; /* one for each of -c */
	uint32_t starting_count;     /* neither ready nor ended */
	uint32_t ready_count;
	struct load_pace pace;
};

void requests_init(struct requests *r, struct load *l,
		   void (*send)(struct requests_line *line, uint64_t number));
/* The line may be used from now on. */
void requests_ready(struct requests_line *line, struct framed *via);
/* Its connection ended, or never came to be; the error is counted elsewhere. */
void requests_ended(struct requests_line *line);
/* Its socket takes bytes again. */
void requests_room(struct requests_line *line);
/* An answer; `good` is false when it refuses, which is counted elsewhere. Whether it counts as work
 * of the window; false and an error when there is no such request. */
bool requests_answered(struct requests_line *line, uint64_t number, bool good);

/* Waits until every line is ready or ended, runs the load, drains, and closes the window. */
void requests_run(struct requests *r);
void requests_free(struct requests *r);

#endif
