/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A request and its answer walked side by side, by a row of letters for both (kafka_refusal.def).
 * A letter is taken whole or not at all, so that the walk can stop after any of them; what need not
 * be read is only counted.
 */
#include <penstock/wire/kafka_refusal.h>

#include "wire_kafka_answer.h"
#include "wire_kafka_read.h"
#include "wire_kafka_why.h"

#define REQUEST_FIXED 12 /* size, key, version, correlation */
#define UUID_SIZE     16

enum stage { STAGE_CLIENT, STAGE_HEADER_TAGS, STAGE_BODY, STAGE_OVER };

static const struct wire_kafka_row rows[] = {
#define KAFKA_REFUSAL WIRE_KAFKA_ROW
#include <penstock/wire/kafka_refusal.def>
#undef KAFKA_REFUSAL
};
_Static_assert(COUNT_OF(rows) <= UINT8_MAX, "kafka_refusal.row");

static const struct wire_kafka_row *row_of(const struct kafka_request *request)
{
	return wire_kafka_row_of(rows, COUNT_OF(rows), request);
}

bool kafka_refusal_has(const struct kafka_request *request)
{
	return row_of(request) != NULL;
}

void kafka_refusal_begin(struct kafka_refusal *refusal, const struct kafka_request *request,
			 struct sink *sink)
{
	const struct wire_kafka_row *row = row_of(request);
	CHECK(row != NULL && sink->len == 0);
	*refusal = (struct kafka_refusal){
		.left = request->frame_size,
		.skip = REQUEST_FIXED,
		.row = (uint8_t)(row - rows),
		.is_flexible = kafka_is_flexible(request->key, request->version),
	};
	wire_kafka_answer_begin(sink, request, refusal->is_flexible);
}

/* ---- letters -------------------------------------------------------------------------------- */

static const char *letter_at(const struct kafka_refusal *refusal)
{
	return rows[refusal->row].layout + refusal->letter;
}

static bool is_opening(char letter)
{
	return strchr("[<{(", letter) != NULL;
}

static bool is_closing(char letter)
{
	return strchr("]>})", letter) != NULL;
}

/* Behind the end of the array that the present letter begins. */
static void skip_entries(struct kafka_refusal *refusal)
{
	for (uint32_t depth = 0;;) {
		char letter = *letter_at(refusal);
		refusal->letter++;
		if (is_opening(letter))
			depth++;
		else if (is_closing(letter) && --depth == 0)
			return;
	}
}

/* Every entry has a byte at least. */
static enum wire begin_array(struct kafka_refusal *refusal, char letter, struct span *rest,
			     struct sink *sink)
{
	uint32_t count = 0;
	enum wire res = wire_kafka_count(rest, refusal->is_flexible, &count);
	if (res != WIRE_OK)
		return res;
	if (count > refusal->left)
		return WIRE_BAD;
	if ((letter == '[' || letter == '<') && refusal->is_flexible)
		sink_varint(sink, (uint64_t)count + 1);
	else if (letter == '[' || letter == '<')
		sink_u32(sink, count);
	if (count == 0) {
		skip_entries(refusal);
		return WIRE_OK;
	}
	CHECK(refusal->loops < KAFKA_REFUSAL_LOOPS);
	refusal->letter++;
	refusal->entries[refusal->loops] = count;
	refusal->first[refusal->loops] = refusal->letter;
	refusal->loops++;
	return WIRE_OK;
}

/* The tagged fields of a structure: those of the request are to be skipped, and there are none in
 * the answer. */
static enum wire take_tags(struct kafka_refusal *refusal, bool is_asked, bool is_answered,
			   struct span *rest, struct sink *sink)
{
	uint32_t count = 0;
	enum wire res = WIRE_OK;
	if (!refusal->is_flexible)
		return WIRE_OK;
	if (is_asked)
		res = wire_kafka_varint(rest, &count);
	if (res != WIRE_OK)
		return res;
	if (count > refusal->left / 2) /* a number and a size each */
		return WIRE_BAD;
	refusal->tags = count;
	if (is_answered)
		sink_varint(sink, 0);
	return WIRE_OK;
}

static enum wire end_entry(struct kafka_refusal *refusal, char letter, struct span *rest,
			   struct sink *sink)
{
	enum wire res = take_tags(refusal, letter == ']' || letter == '}',
				  letter == ']' || letter == '>', rest, sink);
	if (res != WIRE_OK)
		return res;
	CHECK(refusal->loops > 0);
	uint8_t loop = (uint8_t)(refusal->loops - 1);
	if (--refusal->entries[loop] > 0) {
		refusal->letter = refusal->first[loop];
		return WIRE_OK;
	}
	refusal->loops--;
	refusal->letter++;
	return WIRE_OK;
}

/* Of which the request has so many bytes, whatever they say; 0: not such a letter. */
static uint32_t fixed_size(char letter)
{
	switch (letter) {
	case 'b':
	case 'B':
		return 1;
	case 'h':
		return 2;
	case 'i':
	case 'I':
		return 4;
	case 'l':
		return 8;
	case 'U':
		return UUID_SIZE;
	default:
		return 0;
	}
}

static enum wire take_field(struct kafka_refusal *refusal, char letter, struct span *rest,
			    struct sink *sink)
{
	struct span begin = *rest, string;
	enum wire res = WIRE_OK;
	uint32_t size = fixed_size(letter);
	bool is_copied = strchr("SIBU", letter) != NULL;
	if (letter == 'S')
		res = wire_kafka_string(rest, refusal->is_flexible, &string);
	else if (letter == 's')
		res = wire_kafka_string_len(rest, refusal->is_flexible, &size);
	else if (letter == 'd')
		res = wire_kafka_bytes_len(rest, refusal->is_flexible, &size);
	else
		CHECK(size > 0);
	if (res == WIRE_OK && is_copied && !span_skip(rest, size))
		res = WIRE_MORE;
	if (res != WIRE_OK)
		return res;
	if (is_copied)
		sink_bytes(sink, begin.at, begin.len - rest->len);
	else
		refusal->skip = size;
	refusal->letter++;
	return WIRE_OK;
}

static enum wire take_letter(struct kafka_refusal *refusal, struct span *rest, struct sink *sink)
{
	const char *letter = letter_at(refusal);
	enum wire res;
	if (*letter == '\0') {
		res = take_tags(refusal, true, true, rest, sink);
		if (res == WIRE_OK)
			refusal->stage = STAGE_OVER;
		return res;
	}
	if (*letter == '+') {
		wire_kafka_answer_field(sink, letter[1], rows[refusal->row].error,
					refusal->is_flexible);
		refusal->letter += 2;
		return WIRE_OK;
	}
	if (is_opening(*letter))
		return begin_array(refusal, *letter, rest, sink);
	if (is_closing(*letter))
		return end_entry(refusal, *letter, rest, sink);
	return take_field(refusal, *letter, rest, sink);
}

/* ---- the walk ------------------------------------------------------------------------------- */

static enum wire take_tag(struct kafka_refusal *refusal, struct span *rest)
{
	struct wire_kafka_tag tag;
	enum wire res = wire_kafka_tag(rest, &tag);
	if (res != WIRE_OK)
		return res;
	refusal->tags--;
	refusal->skip = tag.size;
	return WIRE_OK;
}

static enum wire take_client(struct kafka_refusal *refusal, struct span *rest)
{
	uint32_t size;
	enum wire res = wire_kafka_string_len(rest, false, &size);
	if (res != WIRE_OK)
		return res;
	refusal->skip = size;
	refusal->stage = STAGE_HEADER_TAGS;
	return WIRE_OK;
}

static enum wire take_step(struct kafka_refusal *refusal, struct span *rest, struct sink *sink)
{
	enum wire res;
	if (refusal->tags > 0)
		return take_tag(refusal, rest);
	switch ((enum stage)refusal->stage) {
	case STAGE_CLIENT:
		return take_client(refusal, rest);
	case STAGE_HEADER_TAGS:
		res = take_tags(refusal, true, false, rest, sink);
		if (res == WIRE_OK)
			refusal->stage = STAGE_BODY;
		return res;
	case STAGE_BODY:
		return take_letter(refusal, rest, sink);
	case STAGE_OVER:
		break;
	}
	CHECK(false);
	return WIRE_BAD;
}

static enum kafka_bad reason_of(const struct kafka_refusal *refusal)
{
	char letter = *letter_at(refusal);
	if (refusal->stage == STAGE_CLIENT)
		return KAFKA_BAD_HEADER;
	if (refusal->tags > 0 || refusal->stage != STAGE_BODY || letter == '\0')
		return KAFKA_BAD_TAGS;
	if (is_opening(letter))
		return KAFKA_BAD_ARRAY;
	return is_closing(letter) ? KAFKA_BAD_TAGS : KAFKA_BAD_STRING;
}

/* As much of what is to be left out as is there. */
static void skip_some(struct kafka_refusal *refusal, struct span *rest)
{
	size_t n = rest->len < refusal->skip ? rest->len : (size_t)refusal->skip;
	CHECK(span_skip(rest, n));
	refusal->skip -= n;
	refusal->left -= n;
}

static bool is_over(const struct kafka_refusal *refusal)
{
	return refusal->stage == STAGE_OVER && refusal->tags == 0 && refusal->skip == 0;
}

static enum wire step(struct kafka_refusal *refusal, struct span *rest, struct sink *sink,
		      struct kafka_why *why)
{
	struct span before;
	enum wire res;
	skip_some(refusal, rest);
	if (refusal->skip > 0)
		return wire_kafka_more(why, 1);
	if (is_over(refusal))
		return WIRE_OK;
	before = *rest;
	res = take_step(refusal, rest, sink);
	if (res == WIRE_MORE && rest->len < refusal->left)
		return wire_kafka_more(why, rest->len + 1);
	if (res != WIRE_OK)
		return wire_kafka_bad(why,
				      res == WIRE_MORE ? KAFKA_BAD_OVERRUN : reason_of(refusal));
	refusal->left -= before.len - rest->len;
	if (refusal->skip > refusal->left)
		return wire_kafka_bad(why, KAFKA_BAD_OVERRUN);
	return sink->full ? wire_kafka_bad(why, KAFKA_BAD_ROOM) : WIRE_OK;
}

enum wire kafka_refusal_see(struct kafka_refusal *refusal, struct span bytes, struct sink *sink,
			    size_t *ret_taken, struct kafka_why *why)
{
	struct span rest = bytes;
	enum wire res = WIRE_OK;
	if (rest.len > refusal->left)
		rest.len = (size_t)refusal->left;
	size_t len = rest.len;
	while (res == WIRE_OK && !is_over(refusal))
		res = step(refusal, &rest, sink, why);
	*ret_taken = len - rest.len;
	if (res != WIRE_OK)
		return res;
	if (refusal->left > 0)
		return wire_kafka_bad(why, KAFKA_BAD_TRAILING);
	wire_kafka_answer_end(sink, 0);
	return WIRE_OK;
}
