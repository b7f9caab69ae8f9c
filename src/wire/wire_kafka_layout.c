/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where the addresses are in the responses that have any (docs/KAFKA-FIELDS.md), field by field
 * from the size field on. Fields of no interest that follow each other are one SKIP; what is behind
 * the last address is walked too, so that a frame we misread is noticed at its end, except in
 * Metadata, whose topics may be megabytes.
 */
#include "wire_kafka_walk.h"

/* clang-format off */
#define SKIP(n)		 { .op = WIRE_KAFKA_SKIP, .bytes = (n) }
#define SKIP_SINCE(n, v) { .op = WIRE_KAFKA_SKIP, .bytes = (n), .since = (v) }
#define STRING		 { .op = WIRE_KAFKA_STRING }
#define STRING_SINCE(v)	 { .op = WIRE_KAFKA_STRING, .since = (v) }
#define STRING_UNTIL(v)	 { .op = WIRE_KAFKA_STRING, .until = (v) }
#define RECORDS		 { .op = WIRE_KAFKA_RECORDS }
#define TAGS		 { .op = WIRE_KAFKA_TAGS }
#define ARRAY		 { .op = WIRE_KAFKA_ARRAY }
#define END		 { .op = WIRE_KAFKA_END }
#define ENDPOINTS_OF(v)	 { .op = WIRE_KAFKA_ENDPOINTS_OF, .since = (v) }
#define NODE_ID		 { .op = WIRE_KAFKA_NODE_ID }
#define NODE		 { .op = WIRE_KAFKA_NODE }
#define NODE_RACK	 { .op = WIRE_KAFKA_NODE_RACK }
#define LISTENER	 { .op = WIRE_KAFKA_LISTENER }
#define FINISH		 { .op = WIRE_KAFKA_FINISH }
#define REST		 { .op = WIRE_KAFKA_REST }
#define TAIL_TAGS	 { .op = WIRE_KAFKA_TAIL_TAGS }
#define TAIL_ARRAY	 { .op = WIRE_KAFKA_TAIL_ARRAY }

#define HEADER SKIP(8), TAGS /* size, correlation */

static const struct wire_kafka_step endpoints[] = {
	ARRAY, NODE_RACK, TAGS, END,
	REST,
};

static const struct wire_kafka_step metadata_0[] = {
	HEADER,
	ARRAY, NODE, END,
	REST, /* topics */
};

static const struct wire_kafka_step metadata_1[] = {
	HEADER, SKIP_SINCE(4, 3), /* throttle */
	ARRAY, NODE_RACK, TAGS, END,
	REST, /* cluster, controller, topics */
};

static const struct wire_kafka_step find_coordinator_0[] = {
	HEADER, SKIP_SINCE(4, 1), SKIP(2), STRING_SINCE(1), /* throttle, error, message */
	NODE, TAGS,
	FINISH,
};

static const struct wire_kafka_step find_coordinator_4[] = {
	HEADER, SKIP(4), /* throttle */
	ARRAY, STRING, NODE, SKIP(2), STRING, TAGS, END, /* key, node, error, message */
	TAGS,
	FINISH,
};

static const struct wire_kafka_step describe_cluster[] = {
	HEADER, SKIP(4 + 2), STRING, /* throttle, error, message */
	ENDPOINTS_OF(1), STRING, SKIP(4), /* cluster, controller */
	ARRAY, NODE_RACK, SKIP_SINCE(1, 2), TAGS, END, /* is it fenced? */
	SKIP(4), TAGS, /* authorised operations */
	FINISH,
};

#define REPLICAS ARRAY, SKIP(4 + 16 + 8 + 8 + 8), TAGS, END

static const struct wire_kafka_step describe_quorum_2[] = {
	HEADER, SKIP(2), STRING, /* error, message */
	ARRAY, STRING, /* topic */
	ARRAY, SKIP(4 + 2), STRING, SKIP(4 + 4 + 8), /* partition, error; leader, epoch, high water */
	REPLICAS, REPLICAS, TAGS, END, /* voters, observers */
	TAGS, END,
	ARRAY, NODE_ID, ARRAY, LISTENER, TAGS, END, TAGS, END,
	TAGS,
	FINISH,
};

static const struct wire_kafka_step produce_10[] = {
	HEADER,
	ARRAY, STRING_UNTIL(12), SKIP_SINCE(16, 13), /* topic, by name or id */
	ARRAY, SKIP(4 + 2 + 8 + 8 + 8), /* partition, error, base, append time, start */
	ARRAY, SKIP(4), STRING, TAGS, END, STRING, TAGS, END, /* record errors, message */
	TAGS, END,
	SKIP(4), /* throttle */
	TAIL_TAGS,
};

static const struct wire_kafka_step fetch_16[] = {
	HEADER, SKIP(4 + 2 + 4), /* throttle, error, session */
	ARRAY, SKIP(16), /* topic */
	ARRAY, SKIP(4 + 2 + 8 + 8 + 8), /* partition, error, high water, last stable, start */
	ARRAY, SKIP(8 + 8), TAGS, END, SKIP(4), /* aborted transactions, preferred replica */
	RECORDS, TAGS, END,
	TAGS, END,
	TAIL_TAGS,
};

static const struct wire_kafka_step share_fetch[] = {
	HEADER, SKIP(4 + 2), STRING, SKIP_SINCE(4, 1), /* throttle, error, message, lock time */
	ARRAY, SKIP(16), /* topic */
	ARRAY, SKIP(4 + 2), STRING, SKIP(2), STRING, /* partition, its two errors */
	SKIP(4 + 4), TAGS, /* leader */
	RECORDS,
	ARRAY, SKIP(8 + 8 + 2), TAGS, END, TAGS, END, /* acquired records */
	TAGS, END,
	TAIL_ARRAY,
};

static const struct wire_kafka_step share_acknowledge[] = {
	HEADER, SKIP(4 + 2), STRING, SKIP_SINCE(4, 2), /* throttle, error, message, lock time */
	ARRAY, SKIP(16), /* topic */
	ARRAY, SKIP(4 + 2), STRING, SKIP(4 + 4), TAGS, TAGS, END, /* partition, error, leader */
	TAGS, END,
	TAIL_ARRAY,
};

static const struct wire_kafka_layout layouts[] = {
	[WIRE_KAFKA_LAYOUT_ENDPOINTS] = { -1, 0, 0, endpoints },
	{ KAFKA_METADATA, 0, 0, metadata_0 },
	{ KAFKA_METADATA, 1, 13, metadata_1 },
	{ KAFKA_FIND_COORDINATOR, 0, 3, find_coordinator_0 },
	{ KAFKA_FIND_COORDINATOR, 4, 6, find_coordinator_4 },
	{ KAFKA_DESCRIBE_CLUSTER, 0, 2, describe_cluster },
	{ KAFKA_DESCRIBE_QUORUM, 2, 2, describe_quorum_2 },
	{ KAFKA_PRODUCE, 10, 13, produce_10 },
	{ KAFKA_FETCH, 16, 18, fetch_16 },
	{ KAFKA_SHARE_FETCH, 0, 2, share_fetch },
	{ KAFKA_SHARE_ACKNOWLEDGE, 0, 2, share_acknowledge },
};
/* clang-format on */

int wire_kafka_layout_find(int16_t key, int16_t version)
{
	for (size_t i = WIRE_KAFKA_LAYOUT_ENDPOINTS + 1; i < COUNT_OF(layouts); i++) {
		const struct wire_kafka_layout *layout = &layouts[i];
		if (layout->key == key && version >= layout->since && version <= layout->until)
			return (int)i;
	}
	return -1;
}

const struct wire_kafka_layout *wire_kafka_layout(int index)
{
	CHECK(index >= 0 && (size_t)index < COUNT_OF(layouts));
	return &layouts[index];
}
