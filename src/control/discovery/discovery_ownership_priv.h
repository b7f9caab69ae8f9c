/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_ownership_priv: between asking (discovery_ownership.c) and reading the answers
 * (discovery_ownership_read.c).
 */
#pragma once

#include "discovery_json.h"
#include "discovery_ownership.h"

#define OWNERSHIP_LOCAL_POLICIES  "/admin/local-policies/"
#define OWNERSHIP_GLOBAL_POLICIES "/admin/policies/"
#define OWNERSHIP_NAMESPACE	  "/namespace/"
#define OWNERSHIP_PATH_SIZE	  (HOST_MAX + 64)
#define OWNERSHIP_COALESCE_NS	  (100 * NS_PER_MS)
#define OWNERSHIP_RETRY_NS	  NS_PER_S
#define OWNERSHIP_WATCH_OVERHEAD \
	8 /* bytes a path takes besides itself in the packet that re-arms it */

/* ZooKeeper's results (zookeeper.h), which only discovery_session.c includes. */
enum { RC_OK = 0, RC_NO_NODE = -101 };

enum ownership_reading {
	OWNERSHIP_WANTED,
	OWNERSHIP_ASKED,
	OWNERSHIP_KNOWN,
};

struct ownership_bundle {
	char name[24]; /* 0x00000000_0x40000000 */
	uint32_t low, high;
	enum ownership_reading reading;
	bool is_owned; /* by `owner`, and not being unloaded */
	struct discovery_owner owner;
};

struct ownership_ns {
	char name[HOST_MAX];
	uint64_t used_ns;
	uint64_t due_ns; /* of the readings wanted; 0: none */
	enum ownership_reading bounds, children;
	bool is_global;	 /* the bounds come from the global store's policies */
	bool has_bounds; /* and they can be used */
	uint32_t *lows;
	uint32_t low_count;
	struct ownership_bundle *bundles; /* with a node, so with an owner */
	uint32_t bundle_count;
	size_t watch_bytes;
};

struct discovery_ownership {
	struct discovery_cluster *cluster;
	struct discovery_session *local, *global;
	struct ownership_ns *namespaces[DISCOVERY_NAMESPACES_MAX];
	uint32_t count;
	size_t watch_bytes; /* of the handles, those of forgotten namespaces included */
	uint64_t renewed_ns;
	bool is_full; /* no more watches until the handles may be renewed */
};

struct ownership_ns *discovery_ownership_find(const struct discovery_ownership *ownership,
					      const char *name, size_t len);
void discovery_ownership_add_watch(struct discovery_ownership *ownership, struct ownership_ns *ns,
				   size_t path_len);
/* Sets a reading back: asked for at `at_ns`. */
void discovery_ownership_want_again(struct ownership_ns *ns, enum ownership_reading *reading,
				    uint64_t at_ns);
