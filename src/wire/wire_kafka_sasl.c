/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Authentications that are passed on.
 */
#include <penstock/wire/kafka_sasl.h>
#include <penstock/wire/kafka_versions.h>

#include "wire_kafka_read.h"
#include "wire_kafka_why.h"

enum wire kafka_sasl_mechanism(struct span bytes, const struct kafka_request *request,
			       struct span *ret_mechanism, struct kafka_why *why)
{
	struct span body, mechanism = { 0 };
	CHECK(request->key == KAFKA_SASL_HANDSHAKE);
	enum wire res = kafka_request_body(bytes, request, &body, why);
	if (res != WIRE_OK)
		return res;
	res = wire_kafka_field(wire_kafka_string(&body, false, &mechanism), bytes,
			       request->frame_size, KAFKA_BAD_STRING, why);
	if (res == WIRE_OK)
		*ret_mechanism = mechanism;
	return res;
}

enum wire kafka_sasl_token(struct span bytes, const struct kafka_request *request,
			   struct span *ret_token, struct kafka_why *why)
{
	bool is_compact = kafka_is_flexible(request->key, request->version);
	struct span body, token;
	uint32_t len = 0;
	CHECK(request->key == KAFKA_SASL_AUTHENTICATE);
	enum wire res = kafka_request_body(bytes, request, &body, why);
	if (res != WIRE_OK)
		return res;
	res = wire_kafka_bytes_len(&body, is_compact, &len);
	if (res == WIRE_OK && !span_take(&body, len, &token))
		res = WIRE_MORE;
	res = wire_kafka_field(res, bytes, request->frame_size, KAFKA_BAD_STRING, why);
	if (res == WIRE_OK)
		*ret_token = token;
	return res;
}

/* ---- responses ------------------------------------------------------------------------------ */

/* The body of a whole response; MORE until it is whole. */
static enum wire whole_body(struct span bytes, bool is_flexible, struct span *ret_body,
			    struct kafka_why *why)
{
	struct kafka_response response;
	enum wire res = kafka_response_head(bytes, KAFKA_FRAME_AUTH, &response, why);
	if (res != WIRE_OK)
		return res;
	if (bytes.len < response.frame_size)
		return wire_kafka_more(why, response.frame_size);
	bytes.len = (size_t)response.frame_size;
	struct span body = bytes;
	res = span_skip(&body, 8) ? WIRE_OK : WIRE_MORE;
	if (res == WIRE_OK && is_flexible)
		res = wire_kafka_skip_tags(&body);
	res = wire_kafka_field(res, bytes, bytes.len, KAFKA_BAD_TAGS, why);
	if (res == WIRE_OK)
		*ret_body = body;
	return res;
}

enum wire kafka_sasl_handshake_error(struct span bytes, int16_t *ret_error, struct kafka_why *why)
{
	struct span body;
	enum wire res = whole_body(bytes, false, &body, why);
	if (res != WIRE_OK)
		return res;
	res = wire_kafka_i16(&body, ret_error);
	return wire_kafka_field(res, bytes, bytes.len, KAFKA_BAD_HEADER, why);
}

static enum wire take_result(struct span *rest, int16_t version, bool is_compact,
			     struct kafka_sasl_result *result)
{
	uint32_t len = 0, high, low;
	enum wire res = wire_kafka_i16(rest, &result->error);
	if (res == WIRE_OK)
		res = wire_kafka_string(rest, is_compact, &result->message);
	if (res == WIRE_OK)
		res = wire_kafka_bytes_len(rest, is_compact, &len);
	if (res != WIRE_OK)
		return res;
	if (!span_take(rest, len, &result->token))
		return WIRE_MORE;
	if (version < 1)
		return WIRE_OK;
	if (!span_u32(rest, &high) || !span_u32(rest, &low))
		return WIRE_MORE;
	result->lifetime_ms = (int64_t)((uint64_t)high << 32 | low);
	return WIRE_OK;
}

enum wire kafka_sasl_result(struct span bytes, int16_t version, struct kafka_sasl_result *ret,
			    struct kafka_why *why)
{
	bool is_flexible = kafka_is_flexible(KAFKA_SASL_AUTHENTICATE, version);
	struct kafka_sasl_result result = { 0 };
	struct span body;
	enum wire res = whole_body(bytes, is_flexible, &body, why);
	if (res != WIRE_OK)
		return res;
	res = wire_kafka_field(take_result(&body, version, is_flexible, &result), bytes, bytes.len,
			       KAFKA_BAD_STRING, why);
	if (res == WIRE_OK)
		*ret = result;
	return res;
}

/* ---- answers of ours ------------------------------------------------------------------------ */

#define NOT_OFFERED 33 /* UNSUPPORTED_SASL_MECHANISM: no client tries again */
#define NOT_TAKEN   58 /* SASL_AUTHENTICATION_FAILED: nor here */
#define MESSAGE	    "penstock: this user is not let in (principal_denied)"

static void put_mechanisms(struct sink *sink, bool has_none)
{
	static const char *const readable[] = { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512" };
	sink_u32(sink, has_none ? 0 : (uint32_t)COUNT_OF(readable));
	for (size_t i = 0; !has_none && i < COUNT_OF(readable); i++)
		wire_kafka_put_string(sink, false, span_str(readable[i]));
}

void kafka_sasl_answer(struct sink *sink, const struct kafka_request *request, bool has_none)
{
	bool is_flexible = kafka_is_flexible(request->key, request->version);
	size_t at = sink->len;
	sink_u32(sink, 0);
	sink_u32(sink, (uint32_t)request->correlation);
	if (request->key == KAFKA_SASL_HANDSHAKE) {
		sink_u16(sink, NOT_OFFERED);
		put_mechanisms(sink, has_none);
	} else {
		if (is_flexible)
			sink_u8(sink, 0); /* tagged fields of the header */
		sink_u16(sink, NOT_TAKEN);
		wire_kafka_put_string(sink, is_flexible, span_str(MESSAGE));
		if (is_flexible)
			sink_u8(sink, 1); /* no bytes */
		else
			sink_u32(sink, 0);
		if (request->version >= 1) {
			sink_u32(sink, 0); /* lifetime */
			sink_u32(sink, 0);
		}
		if (is_flexible)
			sink_u8(sink, 0);
	}
	sink_patch_u32(sink, at, (uint32_t)(sink->len - at - 4));
}

/* ---- tokens --------------------------------------------------------------------------------- */

bool kafka_sasl_plain_user(struct span token, struct span *ret_user)
{
	struct span acted_for, user;
	if (!span_take(&token, span_find(token, 0), &acted_for) || !span_skip(&token, 1) ||
	    !span_take(&token, span_find(token, 0), &user) || !span_skip(&token, 1))
		return false;
	if (user.len == 0 || token.len == 0 || span_find(token, 0) < token.len)
		return false;
	*ret_user = user;
	return true;
}

enum kafka_sasl_shown kafka_sasl_shows(struct span mechanism)
{
	if (span_is(mechanism, "PLAIN"))
		return KAFKA_SASL_SHOWS_PLAIN;
	if (span_is(mechanism, "SCRAM-SHA-256") || span_is(mechanism, "SCRAM-SHA-512"))
		return KAFKA_SASL_SHOWS_SCRAM;
	return KAFKA_SASL_SHOWS_NOBODY;
}

/* Kafka lets nobody act for another user either. */
static bool plain_user(struct span token, struct sink *user)
{
	struct span acted_for, name;
	if (!kafka_sasl_plain_user(token, &name) ||
	    !span_take(&token, span_find(token, 0), &acted_for))
		return false;
	if (acted_for.len > 0 && !span_equal(acted_for, name))
		return false;
	sink_span(user, name);
	return !user->full;
}

/* "n,,n=user,r=nonce", with =2C and =3D for a comma and an equals sign. */
static bool scram_user(struct span token, struct sink *user)
{
	struct span name;
	if (!span_starts(token, "n,,n=") || !span_skip(&token, 5) ||
	    !span_take(&token, span_find(token, ','), &name) || !span_starts(token, ",r=") ||
	    name.len == 0)
		return false;
	for (uint8_t letter; span_u8(&name, &letter);) {
		bool is_comma = span_starts(name, "2C");
		if (letter == '=' && !is_comma && !span_starts(name, "3D"))
			return false;
		if (letter == '=' && !span_skip(&name, 2))
			return false;
		sink_u8(user, letter == '=' && is_comma ? ',' : letter);
	}
	return !user->full;
}

bool kafka_sasl_user(enum kafka_sasl_shown shown, struct span token, struct sink *user)
{
	if (shown == KAFKA_SASL_SHOWS_PLAIN)
		return plain_user(token, user);
	return shown == KAFKA_SASL_SHOWS_SCRAM && scram_user(token, user);
}

uint32_t kafka_sasl_tokens(struct span mechanism)
{
	if (span_is(mechanism, "PLAIN") || span_is(mechanism, "OAUTHBEARER"))
		return 1;
	return span_starts(mechanism, "SCRAM-") ? 2 : 0;
}

enum wire kafka_sasl_raw(struct span bytes, uint64_t *ret_frame_size, struct kafka_why *why)
{
	int32_t size;
	if (wire_kafka_i32(&bytes, &size) != WIRE_OK)
		return wire_kafka_more(why, 4);
	if (size < 0)
		return wire_kafka_bad(why, KAFKA_BAD_SIZE_NEGATIVE);
	if (size > KAFKA_FRAME_AUTH)
		return wire_kafka_bad(why, KAFKA_BAD_SIZE_BIG);
	*ret_frame_size = 4 + (uint64_t)size;
	return WIRE_OK;
}

/* What begins so is no key of Apache's, and none that a vendor is known to have. */
bool kafka_sasl_is_gssapi(struct span bytes)
{
	uint32_t size;
	if (!span_u32(&bytes, &size))
		return false;
	return size == 0 || span_starts(bytes, "\x60") || span_starts(bytes, "\x05\x04");
}

/* What mechanisms send is mostly text. Any version will do, and any key that may come some day:
 * taken for a token, a request would have its response passed unread. */
bool kafka_sasl_is_request(struct span bytes)
{
	struct kafka_request request;
	struct kafka_why why;
	struct span client;
	if (kafka_request_head(bytes, KAFKA_FRAME_BROKER, &request, &why) != WIRE_OK)
		return false;
	if (request.key >= KAFKA_VENDOR_KEY)
		return false;
	return kafka_request_client(bytes, &request, &client, &why) != WIRE_BAD;
}
