/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_process: the process_* metrics every exporter has, from /proc/self and getrusage.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin_priv.h"

static void write_open_fds(struct admin_text *text)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	if (dir == NULL)
		return;
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	/* ".", ".." and the directory itself are no descriptors of ours. */
	admin_metrics_head(text, "process_open_fds", "gauge", "Open file descriptors");
	admin_text_printf(text, "process_open_fds %u\n", count > 3 ? count - 3 : 0);
}

static void write_memory(struct admin_text *text)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long total = 0;
	unsigned long long resident = 0;

	if (file == NULL)
		return;
	int count = fscanf(file, "%llu %llu", &total, &resident);

	(void)fclose(file);
	if (count != 2)
		return;
	unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);

	admin_metrics_head(text, "process_resident_memory_bytes", "gauge", "Resident memory");
	admin_text_printf(text, "process_resident_memory_bytes %llu\n", resident * page);
	admin_metrics_head(text, "process_virtual_memory_bytes", "gauge", "Virtual memory");
	admin_text_printf(text, "process_virtual_memory_bytes %llu\n", total * page);
}

void admin_process_write(struct admin_text *text, uint64_t started_wall_us)
{
	struct rusage usage;
	struct rlimit limit;

	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;

		admin_metrics_head(text, "process_cpu_seconds_total", "counter",
				   "User and system CPU time");
		admin_text_printf(text, "process_cpu_seconds_total %.3f\n", seconds);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		admin_metrics_head(text, "process_max_fds", "gauge", "Limit of file descriptors");
		admin_text_printf(text, "process_max_fds %llu\n",
				  (unsigned long long)limit.rlim_cur);
	}
	write_open_fds(text);
	write_memory(text);
	admin_metrics_head(text, "process_start_time_seconds", "gauge",
			   "When the process began, since 1970");
	admin_text_printf(text, "process_start_time_seconds %.3f\n", (double)started_wall_us / 1e6);
}
