/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Addresses, networks, hosts and host:port: what is read prints and reads back as the same, and
 * nothing inet_aton takes as an address passes for a name.
 */
#include "fuzz.h"

#include <arpa/inet.h>

#include <penstock/base/addr.h>

static void check_addr(struct span text)
{
	struct addr addr, back;
	char out[ADDR_TEXT_MAX];
	if (addr_parse_ip(text, &addr)) {
		CHECK(addr_is_ip_like(text) && addr_is_host(text));
		CHECK(addr_parse_ip(span_str(addr_format_ip(&addr, out)), &back));
		CHECK(addr_equal(&addr, &back));
		CHECK(addr_kind(&addr) == ADDR_GLOBAL ||
		      addr_kind(&addr) == addr_kind_embedded(&addr));
	}
	if (addr_parse(text, &addr)) {
		CHECK(addr_parse(span_str(addr_format(&addr, out)), &back));
		CHECK(addr_equal(&addr, &back) && addr.port != 0);
	}
}

static void check_cidr(struct span text)
{
	struct cidr cidr;
	if (!addr_parse_cidr(text, &cidr))
		return;
	struct addr first = { .is_set = 1 };
	memcpy(first.ip, cidr.ip, sizeof(first.ip));
	CHECK(addr_in_cidr(&first, &cidr) || (cidr.bits < 96 && addr_is_v4(&first)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size), host;
	char copy[256];
	struct in_addr in;
	uint16_t port;
	check_addr(text);
	check_cidr(text);
	if (addr_split(text, &host, &port))
		CHECK(port != 0 && host.len > 0 && host.len < size);
	if (addr_is_host(text)) {
		CHECK(span_to_str(text, copy, sizeof(copy)));
		CHECK(inet_aton(copy, &in) == 0 || addr_is_ip_like(text));
	}
	return 0;
}
