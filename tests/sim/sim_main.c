/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * penstock-sim [-v] [-t MS] [-f] [-j JOBS] FIRST[..LAST]: one process per seed, several at a time;
 * what a seed that fails has said is shown with the command that repeats it. -v traces one seed;
 * -t stops it at a moment of its time and shows what every session is at; -f ends the run at the
 * first seed that fails.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim_world.h"

#define JOBS_MAX   64
#define SEED_LIMIT 60 /* seconds of real time */

struct job {
	pid_t pid; /* 0: none */
	uint64_t seed;
	FILE *said;
};

static struct job jobs[JOBS_MAX];
static uint32_t job_count = 2;
static uint64_t passed, failed;
static bool stops_at_first;

static void start(struct job *job, uint64_t seed)
{
	job->seed = seed;
	job->said = tmpfile();
	if (job->said == NULL) {
		perror("tmpfile");
		exit(2);
	}
	job->pid = fork();
	if (job->pid < 0) {
		perror("fork");
		exit(2);
	}
	if (job->pid > 0)
		return;
	(void)dup2(fileno(job->said), STDERR_FILENO);
	(void)alarm(SEED_LIMIT);
	sim_world_run(seed, false, 0);
	exit(0);
}

static void show(struct job *job, int status)
{
	char line[512];

	rewind(job->said);
	for (int i = 0; i < 60 && fgets(line, sizeof(line), job->said) != NULL; i++)
		(void)fputs(line, stdout);
	if (WIFSIGNALED(status))
		(void)printf("ended by signal %d\n", WTERMSIG(status));
	(void)printf("seed %llu failed; to see it again: make sim SEED=%llu V=1\n",
		     (unsigned long long)job->seed, (unsigned long long)job->seed);
	(void)fflush(stdout);
}

static void wait_for_one(void)
{
	int status;
	pid_t pid = wait(&status);

	for (uint32_t i = 0; i < job_count; i++) {
		struct job *job = &jobs[i];

		if (pid <= 0 || job->pid != pid)
			continue;
		if (status == 0) {
			passed++;
		} else {
			failed++;
			show(job, status);
		}
		(void)fclose(job->said);
		job->pid = 0;
	}
}

static struct job *free_job(void)
{
	for (;;) {
		for (uint32_t i = 0; i < job_count; i++)
			if (jobs[i].pid == 0)
				return &jobs[i];
		wait_for_one();
	}
}

static bool is_busy(void)
{
	for (uint32_t i = 0; i < job_count; i++)
		if (jobs[i].pid != 0)
			return true;
	return false;
}

static int run_all(uint64_t first, uint64_t last)
{
	struct timespec begin, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint64_t seed = first; seed <= last && !(stops_at_first && failed > 0); seed++)
		start(free_job(), seed);
	while (is_busy())
		wait_for_one();
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	(void)printf("sim: %llu seeds passed, %llu failed (%llu to %llu, %lld s)\n",
		     (unsigned long long)passed, (unsigned long long)failed,
		     (unsigned long long)first, (unsigned long long)last,
		     (long long)(end.tv_sec - begin.tv_sec));
	return failed > 0;
}

int main(int argc, char **argv)
{
	unsigned long long first = 1, last = 0, stop_ms = 0;
	bool is_verbose = false;
	int option;

	while ((option = getopt(argc, argv, "vfj:t:")) >= 0) {
		if (option == 'v')
			is_verbose = true;
		else if (option == 'f')
			stops_at_first = true;
		else if (option == 't')
			stop_ms = strtoull(optarg, NULL, 10);
		else if (option == 'j')
			job_count = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	int count = optind < argc ? sscanf(argv[optind], "%llu..%llu", &first, &last) : 0;

	if (count < 1 || job_count < 1 || job_count > JOBS_MAX) {
		(void)fprintf(stderr,
			      "usage: penstock-sim [-v] [-t MS] [-f] [-j JOBS] FIRST[..LAST]\n");
		return 2;
	}
	if (count == 1)
		last = first;
	if (is_verbose || stop_ms > 0) {
		sim_world_run(first, is_verbose, stop_ms * NS_PER_MS);
		return 0;
	}
	return run_all(first, last);
}
