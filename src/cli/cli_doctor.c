/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor: the table of checks, and what is made of their findings. cli_doctor.h says the rest.
 */
#define _GNU_SOURCE /* vasprintf */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <unistd.h>

#include <penstock/base/log.h>

#include "cli_doctor.h"

#define TLS_MEMORY (256u << 20)

struct check {
	const char *name;
	void (*run)(struct doctor *doctor);
};

/* The configuration first, since much is held against it; ports after brokers, whose number it
 * wants. */
static const struct check checks[] = {
	{ "config", cli_doctor_config },       { "certificates", cli_doctor_certificates },
	{ "kernel", cli_doctor_kernel },       { "io_uring", cli_doctor_uring },
	{ "memlock", cli_doctor_memlock },     { "files", cli_doctor_files },
	{ "pipes", cli_doctor_pipes },	       { "memory", cli_doctor_memory },
	{ "ktls", cli_doctor_ktls },	       { "clock", cli_doctor_clock },
	{ "cpus", cli_doctor_cpus },	       { "governor", cli_doctor_governor },
	{ "siblings", cli_doctor_siblings },   { "isolation", cli_doctor_isolation },
	{ "irqs", cli_doctor_irqs },	       { "rss", cli_doctor_rss },
	{ "numa", cli_doctor_numa },	       { "listeners", cli_doctor_listeners },
	{ "backlog", cli_doctor_backlog },     { "conntrack", cli_doctor_conntrack },
	{ "zookeeper", cli_doctor_zookeeper }, { "brokers", cli_doctor_brokers },
	{ "ports", cli_doctor_ports },
};

/* ---- findings ------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list args)
{
	char *text = NULL;

	return vasprintf(&text, format, args) < 0 ? NULL : text;
}

static struct doctor_finding *last_of(struct doctor *doctor)
{
	CHECK(doctor->finding_count > 0);
	return &doctor->findings[doctor->finding_count - 1];
}

void cli_doctor_say(struct doctor *doctor, enum doctor_state state, const char *format, ...)
{
	if (doctor->finding_count == doctor->finding_room) {
		uint32_t room = 2 * doctor->finding_room + 32;
		void *at = realloc(doctor->findings, room * sizeof(*doctor->findings));

		CHECK(at != NULL); /* a few kilobytes, in a tool */
		doctor->findings = at;
		doctor->finding_room = room;
	}
	va_list args;

	va_start(args, format);
	doctor->findings[doctor->finding_count++] = (struct doctor_finding){
		.check = doctor->check,
		.state = state,
		.what = format_text(format, args),
	};
	va_end(args);
}

void cli_doctor_remedy(struct doctor *doctor, const char *format, ...)
{
	struct doctor_finding *finding = last_of(doctor);
	va_list args;

	CHECK(finding->remedy == NULL);
	va_start(args, format);
	finding->remedy = format_text(format, args);
	va_end(args);
}

void cli_doctor_sysctl(struct doctor *doctor, const char *name, const char *format, ...)
{
	struct doctor_finding *finding = last_of(doctor);
	va_list args;

	va_start(args, format);
	finding->value = format_text(format, args);
	va_end(args);
	finding->sysctl = name;
	if (finding->value != NULL)
		cli_doctor_remedy(doctor, "sysctl -w %s='%s', and for good in /etc/sysctl.d", name,
				  finding->value);
}

void cli_doctor_run(struct doctor *doctor)
{
	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		doctor->check = checks[i].name;
		checks[i].run(doctor);
	}
}

void cli_doctor_fini(struct doctor *doctor)
{
	for (uint32_t i = 0; i < doctor->finding_count; i++) {
		free(doctor->findings[i].what);
		free(doctor->findings[i].remedy);
		free(doctor->findings[i].value);
	}
	free(doctor->findings);
	free(doctor->said);
	tls_set_free(doctor->tls);
	*doctor = (struct doctor){ .root = doctor->root };
}

/* ---- the report ----------------------------------------------------------------------------- */

static const char *const words[] = { "ok", "warn", "fail", "fail" };

static void count(const struct doctor *doctor, uint32_t ret_counts[3])
{
	ret_counts[0] = ret_counts[1] = ret_counts[2] = 0;
	for (uint32_t i = 0; i < doctor->finding_count; i++) {
		enum doctor_state state = doctor->findings[i].state;

		ret_counts[state == DOCTOR_STOP ? DOCTOR_FAIL : state]++;
	}
}

/* Bytes that are no text (of a file name, or of what a server said) must not reach a terminal. */
static void print_plain(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

void cli_doctor_print(const struct doctor *doctor, FILE *out)
{
	uint32_t counts[3];

	for (uint32_t i = 0; i < doctor->finding_count; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		fprintf(out, "%-5s %-13s ", words[finding->state], finding->check);
		print_plain(out, finding->what != NULL ? finding->what : "out of memory");
		if (finding->remedy != NULL) {
			fputs("; ", out);
			print_plain(out, finding->remedy);
		}
		fputc('\n', out);
	}
	count(doctor, counts);
	fprintf(out, "doctor: %u ok, %u warn, %u fail\n", counts[0], counts[1], counts[2]);
}

/* Bytes of the UTF-8 character at `text`; 0: it is none. Overlong forms pass: nobody decides
 * anything by this. */
static size_t utf8_len(const char *text)
{
	unsigned char lead = (unsigned char)text[0];
	size_t len = lead < 0x80   ? 1
		     : lead < 0xc2 ? 0
		     : lead < 0xe0 ? 2
		     : lead < 0xf0 ? 3
		     : lead < 0xf5 ? 4
				   : 0;

	for (size_t i = 1; i < len; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text != '\0') {
		unsigned char byte = (unsigned char)*text;
		size_t len = utf8_len(text);

		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte < ' ' || byte == 0x7f || len == 0)
			fprintf(out, "\\u%04x", byte);
		else
			fwrite(text, 1, len, out);
		text += len > 0 ? len : 1;
	}
	fputc('"', out);
}

void cli_doctor_print_json(const struct doctor *doctor, FILE *out)
{
	uint32_t counts[3];

	count(doctor, counts);
	fprintf(out, "{\"version\": ");
	print_quoted(out, PENSTOCK_VERSION);
	fprintf(out, ", \"result\": \"%s\", \"ok\": %u, \"warn\": %u, \"fail\": %u, \"checks\": [",
		counts[2] > 0	? "fail"
		: counts[1] > 0 ? "warn"
				: "ok",
		counts[0], counts[1], counts[2]);
	for (uint32_t i = 0; i < doctor->finding_count; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		fprintf(out,
			"%s\n{\"check\": \"%s\", \"state\": \"%s\", \"what\": ", i > 0 ? "," : "",
			finding->check, words[finding->state]);
		print_quoted(out, finding->what != NULL ? finding->what : "out of memory");
		fputs(", \"remedy\": ", out);
		if (finding->remedy != NULL)
			print_quoted(out, finding->remedy);
		else
			fputs("null", out);
		fputc('}', out);
	}
	fputs("\n]}\n", out);
}

void cli_doctor_print_sysctl(const struct doctor *doctor, FILE *out)
{
	fputs("# What penstock doctor would change on this host, for /etc/sysctl.d/60-penstock.conf;\n"
	      "# sysctl --system puts it in force.\n",
	      out);
	for (uint32_t i = 0; i < doctor->finding_count; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		if (finding->sysctl == NULL || finding->what == NULL || finding->value == NULL)
			continue;
		fputs("# ", out);
		print_plain(out, finding->what);
		fprintf(out, "\n%s = ", finding->sysctl);
		print_plain(out, finding->value);
		fputc('\n', out);
	}
}

int cli_doctor_exit(const struct doctor *doctor)
{
	int code = CLI_FINE;

	for (uint32_t i = 0; i < doctor->finding_count; i++) {
		if (doctor->findings[i].state == DOCTOR_STOP)
			return CLI_CONFIG;
		if (doctor->findings[i].state == DOCTOR_FAIL)
			code = CLI_FAILURE;
	}
	return code;
}

/* ---- the command ---------------------------------------------------------------------------- */

static void look_at_host(struct doctor_host *host)
{
	struct timex clock = { .modes = 0 };

	if (uname(&host->kernel) < 0)
		host->kernel = (struct utsname){ .sysname = "?", .release = "?", .machine = "?" };
	host->is_root = geteuid() == 0;
	host->uring_err = uring_probe(&host->uring, host->uring_why, sizeof(host->uring_why));
	host->tls = *tls_features();
	host->is_clock_synced = adjtimex(&clock) != TIME_ERROR;
}

int cli_doctor(const struct cli *cli)
{
	struct doctor doctor = { .root = "", .config_path = cli->config_path };
	int ret = tls_init(TLS_MEMORY);

	if (ret < 0) {
		fprintf(stderr, "penstock doctor: out of memory\n");
		return CLI_FAILURE;
	}
	/* What our own modules would log is in the findings. */
	log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	look_at_host(&doctor.host);
	cli_doctor_find(&doctor);

	struct config *config = cli_doctor_load(&doctor);

	cli_doctor_run(&doctor);
	if (cli->is_sysctl)
		cli_doctor_print_sysctl(&doctor, stdout);
	else if (cli->is_json)
		cli_doctor_print_json(&doctor, stdout);
	else
		cli_doctor_print(&doctor, stdout);
	int code = cli_doctor_exit(&doctor);

	cli_doctor_fini(&doctor);
	config_free(config);
	tls_fini();
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		fprintf(stderr, "penstock doctor: standard output cannot be written\n");
		return CLI_FAILURE;
	}
	return code;
}
