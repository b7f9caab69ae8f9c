/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_hello: a client's first flight, looked at where it is until it is whole. Only then are a slot
 * and wolfSSL's memory spent on it, with the certificate already chosen: whoever sends half a hello
 * holds an end, and nothing else. wolfSSL then reads the same bytes itself.
 */
#include <errno.h>

#include <penstock/net.h>

#include "tls_end_priv.h"

/* Wake-ups in a row without a byte more. */
#define IDLE_WAKES_MAX 8

/* Our whole answer to a client that is refused here. */
static enum tls_progress refuse(struct tls_end *end, const struct hello *hello, enum tls_fail why,
				uint8_t alert)
{
	uint8_t bytes[HELLO_ALERT_BYTES];
	struct sink sink = sink_of(bytes, sizeof(bytes));

	end->alert = alert;
	hello_write_alert(&sink, hello, (enum hello_alert)alert);
	/* The first bytes on a new connection: if they do not fit, nobody is there. */
	if (net_send(end->fd, bytes, sink.len) < 0)
		end->alert = 0;
	(void)tls_end_fail(end, why);
	return TLS_FAILED;
}

static enum tls_progress refuse_fault(struct tls_end *end, const struct hello *hello)
{
	const struct hello_fault_row *fault = &hello_faults[hello->fault];

	end->detail = fault->text;
	return refuse(end, hello, TLS_FAIL_HELLO, (uint8_t)fault->alert);
}

static enum tls_progress gone(struct tls_end *end, int err)
{
	(void)tls_end_fail(end, err == 0 ? TLS_FAIL_GONE : TLS_FAIL_RESET);
	return TLS_FAILED;
}

/* `seen` bytes of the hello are in the socket, not enough. A socket that stays readable all the
 * same has no room for more (tls_recv.c), or an urgent mark that nobody reads beyond: a hello like
 * that comes from nobody who means well, and would keep us busy for as long as it may take. */
static enum tls_progress wait(struct tls_end *end, const struct hello *hello, size_t seen)
{
	size_t need = hello->need;

	if (seen == end->rx_seen && seen > 0 && net_is_ended(end->fd))
		return gone(end, net_error(end->fd));
	if (seen != end->rx_seen)
		end->idle_wakes = 0;
	else if (net_is_readable(end->fd) && ++end->idle_wakes > IDLE_WAKES_MAX)
		return refuse(end, hello, TLS_FAIL_NO_ROOM, tls_fail_rows[TLS_FAIL_NO_ROOM].alert);
	end->rx_seen = (uint32_t)seen;
	end->rx_wake = (uint32_t)(need - end->replay.len);
	net_wake_at(end->fd, end->rx_wake);
	return TLS_WANT_READ;
}

/* A name in the one spelling the table knows. */
static struct span keep_name(struct sink *texts, struct span name)
{
	uint8_t *at = texts->at + texts->len;

	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.at[i];

		sink_u8(texts, byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 'a' - 'A') : byte);
	}
	return span_of(at, name.len);
}

/* wolfSSL wants the head of a message within one record, which nobody has to care for: it gets one
 * that came in several records in as few as there may be. Nothing else knows of records, the
 * transcript neither (RFC 8446 4.4.1). */
static void join(struct tls_end *end, const struct hello *hello)
{
	struct tls *tls = end->tls;
	struct span message = span_of(tls->plain, end->hello.size), part;
	struct sink out = sink_of(tls->cipher, TLS_CIPHER_BYTES);
	size_t replayed = hello->size < end->replay.len ? hello->size : end->replay.len;
	size_t in_socket = hello->size - replayed;

	if (hello->size == TLS_HEADER_BYTES + message.len)
		return;
	while (message.len > 0) {
		CHECK(span_take(&message, message.len < TLS_PLAIN_MAX ? message.len : TLS_PLAIN_MAX,
				&part));
		sink_bytes(&out, "\26\3\1", 3);
		sink_u16(&out, (uint16_t)part.len);
		sink_span(&out, part);
	}
	CHECK(!out.full && span_skip(&end->replay, replayed));
	if (in_socket > 0)
		CHECK(net_discard(end->fd, in_socket) == (ssize_t)in_socket);
	end->joined = sink_written(&out);
}

/* A version of ours among those the client names: it may have an older one, or a newer one, and not
 * the one between (RFC 8446 4.2.1). */
static bool has_common_version(const struct tls_context *context, const struct hello *hello)
{
	return (hello->has_tls13 && context->version_max == TLS_1_3) ||
	       (hello->has_tls12 && context->version_min == TLS_1_2);
}

static enum tls_progress accept_hello(struct tls_end *end, const struct hello *hello)
{
	enum tls_fail why = TLS_FAIL_NONE;
	struct span name = hello->name, alpn;
	const struct tls_identity *identity = tls_context_choose(end->context, name, &why);

	if (identity == NULL)
		return refuse(end, hello, why,
			      name.len == 0 ? (uint8_t)hello_no_name_alert(hello)
					    : tls_fail_rows[why].alert);
	if (!has_common_version(end->context, hello))
		return refuse(end, hello, TLS_FAIL_VERSION, tls_fail_rows[TLS_FAIL_VERSION].alert);
	if (!tls_context_choose_alpn(end->context, hello->alpn, &alpn))
		return refuse(end, hello, TLS_FAIL_ALPN, tls_fail_rows[TLS_FAIL_ALPN].alert);
	if (!tls_end_slot_get(end, identity))
		return TLS_WANT_SLOT;

	struct tls_handshake *slot = end->slot;

	slot->is_old = !hello->has_tls13;
	slot->result.alpn = end->alpn = alpn;
	slot->result.server_name = keep_name(&slot->texts, name);
	join(end, hello);
	if (end->rx_wake != 1) {
		end->rx_wake = 1;
		net_wake_at(end->fd, 1);
	}
	end->rx_seen = 0;
	return TLS_DONE;
}

/* What was read before and what is in the socket, one behind the other; the length in the socket,
 * or what it says. */
static ssize_t look(struct tls_end *end)
{
	uint8_t *at = end->tls->cipher;

	if (end->replay.len > 0)
		memcpy(at, end->replay.at, end->replay.len);

	ssize_t n = net_peek(end->fd, at + end->replay.len, TLS_CIPHER_BYTES - end->replay.len);

	return n == -EAGAIN ? 0 : n == 0 ? -EPIPE : n;
}

enum tls_progress tls_hello_read(struct tls_end *end)
{
	struct tls *tls = end->tls;
	struct hello hello = { .size = 0 };
	enum wire wire = WIRE_MORE;
	ssize_t seen = 0;

	tls->opened.key_id = 0; /* `plain` is needed */
	if (end->replay.len > 0)
		wire = hello_read(&end->hello, end->replay, tls->plain, &hello);
	if (wire == WIRE_MORE) {
		seen = look(end);
		if (seen < 0)
			return gone(end, seen == -EPIPE ? 0 : (int)seen);
		wire = hello_read(&end->hello, span_of(tls->cipher, end->replay.len + (size_t)seen),
				  tls->plain, &hello);
	}
	switch (wire) {
	case WIRE_OK:
		return accept_hello(end, &hello);
	case WIRE_MORE:
		return wait(end, &hello, (size_t)seen);
	case WIRE_BAD:
		break;
	}
	return refuse_fault(end, &hello);
}
