/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fields of a whole ClientHello. Everything is walked to its end, wanted or not: a hello that
 * two readers could read differently is read by nobody behind us.
 */
#include "wire_hello_priv.h"

#include <penstock/base/addr.h>

#define RANDOM_BYTES	32
#define SESSION_ID_MOST 32
#define NAME_MOST	253 /* RFC 1035 2.3.4: 255 bytes with the lengths of first label and root */

enum extension {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_ENCRYPTED_CLIENT_HELLO = 0xfe0d,
};

/* A vector with its length in one byte or in two in front (RFC 8446 3.4). */
static bool take_u8_vector(struct span *rest, struct span *ret_vector)
{
	struct span copy = *rest;
	uint8_t len;
	if (!span_u8(&copy, &len) || !span_take(&copy, len, ret_vector))
		return false;
	*rest = copy;
	return true;
}

static bool take_u16_vector(struct span *rest, struct span *ret_vector)
{
	struct span copy = *rest;
	uint16_t len;
	if (!span_u16(&copy, &len) || !span_take(&copy, len, ret_vector))
		return false;
	*rest = copy;
	return true;
}

/* ---- server_name ---------------------------------------------------------------------------- */

/* RFC 6066 3 does not permit addresses. Clients send them all the same, also in spellings that
 * inet_aton takes; "host:port" is neither an address nor a name. */
static bool is_literal(struct span name)
{
	struct addr addr;
	if (span_find(name, ':') < name.len)
		return addr_parse_ip(name, &addr);
	return addr_is_ip_like(name);
}

static bool ends_in_dot(struct span name)
{
	return name.len > 0 && name.at[name.len - 1] == '.';
}

static enum hello_fault read_name(struct span name, struct hello *hello)
{
	if (ends_in_dot(name))
		name.len--;
	if (name.len == 0)
		return HELLO_NAME_EMPTY;
	if (name.len > NAME_MOST)
		return HELLO_NAME_LONG;
	hello->is_literal = is_literal(name);
	if (ends_in_dot(name) || (!hello->is_literal && !addr_is_host(name)))
		return HELLO_NAME_BYTES;
	hello->name = name;
	return HELLO_FINE;
}

static enum hello_fault read_names(struct span data, struct hello *hello)
{
	struct span list, name;
	uint8_t type;
	if (!take_u16_vector(&data, &list) || data.len > 0 || list.len == 0)
		return HELLO_NAME_LIST;
	while (list.len > 0) {
		if (!span_u8(&list, &type) || !take_u16_vector(&list, &name))
			return HELLO_NAME_LIST;
		if (type != 0) /* host_name is the only type there is */
			return HELLO_NAME_TYPE;
		if (hello->name.at != NULL)
			return HELLO_NAME_TWICE;
		enum hello_fault fault = read_name(name, hello);
		if (fault != HELLO_FINE)
			return fault;
	}
	return HELLO_FINE;
}

/* ---- the other extensions ------------------------------------------------------------------- */

static enum hello_fault read_versions(struct span data, struct hello *hello)
{
	struct span list;
	uint16_t version;
	if (!take_u8_vector(&data, &list) || data.len > 0 || list.len == 0 || list.len % 2 != 0)
		return HELLO_VERSIONS;
	hello->version = 0;
	hello->has_tls12 = false;
	while (span_u16(&list, &version)) {
		hello->has_tls12 |= version == 0x0303;
		hello->has_tls13 |= version == 0x0304;
		/* Not GREASE, not a draft. */
		if (version >> 8 == 3 && version > hello->version)
			hello->version = version;
	}
	return HELLO_FINE;
}

bool hello_alpn_next(struct span *rest, struct span *ret_protocol)
{
	return take_u8_vector(rest, ret_protocol) && ret_protocol->len > 0;
}

static enum hello_fault read_alpn(struct span data, struct hello *hello)
{
	struct span list, rest, protocol;
	if (!take_u16_vector(&data, &list) || data.len > 0 || list.len == 0)
		return HELLO_ALPN;
	rest = list;
	while (rest.len > 0) {
		if (!hello_alpn_next(&rest, &protocol))
			return HELLO_ALPN;
	}
	hello->alpn = list;
	return HELLO_FINE;
}

static enum hello_fault read_extension(uint16_t type, struct span data, struct hello *hello)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
		return read_names(data, hello);
	case EXTENSION_ALPN:
		return read_alpn(data, hello);
	case EXTENSION_SUPPORTED_VERSIONS:
		return read_versions(data, hello);
	case EXTENSION_ENCRYPTED_CLIENT_HELLO:
		hello->has_ech = true;
		return HELLO_FINE;
	default:
		return HELLO_FINE;
	}
}

/* One bit per type there can be: 64 KiB hold 16,000 extensions, too many to compare in pairs. */
struct seen {
	uint64_t bits[(UINT16_MAX + 1) / 64];
};

static bool is_new(struct seen *seen, uint16_t type)
{
	uint64_t bit = (uint64_t)1 << type % 64;
	bool was_seen = (seen->bits[type / 64] & bit) != 0;
	seen->bits[type / 64] |= bit;
	return !was_seen;
}

static enum hello_fault read_extensions(struct span rest, struct hello *hello)
{
	struct seen seen = { 0 };
	struct span data;
	uint16_t type;
	while (rest.len > 0) {
		if (!span_u16(&rest, &type) || !take_u16_vector(&rest, &data))
			return HELLO_EXTENSIONS;
		if (!is_new(&seen, type))
			return HELLO_EXTENSION_TWICE;
		enum hello_fault fault = read_extension(type, data, hello);
		if (fault != HELLO_FINE)
			return fault;
	}
	return HELLO_FINE;
}

enum hello_fault wire_hello_body(struct span body, struct hello *hello)
{
	struct span session_id, suites, compression, extensions;
	uint16_t version;
	if (!span_u16(&body, &version))
		return HELLO_FIELDS;
	if (version < 0x0300)
		return HELLO_VERSION;
	/* What is above TLS 1.2 is only offered in supported_versions (RFC 8446 4.2.1). */
	hello->version = version < 0x0303 ? version : 0x0303;
	hello->has_tls12 = hello->version == 0x0303;
	if (!span_skip(&body, RANDOM_BYTES) || !take_u8_vector(&body, &session_id) ||
	    !take_u16_vector(&body, &suites) || !take_u8_vector(&body, &compression))
		return HELLO_FIELDS;
	if (session_id.len > SESSION_ID_MOST || suites.len < 2 || suites.len % 2 != 0 ||
	    compression.len == 0)
		return HELLO_FIELDS;
	if (body.len == 0)
		return HELLO_FINE;
	if (!take_u16_vector(&body, &extensions) || body.len > 0)
		return HELLO_EXTENSIONS;
	return read_extensions(extensions, hello);
}
