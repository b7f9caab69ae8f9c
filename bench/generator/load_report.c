/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The result of a run: one JSON line.
 */
#include "load.h"

#include "load_pace.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const error_words[LOAD_ERROR_COUNT] = {
	[LOAD_ERROR_REFUSED] = "refused",   [LOAD_ERROR_RESET] = "reset",
	[LOAD_ERROR_EOF] = "eof",	    [LOAD_ERROR_SHORT] = "short",
	[LOAD_ERROR_STUCK] = "stuck",	    [LOAD_ERROR_NO_PORT] = "no_port",
	[LOAD_ERROR_PROTOCOL] = "protocol", [LOAD_ERROR_TLS] = "tls",
	[LOAD_ERROR_OTHER] = "other",
};

static const char *const work_words[LOAD_WORK_COUNT] = {
	[LOAD_BYTES] = "bytes",
	[LOAD_ROUND_TRIPS] = "round_trips",
	[LOAD_CONNECTIONS] = "connections",
	[LOAD_MESSAGES] = "messages",
	[LOAD_LOOKUPS] = "lookups",
	[LOAD_REQUESTS] = "requests",
	[LOAD_REDIRECTS] = "redirects",
};

static void print_work(const struct load *l, const char *key, double times)
{
	printf(",\"%s\":{", key);
	for (int i = 0; i < LOAD_WORK_COUNT; i++)
		printf("%s\"%s\":%.0f", i == 0 ? "" : ",", work_words[i],
		       (double)l->work[i] * times);
	printf("}");
}

static uint64_t print_errors(const struct load *l)
{
	uint64_t total = 0;

	printf(",\"errors\":{");
	for (int i = 0; i < LOAD_ERROR_COUNT; i++) {
		if (l->errors[i] == 0)
			continue;
		printf("%s\"%s\":%" PRIu64, total == 0 ? "" : ",", error_words[i], l->errors[i]);
		total += l->errors[i];
	}
	for (int i = 0; i < LOAD_REFUSALS_MAX && l->refusals[i].count > 0; i++) {
		const struct load_refusal *r = &l->refusals[i];

		printf("%s\"%s_%" PRIu64 "\":%" PRIu64, total == 0 ? "" : ",", r->protocol, r->code,
		       r->count);
		total += r->count;
	}
	printf("}");
	return total;
}

static void print_durations(const char *key, const struct hist *h)
{
	static const struct {
		const char *name;
		double share;
	} points[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 }, { "p999", .999 } };

	printf(",\"%s\":{\"count\":%" PRIu64, key, h->count);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		printf(",\"%s\":%.2f", points[i].name,
		       (double)hist_ns_at(h, points[i].share) / 1e3);
	printf(",\"max\":%.2f}", (double)h->ns_max / 1e3);
}

static void print_proxy(const struct load_clock *begin, const struct load_clock *end)
{
	printf(",\"proxy_cpu_ns\":%" PRIu64 ",\"proxy_user_ms\":%" PRIu64
	       ",\"proxy_system_ms\":%" PRIu64,
	       end->proxy_ns - begin->proxy_ns, end->proxy_user_ms - begin->proxy_user_ms,
	       end->proxy_system_ms - begin->proxy_system_ms);
	printf(",\"proxy_switches\":{\"voluntary\":%" PRId64 ",\"involuntary\":%" PRId64 "}",
	       end->proxy_voluntary - begin->proxy_voluntary,
	       end->proxy_involuntary - begin->proxy_involuntary);
}

static void print_notes(const struct load *l)
{
	for (uint32_t i = 0; i < l->note_count; i++) {
		const struct load_note *note = &l->notes[i];

		printf("%s\"%s\":", i == 0 ? ",\"beside\":{" : ",", note->name);
		if (note->text != NULL)
			printf("\"%s\"", note->text);
		else
			printf("%" PRIu64, note->value);
	}
	if (l->note_count > 0)
		printf("}");
}

/* NULL: the run is worth its figures, as far as the generator can tell. */
static const char *invalid_why(const struct load *l, char *into, size_t size)
{
	uint64_t done = 0;

	for (int i = 0; i < LOAD_WORK_COUNT; i++)
		done += i == LOAD_CONNECTIONS ? 0 : l->work[i];
	if (done == 0)
		return "nothing was done";
	if (l->invalid_why != NULL)
		return l->invalid_why;
	return l->offered > 0 ? load_pace_fault(l, into, size) : NULL;
}

static void write_hgrm(const struct load *l)
{
	FILE *f = fopen(l->ask.hgrm_path, "we");

	if (f == NULL)
		load_die(l->ask.hgrm_path);
	hist_write_hgrm(&l->latency, f);
	if (fclose(f) != 0)
		load_die(l->ask.hgrm_path);
}

int load_report(const struct load *l)
{
	char text[128];
	const char *why;
	double seconds = (double)(l->end.wall_ns - l->begin.wall_ns) / 1e9;

	printf("{\"mode\":\"%s\",\"to\":\"%s\",\"connection_count\":%u,\"message_bytes\":%" PRIu64
	       ",\"seconds\":%.6f",
	       l->mode->name, l->ask.to.text, l->ask.conn_count, l->ask.message_bytes, seconds);
	print_work(l, "work", 1);
	print_work(l, "per_second", seconds > 0 ? 1 / seconds : 0);
	printf(",\"own_cpu_ns\":%" PRIu64, l->end.own_ns - l->begin.own_ns);
	if (l->ask.proxy_pid != 0)
		print_proxy(&l->begin, &l->end);
	print_durations("latency_us", &l->latency);
	if (l->offered > 0) {
		printf(",\"offered_per_second\":%.0f", (double)l->offered / seconds);
		print_durations("late_us", &l->late);
	}
	print_notes(l);
	why = invalid_why(l, text, sizeof(text));
	printf(",\"valid\":%s", why == NULL ? "true" : "false");
	if (why != NULL)
		printf(",\"invalid_why\":\"%s\"", why);

	uint64_t errors = print_errors(l);
	printf("}\n");
	if (l->ask.hgrm_path != NULL)
		write_hgrm(l);
	return errors != 0 || why != NULL;
}
