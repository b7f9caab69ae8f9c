/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_kafka_frame: what clients of Kafka ask and brokers answer. What goes by unread is a pattern
 * of flow, request and place, as in sim_stream.h; an answer that names brokers names penstock where
 * it arrives:
 *
 *     LIST_OFFSETS   opaque                              PRODUCE   with acks 0: no answer at all
 *     METADATA       brokers, then a pattern             FETCH     a pattern, then brokers
 *
 *     CREATE_PARTITIONS  denied: goes nowhere, and the answer, which names the topics, is
 * penstock's
 */
#pragma once

#include "sim_frame.h"

#define SIM_KAFKA_SHORT \
	65536 /* up to here an answer is changed as a whole, and its length with it */

enum sim_kafka_key {
	SIM_KAFKA_PRODUCE = 0,
	SIM_KAFKA_FETCH = 1,
	SIM_KAFKA_OFFSETS = 2,
	SIM_KAFKA_METADATA = 3,
	SIM_KAFKA_HANDSHAKE = 17,
	SIM_KAFKA_VERSIONS = 18,
	SIM_KAFKA_TOKEN = 36,
	SIM_KAFKA_PARTITIONS = 37,
};

struct sim_kafka_call {
	uint32_t flow, index; /* whose it is, and its place in the row */
	enum sim_kafka_key key;
	bool is_mute;		   /* PRODUCE with acks 0 */
	bool is_denied;		   /* CREATE_PARTITIONS */
	uint32_t question, answer; /* bytes of pattern */
};

/* How many brokers answers name. */
uint32_t sim_kafka_nodes(void);
/* The highest byte first. */
void sim_kafka_put(struct sim_text *text, uint64_t value, uint32_t bytes);
uint32_t sim_kafka_u32(const uint8_t *at);
/* The size in front of a frame that began at `begin`, now that it is known. */
void sim_kafka_put_size(struct sim_text *text, size_t begin);
void sim_kafka_put_request(struct sim_text *text, const struct sim_kafka_call *call);
/* As the broker says it, or (not is_real) as it is to arrive. */
void sim_kafka_put_answer(struct sim_text *text, const struct sim_kafka_call *call, bool is_real);
