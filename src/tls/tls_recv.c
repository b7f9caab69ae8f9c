/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_recv: data from the peer. Records are looked at where they are, in the socket, opened
 * straight into the reader's buffer, and taken off the socket when all of their content is. So an
 * end holds no bytes: of half a record the socket keeps what there is, and says so when the rest
 * has come; of a record half taken the worker may still have the content (struct tls, `opened`),
 * else it is opened again.
 *
 *     socket   | record, rx_offset bytes of it taken | record | record | half a rec
 *                rx.seq                                rx.seq + 1
 *
 * But the rest may find no room: half a record keeps the whole segment it came in, 64 KB and more
 * by the kernel's count, and that can be all the receive buffer there is. A socket says it is
 * readable then though it has less than we wait for, and the half is taken off it (the kernel's own
 * TLS does the same, tls_strp_read_copy()).
 */
#include <errno.h>

#include <penstock/net.h>

#include "tls_end_priv.h"

/* Control records dealt with in one call: more wait for the next turn. */
#define CONTROLS_MAX 4

/* Why reading stopped. */
enum stop { STOP_FULL, STOP_HALF, STOP_CONTROL, STOP_BAD };

/* A walk over the records seen in the socket. */
struct walk {
	struct span seen;
	uint64_t seq;
	uint32_t offset;
	size_t taken; /* bytes of records all of whose content is read */
	enum stop stop;
	size_t need;	     /* STOP_HALF: bytes of the record at the front */
	enum tls_fail why;   /* STOP_BAD */
	size_t size;	     /* STOP_CONTROL: of its record, */
	uint8_t type;	     /* its type */
	struct span content; /* and what it says */
};

/* ---- opening -------------------------------------------------------------------------------- */

/* Opens a record to where it fits, or finds it open; its content, or NULL and walk->why. */
static const uint8_t *open_record(struct tls_end *end, struct walk *walk, struct span record,
				  uint8_t *out, size_t room, size_t *ret_len)
{
	struct tls *tls = end->tls;
	bool fits = out != NULL && walk->offset == 0 &&
		    room + TLS_TAG_BYTES + TLS_HEADER_BYTES >= record.len;

	walk->type = TLS_TYPE_DATA;
	if (tls->opened.key_id == end->rx.key_id && tls->opened.seq == walk->seq) {
		*ret_len = tls->opened.len;
		return tls->plain;
	}
	if (!fits) {
		out = tls->plain;
		tls->opened.key_id = 0;
	}

	int len = tls_record_open(tls->aead, end->suite, &end->rx, walk->seq, record, out,
				  &walk->type);

	if (len < 0) {
		walk->why = (enum tls_fail) - len;
		return NULL;
	}
	*ret_len = (size_t)len;
	if (!fits && walk->type == TLS_TYPE_DATA) {
		tls->opened.key_id = end->rx.key_id;
		tls->opened.seq = walk->seq;
		tls->opened.len = (uint32_t)len;
	}
	return out;
}

/* Reads data records up to `room` bytes; `out` NULL: they are only counted. */
static size_t read_records(struct tls_end *end, struct walk *walk, uint8_t *out, size_t room)
{
	size_t total = 0;

	for (walk->stop = STOP_FULL; total < room;) {
		int size = tls_record_size(walk->seen);
		struct span record;
		size_t len = 0;

		if (size < 0 || size == 0 || (size_t)size > walk->seen.len) {
			walk->stop = size < 0 ? STOP_BAD : STOP_HALF;
			walk->why = size < 0 ? (enum tls_fail) - size : TLS_FAIL_NONE;
			walk->need = size > 0 ? (size_t)size : TLS_HEADER_BYTES;
			return total;
		}
		record = span_of(walk->seen.at, (size_t)size);

		const uint8_t *content =
			open_record(end, walk, record, out != NULL ? out + total : NULL,
				    room - total, &len);

		if (content == NULL || walk->type != TLS_TYPE_DATA || len == 0) {
			walk->stop = content == NULL ? STOP_BAD : STOP_CONTROL;
			walk->size = record.len;
			walk->content = span_of(content, len);
			return total;
		}
		size_t part = len - walk->offset < room - total ? len - walk->offset : room - total;

		if (out != NULL && content != out + total)
			memcpy(out + total, content + walk->offset, part);
		total += part;
		walk->offset += (uint32_t)part;
		if (walk->offset < len)
			break;
		walk->offset = 0;
		walk->seq++;
		walk->taken += record.len;
		CHECK(span_skip(&walk->seen, record.len));
	}
	return total;
}

/* ---- the socket ----------------------------------------------------------------------------- */

/* Nothing to do before so many bytes are there. */
static void wake_at(struct tls_end *end, size_t bytes)
{
	if (end->rx_wake == bytes)
		return;
	end->rx_wake = (uint32_t)bytes;
	net_wake_at(end->fd, bytes);
}

/* The rest of the record that was taken off the socket in part; its size. */
static ssize_t fill_half(struct tls_end *end)
{
	struct tls_half *half = end->half;

	for (;;) {
		int size = tls_record_size(span_of(half->bytes, half->len));
		size_t need = size > 0 ? (size_t)size : TLS_HEADER_BYTES;

		if (size < 0 || half->len == need)
			return half->len; /* what is wrong with it shows when it is opened */

		ssize_t n = net_recv(end->fd, half->bytes + half->len, need - half->len);

		if (n == 0)
			return tls_end_fail(end, TLS_FAIL_TRUNCATED);
		if (n == -EAGAIN)
			wake_at(end, need - half->len);
		if (n < 0)
			return n;
		half->len += (uint32_t)n;
	}
}

/* The stream has ended. 0: but the rest came before its end, both of them since the look. */
static ssize_t nothing_more(struct tls_end *end, size_t seen)
{
	int err = net_error(end->fd);

	if (err < 0)
		return err;

	ssize_t n = net_peek(end->fd, end->tls->cipher, seen + 1);

	if (n < 0)
		return n;
	return (size_t)n > seen ? 0 : tls_end_fail(end, TLS_FAIL_TRUNCATED);
}

/* 0: there is more now, and the socket will not tell of it. */
static ssize_t wait_for_rest(struct tls_end *end, size_t seen, size_t need)
{
	/* Lanes also look of their own accord (relay_gather.c): that is no reason yet. */
	if (seen != end->rx_seen || !net_is_readable(end->fd)) {
		end->rx_seen = (uint32_t)seen;
		wake_at(end, need);
		return -EAGAIN;
	}
	/* Readable, and no byte more: no more will come, or there is no room for them. */
	if (net_is_ended(end->fd))
		return nothing_more(end, seen);
	CHECK(end->half == NULL);
	end->half = pool_get(&end->tls->halves);
	if (end->half == NULL)
		return tls_end_abort(end, TLS_FAIL_NO_ROOM);
	end->half->len = 0;
	end->rx_seen = 0;
	stat_add(end->tls->stats, STAT_TLS_HALVES_IN_USE, 1);

	ssize_t n = fill_half(end);

	return n < 0 ? n : 0;
}

void tls_recv_drop_half(struct tls_end *end)
{
	if (end->half == NULL)
		return;
	pool_put(&end->tls->halves, end->half);
	stat_sub(end->tls->stats, STAT_TLS_HALVES_IN_USE, 1);
	end->half = NULL;
}

static void take_off(struct tls_end *end, size_t bytes)
{
	if (bytes == 0)
		return;
	if (end->half != NULL) {
		CHECK(end->half->len == bytes);
		tls_recv_drop_half(end);
		return;
	}
	/* They were there a moment ago, and nobody else takes them. */
	CHECK(net_discard(end->fd, bytes) == (ssize_t)bytes);
}

/* Takes the walk's records as read. */
static void commit(struct tls_end *end, const struct walk *walk)
{
	take_off(end, walk->taken);
	end->rx.seq = walk->seq;
	end->rx_offset = (uint16_t)walk->offset;
	end->idle_records = 0;
	end->rx_seen = 0;
	tls_session_drop(end); /* a ticket would have come first */
	wake_at(end, 1);
}

/* 0: go on. */
static ssize_t take_control(struct tls_end *end, const struct walk *walk)
{
	take_off(end, walk->size);
	end->rx.seq++;
	end->rx_seen = 0;
	wake_at(end, 1);

	int ret = tls_control_take(end, walk->type, walk->content);

	return ret == 0 ? -EAGAIN : ret == 1 ? 0 : ret;
}

/* How many bytes to look at: what `size` bytes of data take, and one record at the least. */
static size_t look_size(size_t size)
{
	size_t wire = size + 128 * (size / TLS_PLAIN_MAX + 1);

	if (wire < TLS_RECORD_MAX)
		return TLS_RECORD_MAX;
	return wire < TLS_CIPHER_BYTES ? wire : TLS_CIPHER_BYTES;
}

/* The records there are; -EAGAIN: none that is whole, or no byte at all. */
static ssize_t look(struct tls_end *end, size_t wire_size, struct span *ret_seen)
{
	if (UNLIKELY(end->half != NULL)) {
		ssize_t n = fill_half(end);

		*ret_seen = span_of(end->half->bytes, n > 0 ? (size_t)n : 0);
		return n;
	}
	ssize_t n = net_peek(end->fd, end->tls->cipher, wire_size);

	if (n == 0)
		return tls_end_fail(end, TLS_FAIL_TRUNCATED);
	if (n == -EAGAIN)
		wake_at(end, 1);
	*ret_seen = span_of(end->tls->cipher, n > 0 ? (size_t)n : 0);
	return n;
}

static ssize_t read_own(struct tls_end *end, uint8_t *out, size_t size, bool is_taken)
{
	/* What was peeked at is taken off in one go, be it in records of one byte each. */
	size_t wire_size = out != NULL ? look_size(size) : TLS_CIPHER_BYTES;

	for (int controls = 0; controls < CONTROLS_MAX;) {
		struct walk walk = { .seq = end->rx.seq, .offset = end->rx_offset };
		ssize_t n = look(end, wire_size, &walk.seen);

		if (n < 0)
			return n;

		size_t len = read_records(end, &walk, out, size);

		if (len > 0) {
			if (is_taken)
				commit(end, &walk);
			return (ssize_t)len;
		}
		if (walk.stop == STOP_BAD)
			return tls_end_abort(end, walk.why);
		if (walk.stop == STOP_HALF) {
			ssize_t ret = wait_for_rest(end, (size_t)n, walk.need);

			if (ret != 0)
				return ret;
			continue;
		}
		ssize_t ret = take_control(end, &walk);

		if (ret != -EAGAIN)
			return ret;
		controls++;
	}
	return -EAGAIN; /* the socket is readable: the others first */
}

/* ---- the kernel's records ------------------------------------------------------------------- */

static ssize_t kernel_error(struct tls_end *end, ssize_t err)
{
	/* It stands in the socket as well, where it would be the answer to our alert. */
	(void)net_error(end->fd);
	switch (err) {
	case -EBADMSG:
		return tls_end_abort(end, TLS_FAIL_BAD_RECORD);
	case -EMSGSIZE:
		return tls_end_abort(end, TLS_FAIL_RECORD_SIZE);
	case -EINVAL:
		return tls_end_abort(end, TLS_FAIL_DECODE);
	default:
		return err;
	}
}

/* The record that is no data; -EAGAIN: it is dealt with. */
static ssize_t take_kernel_control(struct tls_end *end)
{
	uint8_t type = TLS_TYPE_DATA;
	ssize_t n = net_ktls_recv(end->fd, end->tls->plain, TLS_PLAIN_BYTES, &type);

	end->tls->opened.key_id = 0;
	/* There is none: it was a record's header that the kernel did not like. */
	if (n == -EAGAIN)
		return kernel_error(end, -EINVAL);
	if (n < 0)
		return kernel_error(end, n);
	if (type == TLS_TYPE_DATA && n > 0)
		return tls_end_abort(end, TLS_FAIL_INTERNAL);
	if (type == TLS_TYPE_DATA)
		return tls_end_fail(end, TLS_FAIL_TRUNCATED);

	int ret = tls_control_take(end, type, span_of(end->tls->plain, (size_t)n));

	return ret == 0 ? -EAGAIN : ret == 1 ? 0 : ret;
}

static ssize_t after_kernel(struct tls_end *end, ssize_t n)
{
	if (n == 0)
		return tls_end_fail(end, TLS_FAIL_TRUNCATED);
	if (n > 0) {
		end->idle_records = 0;
		tls_session_drop(end);
	}
	return n < 0 ? kernel_error(end, n) : n;
}

/* The kernel has nothing whole, and tells when it has. */
static ssize_t drained(struct tls_end *end)
{
	end->is_rx_drained = true;
	return -EAGAIN;
}

static ssize_t read_kernel(struct tls_end *end, void *out, size_t size, bool is_taken)
{
	for (int i = 0; i < CONTROLS_MAX; i++) {
		ssize_t n = is_taken ? net_recv(end->fd, out, size) : net_peek(end->fd, out, size);

		if (n == -EAGAIN)
			return drained(end);
		if (n != -EIO)
			return after_kernel(end, n);
		n = take_kernel_control(end);
		if (n != -EAGAIN)
			return n;
	}
	return -EAGAIN;
}

/* splice(2) says 0 for the end, and for a record without content, which TLS allows: -EAGAIN. */
static ssize_t spliced_nothing(struct tls_end *end)
{
	uint8_t byte;
	ssize_t n = net_peek(end->fd, &byte, sizeof(byte));

	if (n == 0)
		return after_kernel(end, 0);
	if (++end->idle_records > TLS_IDLE_RECORDS_MAX)
		return tls_end_abort(end, TLS_FAIL_FLOOD);
	return -EAGAIN;
}

static ssize_t splice_kernel(struct tls_end *end, int pipe_write, size_t len)
{
	for (int i = 0; i < CONTROLS_MAX; i++) {
		ssize_t n = net_splice_in(end->fd, pipe_write, len);

		if (n == -EAGAIN)
			return drained(end);
		if (n != 0 && n != -EINVAL)
			return after_kernel(end, n);
		n = n == 0 ? spliced_nothing(end) : take_kernel_control(end);
		if (n != -EAGAIN)
			return n;
	}
	return -EAGAIN;
}

/* ---- the calls ------------------------------------------------------------------------------ */

static ssize_t read_data(struct tls_end *end, uint8_t *out, size_t size, bool is_taken)
{
	CHECK(end->is_started && size > 0);
	end->is_rx_drained = false;
	if (end->why != TLS_FAIL_NONE)
		return -EPROTO;
	if (end->is_rx_closed)
		return 0;
	return end->rx.is_kernel ? read_kernel(end, out, size, is_taken)
				 : read_own(end, out, size, is_taken);
}

ssize_t tls_recv(struct tls_end *end, void *ret_bytes, size_t size)
{
	return read_data(end, ret_bytes, size, true);
}

ssize_t tls_peek(struct tls_end *end, void *ret_bytes, size_t size)
{
	return read_data(end, ret_bytes, size, false);
}

ssize_t tls_discard(struct tls_end *end, size_t len)
{
	if (!end->rx.is_kernel)
		return read_data(end, NULL, len, true);
	end->tls->opened.key_id = 0;
	return read_data(end, end->tls->plain, len < TLS_PLAIN_BYTES ? len : TLS_PLAIN_BYTES, true);
}

bool tls_can_splice_in(const struct tls_end *end)
{
	return end->rx.is_kernel;
}

ssize_t tls_splice_in(struct tls_end *end, int pipe_write, size_t len)
{
	CHECK(end->is_started && end->rx.is_kernel);
	end->is_rx_drained = false;
	if (end->why != TLS_FAIL_NONE)
		return -EPROTO;
	if (end->is_rx_closed)
		return 0;
	return splice_kernel(end, pipe_write, len);
}

bool tls_is_drained(const struct tls_end *end)
{
	return end->is_rx_drained;
}

bool tls_must_read_on(const struct tls_end *end)
{
	return end->rx.is_kernel && end->suite->version == TLS_1_3 && tls_features()->can_rekey;
}
