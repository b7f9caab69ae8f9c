/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route_priv: what the builder and the readers of a snapshot must do alike: bring a host into its
 * one spelling, and find an endpoint in the hash index.
 */
#pragma once

#include <penstock/route.h>

/* Lower case, no trailing dot, IP literals in their canonical form. False: no host at all. */
MUST_USE bool route_host_normal(struct span host, char ret_host[static HOST_MAX]);

/* Where host:port stands in the open-addressing index, or the free place it would take. The index
 * is never full: it has at least twice as many places as endpoints. */
uint32_t route_index_place(const struct route_endpoint *endpoints, const uint32_t *index,
			   uint32_t mask, struct span host, uint16_t port);
