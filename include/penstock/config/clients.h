/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config/clients: files that say what is done for which client, a line each:
 *
 *     # who       two words                       the first line that fits counts
 *     cn:orders   orders     s3cret
 *     "ou:Team A" team-a     "with a \" in it"
 *     *           guest      guest                 everybody, with a certificate or without
 *
 * Who is a rule as of tls.allow_clients. Words stand between blanks; one in quotes may hold blanks.
 * clusters.broker_sasl.users_file has users and passwords in it, broker_tls.clients_file files of
 * certificates and keys.
 *
 * Thread:   any, once read
 * Memory:   one block of malloc(3), wiped by config_clients_free
 * Errors:   a sentence, which never holds what the file does
 */
#pragma once

#include <penstock/base/span.h>

#define CONFIG_CLIENTS_MAX   4096
#define CONFIG_CLIENTS_BYTES (1024 * 1024u) /* of a file */

struct config_client {
	const char *who; /* a rule; "*": everybody */
	const char *first, *second;
	uint32_t line;
};

struct config_clients {
	size_t size; /* of all of it, in bytes */
	uint32_t count;
	struct config_client at[];
};

/* What is wrong with the file, or NULL. *ret_line: where; 0: with all of it. `is_secret`: one that
 * everybody may read will not do. */
MUST_USE const char *config_clients_read(const char *path, bool is_secret,
					 struct config_clients **ret_clients, uint32_t *ret_line);
/* One line, for everybody, with copies of both; config_clients_free. NULL: out of memory. */
MUST_USE struct config_clients *config_clients_of(const char *first, struct span second);
void config_clients_free(struct config_clients *clients); /* may be NULL */
/* Is it for everybody? */
bool config_client_is_any(const struct config_client *client);
/* The first line for everybody; NULL: there is none. For what penstock asks on its own behalf. */
const struct config_client *config_clients_any(const struct config_clients *clients);
/* The first line with this first word; NULL: none. */
const struct config_client *config_clients_named(const struct config_clients *clients,
						 struct span first);
