/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * log: one schema in two formats, whatever the values are; lines cut, not broken; and a reader that
 * does not read costs lines, never time. Standard error is a pipe during each test.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include <penstock/base/clock.h>
#include <penstock/base/log.h>

struct capture {
	int saved;
	int read_fd;
	char text[65536];
};

static struct capture capture;

static void capture_begin(int pipe_size)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if (pipe_size > 0)
		assert_true(fcntl(fds[1], F_SETPIPE_SZ, pipe_size) > 0);
	capture.saved = dup(STDERR_FILENO);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	(void)close(fds[1]);
	capture.read_fd = fds[0];
}

static void capture_restore(void)
{
	assert_true(dup2(capture.saved, STDERR_FILENO) >= 0);
	(void)close(capture.saved);
}

static const char *capture_end(void)
{
	size_t len = 0;
	ssize_t n;
	capture_restore();
	while ((n = read(capture.read_fd, capture.text + len, sizeof(capture.text) - 1 - len)) > 0)
		len += (size_t)n;
	capture.text[len] = '\0';
	(void)close(capture.read_fd);
	return capture.text;
}

static void say_all(void)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "access");
	log_u64(&line, "id", 0);
	log_u64(&line, "most", INT64_MAX);
	log_ms(&line, "total_ms", 15 * NS_PER_MS + 999999);
	log_ms(&line, "zero_ms", 0);
	log_str(&line, "word", "client_fin");
	log_str(&line, "empty", "");
	log_str(&line, "space", "a b=c");
	log_bytes(&line, "odd", "\"\\\n\r\x1b[0m\x7f\xc3\xa9\0", 12);
	log_end(&line);
}

static void test_text(void **state)
{
	(void)state;
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_thread_name("worker 0");
	capture_begin(0);
	say_all();
	const char *text = capture_end();
	assert_int_equal(strlen("2026-11-21T05:12:33.123456Z "), 28);
	assert_int_equal(text[10], 'T');
	assert_int_equal(text[26], 'Z');
	assert_string_equal(text + 28,
			    "info worker 0 access id=0 most=9223372036854775807 total_ms=15.99 "
			    "zero_ms=0.00 word=client_fin empty=\"\" space=\"a b=c\" "
			    "odd=\"\\\"\\\\\\n\\x0d\\x1b[0m\\x7f\\xc3\\xa9\\x00\"\n");
}

static void test_time(void **state)
{
	(void)state;
	capture_begin(0);
	time_t before = time(NULL);
	log_info("now", "x");
	const char *text = capture_end();
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(end);
	assert_int_equal(*end, '.');
	time_t at = timegm(&tm);
	assert_true(at >= before && at <= before + 5);
}

static void test_json(void **state)
{
	(void)state;
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_thread_name("worker 0");
	capture_begin(0);
	say_all();
	const char *text = capture_end();
	json_error_t error;
	json_t *root = json_loads(text, JSON_ALLOW_NUL, &error);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "level")), "info");
	assert_string_equal(json_string_value(json_object_get(root, "thread")), "worker 0");
	assert_string_equal(json_string_value(json_object_get(root, "event")), "access");
	assert_int_equal(json_integer_value(json_object_get(root, "id")), 0);
	assert_true(json_number_value(json_object_get(root, "total_ms")) > 15.98);
	assert_string_equal(json_string_value(json_object_get(root, "space")), "a b=c");
	assert_int_equal(json_string_length(json_object_get(root, "odd")), 14);
	assert_int_equal(strlen(json_string_value(json_object_get(root, "time"))), 27);
	json_decref(root);
	assert_int_equal(span_find(span_str(text), '\n'), strlen(text) - 1);
}

/* Every length around the limit, and values that escape to several bytes. */
static void cut_one(size_t len, uint8_t byte, enum log_format format)
{
	struct log_line line;
	uint8_t value[LOG_LINE_MAX + 50];
	memset(value, byte, sizeof(value));
	capture_begin(0);
	log_begin(&line, LOG_LEVEL_WARN, "long");
	log_bytes(&line, "value", value, len);
	log_u64(&line, "after", 1);
	log_str(&line, "last", "");
	log_end(&line);
	const char *text = capture_end();
	size_t size = strlen(text);
	assert_true(size <= LOG_LINE_MAX);
	assert_int_equal(text[size - 1], '\n');
	assert_int_equal(span_find(span_str(text), '\n'), size - 1);
	bool is_whole =
		strstr(text, format == LOG_FORMAT_JSON ? "\"last\":\"\"" : "last=\"\"") != NULL;
	bool is_cut =
		strstr(text, format == LOG_FORMAT_JSON ? ",\"cut\":true}\n" : " cut=1\n") != NULL;
	assert_int_equal(is_whole, !is_cut);
	if (format == LOG_FORMAT_JSON) {
		json_t *root = json_loads(text, JSON_ALLOW_NUL, NULL);
		assert_non_null(root);
		assert_true(json_is_string(json_object_get(root, "value")) ||
			    json_is_true(json_object_get(root, "cut")));
		json_decref(root);
	}
}

static void test_cut(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 'a', ' ', '"', '\n', 0x01 };
	for (size_t f = LOG_FORMAT_TEXT; f <= LOG_FORMAT_JSON; f++) {
		log_configure(LOG_LEVEL_INFO, (enum log_format)f);
		for (size_t b = 0; b < COUNT_OF(bytes); b++) {
			for (size_t len = 100; len <= LOG_LINE_MAX + 50; len++)
				cut_one(len, bytes[b], (enum log_format)f);
		}
	}
}

static void test_level(void **state)
{
	(void)state;
	struct log_line line;
	log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	assert_true(log_is_on(LOG_LEVEL_ERROR));
	assert_true(log_is_on(LOG_LEVEL_WARN));
	assert_false(log_is_on(LOG_LEVEL_INFO));
	capture_begin(0);
	log_begin(&line, LOG_LEVEL_INFO, "quiet");
	log_str(&line, "a", "b");
	log_u64(&line, "c", 1);
	log_end(&line);
	log_info("quiet", "not %s", "seen");
	log_debug("quiet", "not %s", "seen");
	log_error("loud", "seen, %s", "really");
	const char *text = capture_end();
	assert_non_null(strstr(text, " loud text=\"seen, really\"\n"));
	assert_null(strstr(text, "quiet"));
}

static void test_journal(void **state)
{
	(void)state;
	capture_begin(0);
	(void)setenv("JOURNAL_STREAM", "1:1", 1); /* not our stderr */
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("a", "x");
	(void)unsetenv("JOURNAL_STREAM");
	const char *text = capture_end();
	assert_int_not_equal(text[0], '<');
}

#define THREADS	   4
#define PER_THREAD 500

static void *say_many(void *context)
{
	log_thread_name(context);
	for (uint64_t i = 0; i < PER_THREAD; i++) {
		struct log_line line;
		log_begin(&line, LOG_LEVEL_INFO, "many");
		log_u64(&line, "n", i);
		log_end(&line);
		if (i % 100 == 99) /* let the writer sleep, and be woken */
			(void)usleep(12000);
	}
	return NULL;
}

static void *read_all(void *context)
{
	size_t *lines = context;
	char bytes[4096];
	ssize_t n;
	while ((n = read(capture.read_fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			*lines += bytes[i] == '\n';
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	static char names[THREADS][8] = { "t 0", "t 1", "t 2", "t 3" };
	pthread_t threads[THREADS], reader;
	size_t lines = 0;
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture_begin(1 << 20); /* all of it: whoever reads may be late */
	assert_int_equal(pthread_create(&reader, NULL, read_all, &lines), 0);
	assert_int_equal(log_start(), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, say_many, names[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	log_stop();
	log_stop();
	log_info("after", "straight to stderr");
	capture_restore();
	(void)pthread_join(reader, NULL);
	(void)close(capture.read_fd);
	assert_int_equal(log_dropped(), 0);
	assert_int_equal(lines, THREADS * PER_THREAD + 1);
}

static void test_nobody_reads(void **state)
{
	(void)state;
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture_begin(4096);
	assert_int_equal(log_start(), 0);
	uint64_t before = log_dropped(), begin = clock_now_ns();
	for (uint64_t i = 0; i < LOG_RECORDS + 1000; i++)
		log_info("flood", "%060d", (int)i);
	assert_true(clock_now_ns() - begin < 20 * NS_PER_S); /* blocked would mean for ever */
	assert_true(log_dropped() >= before + 900);
	log_stop(); /* gives up after a second */
	const char *text = capture_end();
	assert_non_null(strstr(text, " flood "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_time),
		cmocka_unit_test(test_json),	cmocka_unit_test(test_cut),
		cmocka_unit_test(test_level),	cmocka_unit_test(test_journal),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_nobody_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
