/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The PROXY protocol, both versions, as the specification of HAProxy has it (section numbers are
 * its). One header is one unit: a sender sends it in one piece, but we take it at any split.
 *
 *     v1   PROXY TCP4 192.0.2.1 192.0.2.2 4242 6650\r\n                           at most 107 bytes
 *     v2   signature (12) | version, command | family | u16 length | addresses | TLVs
 */
#include <penstock/wire/proxy.h>

#include <arpa/inet.h>

#define V1_MOST	 107
#define V1_LEAST 15 /* "PROXY UNKNOWN\r\n" */
#define V2_HEAD	 16

static const char v1_begin[] = "PROXY ";
static const uint8_t v2_begin[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
				      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

/* Do the bytes agree with `begin` as far as both go? */
static bool agrees(struct span bytes, struct span begin)
{
	size_t len = bytes.len < begin.len ? bytes.len : begin.len;
	return span_equal(span_of(bytes.at, len), span_of(begin.at, len));
}

bool proxy_may_begin(struct span bytes)
{
	return agrees(bytes, span_str(v1_begin)) ||
	       agrees(bytes, span_of(v2_begin, sizeof(v2_begin)));
}

/* ---- version 1 (2.1) ------------------------------------------------------------------------ */

/* The next word, and the one space behind it unless it is the last. */
static bool take_word(struct span *rest, struct span *ret_word)
{
	if (!span_take(rest, span_find(*rest, ' '), ret_word))
		return false;
	return rest->len == 0 || span_skip(rest, 1);
}

static bool take_ip(struct span *rest, bool is_v6, struct addr *ret_addr)
{
	struct span word;
	return take_word(rest, &word) && rest->len > 0 &&
	       (span_find(word, ':') < word.len) == is_v6 && addr_parse_ip(word, ret_addr);
}

static bool take_port(struct span *rest, struct addr *addr)
{
	struct span word;
	uint64_t port;
	if (!take_word(rest, &word) || word.len > 5 || !span_to_u64(word, &port) ||
	    port > UINT16_MAX || (word.len > 1 && word.at[0] == '0'))
		return false;
	addr->port = (uint16_t)port;
	return true;
}

/* A line without "PROXY " and CRLF. */
static bool read_v1_line(struct span line, struct proxy_header *header)
{
	struct span rest = line, family;
	if (!take_word(&rest, &family))
		return false;
	if (span_is(family, "UNKNOWN")) {
		header->is_local = true; /* the rest of the line is to be ignored */
		return true;
	}
	bool is_v6 = span_is(family, "TCP6");
	if (!is_v6 && !span_is(family, "TCP4"))
		return false;
	bool ends_in_space = line.at[line.len - 1] == ' ';
	return take_ip(&rest, is_v6, &header->source) &&
	       take_ip(&rest, is_v6, &header->destination) && take_port(&rest, &header->source) &&
	       take_port(&rest, &header->destination) && rest.len == 0 && !ends_in_space;
}

static enum wire read_v1(struct span bytes, struct proxy_header *ret_header, size_t *ret_need)
{
	struct span most = span_of(bytes.at, bytes.len < V1_MOST ? bytes.len : V1_MOST);
	size_t cr = span_find(most, '\r'), lf = span_find(most, '\n');
	if (lf == most.len) {
		/* No end yet: a carriage return may only be the last byte so far. */
		if (most.len == V1_MOST || (cr < most.len && cr + 1 < most.len))
			return WIRE_BAD;
		*ret_need = bytes.len < V1_LEAST ? V1_LEAST : bytes.len + 1;
		return WIRE_MORE;
	}
	struct proxy_header header = { .size = lf + 1 };
	struct span line = span_of(most.at, cr);
	if (cr + 1 != lf || !span_skip(&line, sizeof(v1_begin) - 1) || line.len == 0 ||
	    !read_v1_line(line, &header))
		return WIRE_BAD;
	*ret_header = header;
	return WIRE_OK;
}

/* ---- version 2 (2.2) ------------------------------------------------------------------------ */

static bool take_v2_addr(struct span *rest, bool is_v6, struct addr *ret_addr)
{
	struct span ip;
	uint32_t v4;
	if (!is_v6) {
		if (!span_u32(rest, &v4))
			return false;
		*ret_addr = addr_v4(v4, 0);
		return true;
	}
	if (!span_take(rest, sizeof(ret_addr->ip), &ip))
		return false;
	*ret_addr = (struct addr){ .is_set = 1 };
	memcpy(ret_addr->ip, ip.at, sizeof(ret_addr->ip));
	return true;
}

static bool take_v2_addrs(struct span *rest, bool is_v6, struct proxy_header *header)
{
	return take_v2_addr(rest, is_v6, &header->source) &&
	       take_v2_addr(rest, is_v6, &header->destination) &&
	       span_u16(rest, &header->source.port) && span_u16(rest, &header->destination.port);
}

/* What follows the addresses is nothing to us, but it must be whole. */
static bool are_tlvs(struct span rest)
{
	while (rest.len > 0) {
		uint8_t type;
		uint16_t len;
		if (!span_u8(&rest, &type) || !span_u16(&rest, &len) || !span_skip(&rest, len))
			return false;
	}
	return true;
}

/* family: the high half is AF_UNSPEC, INET, INET6, UNIX; the low one unspecified, STREAM, DGRAM. */
static bool read_v2_addrs(struct span rest, uint8_t family, struct proxy_header *header)
{
	switch (family) {
	case 0x11:
	case 0x21:
		return take_v2_addrs(&rest, family == 0x21, header) && are_tlvs(rest);
	case 0x10:
	case 0x12:
		return span_skip(&rest, 12) && are_tlvs(rest);
	case 0x20:
	case 0x22:
		return span_skip(&rest, 36) && are_tlvs(rest);
	case 0x30:
	case 0x31:
	case 0x32:
		return span_skip(&rest, 216) && are_tlvs(rest);
	case 0x00:
	case 0x01:
	case 0x02:
		return true; /* "the receiver should ignore address information" */
	default:
		return false; /* "must be rejected as invalid" */
	}
}

static enum wire read_v2(struct span bytes, struct proxy_header *ret_header, size_t *ret_need)
{
	struct span rest = bytes, body;
	uint8_t command, family;
	uint16_t len;
	*ret_need = V2_HEAD;
	if (!span_skip(&rest, sizeof(v2_begin)) || !span_u8(&rest, &command))
		return WIRE_MORE;
	bool is_local = command == 0x20;
	if (!is_local && command != 0x21)
		return WIRE_BAD;
	if (!span_u8(&rest, &family) || !span_u16(&rest, &len))
		return WIRE_MORE;
	if (len > PROXY_HEADER_MAX - V2_HEAD)
		return WIRE_BAD;
	*ret_need = V2_HEAD + (size_t)len;
	if (!span_take(&rest, len, &body))
		return WIRE_MORE;
	struct proxy_header header = { .size = V2_HEAD + (size_t)len, .is_local = is_local };
	if (!is_local && !read_v2_addrs(body, family, &header))
		return WIRE_BAD;
	*ret_header = header;
	return WIRE_OK;
}

enum wire proxy_read(struct span bytes, struct proxy_header *ret_header, size_t *ret_need)
{
	enum wire res = WIRE_BAD;
	*ret_need = 1;
	if (bytes.len == 0)
		return WIRE_MORE;
	if (agrees(bytes, span_str(v1_begin)))
		res = read_v1(bytes, ret_header, ret_need);
	else if (agrees(bytes, span_of(v2_begin, sizeof(v2_begin))))
		res = read_v2(bytes, ret_header, ret_need);
	if (res != WIRE_MORE)
		*ret_need = 0;
	return res;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_v1_ip(struct sink *sink, const struct addr *addr, bool is_v6)
{
	char text[INET6_ADDRSTRLEN];
	const void *ip = is_v6 ? &addr->ip[0] : &addr->ip[12];
	/* Not addr_format_ip: beside an IPv6 address an IPv4 one must be written as IPv6 too. */
	CHECK(inet_ntop(is_v6 ? AF_INET6 : AF_INET, ip, text, sizeof(text)) != NULL);
	sink_str(sink, text);
	sink_u8(sink, ' ');
}

void proxy_write_v1(struct sink *sink, const struct addr *source, const struct addr *destination)
{
	if (!source->is_set || !destination->is_set) {
		sink_str(sink, "PROXY UNKNOWN\r\n");
		return;
	}
	bool is_v6 = !addr_is_v4(source) || !addr_is_v4(destination);
	sink_str(sink, v1_begin);
	sink_str(sink, is_v6 ? "TCP6 " : "TCP4 ");
	put_v1_ip(sink, source, is_v6);
	put_v1_ip(sink, destination, is_v6);
	char ports[16];
	struct sink text = sink_of(ports, sizeof(ports));
	sink_printf(&text, "%u %u\r\n", (unsigned)source->port, (unsigned)destination->port);
	sink_span(sink, sink_written(&text));
}

void proxy_write_v2(struct sink *sink, const struct addr *source, const struct addr *destination)
{
	sink_bytes(sink, v2_begin, sizeof(v2_begin));
	if (!source->is_set || !destination->is_set) {
		sink_bytes(sink, (const uint8_t[]){ 0x20, 0, 0, 0 }, 4); /* LOCAL */
		return;
	}
	bool is_v6 = !addr_is_v4(source) || !addr_is_v4(destination);
	size_t skip = is_v6 ? 0 : 12, ip_size = sizeof(source->ip) - skip;
	sink_u8(sink, 0x21);
	sink_u8(sink, is_v6 ? 0x21 : 0x11);
	sink_u16(sink, (uint16_t)(2 * ip_size + 4));
	sink_bytes(sink, source->ip + skip, ip_size);
	sink_bytes(sink, destination->ip + skip, ip_size);
	sink_u16(sink, source->port);
	sink_u16(sink, destination->port);
}
