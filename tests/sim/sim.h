/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim: the seeded simulator: real workers (src/worker, src/uring/uring_op.c, src/mail, src/route,
 * src/wire) on a fake kernel, among model clients and model brokers, in virtual time. One seed is
 * one run, in one process; everything that is random comes from it.
 *
 *     sim.c          time, chance, events, the end of a run
 *     sim_plan.c     what a seed makes of a run
 *     sim_fd.c       descriptors            sim_tcp.c    connections
 *     sim_pipe.c     pipes and splice       sim_net.c    net.h on top of the three
 *     sim_uring.c    rings                  sim_worker.c workers as coroutines
 *     sim_stream.c   bytes that know who they are and where they belong
 *     sim_frame.c    Pulsar frames, written and read independently of src/wire
 *     sim_hello.c    ClientHellos, likewise
 *     sim_flow.c, sim_side.c     byte streams through penstock and what must come of them
 *     sim_lookup.c, sim_client.c lookup connections, the client's end
 *     sim_broker.c, sim_answer.c the brokers' ends
 *     sim_kafka.c    connections of Kafka, both ends (sim_kafka_frame.c: what they say)
 *     sim_control.c  plays the control thread
 *     sim_world.c    one run; sim_main.c: many
 */
#pragma once

#include <penstock/base/addr.h>
#include <penstock/base/check.h>
#include <penstock/base/clock.h>
#include <penstock/base/span.h>

/* ---- sim.c ---------------------------------------------------------------------------------- */

typedef void sim_fn(void *context);

void sim_begin(uint64_t seed, bool is_verbose);
uint64_t sim_now(void);
uint64_t sim_seed(void);
/* In [0, bound) and in [low, high]. */
uint64_t sim_below(uint64_t bound);
uint64_t sim_between(uint64_t low, uint64_t high);
bool sim_chance(uint32_t per_mille);
/* Small more often than large: the bit length is what is uniform. */
uint64_t sim_skewed(uint64_t high);

void sim_at(uint64_t delay_ns, sim_fn *fn, void *context);
/* The earliest of the times asked for, however often it is asked. */
struct sim_alarm {
	uint64_t at_ns; /* 0: not set */
	sim_fn *fn;
	void *context;
};
void sim_alarm(struct sim_alarm *alarm, uint64_t at_ns, sim_fn *fn, void *context);
/* When the next event is due; UINT64_MAX: there is none. */
uint64_t sim_next_ns(void);
/* Time goes on to this moment, if it is later, and every event due by then is run. */
void sim_advance(uint64_t to_ns);

/* Bytes moved or a connection changed: not a livelock. */
void sim_progress(void);
/* A turn of a loop has begun; fails when there were too many without progress. */
void sim_turn(void);

PRINTF_LIKE(1, 2) void sim_trace(const char *format, ...);
NORETURN PRINTF_LIKE(1, 2) void sim_fail(const char *format, ...);
/* Memory that lives to the end of the run. */
void *sim_alloc(size_t size);

/* ---- sim_plan.c ----------------------------------------------------------------------------- */

/* Chances are per mille of the calls concerned. */
struct sim_faults {
	uint32_t short_move; /* send, recv, splice move less than they could */
	uint32_t try_again;  /* -EAGAIN although there is something */
	uint32_t splice_einval;
	uint32_t pipe_small, pipe_failed;
	uint32_t dial_failed;
	uint32_t accept_failed;
	uint32_t late_completion;
	uint32_t delay_completion;
	uint32_t end_many; /* a multishot ends without F_MORE */
	uint32_t spurious; /* a poll completes for nothing */
	uint32_t wake_failed;
	uint32_t dns_failed, dns_late;
	uint64_t emfile_from_ns, emfile_until_ns;
};

enum sim_ending { SIM_ENDING_FLOWS, SIM_ENDING_DRAIN, SIM_ENDING_STOP };

struct sim_plan {
	struct sim_faults faults;
	enum sim_ending ending;
	uint64_t ending_ns;
	uint32_t workers;
	uint32_t flows;
	uint32_t dns_share;	  /* per mille of the targets: by a name only DNS knows */
	uint32_t lookup_share;	  /* per mille of the flows */
	bool has_login;		  /* Kafka's brokers want a user and a password */
	bool breaks_login;	  /* and some connections end before they have let anybody in */
	uint32_t kafka_share;	  /* the same, of all; 0: nobody speaks it */
	bool is_paced;		  /* and who does is held back by rates */
	bool denies;		  /* and some calls are denied */
	uint64_t list_ns;	  /* until then no snapshot has brokers of Kafka */
	uint32_t brokers, hidden; /* hidden: in no snapshot, only in lookup answers */
	uint32_t bufs;		  /* 0: as the budget says */
	uint32_t pipes;
	uint32_t unrouted;
	uint64_t lookups;
	uint64_t connections;
	uint64_t busy_poll_ns;
	uint64_t start_spread_ns;
	uint64_t len_max;
	bool reuses_fds;
	bool is_zookeeper, is_direct;
	bool has_limits;      /* refusals for want of something are no surprise */
	uint8_t send_proxy;   /* enum config_send_proxy, to brokers and forward targets */
	uint8_t proxy_mode;   /* enum config_proxy_mode of the two listeners that have one */
	uint8_t dead_broker;  /* index + 1 of one that refuses, or 0 */
	uint8_t black_broker; /* index + 1 of one that never answers, or 0 */
};

extern struct sim_plan sim_plan;

void sim_plan_make(void);

/* ---- sim_fd.c ------------------------------------------------------------------------------- */

enum sim_kind { SIM_CONN, SIM_LISTENER, SIM_PIPE_READ, SIM_PIPE_WRITE };

/* An open file. An armed poll holds it open like a descriptor does. */
struct sim_file {
	enum sim_kind kind;
	uint32_t refs;
	int fd; /* -1: no descriptor any more */
	void *object;
};

int sim_fd_open(enum sim_kind kind, void *object);
/* The file of a descriptor; fails the run when it is closed or of another kind. */
struct sim_file *sim_fd_get(int fd, enum sim_kind kind, const char *who);
/* The same for a poll: NULL when there is none. */
struct sim_file *sim_fd_find(int fd);
void sim_fd_close(int fd);
void sim_fd_hold(struct sim_file *file);
void sim_fd_drop(struct sim_file *file);
uint32_t sim_fd_count(void);
/* POLL* bits that are true of the file now. */
unsigned sim_fd_events(const struct sim_file *file);

/* ---- sim_pipe.c ----------------------------------------------------------------------------- */

void sim_pipe_release(struct sim_file *file);

/* ---- sim_uring.c ---------------------------------------------------------------------------- */

struct uring;

/* Something happened to the file; `key`: what, or 0 for "look". */
void sim_uring_changed(struct sim_file *file, unsigned key);
/* When the thread of this ring would wake up. */
uint64_t sim_uring_wakes_ns(const struct uring *ring);
/* A ring nobody waits on, whose wake-ups run a function: control's. */
struct uring *sim_uring_of_control(sim_fn *fn);

/* ---- sim_worker.c --------------------------------------------------------------------------- */

struct config;
struct mail_office;

void sim_worker_start(uint32_t index, struct mail_office *office, const struct config *config);
/* Runs one that can run. False: all sleep, the first until *ret_wakes_ns. */
bool sim_worker_run_one(uint64_t *ret_wakes_ns);
/* The thread that runs now sleeps. */
void sim_worker_yield(void);
bool sim_worker_are_done(void);
/* After the last has left its loop: everything given back? */
void sim_worker_check_and_free(struct mail_office *office);
/* Print which flows are not done (some of them), and what every session is at. */
void sim_flow_show(void);
void sim_worker_show(void);
/* Nothing moves: no lane may hold anything. */
bool sim_worker_holds_nothing(void);

/* ---- sim_control.c -------------------------------------------------------------------------- */

struct mail;

void sim_control_start(struct mail_office *office, const struct config *config);
void sim_control_send(uint32_t worker, const struct mail *mail);
/* Stops accepting, on all workers. */
void sim_control_unlisten(void);
void sim_control_drain(uint64_t spread_ns);
void sim_control_reset(void);
void sim_control_stop(void);
/* All workers have said UNLISTENED for all listeners. */
bool sim_control_is_unlistened(void);
void sim_control_finish(void);
