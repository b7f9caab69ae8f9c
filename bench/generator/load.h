/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One load run: what was asked, how far it is, what came of it. A run is one thread in one
 * process. A mode is one file load_<mode>.c that defines a struct load_mode; its run function
 * fills in the result, load_report.c prints it. The sink (sink.h) is another process.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "hist.h"
#include "load_net.h"
#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a connection or a run went wrong; the words are in load_report.c, keys of the JSON line. */
enum load_error {
	LOAD_ERROR_REFUSED,
	LOAD_ERROR_RESET,
	LOAD_ERROR_EOF,	     /* the peer closed before the work was done */
	LOAD_ERROR_SHORT,    /* the sink counted other bytes than were sent */
	LOAD_ERROR_STUCK,    /* not finished within the grace time */
	LOAD_ERROR_NO_PORT,  /* no local port or descriptor left */
	LOAD_ERROR_PROTOCOL, /* an answer that the protocol does not allow, or that says no */
	LOAD_ERROR_TLS,
	LOAD_ERROR_OTHER,
	LOAD_ERROR_COUNT
};

/* Units of work, all of them keys of "work" and "per_second". */
enum load_work {
	LOAD_BYTES,
	LOAD_ROUND_TRIPS,
	LOAD_CONNECTIONS,
	LOAD_MESSAGES,
	LOAD_LOOKUPS,
	LOAD_REQUESTS,
	LOAD_REDIRECTS,
	LOAD_WORK_COUNT
};

/* Answers that say no, by protocol and its error code: "pulsar_6" among the errors. */
struct load_refusal {
	const char *protocol;
	uint64_t code;
	uint64_t count;
};

enum { LOAD_REFUSALS_MAX = 32 };

/* The stages of a run, in this order. */
enum load_stage {
	LOAD_WARMING,
	LOAD_MEASURING,
	LOAD_DRAINING, /* no new work; what is on its way may still arrive */
	LOAD_OVER,     /* the grace time has passed too */
};

/* Draining ends this long after the window, whatever happens. */
#define LOAD_GRACE_NS UINT64_C(5000000000)

/* Readings at one end of the measuring window. */
struct load_clock {
	uint64_t wall_ns;
	uint64_t own_ns;	/* CPU time of this process */
	uint64_t proxy_ns;	/* CPU time of the whole proxy process, every thread, exact */
	uint64_t proxy_user_ms; /* the same split, in clock ticks */
	uint64_t proxy_system_ms;
	int64_t proxy_voluntary; /* context switches, all threads that live now */
	int64_t proxy_involuntary;
};

/* What only one mode has to say: a key of "beside". */
struct load_note {
	const char *name;
	uint64_t value;
	const char *text; /* NULL: the value counts */
};

enum { LOAD_NOTES_MAX = 4 };

struct load;

struct load_mode {
	const char *name;
	const char *summary;  /* one line of the list of modes */
	const char *about;    /* what it does, what it counts, what its latency is */
	uint32_t takes;	      /* sum of enum option_bit */
	size_t message_bytes; /* unless -b says otherwise */
	bool takes_steps;     /* -c may be several counts */
	void (*run)(struct load *l);
};

struct load {
	const struct load_mode *mode;
	struct options ask;

	enum load_stage stage;
	uint64_t stage_end_ns;
	struct load_clock begin;
	struct load_clock end;

	uint64_t work[LOAD_WORK_COUNT];
	uint64_t errors[LOAD_ERROR_COUNT];
	struct load_refusal refusals[LOAD_REFUSALS_MAX]; /* up to the first without a count */
	struct hist latency;
	uint64_t offered; /* open loop: messages that should have been sent inside the window */
	uint64_t in_time; /* of these, answered before 0.1 s after the window */
	struct hist late; /* and how much later than intended each was */
	const char *invalid_why;
	struct load_note notes[LOAD_NOTES_MAX];
	uint32_t note_count;
};

/* load.c */
_Noreturn void load_die(const char *what);    /* with errno, status 1 */
_Noreturn void load_refuse(const char *what); /* status 2 */
void *load_alloc(size_t count, size_t size);  /* zeroed; never NULL */
void load_count_error(struct load *l, int error_number);
void load_count_end(struct load *l, int error_number); /* 0: the peer closed */
void load_count_refusal(struct load *l, const char *protocol, uint64_t code);
void load_note(struct load *l, const char *name, uint64_t value);
void load_note_text(struct load *l, const char *name, const char *text);

/* load_window.c */
uint64_t load_now_ns(void);
void load_window_open(struct load *l);
void load_window_close(struct load *l);
/* Starts the warm-up now. A mode then asks once per turn how far the run is, which opens and
 * closes the window in passing, and calls finish at the end, which closes a window left open. */
void load_window_start(struct load *l);
enum load_stage load_window_stage(struct load *l, uint64_t now_ns);
void load_window_finish(struct load *l);
bool load_window_holds(const struct load *l, uint64_t when_ns);

/* load_report.c: prints the JSON line; the exit status: 1 when anything went wrong. */
int load_report(const struct load *l);

extern const struct load_mode *const load_modes[]; /* ends with NULL */

extern const struct load_mode load_stream, load_pingpong, load_open, load_crr, load_hello,
	load_idle, load_mice, load_tls;

extern const struct load_mode load_pulsar_lookup, load_pulsar_produce, load_pulsar_consume,
	load_pulsar_reconnect;
extern const struct load_mode load_kafka_metadata, load_kafka_topics, load_kafka_produce,
	load_kafka_fetch, load_kafka_idle;

#endif
