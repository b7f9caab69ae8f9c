/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * uring_wake: one thread wakes another. From ring to ring by MSG_RING (Linux 5.18), which costs an
 * entry in the sender's next submission; from a thread without a ring, or where MSG_RING is missing
 * or the target's queue is full, by an eventfd its ring polls.
 */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "uring_priv.h"

void uring_on_wake(struct uring *ring, uring_woken_fn *fn, void *context)
{
	ring->woken = fn;
	ring->woken_context = context;
}

void uring_woken(struct uring_op *op, int events)
{
	struct uring *ring = CONTAINER_OF(op, struct uring, wake_op);
	uint64_t count;

	if (events < 0)
		return;
	while (read(ring->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		continue;
	if (ring->woken != NULL)
		ring->woken(ring->woken_context);
}

void uring_wake_foreign(struct uring *to)
{
	const uint64_t one = 1;

	/* -EAGAIN: the counter is full, so a wake-up is pending anyway. */
	while (write(to->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

void uring_wake(struct uring *from, struct uring *to)
{
	if (from->features.has_msg_ring && from != to)
		uring_queue_message(from, to);
	else
		uring_wake_foreign(to);
}
