/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A broker's answers to somebody who authenticates. An input is the mechanism, then frames; their
 * correlation ids are mended, so that more than the first is looked at. Each must come out the same
 * whole as after all its beginnings have wanted more.
 */
#include "fuzz.h"

#include <penstock/wire/kafka_login.h>

static const struct sasl_credential alice = { { (const uint8_t *)"alice", 5 },
					      { (const uint8_t *)"secret", 6 } };
static struct sasl_memo memo;

static void check_beginnings(const struct kafka_login *login, struct span frame, struct sink sink)
{
	struct kafka_login copy = *login;
	struct kafka_login_seen seen;

	for (size_t len = 0; len < frame.len && len < 64; len++) {
		CHECK(kafka_login_see(&copy, &alice, span_of(frame.at, len), &memo, &sink, &seen) ==
		      KAFKA_LOGIN_MORE);
		CHECK(seen.need > len && seen.need <= frame.len && sink.len == 0);
	}
}

/* false: no more will be looked at. */
static bool see(struct kafka_login *login, struct span frame)
{
	uint8_t said[KAFKA_LOGIN_SAY_MAX];
	struct sink sink = sink_of(said, sizeof(said));
	struct kafka_login_seen seen;

	check_beginnings(login, frame, sink);
	switch (kafka_login_see(login, &alice, frame, &memo, &sink, &seen)) {
	case KAFKA_LOGIN_SAY:
		CHECK(sink.len > 0 && !sink.full && seen.frame_size == frame.len);
		return true;
	case KAFKA_LOGIN_FAILED:
		CHECK(seen.fault != KAFKA_LOGIN_NONE && sink.len == 0);
		CHECK(seen.said.len == 0 || (seen.said.at >= frame.at &&
					     seen.said.at + seen.said.len <= frame.at + frame.len));
		return false;
	case KAFKA_LOGIN_DONE:
		CHECK(sink.len == 0 && login->lifetime_ms >= 0);
		return false;
	case KAFKA_LOGIN_MORE:
		break;
	}
	CHECK(false);
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t random[SASL_RANDOM];
	uint8_t frame[1024], said[KAFKA_LOGIN_SAY_MAX];
	struct sink sink = sink_of(said, sizeof(said));
	struct kafka_login login = { 0 };
	struct span rest = span_of(data, size), body;
	uint8_t mechanism;
	uint16_t len;

	if (!span_u8(&rest, &mechanism) || mechanism > SASL_SCRAM_SHA_512)
		return 0;
	kafka_login_begin(&login, mechanism, random);
	kafka_login_first(&login, &sink);
	while (span_u16(&rest, &len) && len <= sizeof(frame) - 8 && span_take(&rest, len, &body)) {
		struct sink whole = sink_of(frame, sizeof(frame));

		sink_u32(&whole, len + 4u);
		sink_u32(&whole, (uint32_t)login.correlation);
		sink_span(&whole, body);
		if (!see(&login, sink_written(&whole)))
			break;
	}
	kafka_login_forget(&login);
	return 0;
}
