/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the parts of penstock-bench share: one load run (what was asked, what came of it), its
 * measuring window, and the few socket helpers. A run is one thread in one process; a mode is one
 * file load_<mode>.c with one function that fills in the result. The sink is another process.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "hist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Why a connection or a run went wrong; the words are in load.c and are keys of the JSON line. */
enum load_error {
	LOAD_ERROR_REFUSED,
	LOAD_ERROR_RESET,
	LOAD_ERROR_EOF,	    /* the peer closed before the work was done */
	LOAD_ERROR_SHORT,   /* the sink counted other bytes than were sent */
	LOAD_ERROR_STUCK,   /* not finished within the grace time */
	LOAD_ERROR_NO_PORT, /* no local port or descriptor left */
	LOAD_ERROR_OTHER,
	LOAD_ERROR_COUNT
};

struct load_addr {
	struct sockaddr_storage name;
	socklen_t size;
};

/* Readings at one end of the measuring window. */
struct load_clock {
	uint64_t wall_ns;
	uint64_t own_ns;	/* CPU time of this process */
	uint64_t proxy_ns;	/* CPU time of the whole proxy process, every thread, exact */
	uint64_t proxy_user_ms; /* the same split, in clock ticks */
	uint64_t proxy_system_ms;
};

enum {
	LOAD_STEPS_MAX = 8,
};

struct load {
	/* asked */
	const char *mode;
	const char *to_text;
	struct load_addr to;
	uint32_t conn_count;
	uint32_t step[LOAD_STEPS_MAX]; /* idle: connection counts to stop at */
	uint32_t step_count;
	size_t message_bytes;
	uint64_t warm_ns;
	uint64_t run_ns;
	uint64_t grace_ns; /* the run ends this long after its time, whatever happens */
	pid_t proxy_pid;   /* 0: none */

	/* came of it */
	uint64_t bytes;
	uint64_t round_trips;
	uint64_t connections;
	struct load_clock begin;
	struct load_clock end;
	uint64_t errors[LOAD_ERROR_COUNT];
	struct hist latency;
};

/* load.c */
uint64_t load_now_ns(void);
void load_window_open(struct load *l);
void load_window_close(struct load *l);
void load_count_error(struct load *l, int error_number);
_Noreturn void load_die(const char *what);    /* with errno, status 1 */
_Noreturn void load_refuse(const char *what); /* status 2 */

/* load_net.c */
void load_net_parse(const char *text, struct load_addr *ret_addr);
int load_net_listen(const struct load_addr *addr);
int load_net_dial(struct load *l); /* non-blocking; -1 after counting the error */
int load_net_epoll(void);
void load_net_watch(int epoll_fd, int fd, uint32_t events, void *with);
void load_net_rewatch(int epoll_fd, int fd, uint32_t events, void *with);
/* Opens `count` connections, each established when it returns; the number that were opened. */
uint32_t load_net_open_all(struct load *l, int *fds, uint32_t count);
void load_net_raise_fd_limit(void);

/* One function per mode; each returns when its work or its time is over. */
void load_stream_run(struct load *l);
void load_pingpong_run(struct load *l);
void load_crr_run(struct load *l);
void load_idle_run(struct load *l);

/* sink.c: serves until killed. */
enum sink_mode { SINK_ECHO, SINK_DISCARD };
_Noreturn void sink_run(enum sink_mode mode, const struct load_addr *addrs, uint32_t count);

#endif
