/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route/sni: which route a server name takes. A table from patterns to numbers the caller knows its
 * routes by, filled once and never changed again:
 *
 *     NAME        this name: wins over every wildcard
 *     *.SUFFIX    one label more, as in certificates (RFC 9525 6.3)
 *     **.SUFFIX   one label more or several
 *     *           any name nothing else matches
 *
 * Of wildcards the longest suffix wins, and for the same suffix `*.` over `**.`; none matches its
 * SUFFIX alone or an empty label. Letters are folded and one dot at the end is dropped, on both
 * sides. Other alphabets stand as A-labels (xn--...), which are compared as bytes. Addresses match
 * nothing, `*` included.
 *
 * Thread:   fill: one; find: any
 * Memory:   the caller's, one block without pointers in it: it can be copied and moved
 * Errors:   enum route_sni_put
 */
#pragma once

#include <penstock/base/span.h>

struct route_sni;

enum route_sni_put {
	ROUTE_SNI_DONE,
	ROUTE_SNI_TAKEN, /* the pattern is there already: the first value stays */
	ROUTE_SNI_BAD,	 /* not a pattern */
};

struct route_sni_match {
	uint32_t value;
	struct span capture; /* what the wildcard stands for, within the name; empty for NAME */
};

/* Bytes for `count` patterns of `text_size` bytes together; aligned as for uint32_t. */
size_t route_sni_size(uint32_t count, size_t text_size);
struct route_sni *route_sni_init(void *at, uint32_t count, size_t text_size);
/* `value` may be anything but UINT32_MAX. *ret_value: what the pattern has now, not for BAD. */
MUST_USE enum route_sni_put route_sni_put(struct route_sni *sni, struct span pattern,
					  uint32_t value, uint32_t *ret_value);

/* False: no pattern matches, or `name` is no host name. At most one look-up per label, and no more
 * than the longest pattern has. */
MUST_USE bool route_sni_find(const struct route_sni *sni, struct span name,
			     struct route_sni_match *ret_match);

/* `text` with the capture for each "{1}". */
void route_sni_expand(struct sink *sink, struct span text, struct span capture);
