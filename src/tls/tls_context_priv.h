/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_context_priv: building contexts: the common part, the two kinds, and wolfSSL's side of it.
 */
#pragma once

#include "tls_priv.h"

/* NULL: out of memory. `text_bytes`: of all texts kept, with their ends, but the ALPN names. */
struct tls_context *tls_context_alloc(const struct tls_common *common, bool is_server,
				      uint32_t identity_count, size_t text_bytes);
const char *tls_context_keep(struct tls_context *context, const char *text);
/* Takes the pair's key. `file` NULL: no certificate of our own. */
struct tls_identity *tls_context_add(struct tls_context *context, struct tls_pair *pair,
				     const char *file);

/* ---- tls_context_wolf.c: the WOLFSSL_CTX of an identity -------------------------------------- */

/* What others are judged by. */
struct tls_trust {
	struct tls_file cas;
	struct tls_file crls;
};

/* False: the report has been told. */
MUST_USE bool tls_context_wolf_server(struct tls_identity *identity, const struct tls_pair *pair,
				      const struct tls_trust *trust,
				      const struct tls_report *report);
MUST_USE bool tls_context_wolf_client(struct tls_identity *identity, const struct tls_pair *pair,
				      const struct tls_trust *trust, bool is_peer_unchecked,
				      const struct tls_report *report);
void tls_context_free_wolf(struct tls_identity *identity);
