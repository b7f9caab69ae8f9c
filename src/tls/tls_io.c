/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_io: what wolfSSL receives and sends. It gets exactly the bytes it asks for, which are those
 * of one record and never more, so that what follows the handshake is still in the socket when it
 * is over. What it sends is gathered, since it sends every message by itself, and goes out when it
 * is about to wait. Both are shown to the transcript.
 */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <errno.h>

#include <penstock/net.h>

#include "tls_wolf.h"

/* Records in clear are messages until the first sealed one; sealed ones count only of the server.
 */
static void show(struct tls_handshake *slot, struct span record, bool is_from_server)
{
	struct tls_transcript *transcript = &slot->transcript;
	struct tls *tls = slot->end->tls;

	if (record.at[0] == TLS_TYPE_HANDSHAKE) {
		tls_transcript_clear(transcript, span_of(record.at + TLS_HEADER_BYTES,
							 record.len - TLS_HEADER_BYTES));
	} else if (record.at[0] == TLS_TYPE_DATA && is_from_server) {
		tls->opened.key_id = 0; /* `plain` is needed */
		tls_transcript_sealed(transcript, tls->aead, record, tls->plain);
	}
}

/* max_fragment_length (RFC 6066 4) in a hello, or what looks like it, be it the second one after a
 * HelloRetryRequest. */
static void note_cuts(struct tls_handshake *slot, struct span content)
{
	for (size_t i = 0; i < content.len; i++) {
		uint8_t code = content.at[i];

		slot->hello_tail = slot->hello_tail << 8 | code;
		if ((slot->hello_tail >> 8 & 0xffffffff) == 0x00010001 && code < 8)
			slot->cuts |= (uint8_t)(1u << code);
	}
}

/* The client wants records that wolfSSL must not cut our certificates into (tls_cert.c). The
 * ServerHello has not left yet. */
static bool must_not_go_on(struct tls_handshake *slot)
{
	struct tls_end *end = slot->end;
	uint8_t uncuttable = slot->identity->uncuttable;

	if (!end->is_server || uncuttable == 0 ||
	    (!slot->transcript.is_broken && (slot->cuts & uncuttable) == 0))
		return false;
	(void)tls_end_fail(end, TLS_FAIL_NO_CIPHER);
	end->detail = "it asks for records of a length our certificates cannot be cut into";
	slot->out_len = slot->out_last = slot->out_from;
	return true;
}

int tls_wolf_keys(WOLFSSL *ssl, void *unused)
{
	struct tls_handshake *slot = wolfSSL_GetIOReadCtx(ssl);
	const struct tls_suite *suite = tls_handover_suite(ssl);

	(void)unused;
	/* The first ones of TLS 1.3 seal its handshake. */
	if (suite != NULL && suite->version == TLS_1_3 && slot->transcript.suite == NULL) {
		if (must_not_go_on(slot))
			return BAD_STATE_E;

		struct tls_flow flow = { .key_id = ++slot->end->tls->key_ids };

		tls_handover_key(ssl, suite, true, &flow);
		tls_transcript_key(&slot->transcript, suite, &flow);
		explicit_bzero(&flow, sizeof(flow));
	}
	return PROTOCOLCB_UNAVAILABLE; /* it goes on by itself */
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* Puts the record together that wolfSSL takes in pieces: its header, then the rest. */
static void gather_in(struct tls_handshake *slot, const uint8_t *bytes, size_t len)
{
	if (slot->in_len + len > sizeof(slot->in)) {
		slot->transcript.is_broken = true; /* and wolfSSL will refuse it */
		return;
	}
	memcpy(slot->in + slot->in_len, bytes, len);
	slot->in_len += (uint32_t)len;

	size_t size = slot->in_len < TLS_HEADER_BYTES
			      ? TLS_HEADER_BYTES + 1
			      : TLS_HEADER_BYTES + (size_t)(slot->in[3] << 8 | slot->in[4]);

	if (slot->in_len < size)
		return;
	if (slot->end->is_server && slot->identity->uncuttable != 0 &&
	    slot->in[0] == TLS_TYPE_HANDSHAKE)
		note_cuts(slot, span_of(slot->in + TLS_HEADER_BYTES, size - TLS_HEADER_BYTES));
	show(slot, span_of(slot->in, size), !slot->end->is_server);
	slot->in_len = 0;
}

static ssize_t receive(struct tls_end *end, void *bytes, size_t size)
{
	struct span *from = end->joined.len > 0 ? &end->joined : &end->replay;
	struct span head;

	if (from->len == 0)
		return net_recv(end->fd, bytes, size);
	if (size > from->len)
		size = from->len;
	CHECK(span_take(from, size, &head));
	memcpy(bytes, head.at, head.len);
	return (ssize_t)head.len;
}

int tls_wolf_recv(WOLFSSL *ssl, char *ret_bytes, int size, void *context)
{
	struct tls_handshake *slot = context;
	ssize_t n = receive(slot->end, ret_bytes, (size_t)size);

	(void)ssl;
	if (n > 0) {
		if (!slot->transcript.is_broken)
			gather_in(slot, (const uint8_t *)ret_bytes, (size_t)n);
		return (int)n;
	}
	if (n == -EAGAIN)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	slot->err = n == 0 ? -EPIPE : (int)n;
	return n == 0 ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_GENERAL;
}

int tls_io_clear_alert(struct tls_handshake *slot)
{
	uint8_t body[2];

	if (slot->transcript.is_broken || slot->in_len != TLS_HEADER_BYTES ||
	    slot->in[0] != TLS_TYPE_ALERT || slot->in[3] != 0 || slot->in[4] != sizeof(body) ||
	    receive(slot->end, body, sizeof(body)) != (ssize_t)sizeof(body))
		return -1;
	return body[1];
}

/* ---- sending -------------------------------------------------------------------------------- */

int tls_io_flush(struct tls_handshake *slot)
{
	while (slot->out_from < slot->out_len) {
		ssize_t n = net_send(slot->end->fd, slot->out + slot->out_from,
				     slot->out_len - slot->out_from);

		if (n < 0)
			return (int)n;
		slot->out_from += (uint32_t)n;
	}
	slot->out_from = slot->out_len = slot->out_last = 0;
	return 0;
}

static void show_out(struct tls_handshake *slot, struct span records)
{
	while (!slot->transcript.is_broken && records.len >= TLS_HEADER_BYTES) {
		size_t size = TLS_HEADER_BYTES + (size_t)(records.at[3] << 8 | records.at[4]);
		struct span record;

		CHECK(span_take(&records, size, &record));
		show(slot, record, slot->end->is_server);
	}
}

/* wolfSSL hands over whole records: one, or all of a message that takes several, as a long chain of
 * certificates does. As many of them as there is room for; 0: not even one, or it is none. */
static size_t fitting(struct span bytes, size_t room)
{
	size_t total = 0;

	while (bytes.len >= TLS_HEADER_BYTES) {
		size_t size = TLS_HEADER_BYTES + (size_t)(bytes.at[3] << 8 | bytes.at[4]);

		if (total + size > room || !span_skip(&bytes, size))
			break;
		total += size;
	}
	return total;
}

bool tls_io_is_alert(const uint8_t *record, size_t len)
{
	if (len < TLS_HEADER_BYTES || record[3] != 0)
		return false;
	return record[0] == TLS_TYPE_DATA ? record[4] == TLS_IO_ALERT_BYTES - TLS_HEADER_BYTES
					  : record[0] == TLS_TYPE_ALERT;
}

/* What is left over wolfSSL hands over again. */
int tls_wolf_send(WOLFSSL *ssl, char *bytes, int len, void *context)
{
	struct tls_handshake *slot = context;
	struct span records = span_of(bytes, (size_t)len);
	size_t size = fitting(records, sizeof(slot->out) - slot->out_len);

	(void)ssl;
	if (size == 0) {
		int ret = tls_io_flush(slot);

		if (ret == -EAGAIN)
			return WOLFSSL_CBIO_ERR_WANT_WRITE;
		size = fitting(records, sizeof(slot->out));
		if (ret < 0 || size == 0) {
			slot->err = ret;
			return WOLFSSL_CBIO_ERR_GENERAL;
		}
	}
	records.len = size;
	memcpy(slot->out + slot->out_len, records.at, size);
	/* Of several alerts, one for each layer of it that has failed, the first is what counts. */
	if (!tls_io_is_alert(slot->out + slot->out_last, slot->out_len - slot->out_last) ||
	    !tls_io_is_alert(records.at, size))
		slot->out_last = slot->out_len;
	slot->out_len += (uint32_t)size;
	show_out(slot, records);
	return (int)size;
}
