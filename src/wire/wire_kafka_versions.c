/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a client is offered, and ApiVersions, by which it learns of that. Entries are lowered in
 * place or left out; a response that needs neither is not touched.
 */
#include <penstock/wire/kafka_versions.h>

#include "wire_kafka_read.h"
#include "wire_kafka_why.h"

#define SIZE_FIELD	    4
#define RESPONSE_HEADER	    (SIZE_FIELD + 4) /* always v0: the client cannot know more yet */
#define UNSUPPORTED_VERSION 35
#define QUORUM_HIDDEN_MAX   1

_Static_assert(KAFKA_UNREGISTER_CONTROLLER < 64 * KAFKA_DENY_WORDS, "a bit for every key");

/* ---- the policy ----------------------------------------------------------------------------- */

static bool is_denied(const struct kafka_policy *policy, int16_t key)
{
	if (kafka_api(key) != NULL)
		return (policy->denied[key / 64] >> key % 64 & 1) != 0;
	for (uint8_t i = 0; i < policy->denied_more_count; i++) {
		if (policy->denied_more[i] == key)
			return true;
	}
	return false;
}

static void deny(struct kafka_policy *policy, int16_t key)
{
	policy->denied[key / 64] |= UINT64_C(1) << key % 64;
}

bool kafka_policy_deny(struct kafka_policy *policy, int16_t key)
{
	if (kafka_api(key) != NULL) {
		deny(policy, key);
		return true;
	}
	if (is_denied(policy, key))
		return true;
	if (key < 0 || policy->denied_more_count == KAFKA_DENY_MORE)
		return false;
	policy->denied_more[policy->denied_more_count++] = key;
	return true;
}

void kafka_policy_read_only(struct kafka_policy *policy)
{
	for (int16_t key = 0; kafka_api(key) != NULL; key++) {
		if (kafka_api(key)->is_write)
			deny(policy, key);
	}
	policy->pass_unknown = false;
	policy->hide_vendor = true;
}

static bool is_unknown_hidden(const struct kafka_policy *policy, int16_t key)
{
	return key >= KAFKA_VENDOR_KEY ? policy->hide_vendor : key < 0 || !policy->pass_unknown;
}

/* The newest version that may be used: INT16_MAX where every one is opaque; -1: none. */
static int16_t newest_allowed(const struct kafka_policy *policy, int16_t key)
{
	const struct kafka_api *api = kafka_api(key);
	if (api->way == KAFKA_WAY_NEVER)
		return -1;
	if (api->way == KAFKA_WAY_PASS)
		return INT16_MAX;
	if (key == KAFKA_DESCRIBE_QUORUM && !policy->show_quorum)
		return QUORUM_HIDDEN_MAX;
	return api->newest;
}

enum kafka_allow kafka_policy_allows(const struct kafka_policy *policy, int16_t key,
				     int16_t version)
{
	if (is_denied(policy, key))
		return KAFKA_ALLOW_DENIED;
	if (kafka_api(key) == NULL)
		return is_unknown_hidden(policy, key) ? KAFKA_ALLOW_UNKNOWN : KAFKA_ALLOW;
	return version > newest_allowed(policy, key) ? KAFKA_ALLOW_VERSION : KAFKA_ALLOW;
}

/* ---- requests ------------------------------------------------------------------------------- */

static enum wire take_hello(struct span *rest, int16_t version, struct kafka_hello *hello)
{
	enum wire res = WIRE_OK;
	if (version >= 3)
		res = wire_kafka_string(rest, true, &hello->software);
	if (res == WIRE_OK && version >= 3)
		res = wire_kafka_string(rest, true, &hello->software_version);
	if (res == WIRE_OK && version >= 5)
		res = wire_kafka_string(rest, true, &hello->cluster);
	if (res == WIRE_OK && version >= 5)
		res = wire_kafka_i32(rest, &hello->node);
	return res;
}

enum wire kafka_versions_read(struct span bytes, const struct kafka_request *request,
			      struct kafka_hello *ret, struct kafka_why *why)
{
	struct kafka_hello hello = { .node = -1 };
	struct span body;
	CHECK(request->key == KAFKA_API_VERSIONS);
	if (request->version > kafka_api(request->key)->newest)
		return wire_kafka_bad(why, KAFKA_BAD_VERSION);
	enum wire res = kafka_request_body(bytes, request, &body, why);
	if (res != WIRE_OK)
		return res;
	res = wire_kafka_field(take_hello(&body, request->version, &hello), bytes,
			       request->frame_size, KAFKA_BAD_STRING, why);
	if (res == WIRE_OK)
		*ret = hello;
	return res;
}

void kafka_versions_answer(struct sink *sink, int32_t correlation)
{
	sink_u32(sink, KAFKA_VERSIONS_ANSWER - SIZE_FIELD);
	sink_u32(sink, (uint32_t)correlation);
	sink_u16(sink, UNSUPPORTED_VERSION);
	sink_u32(sink, 1);
	sink_u16(sink, KAFKA_API_VERSIONS);
	sink_u16(sink, 0);
	sink_u16(sink, (uint16_t)kafka_api(KAFKA_API_VERSIONS)->newest);
}

/* ---- responses ------------------------------------------------------------------------------ */

struct entry {
	int16_t key, oldest, newest;
	struct span tags; /* empty in the legacy encoding */
};

static bool take_entry(struct span *rest, bool is_compact, struct entry *ret)
{
	if (wire_kafka_i16(rest, &ret->key) != WIRE_OK ||
	    wire_kafka_i16(rest, &ret->oldest) != WIRE_OK ||
	    wire_kafka_i16(rest, &ret->newest) != WIRE_OK)
		return false;
	struct span begin = *rest;
	if (is_compact && wire_kafka_skip_tags(rest) != WIRE_OK)
		return false;
	ret->tags = span_of(begin.at, begin.len - rest->len);
	return true;
}

/* librdkafka fetches in the newer message format only from brokers that take it, too: without
 * Produce in the list it falls back to versions of Fetch that no broker knows any more. */
static bool is_needed(int16_t key)
{
	return key == KAFKA_PRODUCE;
}

/* false: it is not offered. An impossible range would stop some clients. */
static bool clamp(const struct kafka_policy *policy, struct entry *entry)
{
	enum kafka_allow allow = kafka_policy_allows(policy, entry->key, entry->oldest);
	if (allow != KAFKA_ALLOW && !(allow == KAFKA_ALLOW_DENIED && is_needed(entry->key)))
		return false;
	if (kafka_api(entry->key) == NULL)
		return true;
	int16_t newest = newest_allowed(policy, entry->key);
	if (entry->newest > newest)
		entry->newest = newest;
	return true;
}

struct offer {
	struct span head;    /* up to the number of entries */
	struct span entries; /* as the broker wrote them */
	struct span rest;    /* what is behind them */
	uint32_t count, removed, clamped, unknown, denied;
	int16_t error;
	bool is_replaced; /* by an empty list */
};

/* Takes the response apart; false: it is not in this encoding. */
static bool read_offer(struct span frame, int16_t version, const struct kafka_policy *policy,
		       struct offer *ret)
{
	struct offer offer = { 0 };
	struct span rest = frame;
	bool is_compact = kafka_is_flexible(KAFKA_API_VERSIONS, version);
	if (!span_skip(&rest, RESPONSE_HEADER) || wire_kafka_i16(&rest, &offer.error) != WIRE_OK)
		return false;
	offer.head = span_of(frame.at, frame.len - rest.len);
	if (wire_kafka_count(&rest, is_compact, &offer.count) != WIRE_OK)
		return false;
	offer.entries = rest;
	for (uint32_t i = 0; i < offer.count; i++) {
		struct entry entry, was;
		if (!take_entry(&rest, is_compact, &entry))
			return false;
		was = entry;
		if (clamp(policy, &entry)) {
			offer.clamped += entry.newest != was.newest;
			continue;
		}
		enum kafka_allow allow = kafka_policy_allows(policy, entry.key, entry.oldest);
		offer.removed++;
		offer.unknown += allow == KAFKA_ALLOW_UNKNOWN;
		offer.denied += allow == KAFKA_ALLOW_DENIED;
	}
	offer.entries.len -= rest.len;
	offer.rest = rest;
	if (version >= 1 && !span_skip(&rest, 4)) /* throttle */
		return false;
	if (is_compact && wire_kafka_skip_tags(&rest) != WIRE_OK)
		return false;
	if (rest.len > 0)
		return false;
	*ret = offer;
	return true;
}

/* Some answer a version they do not know in a body that is not v0: Azure Event Hubs in one of v1,
 * librdkafka's mock brokers in none at all. Clients that see this error ask again in v0, whether
 * there is a list or not, so that they get an empty one. */
static bool read_unsupported(struct span frame, struct offer *ret)
{
	struct offer offer = { .is_replaced = true };
	struct span rest = frame;
	if (!span_skip(&rest, RESPONSE_HEADER) || wire_kafka_i16(&rest, &offer.error) != WIRE_OK ||
	    offer.error != UNSUPPORTED_VERSION)
		return false;
	offer.head = span_of(frame.at, frame.len - rest.len);
	*ret = offer;
	return true;
}

/* The version the body is of; -1: of none. */
static int16_t read_answer(struct span frame, int16_t asked, const struct kafka_policy *policy,
			   struct offer *ret)
{
	/* A broker that does not know the version answers in v0 (KIP-511). */
	if (read_offer(frame, 0, policy, ret) && ret->error == UNSUPPORTED_VERSION)
		return 0;
	if (read_offer(frame, asked, policy, ret))
		return asked;
	return asked > 0 && read_unsupported(frame, ret) ? 0 : -1;
}

static void put_offer(struct sink *sink, const struct offer *offer, bool is_compact,
		      const struct kafka_policy *policy)
{
	struct span rest = offer->entries;
	struct entry entry;
	size_t begin = sink->len;
	sink_span(sink, offer->head);
	if (is_compact)
		sink_varint(sink, offer->count - offer->removed + 1);
	else
		sink_u32(sink, offer->count - offer->removed);
	while (rest.len > 0 && take_entry(&rest, is_compact, &entry)) {
		if (!clamp(policy, &entry))
			continue;
		sink_u16(sink, (uint16_t)entry.key);
		sink_u16(sink, (uint16_t)entry.oldest);
		sink_u16(sink, (uint16_t)entry.newest);
		sink_span(sink, entry.tags);
	}
	sink_span(sink, offer->rest);
	sink_patch_u32(sink, begin, (uint32_t)(sink->len - begin - SIZE_FIELD));
}

enum wire kafka_versions_rewrite(struct span frame, int16_t version,
				 const struct kafka_policy *policy, struct sink *sink,
				 struct kafka_versions *ret, struct kafka_why *why)
{
	struct kafka_response head;
	struct offer offer;
	const struct sink before = *sink;
	enum wire res = kafka_response_head(frame, INT32_MAX, &head, why);
	if (res != WIRE_OK)
		return res;
	if (frame.len < head.frame_size)
		return wire_kafka_more(why, head.frame_size);
	frame.len = (size_t)head.frame_size;
	int16_t body = read_answer(frame, version, policy, &offer);
	if (body < 0)
		return wire_kafka_bad(why, KAFKA_BAD_ARRAY);
	if (offer.removed > 0 || offer.clamped > 0 || offer.is_replaced)
		put_offer(sink, &offer, kafka_is_flexible(KAFKA_API_VERSIONS, body), policy);
	if (sink->full) {
		*sink = before;
		return wire_kafka_bad(why, KAFKA_BAD_ROOM);
	}
	*ret = (struct kafka_versions){
		.error = offer.error,
		.removed = offer.removed,
		.clamped = offer.clamped,
		.unknown = offer.unknown,
		.denied = offer.denied,
	};
	return WIRE_OK;
}
