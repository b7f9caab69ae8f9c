/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Pulsar frames: every beginning of a good frame wants more, and after an edit the frame reads as
 * before in all but what was edited. The first byte is not part of the frame: it mends the two
 * sizes so that mutations inside the command are not stopped at once by them.
 */
#include "fuzz.h"

#include <penstock/wire/pulsar.h>

#define OUT_MAX 70000

static uint8_t out[2][OUT_MAX];

static void check_head(struct span frame)
{
	struct pulsar_head head, part;
	size_t need;
	enum wire res = pulsar_head(frame, &head, &need);
	if (res == WIRE_MORE)
		CHECK(need > frame.len);
	if (res == WIRE_BAD)
		return;
	for (size_t len = 0; len < frame.len && len < 64; len++) {
		enum wire begin = pulsar_head(span_of(frame.at, len), &part, &need);
		CHECK(begin == WIRE_MORE ? need > len : begin == res);
		if (begin == WIRE_OK)
			CHECK(part.type == head.type && part.frame_size == head.frame_size);
	}
}

static bool is_same(struct span a, struct span b)
{
	return (a.at == NULL) == (b.at == NULL) && span_equal(a, b);
}

static void check_connect(struct span frame)
{
	struct pulsar_connect before, after;
	struct sink sink = sink_of(out[0], sizeof(out[0])), again = sink_of(out[1], sizeof(out[1]));
	bool is_good = pulsar_read_connect(frame, &before) == WIRE_OK;
	pulsar_write_connect_bare(&sink, frame);
	if (!is_good)
		return;
	CHECK(!sink.full && sink.len <= frame.len);
	CHECK(pulsar_read_connect(sink_written(&sink), &after) == WIRE_OK);
	CHECK(after.proxy_to_broker_url.at == NULL);
	CHECK(is_same(before.auth_data, after.auth_data));
	CHECK(is_same(before.auth_method_name, after.auth_method_name));
	CHECK(before.has_original == after.has_original);
	CHECK(before.has_proxy_version == after.has_proxy_version);
	CHECK(before.protocol_version == after.protocol_version);
	pulsar_write_connect_bare(&again, sink_written(&sink));
	CHECK(!again.full && span_equal(sink_written(&again), sink_written(&sink)));
	again = sink_of(out[1], sizeof(out[1]));
	pulsar_write_connect_refreshed(&again, frame, span_str("refreshed"));
	CHECK(!again.full && pulsar_read_connect(sink_written(&again), &after) == WIRE_OK);
	CHECK(span_is(after.auth_data, "refreshed") && after.proxy_to_broker_url.at == NULL);
	CHECK(is_same(before.auth_method_name, after.auth_method_name));
}

/* In role mode brokers read what we write, and of the client's only what it can do. */
static void check_role(struct span frame)
{
	struct pulsar_connect before, after;
	struct sink sink = sink_of(out[0], sizeof(out[0])),
		    answer = sink_of(out[1], sizeof(out[1]));
	const struct pulsar_role role = {
		.method = span_str("token"),
		.data = span_str("ours"),
		.principal = span_str("alice"),
		.version = span_str("v"),
	};
	bool is_good = pulsar_read_connect(frame, &before) == WIRE_OK;
	pulsar_write_connect_role(&sink, frame, &role);
	pulsar_write_auth_response(&answer, frame, role.method, role.data);
	CHECK(sink.full == !is_good && answer.full == !is_good);
	if (!is_good)
		return;
	CHECK(pulsar_read_connect(sink_written(&sink), &after) == WIRE_OK);
	CHECK(span_is(after.auth_method_name, "token") && span_is(after.auth_data, "ours"));
	CHECK(after.proxy_to_broker_url.at == NULL && !after.has_old_method);
	CHECK(after.has_original && after.has_proxy_version);
	CHECK(span_equal(before.client_version, after.client_version));
	CHECK(is_same(before.feature_flags, after.feature_flags));
	CHECK(before.protocol_version == after.protocol_version);
	struct pulsar_auth_response said;
	CHECK(pulsar_read_auth_response(sink_written(&answer), &said) == WIRE_OK);
	CHECK(span_is(said.method, "token") && span_is(said.data, "ours"));
}

static void check_lookup(struct span frame)
{
	struct pulsar_lookup before, after;
	if (pulsar_read_lookup(frame, &before) != WIRE_OK)
		return;
	for (int i = 0; i < 2; i++) {
		struct sink sink = sink_of(out[0], sizeof(out[0]));
		pulsar_write_lookup_again(&sink, frame, i == 1);
		CHECK(!sink.full && pulsar_read_lookup(sink_written(&sink), &after) == WIRE_OK);
		CHECK(after.is_authoritative == (i == 1));
		CHECK(after.request_id == before.request_id);
		CHECK(is_same(before.topic, after.topic));
		CHECK(is_same(before.listener_name, after.listener_name));
	}
}

static void check_lookup_response(struct span frame)
{
	struct pulsar_lookup_response before, after;
	struct sink sink = sink_of(out[0], sizeof(out[0]));
	if (pulsar_read_lookup_response(frame, &before) != WIRE_OK)
		return;
	pulsar_write_lookup_through(&sink, frame, span_str("pulsar://b:1"));
	CHECK(!sink.full);
	CHECK(pulsar_read_lookup_response(sink_written(&sink), &after) == WIRE_OK);
	CHECK(span_is(after.url, "pulsar://b:1") && span_is(after.url_tls, "pulsar://b:1"));
	CHECK(after.has_type && after.type == PULSAR_LOOKUP_CONNECT);
	CHECK(after.request_id == before.request_id);
	CHECK(after.is_authoritative == before.is_authoritative);
}

static void check_frame(struct span frame)
{
	struct pulsar_connected connected;
	struct pulsar_auth_response response;
	struct span host_port;
	uint64_t id;
	bool is_tls;
	check_head(frame);
	check_connect(frame);
	check_role(frame);
	check_lookup(frame);
	check_lookup_response(frame);
	(void)pulsar_read_connected(frame, &connected);
	(void)pulsar_read_auth_response(frame, &response);
	(void)pulsar_read_request_id(frame, 1, &id);
	(void)pulsar_mistake(frame);
	if (pulsar_url_split(frame, &host_port, &is_tls))
		CHECK(host_port.len + 9 <= frame.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 9 || size > OUT_MAX / 2)
		return 0;
	uint8_t mend = data[0];
	size_t len = size - 1;
	uint8_t *frame = malloc(len);
	CHECK(frame != NULL);
	memcpy(frame, data + 1, len);
	struct sink sink = sink_of(frame, len);
	if (mend & 1) {
		size_t payload = len - 8 < mend >> 4 ? len - 8 : mend >> 4;
		sink_u32(&sink, (uint32_t)(len - 4));
		sink_u32(&sink, (uint32_t)(len - 8 - payload));
	}
	check_frame(span_of(frame, len));
	free(frame);
	return 0;
}
