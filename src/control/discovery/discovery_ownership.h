/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_ownership: who owns which bundle of the namespaces clients look topics up in, for
 * `lookup: direct`.
 *
 *     /admin/local-policies/<t>/<n>   local store    where bundles begin; if there is none:
 *     /admin/policies/<t>/<n>         global store   where bundles begin; if there is none: one
 *     /namespace/<t>/<n>              local store    which bundles have an owner
 *     /namespace/<t>/<n>/<bundle>     local store    its URLs
 *
 * All of them are watched. What is not known for certain (a node that just changed, a bundle whose
 * node and bounds disagree, an owner that is not a listed broker) has no owner in the snapshot:
 * then a broker is asked, which is always right. Thread:   control Memory: DISCOVERY_NAMESPACES_MAX
 * namespaces, DISCOVERY_WATCH_BYTES of paths; the namespace that was asked for longest ago goes
 * first
 */
#pragma once

#include "discovery_session.h"

struct discovery_ownership;

struct discovery_ownership *discovery_ownership_new(struct discovery_cluster *cluster,
						    struct discovery_session *local,
						    struct discovery_session *global);
void discovery_ownership_free(struct discovery_ownership *ownership);
/* A session begins: its watches are gone with the old handle. */
void discovery_ownership_reset(struct discovery_ownership *ownership, uint64_t now_ns);
void discovery_ownership_letter(struct discovery_ownership *ownership,
				const struct discovery_letter *letter, uint64_t now_ns);
uint64_t discovery_ownership_tick(struct discovery_ownership *ownership, uint64_t now_ns);
void discovery_ownership_want(struct discovery_ownership *ownership, const char *name,
			      uint64_t now_ns);
uint32_t discovery_ownership_count(const struct discovery_ownership *ownership);
void discovery_ownership_build(struct discovery_ownership *ownership, uint32_t cluster,
			       struct route_builder *builder);
