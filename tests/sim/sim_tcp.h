/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_tcp: connections of the fake kernel. One end is penstock's (it has a descriptor), the other
 * belongs to a model client or broker, which is told of changes by a function.
 *
 *     writer -> out (its send buffer) -> pump, in pieces and with delays -> in (receive buffer)
 *
 * Nothing is in flight between the two buffers, so `out` is what SIOCOUTQ counts, but for
 * acknowledgements that come a little later.
 */
#pragma once

#include <sys/types.h>

#include "sim.h"

struct sim_fifo {
	uint8_t *bytes;
	size_t size, head, len;
};

/* What lies between two ends. */
struct sim_wire {
	uint32_t delay_ns_least, delay_ns_most; /* of a piece */
	uint32_t piece_max;
	uint32_t buffer_bytes;
	bool is_slow; /* promises about time do not hold */
};

enum sim_tcp_state { SIM_TCP_CONNECTING, SIM_TCP_OPEN, SIM_TCP_CLOSED };

struct sim_end {
	struct sim_end *peer;
	struct sim_file *file; /* penstock's end */
	sim_fn *changed;       /* a model's end */
	void *context;
	struct addr local, remote;
	struct sim_wire wire;
	struct sim_fifo in, out;
	enum sim_tcp_state state;
	int err; /* pending, -errno; whoever looks first takes it */
	bool is_shut_read, is_shut_write;
	bool is_fin_sent; /* delivered to the peer */
	bool is_orphan;	  /* nobody has it open any more */
	bool resets_at_release;
	bool has_sent_rst, has_got_rst, has_got_fin;
	bool is_pumping, is_telling, is_owed;
	bool is_corked;	  /* MSG_MORE: nothing goes until it is taken off */
	bool wants_space; /* SOCK_NOSPACE: a POLLOUT is owed */
	uint32_t unacked;
	uint64_t got_bytes;   /* ever put into `in` */
	uint64_t wrote_bytes; /* ever put into `out` */
	uint64_t born_ns;
	uint64_t rst_ns; /* when a reset arrived */
};

struct sim_wire sim_tcp_wire(void);

/* ---- both sides ---- */

/* As recv(2), send(2), shutdown(2) and close(2), without faults of our making. */
ssize_t sim_tcp_read(struct sim_end *end, void *ret_bytes, size_t size);
ssize_t sim_tcp_peek(struct sim_end *end, void *ret_bytes, size_t size);
ssize_t sim_tcp_write(struct sim_end *end, const void *bytes, size_t len);
size_t sim_tcp_room(struct sim_end *end); /* 0: a change will be told */
int sim_tcp_shutdown(struct sim_end *end);
void sim_tcp_close(struct sim_end *end, bool is_reset);
unsigned sim_tcp_events(struct sim_end *end);
/* May a write say -EAGAIN although there is room? Only while something is on its way: then a
 * POLLOUT will follow. */
bool sim_tcp_try_again(struct sim_end *end);
/* A read was given less than there is, as if the rest came a moment later: then so does its edge.
 */
void sim_tcp_owe_edge(struct sim_end *end);
void sim_tcp_cork(struct sim_end *end);
void sim_tcp_uncork(struct sim_end *end);
uint32_t sim_tcp_corked(void); /* how many are */
/* Zero-copy: the same as a read and a write, between an end and a pipe. */
ssize_t sim_tcp_to_fifo(struct sim_end *end, struct sim_fifo *fifo, size_t len);
ssize_t sim_tcp_from_fifo(struct sim_end *end, struct sim_fifo *fifo, size_t len);

void sim_fifo_put(struct sim_fifo *fifo, const void *bytes, size_t len);
void sim_fifo_take(struct sim_fifo *fifo, void *ret_bytes, size_t len);
void sim_fifo_move(struct sim_fifo *to, struct sim_fifo *from, size_t len);

/* ---- penstock's side ---- */

void sim_tcp_release(struct sim_end *end);
/* -EINPROGRESS and an end with a descriptor, or another -errno. */
int sim_tcp_dial(const struct addr *to, int *ret_fd);

struct sim_listener;
int sim_tcp_listen(const struct addr *addr);
void sim_tcp_listener_release(struct sim_listener *listener);
unsigned sim_tcp_listener_events(const struct sim_listener *listener);
/* The oldest connection that waits, or NULL. */
struct sim_end *sim_tcp_listener_take(struct sim_listener *listener);

/* ---- the models' side ---- */

typedef void sim_accept_fn(struct sim_end *end, void *context);
enum sim_serving { SIM_SERVING, SIM_REFUSING, SIM_SILENT };

/* Connections penstock makes to `addr` come here. */
void sim_tcp_serve(const struct addr *addr, sim_accept_fn *accept, void *context);
void sim_tcp_serve_how(const struct addr *addr, enum sim_serving how);
/* A connection to one of penstock's listeners. The end learns of refusal by an error. */
struct sim_end *sim_tcp_connect(const struct addr *to, const struct addr *from,
				const struct sim_wire *wire, sim_fn *changed, void *context);
