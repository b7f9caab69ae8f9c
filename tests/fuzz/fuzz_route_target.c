/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a client may name as its broker: whatever the text, an address that comes out is one the
 * rules allow, and every refusal has its reason.
 */
#include "fuzz.h"

#include <penstock/route.h>

static struct config config;

static struct route *make_route(void)
{
	static const char *hosts[] = { "*.internal", "a" };
	static uint16_t ports[] = { 6650 };
	static struct cidr networks[2];
	CHECK(addr_parse_cidr(span_str("0.0.0.0/0"), &networks[0]));
	CHECK(addr_parse_cidr(span_str("::/0"), &networks[1]));
	config.cluster_count = 1;
	config.egress.hosts = (struct config_names){ .at = hosts, .count = 2 };
	config.egress.ports = (struct config_ports){ .at = ports, .count = 1 };
	config.egress.networks = (struct config_cidrs){ .at = networks, .count = 2 };
	struct route_builder *builder = route_build_begin(&config, 1);
	struct route_endpoint endpoint = { .host = "127.77.0.11", .port = 6650 };
	route_build_cluster(builder, 0, true, true, false, 1);
	CHECK(route_build_endpoint(builder, 0, &endpoint) == 0);
	return route_build_end(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct route *route;
	struct route_verdict verdict;
	if (route == NULL)
		route = make_route();
	CHECK(route != NULL);
	route_target(route, 0, span_of(data, size), &verdict);
	if (verdict.answer == ROUTE_DENY) {
		CHECK(verdict.reason != CLOSE_NONE && verdict.addr_count == 0);
		return 0;
	}
	CHECK(verdict.reason == CLOSE_NONE);
	CHECK((verdict.answer == ROUTE_DIAL) == (verdict.addr_count > 0));
	for (uint8_t i = 0; i < verdict.addr_count; i++) {
		const struct addr *addr = &verdict.addrs[i];
		CHECK(addr->is_set && addr->port == 6650);
		CHECK(verdict.is_trusted || addr_kind_embedded(addr) == ADDR_GLOBAL);
		CHECK(verdict.is_trusted || route_addr_check(route, addr) == CLOSE_NONE);
	}
	/* A name that goes to the resolver has nothing in it but a host, a port and a scheme. */
	for (size_t i = 0; verdict.answer == ROUTE_NEED_DNS && i < size; i++)
		CHECK(data[i] > ' ' && data[i] < 0x7f && data[i] != '@' && data[i] != ',');
	return 0;
}
