/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_inherit: the other end of control_handover: a process that was made by its predecessor
 * finds listening sockets in a connection to it, serves from them once it has its broker lists, and
 * says so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <penstock/base/err.h>
#include <penstock/net.h>

#include "control_priv.h"

#define WAIT_MS 5000 /* much was sent before we existed; the rest comes as we read */

/* Thousands are asked for as they came: from the last one on. */
static struct control_inherited *find(struct control *control, const char *what)
{
	for (uint32_t i = 0; i < control->inherited_count; i++) {
		uint32_t at = (control->inherited_at + i) % control->inherited_count;

		if (strcmp(control->inherited[at].what, what) != 0)
			continue;
		control->inherited_at = at;
		return &control->inherited[at];
	}
	return NULL;
}

static struct control_inherited *add(struct control *control, const char *what)
{
	struct control_inherited *grown =
		control->inherited_count == CONTROL_INHERITED_MAX
			? NULL
			: reallocarray(control->inherited, control->inherited_count + 1,
				       sizeof(*grown));

	if (grown == NULL)
		return NULL;
	control->inherited = grown;
	struct control_inherited *one = &grown[control->inherited_count++];

	*one = (struct control_inherited){ .fds = NULL };
	(void)snprintf(one->what, sizeof(one->what), "%s", what);
	return one;
}

/* Sockets of one address may come in several messages, one behind the other. */
static int keep(struct control *control, const char *what, const int *fds, uint32_t count)
{
	struct control_inherited *one = control->inherited_count == 0
						? NULL
						: &control->inherited[control->inherited_count - 1];

	if (one == NULL || strcmp(one->what, what) != 0)
		one = add(control, what);
	int *more =
		one == NULL ? NULL : reallocarray(one->fds, one->count + count, sizeof(*one->fds));

	if (more == NULL)
		return -ENOMEM;
	memcpy(more + one->count, fds, count * sizeof(*fds));
	one->fds = more;
	one->count += count;
	return 0;
}

static int take_one(struct control *control, bool *ret_is_end, bool *has_hello)
{
	char text[NET_PASS_TEXT];
	int fds[NET_PASS_MAX];
	uint32_t count = 0;
	ssize_t n =
		net_pass_take(control->predecessor_fd, WAIT_MS, text, sizeof(text), fds, &count);
	int ret = n < 0 ? (int)n : n == 0 ? -ECONNRESET : 0;

	if (ret == 0 && !*has_hello)
		ret = strcmp(text, CONTROL_HANDOVER_HELLO) == 0 ? 0 : -EPROTO;
	else if (ret == 0 && strcmp(text, "end") == 0)
		*ret_is_end = true;
	else if (ret == 0 && count > 0)
		ret = keep(control, text, fds, count);
	*has_hello = true;
	for (uint32_t i = 0; ret < 0 && i < count; i++)
		(void)close(fds[i]);
	return ret;
}

int control_inherit_open(struct control *control)
{
	const char *text = getenv(CONTROL_HANDOVER_ENV);
	bool is_end = false;
	bool has_hello = false;

	if (text == NULL)
		return 0;
	char *end;
	long fd = strtol(text, &end, 10);

	/* Not for our own successor. */
	(void)unsetenv(CONTROL_HANDOVER_ENV);
	if (*end != '\0' || fd < 3 || fd > 1 << 20 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
		log_error("inherit_failed", CONTROL_HANDOVER_ENV "=%s is no descriptor", text);
		return -EINVAL;
	}
	control->predecessor_fd = (int)fd;
	int ret = 0;

	while (ret == 0 && !is_end)
		ret = take_one(control, &is_end, &has_hello);
	if (ret < 0)
		log_error("inherit_failed", "taking the listening sockets over: %s%s",
			  err_text(ret),
			  ret == -EPROTO ? "; the running version hands over otherwise: restart"
					 : "");
	return ret;
}

int control_inherit_take(struct control *control, const char *kind, const char *where,
			 uint32_t most, int *ret_fds)
{
	char what[NET_PASS_TEXT];

	(void)snprintf(what, sizeof(what), "%s %s", kind, where);
	struct control_inherited *one = find(control, what);

	if (one == NULL || one->count == 0)
		return 0;
	if (one->count > most) {
		log_error("inherit_failed",
			  "%s: the running process has %u workers, this one would have %u: what "
			  "waits at the sockets of the others would be lost; restart",
			  what, one->count, most);
		return -E2BIG;
	}
	int count = (int)one->count;

	memcpy(ret_fds, one->fds, one->count * sizeof(*ret_fds));
	one->count = 0;
	return count;
}

/* Those the configuration does not name any more, or all of them when the start has failed: then
 * they go on without us. */
static void drop(struct control *control, bool has_failed)
{
	static const char admin_unix[] = "admin unix:";

	for (uint32_t i = 0; i < control->inherited_count; i++) {
		struct control_inherited *one = &control->inherited[i];

		for (uint32_t k = 0; k < one->count; k++)
			(void)close(one->fds[k]);
		if (one->count > 0 && !has_failed &&
		    strncmp(one->what, admin_unix, sizeof(admin_unix) - 1) == 0)
			(void)unlink(one->what + sizeof(admin_unix) - 1);
		free(one->fds);
	}
	free(control->inherited);
	control->inherited = NULL;
	control->inherited_count = control->inherited_at = 0;
}

static void close_predecessor(struct control *control)
{
	(void)close(control->predecessor_fd);
	control->predecessor_fd = -1;
}

void control_inherit_done(struct control *control)
{
	drop(control, false);
	log_info("inherited", "the process before this one drains");
	/* It has told the service manager, or will: it alone may, until it has. */
	control->is_notified = true;
	if (net_pass_send(control->predecessor_fd, CONTROL_HANDOVER_READY, NULL, 0) < 0)
		control->is_notified = false;
	close_predecessor(control);
	control_listen_hand(control);
}

/* A predecessor that ended before we were ready (killed, or told to stop) leaves the sockets to us
 * right away: brokers or not, somebody has to say something. */
void control_inherit_look(struct control *control)
{
	char text[NET_PASS_TEXT];
	int fds[NET_PASS_MAX];
	uint32_t count = 0;

	if (!control_is_heir(control) ||
	    net_pass_take(control->predecessor_fd, 0, text, sizeof(text), fds, &count) == -EAGAIN)
		return;
	for (uint32_t i = 0; i < count; i++)
		(void)close(fds[i]);
	log_warn("inherited", "the process before this one has ended already");
	drop(control, false);
	close_predecessor(control);
	control_listen_hand(control);
}

/* The connection stays: its end tells the predecessor that this process has ended, and it must not
 * be killed before its last words are written. */
void control_inherit_fini(struct control *control)
{
	drop(control, true);
}
