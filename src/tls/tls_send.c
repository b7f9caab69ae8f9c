/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_send: data to the peer. Records are sealed in the worker's scratch and sent at once. What the
 * socket does not take is not kept: the number of a record it took in part stays in force, so that
 * the same bytes, which must come again, give the same record, and its rest is sent. Other bytes
 * would give a record the peer refuses.
 */
#include <errno.h>

#include <penstock/net.h>

#include "tls_end_priv.h"

/* Records in the scratch, and what each holds. */
struct batch {
	uint32_t count;
	size_t size;
	size_t wire[TLS_BATCH];
	size_t content[TLS_BATCH];
};

static void seal_batch(struct tls_end *end, struct batch *batch, struct span bytes)
{
	struct tls *tls = end->tls;
	/* Slow sockets take one at a time, since what they do not take is sealed again. A control
	 * record that waits is next after the one begun. */
	uint32_t most = end->is_tx_slow || end->control.len > 0 ? 1 : TLS_BATCH;

	*batch = (struct batch){ .count = 0 };
	while (bytes.len > 0 && batch->count < most) {
		size_t want = batch->count == 0 && end->tx_part_len > 0 ? end->tx_part_len
									: end->record_max;
		struct span content;

		CHECK(end->tx_part_len <= bytes.len || batch->count > 0);
		CHECK(span_take(&bytes, want < bytes.len ? want : bytes.len, &content));

		size_t size =
			tls_record_seal(tls->aead, end->suite, &end->tx, end->tx.seq + batch->count,
					TLS_TYPE_DATA, content, tls->cipher + batch->size);

		batch->wire[batch->count] = size;
		batch->content[batch->count++] = content.len;
		batch->size += size;
	}
}

/* `sent` bytes of the batch are out, those of before included; the content that is through. */
static size_t settle(struct tls_end *end, const struct batch *batch, size_t sent)
{
	size_t done = 0;
	uint32_t i = 0;

	for (; i < batch->count && sent >= batch->wire[i]; i++) {
		sent -= batch->wire[i];
		done += batch->content[i];
		end->tx.seq++;
	}
	end->tx_part_sent = (uint16_t)sent;
	end->tx_part_len = sent > 0 ? (uint16_t)batch->content[i] : 0;
	return done;
}

static ssize_t send_own(struct tls_end *end, struct span bytes)
{
	size_t done = 0;

	while (done < bytes.len) {
		struct batch batch;
		int ret = end->tx_part_len > 0 ? 0 : tls_control_flush(end);

		if (ret < 0)
			return done > 0 ? (ssize_t)done : ret;
		seal_batch(end, &batch, span_of(bytes.at + done, bytes.len - done));

		ssize_t n = net_send(end->fd, end->tls->cipher + end->tx_part_sent,
				     batch.size - end->tx_part_sent);

		if (n < 0) {
			end->is_tx_slow |= n == -EAGAIN;
			return done > 0 ? (ssize_t)done : n;
		}
		size_t sent = end->tx_part_sent + (size_t)n;

		done += settle(end, &batch, sent);
		if (sent < batch.size) {
			end->is_tx_slow = true;
			return done > 0 ? (ssize_t)done : -EAGAIN;
		}
	}
	end->is_tx_slow = false;
	return (ssize_t)done;
}

static int ready(struct tls_end *end)
{
	CHECK(end->is_started && !end->is_tx_closed);
	if (end->why != TLS_FAIL_NONE)
		return -EPROTO;
	return end->tx.is_kernel ? tls_control_flush(end) : 0;
}

ssize_t tls_send(struct tls_end *end, const void *bytes, size_t len)
{
	int ret = ready(end);

	CHECK(len > 0);
	if (ret < 0)
		return ret;
	return end->tx.is_kernel ? net_send(end->fd, bytes, len)
				 : send_own(end, span_of(bytes, len));
}

bool tls_can_splice_out(const struct tls_end *end)
{
	return end->tx.is_kernel;
}

ssize_t tls_splice_out(struct tls_end *end, int pipe_read, size_t len)
{
	int ret = ready(end);

	CHECK(end->tx.is_kernel);
	return ret < 0 ? ret : net_splice_out(pipe_read, end->fd, len);
}

/* A kernel that seals says it has sent what still waits for room behind a record sent in part, and
 * a FIN would go before it. */
static bool is_room(const struct tls_end *end)
{
	return !end->tx.is_kernel || net_is_writable(end->fd);
}

int tls_shutdown_write(struct tls_end *end)
{
	static const uint8_t close_notify[] = { 1, 0 };

	CHECK(end->is_started && end->tx_part_len == 0);
	if (end->why != TLS_FAIL_NONE)
		return -EPROTO;
	if (!is_room(end))
		return -EAGAIN;
	if (!end->is_tx_closed) {
		int ret = tls_control_flush(end);

		if (ret < 0)
			return ret;
		tls_control_send(end, TLS_TYPE_ALERT, span_of(close_notify, sizeof(close_notify)));
		end->is_tx_closed = true;
	}
	int ret = tls_control_flush(end);

	if (ret == 0 && !is_room(end))
		ret = -EAGAIN;
	return ret < 0 ? ret : net_shutdown_write(end->fd);
}

void tls_goodbye(struct tls_end *end)
{
	/* Behind half a record it would be part of that. */
	if (end->is_started && !end->is_tx_closed && end->why == TLS_FAIL_NONE &&
	    end->tx_part_len == 0)
		(void)!tls_shutdown_write(end);
}
