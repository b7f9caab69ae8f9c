/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_rewrite: brokers' addresses in responses replaced by the names clients know them by
 * (docs/KAFKA-FIELDS.md). Node ids, and every byte that is no address, stay.
 *
 *     whole, prefix   kafka_rewrite: the addresses are changed and the size field with them
 *     stream          kafka_stream: a long response goes by piece by piece, its record bodies
 *                     unseen; only its tail, where the addresses are, is held back and changed, and
 *                     keeps its length, because the size went out long before:
 *
 *     size | head, topics, partitions, records, partitions, records, ... | tail
 *          |<- passed: heads are seen, records are not ----------------->|<- held, replaced ->|
 *
 * Thread:   any; a stream belongs to one connection
 * Memory:   a stream is a few dozen bytes inside its owner
 * Errors:   as in wire/kafka.h
 */
#pragma once

#include <penstock/wire/kafka.h>

enum kafka_node_kind { KAFKA_NODE_BROKER, KAFKA_NODE_CONTROLLER };

/* An address as the broker wrote it; spans are into the frame. */
struct kafka_node {
	enum kafka_node_kind kind;
	int32_t id;
	struct span host;
	int32_t port;
	struct span rack;     /* at == NULL: none, or not said here */
	struct span listener; /* of a controller in DescribeQuorum */
};
struct kafka_name {
	struct span host; /* at most INT16_MAX bytes */
	uint16_t port;
};

/* How clients reach a node. Asked for every address but that of "no node" (id -1, no host), maybe
 * more than once for the same one, also for one that is then left out. false: nothing can be said;
 * the frame is refused. */
struct kafka_names {
	bool (*name)(void *owner, const struct kafka_node *node, struct kafka_name *ret_name);
	void *owner;
};

/* Take `taken` bytes of the frame and send what is in the sink instead; then let `pass` bytes go
 * by. Where nothing was to be changed taken is 0 and the sink empty. taken + pass: the frame. */
struct kafka_rewritten {
	size_t taken;
	uint64_t pass;
	uint32_t nodes; /* addresses replaced */
};

/* For ways PREFIX, WHOLE and STREAM. `bytes` begins with a response's size field; bytes behind the
 * frame are not looked at. The sink is written on WIRE_OK only, as far as the caller can tell. */
enum wire kafka_rewrite(struct span bytes, int16_t key, int16_t version,
			const struct kafka_names *names, struct sink *sink,
			struct kafka_rewritten *ret, struct kafka_why *why);

/* ---- long responses ------------------------------------------------------------------------- */

#define KAFKA_TAIL_MAX	 65536 /* addresses behind the records of one response */
#define KAFKA_WALK_LOOPS 3     /* arrays within arrays */

/* Where a walk through a response stands: after which field, in which entries of which arrays. */
struct kafka_walk {
	uint64_t left;			    /* bytes of the frame not walked yet */
	uint32_t entries[KAFKA_WALK_LOOPS]; /* of each array begun, the present entry included */
	uint32_t tags;			    /* tagged fields left of the section begun */
	int32_t node;			    /* whose listeners these are */
	uint8_t first[KAFKA_WALK_LOOPS];    /* the step each array's entries begin with */
	uint8_t loops;
	uint8_t layout, step;
	uint8_t version;
	bool is_flexible, is_controller;
	uint8_t bad; /* enum kafka_bad */
};

struct kafka_stream {
	struct kafka_walk walk;
	uint32_t bulk; /* the last record body; the next one is taken to be like it */
};

enum kafka_stream_what {
	KAFKA_STREAM_NEED, /* show at least `n` bytes; reading more than `max` now is a waste */
	KAFKA_STREAM_PASS, /* the next n bytes go by; they may be more than were shown */
	KAFKA_STREAM_EMIT, /* the next n bytes, the last of the frame, are replaced by the sink's n
			    */
	KAFKA_STREAM_BAD,
};

struct kafka_stream_step {
	enum kafka_stream_what what;
	uint64_t n;
	size_t max;
	uint32_t nodes; /* addresses replaced */
	bool is_bare;	/* the new ones would have been longer: all are left out */
	bool is_last;	/* the frame ends with these n bytes */
	enum kafka_bad bad;
};

/* For way STREAM, from the size field of a response on. */
void kafka_stream_begin(struct kafka_stream *stream, int16_t key, int16_t version,
			uint64_t frame_size);
/* `bytes` is what follows all that earlier steps took; it may be empty, and may reach beyond the
 * frame. The sink needs room for a tail. After is_last or BAD there are no more steps. */
void kafka_stream_see(struct kafka_stream *stream, struct span bytes,
		      const struct kafka_names *names, struct sink *sink,
		      struct kafka_stream_step *ret);
