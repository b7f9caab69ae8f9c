/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_budget: what a configuration can take at the most. Printed at start and held against the
 * descriptor limit, so that running out is a line in the log at start and not a surprise at peak.
 */
#include "config_priv.h"

#define MIB		 1048576u
#define SESSION_BYTES	 896u	  /* a session with both lanes and its timers */
#define NAME_BYTES	 HOST_MAX /* of a session on a listener with routes */
#define TLS_END_BYTES	 1024u	  /* either end of a session that speaks TLS */
#define HANDSHAKE_BYTES	 65536u	  /* ours, beside */
#define WOLFSSL_BYTES	 61440u	  /* what wolfSSL has for each; measured: 59,900 */
/* Tables of 807 KiB for each of the last 15 keys it has verified with, and certificates. */
#define CONTEXTS_BYTES	 (16u * MIB)
#define HALVES_MAX	 1024u /* records of TLS held in part */
#define HALF_BYTES	 16768u
#define BUFFER_BYTES	 65536u
#define PIPE_BYTES	 262144u
#define KAFKA_BYTES	 288u	    /* of a session, if it is one of Kafka */
#define CHUNK_BYTES	 792u	    /* 64 requests of Kafka without a response */
#define BULK_BYTES	 (2u << 20) /* a long response of Kafka, and what becomes of it */
#define DENIALS_BYTES	 (2u << 20) /* answers to denied requests of Kafka, of a worker */
#define CHUNKS_MIN	 64u
#define BULKS		 4u
#define HOPS_MAX	 1024u /* redirect connections of a worker */
#define HOPS_MIN	 16u
#define BUFFERS_SPARE	 64u /* lanes whose sink blocks, beside first frames */
#define DESCRIPTOR_SPARE 64u /* rings, admin, ZooKeeper, DNS, logs */
#define CONNECTIONS_MIN	 8u  /* below this a proxy is of no use */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

bool config_has_tls(const struct config *config)
{
	bool is_any = false;

	for (uint32_t i = 0; i < config->listener_count; i++)
		is_any |= config->listeners[i].tls.cert_files.count > 0;
	for (uint32_t i = 0; i < config->route_count; i++)
		is_any |= config->routes[i].mode != CONFIG_MODE_PASS;
	for (uint32_t i = 0; i < config->cluster_count; i++)
		is_any |= config_speaks_tls(&config->clusters[i]);
	return is_any;
}

uint64_t config_tls_need(const struct config *config)
{
	uint64_t handshakes = config->process.workers * config->limits.handshakes;

	return (handshakes * WOLFSSL_BYTES + CONTEXTS_BYTES + (MIB - 1)) / MIB * MIB;
}

static bool has_kafka(const struct config *config)
{
	for (uint32_t i = 0; i < config->cluster_count; i++)
		if (config->clusters[i].protocol == CONFIG_KAFKA)
			return true;
	return false;
}

/* Listening ones, of a worker. */
static uint64_t sockets_count(const struct config *config)
{
	uint64_t count = config->listener_count;

	for (uint32_t i = 0; i < config->listener_count; i++)
		count += config_listener_ports(config, i);
	return count;
}

/* The pools are always there, for a reload may bring a cluster of Kafka; without one nothing is
 * ever leased from them. */
static void budget_kafka(const struct config *config, struct config_budget *budget)
{
	/* Eight requests have room in the connection's own: few clients ever have more under way.
	 */
	budget->chunks_per_worker = larger(CHUNKS_MIN, budget->sessions_per_worker / 4);
	budget->bulks_per_worker = BULKS;
	if (has_kafka(config))
		budget->memory_bytes += config->process.workers *
					(budget->sessions_per_worker * KAFKA_BYTES +
					 budget->chunks_per_worker * CHUNK_BYTES +
					 budget->bulks_per_worker * BULK_BYTES + DENIALS_BYTES);
}

void config_budget(const struct config *config, struct config_budget *ret_budget)
{
	uint64_t workers = config->process.workers;
	uint64_t connections = config->limits.connections;
	struct config_budget budget = { .sessions_per_worker = connections };

	CHECK(workers > 0);
	/* Accept balances to within 10 % and 8 connections; the rest is room for a burst. */
	if (workers > 1)
		budget.sessions_per_worker =
			smaller(connections, (connections / workers) * 5 / 4 + 64);
	/* Few sessions look topics up at one time and fewer are redirected: a hop for every
	 * fourth, so that a low descriptor limit is not spent on hops. */
	budget.hops_per_worker =
		smaller(HOPS_MAX, larger(HOPS_MIN, budget.sessions_per_worker / 4));
	budget.buffers_per_worker = config->limits.unrouted + BUFFERS_SPARE;
	budget.descriptors = 2 * connections +
			     workers * (budget.hops_per_worker + 2 * config->limits.pipes +
					sockets_count(config)) +
			     DESCRIPTOR_SPARE;
	uint64_t session_bytes = SESSION_BYTES + (config->route_count > 0 ? NAME_BYTES : 0);

	if (config_has_tls(config))
		session_bytes += 2 * TLS_END_BYTES + 2 * NAME_BYTES;
	budget.memory_bytes = workers * (budget.sessions_per_worker * session_bytes +
					 budget.buffers_per_worker * BUFFER_BYTES);
	if (config_has_tls(config))
		budget.memory_bytes +=
			workers *
				(config->limits.handshakes * HANDSHAKE_BYTES +
				 smaller(2 * budget.sessions_per_worker, HALVES_MAX) * HALF_BYTES) +
			config->limits.tls_memory;
	budget.pipe_bytes = workers * config->limits.pipes * PIPE_BYTES;
	budget_kafka(config, &budget);
	*ret_budget = budget;
}

static bool is_fitting(struct config *config, uint64_t connections, uint64_t limit)
{
	struct config_budget budget;

	config->limits.connections = connections;
	config_budget(config, &budget);
	return budget.descriptors <= limit;
}

bool config_budget_fit(struct config *config, uint64_t descriptor_limit)
{
	uint64_t fits = CONNECTIONS_MIN;
	uint64_t over = config->limits.connections;

	if (is_fitting(config, over, descriptor_limit))
		return true;
	if (over <= fits || !is_fitting(config, fits, descriptor_limit)) {
		config->limits.connections = over;
		return false;
	}
	while (over - fits > 1) {
		uint64_t middle = fits + (over - fits) / 2;

		if (is_fitting(config, middle, descriptor_limit))
			fits = middle;
		else
			over = middle;
	}
	config->limits.connections = fits;
	return true;
}
