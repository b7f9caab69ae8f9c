/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of Kafka's APIs, and headers of requests and responses. A header is read without
 * knowing the API: key, version, correlation and client id stand at the same places in all of them.
 */
#include "wire_kafka_read.h"
#include "wire_kafka_why.h"

#define REQUEST_LEAST  8 /* key, version, correlation: ControlledShutdown v0 has no more */
#define RESPONSE_LEAST 4
#define SIZE_FIELD     4
#define REQUEST_FIXED  (SIZE_FIELD + REQUEST_LEAST)

static const struct kafka_api apis[] = {
#define KAFKA_API(key, NAME, text, last, compact, how, from, access) \
	[key] = { .name = #text,                                     \
		  .newest = (last),                                  \
		  .flexible = (compact),                             \
		  .since = (from),                                   \
		  .way = KAFKA_WAY_##how,                            \
		  .is_write = IS_##access },
#define IS_READ	 false
#define IS_WRITE true
#include <penstock/wire/kafka_api.def>
#undef KAFKA_API
};

static const struct {
	const char *name, *text;
} bad_rows[] = {
	[KAFKA_BAD_NONE] = { "none", "nothing is wrong" },
#define KAFKA_BAD(NAME, word, words) [KAFKA_BAD_##NAME] = { #word, words },
#include <penstock/wire/kafka_bad.def>
#undef KAFKA_BAD
};

const char *kafka_bad_name(enum kafka_bad bad)
{
	return bad_rows[bad].name;
}

const char *kafka_bad_text(enum kafka_bad bad)
{
	return bad_rows[bad].text;
}

const struct kafka_api *kafka_api(int16_t key)
{
	return key >= 0 && key < (int16_t)COUNT_OF(apis) ? &apis[key] : NULL;
}

bool kafka_is_flexible(int16_t key, int16_t version)
{
	const struct kafka_api *api = kafka_api(key);
	return api != NULL && api->flexible != KAFKA_NO_VERSION && version >= api->flexible;
}

enum kafka_way kafka_way(int16_t key, int16_t version)
{
	const struct kafka_api *api = kafka_api(key);
	if (api == NULL || version < api->since)
		return KAFKA_WAY_PASS;
	if (api->way != KAFKA_WAY_PASS && version > api->newest)
		return KAFKA_WAY_NEVER;
	return api->way;
}

/* ---- frames --------------------------------------------------------------------------------- */

static enum wire take_size(struct span *rest, uint32_t least, uint32_t most, uint64_t *ret_size,
			   struct kafka_why *why)
{
	int32_t size;
	if (wire_kafka_i32(rest, &size) != WIRE_OK)
		return wire_kafka_more(why, SIZE_FIELD);
	if (size < 0)
		return wire_kafka_bad(why, KAFKA_BAD_SIZE_NEGATIVE);
	if ((uint32_t)size < least)
		return wire_kafka_bad(why, KAFKA_BAD_SIZE_SMALL);
	if ((uint32_t)size > most)
		return wire_kafka_bad(why, KAFKA_BAD_SIZE_BIG);
	*ret_size = SIZE_FIELD + (uint64_t)(uint32_t)size;
	return WIRE_OK;
}

enum wire kafka_request_head(struct span bytes, uint32_t frame_max, struct kafka_request *ret,
			     struct kafka_why *why)
{
	struct span rest = bytes;
	struct kafka_request request;
	enum wire res = take_size(&rest, REQUEST_LEAST, frame_max, &request.frame_size, why);
	if (res != WIRE_OK)
		return res;
	if (wire_kafka_i16(&rest, &request.key) != WIRE_OK ||
	    wire_kafka_i16(&rest, &request.version) != WIRE_OK ||
	    wire_kafka_i32(&rest, &request.correlation) != WIRE_OK)
		return wire_kafka_more(why, REQUEST_FIXED);
	if (request.key < 0 || request.version < 0)
		return wire_kafka_bad(why, KAFKA_BAD_HEADER);
	*ret = request;
	return WIRE_OK;
}

enum wire kafka_response_head(struct span bytes, uint32_t frame_max, struct kafka_response *ret,
			      struct kafka_why *why)
{
	struct span rest = bytes;
	struct kafka_response response;
	enum wire res = take_size(&rest, RESPONSE_LEAST, frame_max, &response.frame_size, why);
	if (res != WIRE_OK)
		return res;
	if (wire_kafka_i32(&rest, &response.correlation) != WIRE_OK)
		return wire_kafka_more(why, SIZE_FIELD + RESPONSE_LEAST);
	*ret = response;
	return WIRE_OK;
}

/* ---- the rest of a request's header --------------------------------------------------------- */

static struct span cut(struct span bytes, const struct kafka_request *request)
{
	if (bytes.len > request->frame_size)
		bytes.len = (size_t)request->frame_size;
	return bytes;
}

static enum wire take_client(struct span *rest, const struct kafka_request *request,
			     struct span *ret_client)
{
	*ret_client = span_of(NULL, 0);
	if (!span_skip(rest, REQUEST_FIXED))
		return WIRE_MORE;
	if (request->key == KAFKA_CONTROLLED_SHUTDOWN && request->version == 0)
		return WIRE_OK;
	return wire_kafka_string(rest, false, ret_client);
}

enum wire kafka_request_client(struct span bytes, const struct kafka_request *request,
			       struct span *ret_client, struct kafka_why *why)
{
	struct span rest = cut(bytes, request), client;
	enum wire res = wire_kafka_field(take_client(&rest, request, &client), bytes,
					 request->frame_size, KAFKA_BAD_HEADER, why);
	if (res == WIRE_OK)
		*ret_client = client;
	return res;
}

/* Takes the header off. */
static enum wire take_header(struct span *rest, const struct kafka_request *request)
{
	struct span client;
	enum wire res = take_client(rest, request, &client);
	if (res == WIRE_OK && kafka_is_flexible(request->key, request->version))
		res = wire_kafka_skip_tags(rest);
	return res;
}

enum wire kafka_request_body(struct span bytes, const struct kafka_request *request,
			     struct span *ret_body, struct kafka_why *why)
{
	struct span rest = cut(bytes, request);
	CHECK(kafka_api(request->key) != NULL);
	enum wire res = wire_kafka_field(take_header(&rest, request), bytes, request->frame_size,
					 KAFKA_BAD_HEADER, why);
	if (res == WIRE_OK)
		*ret_body = rest;
	return res;
}

enum wire kafka_produce_acks(struct span bytes, const struct kafka_request *request,
			     int16_t *ret_acks, struct kafka_why *why)
{
	bool is_compact = kafka_is_flexible(request->key, request->version);
	struct span body, transactional_id;
	int16_t acks = 0;
	CHECK(request->key == KAFKA_PRODUCE);
	enum wire res = kafka_request_body(bytes, request, &body, why);
	if (res != WIRE_OK)
		return res;
	if (request->version >= 3)
		res = wire_kafka_string(&body, is_compact, &transactional_id);
	if (res == WIRE_OK)
		res = wire_kafka_i16(&body, &acks);
	res = wire_kafka_field(res, bytes, request->frame_size, KAFKA_BAD_STRING, why);
	if (res == WIRE_OK)
		*ret_acks = acks;
	return res;
}
