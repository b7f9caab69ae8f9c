/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_host: the kernel, and what it lets penstock have.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli_doctor.h"

/* A worker's ring of 1,024 entries with its completion queue of 8,192, rounded up; control has one
 * too. */
#define RING_BYTES   (256u << 10)
#define PIPE_BYTES   (256u << 10)
#define MIB	     (1024u * 1024u)
#define CAP_IPC_LOCK 14
#define CAP_ADMIN    21
#define CAP_RESOURCE 24

static bool has(const struct doctor_process *process, int capability)
{
	return (process->capabilities >> capability & 1) != 0;
}

/* What a limit of the shell says about the service is little: its unit sets its own. */
static enum doctor_state for_process(const struct doctor_process *process, enum doctor_state state)
{
	return process->pid == 0 && state > DOCTOR_WARN ? DOCTOR_WARN : state;
}

void cli_doctor_kernel(struct doctor *doctor)
{
	const struct utsname *kernel = &doctor->host.kernel;
	char *end;
	unsigned long major = strtoul(kernel->release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	bool is_old = major < 6 || (major == 6 && minor < 1);

	/* Vendors carry features back, so a version alone stops nothing. */
	cli_doctor_say(doctor, is_old ? DOCTOR_WARN : DOCTOR_OK, "%s %s %s", kernel->sysname,
		       kernel->release, kernel->machine);
	if (is_old)
		cli_doctor_remedy(doctor,
				  "penstock is tested from Linux 6.1 on: use such a kernel");
}

/* Anybody's, nobody's, or those of one group's. */
static void switch_check(struct doctor *doctor)
{
	uint64_t disabled = 0;
	char group[32] = "-1";

	(void)cli_doctor_number(doctor, &disabled, "/proc/sys/kernel/io_uring_disabled");
	if (disabled != 1 || !doctor->host.is_root)
		return;
	(void)cli_doctor_line(doctor, group, sizeof(group), "/proc/sys/kernel/io_uring_group");
	if (strcmp(group, "-1") == 0)
		cli_doctor_say(doctor, DOCTOR_STOP,
			       "kernel.io_uring_disabled is 1: nobody but root may use it");
	else
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "kernel.io_uring_disabled is 1: besides root only group %s may use "
			       "it",
			       group);
	cli_doctor_remedy(doctor, "set kernel.io_uring_group to the number of the group penstock "
				  "runs as, or kernel.io_uring_disabled to 0");
}

void cli_doctor_uring(struct doctor *doctor)
{
	const struct doctor_host *host = &doctor->host;
	const char *remedy = strstr(host->uring_why, "; ");

	if (host->uring_err < 0) {
		cli_doctor_say(doctor, DOCTOR_STOP, "%.*s",
			       remedy != NULL ? (int)(remedy - host->uring_why) : 500,
			       host->uring_why);
		if (remedy != NULL)
			cli_doctor_remedy(doctor, "%s", remedy + 2);
		return;
	}
	cli_doctor_say(doctor, DOCTOR_OK, "can be used; operations to %u, wake-ups by %s",
		       host->uring.last_op, host->uring.has_msg_ring ? "MSG_RING" : "eventfd");
	if (!host->uring.is_restricted) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "rings cannot be restricted to the operations penstock needs");
		cli_doctor_remedy(doctor, "something forbids IORING_REGISTER_RESTRICTIONS: look at "
					  "the seccomp profile");
	}
	switch_check(doctor);
}

/* Ring memory counts against a user's locked memory, and comes back late after an exit: twice what
 * is needed lets a restart follow at once. */
static void locked_check(struct doctor *doctor, const struct doctor_process *process)
{
	uint64_t needed = (doctor->config->process.workers + 1u) * (uint64_t)RING_BYTES;
	char whose[32];

	cli_doctor_whose(process, whose, sizeof(whose));
	if (process->locked_max == UINT64_MAX || has(process, CAP_IPC_LOCK)) {
		cli_doctor_say(doctor, DOCTOR_OK, "no limit (%s)", whose);
		return;
	}
	bool is_short = process->locked_max < needed;

	if (process->locked_max >= 2 * needed) {
		cli_doctor_say(doctor, DOCTOR_OK,
			       "%" PRIu64 " KiB may be locked, rings take %" PRIu64 " (%s)",
			       process->locked_max / 1024, needed / 1024, whose);
		return;
	}
	cli_doctor_say(doctor, for_process(process, is_short ? DOCTOR_STOP : DOCTOR_WARN),
		       "%" PRIu64 " KiB may be locked (%s), %u rings take %" PRIu64 "%s",
		       process->locked_max / 1024, whose, doctor->config->process.workers + 1u,
		       needed / 1024, is_short ? "" : ", and what a restart frees comes back late");
	cli_doctor_remedy(doctor, "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited");
}

void cli_doctor_memlock(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->process_count; i++)
		locked_check(doctor, &doctor->processes[i]);
}

static void files_check(struct doctor *doctor, const struct doctor_process *process)
{
	uint64_t needed = doctor->budget.descriptors;
	char whose[32];

	cli_doctor_whose(process, whose, sizeof(whose));
	if (process->files_max == UINT64_MAX) {
		cli_doctor_say(doctor, DOCTOR_OK, "no limit (%s)", whose);
		return;
	}
	if (process->files_max >= needed) {
		cli_doctor_say(doctor, DOCTOR_OK,
			       "%" PRIu64 " may be open, %" PRIu64 " are needed at the most (%s)",
			       process->files_max, needed, whose);
		return;
	}
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "%" PRIu64 " may be open (%s), %" PRIu64
		       " are needed: limits.connections would be lowered",
		       process->files_max, whose, needed);
	cli_doctor_remedy(doctor, "LimitNOFILE=%" PRIu64 " in the unit, or ulimit -Hn", needed);
}

void cli_doctor_files(struct doctor *doctor)
{
	uint64_t most;

	if (doctor->config == NULL)
		return;
	for (uint32_t i = 0; i < doctor->process_count; i++)
		files_check(doctor, &doctor->processes[i]);
	if (cli_doctor_number(doctor, &most, "/proc/sys/fs/nr_open") &&
	    most < doctor->budget.descriptors) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "fs.nr_open is %" PRIu64
			       ": no limit of open files can be higher, %" PRIu64 " are needed",
			       most, doctor->budget.descriptors);
		cli_doctor_sysctl(doctor, "fs.nr_open", "%" PRIu64,
				  doctor->budget.descriptors + 1024);
	}
	if (cli_doctor_number(doctor, &most, "/proc/sys/fs/file-max") &&
	    most < doctor->budget.descriptors) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "fs.file-max is %" PRIu64 " for the whole host, penstock alone may "
			       "need %" PRIu64,
			       most, doctor->budget.descriptors);
		cli_doctor_sysctl(doctor, "fs.file-max", "%" PRIu64,
				  2 * doctor->budget.descriptors);
	}
}

/* Pipes beyond the soft limit have 8 KiB and cannot be grown (pipe(7)). */
static void pages_check(struct doctor *doctor, const struct doctor_process *process)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t needed = (doctor->budget.pipe_bytes + page - 1) / page;
	uint64_t soft = 0, hard = 0, most = UINT64_MAX;
	char whose[32];

	cli_doctor_whose(process, whose, sizeof(whose));
	if (has(process, CAP_RESOURCE) || has(process, CAP_ADMIN)) {
		cli_doctor_say(doctor, DOCTOR_OK, "no limit (%s has CAP_SYS_RESOURCE)", whose);
		return;
	}
	(void)cli_doctor_number(doctor, &soft, "/proc/sys/fs/pipe-user-pages-soft");
	(void)cli_doctor_number(doctor, &hard, "/proc/sys/fs/pipe-user-pages-hard");
	(void)cli_doctor_number(doctor, &most, "/proc/sys/fs/pipe-max-size");
	if (most < PIPE_BYTES) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "fs.pipe-max-size is %" PRIu64 ": pipes are smaller than the %u "
			       "bytes that splicing is best with",
			       most, PIPE_BYTES);
		cli_doctor_sysctl(doctor, "fs.pipe-max-size", "%u", 4 * PIPE_BYTES);
	}
	bool is_hard = hard > 0 && hard < needed;

	/* 0 is no limit, of either kind. */
	if ((soft == 0 || soft >= needed) && !is_hard) {
		cli_doctor_say(doctor, DOCTOR_OK,
			       "%" PRIu64 " MiB of pipes at the most fit into a user's share",
			       doctor->budget.pipe_bytes / MIB);
		return;
	}
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "fs.pipe-user-pages-%s is %" PRIu64 " without CAP_SYS_RESOURCE, all pipes "
		       "may take %" PRIu64 " pages: streams beyond it are copied",
		       is_hard ? "hard" : "soft", is_hard ? hard : soft, needed);
	cli_doctor_sysctl(doctor, is_hard ? "fs.pipe-user-pages-hard" : "fs.pipe-user-pages-soft",
			  "%" PRIu64, needed + needed / 4);
}

void cli_doctor_pipes(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->process_count; i++)
		pages_check(doctor, &doctor->processes[i]);
}

static void cgroup_check(struct doctor *doctor, const struct doctor_process *process,
			 uint64_t needed)
{
	uint64_t most;
	char whose[32];

	/* "max" is no number. */
	if (process->cgroup[0] == '\0' ||
	    !cli_doctor_number(doctor, &most, "/sys/fs/cgroup%s/memory.max", process->cgroup) ||
	    most >= needed)
		return;
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "the memory of %s is limited to %" PRIu64 " MiB (%s), %" PRIu64
		       " MiB may be needed",
		       cli_doctor_whose(process, whose, sizeof(whose)), most / MIB, process->cgroup,
		       needed / MIB);
	cli_doctor_remedy(doctor, "raise MemoryMax= of the unit, or lower limits.connections, "
				  "limits.unrouted or limits.pipes");
}

void cli_doctor_memory(struct doctor *doctor)
{
	uint64_t needed = doctor->budget.memory_bytes + doctor->budget.pipe_bytes;
	char text[64];

	if (doctor->config == NULL ||
	    !cli_doctor_field(doctor, "/proc/meminfo", "MemTotal", text, sizeof(text)))
		return;
	uint64_t total = strtoull(text, NULL, 10) * 1024;

	if (needed > total) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "this host has %" PRIu64 " MiB, %" PRIu64
			       " MiB may be needed besides sockets' buffers",
			       total / MIB, needed / MIB);
		cli_doctor_remedy(doctor, "lower limits.connections, limits.unrouted or "
					  "limits.pipes");
	} else {
		cli_doctor_say(doctor, DOCTOR_OK,
			       "%" PRIu64 " MiB of %" PRIu64
			       " at the most, besides sockets' buffers",
			       needed / MIB, total / MIB);
	}
	for (uint32_t i = 0; i < doctor->process_count; i++)
		cgroup_check(doctor, &doctor->processes[i], needed);
}

void cli_doctor_clock(struct doctor *doctor)
{
	static const char *const slow[] = { "hpet", "acpi_pm", "jiffies", "refined-jiffies" };
	char source[64];
	bool is_slow = false;

	if (cli_doctor_line(doctor, source, sizeof(source),
			    "/sys/devices/system/clocksource/clocksource0/current_clocksource")) {
		for (size_t i = 0; i < COUNT_OF(slow); i++)
			is_slow |= strcmp(source, slow[i]) == 0;
		cli_doctor_say(doctor, is_slow ? DOCTOR_WARN : DOCTOR_OK, "clock source %s%s",
			       source, is_slow ? ": every look at the clock is a system call" : "");
		if (is_slow)
			cli_doctor_remedy(doctor, "find out why the kernel gave up tsc (dmesg), or "
						  "boot with tsc=reliable");
	}
	if (doctor->config == NULL || !config_has_tls(doctor->config) ||
	    doctor->host.is_clock_synced)
		return;
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "the clock is not synchronised, and certificates are checked against it");
	cli_doctor_remedy(doctor, "run chrony or systemd-timesyncd, unless the host of this "
				  "virtual machine keeps it");
}
