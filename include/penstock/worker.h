/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * worker: a thread with its own ring, pools and timers, and the sessions that live and die on it.
 * Thread:   worker_start, worker_join: main; worker_turn: the worker (the simulator calls it
 * itself) Memory:   pools sized by config_budget, mapped before the loop begins; nothing is
 * allocated in it Errors:   0 or -errno
 */
#pragma once

#include <penstock/config.h>
#include <penstock/mail.h>

struct worker;

/* Makes worker `index`: maps its pools. Called on the main thread. */
MUST_USE int worker_new(struct worker **ret_worker, uint32_t index, struct mail_office *office,
			const struct config *config);
/* Starts its thread: pin, open the ring, loop until MAIL_STOP. */
MUST_USE int worker_start(struct worker *worker);
/* Waits for the thread; answers what its loop ended with (0 or -errno). */
int worker_join(struct worker *worker);
void worker_free(struct worker *worker);

/* For the simulator: what the thread does, in steps. */
MUST_USE int worker_open(struct worker *worker);
MUST_USE int worker_turn(struct worker *worker);
bool worker_is_done(const struct worker *worker);
void worker_close(struct worker *worker);
