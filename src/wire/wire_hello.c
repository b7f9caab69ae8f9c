/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From bytes to a whole ClientHello message: records are followed by their headers, and their
 * fragments put together when there are several.
 *
 *     bytes  | head | fragment        | head | fragment ...      |
 *                                                  ^ bytes.len   ^ reader->end
 *              `promised` counts the fragments up to reader->end
 */
#include "wire_hello_priv.h"

#include <penstock/wire/pulsar.h>

#define RECORD_HEAD  5
#define RECORD_MOST  16384
#define MESSAGE_HEAD 4
#define CLIENT_HELLO 1
#define TELL_BYTES   10 /* as many as any other protocol needs to be told by */

enum record_type { RECORD_CHANGE_CIPHER_SPEC = 20, RECORD_HANDSHAKE = 22, RECORD_HEARTBEAT = 24 };

const struct hello_fault_row hello_faults[HELLO_FAULTS] = {
	[HELLO_FINE] = { .name = "fine", .text = "a ClientHello" },
#define HELLO(NAME, word, ALERT, sentence) \
	[HELLO_##NAME] = { .name = #word, .text = sentence, .alert = HELLO_ALERT_##ALERT },
#include <penstock/wire/hello.def>
#undef HELLO
};

static enum wire want(struct hello *hello, size_t need)
{
	hello->need = need;
	return WIRE_MORE;
}

static enum wire refuse(struct hello *hello, enum hello_fault fault)
{
	hello->fault = fault;
	return WIRE_BAD;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- other protocols ------------------------------------------------------------------------ */

/* u16 length with the top bit set, message type 1, version 0.2 or 3.x (RFC 5246 E.2). */
static bool is_sslv2(struct span bytes)
{
	uint16_t size, version;
	uint8_t type;
	return span_u16(&bytes, &size) && span_u8(&bytes, &type) && span_u16(&bytes, &version) &&
	       size >= 0x8000 && type == CLIENT_HELLO && (version == 0x0002 || version >> 8 == 3);
}

static enum hello_fault what_else(struct span bytes)
{
	struct pulsar_head head;
	size_t need;
	if (is_sslv2(bytes))
		return HELLO_SSLV2;
	if (pulsar_head(bytes, &head, &need) == WIRE_OK && head.type == PULSAR_CONNECT)
		return HELLO_PULSAR;
	switch (pulsar_mistake(bytes)) {
	case PULSAR_MISTAKE_HTTP:
		return HELLO_HTTP;
	case PULSAR_MISTAKE_KAFKA:
		return HELLO_KAFKA;
	case PULSAR_MISTAKE_SSH:
		return HELLO_SSH;
	case PULSAR_MISTAKE_PROXY:
		return HELLO_PROXY;
	case PULSAR_MISTAKE_TLS:
	case PULSAR_MISTAKE_NONE:
		break;
	}
	return HELLO_OTHER;
}

static bool may_be_tls(uint8_t first)
{
	return first >= RECORD_CHANGE_CIPHER_SPEC && first <= RECORD_HEARTBEAT;
}

/* ---- records -------------------------------------------------------------------------------- */

/* Fragments, whole or not, until the sink is full or the bytes end. */
static void gather(struct span bytes, struct sink *sink)
{
	struct span fragment;
	uint16_t len;
	while (sink->len < sink->size && span_skip(&bytes, RECORD_HEAD - 2) &&
	       span_u16(&bytes, &len) &&
	       span_take(&bytes, least(least(len, bytes.len), sink->size - sink->len), &fragment))
		sink_span(sink, fragment);
}

/* The header at reader->end. */
static enum wire next_record(struct hello_reader *reader, struct span bytes, struct hello *hello)
{
	struct span rest = bytes;
	uint8_t type, major, minor;
	uint16_t len;
	if (reader->end + RECORD_HEAD >= reader->most)
		return refuse(hello, HELLO_MESSAGE_LONG);
	if (!span_skip(&rest, reader->end) || !span_u8(&rest, &type) || !span_u8(&rest, &major) ||
	    !span_u8(&rest, &minor) || !span_u16(&rest, &len))
		return want(hello, reader->end + RECORD_HEAD);
	if (major != 3)
		return refuse(hello, HELLO_RECORD_VERSION);
	if (type != RECORD_HANDSHAKE)
		return refuse(hello, HELLO_RECORD_TYPE);
	if (len == 0)
		return refuse(hello, HELLO_RECORD_EMPTY);
	if (len > RECORD_MOST)
		return refuse(hello, HELLO_RECORD_LONG);
	if (reader->end + RECORD_HEAD + len > reader->most)
		return refuse(hello, HELLO_MESSAGE_LONG);
	reader->end += RECORD_HEAD + len;
	reader->promised += len;
	return WIRE_OK;
}

/* The head of the message, as far as it is there. */
static enum hello_fault see_message(struct hello_reader *reader, struct span bytes)
{
	uint8_t head[MESSAGE_HEAD];
	struct sink sink = sink_of(head, sizeof(head));
	uint32_t size;
	if (reader->size != 0)
		return HELLO_FINE;
	gather(span_of(bytes.at, least(bytes.len, reader->end)), &sink);
	if (sink.len > 0 && head[0] != CLIENT_HELLO)
		return HELLO_MESSAGE_TYPE;
	struct span rest = sink_written(&sink);
	if (!span_u32(&rest, &size))
		return HELLO_FINE;
	size = MESSAGE_HEAD + (size & 0xffffff);
	if (size > reader->most - RECORD_HEAD)
		return HELLO_MESSAGE_LONG;
	reader->size = size;
	return HELLO_FINE;
}

/* Goes on from record to record until they hold the message and all of them is there. */
static enum wire follow(struct hello_reader *reader, struct span bytes, struct hello *hello)
{
	for (;;) {
		enum hello_fault fault = see_message(reader, bytes);
		if (fault != HELLO_FINE)
			return refuse(hello, fault);
		if (reader->size == 0 && reader->promised >= MESSAGE_HEAD) /* its fourth byte */
			return want(hello, reader->end - (reader->promised - MESSAGE_HEAD));
		if (reader->size != 0 && reader->promised > reader->size)
			return refuse(hello, HELLO_MESSAGE_TAIL);
		if (reader->size != 0 && reader->promised == reader->size)
			return bytes.len < reader->end ? want(hello, reader->end) : WIRE_OK;
		enum wire res = next_record(reader, bytes, hello);
		if (res != WIRE_OK)
			return res;
	}
}

/* The fields of the message: where they are, or put together in `scratch`. */
static struct span join(struct span records, uint32_t size, uint8_t *scratch)
{
	struct sink sink = sink_of(scratch, size);
	struct span fields = records;
	size_t heads = RECORD_HEAD + MESSAGE_HEAD;
	if (records.len > RECORD_HEAD + size) {
		gather(records, &sink);
		fields = sink_written(&sink);
		heads = MESSAGE_HEAD;
	}
	bool is_there = span_skip(&fields, heads);
	CHECK(is_there && fields.len == size - MESSAGE_HEAD);
	return fields;
}

/* ---- hello.h -------------------------------------------------------------------------------- */

void hello_begin(struct hello_reader *reader, uint32_t most)
{
	CHECK(most >= 16);
	*reader = (struct hello_reader){ .most = most };
}

enum wire hello_read(struct hello_reader *reader, struct span bytes, uint8_t *scratch,
		     struct hello *ret_hello)
{
	*ret_hello = (struct hello){ .fault = HELLO_FINE };
	if (bytes.len > 0 && !may_be_tls(bytes.at[0])) {
		if (bytes.len < TELL_BYTES)
			return want(ret_hello, TELL_BYTES);
		return refuse(ret_hello, what_else(span_of(bytes.at, TELL_BYTES)));
	}
	enum wire res = follow(reader, bytes, ret_hello);
	if (res != WIRE_OK)
		return res;
	ret_hello->size = reader->end;
	struct span fields = join(span_of(bytes.at, reader->end), reader->size, scratch);
	enum hello_fault fault = wire_hello_body(fields, ret_hello);
	return fault == HELLO_FINE ? WIRE_OK : refuse(ret_hello, fault);
}

enum hello_alert hello_no_name_alert(const struct hello *hello)
{
	return hello->version >= 0x0304 ? HELLO_ALERT_MISSING_EXTENSION
					: HELLO_ALERT_HANDSHAKE_FAILURE;
}

void hello_write_alert(struct sink *sink, const struct hello *hello, enum hello_alert alert)
{
	/* TLS 1.3 writes 1.2 on its records (RFC 8446 5.1); an older client is met at its own. */
	bool is_old = hello->version != 0 && hello->version < 0x0303;
	sink_u8(sink, 21);
	sink_u16(sink, is_old ? hello->version : 0x0303);
	sink_u16(sink, 2);
	sink_u8(sink, 2); /* fatal */
	sink_u8(sink, (uint8_t)alert);
}
