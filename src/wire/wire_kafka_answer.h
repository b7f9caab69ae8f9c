/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire_kafka_answer: what all errors said in a broker's place are made of.
 * Thread:   any
 */
#pragma once

#include <penstock/wire/kafka.h>

enum wire_kafka_denied {
	TOPIC_DENIED = 29, /* ..._AUTHORIZATION_FAILED, Kafka's numbers */
	GROUP_DENIED = 30,
	CLUSTER_DENIED = 31,
	TRANSACTIONAL_ID_DENIED = 53,
};

/* A line of kafka_answer.def or kafka_refusal.def. */
struct wire_kafka_row {
	int16_t key;
	int16_t since, until; /* versions */
	uint16_t error;
	const char *layout;
};
#define WIRE_KAFKA_ROW(NAME, from, to, ERROR, letters) \
	{ KAFKA_##NAME, (from), (to), ERROR##_DENIED, (letters) },

/* The row for this key and version, or NULL. */
const struct wire_kafka_row *wire_kafka_row_of(const struct wire_kafka_row *rows, size_t count,
					       const struct kafka_request *request);
/* A response's header; its size is for wire_kafka_answer_end. */
void wire_kafka_answer_begin(struct sink *sink, const struct kafka_request *request,
			     bool is_flexible);
/* A letter of kafka_answer.def. */
void wire_kafka_answer_field(struct sink *sink, char letter, uint16_t error, bool is_flexible);
/* The response began at offset `begin`. */
void wire_kafka_answer_end(struct sink *sink, size_t begin);
