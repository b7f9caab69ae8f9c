/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * penstock-bench: the load generator and its sink, in one binary.
 *
 *	penstock-bench load stream|pingpong|crr|idle --to HOST:PORT [-c N] [-b BYTES] [-t SECONDS]
 *	penstock-bench sink echo|discard --listen HOST:PORT...
 *
 * A run prints one JSON line: the work done, the rate, errors by reason, latency percentiles and,
 * with --cpu-of PID, the CPU time that the proxy spent inside the measuring window. The window is
 * read by the generator itself, at its first and last unit of work, so that neither the start of
 * processes nor the opening of connections is in the figures.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LISTEN_MAX = 64,
	NS_PER_S = 1000000000,
};

static const char *const error_words[LOAD_ERROR_COUNT] = {
	[LOAD_ERROR_REFUSED] = "refused", [LOAD_ERROR_RESET] = "reset",
	[LOAD_ERROR_EOF] = "eof",	  [LOAD_ERROR_SHORT] = "short",
	[LOAD_ERROR_STUCK] = "stuck",	  [LOAD_ERROR_NO_PORT] = "no_port",
	[LOAD_ERROR_OTHER] = "other",
};

struct load_mode {
	const char *name;
	void (*run)(struct load *l);
};

static const struct load_mode modes[] = {
	{ "stream", load_stream_run },
	{ "pingpong", load_pingpong_run },
	{ "crr", load_crr_run },
	{ "idle", load_idle_run },
};

_Noreturn void load_die(const char *what)
{
	fprintf(stderr, "penstock-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

_Noreturn void load_refuse(const char *what)
{
	fprintf(stderr, "penstock-bench: %s\n", what);
	exit(2);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		load_die("clock_gettime");
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t load_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Fields 14 and 15 of /proc/PID/stat; the name in field 2 may hold spaces, so start behind it. */
static void proxy_split(pid_t pid, struct load_clock *ret_clock)
{
	uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t user, system;
	char path[64], line[1024];
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		load_die(path);
	size = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[size] = '\0';

	const char *rest = strrchr(line, ')');
	if (rest == NULL ||
	    sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
		   &user, &system) != 2)
		load_refuse("cannot read the proxy's stat file");
	ret_clock->proxy_user_ms = user * tick_ms;
	ret_clock->proxy_system_ms = system * tick_ms;
}

static void read_clocks(const struct load *l, struct load_clock *ret_clock)
{
	clockid_t proxy_clock;

	ret_clock->wall_ns = load_now_ns();
	ret_clock->own_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (l->proxy_pid == 0)
		return;
	errno = clock_getcpuclockid(l->proxy_pid, &proxy_clock);
	if (errno != 0)
		load_die("the proxy's CPU clock");
	ret_clock->proxy_ns = clock_ns(proxy_clock);
	proxy_split(l->proxy_pid, ret_clock);
}

void load_window_open(struct load *l)
{
	read_clocks(l, &l->begin);
}

void load_window_close(struct load *l)
{
	read_clocks(l, &l->end);
	if (l->begin.wall_ns == 0)
		l->begin = l->end;
}

void load_count_error(struct load *l, int error_number)
{
	enum load_error error = LOAD_ERROR_OTHER;

	if (error_number == ECONNREFUSED)
		error = LOAD_ERROR_REFUSED;
	else if (error_number == ECONNRESET || error_number == EPIPE)
		error = LOAD_ERROR_RESET;
	else if (error_number == ETIMEDOUT)
		error = LOAD_ERROR_STUCK;
	else if (error_number == EADDRNOTAVAIL || error_number == EMFILE)
		error = LOAD_ERROR_NO_PORT;
	l->errors[error]++;
}

static uint64_t print_errors(const struct load *l)
{
	uint64_t total = 0;
	const char *comma = "";

	printf("\"errors\":{");
	for (int i = 0; i < LOAD_ERROR_COUNT; i++) {
		if (l->errors[i] == 0)
			continue;
		printf("%s\"%s\":%" PRIu64, comma, error_words[i], l->errors[i]);
		comma = ",";
		total += l->errors[i];
	}
	printf("}");
	return total;
}

static void print_latency(const struct hist *h)
{
	static const struct {
		const char *name;
		double share;
	} points[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 }, { "p999", .999 } };

	printf("\"latency_us\":{\"count\":%" PRIu64, h->count);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		printf(",\"%s\":%.2f", points[i].name,
		       (double)hist_ns_at(h, points[i].share) / 1e3);
	printf(",\"max\":%.2f}", (double)h->ns_max / 1e3);
}

/* Returns the exit status: 1 when anything went wrong. */
static int report(const struct load *l)
{
	double seconds = (double)(l->end.wall_ns - l->begin.wall_ns) / NS_PER_S;
	double per_s = seconds > 0 ? 1 / seconds : 0;

	printf("{\"mode\":\"%s\",\"to\":\"%s\",\"connection_count\":%u,\"message_bytes\":%zu,"
	       "\"seconds\":%.6f,\"work\":{\"bytes\":%" PRIu64 ",\"round_trips\":%" PRIu64
	       ",\"connections\":%" PRIu64 "},",
	       l->mode, l->to_text, l->conn_count, l->message_bytes, seconds, l->bytes,
	       l->round_trips, l->connections);
	printf("\"per_second\":{\"bytes\":%.0f,\"round_trips\":%.0f,\"connections\":%.0f},",
	       (double)l->bytes * per_s, (double)l->round_trips * per_s,
	       (double)l->connections * per_s);
	printf("\"own_cpu_ns\":%" PRIu64 ",", l->end.own_ns - l->begin.own_ns);
	if (l->proxy_pid != 0)
		printf("\"proxy_cpu_ns\":%" PRIu64 ",\"proxy_user_ms\":%" PRIu64
		       ",\"proxy_system_ms\":%" PRIu64 ",",
		       l->end.proxy_ns - l->begin.proxy_ns,
		       l->end.proxy_user_ms - l->begin.proxy_user_ms,
		       l->end.proxy_system_ms - l->begin.proxy_system_ms);
	print_latency(&l->latency);
	printf(",");

	uint64_t errors = print_errors(l);
	printf("}\n");
	return errors != 0;
}

static _Noreturn void usage(void)
{
	fputs("usage: penstock-bench load stream|pingpong|crr|idle --to HOST:PORT [options]\n"
	      "       penstock-bench sink echo|discard --listen HOST:PORT...\n"
	      "  -c, --connections N[,N...]  connections or slots (idle: the counts to stop at)\n"
	      "  -b, --bytes N               size of a message or chunk (default 128)\n"
	      "  -t, --seconds S             measured time (idle: longest wait at a step)\n"
	      "  -w, --warm-up S             time before it (pingpong, crr; default 0.05)\n"
	      "  -p, --cpu-of PID            report the CPU time of this process in the window\n",
	      stderr);
	exit(2);
}

/* A number that ends at `stop` or at the end of the text; where it ended. */
static const char *parse_until(const char *text, char stop, uint64_t most, uint64_t *ret_value)
{
	char *rest;

	errno = 0;
	unsigned long long value = strtoull(text, &rest, 10);
	if (errno != 0 || rest == text || value == 0 || value > most)
		usage();
	if (*rest != '\0' && *rest != stop)
		usage();
	*ret_value = value;
	return rest;
}

static uint64_t parse_number(const char *text, uint64_t most)
{
	uint64_t value;

	parse_until(text, '\0', most, &value);
	return value;
}

static uint64_t parse_seconds_ns(const char *text)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (rest == text || *rest != '\0' || !(seconds >= 0 && seconds <= 3600))
		usage();
	return (uint64_t)(seconds * NS_PER_S);
}

static void parse_counts(const char *text, struct load *l)
{
	const char *rest = text;

	for (l->step_count = 0; l->step_count < LOAD_STEPS_MAX;) {
		uint64_t value;

		rest = parse_until(rest, ',', 1000000, &value);
		l->step[l->step_count++] = (uint32_t)value;
		l->conn_count = (uint32_t)value;
		if (*rest == '\0')
			return;
		rest++;
	}
	usage();
}

static void parse_load(int argc, char **argv, struct load *l)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 'T' },
		{ "connections", required_argument, NULL, 'c' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "seconds", required_argument, NULL, 't' },
		{ "warm-up", required_argument, NULL, 'w' },
		{ "cpu-of", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "T:c:b:t:w:p:", options, NULL)) != -1) {
		if (letter == 'T')
			l->to_text = optarg;
		else if (letter == 'c')
			parse_counts(optarg, l);
		else if (letter == 'b')
			l->message_bytes = parse_number(optarg, 1u << 30);
		else if (letter == 't')
			l->run_ns = parse_seconds_ns(optarg);
		else if (letter == 'w')
			l->warm_ns = parse_seconds_ns(optarg);
		else if (letter == 'p')
			l->proxy_pid = (pid_t)parse_number(optarg, 1u << 22);
		else
			usage();
	}
	if (l->to_text == NULL || optind != argc)
		usage();
	load_net_parse(l->to_text, &l->to);
}

static int main_load(const char *mode, int argc, char **argv)
{
	static struct load l = { .conn_count = 1,
				 .step = { 1 },
				 .step_count = 1,
				 .message_bytes = 128,
				 .run_ns = NS_PER_S,
				 .warm_ns = NS_PER_S / 20,
				 .grace_ns = 5ull * NS_PER_S };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(mode, modes[i].name) != 0)
			continue;
		l.mode = mode;
		parse_load(argc, argv, &l);
		load_net_raise_fd_limit();
		modes[i].run(&l);
		return report(&l);
	}
	usage();
}

static int main_sink(const char *mode, int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	static struct load_addr addrs[LISTEN_MAX];
	uint32_t count = 0;
	int letter;

	while ((letter = getopt_long(argc, argv, "l:", options, NULL)) != -1) {
		if (letter != 'l' || count == LISTEN_MAX)
			usage();
		load_net_parse(optarg, &addrs[count++]);
	}
	if (count == 0 || optind != argc)
		usage();
	load_net_raise_fd_limit();
	if (strcmp(mode, "echo") == 0)
		sink_run(SINK_ECHO, addrs, count);
	if (strcmp(mode, "discard") == 0)
		sink_run(SINK_DISCARD, addrs, count);
	usage();
}

int main(int argc, char **argv)
{
	if (argc < 3)
		usage();
	/* getopt takes its first argument for the program's name: the mode stands there. */
	if (strcmp(argv[1], "load") == 0)
		return main_load(argv[2], argc - 2, argv + 2);
	if (strcmp(argv[1], "sink") == 0)
		return main_sink(argv[2], argc - 2, argv + 2);
	usage();
}
