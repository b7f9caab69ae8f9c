/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The log thread: takes finished lines off the queue and writes them to standard error, many to a
 * write. A reader of ours that stops reading stops this thread and nobody else; the queue fills and
 * lines are dropped and counted.
 *
 * Wake-up: `is_awake` is 0 only while the thread sleeps with nothing to do. The producer that turns
 * it to 1 wakes the thread (futex(2)), and after each wake-up the thread works in rounds of
 * ROUND_NS before it sleeps again, so a busy process pays one such system call per round, not per
 * line. No line is overlooked: the thread sets 0 with an exchange before it looks at the queue a
 * last time. Either that exchange comes after a producer's, and then sees the line put before it;
 * or it comes before, and then that producer finds 0 and wakes us.
 */
#define _GNU_SOURCE
#include "log_priv.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <penstock/base/clock.h>
#include <penstock/base/queue.h>

/* poll(2) says a pipe is writable when PIPE_BUF bytes fit, so a write of no more cannot block. */
#define BATCH_MAX 4096
#define ROUND_NS  (10 * NS_PER_MS)
/* How long log_stop waits for a reader that does not read. */
#define STOP_NS	  NS_PER_S

static struct {
	struct queue queue;
	pthread_t thread;
	_Atomic uint32_t is_awake;
	_Atomic bool is_running; /* lines go to the queue */
	_Atomic bool is_stopping;
	_Atomic uint64_t dropped;
	uint64_t dropped_told;
	uint64_t stop_ns; /* when to give up writing; 0: never */
	size_t batch_len;
	char batch[BATCH_MAX];
} writer;

_Static_assert(LOG_LINE_MAX <= BATCH_MAX, "a line must fit into a batch");

static void wake(void)
{
	if (atomic_exchange(&writer.is_awake, 1) == 0)
		(void)syscall(SYS_futex, &writer.is_awake, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void sleep_until_woken(void)
{
	(void)syscall(SYS_futex, &writer.is_awake, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* Waits until standard error takes bytes; false when log_stop has run out of patience. */
static bool wait_writable(void)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	while (poll(&pfd, 1, 100) <= 0) {
		if (!atomic_load(&writer.is_stopping))
			continue;
		if (writer.stop_ns == 0)
			writer.stop_ns = clock_now_ns() + STOP_NS;
		if (clock_now_ns() >= writer.stop_ns)
			return false;
	}
	return true;
}

static void flush(void)
{
	size_t done = 0;
	while (done < writer.batch_len && wait_writable()) {
		ssize_t n = write(STDERR_FILENO, writer.batch + done, writer.batch_len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR && errno != EAGAIN)
			break; /* nobody reads any more: there is no place left to say so */
	}
	writer.batch_len = 0;
}

static void batch(const struct log_line *line)
{
	if (line->len > BATCH_MAX - writer.batch_len)
		flush();
	memcpy(writer.batch + writer.batch_len, line->text, line->len);
	writer.batch_len += line->len;
}

static void tell_dropped(void)
{
	uint64_t dropped = log_dropped();
	if (dropped == writer.dropped_told)
		return;
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARN, "log_dropped");
	log_u64(&line, "count", dropped - writer.dropped_told);
	writer.dropped_told = dropped;
	log_end(&line); /* through the queue like any other, which was just emptied */
}

static bool drain(void)
{
	struct log_line line;
	bool has_any = false;
	while (queue_take(&writer.queue, &line)) {
		has_any = true;
		batch(&line);
	}
	flush();
	return has_any;
}

static void *run(void *context)
{
	(void)context;
	log_thread_name("log");
	(void)pthread_setname_np(pthread_self(), "penstock-log");
	for (;;) {
		bool has_any = drain();
		tell_dropped();
		if (atomic_load(&writer.is_stopping))
			break;
		if (has_any) {
			struct timespec round = { .tv_nsec = (long)ROUND_NS };
			(void)nanosleep(&round, NULL);
			continue;
		}
		(void)atomic_exchange(&writer.is_awake, 0);
		if (!drain() && !atomic_load(&writer.is_stopping))
			sleep_until_woken();
		atomic_store(&writer.is_awake, 1);
	}
	(void)drain();
	return NULL;
}

/* Signals belong to the control thread. */
static int spawn(void)
{
	sigset_t all, old;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&writer.thread, NULL, run, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int log_start(void)
{
	int res = 0;
	if (writer.queue.cells == NULL) /* see log_stop */
		res = queue_init(&writer.queue, sizeof(struct log_line), LOG_RECORDS);
	if (res < 0)
		return res;
	atomic_store(&writer.is_awake, 1);
	atomic_store(&writer.is_stopping, false);
	writer.stop_ns = 0;
	res = spawn();
	if (res < 0)
		return res;
	atomic_store(&writer.is_running, true);
	return 0;
}

void log_stop(void)
{
	if (!atomic_exchange(&writer.is_running, false))
		return;
	atomic_store(&writer.is_stopping, true);
	wake();
	(void)pthread_join(writer.thread, NULL);
	(void)drain();
	/* The queue stays: a thread that saw is_running just before may still put a line into it.
	 */
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&writer.dropped, memory_order_relaxed);
}

/* One write, so that lines of several threads do not mix; a pipe nobody reads loses them. */
static void write_now(const struct log_line *line)
{
	ssize_t n;
	do {
		n = write(STDERR_FILENO, line->text, line->len);
	} while (n < 0 && errno == EINTR);
}

void log_writer_put(const struct log_line *line)
{
	if (!atomic_load_explicit(&writer.is_running, memory_order_acquire)) {
		write_now(line);
		return;
	}
	if (!queue_put(&writer.queue, line)) {
		(void)atomic_fetch_add_explicit(&writer.dropped, 1, memory_order_relaxed);
		return;
	}
	wake();
}
