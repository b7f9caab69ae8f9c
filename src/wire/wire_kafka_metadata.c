/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Metadata requests, as far as it matters who may create topics:
 *
 *     header | topics: [uuid v10+] name [tags v9+] | from v4 on: bool allow_auto_topic_creation |
 * ...
 *
 * There may be more topics than are seen at once. A step is taken whole or not at all, so that the
 * walk can stop after any of them; what need not be read is only counted.
 */
#include "wire_kafka_read.h"
#include "wire_kafka_why.h"

#define REQUEST_FIXED 12 /* size, key, version, correlation */
#define FIRST_IDS     10 /* version */
#define UUID_SIZE     16

enum stage {
	STAGE_CLIENT,
	STAGE_HEADER_TAGS,
	STAGE_COUNT,
	STAGE_ID,
	STAGE_NAME,
	STAGE_TAGS,
	STAGE_FLAG,
};

void kafka_creation_begin(struct kafka_creation *creation, const struct kafka_request *request)
{
	CHECK(request->key == KAFKA_METADATA);
	*creation = (struct kafka_creation){
		.left = request->frame_size,
		.skip = REQUEST_FIXED,
		.stage = STAGE_CLIENT,
		.is_flexible = kafka_is_flexible(request->key, request->version),
		.has_ids = request->version >= FIRST_IDS,
		.has_flag = request->version >= KAFKA_CREATION_SAID,
	};
}

static void next_topic(struct kafka_creation *creation)
{
	if (creation->topics == 0 || !creation->has_flag)
		creation->stage = STAGE_FLAG;
	else
		creation->stage = creation->has_ids ? STAGE_ID : STAGE_NAME;
}

static void end_topic(struct kafka_creation *creation)
{
	creation->topics--;
	next_topic(creation);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static enum wire take_string(struct kafka_creation *creation, bool is_compact, struct span *rest)
{
	uint32_t size;
	enum wire res = wire_kafka_string_len(rest, is_compact, &size);
	if (res == WIRE_OK)
		creation->skip = size;
	return res;
}

/* How many tagged fields there are. */
static enum wire take_tags(struct kafka_creation *creation, struct span *rest)
{
	uint32_t count;
	enum wire res = wire_kafka_varint(rest, &count);
	if (res != WIRE_OK)
		return res;
	if (count > creation->left / 2) /* a number and a size each */
		return WIRE_BAD;
	creation->tags = count;
	return WIRE_OK;
}

static enum wire take_tag(struct kafka_creation *creation, struct span *rest)
{
	struct wire_kafka_tag tag;
	enum wire res = wire_kafka_tag(rest, &tag);
	if (res != WIRE_OK)
		return res;
	creation->tags--;
	creation->skip = tag.size;
	return WIRE_OK;
}

/* Every topic has a byte at least. */
static enum wire take_count(struct kafka_creation *creation, struct span *rest)
{
	enum wire res = wire_kafka_count(rest, creation->is_flexible, &creation->topics);
	return res == WIRE_OK && creation->topics > creation->left ? WIRE_BAD : res;
}

static enum wire take_step(struct kafka_creation *creation, struct span *rest)
{
	enum wire res = WIRE_OK;
	if (creation->tags > 0)
		return take_tag(creation, rest);
	switch ((enum stage)creation->stage) {
	case STAGE_CLIENT:
		res = take_string(creation, false, rest);
		if (res == WIRE_OK)
			creation->stage = creation->is_flexible ? STAGE_HEADER_TAGS : STAGE_COUNT;
		break;
	case STAGE_HEADER_TAGS:
		res = take_tags(creation, rest);
		if (res == WIRE_OK)
			creation->stage = STAGE_COUNT;
		break;
	case STAGE_COUNT:
		res = take_count(creation, rest);
		if (res == WIRE_OK)
			next_topic(creation);
		break;
	case STAGE_ID:
		creation->skip = UUID_SIZE;
		creation->stage = STAGE_NAME;
		break;
	case STAGE_NAME:
		res = take_string(creation, creation->is_flexible, rest);
		if (res == WIRE_OK && creation->is_flexible)
			creation->stage = STAGE_TAGS;
		else if (res == WIRE_OK)
			end_topic(creation);
		break;
	case STAGE_TAGS:
		res = take_tags(creation, rest);
		if (res == WIRE_OK)
			end_topic(creation);
		break;
	case STAGE_FLAG:
		CHECK(false);
	}
	return res;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static enum kafka_bad reason_of(const struct kafka_creation *creation)
{
	if (creation->stage == STAGE_CLIENT)
		return KAFKA_BAD_HEADER;
	if (creation->stage == STAGE_COUNT)
		return creation->tags > 0 ? KAFKA_BAD_TAGS : KAFKA_BAD_ARRAY;
	return creation->stage == STAGE_NAME ? KAFKA_BAD_STRING : KAFKA_BAD_TAGS;
}

/* As much of what need not be read as is there. */
static void skip_some(struct kafka_creation *creation, struct span *rest)
{
	size_t n = rest->len < creation->skip ? rest->len : (size_t)creation->skip;
	CHECK(span_skip(rest, n));
	creation->skip -= n;
	creation->left -= n;
}

static bool is_at_flag(const struct kafka_creation *creation)
{
	return creation->stage == STAGE_FLAG && creation->tags == 0 && creation->skip == 0;
}

static enum wire step(struct kafka_creation *creation, struct span *rest, struct kafka_why *why)
{
	skip_some(creation, rest);
	if (creation->skip > 0)
		return wire_kafka_more(why, 1);
	if (is_at_flag(creation))
		return WIRE_OK;
	size_t before = rest->len;
	enum wire res = take_step(creation, rest);
	if (res == WIRE_MORE && rest->len < creation->left)
		return wire_kafka_more(why, rest->len + 1);
	if (res != WIRE_OK)
		return wire_kafka_bad(why,
				      res == WIRE_MORE ? KAFKA_BAD_OVERRUN : reason_of(creation));
	creation->left -= before - rest->len;
	return creation->skip > creation->left ? wire_kafka_bad(why, KAFKA_BAD_OVERRUN) : WIRE_OK;
}

enum wire kafka_creation_see(struct kafka_creation *creation, struct span bytes, size_t *ret_taken,
			     bool *ret_is_asked, struct kafka_why *why)
{
	struct span rest = bytes;
	enum wire res = WIRE_OK;
	if (rest.len > creation->left)
		rest.len = (size_t)creation->left;
	size_t len = rest.len;
	while (res == WIRE_OK && !is_at_flag(creation))
		res = step(creation, &rest, why);
	*ret_taken = len - rest.len;
	if (res != WIRE_OK)
		return res;
	if (!creation->has_flag) {
		*ret_is_asked = creation->topics > 0;
		return WIRE_OK;
	}
	if (creation->left == 0)
		return wire_kafka_bad(why, KAFKA_BAD_OVERRUN);
	if (rest.len == 0)
		return wire_kafka_more(why, 1);
	*ret_is_asked = rest.at[0] != 0;
	return WIRE_OK;
}
