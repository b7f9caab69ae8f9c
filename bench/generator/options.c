/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The option table and its reader; options.h says the rest.
 */
#include "options.h"

#include "load.h"

#include <penstock/base/roff.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NS_PER_S = 1000000000,
	FIRST_LONG_ONLY = 256, /* getopt's values of the rows, above every letter */
};

struct row;
typedef void set_fn(const struct row *row, const char *text, struct options *o);

struct row {
	uint32_t bit;
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: a flag */
	const char *help;
	set_fn *set;
	size_t at; /* place in struct options, for the setters that several rows use */
	uint64_t least;
	uint64_t most;
};

static _Noreturn __attribute__((format(printf, 2, 3))) void refuse(const struct row *row,
								   const char *format, ...)
{
	va_list args;

	fprintf(stderr, "penstock-bench: --%s ", row->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* A number that ends at `stop` or at the end of the text; returns where it ended. */
static const char *read_number(const struct row *row, const char *text, char stop,
			       uint64_t *ret_value)
{
	char *rest;

	errno = 0;
	unsigned long long value = strtoull(text, &rest, 10);
	if (errno != 0 || rest == text || *text == '-' || (*rest != '\0' && *rest != stop) ||
	    value < row->least || value > row->most)
		refuse(row, "takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'", row->least,
		       row->most, text);
	*ret_value = value;
	return rest;
}

static void set_number(const struct row *row, const char *text, struct options *o)
{
	uint64_t value;

	read_number(row, text, '\0', &value);
	memcpy((char *)o + row->at, &value, sizeof(value));
}

static void set_seconds(const struct row *row, const char *text, struct options *o)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (rest == text || *rest != '\0' || !(seconds >= 0 && seconds <= (double)row->most))
		refuse(row, "takes seconds from 0 to %" PRIu64 ", not '%s'", row->most, text);
	uint64_t ns = (uint64_t)(seconds * NS_PER_S);
	memcpy((char *)o + row->at, &ns, sizeof(ns));
}

static void set_text(const struct row *row, const char *text, struct options *o)
{
	memcpy((char *)o + row->at, &text, sizeof(text));
}

static void set_flag(const struct row *row, const char *text, struct options *o)
{
	const bool on = true;

	(void)text;
	memcpy((char *)o + row->at, &on, sizeof(on));
}

static void set_to(const struct row *row, const char *text, struct options *o)
{
	(void)row;
	load_net_parse(text, &o->to);
}

static void set_publish_to(const struct row *row, const char *text, struct options *o)
{
	(void)row;
	o->publish_to_text = text;
	load_net_parse(text, &o->publish_to);
}

static void set_listen(const struct row *row, const char *text, struct options *o)
{
	if (o->listen_count == OPTIONS_LISTEN_MAX)
		refuse(row, "can be given %d times at the most", OPTIONS_LISTEN_MAX);
	load_net_parse(text, &o->listen[o->listen_count++]);
}

static void set_connections(const struct row *row, const char *text, struct options *o)
{
	uint64_t value;

	for (o->step_count = 0; o->step_count < OPTIONS_STEPS_MAX; text++) {
		text = read_number(row, text, ',', &value);
		o->step[o->step_count++] = (uint32_t)value;
		o->conn_count = (uint32_t)value;
		if (*text == '\0')
			return;
	}
	refuse(row, "takes %d counts at the most", OPTIONS_STEPS_MAX);
}

static void set_schedule(const struct row *row, const char *text, struct options *o)
{
	if (strcmp(text, "uniform") == 0)
		o->schedule = SCHEDULE_UNIFORM;
	else if (strcmp(text, "poisson") == 0)
		o->schedule = SCHEDULE_POISSON;
	else
		refuse(row, "is uniform or poisson, not '%s'", text);
}

#define AT(field) offsetof(struct options, field)

static const struct row rows[] = {
	{ OPTION_TO, 'T', "to", "HOST:PORT", "where to connect", set_to, 0, 0, 0 },
	{ OPTION_LISTEN, 'l', "listen", "HOST:PORT", "where to listen; can be repeated", set_listen,
	  0, 0, 0 },
	{ OPTION_CONNECTIONS, 'c', "connections", "N", "connections at once (default 1)",
	  set_connections, 0, 1, 1000000 },
	{ OPTION_BYTES, 'b', "bytes", "N", "size of one message, or of one write of a stream",
	  set_number, AT(message_bytes), 1, 1 << 30 },
	{ OPTION_SECONDS, 't', "seconds", "S", "measured time (default 1)", set_seconds, AT(run_ns),
	  0, 3600 },
	{ OPTION_WARM_UP, 'w', "warm-up", "S", "time before it (default 0.05)", set_seconds,
	  AT(warm_ns), 0, 3600 },
	{ OPTION_CPU_OF, 'p', "cpu-of", "PID", "report what this process uses inside the window",
	  set_number, AT(proxy_pid), 1, 1 << 22 },
	{ OPTION_HGRM, 0, "hgrm", "FILE", "write the latencies there, as HdrHistogram prints them",
	  set_text, AT(hgrm_path), 0, 0 },
	{ OPTION_RATE, 'r', "rate", "N", "messages per second over all connections", set_number,
	  AT(rate), 1, 10000000 },
	{ OPTION_SCHEDULE, 0, "schedule", "HOW",
	  "uniform (default): equal gaps; poisson: independent arrivals", set_schedule, 0, 0, 0 },
	{ OPTION_SPIN, 0, "spin-us", "N", "poll for the last N us before a message (default 50)",
	  set_number, AT(spin_us), 0, 1000 },
	{ OPTION_DOWN, 0, "down", NULL, "the sink sends, the generator receives", set_flag,
	  AT(down), 0, 0 },
	{ OPTION_TLS, 0, "tls", NULL, "inside TLS, towards a proxy that ends it", set_flag, AT(tls),
	  0, 0 },
	{ OPTION_SNI, 0, "sni", "NAME", "server name in the ClientHello", set_text, AT(sni), 0, 0 },
	{ OPTION_ALPN, 0, "alpn", "NAME", "application protocol in the ClientHello", set_text,
	  AT(alpn), 0, 0 },
	{ OPTION_CIPHER, 0, "cipher", "SUITE", "TLS 1.3 with this suite and nothing else", set_text,
	  AT(cipher), 0, 0 },
	{ OPTION_RESUME, 0, "resume", NULL, "resume the session of an earlier connection", set_flag,
	  AT(resume), 0, 0 },
	{ OPTION_TRUST, 0, "cafile", "FILE", "the authorities to trust (default: the system's)",
	  set_text, AT(ca_path), 0, 0 },
	{ OPTION_TRUST, 0, "insecure", NULL, "do not check the server's certificate", set_flag,
	  AT(insecure), 0, 0 },
	{ OPTION_TOPIC, 0, "topic", "NAME", "topic, or first part of the topics' names", set_text,
	  AT(topic), 0, 0 },
	{ OPTION_TOPICS, 0, "topics", "N", "number of topics", set_number, AT(topics), 1, 1000000 },
	{ OPTION_NAMESPACE, 0, "namespace", "TENANT/NAMESPACE", "namespace of the topics", set_text,
	  AT(name_space), 0, 0 },
	{ OPTION_PARTITIONS, 0, "partitions", "N", "partitions of a topic", set_number,
	  AT(partitions), 1, 100000 },
	{ OPTION_PAYLOAD, 0, "payload", "N", "size of one record inside a message", set_number,
	  AT(payload_bytes), 1, 1 << 30 },
	{ OPTION_DELAY, 0, "delay-us", "N", "wait this long before every answer (default 0)",
	  set_number, AT(delay_us), 0, 10000000 },
	{ OPTION_WINDOW, 0, "window", "N",
	  "requests unanswered per connection, without --rate (default 1)", set_number, AT(window),
	  1, 100000 },
	{ OPTION_STAY, 0, "stay", NULL, "connect to --to, wherever an answer points", set_flag,
	  AT(stay), 0, 0 },
	{ OPTION_FILL, 0, "fill", "MIB", "what a topic is filled with (default 16)", set_number,
	  AT(fill_mib), 1, 1 << 20 },
	{ OPTION_PUBLISH_TO, 0, "publish-to", "HOST:PORT",
	  "where publishers connect (default: --to)", set_publish_to, 0, 0, 0 },
	{ OPTION_MAX_BYTES, 0, "max-bytes", "N", "largest answer to a fetch (default 1048576)",
	  set_number, AT(max_bytes), 1, 64 << 20 },
	{ OPTION_ADVERTISE, 0, "advertise", "HOST:PORT",
	  "address in the answers (default: where the client came in)", set_text, AT(advertise), 0,
	  0 },
	{ OPTION_THROUGH, 0, "through-service", NULL,
	  "lookups say: through the service address, as a proxy's answers do", set_flag,
	  AT(through_service), 0, 0 },
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

/* getopt's own tables, made from the rows. */
static void fill_getopt(struct option *long_rows, char *letters)
{
	*letters++ = ':'; /* a missing argument is told apart; messages are ours */
	for (int i = 0; i < ROW_COUNT; i++) {
		const struct row *row = &rows[i];

		long_rows[i] = (struct option){ .name = row->name,
						.has_arg = row->argument != NULL,
						.val = FIRST_LONG_ONLY + i };
		if (row->letter == 0)
			continue;
		*letters++ = row->letter;
		if (row->argument != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
}

static const struct row *row_of(int value)
{
	if (value >= FIRST_LONG_ONLY)
		return &rows[value - FIRST_LONG_ONLY];
	for (int i = 0; i < ROW_COUNT; i++) {
		if (rows[i].letter == value)
			return &rows[i];
	}
	return NULL;
}

static _Noreturn void refuse_words(const char *who, const char *what, const char *word)
{
	fprintf(stderr, "penstock-bench: %s %s %s: see penstock-bench %s --help\n", who, what, word,
		who);
	exit(2);
}

void options_parse(int argc, char **argv, const char *who, uint32_t takes, struct options *ret_o)
{
	struct option long_rows[ROW_COUNT + 1] = { 0 };
	char letters[2 * ROW_COUNT + 2];
	uint32_t given = 0;
	int value;

	fill_getopt(long_rows, letters);
	opterr = 0;
	while ((value = getopt_long(argc, argv, letters, long_rows, NULL)) != -1) {
		if (value == ':')
			refuse_words(who, "needs a value after", argv[optind - 1]);

		const struct row *row = row_of(value);
		if (row == NULL)
			refuse_words(who, "does not know", argv[optind - 1]);
		if ((takes & row->bit) == 0)
			refuse_words(who, "has no use for", row->name);
		row->set(row, optarg, ret_o);
		given |= row->bit;
	}
	if (optind != argc)
		refuse_words(who, "does not take", argv[optind]);
	if ((takes & OPTION_TO) != 0 && (given & OPTION_TO) == 0)
		refuse_words(who, "needs", "--to HOST:PORT");
	if ((takes & OPTION_LISTEN) != 0 && (given & OPTION_LISTEN) == 0)
		refuse_words(who, "needs", "--listen HOST:PORT");
	if ((takes & OPTION_TLS) != 0 && (given & OPTION_IN_TLS) != 0 && !ret_o->tls)
		refuse_words(who, "needs", "--tls for what a TLS session shall be like");
}

void options_print(uint32_t takes)
{
	for (int i = 0; i < ROW_COUNT; i++) {
		const struct row *row = &rows[i];
		char words[64];

		if ((takes & row->bit) == 0)
			continue;
		snprintf(words, sizeof(words), "--%s%s%s", row->name, row->argument ? " " : "",
			 row->argument ? row->argument : "");
		if (row->letter != 0)
			printf("  -%c, %-28s %s\n", row->letter, words, row->help);
		else
			printf("      %-28s %s\n", words, row->help);
	}
}

void options_man(FILE *out)
{
	for (int i = 0; i < ROW_COUNT; i++) {
		const struct row *row = &rows[i];

		roff_item(out);
		if (row->letter != 0) {
			const char letter[] = { '-', row->letter, '\0' };

			roff_bold(out, letter);
			fputs(", ", out);
		}
		fputs("\\fB\\-\\-", out);
		roff_inline(out, row->name);
		fputs("\\fR ", out);
		if (row->argument != NULL)
			roff_italic(out, row->argument);
		fputc('\n', out);
		roff_text(out, row->help);
	}
}

void options_names(uint32_t takes, FILE *out)
{
	for (int i = 0; i < ROW_COUNT; i++)
		if ((takes & rows[i].bit) != 0)
			fprintf(out, " --%s", rows[i].name);
}

void options_with_value(bool is_file, FILE *out)
{
	const char *bar = "";

	for (int i = 0; i < ROW_COUNT; i++) {
		const struct row *row = &rows[i];

		if (row->argument == NULL || (strcmp(row->argument, "FILE") == 0) != is_file)
			continue;
		fprintf(out, "%s--%s", bar, row->name);
		if (row->letter != 0)
			fprintf(out, "|-%c", row->letter);
		bar = "|";
	}
}
