/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `penstock doctor` on hosts of every kind: a folder plays /proc and /sys, and each check is held
 * to the very lines it prints.
 */
#include <errno.h>
#include <sys/stat.h>

#include <penstock/net.h>

#include "../../src/cli/cli_doctor.h"

#include "config_help.h"

static struct doctor doctor;
static struct config *config;

/* A file below the folder that plays /. */
PRINTF_LIKE(2, 3) static void file(const char *path, const char *format, ...)
{
	char full[400];
	va_list args;

	snprintf(full, sizeof(full), "root%s", path);
	for (char *slash = full; (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *out = fopen(full, "we");

	assert_non_null(out);
	va_start(args, format);
	assert_true(vfprintf(out, format, args) >= 0);
	va_end(args);
	assert_int_equal(fclose(out), 0);
}

static void begin(const char *yaml)
{
	assert_int_equal(system("rm -rf root"), 0);
	assert_int_equal(mkdir("root", 0700), 0);
	doctor = (struct doctor){
		.root = "root",
		.config_path = "t.yaml",
		.check = "check",
		.process_count = 1,
		.processes = { { .files_max = UINT64_MAX, .locked_max = UINT64_MAX } },
		.host = {
			.kernel = { .sysname = "Linux", .release = "6.12.1", .machine = "x86_64" },
			.uring = { .last_op = 50, .has_msg_ring = true, .is_restricted = true },
			.tls = { .can_rekey = true },
			.is_clock_synced = true,
		},
	};
	config = NULL;
	if (yaml == NULL)
		return;
	char text[2000];

	snprintf(text, sizeof(text), "admin: { listen: off }\n%s", yaml);
	help_write("t.yaml", text, strlen(text));
	config = cli_doctor_load(&doctor);
	if (config == NULL)
		fail_msg("%s", doctor.said);
}

static void end(void)
{
	cli_doctor_fini(&doctor);
	config_free(config);
}

/* What the check says, without the count at the end; to be compared at once. */
static const char *lines_of(void (*check)(struct doctor *doctor))
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	check(&doctor);
	cli_doctor_print(&doctor, out);
	assert_int_equal(fclose(out), 0);
	char *last = strstr(text, "doctor: ");

	assert_non_null(last);
	*last = '\0';
	for (uint32_t i = 0; i < doctor.finding_count; i++) {
		free(doctor.findings[i].what);
		free(doctor.findings[i].remedy);
		free(doctor.findings[i].value);
	}
	doctor.finding_count = 0;
	return text;
}

/* All but its first words, "ok    check         ". */
#define OK_LINE(text)	"ok    check         " text "\n"
#define WARN_LINE(text) "warn  check         " text "\n"
#define FAIL_LINE(text) "fail  check         " text "\n"
#define FOR_GOOD	"', and for good in /etc/sysctl.d"

static void test_kernel(void **state)
{
	(void)state;
	begin(NULL);
	assert_string_equal(lines_of(cli_doctor_kernel), OK_LINE("Linux 6.12.1 x86_64"));
	snprintf(doctor.host.kernel.release, 32, "6.1.0-49-amd64");
	assert_string_equal(lines_of(cli_doctor_kernel), OK_LINE("Linux 6.1.0-49-amd64 x86_64"));
	snprintf(doctor.host.kernel.release, 32, "7.0");
	assert_string_equal(lines_of(cli_doctor_kernel), OK_LINE("Linux 7.0 x86_64"));
	snprintf(doctor.host.kernel.release, 32, "5.14.0-503.el9");
	assert_string_equal(lines_of(cli_doctor_kernel),
			    WARN_LINE("Linux 5.14.0-503.el9 x86_64; penstock is tested from Linux "
				      "6.1 on: use such a kernel"));
	end();
}

static void test_uring(void **state)
{
	(void)state;
	begin(NULL);
	assert_string_equal(lines_of(cli_doctor_uring),
			    OK_LINE("can be used; operations to 50, wake-ups by MSG_RING"));
	doctor.host.uring.has_msg_ring = doctor.host.uring.is_restricted = false;
	assert_string_equal(lines_of(cli_doctor_uring),
			    OK_LINE("can be used; operations to 50, wake-ups by eventfd") WARN_LINE(
				    "rings cannot be restricted to the operations penstock needs; "
				    "something forbids IORING_REGISTER_RESTRICTIONS: look at the "
				    "seccomp profile"));
	doctor.host.uring.is_restricted = true;
	/* Root may, the service may not: only root cannot see it by trying. */
	file("/proc/sys/kernel/io_uring_disabled", "1\n");
	file("/proc/sys/kernel/io_uring_group", "-1\n");
	assert_string_equal(lines_of(cli_doctor_uring),
			    OK_LINE("can be used; operations to 50, wake-ups by eventfd"));
	doctor.host.is_root = true;
	assert_non_null(strstr(lines_of(cli_doctor_uring),
			       FAIL_LINE("kernel.io_uring_disabled is 1: nobody but root may use "
					 "it; set kernel.io_uring_group to the number of the group "
					 "penstock runs as, or kernel.io_uring_disabled to 0")));
	file("/proc/sys/kernel/io_uring_group", "998\n");
	assert_non_null(strstr(lines_of(cli_doctor_uring),
			       "warn  check         kernel.io_uring_disabled is 1: besides root "
			       "only group 998 may use it; set "));
	doctor.host.uring_err = -EPERM;
	snprintf(doctor.host.uring_why, sizeof(doctor.host.uring_why),
		 "kernel.io_uring_disabled is 2; set it to 0");
	assert_string_equal(lines_of(cli_doctor_uring),
			    FAIL_LINE("kernel.io_uring_disabled is 2; set it to 0"));
	end();
}

static void test_memlock(void **state)
{
	(void)state;
	begin("process: { workers: 3 }\n");
	assert_string_equal(lines_of(cli_doctor_memlock), OK_LINE("no limit (this shell)"));
	doctor.processes[0].locked_max = 2048 * 1024;
	assert_string_equal(lines_of(cli_doctor_memlock),
			    OK_LINE("2048 KiB may be locked, rings take 1024 (this shell)"));
	doctor.processes[0].locked_max = 2048 * 1024 - 1;
	assert_string_equal(lines_of(cli_doctor_memlock),
			    WARN_LINE("2047 KiB may be locked (this shell), 4 rings take 1024, and "
				      "what a restart frees comes back late; LimitMEMLOCK=infinity "
				      "in the unit, or ulimit -l unlimited"));
	/* A shell's limit stops no service; its own does. */
	doctor.processes[0].locked_max = 64 * 1024;
	assert_int_equal(strncmp(lines_of(cli_doctor_memlock), "warn ", 5), 0);
	doctor.processes[0].pid = 77;
	assert_string_equal(lines_of(cli_doctor_memlock),
			    FAIL_LINE("64 KiB may be locked (penstock 77), 4 rings take 1024; "
				      "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited"));
	doctor.processes[0].capabilities = 1ull << 14;
	assert_string_equal(lines_of(cli_doctor_memlock), OK_LINE("no limit (penstock 77)"));
	end();
}

static void test_files(void **state)
{
	char expected[400];

	(void)state;
	begin("limits: { connections: 1000, pipes: 0 }\nprocess: { workers: 1 }\n");
	unsigned long long needed = doctor.budget.descriptors;

	assert_true(needed > 2000);
	doctor.processes[0].files_max = needed;
	snprintf(expected, sizeof(expected),
		 OK_LINE("%llu may be open, %llu are needed at the most (this shell)"), needed,
		 needed);
	assert_string_equal(lines_of(cli_doctor_files), expected);
	doctor.processes[0].files_max = needed - 1;
	snprintf(expected, sizeof(expected),
		 WARN_LINE("%llu may be open (this shell), %llu are needed: limits.connections "
			   "would be lowered; LimitNOFILE=%llu in the unit, or ulimit -Hn"),
		 needed - 1, needed, needed);
	assert_string_equal(lines_of(cli_doctor_files), expected);
	doctor.processes[0].files_max = UINT64_MAX;
	file("/proc/sys/fs/nr_open", "1000\n");
	file("/proc/sys/fs/file-max", "500\n");
	snprintf(expected, sizeof(expected),
		 OK_LINE("no limit (this shell)") WARN_LINE(
			 "fs.nr_open is 1000: no limit of open files can be higher, %llu are "
			 "needed; sysctl -w fs.nr_open='%llu" FOR_GOOD),
		 needed, needed + 1024);
	assert_int_equal(strncmp(lines_of(cli_doctor_files), expected, strlen(expected)), 0);
	assert_non_null(strstr(lines_of(cli_doctor_files), "fs.file-max is 500 for the whole "));
	file("/proc/sys/fs/nr_open", "%llu\n", needed);
	file("/proc/sys/fs/file-max", "%llu\n", needed);
	assert_string_equal(lines_of(cli_doctor_files), OK_LINE("no limit (this shell)"));
	end();
}

/* 16 pipes of 256 KiB are 1,024 pages of 4 KiB. */
static void test_pipes(void **state)
{
	static const char fits[] = OK_LINE("4 MiB of pipes at the most fit into a user's share");

	(void)state;
	begin("limits: { pipes: 16 }\nprocess: { workers: 1 }\n");
	assert_int_equal(sysconf(_SC_PAGESIZE), 4096);
	file("/proc/sys/fs/pipe-user-pages-soft", "1024\n");
	file("/proc/sys/fs/pipe-user-pages-hard", "0\n");
	file("/proc/sys/fs/pipe-max-size", "1048576\n");
	assert_string_equal(lines_of(cli_doctor_pipes), fits);
	file("/proc/sys/fs/pipe-user-pages-soft", "1023\n");
	assert_string_equal(lines_of(cli_doctor_pipes),
			    WARN_LINE(
				    "fs.pipe-user-pages-soft is 1023 without CAP_SYS_RESOURCE, "
				    "all pipes may take 1024 pages: streams beyond it are copied; "
				    "sysctl -w fs.pipe-user-pages-soft='1280" FOR_GOOD));
	doctor.processes[0].capabilities = 1ull << 24;
	assert_string_equal(lines_of(cli_doctor_pipes),
			    OK_LINE("no limit (this shell has CAP_SYS_RESOURCE)"));
	doctor.processes[0].capabilities = 0;
	file("/proc/sys/fs/pipe-user-pages-soft", "0\n"); /* none */
	assert_string_equal(lines_of(cli_doctor_pipes), fits);
	file("/proc/sys/fs/pipe-user-pages-hard", "1023\n");
	assert_non_null(strstr(lines_of(cli_doctor_pipes), "fs.pipe-user-pages-hard='1280'"));
	file("/proc/sys/fs/pipe-user-pages-hard", "1024\n");
	file("/proc/sys/fs/pipe-max-size", "262144\n");
	assert_string_equal(lines_of(cli_doctor_pipes), fits);
	file("/proc/sys/fs/pipe-max-size", "65536\n");
	assert_string_equal(
		lines_of(cli_doctor_pipes),
		WARN_LINE("fs.pipe-max-size is 65536: pipes are smaller than the 262144 bytes that "
			  "splicing is best with; sysctl -w fs.pipe-max-size='1048576" FOR_GOOD)
			OK_LINE("4 MiB of pipes at the most fit into a user's share"));
	end();
}

static void test_memory(void **state)
{
	(void)state;
	begin("process: { workers: 1 }\n");
	uint64_t needed = doctor.budget.memory_bytes + doctor.budget.pipe_bytes;

	assert_string_equal(lines_of(cli_doctor_memory), ""); /* no /proc/meminfo */
	file("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       %llu kB\n",
	     (unsigned long long)needed / 1024 + 1);
	assert_int_equal(strncmp(lines_of(cli_doctor_memory), "ok ", 3), 0);
	snprintf(doctor.processes[0].cgroup, 64, "/system.slice/penstock.service");
	doctor.processes[0].pid = 5;
	file("/sys/fs/cgroup/system.slice/penstock.service/memory.max", "max\n");
	assert_null(strstr(lines_of(cli_doctor_memory), "warn"));
	file("/sys/fs/cgroup/system.slice/penstock.service/memory.max", "%llu\n",
	     (unsigned long long)needed - 1);
	assert_non_null(strstr(lines_of(cli_doctor_memory), "\nwarn  check         the memory of "
							    "penstock 5 is limited to "));
	file("/proc/meminfo", "MemTotal:       %llu kB\n", (unsigned long long)needed / 1024 - 1);
	assert_int_equal(strncmp(lines_of(cli_doctor_memory), "warn  check         this host has ",
				 33),
			 0);
	end();
}

static void test_clock(void **state)
{
	static const char path[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";

	(void)state;
	begin("");
	assert_string_equal(lines_of(cli_doctor_clock), "");
	file(path, "kvm-clock\n");
	doctor.host.is_clock_synced = false; /* nobody asks for the date here */
	assert_string_equal(lines_of(cli_doctor_clock), OK_LINE("clock source kvm-clock"));
	file(path, "hpet\n");
	assert_string_equal(lines_of(cli_doctor_clock),
			    WARN_LINE("clock source hpet: every look at the clock is a system "
				      "call; find out why the kernel gave up tsc (dmesg), or boot "
				      "with tsc=reliable"));
	end();
}

#define TLS_CLUSTER                                                                               \
	"clusters: { c: { discovery: { urls: [\"pulsar+ssl://b:1\"] }, broker_tls: { verify: off" \
	"%s } } }\n"

static void begin_tls(const char *more)
{
	char text[400];

	snprintf(text, sizeof(text), TLS_CLUSTER, more);
	begin(text);
}

static void test_tls(void **state)
{
	(void)state;
	begin("");
	assert_string_equal(lines_of(cli_doctor_ktls),
			    OK_LINE("no TLS ends or begins here: not needed"));
	end();
	begin_tls("");
	assert_string_equal(lines_of(cli_doctor_ktls),
			    OK_LINE("the kernel takes TLS connections, and changes of keys"));
	doctor.host.tls.can_rekey = false;
	assert_int_equal(strncmp(lines_of(cli_doctor_ktls),
				 "warn  check         the kernel takes TLS 1.2; TLS 1.3 stays", 59),
			 0);
	doctor.host.tls.err = -ENOENT;
	assert_int_equal(strncmp(lines_of(cli_doctor_ktls),
				 "warn  check         the kernel offers no TLS", 43),
			 0);
	doctor.host.is_clock_synced = false;
	assert_int_equal(strncmp(lines_of(cli_doctor_clock),
				 "warn  check         the clock is not synchronised", 49),
			 0);
	end();
	begin_tls(", ktls: require");
	doctor.host.tls.err = -ENOENT;
	assert_non_null(strstr(lines_of(cli_doctor_ktls), "those with ktls: require are closed"));
	cli_doctor_ktls(&doctor);
	assert_int_equal(cli_doctor_exit(&doctor), CLI_FAILURE);
	end();
}

static void test_network(void **state)
{
	static const char range[] = "/proc/sys/net/ipv4/ip_local_port_range";

	(void)state;
	begin("limits: { connections: 28233 }\n"
	      "listeners: [ { name: a, bind: \"0.0.0.0:6650\", forward: \"h:1\", backlog: 500 },\n"
	      "  { name: b, bind: \"0.0.0.0:40000\", forward: \"h:1\", backlog: 9 } ]\n");
	assert_string_equal(lines_of(cli_doctor_backlog),
			    OK_LINE("500 connections may wait per worker"));
	file("/proc/sys/net/core/somaxconn", "499\n");
	file("/proc/sys/net/ipv4/tcp_max_syn_backlog", "500\n");
	assert_string_equal(lines_of(cli_doctor_backlog),
			    WARN_LINE("net.core.somaxconn is 499, listeners want a backlog of 500: "
				      "clients that come all at once have to try again; sysctl -w "
				      "net.core.somaxconn='500" FOR_GOOD));

	assert_string_equal(lines_of(cli_doctor_conntrack), "");
	file("/proc/sys/net/netfilter/nf_conntrack_max", "56466\n");
	file("/proc/sys/net/netfilter/nf_conntrack_count", "3\n");
	assert_string_equal(lines_of(cli_doctor_conntrack),
			    OK_LINE("3 of 56466 connections tracked"));
	file("/proc/sys/net/netfilter/nf_conntrack_max", "56465\n");
	assert_non_null(strstr(lines_of(cli_doctor_conntrack), "nf_conntrack_max='112932'"));

	assert_string_equal(lines_of(cli_doctor_ports), "");
	file(range, "32768\t60999\n");
	file("/proc/sys/net/ipv4/ip_local_reserved_ports", "\n");
	assert_string_equal(
		lines_of(cli_doctor_ports),
		WARN_LINE("local ports for 28232 connections to 1 broker address, "
			  "limits.connections is 28233; sysctl -w "
			  "net.ipv4.ip_local_port_range='10240 65535" FOR_GOOD)
			WARN_LINE("listeners' ports 40000 are among those that connections to "
				  "brokers take their local port from (32768-60999): a start may "
				  "find them in use; sysctl -w "
				  "net.ipv4.ip_local_reserved_ports='40000" FOR_GOOD));
	doctor.broker_count = 2;
	file("/proc/sys/net/ipv4/ip_local_reserved_ports", "5-7,39999-40000\n");
	assert_string_equal(lines_of(cli_doctor_ports),
			    OK_LINE("local ports for 56464 connections to 2 broker addresses, "
				    "limits.connections is 28233"));
	/* At either end of what is reserved. */
	file("/proc/sys/net/ipv4/ip_local_reserved_ports", "40000-40001\n");
	assert_null(strstr(lines_of(cli_doctor_ports), "warn"));
	file("/proc/sys/net/ipv4/ip_local_reserved_ports", "40001,5-7\n");
	assert_non_null(strstr(lines_of(cli_doctor_ports), "='40001,5-7,40000'"));
	file("/proc/sys/net/ipv4/ip_local_reserved_ports", "5-7,39999-40000\n");
	file(range, "1024\t65535\n");
	assert_non_null(strstr(lines_of(cli_doctor_ports),
			       "ip_local_reserved_ports='5-7,39999-40000,6650'"));
	file(range, "60000\t61000\n");
	assert_int_equal(strncmp(lines_of(cli_doctor_ports), "warn ", 5), 0);
	file(range, "2000\t2999\n");
	assert_non_null(strstr(lines_of(cli_doctor_ports), "; more gateways, "));
	end();
}

static void test_listeners(void **state)
{
	struct addr any = addr_v4(0x7f000001, 0);
	struct addr taken;
	char yaml[500], expected[500];
	int fd;

	(void)state;
	assert_int_equal(net_listen(&any, 1, 1, &fd), 0);
	assert_int_equal(net_local_addr(fd, &taken), 0);
	snprintf(yaml, sizeof(yaml),
		 "web: { listen: \"127.0.0.1:%u\" }\n"
		 "listeners: [ { name: a, bind: \"192.0.2.1:6650\", forward: \"h:1\" } ]\n",
		 taken.port);
	begin(yaml);
	snprintf(expected, sizeof(expected),
		 FAIL_LINE("listener a: 192.0.2.1:6650: Cannot assign requested address; no "
			   "interface has this address (ip addr); where it comes later, as with "
			   "VRRP: net.ipv4.ip_nonlocal_bind=1") FAIL_LINE("web: 127.0.0.1:%u: "
									  "Address already in use; "
									  "ss -ltnp 'sport = :%u' "
									  "says who has it"),
		 taken.port, taken.port);
	assert_string_equal(lines_of(cli_doctor_listeners), expected);
	doctor.processes[0].pid = 5;
	assert_non_null(strstr(lines_of(cli_doctor_listeners),
			       OK_LINE("1 address is in use, as it should be where penstock "
				       "runs")));
	net_close(fd, false);
	assert_non_null(strstr(lines_of(cli_doctor_listeners), OK_LINE("1 address can be bound")));
	end();
}

static void test_cpus(void **state)
{
	(void)state;
	begin("process: { workers: 3 }\n");
	file("/sys/devices/system/cpu/online", "0-3\n");
	assert_string_equal(lines_of(cli_doctor_cpus), OK_LINE("3 workers on 4 CPUs, not pinned"));
	file("/sys/devices/system/cpu/online", "0-1\n");
	assert_string_equal(lines_of(cli_doctor_cpus),
			    WARN_LINE("3 workers share 2 CPUs; process.workers: auto makes one per "
				      "CPU"));
	file("/sys/devices/system/cpu/online", "0-3\n");
	doctor.processes[0].pid = 9;
	snprintf(doctor.processes[0].cgroup, 64, "/a");
	file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	assert_null(strstr(lines_of(cli_doctor_cpus), "warn"));
	file("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	assert_null(strstr(lines_of(cli_doctor_cpus), "warn"));
	file("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
	assert_non_null(strstr(lines_of(cli_doctor_cpus), "penstock 9 may use 2.5 CPUs and has 3 "
							  "workers"));
	/* Nothing is pinned: nothing of this matters. */
	file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
	assert_string_equal(lines_of(cli_doctor_governor), "");
	assert_string_equal(lines_of(cli_doctor_siblings), "");
	assert_string_equal(lines_of(cli_doctor_isolation), "");
	assert_string_equal(lines_of(cli_doctor_irqs), "");
	assert_string_equal(lines_of(cli_doctor_rss), "");
	assert_string_equal(lines_of(cli_doctor_numa), "");
	end();
}

/* The configuration is checked against the CPUs this test may use; the host it is held against is
 * another one. */
static void begin_pinned(const char *more)
{
	char text[400];

	snprintf(text, sizeof(text), "process: { workers: 2%s }\n", more);
	begin(text);
	config->process.cpus = (struct cpu_list){ .cpu = { 2, 3 }, .count = 2 };
}

static void test_pinned(void **state)
{
	(void)state;
	begin_pinned("");
	file("/sys/devices/system/cpu/online", "0-2\n");
	assert_string_equal(
		lines_of(cli_doctor_cpus),
		FAIL_LINE("process.cpus names 3, which this host does not have online; write CPUs "
			  "that lscpu lists as online"));
	file("/sys/devices/system/cpu/online", "0-3\n");
	assert_string_equal(lines_of(cli_doctor_cpus), OK_LINE("2 workers on 4 CPUs, pinned"));

	assert_string_equal(lines_of(cli_doctor_governor), ""); /* a virtual machine */
	file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
	file("/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n");
	file("/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance\n");
	assert_string_equal(lines_of(cli_doctor_governor),
			    OK_LINE("performance on all CPUs of workers"));
	file("/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "schedutil\n");
	assert_string_equal(lines_of(cli_doctor_governor),
			    WARN_LINE("workers' CPUs 3 slow down when there is little to do "
				      "(governor); cpupower -c 3 frequency-set -g performance"));

	file("/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "0,2\n");
	file("/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "1,3\n");
	assert_string_equal(lines_of(cli_doctor_siblings),
			    OK_LINE("each worker has a core of its own"));
	file("/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3\n");
	assert_string_equal(lines_of(cli_doctor_siblings),
			    WARN_LINE("two workers each share a core: 2+3; each has about half of "
				      "it; give process.cpus one CPU of each core (lscpu -e)"));

	file("/sys/devices/system/cpu/isolated", "\n");
	assert_string_equal(lines_of(cli_doctor_isolation),
			    OK_LINE("other programs may run on workers' CPUs 2,3"));
	config->process.busy_poll_ns = 50000;
	file("/sys/devices/system/cpu/isolated", "3\n");
	assert_string_equal(lines_of(cli_doctor_isolation),
			    WARN_LINE("other programs may run on workers' CPUs 2, which "
				      "process.busy_poll keeps busy; boot with isolcpus=2 "
				      "nohz_full=2, or AllowedCPUs= for all other units"));
	file("/sys/devices/system/cpu/isolated", "2-3\n");
	assert_string_equal(lines_of(cli_doctor_isolation),
			    OK_LINE("nothing else is scheduled on workers' CPUs"));
	end();
}

static void test_cards(void **state)
{
	(void)state;
	begin_pinned("");
	file("/sys/class/net/lo/queues/rx-0/rps_cpus", "0\n"); /* no device behind it */
	file("/sys/class/net/eth0/device/uevent", "DRIVER=x\n");
	file("/sys/class/net/eth0/device/msi_irqs/40", "msix\n");
	file("/sys/class/net/eth0/device/msi_irqs/41", "msix\n");
	file("/proc/irq/40/effective_affinity_list", "0\n");
	file("/proc/irq/41/effective_affinity_list", "1\n");
	assert_string_equal(lines_of(cli_doctor_irqs),
			    OK_LINE("interrupts of eth0 come to CPUs without workers"));
	file("/proc/irq/41/effective_affinity_list", "3\n");
	assert_string_equal(lines_of(cli_doctor_irqs),
			    WARN_LINE("interrupts of eth0 come to workers' CPUs 3 and not to 2: "
				      "the former have less time for their connections; "
				      "/proc/irq/*/smp_affinity_list: to all of them, or to CPUs "
				      "without workers"));
	assert_int_equal(remove("root/proc/irq/40/effective_affinity_list"), 0);
	file("/proc/irq/40/smp_affinity_list", "0-2\n");
	assert_string_equal(lines_of(cli_doctor_irqs),
			    OK_LINE("interrupts of eth0 come to all workers' CPUs"));
	file("/proc/12/comm", "irqbalance\n");
	file("/proc/self/comm", "irqbalance\n");
	assert_non_null(
		strstr(lines_of(cli_doctor_irqs), "\nwarn  check         irqbalance moves"));

	assert_string_equal(lines_of(cli_doctor_rss), "");
	file("/sys/class/net/eth0/queues/tx-0/xps_cpus", "0\n");
	file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00,00000000\n");
	assert_string_equal(lines_of(cli_doctor_rss),
			    WARN_LINE("one CPU takes all packets of eth0, for 2 workers: it has "
				      "one queue and no RPS; ethtool -L eth0 combined 2, or a mask "
				      "in /sys/class/net/eth0/queues/rx-0/rps_cpus"));
	file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00,0000000c\n");
	assert_string_equal(lines_of(cli_doctor_rss),
			    OK_LINE("eth0 spreads packets over 1 queue and by RPS"));
	file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00\n");
	file("/sys/class/net/eth0/queues/rx-1/rps_cpus", "00\n");
	assert_string_equal(lines_of(cli_doctor_rss),
			    OK_LINE("eth0 spreads packets over 2 queues"));

	file("/sys/class/net/eth0/device/numa_node", "-1\n");
	assert_string_equal(lines_of(cli_doctor_numa), "");
	file("/sys/class/net/eth0/device/numa_node", "1\n");
	file("/sys/devices/system/node/node1/cpulist", "2-3\n");
	assert_string_equal(lines_of(cli_doctor_numa), OK_LINE("workers run on the node of eth0"));
	file("/sys/devices/system/node/node1/cpulist", "3,7\n");
	assert_non_null(strstr(lines_of(cli_doctor_numa),
			       "workers' CPUs 2 are on another memory node than eth0 (node 1)"));
	end();
}

#define LIMITS                                                                             \
	"Limit                     Soft Limit           Hard Limit           Units     \n" \
	"Max open files            1024                 1048576              files     \n" \
	"Max locked memory         8388608              unlimited            bytes     \n"

/* Whose limits count: those of every penstock that serves, else the shell's. */
static void test_processes(void **state)
{
	char whose[32];

	(void)state;
	begin(NULL);
	doctor.process_count = 0;
	file("/proc/self/limits", "%s", LIMITS);
	file("/proc/20/comm", "haproxy\n");
	file("/proc/21/comm", "penstock\n");
	file("/proc/21/cmdline", "penstock%cdoctor%c", 0, 0);
	cli_doctor_find(&doctor);
	assert_int_equal(doctor.process_count, 1);
	assert_int_equal(doctor.processes[0].pid, 0);
	assert_int_equal(doctor.processes[0].files_max, 1048576);
	assert_true(doctor.processes[0].locked_max == UINT64_MAX);
	assert_string_equal(cli_doctor_whose(&doctor.processes[0], whose, sizeof(whose)),
			    "this shell");

	static const struct {
		const char *words[3];
		bool is_ours;
	} rows[] = {
		{ { "run", "-c", "t.yaml" }, true },	{ { "run", "--config=t.yaml", "" }, true },
		{ { "-c", "t.yaml", "" }, true },	{ { "-c=t.yaml", "", "" }, true },
		{ { "run", "-c", "u.yaml" }, false },	{ { "run", "", "" }, false },
		{ { "check", "-c", "t.yaml" }, false }, { { "proxy", "-c", "t.yaml" }, false },
	};

	file("/proc/21/limits", "Max open files            5                    7      files\n");
	file("/proc/21/status", "Name:\tpenstock\nCapEff:\t0000000001000400\n");
	file("/proc/21/cgroup", "0::/system.slice/penstock.service\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *const *words = rows[i].words;

		file("/proc/21/cmdline", "/usr/bin/penstock%c%s%c%s%c%s%c", 0, words[0], 0,
		     words[1], 0, words[2], 0);
		memset(doctor.processes, 0, sizeof(doctor.processes));
		doctor.process_count = 0;
		cli_doctor_find(&doctor);
		assert_int_equal(doctor.process_count, 1);
		assert_int_equal(doctor.processes[0].pid, rows[i].is_ours ? 21 : 0);
		if (!rows[i].is_ours)
			continue;
		assert_int_equal(doctor.processes[0].files_max, 7);
		assert_int_equal(doctor.processes[0].capabilities, 0x1000400);
		assert_string_equal(doctor.processes[0].cgroup, "/system.slice/penstock.service");
	}
	/* One without words serves the installed file. */
	file("/proc/21/cmdline", "penstock%c", 0);
	doctor.config_path = "/etc/penstock/penstock.yaml";
	doctor.process_count = 0;
	cli_doctor_find(&doctor);
	assert_string_equal(cli_doctor_whose(&doctor.processes[0], whose, sizeof(whose)),
			    "penstock 21");
	end();
}

/* ---- the configuration, and the report ------------------------------------------------------ */

static void load(const char *text)
{
	begin(NULL);
	help_write("t.yaml", text, strlen(text));
	config = cli_doctor_load(&doctor);
}

static void test_config(void **state)
{
	(void)state;
	load("admin: { listen: off }\nlimits: { connections: 9 }\n"
	     "listeners: [ { name: a, bind: \"0.0.0.0:1\", forward: \"h:1\" } ]\n");
	assert_string_equal(lines_of(cli_doctor_config),
			    OK_LINE("t.yaml: 0 clusters, 1 listener, 0 routes"));
	end();
	load("admin: { listen: x }\nlimit: { connections: 9 }\n");
	assert_null(doctor.config);
	const char *said = lines_of(cli_doctor_config);

	assert_int_equal(strncmp(said, "fail  check         t.yaml:1:18: admin.listen: ", 47), 0);
	assert_non_null(strstr(said, FAIL_LINE("t.yaml:2:1: limit: unknown key; did you mean "
					       "limits?")));
	assert_non_null(strstr(said, "; fix t.yaml and run doctor again\n"));
	/* And nothing else falls over the lack of one. */
	cli_doctor_run(&doctor);
	assert_int_equal(cli_doctor_exit(&doctor), CLI_CONFIG);
	end();
	/* A file of TLS that is not there stops the start as well. */
	load("admin: { listen: off }\n"
	     "clusters: { c: { discovery: { urls: [\"pulsar://b:1\"] } } }\n"
	     "listeners: [ { name: a, bind: \"0.0.0.0:1\", cluster: c, tls: { cert_file: "
	     "/nowhere/no.pem, key_file: /nowhere/no.key } } ]\n");
	assert_non_null(doctor.config);
	assert_null(doctor.tls);
	assert_non_null(strstr(lines_of(cli_doctor_config),
			       "fail  check         listener a: tls: /nowhere/no.pem: "));
	end();
	/* A warning is none of these. */
	load("admin: { listen: off }\n");
	said = lines_of(cli_doctor_config);
	assert_int_equal(strncmp(said, "ok ", 3), 0);
	assert_non_null(strstr(said, "\nwarn  check         t.yaml: there are no listeners"));
	cli_doctor_config(&doctor);
	assert_int_equal(cli_doctor_exit(&doctor), CLI_FINE);
	end();
}

/* On a host that has everything each check has something to say: none is missing from the table. */
static void test_all(void **state)
{
	static const char *const names[] = {
		"config",   "certificates", "kernel",	 "io_uring", "memlock", "files",
		"pipes",    "memory",	    "ktls",	 "clock",    "cpus",	"governor",
		"siblings", "isolation",    "irqs",	 "rss",	     "numa",	"listeners",
		"backlog",  "conntrack",    "zookeeper", "brokers",  "ports",
	};

	(void)state;
	assert_int_equal(system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
				"-nodes -days 2 -subj /CN=a -keyout a.key -out a.pem 2>/dev/null"),
			 0);
	char folder[256], yaml[1000];

	assert_non_null(getcwd(folder, sizeof(folder)));
	snprintf(yaml, sizeof(yaml),
		 "timeouts: { connect: 10ms }\nclusters: { c: { discovery: { zookeeper: { servers: "
		 "\"127.0.0.1:1\" } } } }\nlisteners: [ { name: a, bind: \"127.0.0.1:9\", cluster: "
		 "c, tls: { cert_file: %s/a.pem, key_file: %s/a.key } } ]\n",
		 folder, folder);
	begin(yaml);
	config->process.cpus = (struct cpu_list){ .cpu = { 0 }, .count = 1 };
	file("/proc/meminfo", "MemTotal: 1 kB\n");
	file("/proc/sys/net/netfilter/nf_conntrack_max", "5\n");
	file("/proc/sys/net/ipv4/ip_local_port_range", "1 2\n");
	file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	file("/sys/devices/system/cpu/online", "0\n");
	file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
	file("/sys/class/net/eth0/device/uevent", "DRIVER=x\n");
	file("/sys/class/net/eth0/device/numa_node", "0\n");
	file("/sys/class/net/eth0/device/msi_irqs/40", "msix\n");
	file("/sys/class/net/eth0/queues/rx-0/rps_cpus", "0\n");
	file("/sys/devices/system/node/node0/cpulist", "0\n");
	file("/proc/irq/40/smp_affinity_list", "0\n");
	cli_doctor_run(&doctor);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		bool is_there = false;

		for (uint32_t j = 0; j < doctor.finding_count; j++)
			is_there |= strcmp(doctor.findings[j].check, names[i]) == 0;
		if (!is_there)
			fail_msg("%s says nothing", names[i]);
	}
	end();
}

static void test_report(void **state)
{
	char text[2000];
	FILE *out;

	(void)state;
	begin(NULL);
	cli_doctor_say(&doctor, DOCTOR_OK, "fine");
	assert_int_equal(cli_doctor_exit(&doctor), CLI_FINE);
	cli_doctor_say(&doctor, DOCTOR_WARN, "%d of them", 3);
	cli_doctor_sysctl(&doctor, "a.b", "%d", 4);
	assert_int_equal(cli_doctor_exit(&doctor), CLI_FINE);
	cli_doctor_say(&doctor, DOCTOR_FAIL, "a \"b\" \\ \x1b[1m \xe9 \xc3\xa9");
	cli_doctor_remedy(&doctor, "mend");
	assert_int_equal(cli_doctor_exit(&doctor), CLI_FAILURE);
	out = fmemopen(text, sizeof(text), "w");
	cli_doctor_print(&doctor, out);
	fclose(out);
	assert_string_equal(
		text, OK_LINE("fine") WARN_LINE("3 of them; sysctl -w a.b='4" FOR_GOOD)
			      FAIL_LINE("a \"b\" \\ ?[1m \xe9 \xc3\xa9; mend") "doctor: 1 ok, 1 "
									       "warn, 1 fail\n");
	out = fmemopen(text, sizeof(text), "w");
	cli_doctor_print_json(&doctor, out);
	fclose(out);
	assert_string_equal(
		text,
		"{\"version\": \"" PENSTOCK_VERSION
		"\", \"result\": \"fail\", \"ok\": 1, \"warn\": 1, \"fail\": 1, \"checks\": [\n"
		"{\"check\": \"check\", \"state\": \"ok\", \"what\": \"fine\", \"remedy\": null},\n"
		"{\"check\": \"check\", \"state\": \"warn\", \"what\": \"3 of them\", \"remedy\": "
		"\"sysctl -w a.b='4', and for good in /etc/sysctl.d\"},\n"
		"{\"check\": \"check\", \"state\": \"fail\", \"what\": \"a \\\"b\\\" \\\\ "
		"\\u001b[1m \\u00e9 \xc3\xa9\", \"remedy\": \"mend\"}\n]}\n");
	out = fmemopen(text, sizeof(text), "w");
	cli_doctor_print_sysctl(&doctor, out);
	fclose(out);
	assert_non_null(strstr(text, "\n# 3 of them\na.b = 4\n"));
	cli_doctor_say(&doctor, DOCTOR_STOP, "no");
	assert_int_equal(cli_doctor_exit(&doctor), CLI_CONFIG);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel),	  cmocka_unit_test(test_uring),
		cmocka_unit_test(test_memlock),	  cmocka_unit_test(test_files),
		cmocka_unit_test(test_pipes),	  cmocka_unit_test(test_memory),
		cmocka_unit_test(test_clock),	  cmocka_unit_test(test_tls),
		cmocka_unit_test(test_network),	  cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_pinned),	  cmocka_unit_test(test_cards),
		cmocka_unit_test(test_processes), cmocka_unit_test(test_config),
		cmocka_unit_test(test_report),	  cmocka_unit_test(test_all),
		cmocka_unit_test(test_listeners),
	};

	if (tls_init(16 << 20) < 0)
		return 1;
	int failed = cmocka_run_group_tests(tests, help_setup, NULL);

	tls_fini();
	return failed;
}
