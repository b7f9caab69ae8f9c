/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_end: the worker's pools and scratch, and an end from its beginning to its last call; what is
 * in between is in tls_hello.c, tls_handshake.c, tls_recv.c and tls_send.c.
 */
#include <errno.h>
#include <stdlib.h>

#include <penstock/net.h>

#include "tls_end_priv.h"

int tls_new(struct tls **ret_tls, uint32_t ends, uint32_t handshakes, struct stat_block *stats)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return -ENOMEM;
	tls->stats = stats;
	tls->cipher = malloc(TLS_CIPHER_BYTES);
	tls->plain = malloc(TLS_PLAIN_BYTES);
	tls->aead = tls_aead_new();
	if (tls->cipher == NULL || tls->plain == NULL || tls->aead == NULL ||
	    pool_init(&tls->ends, sizeof(struct tls_end), ends) < 0 ||
	    pool_init(&tls->slots, sizeof(struct tls_handshake), handshakes) < 0 ||
	    pool_init(&tls->halves, sizeof(struct tls_half),
		      ends < TLS_HALVES_MAX ? ends : TLS_HALVES_MAX) < 0) {
		tls_free(tls);
		return -ENOMEM;
	}
	*ret_tls = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	CHECK(tls->ends.in_use == 0 && tls->slots.in_use == 0 && tls->halves.in_use == 0);
	for (uint32_t i = 0; i < tls->slots.fresh; i++)
		tls_transcript_fini(&((struct tls_handshake *)pool_at(&tls->slots, i))->transcript);
	pool_fini(&tls->ends);
	pool_fini(&tls->slots);
	pool_fini(&tls->halves);
	tls_aead_free(tls->aead);
	free(tls->cipher);
	free(tls->plain);
	free(tls);
}

static int begin(struct tls *tls, struct tls_context *context, int fd, struct tls_end **ret_end)
{
	struct tls_end *end = pool_get(&tls->ends);

	if (end == NULL)
		return -EAGAIN;
	*end = (struct tls_end){
		.tls = tls,
		.context = tls_context_get(context),
		.is_server = context->is_server,
		.fd = fd,
		.rx_wake = 1,
	};
	*ret_end = end;
	return 0;
}

int tls_begin_server(struct tls *tls, struct tls_context *context, int fd, struct span replay,
		     struct tls_end **ret_end)
{
	CHECK(context->is_server && replay.len <= TLS_PLAIN_BYTES);

	int ret = begin(tls, context, fd, ret_end);

	if (ret < 0)
		return ret;
	(*ret_end)->replay = replay;
	hello_begin(&(*ret_end)->hello, TLS_PLAIN_BYTES);
	return 0;
}

int tls_begin_client(struct tls *tls, struct tls_context *context, int fd, const char *host,
		     struct tls_end **ret_end)
{
	CHECK(!context->is_server && strlen(host) < HOST_MAX);

	int ret = begin(tls, context, fd, ret_end);

	if (ret == 0)
		memcpy((*ret_end)->host, host, strlen(host) + 1);
	return ret;
}

void tls_offer_only(struct tls_end *end, struct span alpn)
{
	const struct tls_context *context = end->context;

	CHECK(!context->is_server && end->slot == NULL);
	end->is_alpn_chosen = true;
	for (uint32_t i = 0; i < context->alpn_count; i++)
		if (span_equal(context->alpn[i], alpn))
			end->alpn = context->alpn[i];
}

bool tls_alpn(const struct tls_end *end, struct span *ret_alpn)
{
	CHECK(end->is_server && end->is_agreed);
	*ret_alpn = end->alpn;
	return end->context->alpn_count > 0;
}

size_t tls_replay_left(const struct tls_end *end)
{
	return end->replay.len;
}

bool tls_end_slot_get(struct tls_end *end, const struct tls_identity *identity)
{
	struct tls_handshake *slot = pool_get(&end->tls->slots);

	if (slot == NULL)
		return false;

	/* The hashes in it are made once and used again. */
	struct tls_transcript transcript = slot->transcript;

	memset(slot, 0, offsetof(struct tls_handshake, text_bytes));
	slot->transcript = transcript;
	slot->end = end;
	slot->hello_tail = UINT64_MAX;
	slot->identity = identity;
	slot->texts = sink_of(slot->text_bytes, sizeof(slot->text_bytes));
	stat_add(end->tls->stats, STAT_TLS_HANDSHAKES_IN_USE, 1);
	end->slot = slot;
	return true;
}

void tls_end_slot_put(struct tls_end *end)
{
	struct tls_handshake *slot = end->slot;

	if (slot == NULL)
		return;
	tls_handover_free(slot->ssl);
	explicit_bzero(&slot->transcript.flow, sizeof(slot->transcript.flow));
	pool_put(&end->tls->slots, slot);
	stat_sub(end->tls->stats, STAT_TLS_HANDSHAKES_IN_USE, 1);
	end->slot = NULL;
}

void tls_end_put(struct tls_end *end)
{
	struct tls *tls = end->tls;

	tls_end_slot_put(end);
	tls_session_drop(end);
	tls_recv_drop_half(end);
	tls_context_put(end->context);
	explicit_bzero(end, sizeof(*end));
	pool_put(&tls->ends, end);
}

const struct tls_result *tls_result(const struct tls_end *end)
{
	CHECK(end->is_agreed && end->slot != NULL);
	return &end->slot->result;
}

bool tls_is_started(const struct tls_end *end)
{
	return end->is_started;
}

bool tls_has_slot(const struct tls_end *end)
{
	return end->slot != NULL;
}

/* ---- failures ------------------------------------------------------------------------------- */

enum tls_fail tls_why(const struct tls_end *end)
{
	return end->why;
}

uint8_t tls_why_alert(const struct tls_end *end)
{
	return end->alert;
}

const char *tls_why_detail(const struct tls_end *end)
{
	return end->detail != NULL ? end->detail : "";
}

int tls_end_fail(struct tls_end *end, enum tls_fail why)
{
	CHECK(why != TLS_FAIL_NONE);
	if (end->why == TLS_FAIL_NONE)
		end->why = why;
	return -EPROTO;
}

int tls_end_abort(struct tls_end *end, enum tls_fail why)
{
	uint8_t level =
		why == TLS_FAIL_RENEGOTIATION ? 1 : 2; /* RFC 5246 7.2.2: always a warning */
	const struct tls_fail_row *row = &tls_fail_rows[why];
	bool is_tls13 = end->suite->version == TLS_1_3;
	uint8_t alert[2] = { level, is_tls13 ? row->alert : row->alert12 };

	if (end->why == TLS_FAIL_NONE && alert[1] != 0 && !end->is_tx_closed) {
		end->alert = alert[1];
		tls_control_send(end, TLS_TYPE_ALERT, span_of(alert, sizeof(alert)));
	}
	return tls_end_fail(end, why);
}
