/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/pulsar: the few Pulsar frames penstock reads or writes, on their wire form. Edits keep every
 * byte they do not mean to change, unknown fields included.
 *
 *     u32 totalSize | u32 commandSize | BaseCommand | (payload)
 *     BaseCommand: 08 type, then field `type` with the command
 *
 * Source:   PulsarApi.proto of Pulsar 4.0 / 5.0, Commands.java
 * Thread:   any (pure functions over spans)
 * Errors:   WIRE_MORE: not enough bytes yet; WIRE_BAD: cannot be a frame
 */
#pragma once

#include <penstock/base/span.h>
#include <penstock/wire/wire.h>

#define PULSAR_FRAME_DEFAULT (5242880 + 10240) /* C/Commands.java:129-131 */
#define PULSAR_HEAD_MAX	     16 /* bytes that always show the type: 4 + 4 + tag + 5-byte varint */
#define PULSAR_PIECES_MAX    20

enum pulsar_type {
	PULSAR_CONNECT = 2,
	PULSAR_CONNECTED = 3,
	PULSAR_ERROR = 14,
	PULSAR_PING = 18,
	PULSAR_PONG = 19,
	PULSAR_PARTITIONED_METADATA = 21,
	PULSAR_LOOKUP = 23,
	PULSAR_LOOKUP_RESPONSE = 24,
	PULSAR_GET_TOPICS_OF_NAMESPACE = 32,
	PULSAR_GET_SCHEMA = 34,
	PULSAR_AUTH_CHALLENGE = 36,
	PULSAR_AUTH_RESPONSE = 37,
};

enum pulsar_error {
	PULSAR_AUTHENTICATION_ERROR = 3,
	PULSAR_AUTHORIZATION_ERROR = 4,
	PULSAR_SERVICE_NOT_READY = 6,
	PULSAR_UNSUPPORTED_VERSION = 10,
	PULSAR_TOO_MANY_REQUESTS = 14,
	PULSAR_NOT_ALLOWED = 22,
};

enum pulsar_lookup_type {
	PULSAR_LOOKUP_REDIRECT = 0,
	PULSAR_LOOKUP_CONNECT = 1,
	PULSAR_LOOKUP_FAILED = 2,
};

struct pulsar_head {
	uint64_t frame_size; /* the whole frame, its length field included */
	uint32_t command_size;
	uint32_t type;
};

/* Reads sizes and type from the first bytes of a frame. *ret_need: bytes wanted on WIRE_MORE. */
enum wire pulsar_head(struct span bytes, struct pulsar_head *ret_head, size_t *ret_need);

/* Every pointer below is into the frame; at == NULL: the field is absent. */
struct pulsar_connect {
	struct span proxy_to_broker_url; /* field 6; present and empty: any broker */
	struct span auth_method_name;
	struct span auth_data;
	bool has_original;	  /* fields 7, 8 or 9 */
	bool has_proxy_version;	  /* field 11 */
	bool is_auth_multi_round; /* method "sasl": a single replay cannot work */
	uint64_t protocol_version;
	struct span client_version;
	struct span feature_flags;
	bool has_old_method; /* field 2, the method as an enum, and a method it is */
};
struct pulsar_connected {
	uint64_t max_message_size; /* 0: absent */
	uint64_t protocol_version;
};
struct pulsar_lookup {
	struct span topic;
	uint64_t request_id;
	bool is_authoritative;
	struct span listener_name;
	bool has_original; /* fields 4, 5 or 6 */
};
struct pulsar_lookup_response {
	struct span url, url_tls;
	uint64_t type; /* enum pulsar_lookup_type */
	uint64_t request_id;
	bool is_authoritative;
	bool has_type;
};
struct pulsar_auth_response {
	struct span method;
	struct span data;
};
struct pulsar_error_said {
	uint64_t error; /* enum pulsar_error */
	struct span message;
};

/* `frame` is one whole frame, its length field included. WIRE_OK or WIRE_BAD. */
enum wire pulsar_read_connect(struct span frame, struct pulsar_connect *ret);
enum wire pulsar_read_connected(struct span frame, struct pulsar_connected *ret);
enum wire pulsar_read_lookup(struct span frame, struct pulsar_lookup *ret);
enum wire pulsar_read_lookup_response(struct span frame, struct pulsar_lookup_response *ret);
enum wire pulsar_read_auth_response(struct span frame, struct pulsar_auth_response *ret);
enum wire pulsar_read_error(struct span frame, struct pulsar_error_said *ret);
/* Does a PARTITIONED_METADATA say on whose behalf it comes (fields 3, 4 or 5)? */
enum wire pulsar_read_metadata_original(struct span frame, bool *ret_has_original);
enum wire pulsar_read_request_id(struct span frame, uint32_t field, uint64_t *ret_request_id);

/* CONNECT without its field 6, byte for byte otherwise. sink->full: it did not fit. */
void pulsar_write_connect_bare(struct sink *sink, struct span frame);
/* The same with auth_data replaced (an AUTH_RESPONSE has refreshed it). */
void pulsar_write_connect_refreshed(struct sink *sink, struct span frame, struct span auth_data);

/* How a proxy says who it is itself and on whose behalf it comes (docs/adr/0013). */
struct pulsar_role {
	struct span method, data; /* its own credential */
	struct span principal;	  /* whom it has verified */
	/* The client's own credential, for brokers that verify it too; at == NULL: not sent. */
	struct span original_method, original_data;
	struct span version; /* proxy_version */
};
/* CONNECT made anew: of the client's own, only version, protocol version and feature flags go in,
 * so that nothing else a client writes, now or in a later protocol, reaches a broker as the
 * proxy's word. */
void pulsar_write_connect_role(struct sink *sink, struct span frame,
			       const struct pulsar_role *role);
/* AUTH_RESPONSE with a credential, for the client whose CONNECT is `frame`: the broker takes the
 * client's version and protocol version from it again (ServerCnx.handleAuthResponse). */
void pulsar_write_auth_response(struct sink *sink, struct span frame, struct span method,
				struct span data);
/* LOOKUP with another `authoritative`; topic, listener name, properties and id stay. */
void pulsar_write_lookup_again(struct sink *sink, struct span frame, bool is_authoritative);
/* LOOKUP_RESPONSE with both URLs set to `url`, Connect, proxy_through_service_url; the rest
 * stays. */
void pulsar_write_lookup_through(struct sink *sink, struct span frame, struct span url);
/* A LOOKUP_RESPONSE of our own: Connect to `url`, through this proxy. */
void pulsar_write_lookup_answer(struct sink *sink, uint64_t request_id, struct span url);
void pulsar_write_lookup_failed(struct sink *sink, uint64_t request_id, enum pulsar_error error,
				const char *message);
/* ERROR; request_id UINT64_MAX (-1) means the connection itself. */
void pulsar_write_error(struct sink *sink, uint64_t request_id, enum pulsar_error error,
			const char *message);
void pulsar_write_pong(struct sink *sink);

/* "pulsar://host:port" or "pulsar+ssl://host:port" -> host:port and TLS or not. */
MUST_USE bool pulsar_url_split(struct span url, struct span *ret_host_port, bool *ret_is_tls);

/* What protocol speaks like this, when it is not Pulsar? A close_reason name's suffix or NULL. */
enum pulsar_mistake {
	PULSAR_MISTAKE_NONE,
	PULSAR_MISTAKE_HTTP,
	PULSAR_MISTAKE_TLS,
	PULSAR_MISTAKE_KAFKA,
	PULSAR_MISTAKE_SSH,
	PULSAR_MISTAKE_PROXY
};
enum pulsar_mistake pulsar_mistake(struct span bytes);
