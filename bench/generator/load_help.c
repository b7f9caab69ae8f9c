/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What --help says: of the program, of a mode, of a sink.
 */
#include "load_help.h"

#include "load.h"
#include "sink.h"

#include <penstock/base/roff.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 96 };

static const char result_text[] =
	"Result of load: one line of JSON on standard output\n"
	"  seconds               length of the measuring window\n"
	"  work, per_second      what was done inside it; each mode's help says what it counts\n"
	"  own_cpu_ns            CPU time of the generator\n"
	"  proxy_cpu_ns          with --cpu-of: CPU time of that process, all threads, exact\n"
	"  proxy_user_ms, proxy_system_ms\n"
	"                        its split, in clock ticks\n"
	"  proxy_switches        its context switches, of the threads that live at both ends\n"
	"  latency_us            count, p50, p90, p99, p999 and max; errors at most 0.8 %\n"
	"  offered_per_second    open loops: messages intended inside the window\n"
	"  late_us               open loops: how much later than intended the generator sent\n"
	"  beside                what only this mode has to say\n"
	"  valid, invalid_why    whether the figures can be used, as far as the generator can tell\n"
	"  errors                by reason: refused, reset, eof (closed too early), short (the sink\n"
	"                        counted other bytes), stuck (not done 5 s after the window), no_port\n"
	"                        (no local port or descriptor left), protocol (not the answer that\n"
	"                        was due), tls, other; and error codes of a protocol, as pulsar_6\n"
	"\n"
	"A sink prints a line of JSON when it listens, and serves until it is killed.\n"
	"\n"
	"Open loops (--rate). Every message has an intended send time, whatever the answers do, and its\n"
	"latency counts from there. The run is not valid when the generator itself was late (at p50 by\n"
	"more than a fifth of the latency there, at p99 by more than half) or when fewer than 99 % of\n"
	"the messages were answered before 0.1 s after the window. To be on time, the generator sleeps\n"
	"until --spin-us before a message and then polls, offering the core to others at every turn.\n"
	"\n"
	"Exit status: 0; 1 when there were errors or the run is not valid (the line is printed all the\n"
	"same) or could not start; 2 when the command line is wrong.\n"
	"\n"
	"Examples\n"
	"  penstock-bench sink echo --listen 10.0.0.2:7000\n"
	"  penstock-bench load open --to gateway:6650 -c 64 --rate 5000 -t 30 --hgrm open.hgrm\n"
	"  penstock-bench load stream --to gateway:6650 -c 8 -b 1048576 --down --cpu-of $(pidof haproxy)\n";

/* Fills lines; an empty line in the text begins a paragraph, other line ends are spaces. */
static void print_filled(const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t spaces = strspn(text, " \n");
		size_t size = strcspn(text + spaces, " \n");

		if (column > 0 && strncmp(text, "\n\n", 2) == 0) {
			printf("\n\n");
			column = 0;
		} else if (column > 0 && column + 1 + size > COLUMNS) {
			printf("\n");
			column = 0;
		} else if (column > 0) {
			column += (size_t)printf(" ");
		}
		column += (size_t)printf("%.*s", (int)size, text + spaces);
		text += spaces + size;
	}
	printf("\n");
}

static void print_summary(const char *name, const char *summary)
{
	printf("  %-18s %s\n", name, summary);
}

void load_help(void)
{
	printf("penstock-bench: load for a TCP proxy, and servers to put behind it\n\n"
	       "  penstock-bench load MODE --to HOST:PORT [options]\n"
	       "  penstock-bench load MODE --help\n"
	       "  penstock-bench sink KIND --listen HOST:PORT... [options]\n"
	       "  penstock-bench sink KIND --help\n\n"
	       "Modes of load\n");
	for (int i = 0; load_modes[i] != NULL; i++)
		print_summary(load_modes[i]->name, load_modes[i]->summary);
	printf("\nKinds of sink\n");
	for (int i = 0; sink_kinds[i] != NULL; i++)
		print_summary(sink_kinds[i]->name, sink_kinds[i]->summary);
	printf("\n%s", result_text);
}

void load_help_mode(const struct load_mode *mode)
{
	printf("penstock-bench load %s: %s\n\n  penstock-bench load %s --to HOST:PORT [options]\n\n",
	       mode->name, mode->summary, mode->name);
	print_filled(mode->about);
	printf("\nOptions\n");
	options_print(mode->takes);
	if ((mode->takes & OPTION_BYTES) != 0)
		printf("\n-b is %zu unless given. ", mode->message_bytes);
	else
		printf("\n");
	printf("What the result means: penstock-bench --help\n");
}

void load_help_sink(const struct sink_kind *kind)
{
	printf("penstock-bench sink %s: %s\n\n  penstock-bench sink %s --listen HOST:PORT...\n\n",
	       kind->name, kind->summary, kind->name);
	print_filled(kind->about);
	printf("\nOptions\n");
	options_print(kind->takes);
}

/* ---- penstock-bench(1) ---------------------------------------------------------------------- */

static void man_entry(const char *name, const char *summary, const char *about, uint32_t takes)
{
	roff_item(stdout);
	roff_bold(stdout, name);
	fputc('\n', stdout);
	roff_text(stdout, summary);
	fputs(".sp\n", stdout);
	/* Inside of an item a paragraph is vertical space. */
	for (const char *at = about; *at != '\0';) {
		size_t size = strcspn(at, "\n");

		fputs(size == 0 ? ".sp" : "\\&", stdout);
		for (size_t i = 0; i < size; i++)
			roff_byte(stdout, at[i]);
		fputc('\n', stdout);
		at += size + (at[size] == '\n');
	}
	fputs(".sp\nOptions:", stdout);

	char names[1024] = "";
	FILE *out = fmemopen(names, sizeof(names), "w");

	if (out != NULL) {
		options_names(takes, out);
		fclose(out);
	}
	roff_inline(stdout, names);
	fputc('\n', stdout);
}

void load_help_man(void)
{
	roff_title(stdout, "penstock-bench", 1,
		   "load for a TCP proxy, and servers to put behind it", PENSTOCK_VERSION);
	roff_section(stdout, "SYNOPSIS");
	fputs("\\fBpenstock\\-bench load\\fR \\fIMODE\\fR \\fB\\-\\-to\\fR \\fIHOST:PORT\\fR "
	      "[options]\n.br\n"
	      "\\fBpenstock\\-bench sink\\fR \\fIKIND\\fR \\fB\\-\\-listen\\fR "
	      "\\fIHOST:PORT\\fR... [options]\n",
	      stdout);
	roff_section(stdout, "DESCRIPTION");
	roff_text(stdout,
		  "A load is one thread in one process that talks to a sink through the proxy "
		  "to be measured, and prints one line of JSON. A sink is a server on one "
		  "thread. Neither needs anything installed but itself.");
	roff_section(stdout, "MODES OF LOAD");
	for (int i = 0; load_modes[i] != NULL; i++)
		man_entry(load_modes[i]->name, load_modes[i]->summary, load_modes[i]->about,
			  load_modes[i]->takes);
	roff_section(stdout, "KINDS OF SINK");
	for (int i = 0; sink_kinds[i] != NULL; i++)
		man_entry(sink_kinds[i]->name, sink_kinds[i]->summary, sink_kinds[i]->about,
			  sink_kinds[i]->takes);
	roff_section(stdout, "OPTIONS");
	options_man(stdout);
	roff_section(stdout, "RESULT");
	roff_prose(stdout, result_text);
	roff_section(stdout, "SEE ALSO");
	roff_text(stdout, "penstock(1)");
}
