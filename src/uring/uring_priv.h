/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * uring_priv: the ring behind struct uring, and kernel constants newer than liburing 2.3. Private
 * to src/uring.
 */
#pragma once

#include <liburing.h>

#include <penstock/uring.h>

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* Linux 6.6; liburing 2.6 */
#endif

/* The low three bits of user_data say what completed; a struct uring_op is 8-byte aligned. */
enum {
	UD_OP = 0,
	UD_WAKE = 1,	    /* posted into our ring by another ring's MSG_RING */
	UD_WAKE_FAILED = 2, /* | address of the struct uring that our MSG_RING could not reach */
	UD_CANCEL = 3,	    /* our own cancel request: nothing to do */
	UD_MASK = 7,
};
#define UD_ADDRESS	    0x0000fffffffffff8ull
#define UD_GENERATION_SHIFT 48

struct uring {
	struct io_uring ring;
	int wake_fd;
	struct uring_op wake_op;
	uring_woken_fn *woken;
	void *woken_context;
	struct uring_features features;
	struct uring_counts counts;
};

/* ---- uring_queue.c: the ring's two queues, and all the simulator has to replace ------------- */

struct uring_completion {
	uint64_t user_data;
	int res;
	bool has_more; /* a multishot goes on */
};

void uring_queue_poll(struct uring *ring, int fd, unsigned events, bool is_multishot,
		      uint64_t user_data);
/* Drops the poll with that user_data, if it is still there. */
void uring_queue_cancel(struct uring *ring, uint64_t user_data);
/* Posts UD_WAKE to `to`; comes back as UD_WAKE_FAILED if it cannot. */
void uring_queue_message(struct uring *from, struct uring *to);
/* Submits what is queued without waiting. 0 or -errno. */
int uring_queue_submit(struct uring *ring);
/* The same, and waits for a completion or the deadline (0: none). */
int uring_queue_wait(struct uring *ring, uint64_t deadline_ns);
bool uring_queue_is_ready(const struct uring *ring);
bool uring_queue_has_overflow(const struct uring *ring);
bool uring_queue_next(struct uring *ring, struct uring_completion *ret_completion);

/* ---- uring_wake.c --------------------------------------------------------------------------- */

/* Clears the eventfd and runs the woken function. */
void uring_woken(struct uring_op *op, int events);
