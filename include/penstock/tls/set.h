/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls/set: the contexts of one configuration: its listeners' certificates, and how brokers of its
 * clusters are spoken TLS to. Lives as long as its configuration; connections hold references to
 * the contexts they began with, so that a reload ends none.
 * Thread:   building: control, or `penstock check`; asking: any
 * Memory:   tls.h's counted heap
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

/* Our own certificates one after the other, for the metric and the warning: the file, where it is
 * used, and when it runs out. False past the last. */
bool tls_set_expiry(const struct tls_set *set, uint32_t index, const char **ret_file,
		    time_t *ret_when);
