/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The measuring window: when it opens and closes, and what is read at its ends. The generator
 * reads the proxy's clocks itself, at its first and last unit of work, so that neither the start
 * of processes nor the opening of connections is in the figures.
 */
#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

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
static void read_split(uint64_t pid, struct load_clock *ret_clock)
{
	uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t user, system;
	char path[64], line[1024];
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
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

/* Summed over the threads, since only the main thread's stand in /proc/PID/status. */
static void read_switches(uint64_t pid, struct load_clock *ret_clock)
{
	char path[320], line[256];
	struct dirent *task;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task", pid);
	tasks = opendir(path);
	if (tasks == NULL)
		load_die(path);
	while ((task = readdir(tasks)) != NULL) {
		int64_t count;

		snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task/%s/status", pid, task->d_name);
		FILE *f = task->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f == NULL) /* a thread that has just ended */
			continue;
		while (fgets(line, sizeof(line), f) != NULL) {
			if (sscanf(line, "voluntary_ctxt_switches: %" SCNd64, &count) == 1)
				ret_clock->proxy_voluntary += count;
			if (sscanf(line, "nonvoluntary_ctxt_switches: %" SCNd64, &count) == 1)
				ret_clock->proxy_involuntary += count;
		}
		fclose(f);
	}
	closedir(tasks);
}

static void read_clocks(const struct load *l, struct load_clock *ret_clock)
{
	clockid_t proxy_clock;

	ret_clock->wall_ns = load_now_ns();
	ret_clock->own_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (l->ask.proxy_pid == 0)
		return;
	errno = clock_getcpuclockid((pid_t)l->ask.proxy_pid, &proxy_clock);
	if (errno != 0)
		load_die("the proxy's CPU clock");
	ret_clock->proxy_ns = clock_ns(proxy_clock);
	read_split(l->ask.proxy_pid, ret_clock);
}

void load_window_open(struct load *l)
{
	if (l->ask.proxy_pid != 0)
		read_switches(l->ask.proxy_pid, &l->begin);
	read_clocks(l, &l->begin); /* last, so that the slow reading above is outside */
	l->stage = LOAD_MEASURING;
	l->stage_end_ns = l->begin.wall_ns + l->ask.run_ns;
}

void load_window_close(struct load *l)
{
	read_clocks(l, &l->end);
	if (l->ask.proxy_pid != 0)
		read_switches(l->ask.proxy_pid, &l->end);
	if (l->stage == LOAD_WARMING) /* nothing worked long enough */
		l->begin = l->end;
	l->stage = LOAD_DRAINING;
	l->stage_end_ns = l->end.wall_ns + LOAD_GRACE_NS;
}

void load_window_start(struct load *l)
{
	l->stage = LOAD_WARMING;
	l->stage_end_ns = load_now_ns() + l->ask.warm_ns;
}

enum load_stage load_window_stage(struct load *l, uint64_t now_ns)
{
	if (now_ns < l->stage_end_ns)
		return l->stage;
	if (l->stage == LOAD_WARMING)
		load_window_open(l);
	else if (l->stage == LOAD_MEASURING)
		load_window_close(l);
	else
		l->stage = LOAD_OVER;
	return l->stage;
}

void load_window_finish(struct load *l)
{
	if (l->stage <= LOAD_MEASURING)
		load_window_close(l);
}

bool load_window_holds(const struct load *l, uint64_t when_ns)
{
	if (l->stage == LOAD_WARMING || when_ns < l->begin.wall_ns)
		return false;
	return l->stage == LOAD_MEASURING || when_ns < l->end.wall_ns;
}
