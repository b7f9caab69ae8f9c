/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_town: who lives where: brokers (those of the snapshot first, then hidden ones), the target of
 * forward listeners, penstock's listeners; and the config and the snapshots that say so.
 */
#pragma once

#include <penstock/config.h>
#include <penstock/route.h>

#include "sim.h"

#define SIM_TOWN_PORT	   6650
#define SIM_TOWN_TLS_PORT  6651
#define SIM_TOWN_ROUTES	   6  /* of each of the two listeners that have any */
#define SIM_TOWN_FEW	   2  /* max_connections of few.sim */
#define SIM_TOWN_NEAR	   25 /* bits of 192.0.2.0, which near.sim lets in */
#define SIM_TOWN_DIRECT_NS "t/direct"

enum sim_listeners {
	SIM_TOWN_FORWARD,
	SIM_TOWN_FORWARD_PROXY, /* wants a PROXY header */
	SIM_TOWN_PULSAR,
	SIM_TOWN_PULSAR_PROXY,
	SIM_TOWN_EDGE,	     /* by server name; refuses what it does not know */
	SIM_TOWN_EDGE_PROXY, /* sends that to one.sim */
	SIM_TOWN_KAFKA,	     /* not there without Kafka flows */
	SIM_TOWN_LISTENERS,
};

/* `broker` is below sim_plan.brokers + sim_plan.hidden. */
struct addr sim_town_broker(uint32_t broker);
const char *sim_town_host(uint32_t broker);
/* "pulsar://broker-1.sim:6650" or its TLS form, in a buffer used in turn with three others. */
const char *sim_town_url(uint32_t broker, bool is_tls);
struct addr sim_town_target(void);
/* A second address of the target's name, which refuses; and a second target of one.sim. */
struct addr sim_town_target_dead(void);
struct addr sim_town_target_other(void);
struct addr sim_town_listener(uint32_t listener);
/* Clients come from here, load balancers (whose PROXY headers are believed) from there. */
struct addr sim_town_client(uint32_t flow);
struct addr sim_town_balancer(uint32_t flow);
bool sim_town_is_dead(uint32_t broker);
/* Who owns the topics of SIM_TOWN_DIRECT_NS. */
uint32_t sim_town_owner(void);

/* From now on snapshots have this node of Kafka, which none had at first. */
void sim_town_tell_node(uint32_t node);

/* What the name servers of the town know: brokers' hosts, and "nN.ext.sim" for broker N. */
uint8_t sim_town_resolve(const char *host, struct addr *ret_addrs);

const struct config *sim_town_config(void);
/* `learned`: a bit per hidden broker that is an endpoint by now. */
struct route *sim_town_route(uint64_t version, uint32_t learned, bool has_namespace);
