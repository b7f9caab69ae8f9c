/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ClientHellos: every beginning of an answer wants more, an answer is the same however the message
 * is cut into records, and a name that comes out is a host name. The input is read as it is, and
 * once more as the extensions of a hello whose lengths all fit, so that mutations inside of them
 * are not stopped by those lengths.
 */
#include "fuzz.h"

#include <penstock/base/addr.h>
#include <penstock/wire/hello.h>

#define MOST	    65536
#define RECORD_MOST 16384

static uint8_t scratch[2][MOST], message_bytes[MOST], stream_bytes[8 * MOST];

static enum wire read_new(struct span bytes, uint8_t *into, struct hello *ret_hello)
{
	struct hello_reader reader;
	hello_begin(&reader, MOST);
	enum wire res = hello_read(&reader, bytes, into, ret_hello);
	CHECK((res == WIRE_BAD) == (ret_hello->fault != HELLO_FINE));
	CHECK((res == WIRE_MORE) == (ret_hello->need > 0));
	return res;
}

static bool is_same(struct span a, struct span b)
{
	return (a.at == NULL) == (b.at == NULL) && span_equal(a, b);
}

static void check_good(const struct hello *hello)
{
	struct span rest = hello->alpn, protocol;
	while (hello_alpn_next(&rest, &protocol))
		CHECK(protocol.len > 0 && protocol.len < 256);
	CHECK(rest.len == 0);
	CHECK(hello->version == 0 || hello->version >> 8 == 3);
	CHECK(hello->name.at != NULL || !hello->is_literal);
	CHECK(hello->name.at == NULL || hello->is_literal || addr_is_host(hello->name));
	CHECK(hello->name.at == NULL || span_find(hello->name, 0) == hello->name.len);
}

/* By one reader, beginning after beginning in steps of `step`. */
static void check_splits(struct span stream, size_t step, enum wire res, const struct hello *whole)
{
	struct hello_reader reader;
	struct hello part;
	hello_begin(&reader, MOST);
	for (size_t len = 0; len <= stream.len; len += step) {
		enum wire now = hello_read(&reader, span_of(stream.at, len), scratch[1], &part);
		if (now == WIRE_MORE) {
			CHECK(part.need > len && part.need <= MOST);
			CHECK(res != WIRE_OK || (len < whole->size && part.need <= whole->size));
			continue;
		}
		CHECK(now == res && part.fault == whole->fault && part.size == whole->size);
		CHECK(is_same(part.name, whole->name) && is_same(part.alpn, whole->alpn));
		return;
	}
}

static struct span unframe(struct span stream)
{
	struct sink sink = sink_of(message_bytes, sizeof(message_bytes));
	struct span fragment;
	uint16_t len;
	while (span_skip(&stream, 3) && span_u16(&stream, &len)) {
		CHECK(span_take(&stream, len, &fragment));
		sink_span(&sink, fragment);
	}
	CHECK(!sink.full && stream.len == 0);
	return sink_written(&sink);
}

static struct span frame(struct span message, size_t each)
{
	struct sink sink = sink_of(stream_bytes, sizeof(stream_bytes));
	while (message.len > 0) {
		struct span fragment;
		CHECK(span_take(&message, each < message.len ? each : message.len, &fragment));
		sink_bytes(&sink, "\x16\x03\x01", 3);
		sink_u16(&sink, (uint16_t)fragment.len);
		sink_span(&sink, fragment);
	}
	CHECK(!sink.full);
	return sink_written(&sink);
}

/* The same message in records of another size. */
static void check_records(struct span stream, enum wire res, const struct hello *whole)
{
	struct span message = unframe(span_of(stream.at, whole->size));
	for (size_t each = 1; each < 2 * message.len; each = each * 3 + 1) {
		struct hello again;
		struct span framed = frame(message, each < RECORD_MOST ? each : RECORD_MOST);
		if (framed.len > MOST)
			continue;
		CHECK(read_new(framed, scratch[1], &again) == res);
		CHECK(again.fault == whole->fault && again.size == framed.len);
		CHECK(is_same(again.name, whole->name) && is_same(again.alpn, whole->alpn));
		CHECK(again.version == whole->version && again.has_ech == whole->has_ech);
		CHECK(again.is_literal == whole->is_literal);
	}
}

static void check_stream(struct span stream)
{
	struct hello whole;
	enum wire res = read_new(stream, scratch[0], &whole);
	check_splits(stream, stream.len > 2000 ? stream.len / 100 : 1, res, &whole);
	if (res == WIRE_OK)
		check_good(&whole);
	if (whole.size > 0) /* a message is there, good or not */
		check_records(stream, res, &whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[MOST];
	struct sink message = sink_of(bytes, sizeof(bytes));
	check_stream(span_of(data, size));
	if (size > MOST - 100)
		return 0;
	sink_u32(&message, 1u << 24 | (uint32_t)(43 + size));
	sink_u16(&message, 0x0303);
	sink_bytes(&message, "0123456789abcdef0123456789abcdef\0\0\x02\x13\x01\x01\0", 39);
	sink_u16(&message, (uint16_t)size);
	sink_bytes(&message, data, size);
	struct span framed = frame(sink_written(&message), RECORD_MOST);
	uint8_t *stream = malloc(framed.len);
	CHECK(stream != NULL);
	memcpy(stream, framed.at, framed.len);
	check_stream(span_of(stream, framed.len));
	free(stream);
	return 0;
}
