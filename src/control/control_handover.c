/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_handover: SIGUSR2, or a reload after the program was replaced on disk: a new process of
 * it gets our listening sockets, and we drain once it serves. A connection that waits to be
 * accepted stays in its socket's queue and is served by whichever of us is there, so nobody is
 * refused. Until the new one says "ready" nothing has changed for us, so whatever goes wrong with
 * it (a configuration it refuses, a library it lacks) is its end alone.
 *
 *     we                                         the new process (control_inherit.c)
 *     spawn(program, argv, PENSTOCK_HANDOVER=3)
 *     "penstock 1", sockets, "end"       --->    listens on them, gets its broker lists
 *                                        <---    "ready", and accepts
 *     MAINPID= to systemd, drain
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <penstock/base/err.h>
#include <penstock/net.h>

#include "control_priv.h"
#include "control_unix.h"

#define CHILD_FD     3
#define STRINGIZE(x) #x
#define TEXT(x)	     STRINGIZE(x)

extern char **environ;

/* ---- what the new process is told ----------------------------------------------------------- */

static int give(int to, const char *kind, const char *where, const int *fds, uint32_t count)
{
	char text[NET_PASS_TEXT];
	int ret = 0;

	(void)snprintf(text, sizeof(text), "%s %s", kind, where);
	for (uint32_t at = 0; ret == 0 && at < count; at += NET_PASS_MAX)
		ret = net_pass_send(to, text, fds + at,
				    count - at < NET_PASS_MAX ? count - at : NET_PASS_MAX);
	return ret;
}

static int give_all(const struct control *control, int to)
{
	const struct config *config = control_config(control);
	char text[ADDR_TEXT_MAX];
	char where[CONTROL_WHERE_MAX];
	int ret = net_pass_send(to, CONTROL_HANDOVER_HELLO, NULL, 0);

	for (uint32_t id = 0; ret == 0 && id < control->listener_count; id++) {
		const struct control_listener *listener = &control->listeners[id];

		if (listener->is_open && listener->fds != NULL)
			ret = give(to, "listener", addr_format(&listener->bind, text),
				   listener->fds, control->office->worker_count);
	}
	if (ret == 0 && control->admin_fd >= 0)
		ret = give(to, "admin", control_admin_where(config, where), &control->admin_fd, 1);
	if (ret == 0 && control->web_fd >= 0)
		ret = give(to, "web", addr_format(&config->web.listen, text), &control->web_fd, 1);
	return ret < 0 ? ret : net_pass_send(to, "end", NULL, 0);
}

/* ---- making it ------------------------------------------------------------------------------ */

/* Ours, but for whom the watchdog is and what the new one is to find. NULL: out of memory. */
static char **make_environment(void)
{
	static char mark[] = CONTROL_HANDOVER_ENV "=" TEXT(CHILD_FD);
	uint32_t count = 0;

	while (environ[count] != NULL)
		count++;
	char **ret = calloc(count + 2, sizeof(*ret));
	uint32_t at = 0;

	for (uint32_t i = 0; ret != NULL && i < count; i++)
		if (strncmp(environ[i], "WATCHDOG_PID=", 13) != 0)
			ret[at++] = environ[i];
	if (ret != NULL)
		ret[at] = mark;
	return ret;
}

static int spawn_with(const struct control *control, posix_spawn_file_actions_t *actions,
		      posix_spawnattr_t *attributes, pid_t *ret_pid)
{
	char **environment = make_environment();
	sigset_t none;

	if (environment == NULL)
		return ENOMEM;
	/* Our signals are blocked for the signalfd; it blocks its own when it is ready for them. */
	sigemptyset(&none);
	(void)posix_spawnattr_setsigmask(attributes, &none);
	(void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK);
	int ret = posix_spawn(ret_pid, control->program, actions, attributes, control->argv,
			      environment);

	free(environment);
	return ret;
}

/* 0, or -errno. */
static int spawn(const struct control *control, int fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int ret = posix_spawn_file_actions_init(&actions);

	if (ret != 0)
		return -ret;
	ret = posix_spawnattr_init(&attributes);
	if (ret == 0) {
		ret = posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FD);
		/* Libraries' sockets are not all close-on-exec. */
		if (ret == 0)
			ret = posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_FD + 1);
		if (ret == 0)
			ret = spawn_with(control, &actions, &attributes, ret_pid);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

/* ---- how it goes ---------------------------------------------------------------------------- */

static void forget(struct control *control)
{
	uring_cancel(control->ring, &control->handover_op);
	timer_clear(&control->wheel, &control->handover_timer);
	(void)close(control->handover_fd);
	control->handover_fd = -1;
}

/* Ends the new process, if it has not ended by itself, and says how. */
static void end_it(struct control *control, char *ret_how, size_t size)
{
	int status = 0;
	bool has_ended = waitpid(control->handover_pid, &status, WNOHANG) == control->handover_pid;

	if (!has_ended) {
		/* Its socket closes a moment before it has ended: then the signal comes too late to
		 * change how. */
		(void)kill(control->handover_pid, SIGKILL);
		(void)waitpid(control->handover_pid, &status, 0);
	}
	if (WIFEXITED(status))
		(void)snprintf(ret_how, size, "it ended with code %d", WEXITSTATUS(status));
	else
		(void)snprintf(ret_how, size, "it ended by signal %d", WTERMSIG(status));
}

static void fail(struct control *control, const char *why)
{
	log_error("handover_failed", "%s: %s; this process goes on serving", control->program, why);
	control->is_last_reload_good = false;
	if (control->phase == CONTROL_SERVING)
		control_notify_send("READY=1\nSTATUS=serving; the new program did not start");
}

static void succeed(struct control *control)
{
	char text[96];

	forget(control);
	log_info("handed_over", "process %d serves from now on, this one drains",
		 control->handover_pid);
	(void)snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\nSTATUS=serving",
		       control->handover_pid);
	control_notify_send(text);
	control_notify_end();
	control->is_handed_over = true;
	if (control->admin != NULL)
		admin_quiesce(control->admin);
	control->admin_fd = control->web_fd = -1;
	control_drain_begin(control, "handed over");
}

static void on_answer(struct uring_op *op, int events)
{
	struct control *control = CONTAINER_OF(op, struct control, handover_op);
	char text[NET_PASS_TEXT] = "";
	int fds[NET_PASS_MAX];
	uint32_t count = 0;
	ssize_t n = net_pass_take(control->handover_fd, 0, text, sizeof(text), fds, &count);

	(void)events;
	for (uint32_t i = 0; i < count; i++)
		(void)close(fds[i]);
	if (n == -EAGAIN) {
		uring_poll(control->ring, op, control->handover_fd, POLLIN, on_answer);
		return;
	}
	if (n > 0 && strcmp(text, CONTROL_HANDOVER_READY) == 0) {
		succeed(control);
		return;
	}
	char how[64];

	forget(control);
	end_it(control, how, sizeof(how));
	fail(control, how);
}

static void on_timeout(struct timer *timer)
{
	struct control *control = CONTAINER_OF(timer, struct control, handover_timer);
	char how[64];

	forget(control);
	end_it(control, how, sizeof(how));
	fail(control, "it was not ready within a minute");
}

void control_handover_abort(struct control *control)
{
	char how[64];

	if (control->handover_fd < 0)
		return;
	forget(control);
	end_it(control, how, sizeof(how));
	log_info("handover_aborted", "the new process is ended: %s", how);
}

/* ---- when ----------------------------------------------------------------------------------- */

bool control_handover_is_due(const struct control *control)
{
	if (control->program == NULL)
		return false;
	uint64_t now = control_unix_identity(control->program);

	return now != 0 && now != control->program_identity;
}

static bool is_possible(const struct control *control)
{
	if (control->program == NULL || control->phase > CONTROL_SERVING)
		log_info("handover_ignored", "%s",
			 control->program == NULL ? "the program's file is not known" : "draining");
	else if (control->handover_fd >= 0 || control->predecessor_fd >= 0)
		log_info("handover_ignored", "one is under way");
	else if (getpid() == 1)
		log_warn("handover_ignored",
			 "process 1 of a container cannot be replaced: start it again");
	else
		return true;
	return false;
}

void control_handover_begin(struct control *control)
{
	int pair[2];

	if (!is_possible(control))
		return;
	if (control->phase == CONTROL_SERVING)
		control_notify_reloading();
	int ret = net_pass_pair(pair);

	if (ret < 0) {
		fail(control, err_text(ret));
		return;
	}
	/* Before it exists: what it is told fits into the socket, or there is no use in it. */
	ret = give_all(control, pair[0]);
	if (ret == 0)
		ret = spawn(control, pair[1], &control->handover_pid);
	(void)close(pair[1]);
	if (ret < 0) {
		(void)close(pair[0]);
		fail(control, err_text(ret));
		return;
	}
	log_info("handover", "process %d, made of %s, takes the listening sockets",
		 control->handover_pid, control->program);
	control->handover_fd = pair[0];
	uring_poll(control->ring, &control->handover_op, pair[0], POLLIN, on_answer);
	timer_set(&control->wheel, &control->handover_timer, clock_now_ns() + CONTROL_HANDOVER_NS,
		  on_timeout);
}
