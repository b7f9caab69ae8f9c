/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Connections to an echo server that carry the messages of one open-loop schedule. Messages are
 * pipelined: a connection with an answer outstanding gets its next message at its time all the
 * same. Echoes come in the order of the messages, so each belongs to the oldest unanswered one.
 */
#ifndef BENCH_LOAD_ECHOES_H
#define BENCH_LOAD_ECHOES_H

#include "load.h"
#include "load_pace.h"

struct load_echoes {
	struct load *load;
	struct load_pace pace;
	struct load_echo *all;
	uint32_t open;
	uint64_t unanswered;
	uint8_t *message;
};

/* Opens -c connections to --to, each watched with its load_handler. `role` is one byte that goes
 * first and is not echoed (sink mice wants it); 0: none. */
void load_echoes_open(struct load_echoes *e, struct load *l, int epoll_fd, char role);
void load_echoes_start(struct load_echoes *e); /* the schedule begins now */
void load_echoes_send(struct load_echoes *e);  /* what is due, a bounded number */
/* Whether there is nothing left to wait for: the time is over and all answered, or all failed. */
bool load_echoes_done(struct load_echoes *e);
void load_echoes_close(struct load_echoes *e); /* counts what is still unanswered */

#endif
