/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode pulsar-reconnect: what a gateway meets after its restart. All clients come at once, find
 * their broker, open a producer and go; when the last is through, the next wave comes.
 */
#include "pulsar_producer.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 64,
	WAIT_MS = 100,
};

#define WAVE_NS_MAX UINT64_C(30000000000)

struct storm {
	struct load *load;
	int epoll_fd;
	struct storm_client *all;
	uint32_t under_way;
};

struct storm_client {
	struct pulsar_producer producer;
	struct storm *storm;
	uint64_t begin_ns;
	bool under_way;
};

static void over(struct storm_client *c)
{
	c->storm->under_way -= c->under_way;
	c->under_way = false;
}

static void on_ready(struct pulsar_producer *p)
{
	struct storm_client *c = p->owner;
	struct load *l = c->storm->load;

	pulsar_client_close(&p->client);
	over(c);
	if (l->stage != LOAD_MEASURING)
		return;
	l->work[LOAD_CONNECTIONS]++;
	l->work[LOAD_LOOKUPS]++;
	hist_add(&l->latency, load_now_ns() - c->begin_ns);
}

static void on_end(struct pulsar_producer *p)
{
	over(p->owner);
}

static void start_client(struct storm *s, uint32_t i)
{
	static const struct pulsar_producer_user user = { .on_ready = on_ready, .on_end = on_end };
	struct storm_client *c = &s->all[i];

	c->storm = s;
	c->producer.user = &user;
	c->producer.owner = c;
	c->begin_ns = load_now_ns();
	c->under_way = true;
	s->under_way++;
	pulsar_client_prepare(&c->producer.client, s->load, s->epoll_fd, i);
	pulsar_producer_start(&c->producer, i);
}

/* False when clients are left over. */
static bool wave(struct storm *s)
{
	uint64_t end_ns = load_now_ns() + WAVE_NS_MAX;

	for (uint32_t i = 0; i < s->load->ask.conn_count; i++)
		start_client(s, i);
	while (s->under_way > 0) {
		struct epoll_event events[EVENTS_MAX];
		int ready = epoll_wait(s->epoll_fd, events, EVENTS_MAX, WAIT_MS);

		for (int i = 0; i < ready; i++)
			load_net_handle(&events[i]);
		if (load_now_ns() > end_ns)
			return false;
	}
	return true;
}

static void load_pulsar_reconnect_run(struct load *l)
{
	struct storm s = { .load = l, .epoll_fd = load_net_epoll() };
	bool whole = true;

	s.all = load_alloc(l->ask.conn_count, sizeof(*s.all));
	if (l->ask.warm_ns > 0) /* the first wave finds topics that no broker has loaded */
		whole = wave(&s);
	load_window_open(l);
	do
		whole = whole && wave(&s);
	while (whole && load_now_ns() < l->stage_end_ns);
	load_window_close(l);
	l->errors[LOAD_ERROR_STUCK] += s.under_way;
	for (uint32_t i = 0; i < l->ask.conn_count; i++)
		pulsar_client_free(&s.all[i].producer.client);
	free(s.all);
	close(s.epoll_fd);
}

const struct load_mode load_pulsar_reconnect = {
	.name = "pulsar-reconnect",
	.summary = "a storm of Pulsar clients, wave after wave (sink: pulsar)",
	.about = "A wave: -c clients at once connect, look their topic up, connect to its broker, "
		 "open a producer and close. The next begins when all are through, none after -t, "
		 "and the warm-up is one.\n\nWork: connections (clients that got through). "
		 "Latency: from the first connect(2) to the producer.",
	.takes = (OPTION_COMMON & ~(uint32_t)OPTION_BYTES) | OPTION_TOPIC | OPTION_TOPICS |
		 OPTION_NAMESPACE | OPTION_STAY,
	.message_bytes = 1,
	.run = load_pulsar_reconnect_run,
};
