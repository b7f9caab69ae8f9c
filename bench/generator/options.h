/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The command line of penstock-bench. One table (options.c) holds every option: its name, how its
 * value is read, where it goes and its line of help. A mode or a sink names the options it takes;
 * any other is refused, so that a misplaced one is never silently without effect.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "load_net.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* What a mode takes is a sum of these. */
enum option_bit {
	OPTION_TO = 1 << 0,
	OPTION_LISTEN = 1 << 1,
	OPTION_CONNECTIONS = 1 << 2,
	OPTION_BYTES = 1 << 3,
	OPTION_SECONDS = 1 << 4,
	OPTION_WARM_UP = 1 << 5,
	OPTION_CPU_OF = 1 << 6,
	OPTION_HGRM = 1 << 7,
	OPTION_RATE = 1 << 8,
	OPTION_SCHEDULE = 1 << 9,
	OPTION_DOWN = 1 << 10,
	OPTION_SNI = 1 << 11,
	OPTION_ALPN = 1 << 12,
	OPTION_RESUME = 1 << 13,
	OPTION_TOPIC = 1 << 14,
	OPTION_TOPICS = 1 << 15,
	OPTION_NAMESPACE = 1 << 16,
	OPTION_PARTITIONS = 1 << 17,
	OPTION_PAYLOAD = 1 << 18,
	OPTION_DELAY = 1 << 19,
	OPTION_SPIN = 1 << 20,
	OPTION_TRUST = 1 << 21,
	OPTION_CIPHER = 1 << 22,
	OPTION_TLS = 1 << 23,
	OPTION_WINDOW = 1 << 24,
	OPTION_STAY = 1 << 25,
	OPTION_FILL = 1 << 26,
	OPTION_PUBLISH_TO = 1 << 27,
	OPTION_MAX_BYTES = 1 << 28,
	OPTION_ADVERTISE = 1 << 29,
	OPTION_THROUGH = 1 << 30,

	/* what nearly every mode takes */
	OPTION_COMMON = OPTION_TO | OPTION_CONNECTIONS | OPTION_BYTES | OPTION_SECONDS |
			OPTION_WARM_UP | OPTION_CPU_OF | OPTION_HGRM,
	/* and every open loop beside it */
	OPTION_PACE = OPTION_RATE | OPTION_SCHEDULE | OPTION_SPIN,
	/* what is asked of a TLS session; modes that need not have one take --tls beside it */
	OPTION_IN_TLS = OPTION_SNI | OPTION_ALPN | OPTION_TRUST | OPTION_CIPHER,
	OPTION_MAYBE_TLS = OPTION_TLS | OPTION_IN_TLS,
};

enum options_schedule { SCHEDULE_UNIFORM, SCHEDULE_POISSON };

enum {
	OPTIONS_STEPS_MAX = 8,
	OPTIONS_LISTEN_MAX = 64,
};

struct options {
	struct load_addr to;
	struct load_addr listen[OPTIONS_LISTEN_MAX];
	uint32_t listen_count;
	uint32_t conn_count;
	uint32_t step[OPTIONS_STEPS_MAX]; /* idle: connection counts to stop at */
	uint32_t step_count;
	uint64_t message_bytes; /* never 0: a mode has its own default */
	uint64_t run_ns;
	uint64_t warm_ns;
	uint64_t proxy_pid; /* 0: none */
	const char *hgrm_path;

	uint64_t rate; /* messages per second over all connections; 0: not given */
	enum options_schedule schedule;
	uint64_t spin_us;
	bool down;

	bool tls;
	const char *sni;
	const char *alpn;
	const char *cipher;
	bool resume;
	const char *ca_path;
	bool insecure;

	const char *topic; /* NULL: not given; so are the texts above */
	uint64_t topics;   /* 0: not given; so are the numbers below */
	const char *name_space;
	uint64_t partitions;
	uint64_t payload_bytes;
	uint64_t delay_us;

	uint64_t window;
	bool stay;
	uint64_t fill_mib;
	const char *publish_to_text; /* NULL: not given */
	struct load_addr publish_to;
	uint64_t max_bytes;
	const char *advertise; /* "HOST:PORT"; NULL: not given */
	bool through_service;
};

/* Exits with a sentence and status 2 when something is wrong. `who` is for the sentence. */
void options_parse(int argc, char **argv, const char *who, uint32_t takes, struct options *ret_o);

/* The lines of help of the options in `takes`. */
void options_print(uint32_t takes);

/* The same of all options, for the manual page; and the long names of those in `takes`, each after
 * a blank. */
void options_man(FILE *out);
void options_names(uint32_t takes, FILE *out);
/* Those that take a file, or any other value, with a bar between: "--to|-T|--listen|-l". */
void options_with_value(bool is_file, FILE *out);

#endif
