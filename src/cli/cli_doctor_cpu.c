/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_cpu: CPUs, and for nodes whose workers are pinned (process.cpus) what else runs on
 * these, how fast they may be, and where the network's interrupts go.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cli_doctor.h"

#define LIST_MAX 256

/* CPUs as a text: "2,3,4". */
struct names {
	char text[LIST_MAX];
	size_t len;
	uint32_t count;
};

static void name_add(struct names *names, const char *name)
{
	int len = snprintf(names->text + names->len, sizeof(names->text) - names->len, "%s%s",
			   names->count > 0 ? "," : "", name);

	names->count++;
	if (len > 0 && (size_t)len < sizeof(names->text) - names->len)
		names->len += (size_t)len;
	else
		names->text[names->len] = '\0'; /* it does not fit: counted only */
}

static void cpu_add(struct names *names, uint16_t cpu)
{
	char text[8];

	(void)snprintf(text, sizeof(text), "%u", cpu);
	name_add(names, text);
}

static bool is_pinned(const struct doctor *doctor)
{
	return doctor->config != NULL && doctor->config->process.cpus.count > 0;
}

static bool is_in(const struct cpu_list *list, uint16_t cpu)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->cpu[i] == cpu)
			return true;
	return false;
}

/* A file with a list like "0-3,8". False: it is not there, or empty. */
static bool read_list(const struct doctor *doctor, struct cpu_list *ret_list, const char *path)
{
	char text[4096];

	ret_list->count = 0;
	return cli_doctor_line(doctor, text, sizeof(text), "%s", path) && cpu_parse(text, ret_list);
}

static void quota_check(struct doctor *doctor, const struct doctor_process *process)
{
	char text[64], whose[32];
	uint64_t quota, period;

	/* "max 100000" is no limit. */
	if (process->cgroup[0] == '\0' ||
	    !cli_doctor_line(doctor, text, sizeof(text), "/sys/fs/cgroup%s/cpu.max",
			     process->cgroup) ||
	    sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 ||
	    quota >= period * doctor->config->process.workers)
		return;
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "%s may use %" PRIu64 ".%" PRIu64
		       " CPUs and has %u workers: all of them stop "
		       "when it is used up",
		       cli_doctor_whose(process, whose, sizeof(whose)), quota / period,
		       quota * 10 / period % 10, doctor->config->process.workers);
	cli_doctor_remedy(doctor, "raise CPUQuota= of the unit, or lower process.workers");
}

void cli_doctor_cpus(struct doctor *doctor)
{
	struct cpu_list online;
	struct names missing = { .count = 0 };

	if (doctor->config == NULL || !read_list(doctor, &online, "/sys/devices/system/cpu/online"))
		return;
	const struct cpu_list *pinned = &doctor->config->process.cpus;
	uint32_t workers = doctor->config->process.workers;

	for (uint32_t i = 0; i < pinned->count; i++)
		if (!is_in(&online, pinned->cpu[i]))
			cpu_add(&missing, pinned->cpu[i]);
	if (missing.count > 0) {
		cli_doctor_say(doctor, DOCTOR_STOP,
			       "process.cpus names %s, which this host does not have online",
			       missing.text);
		cli_doctor_remedy(doctor, "write CPUs that lscpu lists as online");
	} else if (workers > online.count) {
		cli_doctor_say(doctor, DOCTOR_WARN, "%u workers share %u CPUs", workers,
			       online.count);
		cli_doctor_remedy(doctor, "process.workers: auto makes one per CPU");
	} else {
		cli_doctor_say(doctor, DOCTOR_OK, "%u worker%s on %u CPUs, %s", workers,
			       workers == 1 ? "" : "s", online.count,
			       pinned->count > 0 ? "pinned" : "not pinned");
	}
	for (uint32_t i = 0; i < doctor->process_count; i++)
		quota_check(doctor, &doctor->processes[i]);
}

void cli_doctor_governor(struct doctor *doctor)
{
	struct names slow = { .count = 0 };
	char text[64], last[64] = "";

	for (uint32_t i = 0; is_pinned(doctor) && i < doctor->config->process.cpus.count; i++) {
		uint16_t cpu = doctor->config->process.cpus.cpu[i];

		if (!cli_doctor_line(doctor, text, sizeof(text),
				     "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu))
			continue; /* a virtual machine: its host decides */
		(void)snprintf(last, sizeof(last), "%s", text);
		if (strcmp(text, "performance") != 0)
			cpu_add(&slow, cpu);
	}
	if (slow.count > 0) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "workers' CPUs %s slow down when there is little to do (governor)",
			       slow.text);
		cli_doctor_remedy(doctor, "cpupower -c %s frequency-set -g performance", slow.text);
	} else if (last[0] != '\0') {
		cli_doctor_say(doctor, DOCTOR_OK, "performance on all CPUs of workers");
	}
}

void cli_doctor_siblings(struct doctor *doctor)
{
	struct names shared = { .count = 0 };
	struct cpu_list siblings;
	char path[128];

	for (uint32_t i = 0; is_pinned(doctor) && i < doctor->config->process.cpus.count; i++) {
		const struct cpu_list *pinned = &doctor->config->process.cpus;

		(void)snprintf(path, sizeof(path),
			       "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
			       pinned->cpu[i]);
		if (!read_list(doctor, &siblings, path))
			continue;
		for (uint32_t j = 0; j < i; j++)
			if (is_in(&siblings, pinned->cpu[j])) {
				char pair[16];

				(void)snprintf(pair, sizeof(pair), "%u+%u", pinned->cpu[j],
					       pinned->cpu[i]);
				name_add(&shared, pair);
			}
	}
	if (shared.count > 0) {
		cli_doctor_say(doctor, DOCTOR_WARN,
			       "two workers each share a core: %s; each has about half of it",
			       shared.text);
		cli_doctor_remedy(doctor, "give process.cpus one CPU of each core (lscpu -e)");
	} else if (is_pinned(doctor)) {
		cli_doctor_say(doctor, DOCTOR_OK, "each worker has a core of its own");
	}
}

void cli_doctor_isolation(struct doctor *doctor)
{
	struct cpu_list isolated;
	struct names open = { .count = 0 };

	if (!is_pinned(doctor))
		return;
	(void)!read_list(doctor, &isolated, "/sys/devices/system/cpu/isolated");
	const struct cpu_list *pinned = &doctor->config->process.cpus;

	for (uint32_t i = 0; i < pinned->count; i++)
		if (!is_in(&isolated, pinned->cpu[i]))
			cpu_add(&open, pinned->cpu[i]);
	if (open.count == 0) {
		cli_doctor_say(doctor, DOCTOR_OK, "nothing else is scheduled on workers' CPUs");
		return;
	}
	/* A worker that spins is the one who is in the way. */
	bool is_spinning = doctor->config->process.busy_poll_ns > 0;

	cli_doctor_say(doctor, is_spinning ? DOCTOR_WARN : DOCTOR_OK,
		       "other programs may run on workers' CPUs %s%s", open.text,
		       is_spinning ? ", which process.busy_poll keeps busy" : "");
	if (is_spinning)
		cli_doctor_remedy(doctor,
				  "boot with isolcpus=%s nohz_full=%s, or AllowedCPUs= for "
				  "all other units",
				  open.text, open.text);
}

/* ---- the network's interrupts --------------------------------------------------------------- */

struct nic {
	bool is_served[CPU_MAX]; /* an interrupt of it may come here */
	uint32_t irqs;
};

typedef void nic_fn(struct doctor *doctor, const char *name);

/* Interfaces with a device behind them: cards, virtual or not; no bridges, no lo. */
static void on_interface(struct doctor *doctor, const char *name, void *with)
{
	nic_fn *const *fn = with;
	char folder[256], text[64];

	(void)snprintf(folder, sizeof(folder), "/sys/class/net/%s/device/uevent", name);
	if (cli_doctor_line(doctor, text, sizeof(text), "%s", folder))
		(*fn)(doctor, name);
}

static void each_nic(struct doctor *doctor, nic_fn *fn)
{
	cli_doctor_list(doctor, "/sys/class/net", on_interface, &fn);
}

static void on_irq(struct doctor *doctor, const char *irq, void *with)
{
	struct nic *nic = with;
	struct cpu_list cpus;
	char path[256];

	(void)snprintf(path, sizeof(path), "/proc/irq/%s/effective_affinity_list", irq);
	if (!read_list(doctor, &cpus, path)) {
		(void)snprintf(path, sizeof(path), "/proc/irq/%s/smp_affinity_list", irq);
		if (!read_list(doctor, &cpus, path))
			return;
	}
	nic->irqs++;
	for (uint32_t i = 0; i < cpus.count; i++)
		nic->is_served[cpus.cpu[i]] = true;
}

/* Some workers with interrupts and some without have unlike amounts of time, and nobody can balance
 * that; all or none is fine. */
static void nic_irqs(struct doctor *doctor, const char *name)
{
	const struct cpu_list *pinned = &doctor->config->process.cpus;
	struct nic *nic = calloc(1, sizeof(*nic));
	struct names with = { .count = 0 }, without = { .count = 0 };
	char folder[256];

	if (nic == NULL)
		return;
	/* A virtio card's are its parent's. */
	(void)snprintf(folder, sizeof(folder), "/sys/class/net/%s/device/msi_irqs", name);
	cli_doctor_list(doctor, folder, on_irq, nic);
	(void)snprintf(folder, sizeof(folder), "/sys/class/net/%s/device/../msi_irqs", name);
	if (nic->irqs == 0)
		cli_doctor_list(doctor, folder, on_irq, nic);
	for (uint32_t i = 0; i < pinned->count; i++)
		cpu_add(nic->is_served[pinned->cpu[i]] ? &with : &without, pinned->cpu[i]);
	if (nic->irqs > 0 && with.count > 0 && without.count > 0) {
		cli_doctor_say(
			doctor, DOCTOR_WARN,
			"interrupts of %s come to workers' CPUs %s and not to %s: the former "
			"have less time for their connections",
			name, with.text, without.text);
		cli_doctor_remedy(doctor, "/proc/irq/*/smp_affinity_list: to all of them, or to "
					  "CPUs without workers");
	} else if (nic->irqs > 0) {
		cli_doctor_say(doctor, DOCTOR_OK, "interrupts of %s come to %s", name,
			       with.count > 0 ? "all workers' CPUs" : "CPUs without workers");
	}
	free(nic);
}

void cli_doctor_irqs(struct doctor *doctor)
{
	if (!is_pinned(doctor))
		return;
	each_nic(doctor, nic_irqs);
	if (!cli_doctor_is_running(doctor, "irqbalance"))
		return;
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "irqbalance moves interrupts about, to workers' CPUs "
		       "too");
	cli_doctor_remedy(doctor, "ban them in /etc/default/irqbalance "
				  "(IRQBALANCE_BANNED_CPULIST), or systemctl disable --now "
				  "irqbalance");
}

struct queue_count {
	const char *interface;
	uint32_t queues, steered;
};

static void on_queue(struct doctor *doctor, const char *queue, void *with)
{
	struct queue_count *count = with;
	char mask[512];

	if (strncmp(queue, "rx-", 3) != 0)
		return;
	count->queues++;
	if (cli_doctor_line(doctor, mask, sizeof(mask), "/sys/class/net/%s/queues/%s/rps_cpus",
			    count->interface, queue) &&
	    mask[strspn(mask, "0,")] != '\0')
		count->steered++;
}

static void nic_rss(struct doctor *doctor, const char *name)
{
	struct queue_count count = { .interface = name };
	uint32_t workers = doctor->config->process.workers;
	char folder[256];

	(void)snprintf(folder, sizeof(folder), "/sys/class/net/%s/queues", name);
	cli_doctor_list(doctor, folder, on_queue, &count);
	if (count.queues == 0)
		return;
	if (count.queues > 1 || count.steered > 0 || workers == 1) {
		cli_doctor_say(doctor, DOCTOR_OK, "%s spreads packets over %u queue%s%s", name,
			       count.queues, count.queues == 1 ? "" : "s",
			       count.steered > 0 ? " and by RPS" : "");
		return;
	}
	cli_doctor_say(
		doctor, DOCTOR_WARN,
		"one CPU takes all packets of %s, for %u workers: it has one queue and no RPS",
		name, workers);
	cli_doctor_remedy(doctor,
			  "ethtool -L %s combined %u, or a mask in "
			  "/sys/class/net/%s/queues/rx-0/rps_cpus",
			  name, workers, name);
}

void cli_doctor_rss(struct doctor *doctor)
{
	if (is_pinned(doctor))
		each_nic(doctor, nic_rss);
}

static void nic_numa(struct doctor *doctor, const char *name)
{
	const struct cpu_list *pinned = &doctor->config->process.cpus;
	struct names far = { .count = 0 };
	struct cpu_list near;
	char node[16], path[128];

	/* -1: one node only, or nobody knows. */
	if (!cli_doctor_line(doctor, node, sizeof(node), "/sys/class/net/%s/device/numa_node",
			     name) ||
	    node[0] == '-')
		return;
	(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%s/cpulist", node);
	if (!read_list(doctor, &near, path))
		return;
	for (uint32_t i = 0; i < pinned->count; i++)
		if (!is_in(&near, pinned->cpu[i]))
			cpu_add(&far, pinned->cpu[i]);
	if (far.count == 0) {
		cli_doctor_say(doctor, DOCTOR_OK, "workers run on the node of %s", name);
		return;
	}
	cli_doctor_say(doctor, DOCTOR_WARN,
		       "workers' CPUs %s are on another memory node than %s (node %s)", far.text,
		       name, node);
	cli_doctor_remedy(doctor, "choose process.cpus among %s's own: cat %s", name, path);
}

void cli_doctor_numa(struct doctor *doctor)
{
	if (is_pinned(doctor))
		each_nic(doctor, nic_numa);
}
