/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * IP addresses, networks, host names and "host:port" from text. Clients choose these texts, so the
 * rule is: one spelling per address, and what only looks like an address is told apart from a name
 * (addr_is_ip_like), because some resolver below us might read it as one.
 */
#include <penstock/base/addr.h>

#include <arpa/inet.h>

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool is_letter(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* The next dot-separated label off the front; false at the end. A trailing dot gives an empty last
 * label. `*is_done` starts false. */
static bool next_label(struct span *rest, bool *is_done, struct span *ret_label)
{
	if (*is_done)
		return false;
	size_t dot = span_find(*rest, '.');
	*is_done = dot == rest->len;
	return span_take(rest, dot, ret_label) && (*is_done || span_skip(rest, 1));
}

static bool parse_v4(struct span text, uint32_t *ret_ip)
{
	struct span label;
	bool is_done = false;
	uint32_t ip = 0, octets = 0;
	while (next_label(&text, &is_done, &label)) {
		uint64_t value;
		if (octets++ == 4 || label.len > 3 || !span_to_u64(label, &value) || value > 255)
			return false;
		if (label.len > 1 && label.at[0] == '0') /* octal to inet_aton */
			return false;
		ip = ip << 8 | (uint32_t)value;
	}
	if (octets != 4)
		return false;
	*ret_ip = ip;
	return true;
}

bool addr_parse_ip(struct span text, struct addr *ret_addr)
{
	uint32_t v4;
	if (parse_v4(text, &v4)) {
		*ret_addr = addr_v4(v4, 0);
		return true;
	}
	char copy[INET6_ADDRSTRLEN];
	struct addr addr = { .is_set = 1 };
	if (span_find(text, ':') == text.len || !span_to_str(text, copy, sizeof(copy)) ||
	    inet_pton(AF_INET6, copy, addr.ip) != 1)
		return false;
	*ret_addr = addr;
	return true;
}

bool addr_parse(struct span text, struct addr *ret_addr)
{
	struct span host;
	uint16_t port;
	if (!addr_split(text, &host, &port) || !addr_parse_ip(host, ret_addr))
		return false;
	ret_addr->port = port;
	return true;
}

/* A number as strtoul with base 0 reads it: 12, 014, 0xc. Size and octal digits do not matter here:
 * what is no number after all is no name either (no top-level domain is all digits). */
static bool is_number(struct span label)
{
	bool is_hexadecimal = label.len >= 2 && label.at[0] == '0' && (label.at[1] | 0x20) == 'x';
	for (size_t i = is_hexadecimal ? 2 : 0; i < label.len; i++) {
		if (is_hexadecimal ? !is_hex(label.at[i]) : !is_digit(label.at[i]))
			return false;
	}
	return label.len > 0;
}

bool addr_is_ip_like(struct span host)
{
	if (host.len == 0)
		return false;
	if (span_find(host, ':') < host.len)
		return true;
	struct span label;
	bool is_done = false;
	while (next_label(&host, &is_done, &label)) {
		bool is_root = is_done && label.len == 0;
		if (!is_root && !is_number(label))
			return false;
	}
	return true;
}

bool addr_parse_cidr(struct span text, struct cidr *ret_cidr)
{
	size_t slash = span_find(text, '/');
	struct span ip_text, bits_text = text;
	struct addr addr;
	uint64_t bits = 128;
	if (!span_take(&bits_text, slash, &ip_text) || !addr_parse_ip(ip_text, &addr))
		return false;
	if (slash < text.len) {
		bool is_v4_text = span_find(ip_text, ':') == ip_text.len;
		if (!span_skip(&bits_text, 1) || bits_text.len > 3 ||
		    !span_to_u64(bits_text, &bits) || bits > (is_v4_text ? 32 : 128))
			return false;
		if (is_v4_text)
			bits += 96;
	}
	struct cidr cidr = { .bits = (uint8_t)bits };
	for (size_t i = 0; i < sizeof(cidr.ip); i++) {
		size_t kept = bits > 8 * i ? bits - 8 * i : 0;
		uint8_t mask = (uint8_t)(kept >= 8 ? 0xffu : 0xff00u >> kept);
		cidr.ip[i] = (uint8_t)(addr.ip[i] & mask);
	}
	*ret_cidr = cidr;
	return true;
}

/* Drops the brackets of "[v6]"; false for brackets in any other place or around anything else. */
static bool unbracket(struct span *host)
{
	bool has_colon = span_find(*host, ':') < host->len;
	if (host->len > 2 && host->at[0] == '[' && host->at[host->len - 1] == ']') {
		struct addr addr;
		struct span inner = span_of(host->at + 1, host->len - 2);
		if (!has_colon || !addr_parse_ip(inner, &addr))
			return false;
		*host = inner;
		return true;
	}
	return !has_colon && span_find(*host, '[') == host->len &&
	       span_find(*host, ']') == host->len;
}

bool addr_split(struct span text, struct span *ret_host, uint16_t *ret_port)
{
	size_t colon = span_rfind(text, ':');
	struct span host, rest = text;
	uint64_t port;
	if (colon == text.len || !span_take(&rest, colon, &host) || !span_skip(&rest, 1))
		return false;
	if (host.len == 0 || rest.len > 5 || !span_to_u64(rest, &port) || port == 0 ||
	    port > UINT16_MAX)
		return false;
	if (!unbracket(&host))
		return false;
	*ret_host = host;
	*ret_port = (uint16_t)port;
	return true;
}

static bool is_label(struct span label)
{
	if (label.len < 1 || label.len > 63 || label.at[0] == '-' || label.at[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		uint8_t byte = label.at[i];
		/* '_' is no letter of a host name, but container networks use it in theirs. */
		if (!is_letter(byte) && !is_digit(byte) && byte != '-' && byte != '_')
			return false;
	}
	return true;
}

bool addr_is_host(struct span host)
{
	struct addr addr;
	if (host.len == 0 || host.len > 253)
		return false;
	if (addr_is_ip_like(host))
		return addr_parse_ip(host, &addr);
	struct span label;
	bool is_done = false;
	while (next_label(&host, &is_done, &label)) {
		if (!is_label(label))
			return false;
	}
	return true;
}
