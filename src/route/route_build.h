/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route_build.h: a snapshot in the making: route_build.c collects it, route_freeze.c makes one
 * block of it.
 */
#pragma once

#include "route_priv.h"

/* An array of items that grows. */
struct list {
	void *at;
	uint32_t count;
	uint32_t room;
};

struct build_cluster {
	bool is_loaded, is_zookeeper, is_direct;
	uint64_t read_ns;
	struct list endpoints, brokers, namespaces, nodes;
	uint32_t *index; /* as in the snapshot, at its largest size; made with the first endpoint */
};

struct route_builder {
	struct route head; /* what is copied as it stands */
	struct route_endpoint *forwards;
	struct route_rule *rules;
	struct route_endpoint *targets;
	uint32_t target_count;
	struct build_cluster *clusters;
	struct list kept;  /* copies of texts and bundles, freed at the end */
	size_t kept_bytes; /* what they take in the block */
	bool is_failed;
};

static inline size_t padded(size_t size)
{
	return (size + 7) / 8 * 8;
}

/* NULL when out of memory. */
struct route *route_freeze(const struct route_builder *builder);
