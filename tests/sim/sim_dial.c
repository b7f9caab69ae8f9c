/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How connections come to be: penstock's dials to model servers, which accept, refuse or say
 * nothing, and model clients' connections to penstock's listeners, where they wait to be accepted.
 */
#include <errno.h>
#include <poll.h>

#include "sim_tcp.h"

#define SERVERS_MAX   32
#define LISTENERS_MAX 32
#define QUEUE_MAX     128

struct server {
	struct addr addr;
	sim_accept_fn *accept;
	void *context;
	enum sim_serving how;
};

struct sim_listener {
	struct addr addr;
	struct sim_file *file;
	struct sim_end *queue[QUEUE_MAX];
	uint32_t count;
	bool is_closed;
};

static struct server servers[SERVERS_MAX];
static uint32_t server_count;
static struct sim_listener listeners[LISTENERS_MAX];
static uint32_t listener_count;

struct sim_wire sim_tcp_wire(void)
{
	struct sim_wire wire = {
		.delay_ns_least = (uint32_t)sim_between(1, 20) * 1000,
		.piece_max = 65536u << sim_below(3),
		.buffer_bytes = 16384u << sim_below(6),
	};

	wire.delay_ns_most = wire.delay_ns_least + (uint32_t)sim_between(1, 300) * 1000;
	if (sim_chance(250)) {
		wire.piece_max = (uint32_t)sim_between(1, 3000);
		wire.buffer_bytes = (uint32_t)sim_between(2000, 20000);
		wire.is_slow = true;
	}
	return wire;
}

static struct sim_end *end_new(const struct sim_wire *wire, const struct addr *local,
			       const struct addr *remote)
{
	struct sim_end *end = sim_alloc(sizeof(*end));

	*end = (struct sim_end){
		.wire = *wire,
		.local = *local,
		.remote = *remote,
		.born_ns = sim_now(),
		.in.size = wire->buffer_bytes,
		.out.size = wire->buffer_bytes,
	};
	return end;
}

static void pair(struct sim_end *a, struct sim_end *b)
{
	a->peer = b;
	b->peer = a;
}

/* ---- penstock dials ---- */

static struct server *find_server(const struct addr *addr)
{
	for (uint32_t i = 0; i < server_count; i++)
		if (addr_equal(&servers[i].addr, addr))
			return &servers[i];
	return NULL;
}

void sim_tcp_serve(const struct addr *addr, sim_accept_fn *accept, void *context)
{
	CHECK(server_count < SERVERS_MAX && find_server(addr) == NULL);
	servers[server_count++] =
		(struct server){ .addr = *addr, .accept = accept, .context = context };
}

void sim_tcp_serve_how(const struct addr *addr, enum sim_serving how)
{
	find_server(addr)->how = how;
}

static void connected(void *context)
{
	struct sim_end *end = context;
	const struct server *server = find_server(&end->remote);

	if (end->state != SIM_TCP_CONNECTING)
		return; /* given up meanwhile */
	sim_progress();
	if (server->how == SIM_REFUSING) {
		end->err = -ECONNREFUSED;
		end->state = SIM_TCP_CLOSED;
		end->is_shut_read = end->is_shut_write = true;
	} else {
		struct sim_end *peer = end_new(&end->wire, &end->remote, &end->local);

		pair(end, peer);
		end->state = peer->state = SIM_TCP_OPEN;
		server->accept(peer, server->context);
	}
	sim_uring_changed(end->file, POLLOUT);
}

int sim_tcp_dial(const struct addr *to, int *ret_fd)
{
	static uint16_t port = 30000;
	const struct server *server = find_server(to);
	struct sim_wire wire = sim_tcp_wire();
	const struct addr from = addr_v4(0x0a000001, port++);
	char text[ADDR_TEXT_MAX];

	if (server == NULL)
		sim_fail("dialled %s, which nobody named", addr_format(to, text));
	struct sim_end *end = end_new(&wire, &from, to);

	*ret_fd = sim_fd_open(SIM_CONN, end);
	end->file = sim_fd_find(*ret_fd);
	sim_trace("dial %s: fd %d", addr_format(to, text), *ret_fd);
	if (server->how != SIM_SILENT)
		sim_at(sim_chance(50) ? sim_skewed(700 * NS_PER_MS) : sim_between(1, NS_PER_MS),
		       connected, end);
	return -EINPROGRESS;
}

/* ---- penstock listens ---- */

int sim_tcp_listen(const struct addr *addr)
{
	CHECK(listener_count < LISTENERS_MAX);
	struct sim_listener *listener = &listeners[listener_count++];
	int fd = sim_fd_open(SIM_LISTENER, listener);

	listener->addr = *addr;
	listener->file = sim_fd_find(fd);
	return fd;
}

void sim_tcp_listener_release(struct sim_listener *listener)
{
	listener->is_closed = true;
	for (uint32_t i = 0; i < listener->count; i++)
		sim_tcp_close(listener->queue[i], true);
	listener->count = 0;
}

unsigned sim_tcp_listener_events(const struct sim_listener *listener)
{
	return listener->count > 0 ? POLLIN : 0;
}

struct sim_end *sim_tcp_listener_take(struct sim_listener *listener)
{
	if (listener->count == 0)
		return NULL;
	struct sim_end *end = listener->queue[0];

	listener->count--;
	for (uint32_t i = 0; i < listener->count; i++)
		listener->queue[i] = listener->queue[i + 1];
	return end;
}

/* One of the sockets on this address, as SO_REUSEPORT's hash would: the first more often, so that
 * there is something to hand over. */
static struct sim_listener *choose_listener(const struct addr *addr)
{
	struct sim_listener *found = NULL;

	for (uint32_t i = 0; i < listener_count; i++) {
		struct sim_listener *listener = &listeners[i];

		if (listener->is_closed || listener->count == QUEUE_MAX ||
		    !addr_equal(&listener->addr, addr))
			continue;
		if (found == NULL || sim_chance(300))
			found = listener;
	}
	return found;
}

static void arrive(void *context)
{
	struct sim_end *end = context, *peer = end->peer;
	struct sim_listener *listener = choose_listener(&end->remote);

	if (end->state != SIM_TCP_CONNECTING)
		return;
	if (listener == NULL) {
		end->err = -ECONNREFUSED;
		end->state = SIM_TCP_CLOSED;
		end->is_shut_read = end->is_shut_write = true;
		end->changed(end->context);
		return;
	}
	end->state = peer->state = SIM_TCP_OPEN;
	listener->queue[listener->count++] = peer;
	sim_progress();
	sim_uring_changed(listener->file, POLLIN);
	end->changed(end->context);
}

struct sim_end *sim_tcp_connect(const struct addr *to, const struct addr *from,
				const struct sim_wire *wire, sim_fn *changed, void *context)
{
	struct sim_end *end = end_new(wire, from, to);
	struct sim_end *peer = end_new(wire, to, from);

	pair(end, peer);
	end->changed = changed;
	end->context = context;
	sim_at(sim_between(1, NS_PER_MS), arrive, end);
	return end;
}
