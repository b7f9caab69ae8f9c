/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * uring: one io_uring per thread, and the only code that calls it. The ring is asked for readiness
 * and wake-ups only; bytes are moved inline (net.h), because IORING_OP_SPLICE always goes to a
 * kernel worker thread (35-45 us against 0.26 us, Linux 6.18) and ring recv/send won nothing
 * (docs/adr/0001). So no operation ever owns memory, and giving one up is always safe:
 *
 *     user_data = generation (16 bits) | address of the struct uring_op (48 bits)
 *
 * uring_cancel bumps the generation; a completion with an older one is counted and ignored. This
 * needs struct uring_op to live in memory that is never unmapped (pool.h).
 * Thread:   the thread that called uring_open; uring_wake_foreign from any
 * Memory:   ring memory in the kernel; struct uring_op is the caller's
 * Errors:   0 or -errno
 * See:      docs/adr/0001
 */
#pragma once

#include <penstock/base/check.h>

struct uring;
struct uring_op;

/* `events` are POLL* bits, or -errno. Runs on the ring's thread inside uring_turn. */
typedef void uring_fn(struct uring_op *op, int events);

struct uring_op {
	uring_fn *fn;
	int fd;
	uint16_t generation; /* survives reuse of the memory around it */
	uint16_t events : 14;
	uint16_t is_armed : 1;
	uint16_t is_multishot : 1;
};

enum uring_wake_way { URING_WAKE_MSG_RING, URING_WAKE_EVENTFD };

/* What this kernel gave us, for `penstock version`, /metrics and error texts. */
struct uring_features {
	uint32_t setup_flags;
	uint32_t features;
	uint32_t last_op;
	bool has_msg_ring;
	bool is_restricted;
};

struct uring_counts {
	uint64_t turns;
	uint64_t cq_overflow;
	uint64_t late_completions;
};

/* Opens the ring of the calling thread: SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL, CLAMP, CQSIZE;
 * restricted to the operations it uses before it is enabled. Retries -ENOMEM for 2 s, since ring
 * memory of an exited process is given back late. `entries`: a power of two. */
MUST_USE int uring_open(struct uring **ret_ring, uint32_t entries);
void uring_close(struct uring *ring);

/* Waits for readiness of fd once. The op must not be armed. Re-arming checks the level: if the fd
 * is ready already it fires on the next turn. POLLERR, POLLHUP and POLLRDHUP always count. */
void uring_poll(struct uring *ring, struct uring_op *op, int fd, unsigned events, uring_fn *fn);
/* The same, firing on every edge until cancelled. Re-arms itself when the kernel ends it. */
void uring_poll_many(struct uring *ring, struct uring_op *op, int fd, unsigned events,
		     uring_fn *fn);
/* Gives the operation up; its fn is not called any more. Fine on an op that is not armed. */
void uring_cancel(struct uring *ring, struct uring_op *op);

/* Submits, and waits for a completion or `deadline_ns` (clock_now_ns; 0: no deadline; a past time:
 * do not sleep). Spins up to `spin_ns` before sleeping. 0 or -errno. */
MUST_USE int uring_wait(struct uring *ring, uint64_t deadline_ns, uint64_t spin_ns);
/* Runs the fn of every completion there is; returns their number. Apart from uring_wait so that the
 * caller can look at the clock in between: what is run now must not live by the time before. */
int uring_reap(struct uring *ring);
/* Both. The number of completions run, or -errno. */
MUST_USE int uring_turn(struct uring *ring, uint64_t deadline_ns, uint64_t spin_ns);

/* What runs on a ring's own thread when another thread woke it. */
typedef void uring_woken_fn(void *context);
void uring_on_wake(struct uring *ring, uring_woken_fn *fn, void *context);
/* Wakes the thread of `to` from the thread of `from`; several wakes may fall into one. */
void uring_wake(struct uring *from, struct uring *to);
/* The same from a thread that has no ring. */
void uring_wake_foreign(struct uring *to);

const struct uring_features *uring_features(const struct uring *ring);
struct uring_counts uring_counts(const struct uring *ring);

/* Can a ring be opened here? 0, or -errno and a sentence that names which of sysctl, seccomp,
 * memlock or kernel stops it and how to allow it. */
MUST_USE int uring_probe(struct uring_features *ret_features, char *ret_why, size_t why_size);
