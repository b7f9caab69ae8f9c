/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_metrics: /metrics in Prometheus' text format 0.0.4: the workers' counters by stat.def, the
 * connections of each listener by close.def, and what control knows itself. For each listener
 *     active = total - sum over reasons of disconnects
 * holds in every answer, because one copy of the counters serves all three.
 */
#include <stdlib.h>

#include <penstock/base/log.h>

#include "admin_priv.h"

struct listener_sums {
	const char *name;
	uint64_t accepted;
	uint64_t closed[CLOSE_COUNT];
	uint64_t active;
};

void admin_metrics_head(struct admin_text *text, const char *name, const char *type,
			const char *help)
{
	admin_text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

uint64_t admin_metrics_sum(const struct admin *admin, enum stat_id stat)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < admin->host.office->worker_count; i++)
		sum += stat_get(admin->host.office->stats[i], stat);
	return sum;
}

static void write_stats(const struct admin *admin, struct admin_text *text)
{
	for (uint32_t i = 0; i < STAT_COUNT; i++) {
		const struct stat_row *row = &stat_rows[i];
		bool is_per_worker = strcmp(row->labels, "worker") == 0;

		if (i == 0 || strcmp(row->metric, stat_rows[i - 1].metric) != 0)
			admin_metrics_head(text, row->metric, row->type, row->help);
		for (uint32_t w = 0; is_per_worker && w < admin->host.office->worker_count; w++)
			admin_text_printf(text, "%s{worker=\"%u\"} %llu\n", row->metric, w,
					  (unsigned long long)stat_get(admin->host.office->stats[w],
								       (enum stat_id)i));
		if (is_per_worker)
			continue;
		bool has_labels = row->labels[0] != '\0';

		admin_text_printf(text, "%s%s%s%s %llu\n", row->metric, has_labels ? "{" : "",
				  row->labels, has_labels ? "}" : "",
				  (unsigned long long)admin_metrics_sum(admin, (enum stat_id)i));
	}
}

static uint64_t load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_acquire);
}

/* Closed before accepted: what is accepted in between makes one more active, never one less than
 * none. */
static void add_listener(const struct admin *admin, uint32_t id, struct listener_sums *sums)
{
	for (uint32_t w = 0; w < admin->host.office->worker_count; w++)
		for (uint32_t reason = 0; reason < CLOSE_COUNT; reason++)
			sums->closed[reason] +=
				load(&admin->host.office->stats[w]->listener[id].closed[reason]);
	for (uint32_t w = 0; w < admin->host.office->worker_count; w++)
		sums->accepted += load(&admin->host.office->stats[w]->listener[id].accepted);
}

/* Ids of one name (gone and come again elsewhere) are one listener to the reader. */
static uint32_t collect(const struct admin *admin, const struct route *route,
			struct listener_sums *sums)
{
	uint32_t count = 0;

	for (uint32_t id = 0; id < STAT_LISTENERS_MAX; id++) {
		const char *name = route->listener_name[id];
		uint32_t at = 0;

		if (name == NULL)
			continue;
		while (at < count && strcmp(sums[at].name, name) != 0)
			at++;
		if (at == count)
			sums[count++] = (struct listener_sums){ .name = name };
		add_listener(admin, id, &sums[at]);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t closed = 0;

		for (uint32_t reason = 0; reason < CLOSE_COUNT; reason++)
			closed += sums[i].closed[reason];
		sums[i].active = sums[i].accepted - closed;
	}
	return count;
}

static void write_line(struct admin_text *text, const char *metric, const char *label,
		       const char *value, uint64_t number)
{
	admin_text_printf(text, "%s{%s=", metric, label);
	admin_text_label(text, value);
	admin_text_printf(text, "} %llu\n", (unsigned long long)number);
}

static void write_sums(struct admin_text *text, const struct listener_sums *sums, uint32_t count)
{
	admin_metrics_head(text, "penstock_connections_total", "counter", "Connections accepted");
	for (uint32_t i = 0; i < count; i++)
		write_line(text, "penstock_connections_total", "listener", sums[i].name,
			   sums[i].accepted);
	admin_metrics_head(text, "penstock_connections_active", "gauge", "Connections open");
	for (uint32_t i = 0; i < count; i++)
		write_line(text, "penstock_connections_active", "listener", sums[i].name,
			   sums[i].active);
	admin_metrics_head(text, "penstock_disconnects_total", "counter",
			   "Connections ended, by reason");
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t reason = CLOSE_NONE + 1; reason < CLOSE_COUNT; reason++) {
			admin_text_printf(text, "penstock_disconnects_total{listener=");
			admin_text_label(text, sums[i].name);
			admin_text_printf(text, ",reason=\"%s\"} %llu\n", close_rows[reason].name,
					  (unsigned long long)sums[i].closed[reason]);
		}
	}
}

static void write_listeners(const struct admin *admin, struct admin_text *text)
{
	const struct route *route = admin->host.route(admin->host.context);
	struct listener_sums *sums = calloc(STAT_LISTENERS_MAX, sizeof(*sums));

	if (sums == NULL)
		text->is_failed = true;
	else if (route != NULL)
		write_sums(text, sums, collect(admin, route, sums));
	free(sums);
}

/* Buckets are powers of two of microseconds; Prometheus wants them added up, in seconds. */
static void write_dials(const struct admin *admin, struct admin_text *text)
{
	uint64_t sum_us = 0;
	uint64_t count = 0;

	admin_metrics_head(text, "penstock_dial_seconds", "histogram",
			   "Time from connect to an established broker connection");
	for (uint32_t bucket = 0; bucket < STAT_BUCKETS; bucket++) {
		for (uint32_t w = 0; w < admin->host.office->worker_count; w++)
			count += load(&admin->host.office->stats[w]->dial_us[bucket]);
		/* 67 s are beyond any timeouts.connect; the rest is in +Inf. */
		if (bucket <= 26)
			admin_text_printf(text, "penstock_dial_seconds_bucket{le=\"%.9g\"} %llu\n",
					  (double)(1ull << bucket) / 1e6,
					  (unsigned long long)count);
	}
	for (uint32_t w = 0; w < admin->host.office->worker_count; w++)
		sum_us += load(&admin->host.office->stats[w]->dial_us_sum);
	admin_text_printf(text, "penstock_dial_seconds_bucket{le=\"+Inf\"} %llu\n",
			  (unsigned long long)count);
	admin_text_printf(text, "penstock_dial_seconds_sum %.6f\n", (double)sum_us / 1e6);
	admin_text_printf(text, "penstock_dial_seconds_count %llu\n", (unsigned long long)count);
}

static void write_ages(const struct admin *admin, struct admin_text *text, uint32_t count)
{
	struct admin_cluster cluster;

	admin_metrics_head(text, "penstock_snapshot_age_seconds", "gauge",
			   "Since the broker list was last confirmed");
	for (uint32_t i = 0; i < count; i++) {
		if (!admin->host.cluster(admin->host.context, i, &cluster))
			continue;
		admin_text_printf(text, "penstock_snapshot_age_seconds{cluster=");
		admin_text_label(text, cluster.name);
		admin_text_printf(text, "} %.3f\n", (double)cluster.age_ns / 1e9);
	}
	admin_metrics_head(text, "penstock_brokers", "gauge", "Brokers known");
	for (uint32_t i = 0; i < count; i++)
		if (admin->host.cluster(admin->host.context, i, &cluster))
			write_line(text, "penstock_brokers", "cluster", cluster.name,
				   cluster.broker_count);
	admin_metrics_head(text, "penstock_cluster_loaded", "gauge",
			   "1 once a broker list has been read");
	for (uint32_t i = 0; i < count; i++)
		if (admin->host.cluster(admin->host.context, i, &cluster))
			write_line(text, "penstock_cluster_loaded", "cluster", cluster.name,
				   cluster.is_loaded);
	admin_metrics_head(text, "penstock_namespaces_watched", "gauge",
			   "Namespaces whose bundle ownership is watched");
	for (uint32_t i = 0; i < count; i++)
		if (admin->host.cluster(admin->host.context, i, &cluster))
			write_line(text, "penstock_namespaces_watched", "cluster", cluster.name,
				   cluster.namespace_count);
}

static void write_asked(const struct admin *admin, struct admin_text *text, uint32_t count)
{
	struct admin_cluster cluster;

	admin_metrics_head(text, "penstock_bootstrap_rounds_total", "counter",
			   "Times bootstrap brokers of Kafka were asked where all brokers are");
	for (uint32_t i = 0; i < count; i++) {
		if (!admin->host.cluster(admin->host.context, i, &cluster) || !cluster.is_asked)
			continue;
		for (int is_good = 0; is_good < 2; is_good++) {
			admin_text_printf(text, "penstock_bootstrap_rounds_total{cluster=");
			admin_text_label(text, cluster.name);
			admin_text_printf(text, ",result=\"%s\"} %llu\n",
					  is_good ? "good" : "failed",
					  (unsigned long long)(is_good ? cluster.asked_good
								       : cluster.asked_failed));
		}
	}
}

static void write_states(const struct admin *admin, struct admin_text *text, uint32_t count)
{
	static const char *const states[] = { "connected", "connecting", "expired", "none" };
	struct admin_cluster cluster;

	admin_metrics_head(text, "penstock_zookeeper_state", "gauge",
			   "1 for the state the ZooKeeper session is in");
	for (uint32_t i = 0; i < count; i++) {
		if (!admin->host.cluster(admin->host.context, i, &cluster))
			continue;
		for (size_t s = 0; s < COUNT_OF(states); s++) {
			admin_text_printf(text, "penstock_zookeeper_state{cluster=");
			admin_text_label(text, cluster.name);
			admin_text_printf(text, ",state=\"%s\"} %d\n", states[s],
					  strcmp(states[s], cluster.zookeeper) == 0);
		}
	}
}

static void write_one(struct admin_text *text, const char *name, const char *type, const char *help,
		      uint64_t value)
{
	admin_metrics_head(text, name, type, help);
	admin_text_printf(text, "%s %llu\n", name, (unsigned long long)value);
}

static void write_tls_memory(struct admin_text *text, const struct admin_state *state)
{
	write_one(text, "penstock_tls_memory_bytes", "gauge",
		  "Taken by certificates and by handshakes under way", state->tls_memory_used);
	write_one(text, "penstock_tls_memory_peak_bytes", "gauge", "The most there has been of it",
		  state->tls_memory_peak);
	write_one(text, "penstock_tls_memory_max_bytes", "gauge", "limits.tls_memory",
		  state->tls_memory_max);
	write_one(text, "penstock_tls_memory_refused_total", "counter",
		  "Times limits.tls_memory was used up", state->tls_memory_refused);
}

static void write_control(const struct admin *admin, struct admin_text *text)
{
	struct admin_state state;

	admin->host.state(admin->host.context, &state);
	write_ages(admin, text, state.cluster_count);
	write_asked(admin, text, state.cluster_count);
	write_states(admin, text, state.cluster_count);
	write_one(text, "penstock_snapshot_version", "gauge", "Version of the routing snapshot",
		  state.snapshot_version);
	write_one(text, "penstock_config_generation", "gauge",
		  "Configurations in force so far, the one all workers go by included",
		  state.config_generation);
	write_one(text, "penstock_config_last_reload_successful", "gauge",
		  "0 if the last reload was refused", state.is_last_reload_good);
	write_one(text, "penstock_draining", "gauge", "1 while the process is on its way out",
		  state.is_draining);
	write_one(text, "penstock_dns_queries_total", "counter", "Names asked of name servers",
		  state.dns_queries);
	write_one(text, "penstock_dns_failures_total", "counter", "Of these, without an address",
		  state.dns_failures);
	write_one(text, "penstock_dns_pending", "gauge", "Names being resolved", state.dns_pending);
	write_tls_memory(text, &state);
	write_one(text, "penstock_control_outbox", "gauge",
		  "Messages that wait for room in a worker's box", state.mail_waiting);
	write_one(text, "penstock_log_dropped_total", "counter", "Log lines dropped",
		  log_dropped());
	write_one(text, "penstock_workers", "gauge", "Workers", admin->host.office->worker_count);
	admin_metrics_head(text, "penstock_build_info", "gauge", "1");
	admin_text_printf(text, "penstock_build_info{version=\"%s\",commit=\"%s\"} 1\n",
			  PENSTOCK_VERSION, PENSTOCK_COMMIT);
}

void admin_metrics_write(const struct admin *admin, struct admin_text *text)
{
	write_listeners(admin, text);
	admin_metrics_route_write(admin, text);
	write_stats(admin, text);
	admin_metrics_kafka_write(admin, text);
	write_dials(admin, text);
	admin_metrics_certificate_write(admin, text);
	write_control(admin, text);
	admin_process_write(text, admin->started_wall_us);
	admin_metrics_pulsar_write(admin, text);
}
