/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_notify: tells the service manager how we are (sd_notify(3), whose manual page advises
 * writing these lines instead of linking libsystemd).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <penstock/base/err.h>

#include "control_priv.h"

static bool is_ended;
static uint64_t alive_ns; /* when we said so */

void control_notify_send(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (is_ended || path == NULL || (path[0] != '/' && path[0] != '@'))
		return;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len < 2 || len >= sizeof(name.sun_path))
		return;
	memcpy(name.sun_path, path, len);
	if (name.sun_path[0] == '@') /* an abstract address */
		name.sun_path[0] = '\0';

	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	socklen_t name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);

	/* Not blocking: a service manager that hangs must not hang us. */
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		   (const struct sockaddr *)&name, name_len) < 0)
		log_warn("notify_failed", "telling %s \"%.16s\": %s", path, text, err_text(errno));
	(void)close(fd);
}

void control_notify_reloading(void)
{
	char text[64];

	/* Type=notify-reload wants the time of the reload (systemd 253). */
	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		       (unsigned long long)(clock_now_ns() / NS_PER_US));
	control_notify_send(text);
}

void control_notify_end(void)
{
	is_ended = true;
}

void control_notify_alive(uint64_t now_ns)
{
	const char *text = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t limit_ns = text == NULL ? 0 : strtoull(text, NULL, 10) * NS_PER_US;

	/* WATCHDOG_PID: a child of who is watched is not. */
	if (limit_ns == 0 || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
		return;
	if (alive_ns != 0 && now_ns - alive_ns < limit_ns / 4)
		return;
	alive_ns = now_ns;
	control_notify_send("WATCHDOG=1");
}
