/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_login: requests and answers of an authentication, one after the other.
 */
#include <penstock/wire/kafka_login.h>
#include <penstock/wire/kafka_sasl.h>

#include "wire_kafka_read.h"

#define CLIENT_ID     "penstock"
#define HEADER	      8	 /* of an answer: size and correlation */
#define NEWEST	      2	 /* of SaslAuthenticate */
#define NOT_OFFERED   33 /* UNSUPPORTED_SASL_MECHANISM */
#define VERSIONS_MOST 4096

enum step { STEP_NONE, STEP_VERSIONS, STEP_HANDSHAKE, STEP_TOKENS };

const char *kafka_login_fault_text(enum kafka_login_fault fault)
{
	switch (fault) {
	case KAFKA_LOGIN_NONE:
		break;
	case KAFKA_LOGIN_UNREADABLE:
		return "what it answers cannot be understood";
	case KAFKA_LOGIN_OLD:
		return "it is too old (before Kafka 1.0)";
	case KAFKA_LOGIN_MECHANISM:
		return "it does not offer this mechanism";
	case KAFKA_LOGIN_REFUSED:
		return "it does not take this user and password";
	case KAFKA_LOGIN_CHALLENGE:
		return "its challenge cannot be taken";
	case KAFKA_LOGIN_IMPOSTOR:
		return "it does not know the password itself";
	case KAFKA_LOGIN_CREDENTIAL:
		return "user or password cannot be said";
	}
	return "nothing is wrong";
}

void kafka_login_begin(struct kafka_login *login, enum sasl_mechanism mechanism,
		       const uint8_t random[static SASL_RANDOM])
{
	CHECK(login->step == STEP_NONE);
	sasl_begin(&login->sasl, mechanism, random);
	login->step = login->is_known ? STEP_HANDSHAKE : STEP_VERSIONS;
	login->lifetime_ms = 0;
}

void kafka_login_forget(struct kafka_login *login)
{
	sasl_forget(&login->sasl);
	login->step = STEP_NONE;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Its size field is patched by end_request. */
static size_t begin_request(struct kafka_login *login, struct sink *sink, int16_t key,
			    int16_t version)
{
	size_t at = sink->len;

	sink_u32(sink, 0);
	sink_u16(sink, (uint16_t)key);
	sink_u16(sink, (uint16_t)version);
	sink_u32(sink, (uint32_t)++login->correlation);
	wire_kafka_put_string(sink, false, span_str(CLIENT_ID));
	if (kafka_is_flexible(key, version))
		sink_u8(sink, 0); /* no tagged fields */
	return at;
}

static void end_request(struct sink *sink, size_t at)
{
	CHECK(!sink->full);
	sink_patch_u32(sink, at, (uint32_t)(sink->len - at - 4));
}

static void put_handshake(struct kafka_login *login, struct sink *sink)
{
	size_t at = begin_request(login, sink, KAFKA_SASL_HANDSHAKE, 1);

	wire_kafka_put_string(sink, false, span_str(sasl_name(login->sasl.mechanism)));
	end_request(sink, at);
}

void kafka_login_first(struct kafka_login *login, struct sink *sink)
{
	if (login->step == STEP_HANDSHAKE) {
		put_handshake(login, sink);
		return;
	}
	CHECK(login->step == STEP_VERSIONS);
	end_request(sink, begin_request(login, sink, KAFKA_API_VERSIONS, 0));
}

static void put_token(struct kafka_login *login, struct sink *sink, struct span token)
{
	size_t at = begin_request(login, sink, KAFKA_SASL_AUTHENTICATE, login->version);

	if (kafka_is_flexible(KAFKA_SASL_AUTHENTICATE, login->version)) {
		sink_varint(sink, token.len + 1);
		sink_span(sink, token);
		sink_u8(sink, 0);
	} else {
		sink_u32(sink, (uint32_t)token.len);
		sink_span(sink, token);
	}
	end_request(sink, at);
}

/* ---- answers -------------------------------------------------------------------------------- */

static enum kafka_login_next fail(struct kafka_login_seen *seen, enum kafka_login_fault fault)
{
	seen->fault = fault;
	return KAFKA_LOGIN_FAILED;
}

static enum kafka_login_next see_versions(struct kafka_login *login, struct span body,
					  struct sink *sink, struct kafka_login_seen *seen)
{
	bool has_handshake = false, has_tokens = false;
	uint32_t count = 0;

	if (wire_kafka_i16(&body, &seen->error) != WIRE_OK)
		return fail(seen, KAFKA_LOGIN_UNREADABLE);
	if (seen->error != 0)
		return fail(seen, KAFKA_LOGIN_REFUSED);
	if (wire_kafka_count(&body, false, &count) != WIRE_OK || count > VERSIONS_MOST)
		return fail(seen, KAFKA_LOGIN_UNREADABLE);
	for (uint32_t i = 0; i < count; i++) {
		int16_t key, low, high;

		if (wire_kafka_i16(&body, &key) != WIRE_OK ||
		    wire_kafka_i16(&body, &low) != WIRE_OK ||
		    wire_kafka_i16(&body, &high) != WIRE_OK)
			return fail(seen, KAFKA_LOGIN_UNREADABLE);
		if (key == KAFKA_SASL_HANDSHAKE && low <= 1 && high >= 1)
			has_handshake = true;
		if (key == KAFKA_SASL_AUTHENTICATE && low <= NEWEST && high >= low && high >= 0) {
			login->version = high < NEWEST ? high : NEWEST;
			has_tokens = true;
		}
	}
	if (!has_handshake || !has_tokens)
		return fail(seen, KAFKA_LOGIN_OLD);
	login->is_known = true;
	login->step = STEP_HANDSHAKE;
	put_handshake(login, sink);
	return KAFKA_LOGIN_SAY;
}

static enum kafka_login_next see_handshake(struct kafka_login *login,
					   const struct sasl_credential *credential,
					   struct span body, struct sink *sink,
					   struct kafka_login_seen *seen)
{
	uint8_t token[SASL_SAY_MAX];
	struct sink said = sink_of(token, sizeof(token));

	if (wire_kafka_i16(&body, &seen->error) != WIRE_OK)
		return fail(seen, KAFKA_LOGIN_UNREADABLE);
	if (seen->error != 0) {
		seen->said = body;
		return fail(seen, seen->error == NOT_OFFERED ? KAFKA_LOGIN_MECHANISM
							     : KAFKA_LOGIN_REFUSED);
	}
	if (!sasl_first(&login->sasl, credential, &said))
		return fail(seen, KAFKA_LOGIN_CREDENTIAL);
	login->step = STEP_TOKENS;
	put_token(login, sink, sink_written(&said));
	explicit_bzero(token, sizeof(token));
	return KAFKA_LOGIN_SAY;
}

static enum kafka_login_next fail_token(struct kafka_login_seen *seen, enum sasl_next next)
{
	if (next == SASL_IMPOSTOR)
		return fail(seen, KAFKA_LOGIN_IMPOSTOR);
	return fail(seen, next == SASL_REFUSED ? KAFKA_LOGIN_REFUSED : KAFKA_LOGIN_CHALLENGE);
}

static enum kafka_login_next see_token(struct kafka_login *login,
				       const struct sasl_credential *credential, struct span frame,
				       struct sasl_memo *memo, struct sink *sink,
				       struct kafka_login_seen *seen)
{
	uint8_t token[SASL_SAY_MAX];
	struct sink said = sink_of(token, sizeof(token));
	struct kafka_sasl_result result;
	struct kafka_why why;

	if (kafka_sasl_result(frame, login->version, &result, &why) != WIRE_OK)
		return fail(seen, KAFKA_LOGIN_UNREADABLE);
	seen->error = result.error;
	if (result.error != 0) {
		seen->said = result.message;
		return fail(seen, KAFKA_LOGIN_REFUSED);
	}
	enum sasl_next next = sasl_hear(&login->sasl, credential, result.token, memo, &said);

	if (next == SASL_SAY) {
		put_token(login, sink, sink_written(&said));
		explicit_bzero(token, sizeof(token));
		return KAFKA_LOGIN_SAY;
	}
	if (next != SASL_DONE)
		return fail_token(seen, next);
	login->lifetime_ms = result.lifetime_ms > 0 ? result.lifetime_ms : 0;
	kafka_login_forget(login);
	return KAFKA_LOGIN_DONE;
}

static enum kafka_login_next see_frame(struct kafka_login *login,
				       const struct sasl_credential *credential, struct span frame,
				       struct sasl_memo *memo, struct sink *sink,
				       struct kafka_login_seen *seen)
{
	struct span body = frame;

	CHECK(span_skip(&body, HEADER));
	switch (login->step) {
	case STEP_VERSIONS:
		return see_versions(login, body, sink, seen);
	case STEP_HANDSHAKE:
		return see_handshake(login, credential, body, sink, seen);
	case STEP_TOKENS:
		return see_token(login, credential, frame, memo, sink, seen);
	default:
		return fail(seen, KAFKA_LOGIN_UNREADABLE); /* nothing was asked */
	}
}

enum kafka_login_next kafka_login_see(struct kafka_login *login,
				      const struct sasl_credential *credential, struct span bytes,
				      struct sasl_memo *memo, struct sink *sink,
				      struct kafka_login_seen *ret)
{
	struct kafka_response response;
	struct kafka_why why;

	*ret = (struct kafka_login_seen){ 0 };
	enum wire wire = kafka_response_head(bytes, KAFKA_LOGIN_FRAME, &response, &why);

	if (wire == WIRE_MORE) {
		ret->need = why.need;
		return KAFKA_LOGIN_MORE;
	}
	if (wire != WIRE_OK || response.correlation != login->correlation)
		return fail(ret, KAFKA_LOGIN_UNREADABLE);
	if (bytes.len < response.frame_size) {
		ret->need = (size_t)response.frame_size;
		return KAFKA_LOGIN_MORE;
	}
	ret->frame_size = response.frame_size;
	return see_frame(login, credential, span_of(bytes.at, (size_t)response.frame_size), memo,
			 sink, ret);
}
