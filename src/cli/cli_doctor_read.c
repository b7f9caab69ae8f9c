/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_read: /proc and /sys, or what a test put in their place.
 */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

#include "cli_doctor.h"

__attribute__((format(printf, 2, 0))) static FILE *open_file(const struct doctor *doctor,
							     const char *format, va_list args)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s", doctor->root);

	if (len < 0 || (size_t)len >= sizeof(path))
		return NULL;
	int rest = vsnprintf(path + len, sizeof(path) - (size_t)len, format, args);

	if (rest < 0 || (size_t)rest >= sizeof(path) - (size_t)len)
		return NULL;
	return fopen(path, "re");
}

bool cli_doctor_line(const struct doctor *doctor, char *ret_text, size_t size, const char *format,
		     ...)
{
	va_list args;

	va_start(args, format);
	FILE *file = open_file(doctor, format, args);

	va_end(args);
	if (file == NULL)
		return false;
	bool is_read = fgets(ret_text, (int)size, file) != NULL;

	(void)fclose(file);
	if (!is_read)
		return false;
	ret_text[strcspn(ret_text, "\n")] = '\0';
	return ret_text[0] != '\0';
}

bool cli_doctor_number(const struct doctor *doctor, uint64_t *ret_number, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	FILE *file = open_file(doctor, format, args);

	va_end(args);
	if (file == NULL)
		return false;
	bool is_read = fscanf(file, "%" SCNu64, ret_number) == 1;

	(void)fclose(file);
	return is_read;
}

void cli_doctor_list(struct doctor *doctor, const char *folder, doctor_entry_fn *fn, void *with)
{
	char path[PATH_MAX];
	struct dirent *entry;

	if (snprintf(path, sizeof(path), "%s%s", doctor->root, folder) >= (int)sizeof(path))
		return;
	DIR *dir = opendir(path);

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fn(doctor, entry->d_name, with);
	(void)closedir(dir);
}

PRINTF_LIKE(2, 3) static FILE *open_path(const struct doctor *doctor, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	FILE *file = open_file(doctor, format, args);

	va_end(args);
	return file;
}

bool cli_doctor_field(const struct doctor *doctor, const char *path, const char *name,
		      char *ret_text, size_t size)
{
	FILE *file = open_path(doctor, "%s", path);
	size_t len = strlen(name);
	char line[256];
	bool is_found = false;

	while (!is_found && file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		const char *value = line + len + 1 + strspn(line + len + 1, " \t");

		(void)snprintf(ret_text, size, "%.*s", (int)strcspn(value, "\n"), value);
		is_found = true;
	}
	if (file != NULL)
		(void)fclose(file);
	return is_found;
}

/* ---- processes ------------------------------------------------------------------------------ */

struct wanted {
	const char *name;
	bool is_found;
};

static bool is_number(const char *name)
{
	return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

static void on_name(struct doctor *doctor, const char *pid, void *with)
{
	struct wanted *wanted = with;
	char comm[64];

	if (is_number(pid) && cli_doctor_line(doctor, comm, sizeof(comm), "/proc/%s/comm", pid))
		wanted->is_found |= strcmp(comm, wanted->name) == 0;
}

bool cli_doctor_is_running(struct doctor *doctor, const char *name)
{
	struct wanted wanted = { .name = name };

	cli_doctor_list(doctor, "/proc", on_name, &wanted);
	return wanted.is_found;
}

/* "Max open files            1024                 1048576              files": the hard one. */
static uint64_t limit_of(const char *line, const char *name)
{
	const char *at = line + strlen(name);
	char *end;

	at += strspn(at, " ");
	at += strcspn(at, " "); /* over the soft limit */
	at += strspn(at, " ");
	if (strncmp(at, "unlimited", strlen("unlimited")) == 0)
		return UINT64_MAX;
	unsigned long long value = strtoull(at, &end, 10);

	return end == at ? UINT64_MAX : value;
}

static void read_limits(const struct doctor *doctor, const char *pid,
			struct doctor_process *process)
{
	static const char files[] = "Max open files", locked[] = "Max locked memory";
	FILE *file = open_path(doctor, "/proc/%s/limits", pid);
	char line[256];

	process->files_max = process->locked_max = UINT64_MAX;
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, files, strlen(files)) == 0)
			process->files_max = limit_of(line, files);
		if (strncmp(line, locked, strlen(locked)) == 0)
			process->locked_max = limit_of(line, locked);
	}
	if (file != NULL)
		(void)fclose(file);
}

/* "0::/system.slice/penstock.service", of version 2 only. */
static void read_cgroup(const struct doctor *doctor, const char *pid,
			struct doctor_process *process)
{
	FILE *file = open_path(doctor, "/proc/%s/cgroup", pid);
	char line[256];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "0::", 3) == 0)
			(void)snprintf(process->cgroup, sizeof(process->cgroup), "%.*s",
				       (int)strcspn(line + 3, "\n"), line + 3);
	if (file != NULL)
		(void)fclose(file);
}

/* The value of -c FILE, -c=FILE, --config FILE or --config=FILE; `next` is what follows. */
static const char *config_of(const char *word, const char *next)
{
	static const char *const names[] = { "--config", "-c" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(word, names[i], len) != 0)
			continue;
		if (word[len] == '=')
			return word + len + 1;
		if (word[len] == '\0')
			return next;
	}
	return NULL;
}

/* Does it serve, with this configuration? Other instances have other limits to be held against. */
static bool is_ours(const struct doctor *doctor, const char *pid)
{
	FILE *file = open_path(doctor, "/proc/%s/cmdline", pid);
	char text[4096];
	size_t len = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
	const char *config = CLI_CONFIG_FILE;

	if (file != NULL)
		(void)fclose(file);
	text[len] = '\0';
	if (len == 0)
		return false;
	const char *word = text + strlen(text) + 1;

	if (word < text + len && word[0] != '-' && strcmp(word, "run") != 0)
		return false;
	while (word < text + len) {
		const char *next = word + strlen(word) + 1;
		const char *value = config_of(word, next < text + len ? next : "");

		config = value != NULL ? value : config;
		word = next;
	}
	return strcmp(config, doctor->config_path) == 0;
}

static void on_process(struct doctor *doctor, const char *pid, void *with)
{
	struct doctor_process process = { .pid = 0 };
	char path[64], text[64];

	(void)with;
	if (!is_number(pid) || doctor->process_count == DOCTOR_PROCESSES_MAX ||
	    !cli_doctor_line(doctor, text, sizeof(text), "/proc/%s/comm", pid) ||
	    strcmp(text, "penstock") != 0 || !is_ours(doctor, pid))
		return;
	process.pid = (uint32_t)strtoul(pid, NULL, 10);
	read_limits(doctor, pid, &process);
	read_cgroup(doctor, pid, &process);
	(void)snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if (cli_doctor_field(doctor, path, "CapEff", text, sizeof(text)))
		process.capabilities = strtoull(text, NULL, 16);
	doctor->processes[doctor->process_count++] = process;
}

void cli_doctor_find(struct doctor *doctor)
{
	cli_doctor_list(doctor, "/proc", on_process, NULL);
	if (doctor->process_count > 0)
		return;
	read_limits(doctor, "self", &doctor->processes[0]);
	doctor->process_count = 1;
}

const char *cli_doctor_whose(const struct doctor_process *process, char *ret_text, size_t size)
{
	if (process->pid != 0)
		(void)snprintf(ret_text, size, "penstock %u", process->pid);
	else
		(void)snprintf(ret_text, size, "this shell");
	return ret_text;
}
