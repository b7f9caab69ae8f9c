/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * penstock.yaml as it should be: every default, every key, the dump that reads back as the same
 * configuration, what needs a restart, and the budget.
 */
#include "../../src/config/config_priv.h"
#include "config_help.h"

#define S NS_PER_S

static const char minimal[] = "listeners:\n"
			      "  - { name: x, bind: \"0.0.0.0:7000\", forward: \"h:1\" }\n";

static void check_defaults(const struct config *config)
{
	assert_int_equal(config->egress.hosts.count, 0);
	assert_int_equal(config->egress.networks.count, 0);
	assert_int_equal(config->egress.ports.count, 2);
	assert_int_equal(config->egress.ports.at[0], 6650);
	assert_int_equal(config->egress.ports.at[1], 6651);
	assert_false(config->egress.ports.is_any);
	assert_int_equal(config->limits.connections, 50000);
	assert_int_equal(config->limits.connections_asked, 50000);
	assert_true(config->limits.per_ip == CONFIG_OFF);
	assert_int_equal(config->limits.unrouted, 1024);
	assert_int_equal(config->limits.lookups, 50000);
	assert_int_equal(config->limits.first_frame, 65536);
	assert_int_equal(config->limits.pipes, 64);
	assert_int_equal(config->limits.handshakes, 512);
	/* More where there are many CPUs. */
	uint64_t need = config_tls_need(config);

	assert_int_equal(config->limits.tls_memory, need > 256 << 20 ? need : 256 << 20);
	assert_int_equal(config->limits.max_frame, 5 * 1024 * 1024 + 10240);
	assert_true(config->timeouts.hello_ns == 5 * S);
	assert_true(config->timeouts.handshake_ns == 5 * S);
	assert_true(config->timeouts.connect_ns == 2 * S);
	assert_true(config->timeouts.frame_ns == 30 * S);
	assert_true(config->timeouts.half_close_ns == 60 * S);
	assert_true(config->timeouts.idle_ns == CONFIG_OFF);
	assert_true(config->timeouts.drain_ns == 60 * S);
	assert_true(config->drain.lame_duck_ns == 5 * S);
	assert_true(config->drain.spread_ns == 10 * S);
	assert_int_equal(config->process.cpus.count, 0);
	assert_int_equal(config->process.busy_poll_ns, 0);
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_int_equal(config->log.format, LOG_FORMAT_TEXT);
	assert_int_equal(config->log.access, CONFIG_ACCESS_ALL);
	assert_null(config->state_dir);
}

static void test_defaults(void **state)
{
	struct outcome outcome = help_load(minimal, NULL);
	struct cpu_list online;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	const struct config *config = outcome.config;

	check_defaults(config);
	assert_int_equal(cpu_available(&online), 0);
	assert_int_equal(config->process.workers, online.count);
	assert_true(config->admin.is_on);
	assert_null(config->admin.unix_path);
	assert_string_equal(addr_format(&config->admin.listen, text), "127.0.0.1:9180");
	assert_false(config->web.is_on);
	assert_true(config->web.has_metrics);
	assert_null(config->web.status_file);
	assert_null(config->web.cluster_name);
	assert_int_equal(config->cluster_count, 0);
	assert_int_equal(config->listener_count, 1);
	const struct config_listener *listener = &config->listeners[0];

	assert_string_equal(listener->name, "x");
	assert_int_equal(listener->cluster, -1);
	assert_string_equal(listener->forward_host, "h");
	assert_int_equal(listener->forward_port, 1);
	assert_int_equal(listener->proxy_mode, CONFIG_PROXY_OFF);
	assert_int_equal(listener->proxy_trusted.count, 0);
	assert_int_equal(listener->send_proxy_protocol, CONFIG_SEND_PROXY_OFF);
	assert_int_equal(listener->splice, CONFIG_SPLICE_AUTO);
	assert_int_equal(listener->tls.cert_files.count, 0);
	assert_int_equal(listener->backlog, 4096);
	assert_int_equal(listener->line, 2);
	help_free(&outcome);
}

static void test_cluster_defaults(void **state)
{
	struct outcome outcome =
		help_load("clusters: { a: { discovery: { zookeeper: { servers: z } } } }\n"
			  "listeners: [{ name: x, bind: \"[::]:7000\", cluster: a }]\n",
			  NULL);

	(void)state;
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	const struct config_cluster *cluster = &outcome.config->clusters[0];

	assert_string_equal(cluster->name, "a");
	assert_string_equal(cluster->zookeeper_servers, "z:2181");
	assert_null(cluster->zookeeper_global_servers);
	assert_true(cluster->zookeeper_session_ns == 30 * S);
	assert_true(cluster->zookeeper_resync_ns == 300 * S);
	assert_int_equal(cluster->url_count, 0);
	assert_int_equal(cluster->lookup, CONFIG_LOOKUP_RELAY);
	assert_int_equal(cluster->send_proxy_protocol, CONFIG_SEND_PROXY_OFF);
	assert_false(cluster->check_active);
	assert_false(config_speaks_tls(cluster));
	assert_int_equal(cluster->line, 1);
	assert_int_equal(outcome.config->listeners[0].cluster, 0);
	help_free(&outcome);
}

/* What is spoken where no more is said than what is needed. */
static void test_tls_defaults(void **state)
{
	struct outcome outcome =
		help_load("clusters: { a: { discovery: { zookeeper: { servers: z } }, "
			  "broker_tls: { ca_file: /ca } } }\n"
			  "listeners: [{ name: x, bind: \"[::]:7000\", cluster: a, "
			  "tls: { cert_file: [/c], key_file: /k } }]\n",
			  NULL);

	(void)state;
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	const struct config_tls_client *brokers = &outcome.config->clusters[0].broker_tls;
	const struct config_tls_server *clients = &outcome.config->listeners[0].tls;

	assert_true(config_speaks_tls(&outcome.config->clusters[0]));
	assert_string_equal(brokers->ca_file, "/ca");
	assert_int_equal(brokers->verify, CONFIG_VERIFY_FULL);
	assert_null(brokers->cert_file);
	assert_null(brokers->key_file);
	assert_null(brokers->crl_file);
	assert_int_equal(brokers->min_version, CONFIG_TLS_1_2);
	assert_int_equal(brokers->max_version, CONFIG_TLS_1_3);
	assert_int_equal(brokers->ktls, CONFIG_KTLS_AUTO);
	assert_int_equal(brokers->ktls_rekey, CONFIG_KTLS_REKEY_KEEP);
	assert_int_equal(clients->cert_files.count, 1);
	assert_string_equal(clients->cert_files.at[0], "/c");
	assert_string_equal(clients->key_files.at[0], "/k");
	assert_int_equal(clients->ocsp_files.count, 0);
	assert_int_equal(clients->unknown_name, CONFIG_UNKNOWN_NAME_DEFAULT);
	assert_false(clients->is_name_required);
	assert_int_equal(clients->client_auth, CONFIG_CLIENT_AUTH_NONE);
	assert_null(clients->client_ca_file);
	assert_null(clients->crl_file);
	assert_int_equal(clients->allow_clients.count, 0);
	assert_int_equal(clients->alpn.count, 0);
	assert_true(clients->has_tickets);
	assert_int_equal(clients->min_version, CONFIG_TLS_1_2);
	assert_int_equal(clients->max_version, CONFIG_TLS_1_3);
	assert_int_equal(clients->ktls, CONFIG_KTLS_AUTO);
	assert_int_equal(clients->ktls_rekey, CONFIG_KTLS_REKEY_KEEP);
	help_free(&outcome);
}

/* Every key there is, none at its default. */
static const char full[] =
	"clusters:\n"
	"  east:\n"
	"    protocol: pulsar\n"
	"    discovery:\n"
	"      zookeeper:\n"
	"        servers: \"zk-0,zk-1:2182,[::1]:2183/Chroot/x\"\n"
	"        global_servers: ' zk:gzk-0 , 10.0.0.1:1 '\n"
	"        session_timeout: 10s\n"
	"        resync: 90s\n"
	"      grace: 5s\n"
	"    lookup: direct\n"
	"    credentials: pass\n"
	"    send_proxy_protocol: v1\n"
	"    broker_tls: { ca_file: /ca, verify: ca, cert_file: '/c d', key_file: /k, crl_file: /r, "
	"min_version: 1.3, max_version: '1.3', ciphers: [A, b], alpn: [pulsar], ktls: require, "
	"ktls_rekey: close }\n"
	"    check_active: true\n"
	"  West.1_x-y:\n"
	"    discovery: { urls: [pulsar://B-1, \"pulsar://[2001:DB8::1]:6652/\", "
	"pulsar://10.0.0.3:6650] }\n"
	"  orders: { protocol: kafka, discovery: { bootstrap: [K-1, \"[2001:db8::1]:9\", k-3:7], "
	"nodes: 'k-###.{rack}.X:19', refresh: 7s }, broker_tls: { ca_file: /ca, clients_file: /certs } }\n"
	"  old: {protocol: kafka, discovery: {zookeeper: {servers: k/c, listener: CLIENT}}}\n"
	"listeners:\n"
	"  - name: a\n"
	"    bind: \"[::1]:6650\"\n"
	"    cluster: West.1_x-y\n"
	"    proxy_protocol: { mode: required, trusted: [10.0.0.0/8, \"::/0\", \"fd00::1\", "
	"192.168.1.1] }\n"
	"    splice: off\n"
	"    tls: { cert_file: [/c1, /c2], key_file: [/k1, /k2], ocsp_file: [/o1, /o2], "
	"unknown_name: refuse, require_name: true, client_auth: optional, client_ca_file: /ca, "
	"crl_file: /r, allow_clients: ['cn:A  b, \u00fc', \"uri:spiffe://x/*\"], alpn: [pulsar, h2], "
	"tickets: false, min_version: 1.2, max_version: 1.2, ciphers: [C, d, e], ktls: off, "
	"ktls_rekey: close }\n"
	"    backlog: 7\n"
	"  - { name: b, bind: 0.0.0.0:7000, forward: \"[2001:db8::9]:7001\", "
	"send_proxy_protocol: v2 }\n"
	"  - { name: c, bind: 0.0.0.0:7001, cluster: east }\n"
	"  - name: edge\n"
	"    bind: 0.0.0.0:443\n"
	"    no_sni: 'C.Example.com.'\n"
	"    unknown: \"**.example.com\"\n"
	"    allow_ports: [6651, 1]\n"
	"    tls: { cert_file: /e, key_file: /f }\n"
	"    routes:\n"
	"      - { host: \"*.East.example.com\", forward: \"{1}.X.internal:1\" }\n"
	"      - { host: c.example.com, forward: [\"[2001:DB8::1]:7\", \"H:8\"], mode: pass, alpn: "
	"[h2, 'Http/1.1'], allow: [10.0.0.0/8], max_connections: 7, send_proxy_protocol: v2 }\n"
	"      - { host: c.example.com, cluster: east, mode: reencrypt }\n"
	"      - { host: \"**.example.com\", cluster: West.1_x-y, mode: terminate, tls: { cert_file: "
	"/g, key_file: /h, ocsp_file: /i, unknown_name: refuse, require_name: true, client_auth: "
	"require, client_ca_file: /j, crl_file: /k, allow_clients: ['cn:B'], alpn: [x], tickets: "
	"false, min_version: 1.3, max_version: 1.3, ciphers: [f], ktls: off, ktls_rekey: close "
	"} }\n"
	"      - { discovered: east, mode: reencrypt }\n"
	"      - { host: r.example.com, forward: \"h:9\", mode: reencrypt, broker_tls: { ca_file: /l, "
	"verify: ca, cert_file: /m, key_file: /n, crl_file: /o, min_version: 1.3, max_version: "
	"1.3, ciphers: [G], alpn: [h2, http/1.1], ktls: off, ktls_rekey: close, name: client } }\n"
	"  - { name: k, bind: 127.0.0.1:9092, cluster: orders, allow: [10.0.0.0/8], kafka: { "
	"mode: port, advertise: GW.x:19100, base_port: 9100, nodes: [0-2, 7], read_only: "
	"true, deny_apis: [Metadata, Fetch], unknown_apis: pass, vendor_apis: hide, controllers: "
	"name, client_id_prefix: 'Team-a ', allow_users: ['A b', c*], max_request: 5MiB, rate: {requests: 10, bytes_in: 2MiB, "
	"bytes_out: 3KiB } }, max_connections: 9, accept_rate: 8 }\n"
	"  - { name: l, bind: 127.0.0.1:9093, cluster: orders, tls: { cert_file: /e, key_file: "
	"/f }, kafka: { mode: sni, advertise: 'B{id}.{cluster}.x', bootstrap: Kafka.x, unknown: "
	"bootstrap } }\n"
	"certificates: { refresh: off, warn_before: 30d, warn_every: 12h }\n"
	"egress:\n"
	"  allow: { hosts: [\"*.Internal\", \"**.x.y\", \"*\", h], networks: [10.0.0.0/8, "
	"\"fd00::/8\"], ports: [1, 65535, \"*\"] }\n"
	"limits: { connections: 100, per_ip: 7, unrouted: 8, lookups: 9, first_frame: 1KiB, "
	"pipes: 0, handshakes: 3, tls_memory: 20MiB, max_frame: 65537B }\n"
	"timeouts: { hello: 10ms, handshake: 20ms, connect: 250ms, frame: 1m, half_close: 2h, idle: 30d, drain: 1d "
	"}\n"
	"drain: { lame_duck: 0s, spread: 1500ms }\n"
	"process: { workers: 1, cpus: \"0\", busy_poll: 50us }\n"
	"admin: { listen: \"unix:/run/a b\" }\n"
	"web: { listen: \"[::]:8080\", status_file: \"/x y\", metrics: false, cluster_name: "
	"'a \"b\" \\ c' }\n"
	"log: { level: debug, format: json, access: off }\n"
	"state_dir: /var/lib/x\n";

static void check_full_clusters(const struct config *config)
{
	const struct config_cluster *east = &config->clusters[0];
	const struct config_cluster *west = &config->clusters[1];

	assert_int_equal(config->cluster_count, 4);
	assert_string_equal(east->name, "east");
	assert_string_equal(east->zookeeper_servers, "zk-0:2181,zk-1:2182,[::1]:2183/Chroot/x");
	assert_string_equal(east->zookeeper_global_servers, "gzk-0:2181,10.0.0.1:1");
	assert_true(east->zookeeper_session_ns == 10 * S);
	assert_true(east->zookeeper_resync_ns == 90 * S);
	assert_int_equal(east->lookup, CONFIG_LOOKUP_DIRECT);
	assert_int_equal(east->send_proxy_protocol, CONFIG_SEND_PROXY_V1);
	assert_true(east->check_active);
	assert_null(east->urls);
	assert_string_equal(west->name, "West.1_x-y");
	assert_null(west->zookeeper_servers);
	assert_int_equal(west->url_count, 3);
	assert_string_equal(west->urls[0].host, "b-1");
	assert_int_equal(west->urls[0].port, 6650);
	assert_string_equal(west->urls[1].host, "2001:db8::1");
	assert_int_equal(west->urls[1].port, 6652);
	assert_string_equal(west->urls[2].host, "10.0.0.3");
	assert_false(west->urls[2].is_tls);
}

static void check_full_kafka(const struct config *config)
{
	const struct config_cluster *orders = &config->clusters[2];
	const struct config_kafka *port = &config->listeners[4].kafka;
	const struct config_kafka *sni = &config->listeners[5].kafka;

	assert_int_equal(config->clusters[0].protocol, CONFIG_PULSAR);
	assert_int_equal(orders->protocol, CONFIG_KAFKA);
	assert_int_equal(orders->url_count, 3);
	assert_string_equal(orders->urls[0].host, "k-1");
	assert_int_equal(orders->urls[0].port, 9092);
	assert_string_equal(orders->urls[1].host, "2001:db8::1");
	assert_int_equal(orders->urls[1].port, 9);
	assert_true(orders->urls[2].is_tls);
	assert_string_equal(orders->broker_clients_file, "/certs");
	assert_string_equal(orders->node_host, "k-###.{rack}.x");
	assert_int_equal(orders->node_port, 19);
	assert_true(config->clusters[0].grace_ns == 5 * S);
	assert_null(config->clusters[0].zookeeper_listener);
	assert_true(orders->refresh_ns == 7 * S);
	assert_string_equal(config->clusters[3].zookeeper_servers, "k:2181/c");
	assert_string_equal(config->clusters[3].zookeeper_listener, "CLIENT");
	assert_true(config->clusters[3].grace_ns == 60 * S);
	assert_int_equal(config->listeners[4].allow.count, 1);
	assert_int_equal(port->mode, CONFIG_KAFKA_PORT);
	assert_string_equal(port->advertise, "gw.x");
	assert_int_equal(port->advertise_port, 19100);
	assert_int_equal(port->base_port, 9100);
	assert_int_equal(config_listener_ports(config, 4), 4);
	assert_int_equal(config_listener_port(config, 4, 2).port, 9102);
	assert_int_equal(config_listener_port(config, 4, 3).port, 9107);
	assert_true(port->is_read_only && port->policy.pass_unknown && port->policy.hide_vendor &&
		    port->policy.show_quorum);
	assert_int_equal(config->listeners[4].deny_apis.count, 2);
	assert_int_equal(kafka_policy_allows(&port->policy, KAFKA_METADATA, 9), KAFKA_ALLOW_DENIED);
	assert_int_equal(kafka_policy_allows(&port->policy, KAFKA_PRODUCE, 9), KAFKA_ALLOW_DENIED);
	assert_int_equal(kafka_policy_allows(&port->policy, KAFKA_LIST_OFFSETS, 5), KAFKA_ALLOW);
	assert_string_equal(port->client_id_prefix, "Team-a ");
	assert_int_equal(port->user_count, 2);
	assert_string_equal(port->users[0], "A b");
	assert_int_equal(port->request_max, 5 << 20);
	assert_int_equal(port->rate_requests, 10);
	assert_int_equal(port->rate_in, 2 << 20);
	assert_int_equal(port->rate_out, 3 << 10);
	assert_int_equal(config->listeners[4].max_connections, 9);
	assert_int_equal(config->listeners[4].accept_rate, 8);
	assert_int_equal(sni->rate_requests + sni->rate_in + sni->rate_out, 0);
	assert_int_equal(config->listeners[5].max_connections + config->listeners[5].accept_rate,
			 0);
	assert_int_equal(sni->mode, CONFIG_KAFKA_SNI);
	assert_string_equal(sni->advertise, "b{id}.{cluster}.x");
	assert_int_equal(sni->advertise_port, 9093);
	assert_string_equal(sni->bootstrap, "kafka.x");
	assert_int_equal(sni->unknown, CONFIG_KAFKA_UNKNOWN_BOOTSTRAP);
	assert_int_equal(config_listener_ports(config, 5), 0);
	assert_int_equal(sni->request_max, 100 << 20);
	assert_int_equal(kafka_policy_allows(&sni->policy, KAFKA_PRODUCE, 9), KAFKA_ALLOW);
}

static void check_full_tls(const struct config *config)
{
	const struct config_tls_client *brokers = &config->clusters[0].broker_tls;
	const struct config_tls_server *clients = &config->listeners[0].tls;

	assert_false(config_speaks_tls(&config->clusters[1]));
	assert_string_equal(brokers->ca_file, "/ca");
	assert_int_equal(brokers->verify, CONFIG_VERIFY_CA);
	assert_string_equal(brokers->cert_file, "/c d");
	assert_string_equal(brokers->key_file, "/k");
	assert_string_equal(brokers->crl_file, "/r");
	assert_int_equal(brokers->min_version, CONFIG_TLS_1_3);
	assert_int_equal(brokers->max_version, CONFIG_TLS_1_3);
	assert_int_equal(brokers->ciphers.count, 2);
	assert_string_equal(brokers->ciphers.at[1], "b");
	assert_int_equal(brokers->alpn.count, 1);
	assert_string_equal(brokers->alpn.at[0], "pulsar");
	assert_int_equal(brokers->ktls, CONFIG_KTLS_REQUIRE);
	assert_int_equal(brokers->ktls_rekey, CONFIG_KTLS_REKEY_CLOSE);
	assert_int_equal(clients->cert_files.count, 2);
	assert_string_equal(clients->cert_files.at[1], "/c2");
	assert_string_equal(clients->key_files.at[1], "/k2");
	assert_string_equal(clients->ocsp_files.at[1], "/o2");
	assert_int_equal(clients->unknown_name, CONFIG_UNKNOWN_NAME_REFUSE);
	assert_true(clients->is_name_required);
	assert_int_equal(clients->client_auth, CONFIG_CLIENT_AUTH_OPTIONAL);
	assert_string_equal(clients->client_ca_file, "/ca");
	assert_string_equal(clients->crl_file, "/r");
	assert_int_equal(clients->allow_clients.count, 2);
	assert_string_equal(clients->allow_clients.at[0], "cn:A  b, \u00fc");
	assert_string_equal(clients->allow_clients.at[1], "uri:spiffe://x/*");
	assert_int_equal(clients->alpn.count, 2);
	assert_string_equal(clients->alpn.at[0], "pulsar");
	assert_false(clients->has_tickets);
	assert_int_equal(clients->min_version, CONFIG_TLS_1_2);
	assert_int_equal(clients->max_version, CONFIG_TLS_1_2);
	assert_int_equal(clients->ciphers.count, 3);
	assert_string_equal(clients->ciphers.at[0], "C");
	assert_int_equal(clients->ktls, CONFIG_KTLS_OFF);
	assert_int_equal(clients->ktls_rekey, CONFIG_KTLS_REKEY_CLOSE);
	assert_int_equal(config->listeners[1].tls.cert_files.count, 0);
}

static void check_full_listeners(const struct config *config)
{
	const struct config_listener *a = &config->listeners[0];
	const struct config_listener *b = &config->listeners[1];
	struct addr addr;
	char text[ADDR_TEXT_MAX];

	assert_int_equal(config->listener_count, 6);
	assert_string_equal(a->name, "a");
	assert_string_equal(addr_format(&a->bind, text), "[::1]:6650");
	assert_int_equal(a->cluster, 1);
	assert_int_equal(a->proxy_mode, CONFIG_PROXY_REQUIRED);
	assert_int_equal(a->proxy_trusted.count, 4);
	assert_int_equal(a->proxy_trusted.at[0].bits, 96 + 8);
	assert_int_equal(a->proxy_trusted.at[1].bits, 0);
	assert_int_equal(a->proxy_trusted.at[2].bits, 128);
	assert_true(addr_parse_ip(span_str("192.168.1.1"), &addr));
	assert_true(addr_in_cidr(&addr, &a->proxy_trusted.at[3]));
	assert_int_equal(a->splice, CONFIG_SPLICE_OFF);
	assert_int_equal(a->backlog, 7);
	assert_string_equal(b->forward_host, "2001:db8::9");
	assert_int_equal(b->forward_port, 7001);
	assert_int_equal(b->send_proxy_protocol, CONFIG_SEND_PROXY_V2);
	assert_int_equal(b->cluster, -1);
	assert_int_equal(config->listeners[2].cluster, 0);
	assert_int_equal(config->listeners[2].route_count, 0);
}

static void check_full_routes(const struct config *config)
{
	const struct config_listener *edge = &config->listeners[3];
	const struct config_route *routes = config->routes;
	static const char *const labels[] = { "*.east.example.com", "c.example.com[h2]",
					      "c.example.com",	    "**.example.com",
					      "discovered:east",    "r.example.com" };

	assert_int_equal(config->route_count, COUNT_OF(labels));
	assert_int_equal(edge->route_count, COUNT_OF(labels));
	assert_int_equal(edge->route_first, 0);
	assert_int_equal(edge->cluster, -1);
	assert_int_equal(edge->no_sni_route, 1);
	assert_int_equal(edge->unknown_route, 3);
	assert_int_equal(edge->allow_ports.count, 2);
	for (uint32_t i = 0; i < COUNT_OF(labels); i++) {
		assert_string_equal(routes[i].label, labels[i]);
		assert_int_equal(routes[i].listener, 3);
	}
	assert_true(routes[0].targets[0].is_derived);
	assert_string_equal(routes[0].targets[0].host, "{1}.x.internal");
	assert_int_equal(routes[0].cluster, -1);
	assert_int_equal(routes[0].discovered, -1);
	assert_true(routes[0].max_connections == CONFIG_OFF);
	assert_int_equal(routes[1].target_count, 2);
	assert_string_equal(routes[1].targets[0].host, "2001:db8::1");
	assert_int_equal(routes[1].targets[0].port, 7);
	assert_false(routes[1].targets[0].is_derived);
	assert_string_equal(routes[1].targets[1].host, "h");
	assert_string_equal(routes[1].alpn.at[1], "Http/1.1");
	assert_int_equal(routes[1].allow.count, 1);
	assert_int_equal(routes[1].max_connections, 7);
	assert_int_equal(routes[1].send_proxy_protocol, CONFIG_SEND_PROXY_V2);
	assert_int_equal(routes[2].cluster, 0);
	assert_null(routes[4].host);
	assert_int_equal(routes[4].discovered, 0);
}

static void check_full_route_tls(const struct config *config)
{
	const struct config_route *routes = config->routes;
	const struct config_tls_server *own = &routes[3].tls;
	const struct config_tls_client *target = &routes[5].broker_tls;

	assert_int_equal(routes[1].mode, CONFIG_MODE_PASS);
	assert_int_equal(routes[2].mode, CONFIG_MODE_REENCRYPT);
	assert_int_equal(routes[3].mode, CONFIG_MODE_TERMINATE);
	assert_int_equal(routes[4].mode, CONFIG_MODE_REENCRYPT);
	assert_null(config_route_server(config, &routes[1]));
	assert_ptr_equal(config_route_server(config, &routes[2]), &config->listeners[3].tls);
	assert_ptr_equal(config_route_server(config, &routes[3]), own);
	assert_true(config_route_has_brain(&routes[2]) && config_route_has_brain(&routes[3]));
	assert_false(config_route_has_brain(&routes[4]) || config_route_has_brain(&routes[5]));
	assert_string_equal(own->cert_files.at[0], "/g");
	assert_string_equal(own->ocsp_files.at[0], "/i");
	assert_int_equal(own->client_auth, CONFIG_CLIENT_AUTH_REQUIRE);
	assert_string_equal(own->allow_clients.at[0], "cn:B");
	assert_string_equal(own->ciphers.at[0], "f");
	assert_false(own->has_tickets);
	assert_int_equal(own->min_version, CONFIG_TLS_1_3);
	assert_false(config_tls_is_on(&routes[4].broker_tls));
	assert_true(config_tls_is_on(target));
	assert_string_equal(target->ca_file, "/l");
	assert_int_equal(target->verify, CONFIG_VERIFY_CA);
	assert_string_equal(target->key_file, "/n");
	assert_string_equal(target->ciphers.at[0], "G");
	assert_int_equal(target->alpn.count, 2);
	assert_int_equal(target->ktls, CONFIG_KTLS_OFF);
	assert_int_equal(target->ktls_rekey, CONFIG_KTLS_REKEY_CLOSE);
	assert_int_equal(own->ktls_rekey, CONFIG_KTLS_REKEY_CLOSE);
	assert_int_equal(routes[5].name_source, CONFIG_NAME_CLIENT);
	assert_true(config->certificates.warn_before_ns == 30 * 86400 * S);
	assert_true(config->certificates.warn_every_ns == 43200 * S);
}

static void check_full_rest(const struct config *config)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(config->egress.hosts.count, 4);
	assert_string_equal(config->egress.hosts.at[0], "*.internal");
	assert_string_equal(config->egress.hosts.at[2], "*");
	assert_int_equal(config->egress.networks.count, 2);
	assert_int_equal(config->egress.ports.count, 2);
	assert_int_equal(config->egress.ports.at[1], 65535);
	assert_true(config->egress.ports.is_any);
	assert_int_equal(config->limits.connections, 100);
	assert_int_equal(config->limits.per_ip, 7);
	assert_int_equal(config->limits.unrouted, 8);
	assert_int_equal(config->limits.lookups, 9);
	assert_int_equal(config->limits.first_frame, 1024);
	assert_int_equal(config->limits.pipes, 0);
	assert_int_equal(config->limits.handshakes, 3);
	assert_int_equal(config->limits.tls_memory, 20 << 20);
	assert_int_equal(config->limits.max_frame, 65537);
	assert_true(config->certificates.refresh_ns == CONFIG_OFF);
	assert_true(config->timeouts.hello_ns == S / 100);
	assert_true(config->timeouts.handshake_ns == S / 50);
	assert_true(config->timeouts.connect_ns == S / 4);
	assert_true(config->timeouts.frame_ns == 60 * S);
	assert_true(config->timeouts.half_close_ns == 7200 * S);
	assert_true(config->timeouts.idle_ns == 30 * 86400 * S);
	assert_true(config->timeouts.drain_ns == 86400 * S);
	assert_int_equal(config->drain.lame_duck_ns, 0);
	assert_true(config->drain.spread_ns == S + S / 2);
	assert_int_equal(config->process.workers, 1);
	assert_int_equal(config->process.cpus.count, 1);
	assert_int_equal(config->process.busy_poll_ns, 50000);
	assert_true(config->admin.is_on);
	assert_string_equal(config->admin.unix_path, "/run/a b");
	assert_true(config->web.is_on);
	assert_string_equal(addr_format(&config->web.listen, text), "[::]:8080");
	assert_string_equal(config->web.status_file, "/x y");
	assert_false(config->web.has_metrics);
	assert_string_equal(config->web.cluster_name, "a \"b\" \\ c");
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->log.format, LOG_FORMAT_JSON);
	assert_int_equal(config->log.access, CONFIG_ACCESS_OFF);
	assert_string_equal(config->state_dir, "/var/lib/x");
}

/* What is no longer than a literal may be has no room for them: the keys of a route to Kafka. */
static const char full_kafka_route[] =
	"clusters:\n"
	"  orders: { protocol: kafka, discovery: { bootstrap: [k] } }\n"
	"listeners:\n"
	"  - name: edge\n"
	"    bind: 0.0.0.0:443\n"
	"    unknown: '*.Kafka.x'\n"
	"    tls: { cert_file: /c, key_file: /k }\n"
	"    routes:\n"
	"      - { host: a.x, forward: \"h:1\" }\n"
	"      - { host: '*.Kafka.x', cluster: orders, mode: terminate, kafka: { advertise: "
	"'B{id}-{cluster}.kafka.X:444', bootstrap: Any.x, unknown: bootstrap, read_only: true, "
	"deny_apis: [Metadata], unknown_apis: pass, vendor_apis: hide, controllers: name, "
	"client_id_prefix: 'Team a', allow_users: [b, c*], max_request: 5MiB, rate: { requests: 10, "
	"bytes_in: 2MiB, bytes_out: 3KiB } } }\n"
	"      - { host: '**.pay.x', cluster: orders, mode: terminate, kafka: { advertise: "
	"'###.pay.x', bootstrap: any.pay.x } }\n";

static void check_kafka_routes(const struct config *config)
{
	const struct config_kafka *most = &config->routes[1].kafka;
	const struct config_kafka *least = &config->routes[2].kafka;

	assert_int_equal(config->route_count, 3);
	assert_false(config_route_is_kafka(config, &config->routes[0]));
	assert_true(config_route_is_kafka(config, &config->routes[1]));
	assert_int_equal(config->listeners[0].unknown_route, 1);
	assert_int_equal(most->mode, CONFIG_KAFKA_SNI);
	assert_string_equal(most->advertise, "b{id}-{cluster}.kafka.x");
	assert_int_equal(most->advertise_port, 444);
	assert_string_equal(most->bootstrap, "any.x");
	assert_int_equal(most->unknown, CONFIG_KAFKA_UNKNOWN_BOOTSTRAP);
	assert_true(most->is_read_only && most->policy.pass_unknown && most->policy.hide_vendor &&
		    most->policy.show_quorum);
	assert_int_equal(kafka_policy_allows(&most->policy, KAFKA_METADATA, 9), KAFKA_ALLOW_DENIED);
	assert_int_equal(kafka_policy_allows(&most->policy, KAFKA_PRODUCE, 9), KAFKA_ALLOW_DENIED);
	assert_string_equal(most->client_id_prefix, "Team a");
	assert_int_equal(most->user_count, 2);
	assert_string_equal(most->users[1], "c*");
	assert_int_equal(most->request_max, 5 << 20);
	assert_int_equal(most->rate_requests, 10);
	assert_int_equal(most->rate_in, 2 << 20);
	assert_int_equal(most->rate_out, 3 << 10);
	assert_int_equal(least->mode, CONFIG_KAFKA_SNI);
	assert_int_equal(least->advertise_port, 443); /* that of bind */
	assert_int_equal(least->unknown, CONFIG_KAFKA_UNKNOWN_REFUSE);
	assert_int_equal(least->request_max, 100 << 20);
	assert_int_equal(least->user_count, 0);
	assert_int_equal(kafka_policy_allows(&least->policy, KAFKA_PRODUCE, 9), KAFKA_ALLOW);
	assert_int_equal(config_listener_ports(config, 0), 0);
}

static void test_full_kafka_route(void **state)
{
	struct outcome outcome = help_load(full_kafka_route, NULL);
	char *dump = outcome.config != NULL ? help_dump(outcome.config) : NULL;

	(void)state;
	assert_string_equal(outcome.errors > 0 ? outcome.said : "", "");
	check_kafka_routes(outcome.config);
	help_free(&outcome);
	outcome = help_load(dump, NULL);
	assert_string_equal(outcome.errors > 0 ? outcome.said : "", "");
	check_kafka_routes(outcome.config);
	char *again = help_dump(outcome.config);

	assert_string_equal(dump, again);
	free(again);
	free(dump);
	help_free(&outcome);
}

/* Every key, and once more through the dump. */
static void test_full(void **state)
{
	struct outcome outcome = help_load(full, NULL);

	(void)state;
	assert_int_equal(outcome.errors, 0);
	check_full_clusters(outcome.config);
	check_full_kafka(outcome.config);
	/* Taken before the files were read, and of the same ones. */
	assert_true(outcome.config->files_stamp == config_files_stamp(outcome.config));
	check_full_tls(outcome.config);
	check_full_listeners(outcome.config);
	check_full_routes(outcome.config);
	check_full_route_tls(outcome.config);
	check_full_rest(outcome.config);
	char *dump = help_dump(outcome.config);

	help_free(&outcome);
	outcome = help_load(dump, NULL);
	assert_string_equal(outcome.said != NULL && outcome.errors > 0 ? outcome.said : "", "");
	check_full_clusters(outcome.config);
	check_full_kafka(outcome.config);
	check_full_tls(outcome.config);
	check_full_listeners(outcome.config);
	check_full_routes(outcome.config);
	check_full_route_tls(outcome.config);
	check_full_rest(outcome.config);
	char *again = help_dump(outcome.config);

	assert_string_equal(dump, again);
	free(again);
	free(dump);
	help_free(&outcome);
}

static void rows_find(const char *text, bool is_set[CONFIG_ROW_COUNT])
{
	struct config_errors errors = { .out = NULL };
	struct config_read *read = config_read_new(&errors);

	assert_true(config_yaml_read(read, "t.yaml", text, strlen(text)));
	for (uint32_t row = 0; row < CONFIG_ROW_COUNT; row++)
		for (uint32_t unit = 0; unit < CONFIG_UNITS; unit++)
			is_set[row] |= read->marks[unit] != NULL && read->marks[unit][row].line > 0;
	config_free(config_read_end(read, 0));
}

/* The two really have every row of config.def, so that a new key is in the tests above or fails. */
static void test_full_is_full(void **state)
{
	static bool is_set[CONFIG_ROW_COUNT];

	(void)state;
	rows_find(full, is_set);
	rows_find(full_kafka_route, is_set);
	for (uint32_t row = 0; row < CONFIG_ROW_COUNT; row++) {
		if (config_is_of_role(&config_rows[row]) ||
		    strncmp(config_rows[row].path, "broker_sasl.", 12) == 0 ||
		    strncmp(config_rows[row].path, "discovery.sasl.", 15) == 0)
			continue; /* they want a file: test_config_role.c, test_config_sasl.c */
		if (!is_set[row])
			print_error("%s is not in the test\n", config_rows[row].path);
		assert_true(is_set[row]);
	}
}

static void test_default_dump(void **state)
{
	struct outcome outcome = help_load(minimal, NULL);
	char *dump = help_dump(outcome.config);

	(void)state;
	help_free(&outcome);
	outcome = help_load(dump, NULL);
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	check_defaults(outcome.config);
	assert_null(config_needs_restart(outcome.config, outcome.config));
	free(dump);
	help_free(&outcome);
}

/* Hosts that look like schemes, and chroots. */
static void test_servers(void **state)
{
	static const char *const rows[][2] = {
		{ "z", "z:2181" },
		{ "zk:z", "z:2181" },
		{ "zk:2181", "zk:2181" },
		{ "zk:2182,zk-1", "zk:2182,zk-1:2181" },
		{ "zk:2182/a", "zk:2182/a" },
		{ "zk:zk:2182", "zk:2182" },
		{ "zk:1a", "1a:2181" },
		{ "pulsar:2181", "pulsar:2181" },
		{ "etcd:2181,oxia:2181", "etcd:2181,oxia:2181" },
		{ "https", "https:2181" },
		{ "z/", "z:2181" },
		{ " a , b:1 / ", "a:2181,b:1" },
		{ "10.0.0.1,[fd00::1]/a/b", "10.0.0.1:2181,[fd00::1]:2181/a/b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct config_override override = { "clusters.pulsar.discovery.zookeeper.servers",
						    rows[i][0] };
		struct config_proxy_args args = { .overrides = &override, .override_count = 1 };
		struct outcome outcome = help_load(NULL, &args);

		assert_string_equal(outcome.said, "");
		assert_string_equal(outcome.config->clusters[0].zookeeper_servers, rows[i][1]);
		help_free(&outcome);
		/* What is dumped reads as the same. */
		override.value = rows[i][1];
		outcome = help_load(NULL, &args);
		assert_string_equal(outcome.config->clusters[0].zookeeper_servers, rows[i][1]);
		help_free(&outcome);
	}
}

/* ---- forms that are fine --------------------------------------------------------------------- */

static void test_forms(void **state)
{
	static const char *const texts[] = {
		"admin:\n  listen: off\n",
		"limits:\nclusters:\nlisteners:\n",
		"{\"admin\": {\"listen\": \"off\"}}\n",
		/* A byte order mark; octal, since "a" is a hexadecimal digit. */
		"\357\273\277admin: { listen: off }\r\nlog: { level: 'info' }\r\n",
		"---\nadmin: { listen: off }\n...\n",
		"log: # comment\n  level:   info   # other\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct outcome outcome = help_load(texts[i], NULL);

		assert_string_equal(outcome.errors > 0 ? outcome.said : "", "");
		help_free(&outcome);
	}
}

/* ---- reload ---------------------------------------------------------------------------------- */

static const char *restart_of(const char *old_text, const char *new_text)
{
	struct outcome old = help_load(old_text, NULL);
	struct outcome new = help_load(new_text, NULL);

	assert_non_null(old.config);
	assert_non_null(new.config);
	const char *what = config_needs_restart(old.config, new.config);

	/* Nothing to say in the other direction either. */
	assert_true((what == NULL) == (config_needs_restart(new.config, old.config) == NULL));
	help_free(&old);
	help_free(&new);
	return what;
}

static void test_restart(void **state)
{
	static const char *const pairs[][2] = {
		{ "process.workers", "process: { workers: 3 }\n" },
		{ "process.cpus", "process: { workers: auto, cpus: \"0\" }\n" },
		{ "process.busy_poll", "process: { busy_poll: 10us }\n" },
		{ "admin.listen", "admin: { listen: \"127.0.0.1:9181\" }\n" },
		{ "admin.listen", "admin: { listen: off }\n" },
		{ "admin.listen", "admin: { listen: \"unix:/x\" }\n" },
		{ "web.listen", "web: { listen: \"127.0.0.1:8080\" }\n" },
		{ "web.status_file", "web: { status_file: /x }\n" },
		{ "web.metrics", "web: { metrics: false }\n" },
		{ "web.cluster_name", "web: { cluster_name: x }\n" },
		{ "limits.connections", "limits: { connections: 7 }\n" },
		{ "limits.unrouted", "limits: { unrouted: 8 }\n" },
		{ "limits.pipes", "limits: { pipes: 8 }\n" },
	};
	static const char base[] = "process: { workers: auto }\n";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		const char *what = restart_of(base, pairs[i][1]);

		/* Pinning to one CPU makes one worker of two: the first difference counts. */
		if (strcmp(pairs[i][0], "process.cpus") == 0)
			assert_int_equal(strncmp(what, "process.", 8), 0);
		else
			assert_string_equal(what, pairs[i][0]);
	}
	assert_null(restart_of(base, "timeouts: { hello: 9s }\nlimits: { per_ip: 3, lookups: 5 }\n"
				     "log: { level: debug }\nstate_dir: /x\n"
				     "egress: { allow: { networks: [10.0.0.0/8] } }\n"));
	assert_null(restart_of(base, minimal));
}

/* What config_budget_fit did is no difference. */
static void test_restart_after_fit(void **state)
{
	struct outcome old = help_load(minimal, NULL);
	struct outcome new = help_load(minimal, NULL);

	(void)state;
	assert_true(config_budget_fit(old.config, 20000));
	assert_true(old.config->limits.connections < new.config->limits.connections);
	assert_null(config_needs_restart(old.config, new.config));
	help_free(&old);
	help_free(&new);
}

/* ---- budget ---------------------------------------------------------------------------------- */

static void test_budget(void **state)
{
	struct outcome outcome = help_load("process: { workers: 1 }\n", NULL);
	struct config *config = outcome.config;
	struct config_budget budget;

	(void)state;
	config->listener_count = 3;
	config_budget(config, &budget);
	assert_int_equal(budget.sessions_per_worker, 50000);
	assert_int_equal(budget.hops_per_worker, 1024);
	assert_int_equal(budget.buffers_per_worker, 1024 + 64);
	assert_int_equal(budget.descriptors, 2 * 50000 + 1024 + 2 * 64 + 3 + 64);
	assert_int_equal(budget.memory_bytes, 50000ull * 896 + 1088ull * 65536);
	assert_int_equal(budget.pipe_bytes, 64 * 262144);
	/* With TLS somewhere: two ends and two names for each session, the handshakes, and records
	 * held in part. */
	config->listeners[2].tls.cert_files.count = 1;
	config_budget(config, &budget);
	assert_int_equal(budget.memory_bytes, 50000ull * (896 + 2 * 1024 + 2 * HOST_MAX) +
						      1088ull * 65536 + 512ull * 65536 +
						      1024 * 16768 + (256 << 20));
	config->listeners[2].tls.cert_files.count = 0;
	config->process.workers = 4;
	config_budget(config, &budget);
	assert_int_equal(budget.sessions_per_worker, 12500 * 5 / 4 + 64);
	assert_int_equal(budget.descriptors, 2 * 50000 + 4 * (1024 + 2 * 64 + 3) + 64);
	assert_int_equal(budget.pipe_bytes, 4 * 64 * 262144);
	config->limits.connections = 10;
	config_budget(config, &budget);
	assert_int_equal(budget.sessions_per_worker, 10);
	assert_int_equal(budget.hops_per_worker, 16);
	help_free(&outcome);
}

static void test_budget_fit(void **state)
{
	struct outcome outcome = help_load("process: { workers: 2 }\n", NULL);
	struct config *config = outcome.config;
	struct config_budget budget;

	(void)state;
	assert_true(config_budget_fit(config, UINT64_MAX));
	assert_int_equal(config->limits.connections, 50000);
	for (uint64_t limit = 1000; limit < 120000; limit += 997) {
		config->limits.connections = 50000;
		assert_true(config_budget_fit(config, limit));
		config_budget(config, &budget);
		assert_true(budget.descriptors <= limit);
		if (config->limits.connections == 50000)
			continue;
		/* And not lower than need be. */
		config->limits.connections++;
		config_budget(config, &budget);
		assert_true(budget.descriptors > limit);
	}
	config->limits.connections = 50000;
	assert_false(config_budget_fit(config, 300));
	assert_int_equal(config->limits.connections, 50000);
	assert_int_equal(config->limits.connections_asked, 50000);
	help_free(&outcome);
}

/* ---- conf/penstock.yaml ---------------------------------------------------------------------- */

static bool has_word(const char *text, const char *end, const char *word)
{
	const char *at = strstr(text, word);

	return at != NULL && at < end;
}

/* Uncomments the printed example: lines whose '#' is followed by a key, not by "# text". */
static char *uncomment(const char *text)
{
	char *plain = calloc(1, strlen(text) + 1);
	size_t len = 0;

	assert_non_null(plain);
	for (const char *end; *text != '\0'; text = end + 1) {
		bool is_prose = text[0] == '#' && text[1] == ' ' && text[2] != ' ';

		end = strchr(text, '\n');
		/* CPUs of another machine, and files that are read at once, or go with others. */
		if (!is_prose && strncmp(text, "#  cpus:", 8) != 0 &&
		    !has_word(text, end, "users_file:") && !has_word(text, end, "clients_file:") &&
		    !has_word(text, end, "user:") && !has_word(text, end, "password_file:")) {
			const char *from = text + (text[0] == '#');

			memcpy(plain + len, from, (size_t)(end + 1 - from));
			len += (size_t)(end + 1 - from);
		}
	}
	return plain;
}

static void test_example(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	config_docs_yaml(out);
	assert_int_equal(fclose(out), 0);
	struct outcome outcome = help_load(text, NULL);

	/* As it stands it is fine and empty. */
	assert_int_equal(outcome.errors, 0);
	assert_int_equal(outcome.config->listener_count, 0);
	check_defaults(outcome.config);
	help_free(&outcome);
	/* What stands in place of bootstrap stands where bootstrap does. */
	const char *kafka = strstr(text, "\n#  orders:\n");

	assert_non_null(kafka);
	assert_non_null(strstr(kafka, "      # Instead of bootstrap: zookeeper: {"));
	assert_true(strstr(kafka, "      # Instead of bootstrap: zookeeper: {") <
		    strstr(kafka, "\n#    broker_tls:\n"));
	char *plain = uncomment(text);

	outcome = help_load(plain, NULL);
	assert_string_equal(outcome.errors > 0 ? outcome.said : "", "");
	assert_int_equal(outcome.config->cluster_count, 2);
	assert_int_equal(outcome.config->listener_count, 3);
	assert_int_equal(outcome.config->route_count, 2);
	assert_int_equal(outcome.config->limits.connections, 50000);
	assert_string_equal(outcome.config->state_dir, "/var/lib/penstock");
	help_free(&outcome);
	free(plain);
	free(text);
}

/* Every key of both tables is in the manual. */
static void test_manual(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	config_docs_options(out);
	assert_int_equal(fclose(out), 0);
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		char cell[100];

		snprintf(cell, sizeof(cell), "| `%s` |", config_rows[i].path);
		assert_non_null(strstr(text, cell));
		assert_true(strlen(config_rows[i].text) > 10);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_tls_defaults),
		cmocka_unit_test(test_cluster_defaults),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_kafka_route),
		cmocka_unit_test(test_full_is_full),
		cmocka_unit_test(test_default_dump),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_after_fit),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_budget_fit),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, help_setup, NULL);
}
