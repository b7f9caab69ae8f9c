/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_ownership_read: what ZooKeeper answers about a namespace, and its events. Answers come
 * in the order of their questions and an event before any answer that shows its change, so the last
 * answer to a reading is the truth unless an event has voided it since.
 */
#include <stdlib.h>

#include "discovery_ownership_priv.h"

static void keep_bounds(struct discovery_ownership *ownership, struct ownership_ns *ns,
			const uint32_t *lows, uint32_t count)
{
	uint32_t *copy = calloc(count, sizeof(*copy));

	ns->bounds = OWNERSHIP_KNOWN;
	ns->has_bounds = copy != NULL;
	if (copy == NULL)
		return;
	memcpy(copy, lows, count * sizeof(*copy));
	free(ns->lows);
	ns->lows = copy;
	ns->low_count = count;
	discovery_changed(ownership->cluster);
}

/* The node is missing: it may come, so its creation is watched. */
static void watch_creation(struct discovery_session *session, struct ownership_ns *ns,
			   enum ownership_reading *reading, const char *path, uint64_t now_ns)
{
	if (!discovery_session_exists(session, path, true, 0))
		discovery_ownership_want_again(ns, reading, now_ns + OWNERSHIP_RETRY_NS);
}

static void on_bounds(struct discovery_ownership *ownership, struct ownership_ns *ns,
		      const struct discovery_letter *letter, bool is_global, uint64_t now_ns)
{
	struct discovery_session *session = is_global ? ownership->global : ownership->local;
	uint32_t lows[DISCOVERY_BUNDLES_MAX];
	char why[DISCOVERY_WHY_MAX];
	uint32_t count = 0;
	enum discovery_bounds bounds = DISCOVERY_BOUNDS_NONE;

	if (ns->is_global != is_global || ns->bounds == OWNERSHIP_WANTED)
		return; /* void already: it is asked for again */
	if (letter->rc == RC_OK)
		bounds =
			discovery_bundle_json_bounds(letter->bytes, letter->len, lows, &count, why);
	else if (letter->rc != RC_NO_NODE) {
		discovery_ownership_want_again(ns, &ns->bounds, now_ns + OWNERSHIP_RETRY_NS);
		return;
	}
	if (bounds == DISCOVERY_BOUNDS_OK) {
		keep_bounds(ownership, ns, lows, count);
	} else if (bounds == DISCOVERY_BOUNDS_BAD) {
		ns->bounds = OWNERSHIP_KNOWN; /* until its watch says that it is another */
		ns->has_bounds = false;
		log_warn("ownership_unreadable", "cluster %s: %s %s; its lookups are relayed",
			 ownership->cluster->name, letter->path, why);
	} else if (!is_global) {
		/* The normal case before a namespace's first lookup. */
		ns->is_global = true;
		discovery_ownership_want_again(ns, &ns->bounds, now_ns);
	} else {
		lows[0] = 0; /* no policies at all: one bundle */
		keep_bounds(ownership, ns, lows, 1);
	}
	if (letter->rc == RC_NO_NODE)
		watch_creation(session, ns, &ns->bounds, letter->path, now_ns);
}

static bool is_listed(const struct discovery_letter *letter, const char *name)
{
	for (uint32_t i = 0; i < letter->name_count; i++)
		if (strcmp(letter->names[i], name) == 0)
			return true;
	return false;
}

static struct ownership_bundle *find_bundle(const struct ownership_ns *ns, const char *name)
{
	for (uint32_t i = 0; i < ns->bundle_count; i++)
		if (strcmp(ns->bundles[i].name, name) == 0)
			return &ns->bundles[i];
	return NULL;
}

static void add_bundle(struct discovery_ownership *ownership, struct ownership_ns *ns,
		       const char *name)
{
	struct ownership_bundle bundle = { .reading = OWNERSHIP_WANTED };

	if (ns->bundle_count >= DISCOVERY_BUNDLES_MAX || ownership->is_full ||
	    !span_to_str(span_str(name), bundle.name, sizeof(bundle.name)) ||
	    !discovery_bundle_json_range(name, &bundle.low, &bundle.high))
		return;
	ns->bundles[ns->bundle_count++] = bundle;
	discovery_ownership_add_watch(ownership, ns,
				      sizeof(OWNERSHIP_NAMESPACE) + strlen(ns->name) +
					      strlen(name));
}

static void on_children(struct discovery_ownership *ownership, struct ownership_ns *ns,
			const struct discovery_letter *letter, uint64_t now_ns)
{
	uint32_t kept = 0;

	if (ns->children == OWNERSHIP_WANTED)
		return; /* void already */
	if (letter->rc != RC_OK && letter->rc != RC_NO_NODE) {
		discovery_ownership_want_again(ns, &ns->children, now_ns + OWNERSHIP_RETRY_NS);
		return;
	}
	for (uint32_t i = 0; i < ns->bundle_count; i++)
		if (is_listed(letter, ns->bundles[i].name))
			ns->bundles[kept++] = ns->bundles[i];
	ns->bundle_count = kept;
	uint32_t most = kept + letter->name_count;
	struct ownership_bundle *bundles = realloc(ns->bundles, (most + 1) * sizeof(*bundles));

	if (bundles == NULL) {
		discovery_ownership_want_again(ns, &ns->children, now_ns + OWNERSHIP_RETRY_NS);
		return;
	}
	ns->bundles = bundles;
	for (uint32_t i = 0; i < letter->name_count; i++)
		if (find_bundle(ns, letter->names[i]) == NULL)
			add_bundle(ownership, ns, letter->names[i]);
	ns->children = OWNERSHIP_KNOWN;
	if (ns->bundle_count > 0)
		ns->due_ns = now_ns;
	if (letter->rc == RC_NO_NODE)
		watch_creation(ownership->local, ns, &ns->children, letter->path, now_ns);
	discovery_changed(ownership->cluster);
}

static void on_owner(struct discovery_ownership *ownership, struct ownership_ns *ns,
		     struct ownership_bundle *bundle, const struct discovery_letter *letter,
		     uint64_t now_ns)
{
	char why[DISCOVERY_WHY_MAX];

	if (bundle->reading == OWNERSHIP_WANTED)
		return; /* void already */
	bundle->is_owned = false;
	if (letter->rc == RC_NO_NODE) {
		/* Gone meanwhile; it may be back under another owner before the list is read. */
		*bundle = ns->bundles[--ns->bundle_count];
		discovery_ownership_want_again(ns, &ns->children, now_ns + OWNERSHIP_COALESCE_NS);
	} else if (letter->rc != RC_OK) {
		discovery_ownership_want_again(ns, &bundle->reading, now_ns + OWNERSHIP_RETRY_NS);
	} else {
		bundle->reading = OWNERSHIP_KNOWN;
		if (discovery_bundle_json_owner(letter->bytes, letter->len, &bundle->owner, why))
			bundle->is_owned = !bundle->owner.is_disabled;
		else
			log_debug("ownership_unreadable", "%s %s", letter->path, why);
	}
	discovery_changed(ownership->cluster);
}

/* Something below /namespace/<t>/<n> has changed: what was known of it is void at once. */
static void on_node_changed(struct discovery_ownership *ownership, struct ownership_ns *ns,
			    const char *bundle_name, uint64_t now_ns)
{
	struct ownership_bundle *bundle = bundle_name == NULL ? NULL : find_bundle(ns, bundle_name);

	if (bundle != NULL) {
		bundle->is_owned = false;
		discovery_ownership_want_again(ns, &bundle->reading,
					       now_ns + OWNERSHIP_COALESCE_NS);
	} else if (bundle_name == NULL) {
		discovery_ownership_want_again(ns, &ns->children, now_ns + OWNERSHIP_COALESCE_NS);
	}
	discovery_changed(ownership->cluster);
}

static void on_bounds_changed(struct discovery_ownership *ownership, struct ownership_ns *ns,
			      uint64_t now_ns)
{
	ns->has_bounds = false;
	ns->is_global = false; /* local policies may have come into being */
	discovery_ownership_want_again(ns, &ns->bounds, now_ns + OWNERSHIP_COALESCE_NS);
	discovery_changed(ownership->cluster);
}

static void on_namespace_letter(struct discovery_ownership *ownership, struct ownership_ns *ns,
				const char *bundle_name, const struct discovery_letter *letter,
				uint64_t now_ns)
{
	struct ownership_bundle *bundle = bundle_name == NULL ? NULL : find_bundle(ns, bundle_name);

	if (letter->what == DISCOVERY_WATCH)
		on_node_changed(ownership, ns, bundle_name, now_ns);
	else if (letter->what == DISCOVERY_CHILDREN)
		on_children(ownership, ns, letter, now_ns);
	else if (letter->what == DISCOVERY_EXISTS && letter->rc == RC_OK)
		discovery_ownership_want_again(ns, &ns->children,
					       now_ns); /* it came between the two questions */
	else if (letter->what == DISCOVERY_GET && bundle != NULL)
		on_owner(ownership, ns, bundle, letter, now_ns);
}

static void on_policies_letter(struct discovery_ownership *ownership, struct ownership_ns *ns,
			       bool is_global, const struct discovery_letter *letter,
			       uint64_t now_ns)
{
	if (letter->what == DISCOVERY_GET)
		on_bounds(ownership, ns, letter, is_global, now_ns);
	else if (letter->what == DISCOVERY_WATCH ||
		 (letter->what == DISCOVERY_EXISTS && letter->rc == RC_OK))
		on_bounds_changed(ownership, ns, now_ns);
}

void discovery_ownership_letter(struct discovery_ownership *ownership,
				const struct discovery_letter *letter, uint64_t now_ns)
{
	static const char *const prefixes[] = { OWNERSHIP_LOCAL_POLICIES, OWNERSHIP_GLOBAL_POLICIES,
						OWNERSHIP_NAMESPACE };
	size_t prefix = 0;

	while (prefix < COUNT_OF(prefixes) &&
	       !span_starts(span_str(letter->path), prefixes[prefix]))
		prefix++;
	if (prefix == COUNT_OF(prefixes))
		return;
	const char *name = letter->path + strlen(prefixes[prefix]);
	const char *slash = strchr(name, '/');
	const char *second = slash == NULL ? NULL : strchr(slash + 1, '/');
	struct ownership_ns *ns =
		discovery_ownership_find(ownership, name,
					 second == NULL ? strlen(name) : (size_t)(second - name));

	if (ns == NULL)
		return; /* forgotten meanwhile */
	if (prefix == 2)
		on_namespace_letter(ownership, ns, second == NULL ? NULL : second + 1, letter,
				    now_ns);
	else
		on_policies_letter(ownership, ns, prefix == 1, letter, now_ns);
}
