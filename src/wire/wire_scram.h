/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_scram: the messages and the arithmetic of SCRAM (RFC 5802).
 * Thread:   any
 */
#pragma once

#include <penstock/wire/sasl.h>

void wire_scram_nonce(const uint8_t random[static SASL_RANDOM], uint8_t nonce[static SASL_NONCE]);
void wire_scram_first(const struct sasl_client *client, struct span user, struct sink *sink);
/* server-first into client-final; client->signature is what the server must answer. */
enum sasl_next wire_scram_challenged(struct sasl_client *client,
				     const struct sasl_credential *credential, struct span message,
				     struct sasl_memo *memo, struct sink *sink);
/* server-final. */
enum sasl_next wire_scram_verify(const struct sasl_client *client, struct span message);
