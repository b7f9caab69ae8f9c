/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode open: an open loop of echo messages at a given rate over all connections. load_echoes.h
 * says how messages and answers belong together, load_pace.h what latency means here.
 */
#include "load_echoes.h"

#include <unistd.h>

enum { EVENTS_MAX = 64 };

static void load_open_run(struct load *l)
{
	struct load_echoes e = { 0 };
	int epoll_fd = load_net_epoll();

	load_echoes_open(&e, l, epoll_fd, 0);
	load_window_start(l);
	load_echoes_start(&e);
	while (!load_echoes_done(&e)) {
		struct epoll_event events[EVENTS_MAX];
		int ready = load_pace_wait(&e.pace, epoll_fd, events, EVENTS_MAX);

		if (load_window_stage(l, load_now_ns()) == LOAD_OVER)
			break;
		load_echoes_send(&e);
		for (int i = 0; i < ready; i++)
			load_net_handle(&events[i]);
	}
	load_window_finish(l);
	load_echoes_close(&e);
	close(epoll_fd);
}

const struct load_mode load_open = {
	.name = "open",
	.summary = "open loop: messages at a given rate, whatever the answers do (sink: echo)",
	.about =
		"Sends --rate messages of -b bytes per second over -c connections, each at its "
		"intended time, also while earlier ones are unanswered. Connections take turns when "
		"the schedule is uniform; with poisson each message takes any of them."
		"\n\nWork: messages (as many round trips) answered inside the window. Latency: from the "
		"intended time to the complete echo, of the messages intended inside the window.",
	.takes = OPTION_COMMON | OPTION_PACE,
	.message_bytes = 128,
	.run = load_open_run,
};
