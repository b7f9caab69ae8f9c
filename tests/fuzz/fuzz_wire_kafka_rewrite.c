/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Responses with addresses, rewritten whole or as a prefix: a good frame comes out, all its
 * addresses are ours, and no beginning of the frame gives another answer.
 */
#include "fuzz_kafka.h"

static uint8_t out[2][8 * FUZZ_KAFKA_MAX];

static void check_beginnings(const struct fuzz_kafka *input, const struct kafka_names *names,
			     size_t least)
{
	size_t step = input->len > 512 ? 61 : 1;
	for (size_t len = 0; len < least; len += step) {
		uint8_t *copy = malloc(len > 0 ? len : 1);
		struct sink sink = sink_of(out[1], sizeof(out[1]));
		struct kafka_rewritten ret;
		struct kafka_why why;
		CHECK(copy != NULL);
		memcpy(copy, input->frame, len);
		CHECK(kafka_rewrite(span_of(copy, len), input->key, input->version, names, &sink,
				    &ret, &why) == WIRE_MORE);
		CHECK(why.need > len && sink.len == 0);
		free(copy);
	}
}

/* `sink` has `taken` bytes' replacement; behind it comes the rest of the frame. */
static void check_result(const struct fuzz_kafka *input, const struct kafka_rewritten *before,
			 struct sink *sink)
{
	uint32_t count = 0;
	struct kafka_names names = { .name = fuzz_kafka_look, .owner = &count };
	struct sink again = sink_of(out[1], sizeof(out[1]));
	struct span rest = span_of(input->frame, input->len);
	struct kafka_rewritten ret;
	struct kafka_why why;
	CHECK(span_skip(&rest, before->taken));
	sink_span(sink, rest);
	CHECK(!sink->full);
	CHECK(kafka_rewrite(sink_written(sink), input->key, input->version, &names, &again, &ret,
			    &why) == WIRE_OK);
	CHECK(count == before->nodes && ret.nodes == before->nodes);
	CHECK(again.len == ret.taken && memcmp(again.at, sink->at, again.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kafka_names names = { .name = fuzz_kafka_name };
	struct sink sink = sink_of(out[0], sizeof(out[0]));
	struct fuzz_kafka input;
	struct kafka_rewritten ret;
	struct kafka_why why = { 0 };
	if (!fuzz_kafka_take(data, size, &input))
		return 0;
	enum wire res = kafka_rewrite(span_of(input.frame, input.len), input.key, input.version,
				      &names, &sink, &ret, &why);
	if (res == WIRE_MORE)
		CHECK(why.need > input.len && sink.len == 0);
	if (res == WIRE_BAD)
		CHECK(why.bad != KAFKA_BAD_NONE && sink.len == 0);
	if (res == WIRE_OK) {
		CHECK(ret.taken <= input.len && (ret.taken > 0) == (sink.len > 0));
		check_beginnings(&input, &names, ret.taken > 0 ? ret.taken : 4);
		if (ret.nodes > 0 && ret.taken + ret.pass == input.len)
			check_result(&input, &ret, &sink);
	}
	free(input.frame);
	return 0;
}
