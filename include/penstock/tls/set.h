/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls/set: the contexts of one configuration: its listeners' certificates, and how brokers of its
 * clusters are spoken TLS to. Lives as long as its configuration; connections hold references to
 * the contexts they began with, so that a reload ends none.
 * Thread:   building: control, or `penstock check`; asking: any
 * Memory:   malloc; its contexts' as tls/context.h says
 * Errors:   every mistake in any file, into config_errors
 */
#pragma once

#include <penstock/config.h>
#include <penstock/tls/context.h>

struct tls_set;

/* Reads all files the configuration names. NULL: there were mistakes, or no memory. `tickets`: may
 * be NULL (`check`); else it outlives all sets. */
struct tls_set *tls_set_new(const struct config *config, struct tls_tickets *tickets,
			    struct config_errors *errors);
void tls_set_free(struct tls_set *set);

/* NULL: no TLS there. `set` may be NULL. */
struct tls_context *tls_set_listener(const struct tls_set *set, uint32_t listener);
struct tls_context *tls_set_cluster(const struct tls_set *set, uint32_t cluster);
/* What brokers of the cluster are shown for the client with this certificate, where that is another
 * than for most; NULL: it is not. */
struct tls_context *tls_set_signer(const struct tls_set *set, uint32_t cluster,
				   const struct tls_peer *peer);

/* How a route ends TLS with its clients; NULL: it passes it through. `config`: the set's. */
struct tls_context *tls_set_route(const struct tls_set *set, const struct config *config,
				  uint32_t route);
/* How a route speaks TLS to where it leads; NULL: it does not begin any. */
struct tls_context *tls_set_route_target(const struct tls_set *set, const struct config *config,
					 uint32_t route);

/* ---- when they run out ---------------------------------------------------------------------- */

/* A certificate of ours, or the first of its chain to run out; what others are judged by (CAs) is
 * not ours. */
struct tls_expiry {
	const char *file;
	char *place; /* where it is used: "listener edge: tls", "cluster east: broker_tls" */
	time_t when;
};

/* All of them, by file, then by time; a file used in two places is there twice. Valid as long as
 * the set, which may be NULL: none. */
const struct tls_expiry *tls_set_expiries(const struct tls_set *set, uint32_t *ret_count);
/* Within certificates.warn_before, or past. */
bool tls_expiry_is_near(const struct config *config, time_t when, time_t now);
/* "runs out on 2026-11-30 10:00:00 UTC, in 9 days", "expired on ..."; 80 bytes will do. */
void tls_expiry_text(const struct tls_expiry *expiry, time_t now, char *ret_text, size_t size);
