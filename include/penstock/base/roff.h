/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * roff: writing manual pages: the few man(7) macros they need, around texts that come from the
 * tables the programs use. A header alone, so that penstock-bench, which links nothing of ours, can
 * have it too.
 * Thread:   any
 * Errors:   none here: the stream keeps its own
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

static inline void roff_byte(FILE *out, char byte)
{
	if (byte == '\\')
		fputs("\\e", out);
	else if (byte == '-')
		fputs("\\-", out); /* a minus that can be copied into a shell */
	else if (byte == '\'')
		fputs("\\(aq", out);
	else
		fputc(byte, out);
}

/* Text inside of a line; `words` in backquotes become bold, as Markdown would have them. */
static inline void roff_inline(FILE *out, const char *text)
{
	bool is_bold = false;

	for (; *text != '\0'; text++) {
		if (*text != '`') {
			roff_byte(out, *text);
			continue;
		}
		is_bold = !is_bold;
		fputs(is_bold ? "\\fB" : "\\fR", out);
	}
	if (is_bold)
		fputs("\\fR", out);
}

/* A line of its own. A dot at its beginning would be a request. */
static inline void roff_text(FILE *out, const char *text)
{
	fputs("\\&", out);
	roff_inline(out, text);
	fputc('\n', out);
}

static inline void roff_bold(FILE *out, const char *text)
{
	fputs("\\fB", out);
	roff_inline(out, text);
	fputs("\\fR", out);
}

static inline void roff_italic(FILE *out, const char *text)
{
	fputs("\\fI", out);
	roff_inline(out, text);
	fputs("\\fR", out);
}

/* The head of the page, without a date: the same sources make the same bytes. */
static inline void roff_title(FILE *out, const char *name, int section, const char *brief,
			      const char *version)
{
	fprintf(out, ".\\\" Printed from the program's own tables by `make man`; do not edit.\n");
	fprintf(out, ".TH \"%s\" %d \"\" \"penstock %s\"\n.nh\n.ad l\n", name, section, version);
	fprintf(out, ".SH NAME\n");
	roff_inline(out, name);
	fprintf(out, " \\- ");
	roff_inline(out, brief);
	fputc('\n', out);
}

static inline void roff_section(FILE *out, const char *title)
{
	fputs(".SH \"", out);
	roff_inline(out, title);
	fputs("\"\n", out);
}

static inline void roff_subsection(FILE *out, const char *title)
{
	fputs(".SS \"", out);
	roff_inline(out, title);
	fputs("\"\n", out);
}

static inline void roff_paragraph(FILE *out)
{
	fputs(".PP\n", out);
}

/* What stands indented under the line that follows; that line is the caller's to end. */
static inline void roff_item(FILE *out)
{
	fputs(".TP\n", out);
}

/* Lines as they are. */
static inline void roff_verbatim(FILE *out, bool is_on)
{
	fputs(is_on ? ".PP\n.nf\n.RS 2\n" : ".RE\n.fi\n", out);
}

/* Prose as help texts have it: an empty line begins a paragraph, lines that begin with two blanks
 * stay as they are. */
static inline void roff_prose(FILE *out, const char *text)
{
	bool is_verbatim = false;

	while (*text != '\0') {
		const char *end = text;

		while (*end != '\0' && *end != '\n')
			end++;
		bool is_fixed = end - text > 1 && text[0] == ' ' && text[1] == ' ';

		if (is_fixed != is_verbatim) {
			is_verbatim = is_fixed;
			roff_verbatim(out, is_verbatim);
		}
		if (end == text && !is_verbatim) {
			roff_paragraph(out);
		} else {
			fputs("\\&", out);
			for (const char *at = text + (is_fixed ? 2 : 0); at < end; at++)
				roff_byte(out, *at);
			fputc('\n', out);
		}
		text = *end == '\0' ? end : end + 1;
	}
	if (is_verbatim)
		roff_verbatim(out, false);
}
