/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control: the one thread that is not on the data path: signals, discovery, DNS, listeners, the
 * admin HTTP server, building and publishing snapshots, reload and drain.
 * Thread:   the main thread
 * Memory:   one struct control per process
 * Errors:   0 or -errno; the reason is logged where it is known
 */
#pragma once

#include <penstock/config.h>
#include <penstock/mail.h>

struct control;

struct control_args {
	struct config *config;	     /* becomes control's, */
	struct tls_set *tls;	     /* and so does this */
	struct tls_tickets *tickets; /* outlives control, which changes their key every hour */
	struct mail_office *office;
	/* Loads the configuration again for SIGHUP; NULL and errors: keep the old one. */
	struct config *(*reload)(void *context, struct config_errors *errors);
	void *reload_context;
	/* The program's file and its arguments, for a process that takes over (SIGUSR2, or a reload
	 * after the file was replaced); NULL: none can. */
	const char *program;
	char *const *argv;
};

/* Opens the ring, blocks the signals it handles, opens all listeners and the admin sockets, starts
 * discovery. Call before any worker starts, so that threads inherit the signal mask. Errors:
 * -EADDRINUSE and friends, logged with the listener's name. */
MUST_USE int control_open(struct control **ret_control, const struct control_args *args);
/* Publishes the first snapshot, hands the listeners to the workers, serves until a signal ends it.
 * Returns the exit code of the process. All workers have left their loops when it returns. */
MUST_USE int control_run(struct control *control);
void control_close(struct control *control);
