/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_read: Kafka's basic types off the front of a span, in both encodings: legacy lengths
 * are signed (-1: null), compact ones unsigned varints of length + 1 (0: null). Thread:   any (pure
 * functions over spans) Errors:   WIRE_MORE and WIRE_BAD leave `rest` as it was
 */
#pragma once

#include <penstock/base/span.h>
#include <penstock/wire/wire.h>

#define WIRE_KAFKA_VARINT_MAX 5

enum wire wire_kafka_i16(struct span *rest, int16_t *ret_value);
enum wire wire_kafka_i32(struct span *rest, int32_t *ret_value);
/* UNSIGNED_VARINT, at most 32 bits; more bytes than needed are allowed, as in every client. */
enum wire wire_kafka_varint(struct span *rest, uint32_t *ret_value);
size_t wire_kafka_varint_size(uint32_t value);

/* Number of entries; null has none. */
enum wire wire_kafka_count(struct span *rest, bool is_compact, uint32_t *ret_count);
/* Length of a string or of bytes, which follow; null has none. */
enum wire wire_kafka_string_len(struct span *rest, bool is_compact, uint32_t *ret_len);
enum wire wire_kafka_bytes_len(struct span *rest, bool is_compact, uint32_t *ret_len);
/* at == NULL: null. */
enum wire wire_kafka_string(struct span *rest, bool is_compact, struct span *ret_string);

struct wire_kafka_tag {
	uint32_t number;
	uint32_t size; /* of the content, which follows */
};
enum wire wire_kafka_tag(struct span *rest, struct wire_kafka_tag *ret_tag);
/* A whole section of tagged fields. */
enum wire wire_kafka_skip_tags(struct span *rest);

void wire_kafka_put_string(struct sink *sink, bool is_compact, struct span string);
/* A varint of exactly `size` bytes, which may be more than it needs. */
void wire_kafka_put_varint(struct sink *sink, uint32_t value, size_t size);
/* The same in front of what was written from offset `at` on. */
void wire_kafka_insert_varint(struct sink *sink, size_t at, uint32_t value, size_t size);
