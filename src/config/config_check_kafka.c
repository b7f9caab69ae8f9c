/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_kafka: what belongs together in the keys of Kafka, and which of Pulsar's mean
 * nothing to it. Makes the policy of a listener, or of a route, out of the words it was written in.
 */
#include "config_check.h"

#define CLUSTER	 CONFIG_SCOPE_CLUSTER
#define LISTENER CONFIG_SCOPE_LISTENER

/* ---- clusters ------------------------------------------------------------------------------- */

static void foreign_check(struct check *check, uint32_t index)
{
	static const struct {
		const char *path, *instead;
	} rows[] = {
		{ "discovery.urls", "write discovery: { bootstrap: [\"kafka-1:9092\"] }" },
		{ "discovery.zookeeper.global_servers", "Kafka keeps all it has in one" },
		{ "lookup", "Kafka has no lookups" },
		{ "credentials", "clients' own credentials reach the broker" },
		{ "send_proxy_protocol", "no Kafka broker understands that header" },
		{ "check_active", "Kafka's clients name no brokers" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (is_set(check, CLUSTER, index, rows[i].path))
			FAULT(check, where(check, CLUSTER, index, rows[i].path),
			      "clusters.%s.%s: is for Pulsar; %s",
			      check->config->clusters[index].name, rows[i].path, rows[i].instead);
}

/* A key of Kafka in a cluster of Pulsar's. */
static void stray_cluster_check(struct check *check, uint32_t index)
{
	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope != CLUSTER || !config_is_of_kafka(row) ||
		    !is_set(check, CLUSTER, index, row->path))
			continue;
		FAULT(check, where(check, CLUSTER, index, row->path),
		      "clusters.%s.%s: is for Kafka; add protocol: kafka",
		      check->config->clusters[index].name, row->path);
		return;
	}
}

/* Where brokers are found: one way, and enough of it. */
static void sources_check(struct check *check, uint32_t index)
{
	const struct config_cluster *cluster = &check->config->clusters[index];
	bool has_bootstrap = is_set(check, CLUSTER, index, "discovery.bootstrap");
	bool has_zookeeper = is_set(check, CLUSTER, index, "discovery.zookeeper.servers");

	if (has_bootstrap && has_zookeeper)
		FAULT(check, where(check, CLUSTER, index, "discovery.bootstrap"),
		      "clusters.%s.discovery: has both zookeeper and bootstrap; keep one",
		      cluster->name);
	else if (!has_bootstrap && !has_zookeeper)
		FAULT(check, where(check, CLUSTER, index, "protocol"),
		      "clusters.%s: its brokers are found nowhere; add discovery: { bootstrap: "
		      "[\"kafka-1:9092\"] }, or zookeeper",
		      cluster->name);
}

void config_check_kafka_cluster(struct check *check, uint32_t index)
{
	struct config_cluster *cluster = &check->config->clusters[index];

	if (cluster->protocol == CONFIG_PULSAR) {
		stray_cluster_check(check, index);
		return;
	}
	foreign_check(check, index);
	sources_check(check, index);
	if (cluster->broker_clients_file != NULL && !config_speaks_tls(cluster))
		FAULT(check, where(check, CLUSTER, index, "broker_tls.clients_file"),
		      "clusters.%s.broker_tls.clients_file: brokers are spoken to in clear, which "
		      "shows no certificate; add broker_tls.ca_file",
		      cluster->name);
	for (uint32_t i = 0; i < cluster->url_count; i++)
		cluster->urls[i].is_tls = config_speaks_tls(cluster);
}

/* ---- what clients may do -------------------------------------------------------------------- */

/* By its name, or by a number, which is also for calls without a name here. */
static bool find_api(const char *name, int16_t *ret_key)
{
	uint64_t number;

	if (span_to_u64(span_str(name), &number) && number <= INT16_MAX) {
		*ret_key = (int16_t)number;
		return true;
	}
	for (int16_t key = 0; key < KAFKA_VENDOR_KEY; key++) {
		const struct kafka_api *api = kafka_api(key);

		if (api == NULL || strcmp(api->name, name) != 0)
			continue;
		*ret_key = key;
		return true;
	}
	return false;
}

static bool is_number(const char *name)
{
	return strspn(name, "+-0123456789") == strlen(name);
}

static struct config_mark mark_of(const struct check_kafka *place, const char *path)
{
	return where(place->check, place->scope, place->index, path);
}

#define LABEL_BYTES 200

/* "listeners[0].kafka.advertise" */
static const char *label_of(const struct check_kafka *place, const char *path, char *text)
{
	return config_label(place->check->read, place->scope, place->index, path, text,
			    LABEL_BYTES);
}

static void guess_api(const struct check_kafka *place, const char *name)
{
	struct config_guess guess;
	char label[LABEL_BYTES];

	config_guess_begin(&guess, span_str(name));
	for (int16_t key = 0; key < KAFKA_VENDOR_KEY; key++)
		if (kafka_api(key) != NULL)
			config_guess_offer(&guess, kafka_api(key)->name);
	FAULT(place->check, mark_of(place, "kafka.deny_apis"),
	      "%s: '%s' is no call of Kafka's protocol; %s%s",
	      label_of(place, "kafka.deny_apis", label), name,
	      guess.best != NULL ? "did you mean " : "its names are like ",
	      guess.best != NULL ? guess.best : "DeleteTopics");
}

static void deny_apis(const struct check_kafka *place)
{
	char label[LABEL_BYTES];
	int16_t key;

	label_of(place, "kafka.deny_apis", label);
	for (uint32_t i = 0; i < place->denied->count; i++) {
		const char *name = place->denied->at[i];

		if (!find_api(name, &key) && is_number(name))
			FAULT(place->check, mark_of(place, "kafka.deny_apis"),
			      "%s: '%s' is no call's number; they are from 0 to %d", label, name,
			      INT16_MAX);
		else if (!find_api(name, &key))
			guess_api(place, name);
		else if (!kafka_policy_deny(&place->kafka->policy, key))
			FAULT(place->check, mark_of(place, "kafka.deny_apis"),
			      "%s: '%s' is one more than the %d calls without a name here that can be "
			      "denied; vendor_apis: hide is for all from %d on",
			      label, name, KAFKA_DENY_MORE, KAFKA_VENDOR_KEY);
	}
}

/* Calls that nobody here can read: pass, and what that may lead to. */
static void unread_check(const struct check_kafka *place)
{
	struct config_kafka *kafka = place->kafka;
	struct check *check = place->check;
	char unknown[LABEL_BYTES], vendor[LABEL_BYTES];

	label_of(place, "kafka.unknown_apis", unknown);
	label_of(place, "kafka.vendor_apis", vendor);
	if (kafka->is_read_only && !is_set(check, place->scope, place->index, "kafka.vendor_apis"))
		kafka->vendor_apis = CONFIG_KAFKA_VENDOR_HIDE;
	kafka->policy.pass_unknown = kafka->unknown_apis == CONFIG_KAFKA_UNKNOWN_PASS;
	kafka->policy.hide_vendor = kafka->vendor_apis == CONFIG_KAFKA_VENDOR_HIDE;
	if (kafka->policy.pass_unknown)
		DOUBT(check, mark_of(place, "kafka.unknown_apis"),
		      "%s: pass: an answer that nobody here can read may tell clients where "
		      "brokers are",
		      unknown);
	if (kafka->is_read_only && kafka->policy.pass_unknown)
		DOUBT(check, mark_of(place, "kafka.unknown_apis"),
		      "%s: pass: read_only cannot tell whether these calls write, and lets them "
		      "through",
		      unknown);
	if (kafka->is_read_only && !kafka->policy.hide_vendor)
		DOUBT(check, mark_of(place, "kafka.vendor_apis"),
		      "%s: pass: read_only cannot tell whether these calls write, and lets them "
		      "through",
		      vendor);
}

/* What is between a broker and who has authenticated to it is penstock's where that is penstock:
 * authentication itself, tokens that would be good for its users, and passwords (KIP-48, 554). */
static void session_apis_deny(struct kafka_policy *policy)
{
	static const enum kafka_key keys[] = {
		KAFKA_SASL_HANDSHAKE,
		KAFKA_SASL_AUTHENTICATE,
		KAFKA_CREATE_DELEGATION_TOKEN,
		KAFKA_RENEW_DELEGATION_TOKEN,
		KAFKA_EXPIRE_DELEGATION_TOKEN,
		KAFKA_DESCRIBE_DELEGATION_TOKEN,
		KAFKA_DESCRIBE_USER_SCRAM_CREDENTIALS,
		KAFKA_ALTER_USER_SCRAM_CREDENTIALS,
	};

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		CHECK(kafka_policy_deny(policy, (int16_t)keys[i]));
}

static void users_make(const struct check_kafka *place)
{
	char label[LABEL_BYTES];

	place->kafka->users = place->users->at;
	place->kafka->user_count = place->users->count;
	if (place->cluster->broker_sasl.users_file == NULL)
		return;
	session_apis_deny(&place->kafka->policy);
	if (place->kafka->user_count > 0)
		FAULT(place->check, mark_of(place, "kafka.allow_users"),
		      "%s: clients show no user where penstock authenticates (broker_sasl); write "
		      "tls.allow_clients",
		      label_of(place, "kafka.allow_users", label));
}

void config_check_kafka_policy(const struct check_kafka *place)
{
	struct config_kafka *kafka = place->kafka;
	char label[LABEL_BYTES];

	if (kafka->is_read_only)
		kafka_policy_read_only(&kafka->policy);
	deny_apis(place);
	users_make(place);
	kafka->policy.show_quorum = kafka->controllers != CONFIG_KAFKA_CONTROLLERS_HIDE;
	if (kafka->controllers == CONFIG_KAFKA_CONTROLLERS_PASS)
		DOUBT(place->check, mark_of(place, "kafka.controllers"),
		      "%s: pass: clients are told where controllers are, by their own addresses; name "
		      "tells them only that there are some",
		      label_of(place, "kafka.controllers", label));
	unread_check(place);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* From that of node 0 on, up to the highest node id. */
static bool is_in_range(const struct config_kafka *kafka, int64_t port)
{
	return kafka->id_count == 0 || port + kafka->ids[kafka->id_count - 1].last <= UINT16_MAX;
}

static bool has_all_ports(const struct config_kafka *kafka)
{
	return is_in_range(kafka, kafka->base_port);
}

static void port_check(struct check *check, uint32_t index)
{
	struct config_listener *listener = &check->config->listeners[index];
	struct config_kafka *kafka = &listener->kafka;

	if (kafka->base_port == 0)
		kafka->base_port = listener->bind.port + 1u;
	if (kafka->advertise_port == 0)
		kafka->advertise_port = (uint16_t)kafka->base_port;
	if (!has_all_ports(kafka))
		FAULT(check, where(check, LISTENER, index, "kafka.nodes"),
		      "listeners[%u].kafka.nodes: there is no port for the last of them: base_port "
		      "and the highest node id are above 65535 together",
		      index);
	else if (!is_in_range(kafka, kafka->advertise_port))
		FAULT(check, where(check, LISTENER, index, "kafka.advertise"),
		      "listeners[%u].kafka.advertise: there is no port to tell clients for the last "
		      "of kafka.nodes: its port and the highest node id are above 65535 together",
		      index);
	if (!addr_is_host(span_str(kafka->advertise)))
		FAULT(check, where(check, LISTENER, index, "kafka.advertise"),
		      "listeners[%u].kafka.advertise: with mode port brokers are told apart by "
		      "their ports; write one host, or mode: sni",
		      index);
	if (kafka->bootstrap != NULL || kafka->unknown != CONFIG_KAFKA_UNKNOWN_REFUSE)
		DOUBT(check,
		      where(check, LISTENER, index,
			    kafka->bootstrap != NULL ? "kafka.bootstrap" : "kafka.unknown"),
		      "listeners[%u].kafka: bootstrap and unknown go with mode: sni; with ports, "
		      "any broker is at the port of bind",
		      index);
}

static void bootstrap_check(const struct check_kafka *place)
{
	const struct config_kafka *kafka = place->kafka;
	const char *path = "kafka.bootstrap";
	char label[LABEL_BYTES];
	int32_t node;

	if (kafka->bootstrap == NULL && kafka->unknown == CONFIG_KAFKA_UNKNOWN_REFUSE)
		DOUBT(place->check, mark_of(place, "kafka.advertise"),
		      "%s: no name leads to any broker, so clients must begin with those of "
		      "brokers; add bootstrap",
		      label_of(place, "kafka", label));
	else if (kafka->bootstrap != NULL && kafka->bootstrap[0] == '*')
		FAULT(place->check, mark_of(place, path),
		      "%s: is one name; write it without '*', and see unknown",
		      label_of(place, path, label));
	else if (kafka->bootstrap != NULL &&
		 config_kafka_node_named(kafka, place->cluster->name, span_str(kafka->bootstrap),
					 &node))
		FAULT(place->check, mark_of(place, path),
		      "%s: is what advertise makes of node id %d; write another name",
		      label_of(place, path, label), (int)node);
}

bool config_check_kafka_names(const struct check_kafka *place)
{
	const struct config *config = place->check->config;
	struct config_kafka *kafka = place->kafka;
	uint32_t listener = place->scope == CONFIG_SCOPE_ROUTE
				    ? config->routes[place->index].listener
				    : place->index;
	char label[LABEL_BYTES];

	if (kafka->advertise_port == 0)
		kafka->advertise_port = config->listeners[listener].bind.port;
	if (!config_kafka_is_template(span_str(kafka->advertise))) {
		FAULT(place->check, mark_of(place, "kafka.advertise"),
		      "%s: brokers are told apart by their server names here; write a template, as "
		      "b{id}.kafka.example.com",
		      label_of(place, "kafka.advertise", label));
		return false;
	}
	bootstrap_check(place);
	return true;
}

static void sni_check(const struct check_kafka *place)
{
	struct check *check = place->check;
	uint32_t index = place->index;

	(void)config_check_kafka_names(place);
	if (check->config->listeners[index].tls.cert_files.count == 0)
		FAULT(check, where(check, LISTENER, index, "kafka.mode"),
		      "listeners[%u].kafka.mode: sni goes by the server name of TLS, which ends "
		      "here; add tls: { cert_file: ..., key_file: ... }",
		      index);
	if (is_set(check, LISTENER, index, "kafka.base_port") ||
	    is_set(check, LISTENER, index, "kafka.nodes"))
		DOUBT(check, where(check, LISTENER, index, "kafka.mode"),
		      "listeners[%u].kafka: base_port and nodes go with mode: port", index);
}

void config_check_kafka_stray(struct check *check, enum config_scope scope, uint32_t index)
{
	char label[LABEL_BYTES];

	for (uint32_t i = 0; i < CONFIG_ROW_COUNT; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->scope != scope || !config_is_of_kafka(row) ||
		    !is_set(check, scope, index, row->path))
			continue;
		FAULT(check, where(check, scope, index, row->path),
		      "%s: goes with a cluster whose protocol is kafka",
		      config_label(check->read, scope, index, row->path, label, sizeof(label)));
		return;
	}
}

void config_check_kafka_listener(struct check *check, uint32_t index)
{
	struct config *config = check->config;
	struct config_listener *listener = &config->listeners[index];

	if (listener->cluster < 0 || config->clusters[listener->cluster].protocol != CONFIG_KAFKA) {
		/* The name of its cluster may be wrong, and that has been said. */
		if (listener->cluster >= 0 || !is_set(check, LISTENER, index, "cluster"))
			config_check_kafka_stray(check, LISTENER, index);
		return;
	}
	const struct check_kafka place = {
		.check = check,
		.scope = LISTENER,
		.index = index,
		.cluster = &config->clusters[listener->cluster],
		.kafka = &listener->kafka,
		.denied = &listener->deny_apis,
		.users = &listener->allow_users,
	};

	config_check_kafka_policy(&place);
	if (listener->kafka.advertise == NULL)
		FAULT(check, where(check, LISTENER, index, "kafka.advertise"),
		      "listeners[%u]: clients cannot be told where brokers are; add kafka: { "
		      "advertise: the host they connect to }",
		      index);
	else if (listener->kafka.mode == CONFIG_KAFKA_PORT)
		port_check(check, index);
	else
		sni_check(&place);
}

/* ---- ports ---------------------------------------------------------------------------------- */

static bool is_taken(const struct config *config, uint32_t index, const struct addr *addr,
		     char *ret_what, size_t size)
{
	for (uint32_t i = 0; i < config->listener_count; i++) {
		struct addr other = config->listeners[i].bind;

		snprintf(ret_what, size, "listeners[%u].bind", i);
		if (config_check_is_overlapping(addr, &other))
			return true;
		snprintf(ret_what, size, "listeners[%u].kafka.nodes", i);
		for (uint32_t n = 0; i < index && n < config_listener_ports(config, i) &&
				     has_all_ports(&config->listeners[i].kafka);
		     n++) {
			other = config_listener_port(config, i, n);
			if (config_check_is_overlapping(addr, &other))
				return true;
		}
	}
	snprintf(ret_what, size, "admin.listen");
	if (config->admin.is_on && config->admin.unix_path == NULL &&
	    config_check_is_overlapping(addr, &config->admin.listen))
		return true;
	snprintf(ret_what, size, "web.listen");
	return config->web.is_on && config_check_is_overlapping(addr, &config->web.listen);
}

void config_check_kafka_ports(struct check *check)
{
	const struct config *config = check->config;
	uint32_t count = 0;

	for (uint32_t i = 0; i < config->listener_count; i++) {
		uint32_t ports = config_listener_ports(config, i);
		char what[60], text[ADDR_TEXT_MAX];

		if (!has_all_ports(&config->listeners[i].kafka))
			continue;
		count += ports;
		if (count > CONFIG_KAFKA_PORTS_MAX) {
			FAULT(check, where(check, LISTENER, i, "kafka.nodes"),
			      "listeners[%u].kafka.nodes: there are more than %d ports for brokers, "
			      "of all listeners together; name only those there will be, or use mode: "
			      "sni",
			      i, CONFIG_KAFKA_PORTS_MAX);
			return;
		}
		for (uint32_t n = 0; n < ports; n++) {
			struct addr addr = config_listener_port(config, i, n);

			if (!is_taken(config, i, &addr, what, sizeof(what)))
				continue;
			FAULT(check, where(check, LISTENER, i, "kafka.nodes"),
			      "listeners[%u].kafka: %s, for node id %d, overlaps with %s; choose "
			      "another base_port",
			      i, addr_format(&addr, text),
			      (int)addr.port - (int)config->listeners[i].kafka.base_port, what);
			break;
		}
	}
}
