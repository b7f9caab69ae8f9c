/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_docs: `penstock docs PAGE`, which `make docs` writes into the tree and `make man` beside it:
 * what there is to type, to configure and to measure, from the tables the program itself uses.
 */
#include <stdio.h>

#include <penstock/base/close.h>
#include <penstock/base/stat.h>

#include "cli_priv.h"

struct metric {
	const char *name, *type, *labels, *help;
};

/* What is not a worker's counter in stat.def; tests/lint/tables.sh holds these against the sources
 * of src/control/admin, both ways. */
static const struct metric metrics[] = {
	{ "penstock_connections_total", "counter", "listener", "Connections accepted" },
	{ "penstock_connections_active", "gauge", "listener", "Connections open" },
	{ "penstock_disconnects_total", "counter", "listener, reason",
	  "Connections ended, by the reasons below" },
	{ "penstock_route_connections_total", "counter", "listener, route",
	  "Connections a route was chosen for" },
	{ "penstock_route_connections_active", "gauge", "listener, route", "Of these, still open" },
	{ "penstock_kafka_requests_total", "counter", "api",
	  "Kafka requests passed on. Calls that none were of have no row; keys without a name here "
	  "are `other`" },
	{ "penstock_kafka_request_bytes_total", "counter", "api", "Bytes of these" },
	{ "penstock_kafka_response_bytes_total", "counter", "api", "Bytes of brokers' responses" },
	{ "penstock_kafka_response_seconds", "histogram", "api",
	  "Time from a request that was passed on to the first bytes of its response; a Fetch may "
	  "wait for records" },
	{ "penstock_kafka_denied_total", "counter", "api",
	  "Kafka requests that deny_apis or read_only forbids" },
	{ "penstock_kafka_node_connections_total", "counter", "listener, route, node",
	  "Connections to Kafka brokers by the node id clients asked for, `any` for their bootstrap; "
	  "route where clients came by one. The first 511 have a row; all others share `other`" },
	{ "penstock_kafka_node_connections_active", "gauge", "listener, route, node",
	  "Of these, still open" },
	{ "penstock_kafka_node_requests_total", "counter", "listener, route, node",
	  "Kafka requests passed on" },
	{ "penstock_kafka_node_bytes_total", "counter", "listener, route, node, dir",
	  "Bytes moved: dir is to_broker or to_client" },
	{ "penstock_kafka_node_response_seconds", "histogram", "listener, route, node",
	  "As penstock_kafka_response_seconds, of all calls together. Brokers that nobody has asked "
	  "have no row" },
	{ "penstock_cert_expiry_timestamp_seconds", "gauge", "file",
	  "When a certificate of ours, or one of its chain, runs out; in seconds since 1970" },
	{ "penstock_dial_seconds", "histogram", "",
	  "Time from connect to an established broker connection" },
	{ "penstock_snapshot_age_seconds", "gauge", "cluster",
	  "Since the broker list was last confirmed; where none has been, since it was first asked "
	  "for" },
	{ "penstock_snapshot_version", "gauge", "", "Version of the routing snapshot" },
	{ "penstock_bootstrap_rounds_total", "counter", "cluster, result",
	  "Times bootstrap brokers of Kafka were asked where all brokers are" },
	{ "penstock_brokers", "gauge", "cluster", "Brokers known" },
	{ "penstock_cluster_loaded", "gauge", "cluster",
	  "1 once a broker list has been read, or of Kafka any broker is known" },
	{ "penstock_namespaces_watched", "gauge", "cluster",
	  "Namespaces whose bundle ownership is watched" },
	{ "penstock_zookeeper_state", "gauge", "cluster, state",
	  "1 for the state the session is in: connected, connecting, expired or none" },
	{ "penstock_config_generation", "gauge", "",
	  "Configurations in force so far, the one all workers go by included" },
	{ "penstock_config_last_reload_successful", "gauge", "",
	  "0 if the last reload was refused" },
	{ "penstock_draining", "gauge", "", "1 while the process is on its way out" },
	{ "penstock_dns_queries_total", "counter", "", "Names asked of name servers" },
	{ "penstock_dns_failures_total", "counter", "", "Of these, without an address" },
	{ "penstock_dns_pending", "gauge", "", "Names being resolved" },
	{ "penstock_tls_memory_bytes", "gauge", "",
	  "Taken by certificates and by handshakes under way" },
	{ "penstock_tls_memory_peak_bytes", "gauge", "", "The most there has been of it" },
	{ "penstock_tls_memory_max_bytes", "gauge", "", "`limits.tls_memory`" },
	{ "penstock_tls_memory_refused_total", "counter", "",
	  "Times `limits.tls_memory` was used up: a handshake fails by it (`tls_no_memory`), or does "
	  "without what it has no need of" },
	{ "penstock_control_outbox", "gauge", "", "Messages that wait for room in a worker's box" },
	{ "penstock_log_dropped_total", "counter", "", "Log lines dropped" },
	{ "penstock_workers", "gauge", "", "Workers" },
	{ "penstock_build_info", "gauge", "version, commit", "1" },
	{ "process_open_fds", "gauge", "", "Open file descriptors" },
	{ "process_max_fds", "gauge", "", "Limit of file descriptors" },
	{ "process_resident_memory_bytes", "gauge", "", "Resident memory" },
	{ "process_virtual_memory_bytes", "gauge", "", "Virtual memory" },
	{ "process_cpu_seconds_total", "counter", "", "User and system CPU time" },
	{ "process_start_time_seconds", "gauge", "", "When the process began, since 1970" },
	{ "pulsar_proxy_active_connections", "gauge", "cluster", "As in the Java proxy" },
	{ "pulsar_proxy_new_connections_total", "counter", "cluster", "As in the Java proxy" },
	{ "pulsar_proxy_rejected_connections_total", "counter", "cluster", "As in the Java proxy" },
	{ "pulsar_proxy_binary_ops_total", "counter", "cluster",
	  "As in the Java proxy, without its jumps under splice" },
	{ "pulsar_proxy_binary_bytes_total", "counter", "cluster",
	  "As in the Java proxy, without its jumps under splice" },
	{ "pulsar_proxy_lookup_requests_total", "counter", "cluster", "As in the Java proxy" },
	{ "pulsar_proxy_rejected_lookup_requests_total", "counter", "cluster",
	  "As in the Java proxy" },
	{ "pulsar_proxy_partitions_metadata_requests_total", "counter", "cluster",
	  "As in the Java proxy" },
	{ "pulsar_proxy_rejected_partitions_metadata_requests_total", "counter", "cluster",
	  "Always 0: they are relayed like any other frame" },
	{ "pulsar_proxy_get_topics_of_namespace_requests_total", "counter", "cluster",
	  "As in the Java proxy" },
	{ "pulsar_proxy_rejected_get_topics_of_namespace_requests_total", "counter", "cluster",
	  "Always 0: they are relayed like any other frame" },
	{ "pulsar_proxy_get_schema_requests_total", "counter", "cluster", "As in the Java proxy" },
};

static void stats_print(void)
{
	printf("## Counters of the workers\n\n"
	       "One block per worker, without a lock; /metrics adds them up unless there is a label "
	       "`worker`.\n\n| Name | Type | Labels | Meaning |\n|---|---|---|---|\n");
	for (uint32_t i = 0; i < STAT_COUNT; i++) {
		const struct stat_row *row = &stat_rows[i];

		if (i > 0 && strcmp(row->metric, stat_rows[i - 1].metric) == 0)
			continue;
		printf("| `%s` | %s | ", row->metric, row->type);
		/* All values its labels take stand in rows of one metric. */
		for (uint32_t j = i; j < STAT_COUNT; j++) {
			if (strcmp(stat_rows[j].metric, row->metric) != 0)
				break;
			printf("%s%s", j > i ? "; " : "", stat_rows[j].labels);
		}
		printf(" | %s |\n", row->help);
	}
}

static void others_print(void)
{
	printf("\n## Everything else\n\n"
	       "For every listener, `penstock_connections_active` = `penstock_connections_total` - the "
	       "sum of `penstock_disconnects_total` over all reasons, in every answer. The label "
	       "`cluster` of `pulsar_proxy_*` is there when `web.cluster_name` is set.\n\n"
	       "| Name | Type | Labels | Meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < COUNT_OF(metrics); i++)
		printf("| `%s` | %s | %s | %s |\n", metrics[i].name, metrics[i].type,
		       metrics[i].labels, metrics[i].help);
}

static void reasons_print(void)
{
	printf("\n## Reasons\n\n"
	       "The label `reason` and the key `reason=` of the access log. The first letter of "
	       "`term=` says who ended it: `-` both closed cleanly, `C` client, `S` broker, `c` client "
	       "timeout, `s` broker timeout, `P` policy or bad frame, `R` resource, `D` drain, `K` "
	       "killed, `L` answered here, `I` a bug.\n\n"
	       "| Reason | Who | Error | Meaning |\n|---|---|---|---|\n");
	for (uint32_t i = CLOSE_NONE + 1; i < CLOSE_COUNT; i++)
		printf("| `%s` | `%c` | %s | %s |\n", close_rows[i].name, close_rows[i].who,
		       close_rows[i].is_error ? "yes" : "no", close_rows[i].text);
}

static void metrics_print(void)
{
	printf("# Metrics and reasons\n\n"
	       "Printed from `include/penstock/base/{stat,close}.def` by `make docs`; do not edit. "
	       "`GET /metrics` on the admin address, and on the web port of `penstock proxy`.\n\n");
	stats_print();
	others_print();
	reasons_print();
}

static void options_print(void)
{
	config_docs_options(stdout);
}

static void yaml_print(void)
{
	config_docs_yaml(stdout);
}

static void man_yaml_print(void)
{
	config_man(stdout);
}

static const struct {
	const char *name;
	void (*print)(void);
} pages[] = {
	{ "options", options_print },  { "metrics", metrics_print },
	{ "yaml", yaml_print },	       { "man1", cli_man },
	{ "man5", man_yaml_print },    { "bash", cli_completion_bash },
	{ "zsh", cli_completion_zsh },
};

int cli_docs(const char *what)
{
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		if (strcmp(what, pages[i].name) == 0) {
			pages[i].print();
			return CLI_FINE;
		}
	fprintf(stderr, "penstock docs: options, metrics, yaml, man1, man5, bash or zsh\n");
	return CLI_USAGE;
}
