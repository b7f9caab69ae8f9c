/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_file: see discovery_file.h.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "discovery_file.h"

#define HALF ".new" /* behind the name of the file and the number of the process that writes it */

int discovery_file_read(const char *path, size_t most, uint8_t **ret_bytes, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	uint8_t *bytes = malloc(most + 1);
	size_t len = 0;
	int ret = bytes == NULL ? -ENOMEM : 0;

	while (ret == 0 && len <= most) {
		ssize_t n = read(fd, bytes + len, most + 1 - len);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			ret = -errno;
	}
	(void)close(fd);
	if (ret == 0 && len > most)
		ret = -EFBIG;
	if (ret < 0) {
		free(bytes);
		return ret;
	}
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	/* No fsync: it may block for seconds, and after a power cut a spoiled file only means that
	 * the next start has no list. */
	return 0;
}

int discovery_file_replace(const char *path, const void *bytes, size_t len)
{
	/* The process that takes over from this one, or hands over to it, may be writing, too. */
	char fresh[PATH_MAX];
	int n = snprintf(fresh, sizeof(fresh), "%s.%d" HALF, path, (int)getpid());

	if (n < 0 || (size_t)n >= sizeof(fresh))
		return -ENAMETOOLONG;
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0)
		return -errno;
	int ret = write_all(fd, bytes, len);

	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(fresh, path) < 0)
		ret = -errno;
	if (ret < 0)
		(void)unlink(fresh);
	return ret;
}

/* Of `FILE.PID.new`: the process; 0: it has another name. */
static pid_t writer_of(const char *name)
{
	size_t len = strlen(name);
	size_t end = len > strlen(HALF) ? len - strlen(HALF) : 0;
	size_t at = end;

	if (end == 0 || strcmp(name + end, HALF) != 0)
		return 0;
	while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9')
		at--;
	if (at == end || end - at > 9 || at < 2 || name[at - 1] != '.')
		return 0;
	return (pid_t)strtol(name + at, NULL, 10);
}

static bool is_ours(const char *name)
{
	return strstr(name, ".nodes.") != NULL || strstr(name, ".brokers.json.") != NULL;
}

void discovery_file_tidy(const char *folder)
{
	DIR *dir = opendir(folder);

	if (dir == NULL)
		return;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		pid_t pid = is_ours(entry->d_name) ? writer_of(entry->d_name) : 0;

		if (pid > 0 && (pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH)))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
}
