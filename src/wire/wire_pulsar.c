/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading Pulsar frames. Only the fields of wire/pulsar.h are looked at; unknown ones are skipped
 * by their wire type, so a newer client or broker passes. Where a scalar comes twice the last one
 * counts, as in every protobuf parser: a broker must not read another frame than we did.
 */
#include "wire_pulsar_priv.h"

#include <penstock/base/addr.h>

#define TOTAL_LEAST 6 /* commandSize and `08 type` */
#define TYPE_MOST   INT32_MAX

/* The type out of the first bytes of a BaseCommand of which `command` is there so far. */
static enum wire find_type(struct span command, uint32_t command_size, uint32_t *ret_type,
			   size_t *ret_need)
{
	struct span rest = command;
	struct wire_field field;
	enum wire res = WIRE_MORE;
	while (rest.len > 0 && (res = wire_field_next(&rest, &field)) == WIRE_OK) {
		if (field.number != 1)
			continue;
		if (field.type != WIRE_VARINT || field.value > TYPE_MOST)
			return WIRE_BAD;
		*ret_type = (uint32_t)field.value;
		return WIRE_OK;
	}
	if (res == WIRE_BAD || command.len == command_size)
		return WIRE_BAD;
	/* Everybody writes the type first: then a byte more will do. */
	if (command.len < 2)
		*ret_need = 2;
	else
		*ret_need = command.at[0] == 0x08 ? command.len + 1 : command_size;
	return WIRE_MORE;
}

enum wire pulsar_head(struct span bytes, struct pulsar_head *ret_head, size_t *ret_need)
{
	struct span rest = bytes, command;
	uint32_t total, command_size, type;
	size_t need = 0;

	*ret_need = 4;
	if (!span_u32(&rest, &total))
		return WIRE_MORE;
	*ret_need = 0;
	if (total < TOTAL_LEAST)
		return WIRE_BAD;
	*ret_need = 8;
	if (!span_u32(&rest, &command_size))
		return WIRE_MORE;
	*ret_need = 0;
	if (command_size < 2 || command_size > total - 4)
		return WIRE_BAD;
	size_t there = rest.len < command_size ? rest.len : command_size;
	if (!span_take(&rest, there, &command))
		return WIRE_BAD;
	enum wire res = find_type(command, command_size, &type, &need);
	if (res == WIRE_MORE)
		*ret_need = 8 + need;
	if (res != WIRE_OK)
		return res;
	*ret_head = (struct pulsar_head){
		.frame_size = 4 + (uint64_t)total,
		.command_size = command_size,
		.type = type,
	};
	return WIRE_OK;
}

static enum wire find_body(struct span command, uint32_t type, struct span *ret_body)
{
	struct wire_walk walk = wire_walk_of(command, PULSAR_SHAPE_BASE);
	struct wire_field field;
	bool has_body = false;
	while (wire_walk_next(&walk, &field)) {
		if (field.number == 1 && field.value != type)
			return WIRE_BAD;
		if (field.number == 1 || field.number != type)
			continue;
		if (has_body || field.type != WIRE_BYTES)
			return WIRE_BAD;
		has_body = true;
		*ret_body = field.bytes;
	}
	return walk.is_bad || !has_body ? WIRE_BAD : WIRE_OK;
}

enum wire pulsar_take_apart(struct span frame, struct pulsar_parts *ret_parts)
{
	struct pulsar_head head;
	struct pulsar_parts parts = { 0 };
	struct span rest = frame;
	size_t need;
	if (pulsar_head(frame, &head, &need) != WIRE_OK || head.frame_size != frame.len)
		return WIRE_BAD;
	if (!span_skip(&rest, 8) || !span_take(&rest, head.command_size, &parts.command))
		return WIRE_BAD;
	parts.type = head.type;
	parts.payload = rest;
	if (find_body(parts.command, parts.type, &parts.body) != WIRE_OK)
		return WIRE_BAD;
	*ret_parts = parts;
	return WIRE_OK;
}

/* Begins a walk over the body of a frame of this type; a walk that is bad when it is another. */
static struct wire_walk walk_body(struct span frame, enum pulsar_type type, const char *shape)
{
	struct pulsar_parts parts;
	if (pulsar_take_apart(frame, &parts) != WIRE_OK || parts.type != type)
		return (struct wire_walk){ .is_bad = true };
	return wire_walk_of(parts.body, shape);
}

enum wire pulsar_read_connect(struct span frame, struct pulsar_connect *ret)
{
	struct wire_walk walk = walk_body(frame, PULSAR_CONNECT, PULSAR_SHAPE_CONNECT);
	struct pulsar_connect connect = { 0 };
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		switch (field.number) {
		case 1:
			connect.client_version = field.bytes;
			break;
		case 2:
			connect.has_old_method = field.value != 0;
			break;
		case 3:
			connect.auth_data = field.bytes;
			break;
		case 4:
			connect.protocol_version = field.value;
			break;
		case 5:
			connect.auth_method_name = field.bytes;
			break;
		case 6:
			connect.proxy_to_broker_url = field.bytes;
			break;
		case 7:
		case 8:
		case 9:
			connect.has_original = true;
			break;
		case 10:
			connect.feature_flags = field.bytes;
			break;
		case 11:
			connect.has_proxy_version = true;
			break;
		default:
			break;
		}
	}
	if (walk.is_bad)
		return WIRE_BAD;
	connect.is_auth_multi_round = span_is(connect.auth_method_name, "sasl");
	*ret = connect;
	return WIRE_OK;
}

enum wire pulsar_read_connected(struct span frame, struct pulsar_connected *ret)
{
	struct wire_walk walk = walk_body(frame, PULSAR_CONNECTED, PULSAR_SHAPE_CONNECTED);
	struct pulsar_connected connected = { 0 };
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		if (field.number == 2)
			connected.protocol_version = field.value;
		else if (field.number == 3)
			connected.max_message_size = field.value;
	}
	if (walk.is_bad)
		return WIRE_BAD;
	if (connected.max_message_size > INT32_MAX) /* a negative int32 */
		connected.max_message_size = 0;
	*ret = connected;
	return WIRE_OK;
}

enum wire pulsar_read_lookup(struct span frame, struct pulsar_lookup *ret)
{
	struct wire_walk walk = walk_body(frame, PULSAR_LOOKUP, PULSAR_SHAPE_LOOKUP);
	struct pulsar_lookup lookup = { 0 };
	struct wire_field field;
	bool has_id = false;
	while (wire_walk_next(&walk, &field)) {
		switch (field.number) {
		case 1:
			lookup.topic = field.bytes;
			break;
		case 2:
			lookup.request_id = field.value;
			has_id = true;
			break;
		case 3:
			lookup.is_authoritative = field.value != 0;
			break;
		case 4:
		case 5:
		case 6:
			lookup.has_original = true;
			break;
		case 7:
			lookup.listener_name = field.bytes;
			break;
		default:
			break;
		}
	}
	if (walk.is_bad || !has_id || lookup.topic.at == NULL)
		return WIRE_BAD;
	*ret = lookup;
	return WIRE_OK;
}

enum wire pulsar_read_lookup_response(struct span frame, struct pulsar_lookup_response *ret)
{
	struct wire_walk walk =
		walk_body(frame, PULSAR_LOOKUP_RESPONSE, PULSAR_SHAPE_LOOKUP_RESPONSE);
	struct pulsar_lookup_response response = { 0 };
	struct wire_field field;
	bool has_id = false;
	while (wire_walk_next(&walk, &field)) {
		switch (field.number) {
		case 1:
			response.url = field.bytes;
			break;
		case 2:
			response.url_tls = field.bytes;
			break;
		case 3:
			response.type = field.value;
			response.has_type = true;
			break;
		case 4:
			response.request_id = field.value;
			has_id = true;
			break;
		case 5:
			response.is_authoritative = field.value != 0;
			break;
		default:
			break;
		}
	}
	if (walk.is_bad || !has_id)
		return WIRE_BAD;
	*ret = response;
	return WIRE_OK;
}

static bool read_auth_data(struct span message, struct pulsar_auth_response *response)
{
	struct wire_walk walk = wire_walk_of(message, PULSAR_SHAPE_AUTH_DATA);
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		if (field.number == 1)
			response->method = field.bytes;
		else if (field.number == 2)
			response->data = field.bytes;
	}
	return !walk.is_bad;
}

enum wire pulsar_read_auth_response(struct span frame, struct pulsar_auth_response *ret)
{
	struct wire_walk walk = walk_body(frame, PULSAR_AUTH_RESPONSE, PULSAR_SHAPE_AUTH_RESPONSE);
	struct pulsar_auth_response response = { 0 };
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		if (field.number == 2 && !read_auth_data(field.bytes, &response))
			return WIRE_BAD;
	}
	if (walk.is_bad)
		return WIRE_BAD;
	*ret = response;
	return WIRE_OK;
}

enum wire pulsar_read_error(struct span frame, struct pulsar_error_said *ret)
{
	struct wire_walk walk = walk_body(frame, PULSAR_ERROR, PULSAR_SHAPE_ERROR);
	struct pulsar_error_said said = { 0 };
	struct wire_field field;
	while (wire_walk_next(&walk, &field)) {
		if (field.number == 2)
			said.error = field.value;
		else if (field.number == 3)
			said.message = field.bytes;
	}
	if (walk.is_bad)
		return WIRE_BAD;
	*ret = said;
	return WIRE_OK;
}

enum wire pulsar_read_metadata_original(struct span frame, bool *ret_has_original)
{
	struct wire_walk walk =
		walk_body(frame, PULSAR_PARTITIONED_METADATA, PULSAR_SHAPE_METADATA);
	struct wire_field field;
	bool has_original = false;
	while (wire_walk_next(&walk, &field))
		has_original |= field.number >= 3 && field.number <= 5;
	if (walk.is_bad)
		return WIRE_BAD;
	*ret_has_original = has_original;
	return WIRE_OK;
}

enum wire pulsar_read_request_id(struct span frame, uint32_t number, uint64_t *ret_request_id)
{
	struct pulsar_parts parts;
	if (pulsar_take_apart(frame, &parts) != WIRE_OK)
		return WIRE_BAD;
	struct wire_walk walk = wire_walk_of(parts.body, "");
	struct wire_field field;
	uint64_t request_id = 0;
	bool has_id = false;
	while (wire_walk_next(&walk, &field)) {
		if (field.number != number)
			continue;
		if (field.type != WIRE_VARINT)
			return WIRE_BAD;
		request_id = field.value;
		has_id = true;
	}
	if (walk.is_bad || !has_id)
		return WIRE_BAD;
	*ret_request_id = request_id;
	return WIRE_OK;
}

bool pulsar_url_split(struct span url, struct span *ret_host_port, bool *ret_is_tls)
{
	bool is_tls = span_starts(url, "pulsar+ssl://");
	struct span host;
	uint16_t port;
	if (!is_tls && !span_starts(url, "pulsar://"))
		return false;
	if (!span_skip(&url, strlen(is_tls ? "pulsar+ssl://" : "pulsar://")))
		return false;
	if (url.len > 0 && url.at[url.len - 1] == '/')
		url.len--;
	if (!addr_split(url, &host, &port) || !addr_is_host(host))
		return false;
	*ret_host_port = url;
	*ret_is_tls = is_tls;
	return true;
}
