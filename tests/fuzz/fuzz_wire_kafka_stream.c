/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Long responses in pieces of any size: what comes out does not depend on how they arrive, has the
 * length it came with, holds only addresses of ours, and is refused where the whole frame would be.
 */
#include "fuzz_kafka.h"

static uint8_t room[KAFKA_TAIL_MAX];
static uint8_t out[2][FUZZ_KAFKA_MAX];
static uint8_t whole[8 * FUZZ_KAFKA_MAX];

/* Shows at most `piece` bytes more than are wanted. The reason it ends with. */
static enum kafka_bad run(const struct fuzz_kafka *input, size_t piece, struct sink *sent)
{
	struct kafka_names names = { .name = fuzz_kafka_name };
	struct kafka_stream stream;
	struct kafka_stream_step step = { 0 };
	size_t at = 0, wanted = 0;
	kafka_stream_begin(&stream, input->key, input->version, input->len);
	while (!step.is_last) {
		struct sink sink = sink_of(room, sizeof(room));
		size_t left = input->len - at;
		size_t shown = wanted + piece < left ? wanted + piece : left;
		uint8_t *copy = malloc(shown > 0 ? shown : 1);
		CHECK(copy != NULL);
		memcpy(copy, input->frame + at, shown);
		kafka_stream_see(&stream, span_of(copy, shown), &names, &sink, &step);
		free(copy);
		CHECK(sink.len == (step.what == KAFKA_STREAM_EMIT ? step.n : 0));
		wanted = 0;
		if (step.what == KAFKA_STREAM_BAD)
			return step.bad;
		if (step.what == KAFKA_STREAM_NEED) {
			CHECK(step.n > shown && step.n <= left && step.max >= step.n);
			wanted = (size_t)step.n;
			continue;
		}
		CHECK(step.n > 0 && step.n <= left);
		if (step.what == KAFKA_STREAM_EMIT)
			sink_span(sent, sink_written(&sink));
		else
			sink_bytes(sent, input->frame + at, step.n);
		at += step.n;
	}
	CHECK(at == input->len);
	return KAFKA_BAD_NONE;
}

static void check_addresses(const struct fuzz_kafka *input, struct span frame)
{
	uint32_t count = 0;
	struct kafka_names names = { .name = fuzz_kafka_look, .owner = &count };
	struct sink sink = sink_of(whole, sizeof(whole));
	struct kafka_rewritten ret;
	struct kafka_why why;
	CHECK(frame.len == input->len);
	CHECK(kafka_rewrite(frame, input->key, input->version, &names, &sink, &ret, &why) ==
	      WIRE_OK);
}

static void check_whole(const struct fuzz_kafka *input, enum kafka_bad bad)
{
	struct kafka_names names = { .name = fuzz_kafka_name };
	struct sink sink = sink_of(whole, sizeof(whole));
	struct kafka_rewritten ret;
	struct kafka_why why = { 0 };
	(void)kafka_rewrite(span_of(input->frame, input->len), input->key, input->version, &names,
			    &sink, &ret, &why);
	CHECK(why.bad == bad || bad == KAFKA_BAD_ROOM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sink sent[2] = { sink_of(out[0], sizeof(out[0])), sink_of(out[1], sizeof(out[1])) };
	struct fuzz_kafka input;
	if (size < 15 || !fuzz_kafka_take(data, size, &input))
		return 0;
	struct kafka_response head;
	struct kafka_why why;
	bool is_stream = kafka_way(input.key, input.version) == KAFKA_WAY_STREAM;
	enum wire res =
		kafka_response_head(span_of(input.frame, input.len), INT32_MAX, &head, &why);
	if (is_stream && res == WIRE_OK && head.frame_size == input.len) {
		enum kafka_bad bad = run(&input, SIZE_MAX / 2, &sent[0]);
		CHECK(run(&input, input.extra, &sent[1]) == bad);
		if (bad == KAFKA_BAD_NONE) {
			CHECK(span_equal(sink_written(&sent[0]), sink_written(&sent[1])));
			check_addresses(&input, sink_written(&sent[0]));
		}
		check_whole(&input, bad);
	}
	free(input.frame);
	return 0;
}
