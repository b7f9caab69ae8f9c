/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_ownership: see discovery_ownership.h. Each thing to be read is a flag that says WANTED
 * until it is asked for, ASKED until the answer is here; a watch sets it back to WANTED. Questions
 * go out from the tick, 100 ms after the first change, so that a storm of changes is one reading.
 */
#include <stdlib.h>

#include "discovery_ownership_priv.h"

#define RENEW_NS (60 * NS_PER_S)
#define IDLE_NS	 NS_PER_S

struct discovery_ownership *discovery_ownership_new(struct discovery_cluster *cluster,
						    struct discovery_session *local,
						    struct discovery_session *global)
{
	struct discovery_ownership *ownership = calloc(1, sizeof(*ownership));

	if (ownership == NULL)
		return NULL;
	ownership->cluster = cluster;
	ownership->local = local;
	ownership->global = global;
	return ownership;
}

static void ns_free(struct ownership_ns *ns)
{
	free(ns->bundles);
	free(ns->lows);
	free(ns);
}

void discovery_ownership_free(struct discovery_ownership *ownership)
{
	if (ownership == NULL)
		return;
	for (uint32_t i = 0; i < ownership->count; i++)
		ns_free(ownership->namespaces[i]);
	free(ownership);
}

uint32_t discovery_ownership_count(const struct discovery_ownership *ownership)
{
	return ownership == NULL ? 0 : ownership->count;
}

/* ---- which namespaces -------------------------------------------------------------------------
 */

struct ownership_ns *discovery_ownership_find(const struct discovery_ownership *ownership,
					      const char *name, size_t len)
{
	for (uint32_t i = 0; i < ownership->count; i++)
		if (strncmp(ownership->namespaces[i]->name, name, len) == 0 &&
		    ownership->namespaces[i]->name[len] == '\0')
			return ownership->namespaces[i];
	return NULL;
}

static void forget_oldest(struct discovery_ownership *ownership)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < ownership->count; i++)
		if (ownership->namespaces[i]->used_ns < ownership->namespaces[oldest]->used_ns)
			oldest = i;
	ns_free(ownership->namespaces[oldest]);
	ownership->namespaces[oldest] = ownership->namespaces[--ownership->count];
	discovery_changed(ownership->cluster);
}

/* "tenant/namespace": it becomes part of a path, so nothing that could mean another path. */
static bool is_name(const char *name)
{
	struct span rest = span_str(name);
	size_t slash = span_find(rest, '/');
	struct span tenant;

	if (!span_take(&rest, slash, &tenant) || !span_skip(&rest, 1) || tenant.len == 0 ||
	    rest.len == 0 || span_find(rest, '/') < rest.len || span_is(tenant, ".") ||
	    span_is(tenant, "..") || span_is(rest, ".") || span_is(rest, ".."))
		return false;
	for (const char *at = name; *at != '\0'; at++)
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
			return false;
	return true;
}

void discovery_ownership_add_watch(struct discovery_ownership *ownership, struct ownership_ns *ns,
				   size_t path_len)
{
	ns->watch_bytes += path_len + OWNERSHIP_WATCH_OVERHEAD;
	ownership->watch_bytes += path_len + OWNERSHIP_WATCH_OVERHEAD;
}

void discovery_ownership_want(struct discovery_ownership *ownership, const char *name,
			      uint64_t now_ns)
{
	struct ownership_ns *ns = discovery_ownership_find(ownership, name, strlen(name));

	if (ns != NULL) {
		ns->used_ns = now_ns;
		return;
	}
	if (ownership->is_full || !is_name(name))
		return;
	if (ownership->count == DISCOVERY_NAMESPACES_MAX)
		forget_oldest(ownership);
	ns = calloc(1, sizeof(*ns));
	if (ns == NULL || !span_to_str(span_str(name), ns->name, sizeof(ns->name))) {
		free(ns);
		return;
	}
	ns->used_ns = now_ns;
	ns->due_ns = now_ns;
	/* The three paths of the namespace itself; bundles are counted as they appear. */
	discovery_ownership_add_watch(ownership, ns,
				      3 * (strlen(name) + sizeof(OWNERSHIP_LOCAL_POLICIES)));
	ownership->namespaces[ownership->count++] = ns;
	log_info("ownership_watched", "cluster %s: namespace %s", ownership->cluster->name, name);
	discovery_changed(ownership->cluster);
}

/* Everything again, with the watches of a new handle. */
void discovery_ownership_reset(struct discovery_ownership *ownership, uint64_t now_ns)
{
	ownership->watch_bytes = 0;
	ownership->is_full = false;
	for (uint32_t i = 0; i < ownership->count; i++) {
		struct ownership_ns *ns = ownership->namespaces[i];

		ns->bounds = OWNERSHIP_WANTED;
		ns->children = OWNERSHIP_WANTED;
		ns->is_global = false;
		ns->has_bounds = false;
		ns->bundle_count = 0;
		ns->due_ns = now_ns;
		ns->watch_bytes = 0;
		discovery_ownership_add_watch(ownership, ns,
					      3 * (strlen(ns->name) +
						   sizeof(OWNERSHIP_LOCAL_POLICIES)));
	}
	discovery_changed(ownership->cluster);
}

/* Watches only go with their handle, so that is renewed, but not all the time: a client may look up
 * namespaces that do not exist as fast as it likes. */
static void make_room(struct discovery_ownership *ownership, uint64_t now_ns)
{
	size_t live = 0;

	if (ownership->watch_bytes <= DISCOVERY_WATCH_BYTES)
		return;
	if (ownership->renewed_ns != 0 && now_ns - ownership->renewed_ns < RENEW_NS) {
		ownership->is_full = true;
		return;
	}
	for (uint32_t i = 0; i < ownership->count; i++)
		live += ownership->namespaces[i]->watch_bytes;
	while (live > DISCOVERY_WATCH_BYTES / 2 && ownership->count > 0) {
		forget_oldest(ownership);
		live = 0;
		for (uint32_t i = 0; i < ownership->count; i++)
			live += ownership->namespaces[i]->watch_bytes;
	}
	log_info("ownership_renewed",
		 "cluster %s: a new ZooKeeper session drops watches of "
		 "namespaces no longer used; %u remain",
		 ownership->cluster->name, ownership->count);
	ownership->renewed_ns = now_ns;
	discovery_session_renew(ownership->local, now_ns);
	if (ownership->global != ownership->local)
		discovery_session_renew(ownership->global, now_ns);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static void path_of(char path[static OWNERSHIP_PATH_SIZE], const char *prefix,
		    const struct ownership_ns *ns, const struct ownership_bundle *bundle)
{
	struct sink sink = sink_of(path, OWNERSHIP_PATH_SIZE - 1);

	sink_str(&sink, prefix);
	sink_str(&sink, ns->name);
	if (bundle != NULL) {
		sink_str(&sink, "/");
		sink_str(&sink, bundle->name);
	}
	CHECK(!sink.full);
	path[sink.len] = '\0';
}

static bool ask_bounds(struct discovery_ownership *ownership, struct ownership_ns *ns)
{
	char path[OWNERSHIP_PATH_SIZE];

	path_of(path, ns->is_global ? OWNERSHIP_GLOBAL_POLICIES : OWNERSHIP_LOCAL_POLICIES, ns,
		NULL);
	return discovery_session_get(ns->is_global ? ownership->global : ownership->local, path,
				     true, 0);
}

static bool ask_children(struct discovery_ownership *ownership, struct ownership_ns *ns)
{
	char path[OWNERSHIP_PATH_SIZE];

	path_of(path, OWNERSHIP_NAMESPACE, ns, NULL);
	return discovery_session_children(ownership->local, path, true, 0);
}

static bool ask_owner(struct discovery_ownership *ownership, struct ownership_ns *ns,
		      const struct ownership_bundle *bundle)
{
	char path[OWNERSHIP_PATH_SIZE];

	path_of(path, OWNERSHIP_NAMESPACE, ns, bundle);
	return discovery_session_get(ownership->local, path, true, 0);
}

void discovery_ownership_want_again(struct ownership_ns *ns, enum ownership_reading *reading,
				    uint64_t at_ns)
{
	*reading = OWNERSHIP_WANTED;
	if (ns->due_ns == 0 || at_ns < ns->due_ns)
		ns->due_ns = at_ns;
}

/* A question that could not be put (no session, no memory) is put again later. */
static void put(struct ownership_ns *ns, enum ownership_reading *reading, bool is_asked,
		uint64_t now_ns)
{
	if (is_asked)
		*reading = OWNERSHIP_ASKED;
	else
		discovery_ownership_want_again(ns, reading, now_ns + OWNERSHIP_RETRY_NS);
}

static void ask_all(struct discovery_ownership *ownership, struct ownership_ns *ns, uint64_t now_ns)
{
	ns->due_ns = 0;
	if (ns->bounds == OWNERSHIP_WANTED)
		put(ns, &ns->bounds, ask_bounds(ownership, ns), now_ns);
	if (ns->children == OWNERSHIP_WANTED)
		put(ns, &ns->children, ask_children(ownership, ns), now_ns);
	for (uint32_t i = 0; i < ns->bundle_count; i++) {
		struct ownership_bundle *bundle = &ns->bundles[i];

		if (bundle->reading == OWNERSHIP_WANTED)
			put(ns, &bundle->reading, ask_owner(ownership, ns, bundle), now_ns);
	}
}

uint64_t discovery_ownership_tick(struct discovery_ownership *ownership, uint64_t now_ns)
{
	uint64_t next_ns = now_ns + IDLE_NS;

	make_room(ownership, now_ns);
	if (ownership->is_full && now_ns - ownership->renewed_ns >= RENEW_NS)
		ownership->is_full = false;
	if (!discovery_session_is_up(ownership->local))
		return next_ns; /* its return begins everything anew */
	for (uint32_t i = 0; i < ownership->count; i++) {
		struct ownership_ns *ns = ownership->namespaces[i];

		if (ns->due_ns != 0 && ns->due_ns <= now_ns)
			ask_all(ownership, ns, now_ns);
		if (ns->due_ns != 0 && ns->due_ns < next_ns)
			next_ns = ns->due_ns;
	}
	return next_ns;
}

/* ---- snapshots --------------------------------------------------------------------------------
 */

static int32_t owner_endpoint(struct discovery_ownership *ownership, uint32_t cluster,
			      struct route_builder *builder, const struct discovery_url *url)
{
	/* A node may outlive its broker for a session time-out; a broker that is not listed is
	 * nobody we would send a client to. */
	if (!discovery_has_url(ownership->cluster, url))
		return -1;
	return discovery_build_url(ownership->cluster, cluster, builder, url);
}

static void build_bundle(struct discovery_ownership *ownership, uint32_t cluster,
			 struct route_builder *builder, const struct ownership_ns *ns,
			 uint32_t index, struct route_bundle *ret_bundle)
{
	uint32_t low = ns->lows[index];
	uint32_t high = index + 1 < ns->low_count ? ns->lows[index + 1] : UINT32_MAX;

	*ret_bundle = (struct route_bundle){ .low = low, .plain = -1, .tls = -1 };
	for (uint32_t i = 0; i < ns->bundle_count; i++) {
		const struct ownership_bundle *bundle = &ns->bundles[i];

		if (bundle->low != low || bundle->high != high || !bundle->is_owned ||
		    bundle->reading != OWNERSHIP_KNOWN)
			continue;
		ret_bundle->plain =
			owner_endpoint(ownership, cluster, builder, &bundle->owner.plain);
		ret_bundle->tls = owner_endpoint(ownership, cluster, builder, &bundle->owner.tls);
		return;
	}
}

void discovery_ownership_build(struct discovery_ownership *ownership, uint32_t cluster,
			       struct route_builder *builder)
{
	static const struct route_bundle nobody = { .low = 0, .plain = -1, .tls = -1 };

	for (uint32_t i = 0; i < ownership->count; i++) {
		const struct ownership_ns *ns = ownership->namespaces[i];
		bool is_known = ns->has_bounds && ns->bounds == OWNERSHIP_KNOWN;
		uint32_t count = is_known ? ns->low_count : 1;
		struct route_bundle *bundles = calloc(count, sizeof(*bundles));

		if (bundles == NULL)
			return;
		/* One that is not known yet is listed all the same, so that workers need not ask
		 * for it again. */
		bundles[0] = nobody;
		for (uint32_t j = 0; is_known && j < count; j++)
			build_bundle(ownership, cluster, builder, ns, j, &bundles[j]);
		const struct route_namespace entry = {
			.name = ns->name,
			.bundles = bundles,
			.bundle_count = count,
		};

		route_build_namespace(builder, cluster, &entry);
		free(bundles);
	}
}
