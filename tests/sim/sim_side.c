/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An end that carries streams: writes its bytes in its own rhythm, reads as fast or as slowly as
 * the plan says, ends as the plan says; and afterwards the two ends of a flow are compared:
 *
 *     a FIN was somebody's FIN, behind his last byte; a reset was somebody's reset; what had
 *     reached penstock before a reset reached the other end, in a second, if that end was reading
 */
#include <errno.h>
#include <stdlib.h>

#include "sim_flow.h"

#define CHUNK 65536

void sim_side_plan(struct sim_side *side, struct sim_flow *flow, const char *who)
{
	*side = (struct sim_side){
		.flow = flow,
		.who = who,
		.last = SIM_LAST_FIN,
		.write_max = sim_chance(500) ? CHUNK : 1 + sim_skewed(CHUNK - 1),
		.read_max = CHUNK,
		.write_pause_ns = sim_chance(600) ? 0 : sim_skewed(5 * NS_PER_MS),
		.last_pause_ns = sim_chance(500) ? 0 : sim_skewed(200 * NS_PER_MS),
		.reads_all = sim_chance(600),
	};
	if (!side->reads_all) {
		side->read_max = 1 + sim_skewed(CHUNK - 1);
		side->read_pause_ns = sim_skewed(4 * NS_PER_MS);
		side->stall_ns = sim_chance(400) ? sim_skewed(3 * NS_PER_S) : 0;
	}
	if (sim_chance(350))
		side->last = (enum sim_last)sim_between(SIM_LAST_FIN_RST, SIM_LAST_CLOSE);
	sim_stream_begin(&side->out, sim_chance(100) ? 0 : sim_skewed(sim_plan.len_max));
	/* Slow on purpose, but not for ever: no more than some hundred pauses. */
	uint64_t least = side->out.len / 300;

	if (side->write_pause_ns > 0 && side->write_max < least)
		side->write_max = (size_t)least;
	least = sim_plan.len_max / 300;
	if (side->read_pause_ns > 0 && side->read_max < least)
		side->read_max = (size_t)least;
}

static void later(struct sim_side *side, uint64_t at_ns)
{
	sim_alarm(&side->alarm, at_ns, sim_side_step, side);
}

static void leave(struct sim_side *side, bool is_reset)
{
	sim_trace("flow %u: %s is done%s%s%s", side->flow->id, side->who,
		  is_reset ? ", resets" : "", side->saw_fin ? ", saw FIN" : "",
		  side->saw_rst ? ", saw a reset" : "");
	side->is_done = true;
	sim_tcp_close(side->end, is_reset);
}

static void saw(struct sim_side *side, bool is_rst)
{
	if (is_rst)
		side->saw_rst = true;
	else
		side->saw_fin = true;
	side->saw_ns = sim_now();
}

/* A refused client gets a frame, which begins with a zero byte as no stream does, or an alert. */
static void take(struct sim_side *side, const uint8_t *bytes, size_t n)
{
	bool is_client = side == &side->flow->client;
	bool is_answer =
		side->answer.len > 0 || (side->in.done == 0 && (bytes[0] == 0 || bytes[0] == 21));

	if (is_client && is_answer)
		sim_frame_append(&side->answer, bytes, n);
	else
		sim_stream_take(&side->in, bytes, n, side->who);
}

static void read_some(struct sim_side *side)
{
	static uint8_t bytes[CHUNK];

	while (!side->saw_fin) {
		if (sim_now() < side->may_read_ns) {
			later(side, side->may_read_ns);
			return;
		}
		ssize_t n = sim_tcp_read(side->end, bytes, side->read_max);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			saw(side, n < 0);
			return;
		}
		take(side, bytes, (size_t)n);
		if (side->read_pause_ns > 0)
			side->may_read_ns = sim_now() + side->read_pause_ns;
	}
}

static size_t next_bytes(const struct sim_side *side, uint8_t bytes[static CHUNK])
{
	size_t room = sim_tcp_room(side->end);
	size_t left = side->prefix.len - side->prefix_done;

	if (room > side->write_max)
		room = side->write_max;
	if (left > 0) {
		left = left < room ? left : room;
		for (size_t i = 0; i < left; i++)
			bytes[i] = side->prefix.at[side->prefix_done + i];
		return left;
	}
	if (room > side->out.len - side->out.done)
		room = (size_t)(side->out.len - side->out.done);
	sim_stream_show(&side->out, bytes, room);
	return room;
}

static bool has_more(const struct sim_side *side)
{
	return side->prefix_done < side->prefix.len || side->out.done < side->out.len;
}

static void write_some(struct sim_side *side)
{
	static uint8_t bytes[CHUNK];

	while (has_more(side) && side->end->state == SIM_TCP_OPEN && !side->has_fin) {
		if (sim_now() < side->may_write_ns) {
			later(side, side->may_write_ns);
			return;
		}
		bool is_prefix = side->prefix_done < side->prefix.len;
		size_t n = next_bytes(side, bytes);

		if (n == 0)
			return; /* the buffer is full */
		CHECK(sim_tcp_write(side->end, bytes, n) == (ssize_t)n);
		if (is_prefix)
			side->prefix_done += n;
		else
			side->out.done += n;
		if (side->write_pause_ns > 0)
			side->may_write_ns = sim_now() + sim_below(side->write_pause_ns);
	}
}

/* Everything is written: the end the plan has for it. True: the side is gone. */
static bool end_it(struct sim_side *side)
{
	if (side->may_end_ns == 0)
		side->may_end_ns = sim_now() + side->last_pause_ns;
	if (sim_now() < side->may_end_ns) {
		later(side, side->may_end_ns);
		return false;
	}
	switch (side->last) {
	case SIM_LAST_FIN:
	case SIM_LAST_FIN_RST:
		if (!side->has_fin) {
			(void)sim_tcp_shutdown(side->end);
			side->has_fin = true;
			side->may_end_ns = sim_now() + side->last_pause_ns;
			if (side->last == SIM_LAST_FIN_RST)
				later(side, side->may_end_ns);
			return false;
		}
		if (side->last == SIM_LAST_FIN)
			return false;
		side->has_rst = true;
		break;
	case SIM_LAST_RST:
		side->has_rst = true;
		break;
	case SIM_LAST_CLOSE:
		side->has_closed = true;
		break;
	case SIM_LAST_WAIT:
		if (!side->saw_fin)
			return false;
		break;
	case SIM_LAST_STAY:
		return false;
	}
	leave(side, side->has_rst);
	return true;
}

void sim_side_step(void *context)
{
	struct sim_side *side = context;

	if (side->is_done || side->end == NULL || side->end->state == SIM_TCP_CONNECTING)
		return;
	if (side->stall_ns > 0) {
		side->may_read_ns = sim_now() + side->stall_ns;
		side->stall_ns = 0;
	}
	read_some(side);
	if (side->saw_rst) {
		leave(side, false);
		return;
	}
	write_some(side);
	if (!has_more(side) && side->end->state == SIM_TCP_OPEN && end_it(side))
		return;
	if (!side->saw_fin)
		return;
	if (side->end->state == SIM_TCP_CLOSED) {
		saw(side, true);
		leave(side, false);
	} else if (side->has_fin && side->last != SIM_LAST_FIN_RST) {
		leave(side, false);
	} else if (side == &side->flow->client && side->answer.len > 0) {
		leave(side, false); /* refused: nothing more to say */
	} else if (side->last == SIM_LAST_STAY && side->in.done == 0) {
		leave(side, false); /* refused, or nobody there */
	}
}

void sim_side_attach(struct sim_side *side, struct sim_end *end, struct span read)
{
	if (side->end != NULL)
		sim_fail("flow %u: a second connection for its %s", side->flow->id, side->who);
	side->end = end;
	end->changed = sim_side_step;
	end->context = side;
	if (read.len > 0)
		take(side, read.at, read.len);
	sim_side_step(side);
}

/* ---- afterwards ---- */

static bool is_refused(const struct sim_flow *flow, const struct sim_side *reader)
{
	return flow->may_be_refused && reader->in.done == 0;
}

static void check_fin(const struct sim_flow *flow, const struct sim_side *writer,
		      const struct sim_side *reader)
{
	bool was_fin = writer->end != NULL && writer->end->is_fin_sent;

	if (is_refused(flow, reader))
		return;
	if (!was_fin)
		sim_fail("flow %u: %s saw a FIN that %s never sent", flow->id, reader->who,
			 writer->who);
	if (reader->in.done != writer->out.done)
		sim_fail("flow %u: %s saw FIN behind byte %llu of %llu", flow->id, reader->who,
			 (unsigned long long)reader->in.done, (unsigned long long)writer->out.done);
}

/* Bytes of the stream that penstock's kernel had. */
static uint64_t arrived(const struct sim_side *writer)
{
	uint64_t bytes = writer->end->peer->got_bytes;

	return bytes > writer->prefix.len ? bytes - writer->prefix.len : 0;
}

/* The writer reset first, and the reader read all the time. */
static void check_arrived(const struct sim_flow *flow, const struct sim_side *writer,
			  const struct sim_side *reader)
{
	if (reader->in.done != arrived(writer))
		sim_fail("flow %u: %s saw a reset behind byte %llu, but %llu of %s had arrived",
			 flow->id, reader->who, (unsigned long long)reader->in.done,
			 (unsigned long long)arrived(writer), writer->who);
}

static void check_prompt(const struct sim_flow *flow, const struct sim_side *writer,
			 const struct sim_side *reader)
{
	uint64_t since = writer->end->peer->rst_ns;

	if (since < reader->end->born_ns)
		since = reader->end->born_ns;
	if (sim_plan.bufs == 0 && reader->saw_ns > since + 1500 * NS_PER_MS)
		sim_fail("flow %u: %s saw the reset only after %llu ms", flow->id, reader->who,
			 (unsigned long long)((reader->saw_ns - since) / NS_PER_MS));
}

static void check_rst(const struct sim_flow *flow, const struct sim_side *writer,
		      const struct sim_side *reader)
{
	bool was_rst = writer->end != NULL && writer->end->has_sent_rst;

	if (is_refused(flow, reader))
		return;
	if (!was_rst)
		sim_fail("flow %u: %s saw a reset that %s never sent", flow->id, reader->who,
			 writer->who);
	bool is_prompt = reader->reads_all && !reader->end->wire.is_slow;

	if (!is_prompt || !writer->end->peer->has_got_rst)
		return;
	if (!writer->end->is_fin_sent && !reader->saw_fin)
		check_arrived(flow, writer, reader);
	check_prompt(flow, writer, reader);
}

static void check_way(const struct sim_flow *flow, const struct sim_side *writer,
		      const struct sim_side *reader)
{
	if (reader->in.done > writer->out.done)
		sim_fail("flow %u: more was read than written", flow->id);
	if (reader->in.number != 0 && reader->in.number != writer->out.number)
		sim_fail("flow %u: %s got the bytes of another flow", flow->id, reader->who);
	if (flow->is_excused || reader->end == NULL || reader->answer.len > 0)
		return;
	if (reader->saw_fin)
		check_fin(flow, writer, reader);
	if (reader->saw_rst)
		check_rst(flow, writer, reader);
}

void sim_side_check(const struct sim_flow *flow)
{
	check_way(flow, &flow->client, &flow->broker);
	check_way(flow, &flow->broker, &flow->client);
	if (flow->is_excused || flow->may_be_refused)
		return;
	if (flow->client.answer.len > 0)
		sim_fail("flow %u: it was refused for no reason", flow->id);
	/* Nobody answered for the broker: only a client that left at once may have that. */
	if (flow->broker.end == NULL &&
	    (flow->client.last == SIM_LAST_FIN || flow->client.last == SIM_LAST_WAIT ||
	     flow->client.last == SIM_LAST_STAY))
		sim_fail("flow %u: it never reached its broker", flow->id);
}
