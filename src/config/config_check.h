/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check.h: what config_check.c and config_check_route.c share: where something was written,
 * and saying what is wrong with it.
 */
#pragma once

#include "config_priv.h"

struct check {
	struct config_read *read;
	struct config *config;
	const char *file; /* for what has no position of its own */
};

#define FAULT(check, mark, ...) \
	config_error((check)->read->errors, (mark).file, (mark).line, (mark).column, __VA_ARGS__)
#define DOUBT(check, mark, ...) \
	config_warn((check)->read->errors, (mark).file, (mark).line, (mark).column, __VA_ARGS__)

/* The position of a key, of its unit when the key is absent, or of the file. */
static inline struct config_mark where(const struct check *check, enum config_scope scope,
				       uint32_t index, const char *path)
{
	struct config_mark mark = *config_mark(check->read, scope, index, path);

	if (mark.file == NULL)
		mark = *config_mark(check->read, scope, index, NULL);
	if (mark.file == NULL)
		mark = (struct config_mark){ .file = check->file };
	return mark;
}

static inline bool is_set(const struct check *check, enum config_scope scope, uint32_t index,
			  const char *path)
{
	return config_is_set(check->read, scope, index, path);
}

/* Does one socket take what is for the other? */
bool config_check_is_overlapping(const struct addr *a, const struct addr *b);
/* All routes, and the keys of listeners that go with them. Clusters' names are resolved. */
void config_check_routes(struct check *check);

/* The keys of TLS of a listener, of a cluster, of a route. */
void config_check_tls_listener(struct check *check, uint32_t index);
void config_check_tls_cluster(struct check *check, uint32_t index);
void config_check_tls_route(struct check *check, uint32_t index);

/* What only Kafka has, and what it has not. The listener's cluster is resolved. */
void config_check_kafka_cluster(struct check *check, uint32_t index);
void config_check_kafka_listener(struct check *check, uint32_t index);
/* The same for a route. */
void config_check_kafka_route(struct check *check, uint32_t index);

/* What a listener or a route says of Kafka: the same sentences serve both. */
struct check_kafka {
	struct check *check;
	enum config_scope scope;
	uint32_t index;
	const struct config_cluster *cluster;
	struct config_kafka *kafka;
	const struct config_names *denied, *users;
};

/* Makes it out of the words, too. */
void config_check_kafka_policy(const struct check_kafka *place);
/* Names that brokers have by server name. False: `advertise`, which is set, makes none. */
bool config_check_kafka_names(const struct check_kafka *place);
/* A key of Kafka where there is none. */
void config_check_kafka_stray(struct check *check, enum config_scope scope, uint32_t index);
/* All ports of brokers: those of several listeners, those that others have. */
void config_check_kafka_ports(struct check *check);

/* The keys of authentication to brokers: reads the users, too. */
void config_check_sasl(struct check *check, uint32_t cluster);

/* The keys of role mode: reads the token, too. */
void config_check_role(struct check *check, uint32_t cluster);
