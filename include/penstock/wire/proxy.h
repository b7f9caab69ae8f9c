/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/proxy: the PROXY protocol header of load balancers, v1 text and v2 binary
 * (haproxy.org/download/2.9/doc/proxy-protocol.txt): read from the front of a connection, written
 * towards brokers.
 * Thread:   any (pure functions over spans)
 * Errors:   WIRE_MORE and WIRE_BAD as in wire/pulsar.h
 */
#pragma once

#include <penstock/base/addr.h>
#include <penstock/wire/wire.h>

#define PROXY_HEADER_MAX (16 + 2048) /* v2 with TLVs; longer ones are refused */
#define PROXY_WRITE_MAX	 108

struct proxy_header {
	size_t size;   /* bytes of the header */
	bool is_local; /* v2 LOCAL or v1 UNKNOWN: a health check; use the socket's own addresses */
	struct addr source, destination; /* is_set == 0 for other families */
};

/* WIRE_MORE with *ret_need: bytes wanted in all. Bytes that cannot begin a header: WIRE_BAD with
 * *ret_need = 0, as soon as the first wrong byte shows. */
enum wire proxy_read(struct span bytes, struct proxy_header *ret_header, size_t *ret_need);
/* Could these first bytes (at least one) be a PROXY header? */
bool proxy_may_begin(struct span bytes);

void proxy_write_v1(struct sink *sink, const struct addr *source, const struct addr *destination);
void proxy_write_v2(struct sink *sink, const struct addr *source, const struct addr *destination);
