/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Making log lines: no printf, no lock and no allocation, since an access line is made for every
 * connection on the thread that moves bytes.
 *
 *     text:  2026-11-21T05:12:33.123456Z info worker 0 access id=12 broker="a b"
 *     json:  {"time":"2026-...Z","level":"info","thread":"worker 0","event":"access","id":12}
 *
 * Bytes outside printable ASCII are escaped in both, \xNN in text and \u00NN in JSON, so no input
 * can forge a line or drive a terminal. TAIL_MAX bytes are kept free for the end of a cut line.
 */
#include <penstock/base/log.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <penstock/base/clock.h>
#include <penstock/base/span.h>

#include "log_priv.h"

#define LEVEL_OFF UINT8_MAX /* the level of a line nobody wants: every function returns at once */
#define TAIL_MAX  16	    /* `,"cut":true}` and the line feed */

static _Atomic uint8_t level_most = LOG_LEVEL_INFO;
static _Atomic uint8_t format_now = LOG_FORMAT_TEXT;
static _Atomic bool is_journal;
static __thread char thread_name[24] = "main";

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* sd-daemon(3): what the journal takes off the front of a line. */
static const char *const level_prefixes[] = {
	[LOG_LEVEL_ERROR] = "<3>",
	[LOG_LEVEL_WARN] = "<4>",
	[LOG_LEVEL_INFO] = "<6>",
	[LOG_LEVEL_DEBUG] = "<7>",
};

void log_configure(enum log_level level, enum log_format format)
{
	atomic_store_explicit(&level_most, (uint8_t)level, memory_order_relaxed);
	atomic_store_explicit(&format_now, (uint8_t)format, memory_order_relaxed);
	/* systemd.exec(5): JOURNAL_STREAM is inherited, so it counts only if it names our stderr.
	 */
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[48];
	bool is_ours = false;
	if (stream != NULL && fstat(STDERR_FILENO, &st) == 0) {
		(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
			       (uintmax_t)st.st_ino);
		is_ours = strcmp(own, stream) == 0;
	}
	atomic_store_explicit(&is_journal, is_ours, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
	return (uint8_t)level <= atomic_load_explicit(&level_most, memory_order_relaxed);
}

void log_thread_name(const char *name)
{
	(void)snprintf(thread_name, sizeof(thread_name), "%s", name);
}

static bool is_json(const struct log_line *line)
{
	return line->format == LOG_FORMAT_JSON;
}

/* What is left for fields. The closing quote of a cut value may already stand in the tail. */
static size_t room_of(const struct log_line *line)
{
	size_t most = LOG_LINE_MAX - TAIL_MAX;
	return line->len < most ? most - line->len : 0;
}

/* All or nothing, so that a line is never cut inside an escape. */
static bool put(struct log_line *line, const char *bytes, size_t len)
{
	if (len > room_of(line)) {
		line->is_cut = true;
		return false;
	}
	memcpy(line->text + line->len, bytes, len);
	line->len = (uint16_t)(line->len + len);
	return true;
}

static bool put_text(struct log_line *line, const char *text)
{
	return put(line, text, strlen(text));
}

static char *write_digits(char *end, uint64_t value, uint32_t least)
{
	for (uint32_t count = 0; count < least || value > 0; count++) {
		*--end = (char)('0' + value % 10);
		value /= 10;
	}
	return end;
}

static void put_number(struct log_line *line, uint64_t value, uint32_t digits)
{
	char text[24], *end = text + sizeof(text);
	char *at = write_digits(end, value, digits);
	(void)put(line, at, (size_t)(end - at));
}

/* Days since 1970 to a date (Howard Hinnant, "chrono-compatible low-level date algorithms"):
 * gmtime_r takes glibc's time zone lock. */
static void put_date(struct log_line *line, uint64_t days)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t mp = (5 * doy + 2) / 153;
	uint64_t month = mp < 10 ? mp + 3 : mp - 9;
	put_number(line, yoe + era * 400 + (month <= 2), 4);
	(void)put(line, "-", 1);
	put_number(line, month, 2);
	(void)put(line, "-", 1);
	put_number(line, doy - (153 * mp + 2) / 5 + 1, 2);
}

static void put_time(struct log_line *line)
{
	uint64_t us = clock_wall_us(), s = us / 1000000;
	put_date(line, s / 86400);
	(void)put(line, "T", 1);
	put_number(line, s / 3600 % 24, 2);
	(void)put(line, ":", 1);
	put_number(line, s / 60 % 60, 2);
	(void)put(line, ":", 1);
	put_number(line, s % 60, 2);
	(void)put(line, ".", 1);
	put_number(line, us % 1000000, 6);
	(void)put(line, "Z", 1);
}

static void begin_json(struct log_line *line, enum log_level level, const char *event)
{
	(void)put_text(line, "{\"time\":\"");
	put_time(line);
	(void)put_text(line, "\",\"level\":\"");
	(void)put_text(line, level_names[level]);
	(void)put_text(line, "\",\"thread\":\"");
	(void)put_text(line, thread_name);
	(void)put_text(line, "\",\"event\":\"");
	(void)put_text(line, event);
	(void)put_text(line, "\"");
}

static void begin_text(struct log_line *line, enum log_level level, const char *event)
{
	if (atomic_load_explicit(&is_journal, memory_order_relaxed)) {
		(void)put_text(line, level_prefixes[level]); /* the journal has its own clock */
	} else {
		put_time(line);
		(void)put_text(line, " ");
	}
	(void)put_text(line, level_names[level]);
	(void)put_text(line, " ");
	(void)put_text(line, thread_name);
	(void)put_text(line, " ");
	(void)put_text(line, event);
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
	/* Not the text: clearing a kilobyte per line would cost more than making it. */
	line->len = 0;
	line->is_cut = false;
	line->level = log_is_on(level) ? (uint8_t)level : LEVEL_OFF;
	line->format = atomic_load_explicit(&format_now, memory_order_relaxed);
	if (line->level == LEVEL_OFF)
		return;
	if (is_json(line))
		begin_json(line, level, event);
	else
		begin_text(line, level, event);
}

/* Begins a field; false when the line is off or cut already: its tail is lost in order. */
static bool put_key(struct log_line *line, const char *key)
{
	if (line->level == LEVEL_OFF || line->is_cut)
		return false;
	/* The value gets at least a few bytes, or the key does not appear either. */
	if (strlen(key) + 8 > room_of(line)) {
		line->is_cut = true;
		return false;
	}
	(void)put_text(line, is_json(line) ? ",\"" : " ");
	(void)put_text(line, key);
	(void)put_text(line, is_json(line) ? "\":" : "=");
	return true;
}

static bool put_escaped(struct log_line *line, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	char high = hex[byte >> 4], low = hex[byte & 15];
	if (byte == '"' || byte == '\\')
		return put(line, (char[]){ '\\', (char)byte }, 2);
	if (byte == '\n')
		return put(line, "\\n", 2);
	if (is_json(line))
		return put(line, (char[]){ '\\', 'u', '0', '0', high, low }, 6);
	return put(line, (char[]){ '\\', 'x', high, low }, 4);
}

static bool is_plain(uint8_t byte)
{
	return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
}

/* Does a text value need no quotes? */
static bool is_word(struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (!is_plain(value.at[i]) || value.at[i] == ' ' || value.at[i] == '=')
			return false;
	}
	return value.len > 0;
}

static void put_quoted(struct log_line *line, struct span value)
{
	size_t begin = 0;
	bool fits = put(line, "\"", 1);
	for (size_t i = 0; fits && i <= value.len; i++) {
		if (i < value.len && is_plain(value.at[i]))
			continue;
		size_t room = room_of(line);
		size_t run = i - begin;
		fits = put(line, (const char *)value.at + begin, run < room ? run : room) &&
		       run <= room && (i == value.len || put_escaped(line, value.at[i]));
		begin = i + 1;
	}
	if (!fits)
		line->is_cut = true;
	line->text[line->len++] = '"'; /* TAIL_MAX has room for it */
}

void log_bytes(struct log_line *line, const char *key, const void *bytes, size_t len)
{
	struct span value = span_of(bytes, len);
	if (!put_key(line, key))
		return;
	if (!is_json(line) && len < room_of(line) && is_word(value))
		(void)put(line, bytes, len);
	else
		put_quoted(line, value);
}

void log_str(struct log_line *line, const char *key, const char *value)
{
	log_bytes(line, key, value, strlen(value));
}

/* A number is put whole or not at all: 12 instead of 1234 would be a lie. */
static bool has_room_for_number(struct log_line *line, const char *key)
{
	if (strlen(key) + 32 <= room_of(line))
		return true;
	line->is_cut = true;
	return false;
}

void log_u64(struct log_line *line, const char *key, uint64_t value)
{
	if (has_room_for_number(line, key) && put_key(line, key))
		put_number(line, value, 1);
}

void log_ms(struct log_line *line, const char *key, uint64_t ns)
{
	if (!has_room_for_number(line, key) || !put_key(line, key))
		return;
	put_number(line, ns / NS_PER_MS, 1);
	(void)put(line, ".", 1);
	put_number(line, ns % NS_PER_MS / (NS_PER_MS / 100), 2);
}

void log_end(struct log_line *line)
{
	if (line->level == LEVEL_OFF)
		return;
	const char *tail = is_json(line) ? (line->is_cut ? ",\"cut\":true}\n" : "}\n")
					 : (line->is_cut ? " cut=1\n" : "\n");
	size_t len = strlen(tail);
	CHECK(line->len + len <= LOG_LINE_MAX);
	memcpy(line->text + line->len, tail, len);
	line->len = (uint16_t)(line->len + len);
	log_writer_put(line);
	line->level = LEVEL_OFF; /* ended once */
}

void log_say(enum log_level level, const char *event, const char *format, ...)
{
	if (!log_is_on(level))
		return;
	struct log_line line;
	char text[LOG_LINE_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_begin(&line, level, event);
	log_str(&line, "text", len < 0 ? format : text);
	log_end(&line);
}
