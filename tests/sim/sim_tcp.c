/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How bytes, FINs and resets travel, and what either end sees of it, as Linux does it: bytes that
 * arrived before a reset can still be read; the error is reported once, to whoever asks first, and
 * then there are an end of file for the reader and EPIPE for the writer; bytes for a closed end are
 * answered by a reset; closing with bytes unread is a reset.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "sim_tcp.h"

static void pump(void *context);

static uint32_t corked_count;

/* ---- bytes in a ring ---- */

static uint8_t *fifo_at(const struct sim_fifo *fifo, size_t at, size_t *ret_run)
{
	size_t index = (fifo->head + at) % fifo->size;

	*ret_run = fifo->size - index;
	return fifo->bytes + index;
}

void sim_fifo_put(struct sim_fifo *fifo, const void *bytes, size_t len)
{
	CHECK(len <= fifo->size - fifo->len);
	if (fifo->bytes == NULL)
		fifo->bytes = sim_alloc(fifo->size);
	while (len > 0) {
		size_t run;
		uint8_t *to = fifo_at(fifo, fifo->len, &run);

		if (run > len)
			run = len;
		memcpy(to, bytes, run);
		bytes = (const uint8_t *)bytes + run;
		fifo->len += run;
		len -= run;
	}
}

void sim_fifo_take(struct sim_fifo *fifo, void *ret_bytes, size_t len)
{
	CHECK(len <= fifo->len);
	while (len > 0) {
		size_t run;
		const uint8_t *from = fifo_at(fifo, 0, &run);

		if (run > len)
			run = len;
		memcpy(ret_bytes, from, run);
		ret_bytes = (uint8_t *)ret_bytes + run;
		fifo->head = (fifo->head + run) % fifo->size;
		fifo->len -= run;
		len -= run;
	}
}

void sim_fifo_move(struct sim_fifo *to, struct sim_fifo *from, size_t len)
{
	uint8_t bytes[4096];

	while (len > 0) {
		size_t n = len < sizeof(bytes) ? len : sizeof(bytes);

		sim_fifo_take(from, bytes, n);
		sim_fifo_put(to, bytes, n);
		len -= n;
	}
}

/* ---- telling ---- */

static void tell(void *context)
{
	struct sim_end *end = context;

	end->is_telling = false;
	if (!end->is_orphan)
		end->changed(end->context);
}

static void changed(struct sim_end *end, unsigned key)
{
	sim_progress();
	if (end->is_orphan)
		return;
	if (end->file != NULL) {
		sim_uring_changed(end->file, key);
	} else if (end->changed != NULL && !end->is_telling) {
		end->is_telling = true;
		sim_at(sim_between(1, 20 * NS_PER_US), tell, end);
	}
}

static uint64_t delay(const struct sim_end *end)
{
	return sim_between(end->wire.delay_ns_least, end->wire.delay_ns_most);
}

static void schedule_pump(struct sim_end *end)
{
	bool has_work = end->out.len > 0 || (end->is_shut_write && !end->is_fin_sent);

	if (end->is_pumping || end->is_corked || !has_work || end->state != SIM_TCP_OPEN)
		return;
	end->is_pumping = true;
	sim_at(delay(end), pump, end);
}

/* ---- MSG_MORE ---- */

void sim_tcp_cork(struct sim_end *end)
{
	corked_count += end->is_corked ? 0 : 1;
	end->is_corked = true;
}

void sim_tcp_uncork(struct sim_end *end)
{
	corked_count -= end->is_corked ? 1 : 0;
	end->is_corked = false;
	schedule_pump(end);
}

uint32_t sim_tcp_corked(void)
{
	return corked_count;
}

/* ---- resets ---- */

static void die(struct sim_end *end)
{
	end->state = SIM_TCP_CLOSED;
	end->is_shut_read = end->is_shut_write = true;
	end->out.len = 0;
	sim_tcp_uncork(end);
}

static void get_rst(void *context)
{
	struct sim_end *end = context;

	if (end->state == SIM_TCP_CLOSED)
		return;
	/* tcp_reset(): EPIPE for a connection whose peer had finished already. */
	end->err = end->has_got_fin && !end->is_shut_write ? -EPIPE : -ECONNRESET;
	end->has_got_rst = true;
	end->rst_ns = sim_now();
	die(end);
	changed(end, POLLERR);
}

static void send_rst(struct sim_end *end)
{
	end->has_sent_rst = true;
	die(end);
	sim_at(delay(end), get_rst, end->peer);
}

/* ---- moving ---- */

static void get_ack(void *context)
{
	struct sim_end *end = context;

	if (end->state == SIM_TCP_OPEN)
		end->unacked = 0;
}

static bool is_writable(const struct sim_end *end)
{
	return end->out.len * 3 <= end->out.size * 2; /* sk_stream_is_writeable() */
}

static void deliver(struct sim_end *end, size_t n)
{
	struct sim_end *peer = end->peer;

	sim_fifo_move(&peer->in, &end->out, n);
	peer->got_bytes += n;
	end->unacked += (uint32_t)n;
	sim_at(delay(end), get_ack, end);
	changed(peer, POLLIN);
	if (end->wants_space && is_writable(end)) {
		end->wants_space = false;
		changed(end, POLLOUT);
	}
}

static void pump(void *context)
{
	struct sim_end *end = context, *peer = end->peer;

	end->is_pumping = false;
	if (end->state != SIM_TCP_OPEN || end->is_corked)
		return;
	if (end->out.len > 0 && (peer->is_orphan || peer->state == SIM_TCP_CLOSED)) {
		if (peer->state == SIM_TCP_OPEN)
			send_rst(peer);
		else
			sim_at(delay(end), get_rst, end);
		return;
	}
	size_t n = peer->in.size - peer->in.len;

	if (n > end->wire.piece_max)
		n = sim_between(1, end->wire.piece_max);
	if (n > end->out.len)
		n = end->out.len;
	if (n > 0)
		deliver(end, n);
	if (end->out.len == 0 && end->is_shut_write && !end->is_fin_sent) {
		end->is_fin_sent = true;
		peer->has_got_fin = peer->is_shut_read = true;
		changed(peer, 0);
	}
	if (n > 0) /* a full window opens again when its end reads */
		schedule_pump(end);
}

static void took(struct sim_end *end)
{
	sim_progress();
	schedule_pump(end->peer);
}

static ssize_t take_error(struct sim_end *end)
{
	int err = end->err;

	end->err = 0;
	return err;
}

/* What a read answers when there are no bytes (tcp_recvmsg_locked). */
static ssize_t read_nothing(struct sim_end *end)
{
	if (end->has_got_fin)
		return 0;
	if (end->err != 0)
		return take_error(end);
	return end->is_shut_read ? 0 : -EAGAIN;
}

ssize_t sim_tcp_read(struct sim_end *end, void *ret_bytes, size_t size)
{
	size_t n = size < end->in.len ? size : end->in.len;

	if (n == 0)
		return read_nothing(end);
	sim_fifo_take(&end->in, ret_bytes, n);
	took(end);
	return (ssize_t)n;
}

ssize_t sim_tcp_peek(struct sim_end *end, void *ret_bytes, size_t size)
{
	size_t n = size < end->in.len ? size : end->in.len;

	if (n == 0)
		return read_nothing(end);
	for (size_t i = 0; i < n; i++)
		((uint8_t *)ret_bytes)[i] = end->in.bytes[(end->in.head + i) % end->in.size];
	return (ssize_t)n;
}

ssize_t sim_tcp_to_fifo(struct sim_end *end, struct sim_fifo *fifo, size_t len)
{
	size_t n = len < end->in.len ? len : end->in.len;

	if (n == 0)
		return read_nothing(end);
	sim_fifo_move(fifo, &end->in, n);
	took(end);
	return (ssize_t)n;
}

/* 0: there is room. */
static ssize_t may_write(struct sim_end *end)
{
	if (end->state == SIM_TCP_CONNECTING && end->err == 0)
		return -EAGAIN;
	if (end->err != 0)
		return take_error(end);
	if (end->is_shut_write)
		return -EPIPE;
	return sim_tcp_room(end) > 0 ? 0 : -EAGAIN;
}

size_t sim_tcp_room(struct sim_end *end)
{
	size_t room = end->out.size - end->out.len;

	if (end->state != SIM_TCP_OPEN || end->is_shut_write)
		return 0;
	if (room == 0)
		end->wants_space = true;
	return room;
}

static ssize_t wrote(struct sim_end *end, size_t n)
{
	end->wrote_bytes += n;
	sim_progress();
	schedule_pump(end);
	return (ssize_t)n;
}

ssize_t sim_tcp_write(struct sim_end *end, const void *bytes, size_t len)
{
	ssize_t ret = may_write(end);
	size_t room = sim_tcp_room(end);

	if (ret < 0)
		return ret;
	if (len > room)
		len = room;
	sim_fifo_put(&end->out, bytes, len);
	return wrote(end, len);
}

ssize_t sim_tcp_from_fifo(struct sim_end *end, struct sim_fifo *fifo, size_t len)
{
	ssize_t ret = may_write(end);
	size_t room = sim_tcp_room(end);

	if (ret < 0)
		return ret;
	if (len > room)
		len = room;
	sim_fifo_move(&end->out, fifo, len);
	return wrote(end, len);
}

/* ---- ends ---- */

int sim_tcp_shutdown(struct sim_end *end)
{
	if (end->state != SIM_TCP_OPEN)
		return -ENOTCONN;
	end->is_shut_write = true;
	sim_tcp_uncork(end);
	return 0;
}

void sim_tcp_close(struct sim_end *end, bool is_reset)
{
	CHECK(!end->is_orphan);
	end->is_orphan = true;
	if (end->state == SIM_TCP_CLOSED)
		return;
	if (end->state == SIM_TCP_CONNECTING) {
		die(end); /* no answer will find it */
		return;
	}
	if (is_reset || end->in.len > 0) {
		send_rst(end);
		return;
	}
	end->is_shut_read = end->is_shut_write = true;
	sim_tcp_uncork(end);
}

void sim_tcp_release(struct sim_end *end)
{
	sim_tcp_close(end, end->resets_at_release);
}

bool sim_tcp_try_again(struct sim_end *end)
{
	if (end->out.len == 0 || end->state != SIM_TCP_OPEN || end->is_shut_write)
		return false;
	end->wants_space = true;
	return true;
}

static void pay_edge(void *context)
{
	struct sim_end *end = context;

	end->is_owed = false;
	if (!end->is_orphan)
		sim_uring_changed(end->file, POLLIN);
}

void sim_tcp_owe_edge(struct sim_end *end)
{
	if (end->is_owed || end->in.len == 0)
		return;
	end->is_owed = true;
	sim_at(sim_between(1, 200 * NS_PER_US), pay_edge, end);
}

/* tcp_poll() */
unsigned sim_tcp_events(struct sim_end *end)
{
	unsigned events = 0;

	if (end->state == SIM_TCP_CLOSED || (end->is_shut_read && end->is_shut_write))
		events |= POLLHUP;
	if (end->is_shut_read)
		events |= POLLIN | POLLRDHUP;
	if (end->in.len > 0)
		events |= POLLIN;
	if (end->state != SIM_TCP_CONNECTING && (end->is_shut_write || is_writable(end)))
		events |= POLLOUT;
	else
		end->wants_space = true;
	if (end->err != 0)
		events |= POLLERR;
	return events;
}
