/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim_kafka_frame.h"

#include <stdio.h>
#include <string.h>

#include "sim_kafka.h"
#include "sim_stream.h"
#include "sim_town.h"

#define NODES_MAX 8
#define BROKERS	  7500 /* of a partition */
#define MESSAGE	  "penstock: this call is denied (api_denied)"

/* ---- bytes ---- */

void sim_kafka_put(struct sim_text *text, uint64_t value, uint32_t bytes)
{
	uint8_t at[8];

	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	sim_frame_append(text, at, bytes);
}

uint32_t sim_kafka_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_uvarint(struct sim_text *text, uint32_t value)
{
	for (; value >= 128; value >>= 7)
		sim_kafka_put(text, value | 128, 1);
	sim_kafka_put(text, value, 1);
}

void sim_kafka_put_size(struct sim_text *text, size_t begin)
{
	size_t size = text->len - begin - 4;

	for (uint32_t i = 0; i < 4; i++)
		text->at[begin + i] = (uint8_t)(size >> (24 - 8 * i));
}

static uint32_t pattern_of(const struct sim_kafka_call *call, bool is_answer)
{
	return call->flow * 1000 + call->index * 2 + is_answer + 1;
}

static void put_pattern(struct sim_text *text, uint32_t number, uint32_t len)
{
	uint8_t bytes[4096];

	for (uint32_t at = 0; at < len;) {
		uint32_t n = len - at < sizeof(bytes) ? len - at : (uint32_t)sizeof(bytes);

		sim_stream_pattern(number, at, bytes, n);
		sim_frame_append(text, bytes, n);
		at += n;
	}
}

/* ---- frames ---- */

uint32_t sim_kafka_nodes(void)
{
	uint32_t count = sim_plan.brokers + sim_plan.hidden;

	return count < NODES_MAX ? count : NODES_MAX;
}

/* As brokers call themselves, or as penstock calls them. */
static const char *host_of(uint32_t node, bool is_real)
{
	return is_real ? sim_town_host(node) : SIM_KAFKA_HOST;
}

static uint32_t port_of(uint32_t node, bool is_real)
{
	return is_real ? SIM_KAFKA_PORT : SIM_KAFKA_BASE + node;
}

static uint32_t topic_count(const struct sim_kafka_call *call)
{
	return 1 + call->index % 3;
}

static void put_topic_name(struct sim_text *text, const struct sim_kafka_call *call, uint32_t topic)
{
	char name[48];
	int len = snprintf(name, sizeof(name), "topic-%u-%u-%u", call->flow, call->index, topic);

	sim_kafka_put(text, (uint64_t)len, 2);
	sim_frame_append(text, name, (size_t)len);
}

/* Topics that are to have more partitions, each on so many brokers that the request is long. */
static void put_topics(struct sim_text *text, const struct sim_kafka_call *call)
{
	uint32_t left = call->question / 4;

	sim_kafka_put(text, topic_count(call), 4);
	for (uint32_t topic = 0; topic < topic_count(call); topic++) {
		uint32_t partitions = topic + 1 < topic_count(call) ? 1 : left / BROKERS + 1;

		put_topic_name(text, call, topic);
		sim_kafka_put(text, partitions, 4);
		sim_kafka_put(text, partitions, 4);
		for (uint32_t i = 0; i < partitions; i++) {
			uint32_t brokers = left < BROKERS ? left : BROKERS;

			sim_kafka_put(text, brokers, 4);
			put_pattern(text, pattern_of(call, false), 4 * brokers);
			left -= brokers;
		}
	}
	sim_kafka_put(text, 0, 4); /* no time is given */
	sim_kafka_put(text, 0, 1);
}

void sim_kafka_put_request(struct sim_text *text, const struct sim_kafka_call *call)
{
	static const uint16_t versions[] = {
		[SIM_KAFKA_PRODUCE] = 3,  [SIM_KAFKA_FETCH] = 16,     [SIM_KAFKA_OFFSETS] = 5,
		[SIM_KAFKA_METADATA] = 0, [SIM_KAFKA_PARTITIONS] = 0,
	};
	char name[32];
	int len = snprintf(name, sizeof(name), "sim-%u", call->flow);
	size_t begin = text->len;

	sim_kafka_put(text, 0, 4);
	sim_kafka_put(text, call->key, 2);
	sim_kafka_put(text, versions[call->key], 2);
	sim_kafka_put(text, call->index, 4);
	sim_kafka_put(text, (uint64_t)len, 2);
	sim_frame_append(text, name, (size_t)len);
	if (call->key == SIM_KAFKA_FETCH)
		sim_kafka_put(text, 0, 1); /* no tagged fields in the header */
	if (call->key == SIM_KAFKA_PRODUCE) {
		sim_kafka_put(text, UINT16_MAX, 2); /* no transaction */
		sim_kafka_put(text, call->is_mute ? 0 : 1, 2);
	}
	if (call->key == SIM_KAFKA_PARTITIONS)
		put_topics(text, call);
	else
		put_pattern(text, pattern_of(call, false), call->question);
	sim_kafka_put_size(text, begin);
}

/* Metadata v0: the brokers, then topics, which nobody reads. */
static void put_metadata(struct sim_text *text, bool is_real)
{
	sim_kafka_put(text, sim_kafka_nodes(), 4);
	for (uint32_t node = 0; node < sim_kafka_nodes(); node++) {
		const char *host = host_of(node, is_real);

		sim_kafka_put(text, node, 4);
		sim_kafka_put(text, strlen(host), 2);
		sim_frame_append(text, host, strlen(host));
		sim_kafka_put(text, port_of(node, is_real), 4);
	}
}

/* The endpoints behind the records of Fetch v16, as a tagged field. */
static void put_endpoints(struct sim_text *text, uint32_t node, bool is_real)
{
	const char *host = host_of(node, is_real);
	struct sim_text field = { 0 };

	put_uvarint(&field, 2);
	sim_kafka_put(&field, node, 4);
	put_uvarint(&field, (uint32_t)strlen(host) + 1);
	sim_frame_append(&field, host, strlen(host));
	sim_kafka_put(&field, port_of(node, is_real), 4);
	sim_kafka_put(&field, 0, 2); /* no rack, no tagged fields */
	put_uvarint(text, 1);
	put_uvarint(text, 0);
	put_uvarint(text, (uint32_t)field.len);
	sim_frame_append(text, field.at, field.len);
	sim_frame_free(&field);
}

/* One topic, one partition, with so many bytes of records. */
static void put_fetch_head(struct sim_text *text, uint32_t records)
{
	sim_kafka_put(text, 0, 1); /* tagged fields of the header */
	sim_kafka_put(text, 0, 4 + 2 + 4 - 4);
	sim_kafka_put(text, 0, 4);
	put_uvarint(text, 2);
	sim_kafka_put(text, 7, 8);
	sim_kafka_put(text, 7, 8);
	put_uvarint(text, 2);
	sim_kafka_put(text, 3, 4);
	sim_kafka_put(text, 0, 2);
	for (uint32_t i = 0; i < 3; i++)
		sim_kafka_put(text, i, 8);
	put_uvarint(text, 0);
	sim_kafka_put(text, UINT32_MAX, 4);
	put_uvarint(text, records + 1);
}

/* Of each topic that it may not be touched. */
static void put_denial(struct sim_text *text, const struct sim_kafka_call *call)
{
	sim_kafka_put(text, 0, 4); /* no throttling */
	sim_kafka_put(text, topic_count(call), 4);
	for (uint32_t topic = 0; topic < topic_count(call); topic++) {
		put_topic_name(text, call, topic);
		sim_kafka_put(text, 29, 2); /* TOPIC_AUTHORIZATION_FAILED */
		sim_kafka_put(text, strlen(MESSAGE), 2);
		sim_frame_append(text, MESSAGE, strlen(MESSAGE));
	}
}

void sim_kafka_put_answer(struct sim_text *text, const struct sim_kafka_call *call, bool is_real)
{
	size_t begin = text->len;

	sim_kafka_put(text, 0, 4);
	sim_kafka_put(text, call->index, 4);
	if (call->key == SIM_KAFKA_METADATA)
		put_metadata(text, is_real);
	if (call->key == SIM_KAFKA_FETCH)
		put_fetch_head(text, call->answer);
	if (call->key == SIM_KAFKA_PARTITIONS)
		put_denial(text, call);
	else
		put_pattern(text, pattern_of(call, true), call->answer);
	if (call->key == SIM_KAFKA_FETCH) {
		sim_kafka_put(text, 0, 2); /* tagged fields of the partition and of the topic */
		put_endpoints(text, call->index % sim_kafka_nodes(), is_real);
	}
	sim_kafka_put_size(text, begin);
}
