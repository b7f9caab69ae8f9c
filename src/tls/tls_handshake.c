/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_handshake: wolfSSL_accept and wolfSSL_connect on a socket that does not block, what came of
 * it, and what went wrong with it in our words.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <errno.h>
#include <stdio.h>

#include <penstock/net.h>

#include "tls_wolf.h"

#define ALPN_LIST_BYTES 4096 /* 16 names of 255 bytes */

/* ---- beginning ------------------------------------------------------------------------------ */

static bool set_up_client(struct tls_handshake *slot)
{
	struct tls_end *end = slot->end;
	const struct tls_context *context = end->context;
	struct addr addr;
	char list[ALPN_LIST_BYTES];
	struct sink alpn = sink_of(list, sizeof(list));

	for (uint32_t i = 0; i < context->alpn_count; i++) {
		if (end->is_alpn_chosen && !span_equal(context->alpn[i], end->alpn))
			continue;
		if (alpn.len > 0)
			sink_u8(&alpn, ',');
		sink_span(&alpn, context->alpn[i]);
	}
	if (alpn.full ||
	    (alpn.len > 0 && wolfSSL_UseALPN(slot->ssl, list, (unsigned)alpn.len,
					     WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) != WOLFSSL_SUCCESS))
		return false;
	tls_session_offer(slot);
	/* An address is no server name (RFC 6066 3). */
	return addr_parse_ip(span_str(end->host), &addr) ||
	       wolfSSL_UseSNI(slot->ssl, WOLFSSL_SNI_HOST_NAME, end->host,
			      (unsigned short)strlen(end->host)) == WOLFSSL_SUCCESS;
}

/* The protocol is chosen already (tls_hello.c): wolfSSL knows no other. Nor may it choose the
 * version: it takes the client's favourite, and a client that names 1.2 before 1.3 would take that
 * for a downgrade (RFC 8446 4.1.3). */
static bool set_up_server(struct tls_handshake *slot)
{
	struct span alpn = slot->result.alpn;

	if (!slot->is_old && slot->end->context->version_max == TLS_1_3 &&
	    wolfSSL_SetMinVersion(slot->ssl, WOLFSSL_TLSV1_3) != WOLFSSL_SUCCESS)
		return false;
	return alpn.len == 0 ||
	       wolfSSL_UseALPN(slot->ssl, (char *)(uintptr_t)alpn.at, (unsigned)alpn.len,
			       WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS;
}

static bool set_up(struct tls_end *end)
{
	struct tls_handshake *slot = end->slot;

	if (slot->transcript.md[0] == NULL && tls_transcript_init(&slot->transcript) < 0)
		return false;
	tls_transcript_start(&slot->transcript);
	slot->ssl = wolfSSL_new(slot->is_old && slot->identity->ctx_staple != NULL
					? slot->identity->ctx_staple
					: slot->identity->ctx);
	if (slot->ssl == NULL)
		return false;
	wolfSSL_SetIOReadCtx(slot->ssl, slot);
	wolfSSL_SetIOWriteCtx(slot->ssl, slot);
	wolfSSL_SetCertCbCtx(slot->ssl, slot);
	wolfSSL_KeepArrays(slot->ssl); /* with the master secret: tls_handover.c */
	return end->is_server ? set_up_server(slot) : set_up_client(slot);
}

/* Nothing has been said to the client so far, and wolfSSL is not there to do it. */
static enum tls_progress no_memory(struct tls_end *end)
{
	uint8_t code = tls_fail_rows[TLS_FAIL_NO_MEMORY].alert;
	const uint8_t record[] = { TLS_TYPE_ALERT, 3, 3, 0, 2, 2, code };

	if (end->is_server && net_send(end->fd, record, sizeof(record)) == (ssize_t)sizeof(record))
		end->alert = code;
	(void)tls_end_fail(end, TLS_FAIL_NO_MEMORY);
	return TLS_FAILED;
}

static enum tls_progress begin(struct tls_end *end)
{
	if (end->slot == NULL) {
		enum tls_progress progress = TLS_DONE;

		if (end->is_server)
			progress = tls_hello_read(end);
		else if (!tls_end_slot_get(end, &end->context->identities[0]))
			progress = TLS_WANT_SLOT;
		if (progress != TLS_DONE)
			return progress;
	}
	return set_up(end) ? TLS_DONE : no_memory(end);
}

/* ---- the end of it -------------------------------------------------------------------------- */

static void put_peer(struct tls_handshake *slot)
{
	WOLFSSL_X509 *cert = wolfSSL_get_peer_certificate(slot->ssl);
	int size = 0;
	const uint8_t *der = cert != NULL ? wolfSSL_X509_get_der(cert, &size) : NULL;

	if (der != NULL && size > 0 &&
	    !tls_cert_peer(span_of(der, (size_t)size), &slot->result.peer, &slot->texts))
		slot->result.peer = (struct tls_peer){ .has_certificate = false };
	wolfSSL_X509_free(cert);
}

static void put_alpn(struct tls_handshake *slot)
{
	const struct tls_context *context = slot->end->context;
	unsigned short len = 0;
	char *name = NULL;

	slot->result.alpn = span_of(NULL, 0);
	if (wolfSSL_ALPN_GetProtocol(slot->ssl, &name, &len) != WOLFSSL_SUCCESS)
		return;
	for (uint32_t i = 0; i < context->alpn_count; i++)
		if (span_equal(context->alpn[i], span_of(name, len)))
			slot->result.alpn = context->alpn[i];
}

/* Does it depend on the peer's certificate? What wolfSSL makes of one without the memory for it
 * does not count. */
static bool is_judging(const struct tls_end *end)
{
	const struct tls_context *context = end->context;

	return end->is_server ? context->client_auth != TLS_CLIENT_AUTH_NONE
			      : !context->is_peer_unchecked;
}

/* Said twice, since all depends on it: wolfSSL has had bugs by which one side could leave its
 * certificate out (CVE-2022-25638, CVE-2022-25640). */
static bool is_peer_known(const struct tls_handshake *slot)
{
	const struct tls_context *context = slot->end->context;

	if (slot->result.peer.has_certificate || slot->result.is_resumed)
		return true;
	return slot->end->is_server ? context->client_auth != TLS_CLIENT_AUTH_REQUIRE
				    : context->is_peer_unchecked;
}

/* What wolfSSL says is done; TLS_FAIL_NONE: so say we. */
static enum tls_fail agree(struct tls_end *end)
{
	struct tls_handshake *slot = end->slot;
	const struct tls_suite *suite = tls_handover_suite(slot->ssl);

	if (suite == NULL || end->replay.len + end->joined.len > 0)
		return TLS_FAIL_INTERNAL;
	end->suite = suite;
	end->is_agreed = true;
	slot->result.version = suite->version;
	slot->result.cipher = suite->cipher;
	slot->result.suite = suite->name;
	slot->result.is_resumed = wolfSSL_session_reused(slot->ssl) != 0;
	put_peer(slot);
	if (!end->is_server)
		put_alpn(slot);
	tls_handover(slot);
	return is_peer_known(slot) ? TLS_FAIL_NONE : TLS_FAIL_CERT_MISSING;
}

/* ---- what went wrong ------------------------------------------------------------------------ */

static const struct {
	int error;
	enum tls_fail why;
} reasons[] = {
	{ MEMORY_E, TLS_FAIL_NO_MEMORY },
	{ MEMORY_ERROR, TLS_FAIL_NO_MEMORY },
	{ VERSION_ERROR, TLS_FAIL_VERSION },
	{ UNSUPPORTED_PROTO_VERSION, TLS_FAIL_VERSION },
	{ MATCH_SUITE_ERROR, TLS_FAIL_NO_CIPHER },
	{ UNSUPPORTED_SUITE, TLS_FAIL_NO_CIPHER },
	{ ECC_CURVE_ERROR, TLS_FAIL_NO_CIPHER },
	{ EXT_MASTER_SECRET_NEEDED_E, TLS_FAIL_NO_CIPHER },
	{ UNKNOWN_ALPN_PROTOCOL_NAME_E, TLS_FAIL_ALPN },
	{ NO_PEER_CERT, TLS_FAIL_CERT_MISSING },
	{ NO_PEER_VERIFY, TLS_FAIL_PROOF },
	{ ASN_AFTER_DATE_E, TLS_FAIL_CERT_EXPIRED },
	{ ASN_BEFORE_DATE_E, TLS_FAIL_CERT_EXPIRED },
	{ ASN_NO_SIGNER_E, TLS_FAIL_CERT_UNKNOWN_CA },
	{ ASN_SELF_SIGNED_E, TLS_FAIL_CERT_UNKNOWN_CA },
	{ ASN_PATHLEN_INV_E, TLS_FAIL_CERT_BAD },
	{ ASN_PATHLEN_SIZE_E, TLS_FAIL_CERT_BAD },
	{ ASN_SIG_CONFIRM_E, TLS_FAIL_CERT_BAD },
	{ ASN_NAME_INVALID_E, TLS_FAIL_CERT_BAD },
	{ ASN_CRIT_EXT_E, TLS_FAIL_CERT_BAD },
	{ MAX_CHAIN_ERROR, TLS_FAIL_CERT_BAD },
	{ PEER_KEY_ERROR, TLS_FAIL_CERT_BAD },
	{ RSA_KEY_SIZE_E, TLS_FAIL_CERT_BAD },
	{ ECC_KEY_SIZE_E, TLS_FAIL_CERT_BAD },
	{ CRL_CERT_REVOKED, TLS_FAIL_CERT_REVOKED },
	{ CRL_MISSING, TLS_FAIL_CERT_CRL },
	{ CRL_CERT_DATE_ERR, TLS_FAIL_CERT_CRL },
	{ DOMAIN_NAME_MISMATCH, TLS_FAIL_CERT_NAME },
	{ VERIFY_CERT_ERROR, TLS_FAIL_CERT_NAME },
	{ KEYUSE_SIGNATURE_E, TLS_FAIL_CERT_USAGE },
	{ KEYUSE_ENCIPHER_E, TLS_FAIL_CERT_USAGE },
	{ EXTKEYUSE_AUTH_E, TLS_FAIL_CERT_USAGE },
	{ NOT_CA_ERROR, TLS_FAIL_CERT_USAGE },
	{ VERIFY_FINISHED_ERROR, TLS_FAIL_PROOF },
	{ VERIFY_SIGN_ERROR, TLS_FAIL_PROOF },
	{ SIG_VERIFY_E, TLS_FAIL_PROOF },
	{ BAD_BINDER, TLS_FAIL_PROOF },
	{ DECRYPT_ERROR, TLS_FAIL_BAD_RECORD },
	{ VERIFY_MAC_ERROR, TLS_FAIL_BAD_RECORD },
	{ AES_GCM_AUTH_E, TLS_FAIL_BAD_RECORD },
	{ MAC_CMP_FAILED_E, TLS_FAIL_BAD_RECORD },
	{ LENGTH_ERROR, TLS_FAIL_RECORD_SIZE },
	{ OUT_OF_ORDER_E, TLS_FAIL_UNEXPECTED },
	{ DUPLICATE_MSG_E, TLS_FAIL_UNEXPECTED },
	{ SANITY_MSG_E, TLS_FAIL_UNEXPECTED },
	{ NO_CHANGE_CIPHER_E, TLS_FAIL_UNEXPECTED },
	{ UNKNOWN_RECORD_TYPE, TLS_FAIL_UNEXPECTED },
	{ UNKNOWN_HANDSHAKE_TYPE, TLS_FAIL_UNEXPECTED },
	{ EXT_NOT_ALLOWED, TLS_FAIL_ILLEGAL },
	{ UNSUPPORTED_EXTENSION, TLS_FAIL_ILLEGAL },
	{ DUPLICATE_TLS_EXT_E, TLS_FAIL_ILLEGAL },
	{ INVALID_PARAMETER, TLS_FAIL_ILLEGAL },
	{ BAD_KEY_SHARE_DATA, TLS_FAIL_ILLEGAL },
	{ ECC_PEERKEY_ERROR, TLS_FAIL_ILLEGAL },
	{ PSK_KEY_ERROR, TLS_FAIL_ILLEGAL },
	{ SECURE_RENEGOTIATION_E, TLS_FAIL_RENEGOTIATION },
};

static enum tls_fail reason_of(int error)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].error == error)
			return reasons[i].why;
	/* BUFFER_ERROR, INCOMPLETE_DATA, PARSE_ERROR, the ASN.1 parser's, and so on. */
	return TLS_FAIL_DECODE;
}

/* An alert behind what waits to be sent; `number` is that of its record if it is sealed. */
static void put_alert(struct tls_handshake *slot, uint8_t code, uint64_t number)
{
	struct tls_end *end = slot->end;
	const struct tls_suite *suite = tls_handover_suite(slot->ssl);
	const uint8_t record[] = { TLS_TYPE_ALERT, 3, 3, 0, 2, 2, code };
	struct sink out = sink_of(slot->out, sizeof(slot->out));

	out.len = slot->out_len;
	if (slot->transcript.is_sealed && suite != NULL &&
	    out.size - out.len >= TLS_HEADER_BYTES + 3 + TLS_TAG_BYTES) {
		struct tls_flow flow = { .key_id = ++end->tls->key_ids };

		tls_handover_key(slot->ssl, suite, end->is_server, &flow);
		out.len += tls_record_seal(end->tls->aead, suite, &flow, number, TLS_TYPE_ALERT,
					   span_of(record + TLS_HEADER_BYTES, 2), out.at + out.len);
		explicit_bzero(&flow, sizeof(flow));
	} else {
		sink_bytes(&out, record, sizeof(record));
	}
	slot->out_len = (uint32_t)out.len;
	end->alert = out.full ? 0 : code;
}

/* The alert of fail.def. wolfSSL may have sent one already, not always the same
 * (certificate_required in TLS 1.2), or none: if it has not left yet, ours takes its place. */
static void tell_peer(struct tls_handshake *slot)
{
	struct tls_end *end = slot->end;
	const struct tls_fail_row *row = &tls_fail_rows[end->why];
	bool is_tls13 = wolfSSL_GetVersion(slot->ssl) == WOLFSSL_TLSV1_3;
	uint8_t code = is_tls13 ? row->alert : row->alert12;
	WOLFSSL_ALERT_HISTORY alerts = { .last_tx = { .code = -1 } };
	word64 sent = 0;

	(void)wolfSSL_get_alert_history(slot->ssl, &alerts);
	(void)wolfSSL_GetSequenceNumber(slot->ssl, &sent);
	end->alert = code;
	if (alerts.last_tx.code >= 0) {
		end->alert = (uint8_t)alerts.last_tx.code;
		size_t waiting = slot->out_len - slot->out_last;

		if (end->alert == code || !tls_io_is_alert(slot->out + slot->out_last, waiting))
			return;
		slot->out_len = slot->out_last;
		sent -= waiting / TLS_IO_ALERT_BYTES;
	}
	if (code != 0)
		put_alert(slot, code, sent);
}

/* The fatal alert the peer has sent; -1: none. */
static int peer_alert(struct tls_handshake *slot, int error)
{
	WOLFSSL_ALERT_HISTORY alerts = { .last_rx = { .code = -1 } };

	(void)wolfSSL_get_alert_history(slot->ssl, &alerts);
	if (alerts.last_rx.code >= 0 && error != WOLFSSL_ERROR_NONE &&
	    alerts.last_rx.level == alert_fatal)
		return alerts.last_rx.code;
	return slot->err == 0 ? tls_io_clear_alert(slot) : -1;
}

static enum tls_progress failed(struct tls_handshake *slot, int error)
{
	struct tls_end *end = slot->end;
	int alert = peer_alert(slot, error);

	tls_session_forget(end);
	if (alert >= 0) {
		(void)tls_end_fail(end, TLS_FAIL_PEER_ALERT);
		end->alert = (uint8_t)alert;
		(void)snprintf(slot->detail, sizeof(slot->detail), "alert %d", alert);
		end->detail = slot->detail;
		return TLS_FAILED;
	}
	if (slot->err != 0) {
		(void)tls_end_fail(end, slot->err == -EPIPE ? TLS_FAIL_GONE : TLS_FAIL_RESET);
		return TLS_FAILED;
	}
	if (slot->was_short) {
		end->why = TLS_FAIL_NO_MEMORY; /* whatever it looked like */
		end->detail = NULL;
	}
	(void)tls_end_fail(end, reason_of(error));
	if (end->detail == NULL) {
		(void)snprintf(slot->detail, sizeof(slot->detail), "wolfSSL: %s",
			       wolfSSL_ERR_reason_error_string((unsigned long)error));
		end->detail = slot->detail;
	}
	tell_peer(slot);
	/* If it does not fit now, the peer was not reading. */
	if (tls_io_flush(slot) < 0)
		end->alert = 0;
	return TLS_FAILED;
}

/* ---- going on ------------------------------------------------------------------------------- */

static enum tls_progress flushed(struct tls_handshake *slot, enum tls_progress then)
{
	int ret = tls_io_flush(slot);

	if (ret == -EAGAIN)
		return TLS_WANT_WRITE;
	if (ret == 0)
		return then;
	(void)tls_end_fail(slot->end, TLS_FAIL_RESET);
	return TLS_FAILED;
}

enum tls_progress tls_handshake(struct tls_end *end)
{
	enum tls_progress progress = TLS_DONE;

	CHECK(!end->is_started);
	if (end->why != TLS_FAIL_NONE)
		return TLS_FAILED;
	if (end->slot == NULL || end->slot->ssl == NULL)
		progress = begin(end);
	if (progress == TLS_DONE)
		progress = flushed(end->slot, TLS_DONE);
	if (progress != TLS_DONE || end->is_agreed)
		return progress;

	struct tls_handshake *slot = end->slot;
	uint64_t refused = tls_memory_refused();
	int ret = end->is_server ? wolfSSL_accept(slot->ssl) : wolfSSL_connect(slot->ssl);
	int error = ret == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(slot->ssl, ret);
	enum tls_fail why = error == 0 ? agree(end) : TLS_FAIL_NONE;

	slot->was_short |= tls_memory_refused() != refused;
	if (slot->was_short && (why != TLS_FAIL_NONE || is_judging(end)))
		why = TLS_FAIL_NO_MEMORY;

	if (error == WOLFSSL_ERROR_WANT_READ)
		return flushed(slot, TLS_WANT_READ);
	if (error == WOLFSSL_ERROR_WANT_WRITE) /* there is more than fits into slot->out */
		return flushed(slot, TLS_WANT_WRITE);
	if (error != 0)
		return failed(slot, error);
	if (why == TLS_FAIL_NONE)
		return flushed(slot, TLS_DONE);
	if (end->suite != NULL && tls_io_flush(slot) == 0)
		(void)tls_end_abort(end, why);
	(void)tls_end_fail(end, why);
	return TLS_FAILED;
}

/* ---- after it ------------------------------------------------------------------------------- */

void tls_refuse(struct tls_end *end, enum tls_fail why)
{
	CHECK(end->is_agreed && !end->is_started);
	(void)tls_end_abort(end, why);
}

int tls_start(struct tls_end *end)
{
	CHECK(end->is_agreed && !end->is_started && end->why == TLS_FAIL_NONE);
	tls_session_keep(end);
	end->detail = NULL;
	tls_end_slot_put(end);
	end->is_started = true;
	stat_add(end->tls->stats,
		 end->suite->version == TLS_1_3 ? STAT_TLS_HANDSHAKES_13 : STAT_TLS_HANDSHAKES_12,
		 1);
	return tls_ktls_start(end);
}
