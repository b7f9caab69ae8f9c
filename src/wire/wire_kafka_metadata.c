/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Metadata requests, as far as it matters who may create topics:
 *
 *     [ [uuid v10+] name ]..., from v4 on: bool allow_auto_topic_creation, ...
 */
#include "wire_kafka_read.h"
#include "wire_kafka_why.h"

#define UUID_SIZE 16

static enum wire skip_topic(struct span *rest, int16_t version, bool is_compact)
{
	struct span name;
	if (version >= 10 && !span_skip(rest, UUID_SIZE))
		return WIRE_MORE;
	enum wire res = wire_kafka_string(rest, is_compact, &name);
	if (res == WIRE_OK && is_compact)
		res = wire_kafka_skip_tags(rest);
	return res;
}

enum wire kafka_metadata_creates(struct span bytes, const struct kafka_request *request,
				 struct kafka_creation *ret, struct kafka_why *why)
{
	bool is_compact = kafka_is_flexible(request->key, request->version);
	struct kafka_creation creation = { 0 };
	struct span body;
	uint32_t count = 0;
	uint8_t is_allowed;
	CHECK(request->key == KAFKA_METADATA);
	enum wire res = kafka_request_body(bytes, request, &body, why);
	if (res != WIRE_OK)
		return res;
	res = wire_kafka_count(&body, is_compact, &count);
	if (request->version < 4) {
		creation.is_asked = count > 0;
	} else {
		for (uint32_t i = 0; res == WIRE_OK && i < count; i++)
			res = skip_topic(&body, request->version, is_compact);
		creation.at = (size_t)(body.at - bytes.at);
		if (res == WIRE_OK)
			res = span_u8(&body, &is_allowed) ? WIRE_OK : WIRE_MORE;
		creation.is_asked = res == WIRE_OK && is_allowed != 0;
	}
	res = wire_kafka_field(res, bytes, request->frame_size, KAFKA_BAD_STRING, why);
	if (res == WIRE_OK)
		*ret = creation;
	return res;
}
