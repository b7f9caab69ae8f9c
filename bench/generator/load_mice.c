/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode mice: what small messages cost beside connections that take all they can get. -c mice are
 * an open loop of echo messages; one elephant sends as fast as it is let; one slow reader has the
 * sink push data at it and hardly ever reads. All go to one sink, which each tells its role.
 */
#include "load_echoes.h"
#include "sink.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	RATE_DEFAULT = 1000,
	CHUNK_BYTES = 64 * 1024,
	CHUNK_NS = 40000, /* one write through the loopback, with room */
	SLOW_READ_BYTES = 64 * 1024,
	SLOW_PAUSE_NS = 100000000,
};

struct beast {
	struct load_handler handler; /* must be first */
	struct load *load;
	const struct load_pace *pace; /* the mice's */
	int epoll_fd;
	int fd;
	uint64_t bytes; /* inside the window */
};

static uint8_t chunk[CHUNK_BYTES];

static void beast_moved(struct beast *b, ssize_t n)
{
	if (n > 0 && b->load->stage == LOAD_MEASURING)
		b->bytes += (uint64_t)n;
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	load_count_end(b->load, n == 0 ? 0 : errno);
	close(b->fd);
	b->fd = -1;
}

/* Level-triggered, one chunk a turn, and none when that would make the next mouse late. The sink
 * shares this core: let it run, else the mice wait for the scheduler and not for the proxy. */
static void elephant_on_events(struct load_handler *h, uint32_t events)
{
	struct beast *b = (struct beast *)h;

	if (b->load->stage >= LOAD_DRAINING)
		load_net_rewatch(b->epoll_fd, b->fd, 0, b);
	else if ((events & EPOLLERR) != 0 || b->pace->next_ns > load_now_ns() + CHUNK_NS)
		beast_moved(b, send(b->fd, chunk, sizeof(chunk), MSG_NOSIGNAL));
	sched_yield();
}

static void slow_read(struct beast *b)
{
	beast_moved(b, recv(b->fd, chunk, SLOW_READ_BYTES, 0));
}

/* Watched for the end of the connection only. */
static void slow_on_events(struct load_handler *h, uint32_t events)
{
	(void)events;
	slow_read((struct beast *)h);
}

static void beast_send(struct beast *b, const void *bytes, size_t size)
{
	if (b->fd >= 0 && send(b->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		beast_moved(b, -1);
}

static void elephant_open(struct beast *b, struct load_echoes *mice, int epoll_fd)
{
	struct load *l = mice->load;

	*b = (struct beast){ .handler.on_events = elephant_on_events,
			     .load = l,
			     .pace = &mice->pace,
			     .epoll_fd = epoll_fd };
	load_net_open_all(l, &l->ask.to, &b->fd, 1);
	beast_send(b, (const char[]){ SINK_ROLE_DISCARD }, 1);
	if (b->fd >= 0)
		load_net_watch(epoll_fd, b->fd, EPOLLOUT, b);
}

static void slow_open(struct beast *b, struct load *l, int epoll_fd)
{
	const uint64_t chunk_bytes = CHUNK_BYTES;

	*b = (struct beast){ .handler.on_events = slow_on_events, .load = l };
	load_net_open_all(l, &l->ask.to, &b->fd, 1);
	beast_send(b, (const char[]){ SINK_ROLE_SOURCE }, 1);
	beast_send(b, &chunk_bytes, sizeof(chunk_bytes));
	if (b->fd >= 0)
		load_net_watch(epoll_fd, b->fd, 0, b);
}

static void mice_loop(struct load_echoes *e, struct beast *slow, int epoll_fd)
{
	struct load *l = e->load;
	uint64_t slow_ns = load_now_ns();

	load_window_start(l);
	load_echoes_start(e);
	while (!load_echoes_done(e)) {
		struct epoll_event events[EVENTS_MAX];
		int ready = load_pace_wait(&e->pace, epoll_fd, events, EVENTS_MAX);
		uint64_t now_ns = load_now_ns();

		if (load_window_stage(l, now_ns) == LOAD_OVER)
			break;
		load_echoes_send(e);
		for (int i = 0; i < ready; i++)
			load_net_handle(&events[i]);
		if (slow->fd >= 0 && now_ns >= slow_ns) {
			slow_read(slow);
			slow_ns = now_ns + SLOW_PAUSE_NS;
		}
	}
	load_window_finish(l);
}

static void load_mice_run(struct load *l)
{
	struct load_echoes e = { 0 };
	struct beast elephant, slow;
	int epoll_fd = load_net_epoll();

	if (l->ask.rate == 0)
		l->ask.rate = RATE_DEFAULT;
	load_echoes_open(&e, l, epoll_fd, SINK_ROLE_ECHO);
	slow_open(&slow, l, epoll_fd);
	elephant_open(&elephant, &e, epoll_fd);
	mice_loop(&e, &slow, epoll_fd);
	load_echoes_close(&e);
	load_note(l, "elephant_bytes", elephant.bytes);
	load_note(l, "slow_bytes", slow.bytes);
	if (elephant.fd >= 0)
		close(elephant.fd);
	if (slow.fd >= 0)
		close(slow.fd);
	close(epoll_fd);
}

const struct load_mode load_mice = {
	.name = "mice",
	.summary = "small messages beside an elephant and a slow reader (sink: mice)",
	.about =
		"-c mice are an open loop as in mode open: --rate messages (1000 unless given) of -b bytes "
		"per second over all of them. Beside them one elephant sends 64 KiB writes as fast as "
		"they are taken, and one slow reader reads 64 KiB ten times a second of what the sink "
		"pushes at it."
		"\n\nWork: the mice's messages. Latency: the mice's, from the intended time. beside: what "
		"the other two moved inside the window.",
	.takes = OPTION_COMMON | OPTION_PACE,
	.message_bytes = 128,
	.run = load_mice_run,
};
