/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor: `penstock doctor`: is this host one that penstock runs well on, is the configuration
 * good, and can what it names be reached? A table of checks, each a small function that looks at
 * one thing and says one line or several: ok, warn or fail, and what to do about it.
 *
 *     cli_doctor.c            the table, the report, the exit code
 *     cli_doctor_read.c       files of /proc and /sys; the processes of penstock that run
 *     cli_doctor_host.c       kernel, io_uring, limits, pipes, memory, clock
 *     cli_doctor_net.c        addresses to listen on, sysctls of the network
 *     cli_doctor_cpu.c        CPUs; governor, siblings, interrupts of nodes with pinned workers
 *     cli_doctor_config.c     the configuration, certificates, the kernel's TLS
 *     cli_doctor_reach.c      ZooKeeper, brokers, targets
 *     cli_doctor_dial.c       many of them asked at once
 *
 * Files are read below `root`, so that tests can play any host.
 * Thread:   main
 * Memory:   struct doctor owns its findings
 * Errors:   what cannot be read is not there: a check says so, or nothing
 */
#pragma once

#include <sys/utsname.h>

#include <penstock/tls/set.h>
#include <penstock/uring.h>

#include "cli_priv.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_WARN,
	DOCTOR_FAIL, /* something will not work: exit code 1 */
	DOCTOR_STOP, /* penstock will not start: 78; shown as fail too */
};

struct doctor_finding {
	const char *check;
	enum doctor_state state;
	char *what, *remedy; /* remedy: NULL for none */
	/* A remedy that is a sysctl, for --sysctl: "net.core.somaxconn", "4096"; NULL: it is not.
	 */
	const char *sysctl;
	char *value;
};

/* What the files do not tell. */
struct doctor_host {
	struct utsname kernel;
	bool is_root;
	int uring_err; /* 0: a ring can be had */
	char uring_why[512];
	struct uring_features uring;
	struct tls_features tls;
	bool is_clock_synced;
};

/* A penstock that serves this configuration, or where there is none the shell doctor was called
 * from. */
struct doctor_process {
	uint32_t pid;	       /* 0: the shell's */
	uint64_t files_max;    /* hard limit of open files; UINT64_MAX: none */
	uint64_t locked_max;   /* of locked memory, bytes */
	uint64_t capabilities; /* of a penstock; the shell's are not those of the service: 0 */
	char cgroup[256];      /* "/system.slice/penstock.service"; empty: not known */
};

#define DOCTOR_PROCESSES_MAX 16

struct doctor {
	const char *root;	     /* "" or where a test's /proc and /sys are */
	const struct config *config; /* NULL: there is no good one */
	struct config_budget budget; /* with config */
	struct tls_set *tls;	     /* NULL: none, or not good */
	struct doctor_host host;
	struct doctor_process processes[DOCTOR_PROCESSES_MAX];
	uint32_t process_count;
	bool has_zookeeper;    /* a server answers, of any cluster */
	uint32_t broker_count; /* that discovery found, over all clusters, and targets */

	const char *config_path;
	char *said;	   /* what is wrong with the configuration, or doubtful, line by line */
	const char *check; /* the one that runs */
	struct doctor_finding *findings;
	uint32_t finding_count, finding_room;
};

/* ---- cli_doctor.c --------------------------------------------------------------------------- */

/* One line. What should be done about it: cli_doctor_remedy or cli_doctor_sysctl next. */
PRINTF_LIKE(3, 4)
void cli_doctor_say(struct doctor *doctor, enum doctor_state state, const char *format, ...);
PRINTF_LIKE(2, 3) void cli_doctor_remedy(struct doctor *doctor, const char *format, ...);
PRINTF_LIKE(3, 4)
void cli_doctor_sysctl(struct doctor *doctor, const char *name, const char *format, ...);
/* Runs every check of the table. */
void cli_doctor_run(struct doctor *doctor);
void cli_doctor_print(const struct doctor *doctor, FILE *out);
void cli_doctor_print_json(const struct doctor *doctor, FILE *out);
/* What cli_doctor_sysctl was told, as a file for /etc/sysctl.d. */
void cli_doctor_print_sysctl(const struct doctor *doctor, FILE *out);
int cli_doctor_exit(const struct doctor *doctor);
void cli_doctor_fini(struct doctor *doctor);

/* ---- cli_doctor_read.c ---------------------------------------------------------------------- */

/* The first line of a file, without its end. False: it is not there, or empty. */
PRINTF_LIKE(4, 5)
bool cli_doctor_line(const struct doctor *doctor, char *ret_text, size_t size, const char *format,
		     ...);
PRINTF_LIKE(3, 4)
bool cli_doctor_number(const struct doctor *doctor, uint64_t *ret_number, const char *format, ...);
/* Calls `fn` with the name of everything in a folder, in no order; "." and ".." are left out. */
typedef void doctor_entry_fn(struct doctor *doctor, const char *name, void *with);
void cli_doctor_list(struct doctor *doctor, const char *folder, doctor_entry_fn *fn, void *with);
/* The value behind "name:" in a file of such lines. */
bool cli_doctor_field(const struct doctor *doctor, const char *path, const char *name,
		      char *ret_text, size_t size);
/* Is a process of that name (comm) there? */
bool cli_doctor_is_running(struct doctor *doctor, const char *name);
/* Fills processes[], after config_path. */
void cli_doctor_find(struct doctor *doctor);
/* "penstock 4711", "this shell"; 32 bytes will do. */
const char *cli_doctor_whose(const struct doctor_process *process, char *ret_text, size_t size);

/* ---- cli_doctor_dial.c ---------------------------------------------------------------------- */

/* How far it came. */
enum doctor_stage {
	DOCTOR_NAME, /* it has no address */
	DOCTOR_CONNECTION,
	DOCTOR_TLS,
	DOCTOR_SETTLING, /* TLS is there; does the server stay? */
	DOCTOR_ANSWER,
	DOCTOR_REACHED,
};

#define DOCTOR_ADDRS_MAX 4

struct doctor_place {
	char host[HOST_MAX];
	uint16_t port;
	struct tls_context *context; /* begin TLS with it; NULL: none */
	const char *name;	     /* for TLS, if not host */
	const char *question;	     /* send this and read until it closes; NULL: do not */

	enum doctor_stage stage;
	char why[200]; /* not reached */
	char answer[1024];

	/* Asked of the resolver, unless there are some. */
	struct addr addrs[DOCTOR_ADDRS_MAX];
	uint32_t addr_count;

	/* In between. */
	uint32_t addr_next;
	int fd, events;
	struct tls_end *end;
	uint64_t deadline_ns;
	size_t answer_len;
	bool is_over;
};

/* Tries to reach all of them, each address of each for `timeout_ns`. Blocks; name servers take the
 * time the resolver's configuration gives them. */
void cli_doctor_dial(struct doctor_place *places, uint32_t count, uint64_t timeout_ns);
/* Addresses of a name, in the resolver's order; *ret_err: 0 or an EAI_ number. */
uint32_t cli_doctor_resolve(const char *host, uint16_t port, struct addr *ret_addrs, uint32_t max,
			    int *ret_err);

/* ---- the checks ----------------------------------------------------------------------------- */

void cli_doctor_kernel(struct doctor *doctor);
void cli_doctor_uring(struct doctor *doctor);
void cli_doctor_memlock(struct doctor *doctor);
void cli_doctor_files(struct doctor *doctor);
void cli_doctor_pipes(struct doctor *doctor);
void cli_doctor_memory(struct doctor *doctor);
void cli_doctor_clock(struct doctor *doctor);

void cli_doctor_listeners(struct doctor *doctor);
void cli_doctor_backlog(struct doctor *doctor);
void cli_doctor_ports(struct doctor *doctor);
void cli_doctor_conntrack(struct doctor *doctor);

void cli_doctor_cpus(struct doctor *doctor);
void cli_doctor_governor(struct doctor *doctor);
void cli_doctor_siblings(struct doctor *doctor);
void cli_doctor_isolation(struct doctor *doctor);
void cli_doctor_irqs(struct doctor *doctor);
void cli_doctor_rss(struct doctor *doctor);
void cli_doctor_numa(struct doctor *doctor);

/* Reads config_path: config, budget, tls and said. The caller frees what is returned, after
 * cli_doctor_fini; NULL: there is none. */
struct config *cli_doctor_load(struct doctor *doctor);
void cli_doctor_config(struct doctor *doctor);
void cli_doctor_certificates(struct doctor *doctor);
void cli_doctor_ktls(struct doctor *doctor);

void cli_doctor_zookeeper(struct doctor *doctor);
void cli_doctor_brokers(struct doctor *doctor);
