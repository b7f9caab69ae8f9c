/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Writing Pulsar frames: edits of a frame that was read, and the few frames of our own. An edit
 * leaves out some fields of the body, adds others behind the rest, and copies everything else as it
 * was written, whatever it is:
 *
 *     before   total cmd | 08 02 | 12 LEN  client_version  field 6  feature_flags  unknown |
 * payload after    total'cmd'| 08 02 | 12 LEN' client_version           feature_flags  unknown |
 * payload
 */
#include "wire_pulsar_priv.h"

/* The fields to add, as pieces: heads and numbers in `scratch`, contents where they are. */
struct pieces {
	struct span at[PULSAR_PIECES_MAX];
	uint32_t count;
	uint8_t scratch[96]; /* a tag and a number: 2 + 10 bytes at the most */
	struct sink sink;
};

static void pieces_init(struct pieces *pieces)
{
	pieces->count = 0;
	pieces->sink = sink_of(pieces->scratch, sizeof(pieces->scratch));
}

static void add(struct pieces *pieces, struct span piece)
{
	CHECK(pieces->count < PULSAR_PIECES_MAX && !pieces->sink.full);
	pieces->at[pieces->count++] = piece;
}

static void add_varint(struct pieces *pieces, uint32_t number, uint64_t value)
{
	size_t begin = pieces->sink.len;
	sink_varint(&pieces->sink, (uint64_t)number << 3 | WIRE_VARINT);
	sink_varint(&pieces->sink, value);
	add(pieces, span_of(pieces->scratch + begin, pieces->sink.len - begin));
}

/* Of a field that is `len` bytes. */
static void add_head(struct pieces *pieces, uint32_t number, size_t len)
{
	size_t begin = pieces->sink.len;
	sink_varint(&pieces->sink, (uint64_t)number << 3 | WIRE_BYTES);
	sink_varint(&pieces->sink, len);
	add(pieces, span_of(pieces->scratch + begin, pieces->sink.len - begin));
}

static void add_bytes(struct pieces *pieces, uint32_t number, struct span bytes)
{
	add_head(pieces, number, bytes.len);
	add(pieces, bytes);
}

static size_t pieces_size(const struct pieces *pieces)
{
	size_t size = 0;
	for (uint32_t i = 0; i < pieces->count; i++)
		size += pieces->at[i].len;
	return size;
}

static void put_pieces(struct sink *sink, const struct pieces *pieces)
{
	for (uint32_t i = 0; i < pieces->count; i++)
		sink_span(sink, pieces->at[i]);
}

/* ---- frames of our own ---------------------------------------------------------------------- */

/* Room for the two sizes; end_frame fills them in. */
static size_t begin_frame(struct sink *sink)
{
	size_t begin = sink->len;
	sink_u32(sink, 0);
	sink_u32(sink, 0);
	return begin;
}

static void end_frame(struct sink *sink, size_t begin, struct span payload)
{
	size_t command_size = sink->len - begin - 8;
	sink_span(sink, payload);
	if (sink->full)
		return;
	sink_patch_u32(sink, begin, (uint32_t)(4 + command_size + payload.len));
	sink_patch_u32(sink, begin + 4, (uint32_t)command_size);
}

static void put_frame(struct sink *sink, enum pulsar_type type, const struct pieces *pieces)
{
	size_t begin = begin_frame(sink);
	sink_varint(sink, 1 << 3 | WIRE_VARINT);
	sink_varint(sink, type);
	sink_varint(sink, (uint64_t)type << 3 | WIRE_BYTES);
	sink_varint(sink, pieces_size(pieces));
	put_pieces(sink, pieces);
	end_frame(sink, begin, span_of(NULL, 0));
}

void pulsar_write_lookup_answer(struct sink *sink, uint64_t request_id, struct span url)
{
	struct pieces pieces;
	pieces_init(&pieces);
	add_bytes(&pieces, 1, url);
	add_bytes(&pieces, 2, url);
	add_varint(&pieces, 3, PULSAR_LOOKUP_CONNECT);
	add_varint(&pieces, 4, request_id);
	add_varint(&pieces, 5, true); /* authoritative, as the owner itself would say */
	add_varint(&pieces, 8, true);
	put_frame(sink, PULSAR_LOOKUP_RESPONSE, &pieces);
}

void pulsar_write_lookup_failed(struct sink *sink, uint64_t request_id, enum pulsar_error error,
				const char *message)
{
	struct pieces pieces;
	pieces_init(&pieces);
	add_varint(&pieces, 3, PULSAR_LOOKUP_FAILED);
	add_varint(&pieces, 4, request_id);
	add_varint(&pieces, 6, error);
	add_bytes(&pieces, 7, span_str(message));
	put_frame(sink, PULSAR_LOOKUP_RESPONSE, &pieces);
}

void pulsar_write_error(struct sink *sink, uint64_t request_id, enum pulsar_error error,
			const char *message)
{
	struct pieces pieces;
	pieces_init(&pieces);
	add_varint(&pieces, 1, request_id);
	add_varint(&pieces, 2, error);
	add_bytes(&pieces, 3, span_str(message));
	put_frame(sink, PULSAR_ERROR, &pieces);
}

void pulsar_write_pong(struct sink *sink)
{
	struct pieces pieces;
	pieces_init(&pieces);
	put_frame(sink, PULSAR_PONG, &pieces);
}

/* A field that the other side may have left out. */
static void add_if(struct pieces *pieces, uint32_t number, struct span bytes)
{
	if (bytes.at != NULL)
		add_bytes(pieces, number, bytes);
}

void pulsar_write_connect_role(struct sink *sink, struct span frame, const struct pulsar_role *role)
{
	struct pulsar_connect connect;
	struct pieces pieces;
	if (pulsar_read_connect(frame, &connect) != WIRE_OK || role->principal.len == 0) {
		sink->full = true; /* without a principal it would be the proxy's own */
		return;
	}
	pieces_init(&pieces);
	/* Required, so there even if the client's was not. */
	add_bytes(&pieces, 1, connect.client_version);
	add_bytes(&pieces, 5, role->method);
	add_bytes(&pieces, 3, role->data);
	add_varint(&pieces, 4, connect.protocol_version);
	add_bytes(&pieces, 7, role->principal);
	add_if(&pieces, 8, role->original_data);
	add_if(&pieces, 9, role->original_method);
	add_if(&pieces, 10, connect.feature_flags);
	add_bytes(&pieces, 11, role->version);
	put_frame(sink, PULSAR_CONNECT, &pieces);
}

void pulsar_write_auth_response(struct sink *sink, struct span frame, struct span method,
				struct span data)
{
	struct pulsar_connect connect;
	struct pieces answer, pieces;
	if (pulsar_read_connect(frame, &connect) != WIRE_OK) {
		sink->full = true;
		return;
	}
	pieces_init(&answer);
	add_bytes(&answer, 1, method);
	add_bytes(&answer, 2, data);
	pieces_init(&pieces);
	add_bytes(&pieces, 1, connect.client_version);
	add_head(&pieces, 2, pieces_size(&answer));
	for (uint32_t i = 0; i < answer.count; i++)
		add(&pieces, answer.at[i]);
	add_varint(&pieces, 3, connect.protocol_version);
	put_frame(sink, PULSAR_AUTH_RESPONSE, &pieces);
}

/* ---- edits ---------------------------------------------------------------------------------- */

/* Is this field one of those to leave out? A bit of `drop` per field number. */
static bool is_dropped(const struct wire_field *field, uint32_t drop)
{
	return field->number < 32 && (drop >> field->number & 1) != 0;
}

/* What is left of the body. The walk has no shape: the caller has read the frame before. */
static size_t kept_size(struct span body, uint32_t drop)
{
	struct wire_walk walk = wire_walk_of(body, "");
	struct wire_field field;
	size_t size = 0;
	while (wire_walk_next(&walk, &field))
		size += is_dropped(&field, drop) ? 0 : field.whole.len;
	return size;
}

static void put_kept(struct sink *sink, struct span body, uint32_t drop)
{
	struct wire_walk walk = wire_walk_of(body, "");
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		if (!is_dropped(&field, drop))
			sink_span(sink, field.whole);
	}
	if (walk.is_bad)
		sink->full = true; /* never read, or not refused: nothing of it may be sent */
}

static void edit(struct sink *sink, struct span frame, enum pulsar_type type, uint32_t drop,
		 const struct pieces *pieces)
{
	struct pulsar_parts parts;
	if (pulsar_take_apart(frame, &parts) != WIRE_OK || parts.type != type) {
		sink->full = true;
		return;
	}
	size_t begin = begin_frame(sink);
	struct wire_walk walk = wire_walk_of(parts.command, PULSAR_SHAPE_BASE);
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		if (field.number != type) {
			sink_span(sink, field.whole);
			continue;
		}
		sink_span(sink, field.head);
		sink_varint(sink, kept_size(parts.body, drop) + pieces_size(pieces));
		put_kept(sink, parts.body, drop);
		put_pieces(sink, pieces);
	}
	end_frame(sink, begin, parts.payload);
}

void pulsar_write_connect_bare(struct sink *sink, struct span frame)
{
	struct pieces none;
	pieces_init(&none);
	edit(sink, frame, PULSAR_CONNECT, 1u << 6, &none);
}

void pulsar_write_connect_refreshed(struct sink *sink, struct span frame, struct span auth_data)
{
	struct pieces pieces;
	pieces_init(&pieces);
	add_bytes(&pieces, 3, auth_data);
	edit(sink, frame, PULSAR_CONNECT, 1u << 6 | 1u << 3, &pieces);
}

void pulsar_write_lookup_again(struct sink *sink, struct span frame, bool is_authoritative)
{
	struct pieces pieces;
	pieces_init(&pieces);
	add_varint(&pieces, 3, is_authoritative);
	edit(sink, frame, PULSAR_LOOKUP, 1u << 3, &pieces);
}

void pulsar_write_lookup_through(struct sink *sink, struct span frame, struct span url)
{
	struct pieces pieces;
	pieces_init(&pieces);
	add_bytes(&pieces, 1, url);
	add_bytes(&pieces, 2, url);
	add_varint(&pieces, 3, PULSAR_LOOKUP_CONNECT);
	add_varint(&pieces, 8, true);
	edit(sink, frame, PULSAR_LOOKUP_RESPONSE, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 8, &pieces);
}
