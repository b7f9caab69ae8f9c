/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * net_priv: struct addr to and from the kernel's sockaddr. Private to src/net.
 */
#pragma once

#include <netinet/in.h>

#include <penstock/net.h>

union net_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Returns the length to pass to the kernel. */
socklen_t net_to_sockaddr(const struct addr *addr, union net_sockaddr *ret_sockaddr);
void net_from_sockaddr(const union net_sockaddr *sockaddr, struct addr *ret_addr);
