/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mode tls: connect, TLS handshake, one echo, close.
 */
#include "load_slots.h"
#include "tls_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES_MAX = 16384 }; /* written whole before the echo is read */

static const double RESUMED_LEAST = .99;

struct tls {
	struct tls_client *client;
	const struct options *ask;
	uint8_t *message;
	uint64_t full; /* handshakes inside the window */
	uint64_t resumed;
};

struct tls_slot {
	struct load_slot slot; /* must be first */
	struct ssl_st *ssl;
	bool sent;
	size_t received;
};

/* What a result that is no number of bytes means for the slot. */
static enum slot_verdict tls_verdict(struct load_slots *s, ssize_t n)
{
	if (n < 0 && errno == EAGAIN)
		return SLOT_MORE;
	load_count_end(s->load, n < 0 ? errno : 0);
	return SLOT_FAILED;
}

static void tls_opened(struct load_slots *s, struct load_slot *slot)
{
	struct tls_slot *one = (struct tls_slot *)slot;
	struct tls *t = s->with;

	one->ssl = tls_client_begin(t->client, slot->fd);
}

static void tls_whole(struct load_slots *s, struct tls_slot *one)
{
	struct tls *t = s->with;

	tls_client_say_end(one->ssl); /* the engine closes */
	if (s->load->stage != LOAD_MEASURING)
		return;
	s->load->work[LOAD_BYTES] += 2 * t->ask->message_bytes;
	if (tls_client_was_resumed(one->ssl))
		t->resumed++;
	else
		t->full++;
	tls_client_keep_kind(t->client, one->ssl);
}

static enum slot_verdict tls_exchange(struct load_slots *s, struct load_slot *slot)
{
	static uint8_t into[64 * 1024];
	struct tls_slot *one = (struct tls_slot *)slot;
	const struct tls *t = s->with;
	size_t size = t->ask->message_bytes;

	if (!one->sent) { /* after the handshake, which is made in passing */
		ssize_t n = tls_client_send(one->ssl, t->message, size);

		if (n <= 0)
			return tls_verdict(s, n);
		one->sent = true;
	}
	while (one->received < size) {
		ssize_t n = tls_client_recv(one->ssl, into, sizeof(into));

		if (n <= 0)
			return tls_verdict(s, n);
		one->received += (size_t)n;
	}
	tls_whole(s, one);
	return SLOT_WHOLE;
}

static void tls_closed(struct load_slots *s, struct load_slot *slot)
{
	struct tls_slot *one = (struct tls_slot *)slot;

	(void)s;
	tls_client_end(one->ssl);
}

static void load_tls_run(struct load *l)
{
	static const struct load_slots_kind kind = { .slot_bytes = sizeof(struct tls_slot),
						     .opened = tls_opened,
						     .exchange = tls_exchange,
						     .closed = tls_closed };
	struct tls t = { .ask = &l->ask };

	if (l->ask.message_bytes > MESSAGE_BYTES_MAX)
		load_refuse("load tls takes messages of up to 16384 bytes");
	t.client = tls_client_make(l);
	t.message = load_alloc(1, l->ask.message_bytes);
	memset(t.message, 'p', l->ask.message_bytes);
	load_slots_run(l, &kind, &t);
	load_note(l, "full_handshakes", t.full);
	load_note(l, "resumed_handshakes", t.resumed);
	tls_client_note(t.client, l);
	if (l->ask.resume && (double)t.resumed < RESUMED_LEAST * (double)(t.full + t.resumed))
		l->invalid_why = "the server did not resume the sessions";
	tls_client_free(t.client);
	free(t.message);
}

const struct load_mode load_tls = {
	.name = "tls",
	.summary = "TLS handshake, one echo, close, again and again (behind the proxy: echo)",
	.about =
		"Like crr, inside TLS 1.3 or 1.2, towards a proxy that ends TLS: full handshakes, "
		"or with --resume each with a session of an earlier connection; the run is invalid "
		"when fewer than 99 % were resumed. The certificate is checked against --cafile or "
		"the system's authorities, and its name against --sni; --insecure leaves that out."
		"\n\nWork: connections that ended with both FINs. Latency: from connect(2) to the complete echo. "
		"beside: handshakes of either kind; version, cipher suite and group of the last one.",
	.takes = OPTION_COMMON | OPTION_IN_TLS | OPTION_RESUME,
	.message_bytes = 128,
	.run = load_tls_run,
};
