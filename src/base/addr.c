/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * IP addresses and networks as values: comparing, classing and printing. Reading them from text is
 * in addr_parse.c.
 */
#include <penstock/base/addr.h>

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool has_prefix(const uint8_t ip[16], const uint8_t *prefix, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;
	if (whole > 0 && memcmp(ip, prefix, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)(ip[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

struct addr addr_v4(uint32_t ip_host_order, uint16_t port)
{
	struct addr addr = { .port = port, .is_set = 1 };
	memcpy(addr.ip, v4_prefix, sizeof(v4_prefix));
	addr.ip[12] = (uint8_t)(ip_host_order >> 24);
	addr.ip[13] = (uint8_t)(ip_host_order >> 16);
	addr.ip[14] = (uint8_t)(ip_host_order >> 8);
	addr.ip[15] = (uint8_t)ip_host_order;
	return addr;
}

bool addr_is_v4(const struct addr *addr)
{
	return memcmp(addr->ip, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_equal_ip(a, b) && a->port == b->port;
}

bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
	return a->is_set == b->is_set && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

uint64_t addr_hash(const struct addr *addr)
{
	uint64_t seed = (uint64_t)addr->scope << 16 | addr->port;
	return span_hash(span_of(addr->ip, sizeof(addr->ip)), seed);
}

static uint32_t v4_of(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static enum addr_kind kind_v4(uint32_t ip)
{
	switch (ip) {
	case 0x646464c8: /* 100.100.100.200: Alibaba Cloud */
	case 0xa83f8110: /* 168.63.129.16: Azure's wire server */
	case 0xc00000c0: /* 192.0.0.192: Oracle Cloud Classic */
		return ADDR_METADATA;
	default:
		break;
	}
	if (ip >> 24 == 0) /* 0/8 is "this host": Linux takes 0.0.0.0 to loopback */
		return ADDR_UNSPECIFIED;
	if (ip >> 24 == 127)
		return ADDR_LOOPBACK;
	if (ip >> 16 == 0xa9fe)
		return ADDR_LINK_LOCAL;
	if (ip >> 28 >= 0xe) /* 224/4 and 240/4, broadcast included */
		return ADDR_MULTICAST;
	return ADDR_GLOBAL;
}

static const struct {
	uint8_t prefix[16];
	uint8_t bits;
	enum addr_kind kind;
} v6_kinds[] = {
	{ { 0 }, 128, ADDR_UNSPECIFIED },
	{ { [15] = 1 }, 128, ADDR_LOOPBACK },
	{ { 0xfe, 0x80 }, 10, ADDR_LINK_LOCAL },
	{ { 0xff }, 8, ADDR_MULTICAST },
	/* fd00:ec2::254 AWS, fd20:ce::254 Google, fd00:c1::a9fe:a9fe Oracle */
	{ { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54 }, 128, ADDR_METADATA },
	{ { 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54 }, 128, ADDR_METADATA },
	{ { 0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe }, 128, ADDR_METADATA },
};

enum addr_kind addr_kind(const struct addr *addr)
{
	if (addr_is_v4(addr))
		return kind_v4(v4_of(&addr->ip[12]));
	for (size_t i = 0; i < COUNT_OF(v6_kinds); i++) {
		if (has_prefix(addr->ip, v6_kinds[i].prefix, v6_kinds[i].bits))
			return v6_kinds[i].kind;
	}
	return ADDR_GLOBAL;
}

/* Networks whose addresses hold an IPv4 address at byte `offset`, and lead to it where a translator
 * or a tunnel is set up. */
static const struct {
	uint8_t prefix[16];
	uint8_t bits;
	uint8_t offset;
} v4_carriers[] = {
	{ { 0 }, 96, 12 },				    /* IPv4-compatible, RFC 4291 */
	{ { [8] = 0xff, 0xff, 0, 0 }, 96, 12 },		    /* SIIT, RFC 7915 */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, 12 },		    /* NAT64, RFC 6052 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, 12 }, /* NAT64, RFC 8215 */
	{ { 0x20, 0x02 }, 16, 2 },			    /* 6to4, RFC 3056 */
};

enum addr_kind addr_kind_embedded(const struct addr *addr)
{
	enum addr_kind kind = addr_kind(addr);
	if (kind != ADDR_GLOBAL || addr_is_v4(addr))
		return kind;
	for (size_t i = 0; i < COUNT_OF(v4_carriers); i++) {
		if (has_prefix(addr->ip, v4_carriers[i].prefix, v4_carriers[i].bits))
			return kind_v4(v4_of(&addr->ip[v4_carriers[i].offset]));
	}
	return ADDR_GLOBAL;
}

bool addr_in_cidr(const struct addr *addr, const struct cidr *cidr)
{
	/* A network shorter than the mapped prefix was written as IPv6: ::/0 means all of IPv6, and
	 * 0.0.0.0/0 all of IPv4. */
	if (cidr->bits < 8 * sizeof(v4_prefix) && addr_is_v4(addr))
		return false;
	return has_prefix(addr->ip, cidr->ip, cidr->bits);
}

/* Without printf: every access line prints two of these. */
static size_t put_u32(char *at, uint32_t value)
{
	char digits[10];
	size_t count = 0, len = 0;
	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (count > 0)
		at[len++] = digits[--count];
	return len;
}

static size_t put_ip(const struct addr *addr, char text[static ADDR_TEXT_MAX])
{
	if (!addr_is_v4(addr)) {
		/* Fails only for want of room, and there is room for the longest. */
		CHECK(inet_ntop(AF_INET6, addr->ip, text, ADDR_TEXT_MAX) != NULL);
		return strlen(text);
	}
	size_t len = 0;
	for (size_t i = 12; i < 16; i++) {
		len += put_u32(text + len, addr->ip[i]);
		text[len++] = '.';
	}
	return len - 1;
}

static size_t put_scope(const struct addr *addr, char *text, size_t len)
{
	if (addr->scope == 0)
		return len;
	text[len++] = '%';
	return len + put_u32(text + len, addr->scope);
}

const char *addr_format_ip(const struct addr *addr, char text[static ADDR_TEXT_MAX])
{
	size_t len = 0;
	if (addr->is_set)
		len = put_scope(addr, text, put_ip(addr, text));
	else
		text[len++] = '-';
	text[len] = '\0';
	return text;
}

const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];
	size_t len = 0;
	bool is_bracketed = addr->is_set && !addr_is_v4(addr);
	(void)addr_format_ip(addr, ip);
	size_t ip_len = strlen(ip);
	if (is_bracketed)
		text[len++] = '[';
	memcpy(text + len, ip, ip_len);
	len += ip_len;
	if (is_bracketed)
		text[len++] = ']';
	if (addr->is_set) {
		text[len++] = ':';
		len += put_u32(text + len, addr->port);
	}
	text[len] = '\0';
	return text;
}

const char *addr_format_cidr(const struct cidr *cidr, char text[static ADDR_TEXT_MAX])
{
	struct addr addr = { .is_set = 1 };

	memcpy(addr.ip, cidr->ip, sizeof(addr.ip));
	/* bits count on the mapped form; ::/0 is not an IPv4 network. */
	bool is_v4 = addr_is_v4(&addr) && cidr->bits >= 96;

	addr_format_ip(&addr, text);
	(void)snprintf(text + strlen(text), ADDR_TEXT_MAX - strlen(text), "/%d",
		       is_v4 ? cidr->bits - 96 : cidr->bits);
	return text;
}
