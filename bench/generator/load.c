/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * penstock-bench: the load generator and its sink, in one binary. Here are the list of modes
 * and the few things that every part uses.
 */
#include "load.h"

#include "load_help.h"
#include "sink.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

const struct load_mode *const load_modes[] = {
	&load_stream,	      &load_pingpong,
	&load_open,	      &load_crr,
	&load_hello,	      &load_tls,
	&load_idle,	      &load_mice,
	&load_pulsar_lookup,  &load_pulsar_produce,
	&load_pulsar_consume, &load_pulsar_reconnect,
	&load_kafka_metadata, &load_kafka_topics,
	&load_kafka_produce,  &load_kafka_fetch,
	&load_kafka_idle,     NULL,
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

void *load_alloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL)
		load_die("memory");
	return memory;
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
	else if (error_number == EPROTO) /* of load_channel.h and tls_client.h */
		error = LOAD_ERROR_TLS;
	else if (error_number == EADDRNOTAVAIL || error_number == EMFILE)
		error = LOAD_ERROR_NO_PORT;
	l->errors[error]++;
}

void load_note(struct load *l, const char *name, uint64_t value)
{
	assert(l->note_count < LOAD_NOTES_MAX);
	l->notes[l->note_count++] = (struct load_note){ name, value, NULL };
}

void load_note_text(struct load *l, const char *name, const char *text)
{
	load_note(l, name, 0);
	l->notes[l->note_count - 1].text = text;
}

void load_count_end(struct load *l, int error_number)
{
	if (error_number == 0)
		l->errors[LOAD_ERROR_EOF]++;
	else
		load_count_error(l, error_number);
}

void load_count_refusal(struct load *l, const char *protocol, uint64_t code)
{
	for (int i = 0; i < LOAD_REFUSALS_MAX; i++) {
		struct load_refusal *r = &l->refusals[i];

		if (r->count > 0 && (r->code != code || strcmp(r->protocol, protocol) != 0))
			continue;
		r->protocol = protocol;
		r->code = code;
		r->count++;
		return;
	}
	l->errors[LOAD_ERROR_PROTOCOL]++; /* more codes than there are */
}

static _Noreturn void usage(void)
{
	fputs("usage: penstock-bench load MODE --to HOST:PORT [options]\n"
	      "       penstock-bench sink KIND --listen HOST:PORT... [options]\n"
	      "       penstock-bench --help\n",
	      stderr);
	exit(2);
}

static bool is_help(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "--help") == 0;
}

static int main_load(const struct load_mode *mode, int argc, char **argv)
{
	static struct load l = { .ask = { .conn_count = 1,
					  .step = { 1 },
					  .step_count = 1,
					  .run_ns = NS_PER_S,
					  .warm_ns = NS_PER_S / 20,
					  .spin_us = 50,
					  .window = 1,
					  .fill_mib = 16,
					  .max_bytes = 1 << 20 } };
	char who[64];

	if (is_help(argc, argv)) {
		load_help_mode(mode);
		return 0;
	}
	l.mode = mode;
	l.ask.message_bytes = mode->message_bytes;
	snprintf(who, sizeof(who), "load %s", mode->name);
	options_parse(argc, argv, who, mode->takes, &l.ask);
	if (l.ask.step_count > 1 && !mode->takes_steps)
		load_refuse("only load idle and load kafka-idle take several connection counts");
	load_net_raise_fd_limit();
	mode->run(&l);
	return load_report(&l);
}

static int main_sink(const struct sink_kind *kind, int argc, char **argv)
{
	static struct options ask;
	char who[64];

	if (is_help(argc, argv)) {
		load_help_sink(kind);
		return 0;
	}
	snprintf(who, sizeof(who), "sink %s", kind->name);
	options_parse(argc, argv, who, kind->takes, &ask);
	load_net_raise_fd_limit();
	sink_serve(kind, &ask);
}

/* Prints what `make man` and `make docs` want; false: the word is something else. */
static bool is_page(const char *word)
{
	if (strcmp(word, "man") == 0)
		load_help_man();
	else if (strcmp(word, "bash") == 0 || strcmp(word, "zsh") == 0)
		load_help_completion(word[0] == 'z');
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	if (is_help(argc, argv)) {
		load_help();
		return 0;
	}
	if (argc == 2 && is_page(argv[1]))
		return 0;
	if (argc < 3)
		usage();
	/* getopt takes its first argument for the program's name: the mode stands there. */
	for (int i = 0; strcmp(argv[1], "load") == 0 && load_modes[i] != NULL; i++) {
		if (strcmp(argv[2], load_modes[i]->name) == 0)
			return main_load(load_modes[i], argc - 2, argv + 2);
	}
	for (int i = 0; strcmp(argv[1], "sink") == 0 && sink_kinds[i] != NULL; i++) {
		if (strcmp(argv[2], sink_kinds[i]->name) == 0)
			return main_sink(sink_kinds[i], argc - 2, argv + 2);
	}
	fprintf(stderr, "penstock-bench: there is no '%s %s'\n", argv[1], argv[2]);
	usage();
}
