/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka: frames and headers of the Kafka protocol, the table of its APIs, and the few requests
 * that must be looked into. What responses need is in kafka_versions.h and
 * kafka_rewrite.h.
 *
 *     request    i32 size | i16 key, i16 version, i32 correlation, string client_id, [tags] | body
 *     response   i32 size | i32 correlation, [tags]                                         | body
 *
 * A response says neither key nor version: whoever reads it must remember what was asked.
 *
 * Thread:   any (pure functions over spans)
 * Errors:   WIRE_MORE with why->need, WIRE_BAD with why->bad; results are written on WIRE_OK only
 */
#pragma once

#include <penstock/base/span.h>
#include <penstock/wire/wire.h>

#define KAFKA_NO_VERSION   INT16_MAX
#define KAFKA_FRAME_BROKER 104857600 /* a broker's socket.request.max.bytes */
#define KAFKA_FRAME_AUTH   524288    /* before authentication: sasl.server.max.receive.size */

enum kafka_bad {
	KAFKA_BAD_NONE,
#define KAFKA_BAD(NAME, name, text) KAFKA_BAD_##NAME,
#include <penstock/wire/kafka_bad.def>
#undef KAFKA_BAD
	KAFKA_BAD_COUNT
};
const char *kafka_bad_name(enum kafka_bad bad);
const char *kafka_bad_text(enum kafka_bad bad);

struct kafka_why {
	size_t need; /* WIRE_MORE: bytes wanted in all, from the beginning of the frame */
	enum kafka_bad bad;
};

/* ---- the table ------------------------------------------------------------------------------ */

enum kafka_key {
#define KAFKA_API(key, NAME, name, newest, flexible, way, since, access) KAFKA_##NAME = (key),
#include <penstock/wire/kafka_api.def>
#undef KAFKA_API
};

enum kafka_way {
	KAFKA_WAY_PASS,	    /* opaque: move its bytes */
	KAFKA_WAY_VERSIONS, /* kafka_versions_rewrite */
	KAFKA_WAY_PREFIX,   /* kafka_rewrite; what is behind the addresses passes unread */
	KAFKA_WAY_WHOLE,    /* kafka_rewrite on the whole frame */
	KAFKA_WAY_STREAM,   /* kafka_rewrite, or kafka_stream when the frame is long */
	KAFKA_WAY_NEVER,    /* may show addresses, and we cannot change them */
};

struct kafka_api {
	const char *name;
	int16_t newest, flexible, since;
	uint8_t way;
	bool is_write;
};

/* NULL: a key the table does not have. */
const struct kafka_api *kafka_api(int16_t key);
bool kafka_is_flexible(int16_t key, int16_t version);
/* What is to be done with the response to a request of this key and version. A version above the
 * newest is WAY_NEVER where any version has addresses; an unknown key is WAY_PASS: whether it may
 * be used at all is for kafka_policy_allows (kafka_versions.h). */
enum kafka_way kafka_way(int16_t key, int16_t version);

/* ---- requests ------------------------------------------------------------------------------- */

struct kafka_request {
	uint64_t frame_size; /* the size field included */
	int16_t key, version;
	int32_t correlation;
};

/* From the first 12 bytes. frame_max: bound of the size field. */
enum wire kafka_request_head(struct span bytes, uint32_t frame_max, struct kafka_request *ret,
			     struct kafka_why *why);
/* The client id; at == NULL: null, or a header without one. */
enum wire kafka_request_client(struct span bytes, const struct kafka_request *request,
			       struct span *ret_client, struct kafka_why *why);
/* As much of the body as is there. The key must be in the table. */
enum wire kafka_request_body(struct span bytes, const struct kafka_request *request,
			     struct span *ret_body, struct kafka_why *why);

/* Produce with acks == 0 has no response. */
enum wire kafka_produce_acks(struct span bytes, const struct kafka_request *request,
			     int16_t *ret_acks, struct kafka_why *why);

/* Asking for topics (Metadata) creates those that are not there, where brokers allow it
 * (auto.create.topics.enable), unless the request says not to, in a byte behind all topics. The
 * request is walked as it arrives; what is kept between two pieces is this. */
#define KAFKA_CREATION_SAID 4 /* the first version that has that byte */

struct kafka_creation {
	uint64_t left;	 /* of the request's frame */
	uint64_t skip;	 /* of that, of no interest */
	uint32_t topics; /* that are still to come */
	uint32_t tags;	 /* of the section at hand, likewise */
	uint8_t stage;
	bool is_flexible, has_ids, has_flag;
};

void kafka_creation_begin(struct kafka_creation *creation, const struct kafka_request *request);
/* `bytes` begin where the walk is, at first with the request's size field. *ret_taken of them, all
 * within the request, are done with, on WIRE_MORE too: then why->need bytes behind those taken are
 * wanted. WIRE_OK: *ret_is_asked: it may create topics, and the byte behind those taken says so.
 * Before KAFKA_CREATION_SAID there is no such byte, and topics are created if any is named. Not to
 * be called again after WIRE_OK or WIRE_BAD. */
enum wire kafka_creation_see(struct kafka_creation *creation, struct span bytes, size_t *ret_taken,
			     bool *ret_is_asked, struct kafka_why *why);

/* ---- responses ------------------------------------------------------------------------------ */

struct kafka_response {
	uint64_t frame_size; /* the size field included */
	int32_t correlation;
};

/* From the first 8 bytes. */
enum wire kafka_response_head(struct span bytes, uint32_t frame_max, struct kafka_response *ret,
			      struct kafka_why *why);

/* ---- what is no Kafka at all ---------------------------------------------------------------- */

/* What a client speaks whose first bytes are no request that can be taken. */
enum kafka_mistake {
	KAFKA_MISTAKE_NONE,
	KAFKA_MISTAKE_HTTP,
	KAFKA_MISTAKE_TLS,
	KAFKA_MISTAKE_PULSAR,
	KAFKA_MISTAKE_SSH,
	KAFKA_MISTAKE_PROXY
};
enum kafka_mistake kafka_mistake(struct span bytes);
/* What a TLS port says to plain requests: an alert, which a client would take for a frame of
 * 352 MB. */
bool kafka_is_tls_alert(struct span bytes);
