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
 *     (as many as fit, then as it reads)
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

static int give(const struct control *control, const char *kind, const char *where, const int *fds,
		uint32_t count)
{
	char text[NET_PASS_TEXT];

	(void)snprintf(text, sizeof(text), "%s %s", kind, where);
	return net_pass_send(control->handover_fd, text, fds, count);
}

/* The next sockets of a listener: those at its address, and then at each port of a broker of Kafka,
 * as many as there are workers. */
static int give_sockets(struct control *control, const struct control_listener *listener)
{
	uint32_t workers = control->office->worker_count;
	uint32_t *at = &control->giving.fds_at;
	uint32_t set = *at / workers;
	uint32_t count = workers - *at % workers;
	char text[ADDR_TEXT_MAX];
	struct addr addr = set == 0 ? listener->bind
				    : config_listener_port(control_config(control),
							   (uint32_t)listener->index, set - 1);

	if (count > NET_PASS_MAX)
		count = NET_PASS_MAX;
	int ret = give(control, "listener", addr_format(&addr, text), listener->fds + *at, count);

	if (ret == 0)
		*at += count;
	return ret;
}

static int give_listeners(struct control *control)
{
	struct control_giving *giving = &control->giving;
	uint32_t workers = control->office->worker_count;
	int ret = 0;

	for (; giving->id < control->listener_count; giving->id++, giving->fds_at = 0) {
		const struct control_listener *listener = &control->listeners[giving->id];
		uint32_t count = listener->is_open && listener->fds != NULL
					 ? (1 + listener->port_count) * workers
					 : 0;

		while (ret == 0 && giving->fds_at < count)
			ret = give_sockets(control, listener);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int give_one(struct control *control)
{
	const struct config *config = control_config(control);
	char text[CONTROL_WHERE_MAX];

	switch (control->giving.what) {
	case CONTROL_GIVE_HELLO:
		return net_pass_send(control->handover_fd, CONTROL_HANDOVER_HELLO, NULL, 0);
	case CONTROL_GIVE_LISTENERS:
		return give_listeners(control);
	case CONTROL_GIVE_ADMIN:
		return control->admin_fd < 0
			       ? 0
			       : give(control, "admin", control_admin_where(config, text),
				      &control->admin_fd, 1);
	case CONTROL_GIVE_WEB:
		return control->web_fd < 0
			       ? 0
			       : give(control, "web", addr_format(&config->web.listen, text),
				      &control->web_fd, 1);
	case CONTROL_GIVE_END:
		return net_pass_send(control->handover_fd, "end", NULL, 0);
	case CONTROL_GIVEN:
		break;
	}
	return 0;
}

/* 0: all of it; -EAGAIN: as much as fits; or another -errno. What we have does not change
 * meanwhile: a reload waits, and a drain ends the handover. */
static int give_more(struct control *control)
{
	int ret = 0;

	while (ret == 0 && control->giving.what < CONTROL_GIVEN) {
		ret = give_one(control);
		if (ret == 0)
			control->giving.what++;
	}
	return ret;
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
	if (control->is_reload_wanted)
		control_reload_soon(control);
	control->is_reload_wanted = false;
}

/* `why` NULL: because of how it has ended. */
static void give_up(struct control *control, const char *why)
{
	char how[64];

	forget(control);
	end_it(control, how, sizeof(how));
	fail(control, why == NULL ? how : why);
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
	discovery_save_no_more(control->discovery);
	if (control->admin != NULL)
		admin_quiesce(control->admin);
	control->admin_fd = control->web_fd = -1;
	if (control->is_reload_wanted)
		(void)kill(control->handover_pid, SIGHUP);
	control_drain_begin(control, "handed over");
}

static void on_event(struct uring_op *op, int events);

static void await(struct control *control)
{
	uring_poll(control->ring, &control->handover_op, control->handover_fd,
		   control->giving.what < CONTROL_GIVEN ? POLLIN | POLLOUT : POLLIN, on_event);
}

static void on_event(struct uring_op *op, int events)
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
		int ret = give_more(control);

		/* The last two: it has ended, which is read next. */
		if (ret == 0 || ret == -EAGAIN || ret == -EPIPE || ret == -ECONNRESET)
			await(control);
		else
			give_up(control, err_text(ret));
		return;
	}
	if (n > 0 && strcmp(text, CONTROL_HANDOVER_READY) == 0) {
		succeed(control);
		return;
	}
	give_up(control, NULL);
}

static void on_timeout(struct timer *timer)
{
	give_up(CONTAINER_OF(timer, struct control, handover_timer),
		"it was not ready within a minute");
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

/* Who was told may not know yet who the service is; and the new process may have read the file
 * before it was changed. Its number is not another's: it is our child, and nobody has waited for
 * it. */
bool control_handover_takes_reload(struct control *control)
{
	if (control->is_handed_over) {
		(void)kill(control->handover_pid, SIGHUP);
		log_info("reload_passed_on", "to process %d", control->handover_pid);
		return true;
	}
	if (control->handover_fd < 0)
		return false;
	control->is_reload_wanted = true;
	log_info("reload_later", "a new process is getting ready");
	return true;
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
	else if (control->handover_fd >= 0 || control_is_heir(control))
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
	control->handover_fd = pair[0];
	control->giving = (struct control_giving){ .what = CONTROL_GIVE_HELLO };
	ret = give_more(control);
	if (ret == 0 || ret == -EAGAIN)
		ret = spawn(control, pair[1], &control->handover_pid);
	(void)close(pair[1]);
	if (ret < 0) {
		(void)close(pair[0]);
		control->handover_fd = -1;
		fail(control, err_text(ret));
		return;
	}
	log_info("handover", "process %d, made of %s, takes the listening sockets",
		 control->handover_pid, control->program);
	await(control);
	timer_set(&control->wheel, &control->handover_timer, clock_now_ns() + CONTROL_HANDOVER_NS,
		  on_timeout);
}
