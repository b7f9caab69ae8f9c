/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_control: records that are no data, whoever opened or seals them, the kernel or we: alerts,
 * TLS 1.3's tickets and key changes, TLS 1.2's requests to renegotiate.
 */
#include <errno.h>

#include <penstock/base/clock.h>
#include <penstock/net.h>

#include "tls_end_priv.h"

enum message { HELLO_REQUEST = 0, NEW_SESSION_TICKET = 4, KEY_UPDATE = 24 };
enum alert { CLOSE_NOTIFY = 0, USER_CANCELED = 90 };

/* Java changes keys after 2^37 bytes, and a bug in it (JDK-8329548) at every write from then on,
 * which HAProxy lets pass 100 times a second. */
#define REKEYS_PER_SECOND 100

/* ---- alerts --------------------------------------------------------------------------------- */

static int take_alert(struct tls_end *end, struct span content)
{
	uint8_t level, code;

	if (content.len != 2 || !span_u8(&content, &level) || !span_u8(&content, &code))
		return tls_end_abort(end, TLS_FAIL_DECODE);
	if (code == CLOSE_NOTIFY) {
		end->is_rx_closed = true;
		return 1;
	}
	/* TLS 1.3 has no warnings but these two (RFC 8446 6). */
	if (code == USER_CANCELED || (level == 1 && end->suite->version == TLS_1_2))
		return 0;
	end->alert = code;
	return tls_end_fail(end, TLS_FAIL_PEER_ALERT);
}

/* ---- key changes ---------------------------------------------------------------------------- */

static bool is_too_often(struct tls_end *end)
{
	uint64_t now = clock_now_ns();

	if (now - end->rekey_from_ns > NS_PER_S) {
		end->rekey_from_ns = now;
		end->rekeys = 0;
	}
	return ++end->rekeys > REKEYS_PER_SECOND;
}

static bool next_key(struct tls_end *end, struct tls_flow *flow)
{
	if (!flow->has_secret || !tls_secret_update(end->suite, flow))
		return false;
	flow->key_id = ++end->tls->key_ids;
	stat_add(end->tls->stats, STAT_TLS_REKEYS, 1);
	return !flow->is_kernel || tls_ktls_rekey(end, flow == &end->tx);
}

static int take_key_update(struct tls_end *end, struct span message, bool is_last)
{
	static const uint8_t answer[] = { KEY_UPDATE, 0, 0, 1, 0 };

	if (message.len != 5 || !is_last)
		return tls_end_abort(end, TLS_FAIL_DECODE);
	if (message.at[4] > 1)
		return tls_end_abort(end, TLS_FAIL_ILLEGAL);
	if (is_too_often(end))
		return tls_end_abort(end, TLS_FAIL_FLOOD);
	if (!next_key(end, &end->rx))
		return tls_end_abort(end, TLS_FAIL_REKEY);
	/* Asked to change ours: once, even if asked again before it is out (RFC 8446 4.6.3). */
	if (message.at[4] == 1 && !end->is_rekey_owed && !end->is_tx_closed) {
		end->is_rekey_owed = true;
		tls_control_send(end, TLS_TYPE_HANDSHAKE, span_of(answer, sizeof(answer)));
	}
	return end->why == TLS_FAIL_NONE ? 0 : -EPROTO;
}

/* ---- handshake messages --------------------------------------------------------------------- */

static int take_message(struct tls_end *end, struct span message, bool is_last)
{
	switch (message.at[0]) {
	case KEY_UPDATE:
		return take_key_update(end, message, is_last);
	case NEW_SESSION_TICKET:
		if (end->is_server)
			break;
		tls_session_feed(end, message);
		return 0;
	default:
		break;
	}
	return tls_end_abort(end, TLS_FAIL_UNEXPECTED);
}

/* One message after the other. A ticket may go on in the next record (Java's hold a chain of
 * certificates): such a one is let pass unread, nothing else is that long. */
static int take_messages(struct tls_end *end, struct span content)
{
	size_t skip = end->skip < content.len ? end->skip : content.len;

	CHECK(span_skip(&content, skip));
	end->skip -= (uint32_t)skip;
	while (content.len > 0) {
		if (content.len < 4)
			return tls_end_abort(end, TLS_FAIL_DECODE);

		size_t size = 4 + ((size_t)content.at[1] << 16 | (size_t)content.at[2] << 8 |
				   content.at[3]);
		struct span message;

		if (size > content.len && content.at[0] == NEW_SESSION_TICKET && !end->is_server) {
			end->skip = (uint32_t)(size - content.len);
			return 0;
		}
		if (!span_take(&content, size, &message))
			return tls_end_abort(end, TLS_FAIL_DECODE);

		int ret = take_message(end, message, content.len == 0);

		if (ret != 0)
			return ret;
	}
	return 0;
}

int tls_control_take(struct tls_end *end, uint8_t type, struct span content)
{
	if (content.len == 0 && type != TLS_TYPE_DATA)
		return tls_end_abort(end, TLS_FAIL_UNEXPECTED);
	switch (type) {
	case TLS_TYPE_ALERT:
		if (++end->idle_records > TLS_IDLE_RECORDS_MAX)
			return tls_end_abort(end, TLS_FAIL_FLOOD);
		return take_alert(end, content);
	case TLS_TYPE_HANDSHAKE:
		if (end->suite->version == TLS_1_2)
			return tls_end_abort(end, TLS_FAIL_RENEGOTIATION);
		return take_messages(end, content);
	case TLS_TYPE_DATA:
		CHECK(content.len == 0);
		if (++end->idle_records > TLS_IDLE_RECORDS_MAX)
			return tls_end_abort(end, TLS_FAIL_FLOOD);
		return 0;
	default:
		return tls_end_abort(end, TLS_FAIL_UNEXPECTED);
	}
}

/* ---- sending -------------------------------------------------------------------------------- */

/* The same bytes every time, so that what is left of a record half sent is made again. */
static int send_sealed(struct tls_end *end, struct tls_control *control)
{
	struct tls *tls = end->tls;
	size_t size = tls_record_seal(tls->aead, end->suite, &end->tx, end->tx.seq, control->type,
				      span_of(control->bytes, control->len), tls->cipher);
	ssize_t n = net_send(end->fd, tls->cipher + end->tx_part_sent, size - end->tx_part_sent);

	if (n < 0)
		return (int)n;
	end->tx_part_sent = (uint16_t)(end->tx_part_sent + n);
	if (end->tx_part_sent < size) {
		end->is_tx_part_control = true;
		return -EAGAIN;
	}
	end->tx_part_sent = 0;
	end->is_tx_part_control = false;
	end->tx.seq++;
	return 0;
}

static int send_by_kernel(struct tls_end *end, const struct tls_control *control)
{
	ssize_t n = net_ktls_send(end->fd, control->type, control->bytes, control->len);

	return n < 0 ? (int)n : 0;
}

int tls_control_flush(struct tls_end *end)
{
	struct tls_control *control = &end->control;

	if (control->len == 0)
		return 0;
	if (end->tx_part_sent > 0 && !end->is_tx_part_control)
		return -EAGAIN;

	int ret = end->tx.is_kernel ? send_by_kernel(end, control) : send_sealed(end, control);

	if (ret < 0)
		return ret;
	bool is_key_update = control->type == TLS_TYPE_HANDSHAKE;

	control->len = 0;
	if (!is_key_update)
		return 0;
	end->is_rekey_owed = false;
	return next_key(end, &end->tx) ? 0 : tls_end_fail(end, TLS_FAIL_REKEY);
}

void tls_control_send(struct tls_end *end, uint8_t type, struct span bytes)
{
	struct tls_control *control = &end->control;

	CHECK(bytes.len <= sizeof(control->bytes));
	/* An alert is the last thing we say, and goes before what has not begun to be sent. */
	if (control->len > 0 && (end->is_tx_part_control || type != TLS_TYPE_ALERT))
		return;
	control->type = type;
	control->len = (uint8_t)bytes.len;
	memcpy(control->bytes, bytes.at, bytes.len);
	/* What does not fit now goes out with what is sent next; what is broken shows then. */
	if (tls_control_flush(end) < 0)
		return;
}
