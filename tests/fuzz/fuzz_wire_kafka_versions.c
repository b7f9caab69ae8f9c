/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ApiVersions responses: what comes out is a good frame that offers only what the policy allows,
 * and needs no second edit. The first byte is the version, the second the policy.
 */
#include "fuzz.h"

#include <penstock/wire/kafka_versions.h>

#define FRAME_MAX 8192

static uint8_t out[2][FRAME_MAX];

static void check_again(struct span frame, int16_t version, const struct kafka_policy *policy,
			const struct kafka_versions *before)
{
	struct sink sink = sink_of(out[1], sizeof(out[1]));
	struct kafka_versions versions;
	struct kafka_why why;
	CHECK(kafka_versions_rewrite(frame, version, policy, &sink, &versions, &why) == WIRE_OK);
	CHECK(versions.removed == 0 && versions.clamped == 0 && sink.len == 0);
	CHECK(versions.error == before->error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 6 || size > FRAME_MAX)
		return 0;
	int16_t version = data[0] % 6;
	struct kafka_policy policy = {
		.pass_unknown = (data[1] & 1) != 0,
		.hide_vendor = (data[1] & 2) != 0,
		.show_quorum = (data[1] & 4) != 0,
	};
	if (data[1] & 16)
		kafka_policy_read_only(&policy);
	size_t len = size - 2;
	uint8_t *frame = malloc(len);
	CHECK(frame != NULL);
	memcpy(frame, data + 2, len);
	struct sink mend = sink_of(frame, len), sink = sink_of(out[0], sizeof(out[0]));
	if ((data[1] & 128) == 0)
		sink_u32(&mend, (uint32_t)(len - 4));
	struct kafka_versions versions;
	struct kafka_why why = { 0 };
	enum wire res = kafka_versions_rewrite(span_of(frame, len), version, &policy, &sink,
					       &versions, &why);
	if (res == WIRE_MORE)
		CHECK(why.need > len);
	else if (res == WIRE_BAD)
		CHECK(why.bad != KAFKA_BAD_NONE && sink.len == 0);
	else if (sink.len > 0)
		check_again(sink_written(&sink), version, &policy, &versions);
	else
		CHECK(versions.removed == 0 && versions.clamped == 0);
	free(frame);
	return 0;
}
