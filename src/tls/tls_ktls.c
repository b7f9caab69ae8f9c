/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_ktls: what the kernel's TLS can do, and giving it the keys of a connection, one direction at
 * a time: each goes to the kernel or stays with us for reasons of its own, which are counted.
 */
#include <errno.h>

#include <penstock/net.h>

#include "tls_ktls_priv.h"

_Static_assert((int)TLS_AES_128_GCM == (int)NET_KTLS_AES_128_GCM &&
		       (int)TLS_AES_256_GCM == (int)NET_KTLS_AES_256_GCM &&
		       (int)TLS_CHACHA20_POLY1305 == (int)NET_KTLS_CHACHA20_POLY1305,
	       "one order of ciphers");

static struct tls_features features = { .err = -ENOSYS };

const struct tls_features *tls_features(void)
{
	return &features;
}

/* ---- the probe ------------------------------------------------------------------------------ */

static int probe_cipher(struct tls_features *ret_features, bool is_tls13, enum tls_cipher cipher)
{
	const struct net_ktls_key key = { .is_tls13 = is_tls13,
					  .cipher = (enum net_ktls_cipher)cipher };
	int fds[2];
	int ret = net_ktls_pair(fds);

	if (ret < 0)
		return ret;
	ret = net_ktls_attach(fds[0]);
	if (ret == 0) {
		ret_features->can_send[is_tls13][cipher] =
			net_ktls_set_key(fds[0], true, &key) == 0;
		ret_features->can_recv[is_tls13][cipher] =
			net_ktls_set_key(fds[0], false, &key) == 0;
		/* TLS 1.2 has no such thing, whatever the kernel says. */
		if (is_tls13 && ret_features->can_send[is_tls13][cipher])
			ret_features->can_rekey |= net_ktls_set_key(fds[0], true, &key) == 0;
	}
	net_close(fds[0], false);
	net_close(fds[1], false);
	return ret;
}

void tls_ktls_probe(void)
{
	features = (struct tls_features){ .err = 0 };
	for (int is_tls13 = 0; is_tls13 < 2 && features.err == 0; is_tls13++)
		for (int cipher = 0; cipher < TLS_CIPHERS && features.err == 0; cipher++)
			features.err = probe_cipher(&features, is_tls13, (enum tls_cipher)cipher);
}

/* ---- handing over --------------------------------------------------------------------------- */

static int set_key(struct tls_end *end, bool is_send)
{
	const struct tls_flow *flow = is_send ? &end->tx : &end->rx;
	struct net_ktls_key key = {
		.is_tls13 = end->suite->version == TLS_1_3,
		.cipher = (enum net_ktls_cipher)end->suite->cipher,
		.seq = flow->seq,
	};

	memcpy(key.key, flow->key, sizeof(key.key));
	memcpy(key.iv, flow->iv, sizeof(key.iv));

	int ret = net_ktls_set_key(end->fd, is_send, &key);

	explicit_bzero(&key, sizeof(key));
	return ret;
}

/* Why this direction stays with us, before trying; 0: it need not. */
static enum stat_id obstacle(const struct tls_end *end, bool is_send, enum tls_ktls wish)
{
	bool is_tls13 = end->suite->version == TLS_1_3;
	const bool *can = is_send ? features.can_send[is_tls13] : features.can_recv[is_tls13];

	if (wish == TLS_KTLS_OFF)
		return STAT_KTLS_OFF;
	if (features.err != 0)
		return STAT_KTLS_NO_KERNEL;
	if (!can[end->suite->cipher])
		return STAT_KTLS_NO_CIPHER;
	if (is_tls13 && !features.can_rekey && !end->context->is_rekey_fatal)
		return STAT_KTLS_NO_REKEY;
	/* Linux 7 can be told; before it records are always of 16 KiB. */
	if (is_send && end->record_max < TLS_PLAIN_MAX)
		return STAT_KTLS_FRAGMENT;
	return STAT_COUNT;
}

/* STAT_COUNT: done. */
static enum stat_id hand_over(struct tls_end *end, bool is_send, enum tls_ktls wish, int *attached)
{
	enum stat_id why = obstacle(end, is_send, wish);

	if (why != STAT_COUNT)
		return why;
	if (*attached == 1)
		*attached = net_ktls_attach(end->fd);
	/* The peer has sent its FIN already: too late for this, not for its data. */
	if (*attached == -ENOTCONN)
		return STAT_KTLS_FINISHED;
	if (*attached < 0 || set_key(end, is_send) < 0)
		return STAT_KTLS_ERROR;
	return STAT_COUNT;
}

int tls_ktls_start(struct tls_end *end)
{
	const enum tls_ktls wishes[2] = { end->context->ktls_recv, end->context->ktls_send };
	int attached = 1; /* not tried */
	int ret = 0;

	for (int is_send = 1; is_send >= 0; is_send--) {
		enum stat_id why = hand_over(end, is_send, wishes[is_send], &attached);
		struct tls_flow *flow = is_send ? &end->tx : &end->rx;

		flow->is_kernel = why == STAT_COUNT;
		if (flow->is_kernel)
			why = is_send ? STAT_KTLS_SEND : STAT_KTLS_RECV;
		else if (wishes[is_send] == TLS_KTLS_REQUIRE)
			ret = -EPROTO;
		stat_add(end->tls->stats, why, 1);
	}
	return ret < 0 ? tls_end_abort(end, TLS_FAIL_KTLS) : 0;
}

bool tls_ktls_rekey(struct tls_end *end, bool is_send)
{
	return features.can_rekey && set_key(end, is_send) == 0;
}
