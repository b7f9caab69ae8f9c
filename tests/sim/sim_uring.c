/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rings of the fake kernel: what src/uring/uring_queue.c, uring.c and uring_wake.c do on a real
 * one. src/uring/uring_op.c runs on top of it as it is. A poll that is ready when it is submitted
 * completes at once; a multishot then fires once per change; POLLRDHUP, POLLHUP and POLLERR always
 * count. Completions come late, in any order, after their cancellation, for nothing; multishots
 * end; messages to another ring fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/uring/uring_priv.h"
#include "sim_tcp.h"

#define RINGS_MAX 8
#define ALWAYS	  (POLLRDHUP | POLLHUP | POLLERR)
#define TURN_NS	  (2 * NS_PER_US)

enum sqe_kind { SQE_POLL, SQE_CANCEL, SQE_MESSAGE };

struct sqe {
	enum sqe_kind kind;
	bool is_many;
	int fd;
	unsigned events;
	uint64_t user_data;
	struct uring *to;
};

struct poll {
	struct sim_file *file;
	uint64_t user_data;
	unsigned events;
	bool is_many;
};

struct cqe {
	struct uring_completion it;
	uint64_t due_ns;
};

struct sim_ring {
	struct uring uring;
	sim_fn *control; /* of a ring nobody waits on */
	struct sqe *sqes;
	struct poll *polls;
	struct cqe *cqes;		  /* posted; to be seen when they are due */
	struct uring_completion *visible; /* in the queue, in this order */
	size_t sqe_count, poll_count, cqe_count, visible_count, visible_done;
	uint64_t sleeps_until_ns;
	bool is_waking; /* control's function is on its way */
};

static struct sim_ring *rings[RINGS_MAX];
static uint32_t ring_count;

/* Room for one more behind `count` items: doubles at powers of two. */
static void *room_for(void *items, size_t count, size_t item_size)
{
	if (count < 64 ? count > 0 : (count & (count - 1)) != 0)
		return items;
	items = realloc(items, (count < 64 ? 64 : 2 * count) * item_size);
	CHECK(items != NULL);
	return items;
}

static struct sim_ring *ring_of(const struct uring *ring)
{
	return CONTAINER_OF((void *)(uintptr_t)ring, struct sim_ring, uring);
}

static void post_after(struct sim_ring *ring, uint64_t delay_ns, uint64_t user_data, int res,
		       bool has_more)
{
	ring->cqes = room_for(ring->cqes, ring->cqe_count, sizeof(ring->cqes[0]));
	ring->cqes[ring->cqe_count++] = (struct cqe){
		.it = { .user_data = user_data, .res = res, .has_more = has_more },
		.due_ns = sim_now() + delay_ns,
	};
}

static void post(struct sim_ring *ring, uint64_t user_data, int res, bool has_more)
{
	uint64_t delay_ns = 0;

	if (sim_chance(sim_plan.faults.delay_completion))
		delay_ns = sim_skewed(2 * NS_PER_MS);
	post_after(ring, delay_ns, user_data, res, has_more);
}

static void remove_poll(struct sim_ring *ring, size_t at)
{
	struct sim_file *file = ring->polls[at].file;

	ring->polls[at] = ring->polls[--ring->poll_count];
	sim_fd_drop(file);
}

/* True: the poll has completed and is gone. */
static bool fire(struct sim_ring *ring, size_t at, unsigned events)
{
	const struct poll poll = ring->polls[at];
	bool has_more = poll.is_many && !sim_chance(sim_plan.faults.end_many);

	post(ring, poll.user_data, (int)events, has_more);
	if (!has_more)
		remove_poll(ring, at);
	return !has_more;
}

void sim_uring_changed(struct sim_file *file, unsigned key)
{
	unsigned now = sim_fd_events(file);

	sim_fd_hold(file);
	for (uint32_t i = 0; i < ring_count; i++) {
		struct sim_ring *ring = rings[i];

		for (size_t at = 0; ring != NULL && at < ring->poll_count;) {
			unsigned wanted = ring->polls[at].events | ALWAYS;
			bool is_it = ring->polls[at].file == file && (now & wanted) != 0 &&
				     (key == 0 || (key & wanted) != 0);

			if (!is_it || !fire(ring, at, now & wanted))
				at++;
		}
	}
	sim_fd_drop(file);
}

/* ---- submission ---- */

static void submit_poll(struct sim_ring *ring, const struct sqe *sqe)
{
	struct sim_file *file = sim_fd_find(sqe->fd);

	if (file == NULL) {
		post(ring, sqe->user_data, -EBADF, false);
		return;
	}
	sim_fd_hold(file);
	ring->polls = room_for(ring->polls, ring->poll_count, sizeof(ring->polls[0]));
	ring->polls[ring->poll_count++] = (struct poll){
		.file = file,
		.user_data = sqe->user_data,
		.events = sqe->events,
		.is_many = sqe->is_many,
	};
	unsigned events = sim_fd_events(file) & (sqe->events | ALWAYS);

	if (events != 0)
		(void)fire(ring, ring->poll_count - 1, events);
}

static void submit_cancel(struct sim_ring *ring, const struct sqe *sqe)
{
	size_t at = 0;

	while (at < ring->poll_count && ring->polls[at].user_data != sqe->user_data)
		at++;
	if (at == ring->poll_count) {
		post(ring, UD_CANCEL, -ENOENT, false);
		return;
	}
	int events = (int)(ring->polls[at].events | POLLIN);

	post(ring, sqe->user_data, -ECANCELED, false);
	if (sim_chance(sim_plan.faults.late_completion))
		post_after(ring, sim_skewed(20 * NS_PER_MS), sqe->user_data, events, false);
	remove_poll(ring, at);
}

static void wake_control(void *context)
{
	struct sim_ring *ring = context;

	ring->is_waking = false;
	ring->control(NULL);
}

static void wake(struct sim_ring *to)
{
	if (to->control == NULL) {
		post(to, UD_WAKE, 0, false);
	} else if (!to->is_waking) {
		to->is_waking = true;
		sim_at(sim_between(1, 200 * NS_PER_US), wake_control, to);
	}
}

static void submit_message(struct sim_ring *ring, const struct sqe *sqe)
{
	if (sim_chance(sim_plan.faults.wake_failed))
		post(ring, (uint64_t)(uintptr_t)sqe->to | UD_WAKE_FAILED, -EOVERFLOW, false);
	else
		wake(ring_of(sqe->to));
}

/* Not of one that connects: Linux looks again before it reports, and POLLOUT is the answer. */
static void fire_for_nothing(struct sim_ring *ring)
{
	if (ring->poll_count == 0 || !sim_chance(sim_plan.faults.spurious))
		return;
	size_t at = sim_below(ring->poll_count);
	const struct poll *poll = &ring->polls[at];

	if (poll->file->kind == SIM_CONN && poll->events == POLLOUT)
		return;
	if ((poll->events & (POLLIN | POLLOUT)) != 0)
		(void)fire(ring, at, poll->events & (POLLIN | POLLOUT));
}

static void submit(struct sim_ring *ring)
{
	for (size_t i = 0; i < ring->sqe_count; i++) {
		const struct sqe *sqe = &ring->sqes[i];

		switch (sqe->kind) {
		case SQE_POLL:
			submit_poll(ring, sqe);
			break;
		case SQE_CANCEL:
			submit_cancel(ring, sqe);
			break;
		case SQE_MESSAGE:
			submit_message(ring, sqe);
			break;
		}
	}
	ring->sqe_count = 0;
	fire_for_nothing(ring);
}

/* What is due joins the queue, in any order. */
static void reveal(struct sim_ring *ring)
{
	size_t kept = 0;

	if (ring->visible_done == ring->visible_count)
		ring->visible_done = ring->visible_count = 0;
	for (size_t i = 0; i < ring->cqe_count; i++) {
		if (ring->cqes[i].due_ns > sim_now()) {
			ring->cqes[kept++] = ring->cqes[i];
			continue;
		}
		ring->visible =
			room_for(ring->visible, ring->visible_count, sizeof(ring->visible[0]));
		size_t at = sim_between(ring->visible_done, ring->visible_count);

		ring->visible[ring->visible_count++] = ring->visible[at];
		ring->visible[at] = ring->cqes[i].it;
	}
	ring->cqe_count = kept;
}

/* ---- uring_queue.c ---- */

static void queue(struct uring *ring, struct sqe sqe)
{
	struct sim_ring *at = ring_of(ring);

	at->sqes = room_for(at->sqes, at->sqe_count, sizeof(at->sqes[0]));
	at->sqes[at->sqe_count++] = sqe;
}

void uring_queue_poll(struct uring *ring, int fd, unsigned events, bool is_multishot,
		      uint64_t user_data)
{
	if (sim_fd_find(fd) == NULL)
		sim_fail("poll of descriptor %d, which is not open", fd);
	queue(ring, (struct sqe){ .kind = SQE_POLL,
				  .fd = fd,
				  .events = events,
				  .is_many = is_multishot,
				  .user_data = user_data });
}

void uring_queue_cancel(struct uring *ring, uint64_t user_data)
{
	queue(ring, (struct sqe){ .kind = SQE_CANCEL, .user_data = user_data });
}

void uring_queue_message(struct uring *from, struct uring *to)
{
	queue(from, (struct sqe){ .kind = SQE_MESSAGE, .to = to });
}

int uring_queue_submit(struct uring *ring)
{
	sim_advance(sim_now() + TURN_NS);
	submit(ring_of(ring));
	reveal(ring_of(ring));
	return 0;
}

int uring_queue_wait(struct uring *ring, uint64_t deadline_ns)
{
	struct sim_ring *at = ring_of(ring);
	int ret = uring_queue_submit(ring);

	while (!uring_queue_is_ready(ring) && (deadline_ns == 0 || sim_now() < deadline_ns)) {
		at->sleeps_until_ns = deadline_ns != 0 ? deadline_ns : UINT64_MAX;
		if (sim_tcp_corked() > 0)
			sim_fail("a worker sleeps on bytes kept back by MSG_MORE");
		sim_worker_yield();
		reveal(at);
	}
	at->sleeps_until_ns = 0;
	return ret;
}

bool uring_queue_is_ready(const struct uring *ring)
{
	const struct sim_ring *at = ring_of(ring);

	return at->visible_done < at->visible_count;
}

bool uring_queue_has_overflow(const struct uring *ring)
{
	(void)ring;
	return sim_chance(1);
}

bool uring_queue_next(struct uring *ring, struct uring_completion *ret_completion)
{
	struct sim_ring *at = ring_of(ring);

	if (!uring_queue_is_ready(ring))
		return false;
	*ret_completion = at->visible[at->visible_done++];
	return true;
}

uint64_t sim_uring_wakes_ns(const struct uring *ring)
{
	const struct sim_ring *at = ring_of(ring);
	uint64_t first = at->sleeps_until_ns;

	for (size_t i = 0; i < at->cqe_count; i++)
		if (at->cqes[i].due_ns < first)
			first = at->cqes[i].due_ns;
	return first;
}

/* ---- uring.c and uring_wake.c ---- */

static struct sim_ring *ring_new(void)
{
	struct sim_ring *ring = sim_alloc(sizeof(*ring));

	CHECK(ring_count < RINGS_MAX);
	rings[ring_count++] = ring;
	ring->uring.wake_fd = -1;
	ring->uring.features.has_msg_ring = true;
	return ring;
}

int uring_open(struct uring **ret_ring, uint32_t entries)
{
	(void)entries;
	*ret_ring = &ring_new()->uring;
	return 0;
}

void uring_close(struct uring *ring)
{
	struct sim_ring *at = ring_of(ring);

	while (at->poll_count > 0)
		remove_poll(at, 0);
	for (uint32_t i = 0; i < ring_count; i++)
		if (rings[i] == at)
			rings[i] = NULL;
	free(at->sqes);
	free(at->polls);
	free(at->cqes);
	free(at->visible);
	memset(at, 0, sizeof(*at));
}

struct uring_counts uring_counts(const struct uring *ring)
{
	return ring->counts;
}

struct uring *sim_uring_of_control(sim_fn *fn)
{
	struct sim_ring *ring = ring_new();

	ring->control = fn;
	return &ring->uring;
}

void uring_on_wake(struct uring *ring, uring_woken_fn *fn, void *context)
{
	ring->woken = fn;
	ring->woken_context = context;
}

void uring_wake_foreign(struct uring *to)
{
	wake(ring_of(to));
}

void uring_wake(struct uring *from, struct uring *to)
{
	if (from != to && from->features.has_msg_ring)
		uring_queue_message(from, to);
	else
		uring_wake_foreign(to);
}
