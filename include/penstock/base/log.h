/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * log: every thread formats its line into a queue of fixed-size records and never blocks; one log
 * thread writes them out. A full queue drops the line and counts it. Before log_start and after
 * log_stop lines go to standard error at once.
 *
 * One schema for text and JSON: time, level, thread, event, and key=value fields. Bytes outside
 * printable ASCII are escaped in both. On the journal a text line begins with <N>, not with a time.
 * Thread:   any; log_start, log_stop: the control thread
 * Memory:   LOG_RECORDS records of LOG_LINE_MAX bytes
 */
#pragma once

#include <penstock/base/check.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

#define LOG_LINE_MAX 1000
#define LOG_RECORDS  4096

MUST_USE int log_start(void);
void log_stop(void);
void log_configure(enum log_level level, enum log_format format);
bool log_is_on(enum log_level level);
/* The name lines of this thread carry ("control", "worker 0"). */
void log_thread_name(const char *name);
uint64_t log_dropped(void);

/* A line in the making. Values are escaped; a line that would be too long loses its tail. */
struct log_line {
	uint16_t len;
	uint8_t level;
	uint8_t format;
	bool is_cut;
	char text[LOG_LINE_MAX];
};

/* Starts a line: `event` is a stable snake_case word, the first thing on the line. */
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_str(struct log_line *line, const char *key, const char *value);
void log_bytes(struct log_line *line, const char *key, const void *bytes, size_t len);
void log_u64(struct log_line *line, const char *key, uint64_t value);
/* Milliseconds with two decimals from nanoseconds. */
void log_ms(struct log_line *line, const char *key, uint64_t ns);
void log_end(struct log_line *line);

/* One line with a free text: `what, and what to do`. */
PRINTF_LIKE(3, 4) void log_say(enum log_level level, const char *event, const char *format, ...);

#define log_error(event, ...) log_say(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_say(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_say(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)                                         \
	do {                                                          \
		if (log_is_on(LOG_LEVEL_DEBUG))                       \
			log_say(LOG_LEVEL_DEBUG, event, __VA_ARGS__); \
	} while (0)
