/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_metrics_pulsar: the Java proxy's metrics under their own names (ProxyService.java), so that
 * its dashboards and alerts keep working.
 */
#include "admin_priv.h"

static void write_one(const struct admin *admin, struct admin_text *text, const char *name,
		      const char *type, const char *help, uint64_t value)
{
	admin_metrics_head(text, name, type, help);
	admin_text_printf(text, "%s", name);
	if (admin->cluster_label != NULL) {
		admin_text_printf(text, "{cluster=");
		admin_text_label(text, admin->cluster_label);
		admin_text_printf(text, "}");
	}
	admin_text_printf(text, " %llu\n", (unsigned long long)value);
}

struct sums {
	uint64_t accepted, closed, rejected;
};

static void add_closed(const struct stat_block *block, struct sums *sums)
{
	for (uint32_t id = 0; id < STAT_LISTENERS_MAX; id++) {
		for (uint32_t reason = 0; reason < CLOSE_COUNT; reason++) {
			uint64_t n = atomic_load_explicit(&block->listener[id].closed[reason],
							  memory_order_acquire);

			sums->closed += n;
			if (reason == CLOSE_CONN_LIMIT || reason == CLOSE_CONN_LIMIT_IP ||
			    reason == CLOSE_CONN_LIMIT_LISTENER)
				sums->rejected += n;
		}
	}
}

/* Closed before accepted, of all workers, because one may close what another has accepted: active
 * is never below zero. */
static struct sums add_up(const struct admin *admin)
{
	const struct mail_office *office = admin->host.office;
	struct sums sums = { .accepted = 0 };

	for (uint32_t w = 0; w < office->worker_count; w++)
		add_closed(office->stats[w], &sums);
	for (uint32_t w = 0; w < office->worker_count; w++)
		for (uint32_t id = 0; id < STAT_LISTENERS_MAX; id++)
			sums.accepted +=
				atomic_load_explicit(&office->stats[w]->listener[id].accepted,
						     memory_order_acquire);
	return sums;
}

static void write_lookups(const struct admin *admin, struct admin_text *text)
{
	uint64_t throttled = admin_metrics_sum(admin, STAT_LOOKUPS_THROTTLED);
	uint64_t lookups = throttled + admin_metrics_sum(admin, STAT_LOOKUPS_RELAYED) +
			   admin_metrics_sum(admin, STAT_LOOKUPS_DIRECT) +
			   admin_metrics_sum(admin, STAT_LOOKUPS_REDIRECTED) +
			   admin_metrics_sum(admin, STAT_LOOKUPS_FAILED);

	write_one(admin, text, "pulsar_proxy_lookup_requests_total", "counter",
		  "Counter of topic lookup requests", lookups);
	write_one(admin, text, "pulsar_proxy_rejected_lookup_requests_total", "counter",
		  "Counter of topic lookup requests rejected due to throttling", throttled);
	write_one(admin, text, "pulsar_proxy_partitions_metadata_requests_total", "counter",
		  "Counter of partitions metadata requests",
		  admin_metrics_sum(admin, STAT_PARTITION_METADATA));
	/* These are relayed like any other frame: there is no limit to reject them by. */
	write_one(admin, text, "pulsar_proxy_rejected_partitions_metadata_requests_total",
		  "counter", "Counter of partitions metadata requests rejected due to throttling",
		  0);
	write_one(admin, text, "pulsar_proxy_get_topics_of_namespace_requests_total", "counter",
		  "Counter of getTopicsOfNamespace requests",
		  admin_metrics_sum(admin, STAT_TOPICS_OF_NAMESPACE));
	write_one(admin, text, "pulsar_proxy_rejected_get_topics_of_namespace_requests_total",
		  "counter", "Counter of getTopicsOfNamespace requests rejected due to throttling",
		  0);
	write_one(admin, text, "pulsar_proxy_get_schema_requests_total", "counter",
		  "Counter of schema requests", admin_metrics_sum(admin, STAT_GET_SCHEMA));
}

void admin_metrics_pulsar_write(const struct admin *admin, struct admin_text *text)
{
	struct sums sums = add_up(admin);

	write_one(admin, text, "pulsar_proxy_active_connections", "gauge",
		  "Number of connections currently active in the proxy",
		  sums.accepted - sums.closed);
	write_one(admin, text, "pulsar_proxy_new_connections_total", "counter",
		  "Counter of connections being opened in the proxy", sums.accepted);
	write_one(admin, text, "pulsar_proxy_rejected_connections_total", "counter",
		  "Counter for connections rejected due to throttling", sums.rejected);
	write_one(admin, text, "pulsar_proxy_binary_ops_total", "counter",
		  "Counter of proxy operations", admin_metrics_sum(admin, STAT_MOVES));
	write_one(admin, text, "pulsar_proxy_binary_bytes_total", "counter",
		  "Counter of proxy bytes",
		  admin_metrics_sum(admin, STAT_BYTES_TO_BROKER_SPLICE) +
			  admin_metrics_sum(admin, STAT_BYTES_TO_BROKER_COPY) +
			  admin_metrics_sum(admin, STAT_BYTES_TO_CLIENT_SPLICE) +
			  admin_metrics_sum(admin, STAT_BYTES_TO_CLIENT_COPY));
	write_lookups(admin, text);
}
