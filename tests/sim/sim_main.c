/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * penstock-sim [-v] [-t MS] [-f] [-j JOBS] FIRST[.PART][..LAST]: a seed is four runs, its parts,
 * each a process and a plan of its own; several go at a time. What a run that fails has said is
 * shown with the command that repeats it. -v shows everything as it happens; -t stops at a moment
 * of a run's time and shows what every session is at; -f ends with the first seed that fails.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim_world.h"

#define PARTS	  4
#define JOBS_MAX  64
#define RUN_LIMIT 20  /* seconds of CPU time; a tenth of one is what it takes */
#define END_LIMIT 600 /* seconds, of a run that waits for something */
#define LINES_MAX 60

struct job {
	pid_t pid; /* 0: none */
	uint64_t seed;
	uint32_t part;
	FILE *said;
};

static struct job jobs[JOBS_MAX];
static uint32_t job_count = 2;
static uint64_t passed, failed, stop_ms;
static bool is_verbose, stops_at_first;

static NORETURN void run(const struct job *job)
{
	if (!is_verbose)
		(void)dup2(fileno(job->said), STDERR_FILENO);
	(void)alarm(END_LIMIT);
	/* It should never sleep; how often it has its turn on a busy machine is not its doing. */
	(void)setrlimit(RLIMIT_CPU, &(struct rlimit){ RUN_LIMIT, RUN_LIMIT + 1 });
	sim_world_run(job->seed << 8 | job->part, is_verbose, stop_ms * NS_PER_MS);
	exit(0);
}

static void start(struct job *job, uint64_t seed, uint32_t part)
{
	*job = (struct job){ .seed = seed, .part = part, .said = tmpfile() };
	if (job->said == NULL) {
		perror("tmpfile");
		exit(2);
	}
	job->pid = fork();
	if (job->pid < 0) {
		perror("fork");
		exit(2);
	}
	if (job->pid == 0)
		run(job);
}

static void show(const struct job *job, int status)
{
	char line[512];

	rewind(job->said);
	for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), job->said) != NULL; i++)
		(void)fputs(line, stdout);
	if (WIFSIGNALED(status))
		(void)printf("ended by signal %d\n", WTERMSIG(status));
	(void)printf("seed %llu.%u failed; to see it again: make sim SEED=%llu.%u V=1\n",
		     (unsigned long long)job->seed, job->part, (unsigned long long)job->seed,
		     job->part);
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

/* The parts `part` to PARTS - 1 of each seed, or only `part`. */
static int run_all(uint64_t first, uint64_t last, uint32_t part, bool is_one)
{
	struct timespec begin, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint64_t seed = first; seed <= last && !(stops_at_first && failed > 0); seed++)
		for (uint32_t i = part; i < (is_one ? part + 1 : PARTS); i++)
			start(free_job(), seed, i);
	while (is_busy())
		wait_for_one();
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	(void)printf("sim: %llu runs passed, %llu failed (seeds %llu to %llu, %lld s)\n",
		     (unsigned long long)passed, (unsigned long long)failed,
		     (unsigned long long)first, (unsigned long long)last,
		     (long long)(end.tv_sec - begin.tv_sec));
	return failed > 0;
}

/* "5", "5.2", "1..100". The number of values read; 0: none of these. */
static int parse(const char *text, unsigned long long *first, unsigned long long *last,
		 unsigned *part)
{
	*part = PARTS;
	if (sscanf(text, "%llu..%llu", first, last) == 2)
		return 2;
	if (sscanf(text, "%llu.%u", first, part) < 1)
		return 0;
	*last = *first;
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long long first = 0, last = 0;
	unsigned part = 0;
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
	if (is_verbose)
		job_count = 1;
	if (optind >= argc || parse(argv[optind], &first, &last, &part) == 0 || job_count < 1 ||
	    job_count > JOBS_MAX) {
		(void)fprintf(stderr, "usage: penstock-sim [-v] [-t MS] [-f] [-j JOBS] "
				      "FIRST[.PART][..LAST]\n");
		return 2;
	}
	bool is_one = part < PARTS;

	return run_all(first, last, is_one ? part : 0, is_one);
}
