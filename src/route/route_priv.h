/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route_priv: what the builder and the readers of a snapshot must do alike: bring a host into its
 * one spelling, and find an endpoint in the hash index; and what readers share.
 */
#pragma once

#include <penstock/route.h>

/* Lower case, no trailing dot, IP literals in their canonical form. False: no host at all. */
MUST_USE bool route_host_normal(struct span host, char ret_host[static HOST_MAX]);

/* Where host:port stands in the open-addressing index, or the free place it would take. The index
 * is never full: it has at least twice as many places as endpoints. */
uint32_t route_index_place(const struct route_endpoint *endpoints, const uint32_t *index,
			   uint32_t mask, struct span host, uint16_t port);

/* ---- route.c -------------------------------------------------------------------------------- */

bool route_has_port(const struct config_ports *ports, uint16_t port);
/* An endpoint that discovery or the configuration names. */
void route_trust(const struct route_endpoint *endpoint, struct route_verdict *verdict);
/* What the egress rules say of a host in its normal form, which nobody but a client names. The
 * cluster it asked for; NULL: none. */
void route_egress(const struct route *route, const struct route_cluster *cluster, struct span host,
		  uint16_t port, struct route_verdict *ret_verdict);
