/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_json: what Pulsar and Kafka keep in ZooKeeper, read from JSON. Pure functions over
 * bytes that anybody with write access to ZooKeeper may have made. Thread:   any Errors:   false
 * with a sentence, and nothing written
 */
#pragma once

#include <jansson.h>

#include "discovery_priv.h"

#define DISCOVERY_JSON_MAX   (1024 * 1024) /* ZooKeeper's own limit (jute.maxbuffer) */
#define DISCOVERY_JSON_DEPTH 32
#define DISCOVERY_WHY_MAX    256

/* An object, or NULL: too long, too deep, not JSON, not an object. */
json_t *discovery_json_load(const uint8_t *bytes, size_t len, char why[static DISCOVERY_WHY_MAX]);

/* ---- discovery_broker_json.c ------------------------------------------------------------------
 */

/* /loadbalance/brokers/<id>, in any of its three forms: LocalBrokerData of the simple and of the
 * modular load manager, BrokerLookupData of the extensible one (PIP-192). At least one of the main
 * URLs must be good; bad ones beside it are left out. ret_broker->listeners is the caller's. */
MUST_USE bool discovery_broker_json_parse(const char *id, const uint8_t *bytes, size_t len,
					  struct discovery_broker *ret_broker,
					  char why[static DISCOVERY_WHY_MAX]);

/* ---- discovery_kafka_json.c -------------------------------------------------------------------
 */

/* Which listener of a broker is wanted. */
struct discovery_wanted {
	const char *listener; /* NULL: the first of that kind */
	bool is_tls;
};

/* /brokers/ids/<id> of Kafka, versions 1 to 5 and later (BrokerIdZNode in ZkData.scala). */
MUST_USE bool discovery_kafka_json_parse(const char *id, const struct discovery_wanted *wanted,
					 const uint8_t *bytes, size_t len,
					 struct discovery_broker *ret_broker,
					 char why[static DISCOVERY_WHY_MAX]);

/* ---- discovery_bundle_json.c ------------------------------------------------------------------
 */

struct discovery_owner {
	struct discovery_url plain, tls;
	bool is_disabled; /* being unloaded */
};

enum discovery_bounds {
	DISCOVERY_BOUNDS_OK,
	DISCOVERY_BOUNDS_NONE, /* the node says nothing about bundles */
	DISCOVERY_BOUNDS_BAD,
};

/* /namespace/<tenant>/<namespace>/<bundle> */
MUST_USE bool discovery_bundle_json_owner(const uint8_t *bytes, size_t len,
					  struct discovery_owner *ret_owner,
					  char why[static DISCOVERY_WHY_MAX]);
/* The `bundles` of /admin/local-policies/<tenant>/<namespace> and of /admin/policies/...: the lower
 * bound of each bundle, ascending, the first 0; at most DISCOVERY_BUNDLES_MAX. */
MUST_USE enum discovery_bounds
discovery_bundle_json_bounds(const uint8_t *bytes, size_t len,
			     uint32_t ret_lows[static DISCOVERY_BUNDLES_MAX], uint32_t *ret_count,
			     char why[static DISCOVERY_WHY_MAX]);
/* "0x00000000_0x40000000": [low, high), and the last bundle's high is 0xffffffff itself. */
MUST_USE bool discovery_bundle_json_range(const char *name, uint32_t *ret_low, uint32_t *ret_high);
