/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * uring_queue: submission and completion entries: the only file that fills one or reads one.
 */
#include <errno.h>

#include <penstock/base/clock.h>

#include "uring_priv.h"

/* A submission entry; submits what is queued when the ring is full. */
static struct io_uring_sqe *next_sqe(struct uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	while (UNLIKELY(sqe == NULL)) {
		/* -EBUSY: the completion queue overflowed and wants flushing; doing it here keeps
		 * the promise that arming cannot fail. */
		int ret = io_uring_submit(&ring->ring);

		if (ret == -EBUSY || ret == -EAGAIN)
			(void)io_uring_get_events(&ring->ring);
		sqe = io_uring_get_sqe(&ring->ring);
	}
	return sqe;
}

void uring_queue_poll(struct uring *ring, int fd, unsigned events, bool is_multishot,
		      uint64_t user_data)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	if (is_multishot)
		io_uring_prep_poll_multishot(sqe, fd, events);
	else
		io_uring_prep_poll_add(sqe, fd, events);
	io_uring_sqe_set_data64(sqe, user_data);
}

void uring_queue_cancel(struct uring *ring, uint64_t user_data)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_cancel64(sqe, user_data, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, UD_CANCEL);
}

void uring_queue_message(struct uring *from, struct uring *to)
{
	struct io_uring_sqe *sqe = next_sqe(from);

	io_uring_prep_msg_ring(sqe, to->ring.ring_fd, 0, UD_WAKE, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)to | UD_WAKE_FAILED);
}

/* Errors of io_uring_enter that only mean "not now". */
static int passing(int ret)
{
	bool is_passing = ret == -ETIME || ret == -EINTR || ret == -EAGAIN || ret == -EBUSY;

	return ret < 0 && !is_passing ? ret : 0;
}

int uring_queue_submit(struct uring *ring)
{
	return passing(io_uring_submit_and_get_events(&ring->ring));
}

int uring_queue_wait(struct uring *ring, uint64_t deadline_ns)
{
	if (deadline_ns == 0)
		return passing(io_uring_submit_and_wait(&ring->ring, 1));

	uint64_t now = clock_now_ns();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
	struct __kernel_timespec timeout = {
		.tv_sec = (long long)(left / NS_PER_S),
		.tv_nsec = (long long)(left % NS_PER_S),
	};
	struct io_uring_cqe *cqe = NULL;

	return passing(io_uring_submit_and_wait_timeout(&ring->ring, &cqe, 1, &timeout, NULL));
}

bool uring_queue_is_ready(const struct uring *ring)
{
	return io_uring_cq_ready(&ring->ring) != 0;
}

bool uring_queue_has_overflow(const struct uring *ring)
{
	return io_uring_cq_has_overflow(&ring->ring);
}

bool uring_queue_next(struct uring *ring, struct uring_completion *ret_completion)
{
	struct io_uring_cqe *cqe = NULL;

	if (io_uring_peek_cqe(&ring->ring, &cqe) != 0 || cqe == NULL)
		return false;
	*ret_completion = (struct uring_completion){
		.user_data = cqe->user_data,
		.res = cqe->res,
		.has_more = (cqe->flags & IORING_CQE_F_MORE) != 0,
	};
	io_uring_cqe_seen(&ring->ring, cqe);
	return true;
}
