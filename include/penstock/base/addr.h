/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * addr: an IP address with a port, kept compact (sessions hold several), networks in CIDR form,
 * and "host:port" texts. IPv4 is kept in its IPv6-mapped form, so that ::ffff:10.0.0.1 and
 * 10.0.0.1 are the same address for every rule.
 * Thread:   any (values)
 * Errors:   parsers answer false and leave the output alone
 */
#pragma once

#include <penstock/base/span.h>

struct addr {
	uint8_t ip[16];
	uint16_t port;	 /* host byte order */
	uint16_t is_set; /* 0: no address */
	uint32_t scope;	 /* link-local scope id, else 0 */
};

struct cidr {
	uint8_t ip[16];
	uint8_t bits; /* 0-128, counted on the mapped form */
};

#define ADDR_TEXT_MAX 64  /* "[v6%scope]:port" and its NUL */
#define HOST_MAX      256 /* longest DNS name (253, RFC 1035) and its NUL, rounded up */

/* What an address is, for the built-in deny-set of outgoing connections (DECISIONS 5.4). */
enum addr_kind {
	ADDR_GLOBAL,
	ADDR_UNSPECIFIED,
	ADDR_LOOPBACK,
	ADDR_LINK_LOCAL, /* with 169.254.169.254, the cloud metadata service */
	ADDR_MULTICAST,	 /* and broadcast, and 240.0.0.0/4 */
	ADDR_METADATA,	 /* fd00:ec2::254 and the like, outside link-local */
};

struct addr addr_v4(uint32_t ip_host_order, uint16_t port);
bool addr_is_v4(const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);	/* with port */
bool addr_equal_ip(const struct addr *a, const struct addr *b); /* without */
uint64_t addr_hash(const struct addr *addr);			/* with port */
enum addr_kind addr_kind(const struct addr *addr);
/* Reads through NAT64 64:ff9b::/96, 6to4 2002::/16 and IPv4-compatible ::/96 to the IPv4 address
 * inside, since those reach it. */
enum addr_kind addr_kind_embedded(const struct addr *addr);

/* Strict literals only: four decimal octets without leading zeros, or RFC 4291 text. */
MUST_USE bool addr_parse_ip(struct span text, struct addr *ret_addr);
/* "1.2.3.4:80", "[::1]:80". */
MUST_USE bool addr_parse(struct span text, struct addr *ret_addr);
/* Looks like somebody means an IP address, strict or not ("127.1", "0x7f000001", "2130706433"):
 * the forms inet_aton takes. Such a host is refused unless addr_parse_ip takes it. */
bool addr_is_ip_like(struct span host);
/* "10.0.0.0/8", "2001:db8::/32", or a bare address. */
MUST_USE bool addr_parse_cidr(struct span text, struct cidr *ret_cidr);
/* ::/0 is all of IPv6 without IPv4, 0.0.0.0/0 all of IPv4. */
bool addr_in_cidr(const struct addr *addr, const struct cidr *cidr);

/* Splits "host:port" at the last colon; a v6 literal must be in brackets, which are dropped.
 * False for no colon, an empty host, port 0 or > 65535, anything but digits in the port. */
MUST_USE bool addr_split(struct span text, struct span *ret_host, uint16_t *ret_port);
/* A host name by RFC 1123 (letters, digits, '-', '_', dots; labels 1-63; at most 253), or an IP. */
bool addr_is_host(struct span host);

const char *addr_format(const struct addr *addr, char text[static ADDR_TEXT_MAX]);
const char *addr_format_ip(const struct addr *addr, char text[static ADDR_TEXT_MAX]);
/* "10.0.0.0/8", "2001:db8::/32" */
const char *addr_format_cidr(const struct cidr *cidr, char text[static ADDR_TEXT_MAX]);
