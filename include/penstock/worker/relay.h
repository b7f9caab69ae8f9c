/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay: moves the bytes of one direction of a connection (a lane) from its source socket to its
 * sink socket, by copy or by splice, never holding more than two buffers or one pipe. It knows
 * bytes, not protocols: `pass` says how many may go by unseen; the rest is shown to whoever owns
 * the lane, who decides what is sent, dropped or put in between.
 *
 * What is under way inside a lane, in the order it will reach the sink:
 *
 *     pipe (spliced in, not out yet)      only while pass > 0, and then nothing else is held
 *     out: done .. filled                 put in between (an edited frame), waiting for the sink
 *     in:  done .. decided                decided on, waiting for the sink
 *     in:  decided .. filled              not decided on yet; is_peeked: in the socket, too
 *
 * A lane waits for one thing at a time: its source to be readable, its sink to be writable, or a
 * buffer. While the sink is blocked the source is not read: the sender's TCP window does the rest.
 * Thread:   worker
 * Memory:   buffers and pipes are leased from bounded pools, and only while bytes are in them
 * Errors:   enum relay_status; the errno of the last failed end is in lane->err
 * See:      docs/ARCHITECTURE.md, docs/adr/0002
 */
#pragma once

#include <penstock/base/pool.h>
#include <penstock/base/span.h>
#include <penstock/base/stat.h>
#include <penstock/uring.h>

#define RELAY_BUF_BYTES	 65536
#define RELAY_PIPE_BYTES 262144 /* 64 slots; measured: 1 MiB stalls at 64 connections */
#define RELAY_ALL	 UINT64_MAX
#define RELAY_GATHER_NS	 50000 /* how long a fast stream is left alone between two looks */

enum lane_id { LANE_TO_BROKER, LANE_TO_CLIENT, LANES };

struct relay_buf {
	uint32_t done;	  /* sent */
	uint32_t decided; /* may be sent */
	uint32_t filled;
	uint8_t bytes[RELAY_BUF_BYTES];
};

struct relay_pipe {
	int fds[2];
	uint32_t size;
	uint32_t fill;
	struct relay_pipe *next; /* in the pool of idle pipes */
};

enum relay_status {
	RELAY_WAIT_SOURCE, /* nothing to do until the source is readable */
	RELAY_DRAINED,	   /* the same, and it is known to be empty: only an edge brings more */
	RELAY_WAIT_SINK,   /* until the sink is writable */
	RELAY_WAIT_BUFFER, /* until a buffer comes back: relay_starve */
	RELAY_AGAIN,	   /* its share of this turn is used up: call again after the others */
	RELAY_DECIDE,	   /* pass is used up and all decided bytes are sent: look at the bytes */
	RELAY_FIN,	   /* the source finished and every byte is sent */
	RELAY_SOURCE_LOST, /* reset or broken: lane->err */
	RELAY_SINK_LOST,
};

/* What is known of a lane's pace; relay_gather.c. */
struct relay_gather {
	uint64_t since_ns, since_bytes; /* the run of turns that is being judged */
	uint64_t last_bytes;		/* of the lane, at its last turn */
	uint64_t other_bytes;		/* of the other direction: does it answer? */
	uint8_t turns;
	uint8_t misses;
	bool is_on;
};

struct lane {
	struct uring_op op; /* the one readiness it waits for */
	int source, sink;
	/* Where TLS is spoken with that end (tls.h); NULL: where it is not. The session's. */
	struct tls_end *source_tls, *sink_tls;
	struct relay_buf *in, *out;
	struct relay_pipe *pipe;
	struct relay_queue *queue; /* the queue it waits in, or NULL */
	struct lane *next_queued;
	uint64_t pass;	/* bytes that may go unseen; RELAY_ALL: to the end */
	uint64_t bytes; /* delivered to the sink */
	uint64_t spliced;
	struct relay_gather gather;
	int err;
	uint8_t small_run;	/* small reads in a row, while promoted */
	bool is_promoted;	/* splice rather than copy */
	bool is_splice_off;	/* by configuration, or this socket cannot */
	bool is_peeked;		/* what `in` holds is to be read yet; nothing of it is decided */
	bool saw_fin, sent_fin; /* of the source; to the sink */
	bool is_finishing;	/* close_notify is said or waits for room: nothing goes behind it */
	bool is_corked;		/* the sink's socket may keep bytes back until relay_push */
	bool is_source_hup;	/* the source has sent its FIN: no edge tells of it again */
	bool is_source_err;	/* the source has been reset: the same */
	bool is_sink_hup;	/* the sink has sent its FIN: wait for edges */
	bool is_to_client;
	bool is_side; /* of a side connection, not of the session */
};

/* Lanes waiting their turn: for a buffer, or for the others to have theirs. First in, first out. */
struct relay_queue {
	struct lane *head, **tail;
};

struct relay {
	/* Handed out last-in first-out: at light load one buffer serves every read and stays in the
	 * cache, and an idle lane holds none. */
	struct pool bufs;
	/* Half of them are for brains (first frames, lookups): streams to slow readers may not hold
	 * more than the other half, and then move without holding anything. */
	uint32_t bufs_for_streams;
	uint8_t *peeked;
	struct relay_pipe *pipes;      /* all there are */
	struct relay_pipe *pipes_idle; /* open and empty */
	struct relay_pipe *pipes_closed;
	struct relay_queue starved;
	struct relay_queue gathering; /* streams between two looks */
	uint64_t look_ns;	      /* when those are due; 0: there are none */
	bool is_eager;		      /* a worker that polls (busy_poll) leaves no stream alone */
	struct stat_block *stats;
};

/* 0 or -ENOMEM. */
MUST_USE int relay_init(struct relay *relay, uint32_t bufs, uint32_t pipes,
			struct stat_block *stats);
void relay_fini(struct relay *relay);

void relay_lane_init(struct lane *lane, int source, int sink, bool is_to_client);
/* TLS has been agreed on with the lane's source, or its sink; NULL: the other end is as it was. */
void relay_lane_tls(struct lane *lane, struct tls_end *source, struct tls_end *sink);
/* Sends FIN, after close_notify where TLS is spoken. Everything held must be out (relay_is_clean).
 * 0, -EAGAIN: again when writable, or what the socket says. */
MUST_USE int relay_finish(struct lane *lane);
/* Gives back what the lane holds. A pipe with bytes in it is destroyed, never reused. */
void relay_lane_fini(struct relay *relay, struct lane *lane);

/* Sends what is held, then moves up to `pass` bytes. */
enum relay_status relay_move(struct relay *relay, struct lane *lane);

/* Sends what is decided and held. RELAY_DECIDE: nothing is held any more. */
enum relay_status relay_flush(struct relay *relay, struct lane *lane);

/* For a lane in RELAY_DECIDE: reads so that at least `min` undecided bytes are there, asking for at
 * most `max` of them (so that bulk stays in the socket for splice). RELAY_DECIDE: they are there.
 */
enum relay_status relay_read(struct relay *relay, struct lane *lane, size_t min, size_t max);
/* The same for bytes that most likely will pass, with many more behind them: where they can be
 * spliced, they are only looked at. What is decided then is as after relay_read. */
enum relay_status relay_peek(struct relay *relay, struct lane *lane, size_t min, size_t max);

/* The bytes not decided on yet. */
struct span relay_undecided(const struct relay *relay, const struct lane *lane);
/* Decides: the next n undecided bytes go to the sink, or nowhere. More than there are: `pass`
 * takes the rest (relay_pass only). */
void relay_pass(struct relay *relay, struct lane *lane, uint64_t n);
void relay_drop(struct relay *relay, struct lane *lane, size_t n);
/* Puts bytes in between, after what is decided and before what is not. Possible when relay_can_emit
 * says so. False: out of buffers. */
bool relay_can_emit(const struct lane *lane);
MUST_USE bool relay_emit(struct relay *relay, struct lane *lane, struct span bytes, bool has_more);
/* With has_more, and where undecided bytes are left behind what is sent, the kernel may wait for
 * what follows: whoever stops working on the lane says so with this. */
void relay_push(struct lane *lane);

/* Has every byte read been sent? */
bool relay_is_clean(const struct lane *lane);

/* Is there a buffer to be had? A brain may only be asked while there is one for its answer. */
bool relay_has_buf(const struct relay *relay);
/* And one to read into? The last one is for answers: if lanes that have read and wait for a buffer
 * to be answered with could hold them all, none would ever come back. */
bool relay_can_read(const struct relay *relay);
/* Lanes that starve wait in relay->starved; the oldest that can go on now, and the same taken out
 * of the queue. */
struct lane *relay_first_starved(const struct relay *relay);
struct lane *relay_unstarve(struct relay *relay);

/* Asked after each turn that left nothing to read: is the lane a stream in one direction, fast
 * enough to be left alone for RELAY_GATHER_NS? Then relay_gather queues it, and relay_gathered
 * gives it back when it is time (relay->look_ns, clock_now_ns): one at a time, NULL after the last
 * one (ADR 0011). */
bool relay_gathers(const struct relay *relay, struct lane *lane, const struct lane *other,
		   uint64_t now_ns);
void relay_gather(struct relay *relay, struct lane *lane, uint64_t now_ns);
struct lane *relay_gathered(struct relay *relay, uint64_t now_ns);

void relay_queue_init(struct relay_queue *queue);
void relay_queue_push(struct relay_queue *queue, struct lane *lane);
struct lane *relay_queue_pop(struct relay_queue *queue);
/* Takes the lane out of whatever queue it is in. */
void relay_queue_leave(struct lane *lane);

/* Now and then: gives back the memory of buffers that a burst has used, as when a thousand clients
 * come at once, and each holds its first request until its broker is connected. */
void relay_trim(struct relay *relay);
struct relay_buf *relay_buf_get(struct relay *relay);
void relay_buf_put(struct relay *relay, struct relay_buf *buf);
struct relay_pipe *relay_pipe_get(struct relay *relay);
void relay_pipe_put(struct relay *relay, struct relay_pipe *pipe);
