/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_sasl: the steps of a mechanism.
 */
#include "wire_scram.h"

enum step { STEP_BEGUN, STEP_FIRST, STEP_FINAL, STEP_OVER };

const char *sasl_name(enum sasl_mechanism mechanism)
{
	switch (mechanism) {
	case SASL_PLAIN:
		return "PLAIN";
	case SASL_SCRAM_SHA_256:
		return "SCRAM-SHA-256";
	case SASL_SCRAM_SHA_512:
		return "SCRAM-SHA-512";
	}
	return "?";
}

bool sasl_is_text(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] > '~')
			return false;
	return true;
}

void sasl_begin(struct sasl_client *client, enum sasl_mechanism mechanism,
		const uint8_t random[static SASL_RANDOM])
{
	*client = (struct sasl_client){
		.mechanism = (uint8_t)mechanism,
		.step = STEP_BEGUN,
		.nonce_len = SASL_NONCE,
	};
	wire_scram_nonce(random, client->nonce);
}

static bool can_be_said(const struct sasl_credential *credential)
{
	return credential->user.len > 0 && credential->user.len <= SASL_USER_MAX &&
	       credential->password.len > 0 && credential->password.len <= SASL_PASSWORD_MAX &&
	       sasl_is_text(credential->user) && sasl_is_text(credential->password);
}

bool sasl_first(struct sasl_client *client, const struct sasl_credential *credential,
		struct sink *sink)
{
	CHECK(client->step == STEP_BEGUN);
	if (!can_be_said(credential))
		return false;
	client->step = STEP_FIRST;
	if (client->mechanism != SASL_PLAIN) {
		wire_scram_first(client, credential->user, sink);
		return true;
	}
	sink_u8(sink, 0);
	sink_span(sink, credential->user);
	sink_u8(sink, 0);
	sink_span(sink, credential->password);
	return true;
}

/* PLAIN has nothing to verify: whatever words come with the server's yes say no more than that. */
static enum sasl_next hear(struct sasl_client *client, const struct sasl_credential *credential,
			   struct span message, struct sasl_memo *memo, struct sink *sink)
{
	if (client->mechanism == SASL_PLAIN)
		return client->step == STEP_FIRST ? SASL_DONE : SASL_MALFORMED;
	if (client->step == STEP_FIRST)
		return wire_scram_challenged(client, credential, message, memo, sink);
	if (client->step == STEP_FINAL)
		return wire_scram_verify(client, message);
	return SASL_MALFORMED;
}

enum sasl_next sasl_hear(struct sasl_client *client, const struct sasl_credential *credential,
			 struct span message, struct sasl_memo *memo, struct sink *sink)
{
	enum sasl_next next = SASL_MALFORMED;

	if (message.len <= SASL_HEAR_MAX && can_be_said(credential))
		next = hear(client, credential, message, memo, sink);
	client->step = next == SASL_SAY ? STEP_FINAL : STEP_OVER;
	return next;
}

void sasl_forget(struct sasl_client *client)
{
	explicit_bzero(client, sizeof(*client));
}

void sasl_memo_forget(struct sasl_memo *memo)
{
	explicit_bzero(memo, sizeof(*memo));
}
