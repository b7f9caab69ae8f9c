/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_tls: what belongs together in the keys of TLS. The files themselves are read by
 * tls_set (src/tls/tls_set.c), at start, at a reload and by `penstock check`.
 */
#include "config_check.h"

/* The same sentences serve a listener and a route, a cluster and a route. */
struct place {
	struct check *check;
	enum config_scope scope;
	uint32_t index;
};

static struct config_mark mark_of(const struct place *place, const char *path)
{
	return where(place->check, place->scope, place->index, path);
}

/* "listeners[0].tls.client_auth" */
#define LABEL_BYTES 200

static const char *label_of(const struct place *place, const char *path, char *text)
{
	return config_label(place->check->read, place->scope, place->index, path, text,
			    LABEL_BYTES);
}

/* The keys of one section that say nothing without another of its keys. */
static bool is_any_set(const struct place *place, const char *const *paths, size_t count,
		       const char **ret_path)
{
	for (size_t i = 0; i < count; i++) {
		*ret_path = paths[i];
		if (is_set(place->check, place->scope, place->index, paths[i]))
			return true;
	}
	return false;
}

/* ---- towards clients ------------------------------------------------------------------------ */

static void certificates_check(const struct place *place, const struct config_tls_server *tls)
{
	char label[LABEL_BYTES];

	label_of(place, "tls", label);
	if (tls->key_files.count != tls->cert_files.count)
		FAULT(place->check, mark_of(place, "tls.key_file"),
		      "%s: %u cert_file and %u key_file; name one key for each certificate, in the "
		      "same order",
		      label, tls->cert_files.count, tls->key_files.count);
	if (tls->ocsp_files.count > 0 && tls->ocsp_files.count != tls->cert_files.count)
		FAULT(place->check, mark_of(place, "tls.ocsp_file"),
		      "%s: %u cert_file and %u ocsp_file; name one answer for each certificate, in "
		      "the same order, or none",
		      label, tls->cert_files.count, tls->ocsp_files.count);
	if (tls->min_version > tls->max_version)
		FAULT(place->check, mark_of(place, "tls.min_version"),
		      "%s: min_version is above max_version", label);
}

static void clients_check(const struct place *place, const struct config_tls_server *tls)
{
	bool is_asked = tls->client_auth != CONFIG_CLIENT_AUTH_NONE;
	char label[LABEL_BYTES];

	if (is_asked && tls->client_ca_file == NULL)
		FAULT(place->check, mark_of(place, "tls.client_auth"),
		      "%s: nobody is trusted to sign clients' certificates; add client_ca_file",
		      label_of(place, "tls.client_auth", label));
	if (!is_asked && tls->client_ca_file != NULL)
		DOUBT(place->check, mark_of(place, "tls.client_ca_file"),
		      "%s: client_auth is none, so no client is asked for a certificate; write "
		      "require or optional",
		      label_of(place, "tls.client_ca_file", label));
	if (!is_asked && tls->allow_clients.count > 0)
		FAULT(place->check, mark_of(place, "tls.allow_clients"),
		      "%s: client_auth is none, so nobody would be let in; write client_auth: "
		      "require",
		      label_of(place, "tls.allow_clients", label));
	if (!is_asked && tls->crl_file != NULL)
		DOUBT(place->check, mark_of(place, "tls.crl_file"),
		      "%s: client_auth is none, so no certificate is checked against it",
		      label_of(place, "tls.crl_file", label));
}

/* wolfSSL takes a list of protocols as one text, with commas between. */
static void alpn_check(const struct place *place, const char *path, const struct config_names *alpn)
{
	char label[LABEL_BYTES];

	for (uint32_t i = 0; i < alpn->count; i++)
		if (strchr(alpn->at[i], ',') != NULL)
			FAULT(place->check, mark_of(place, path),
			      "%s: '%s' has a comma, which cannot be offered; write one protocol an "
			      "item",
			      label_of(place, path, label), alpn->at[i]);
}

/* False: there is no certificate. */
static bool server_check(const struct place *place, const struct config_tls_server *tls)
{
	static const char *const keys[] = {
		"tls.key_file",	   "tls.ocsp_file",	 "tls.unknown_name", "tls.require_name",
		"tls.client_auth", "tls.client_ca_file", "tls.crl_file",     "tls.allow_clients",
		"tls.alpn",	   "tls.tickets",	 "tls.min_version",  "tls.max_version",
		"tls.ciphers",	   "tls.ktls",		 "tls.ktls_rekey",
	};
	char label[LABEL_BYTES];
	const char *path;

	if (tls->cert_files.count == 0) {
		if (is_any_set(place, keys, COUNT_OF(keys), &path))
			FAULT(place->check, mark_of(place, path),
			      "%s: there is no certificate; add tls.cert_file and tls.key_file",
			      label_of(place, path, label));
		return false;
	}
	certificates_check(place, tls);
	clients_check(place, tls);
	alpn_check(place, "tls.alpn", &tls->alpn);
	return true;
}

static bool has_ending_route(const struct config *config, const struct config_listener *listener)
{
	for (uint32_t i = 0; i < listener->route_count; i++)
		if (config->routes[listener->route_first + i].mode != CONFIG_MODE_PASS)
			return true;
	return false;
}

void config_check_tls_listener(struct check *check, uint32_t index)
{
	const struct config_listener *listener = &check->config->listeners[index];
	const struct place place = { check, CONFIG_SCOPE_LISTENER, index };

	if (server_check(&place, &listener->tls) && listener->route_count > 0 &&
	    !has_ending_route(check->config, listener))
		FAULT(check, mark_of(&place, "tls.cert_file"),
		      "listeners[%u].tls: all routes pass TLS through; write mode: terminate or "
		      "reencrypt at those that are to end it here, or remove tls",
		      index);
}

/* ---- towards brokers ------------------------------------------------------------------------ */

static void urls_check(struct check *check, uint32_t index)
{
	const struct config_cluster *cluster = &check->config->clusters[index];
	bool has_tls = cluster->urls == NULL;

	for (uint32_t i = 0; i < cluster->url_count; i++)
		has_tls |= cluster->urls[i].is_tls;
	if (!has_tls)
		FAULT(check, where(check, CONFIG_SCOPE_CLUSTER, index, "discovery.urls"),
		      "clusters.%s.discovery.urls: no pulsar+ssl:// URL, and broker_tls says that "
		      "brokers are spoken TLS to; add those, or remove broker_tls",
		      cluster->name);
}

/* False: it is off. */
static bool client_check(const struct place *place, const struct config_tls_client *tls)
{
	static const char *const keys[] = {
		"broker_tls.verify",   "broker_tls.cert_file",	 "broker_tls.key_file",
		"broker_tls.crl_file", "broker_tls.min_version", "broker_tls.max_version",
		"broker_tls.ciphers",  "broker_tls.ktls",	 "broker_tls.ktls_rekey",
		"broker_tls.alpn",
	};
	char label[LABEL_BYTES];
	const char *path;

	if (!config_tls_is_on(tls)) {
		if (is_any_set(place, keys, COUNT_OF(keys), &path))
			FAULT(place->check, mark_of(place, path),
			      "%s: nobody is trusted to sign brokers' certificates; add "
			      "broker_tls.ca_file",
			      label_of(place, path, label));
		return false;
	}
	label_of(place, "broker_tls", label);
	if ((tls->cert_file == NULL) != (tls->key_file == NULL))
		FAULT(place->check, mark_of(place, "broker_tls.cert_file"),
		      "%s: a certificate goes with its key; name both cert_file and key_file",
		      label);
	if (tls->min_version > tls->max_version)
		FAULT(place->check, mark_of(place, "broker_tls.min_version"),
		      "%s: min_version is above max_version", label);
	alpn_check(place, "broker_tls.alpn", &tls->alpn);
	if (tls->verify == CONFIG_VERIFY_OFF)
		DOUBT(place->check, mark_of(place, "broker_tls.verify"),
		      "%s.verify: off: whoever is between this host and the brokers can read and "
		      "change everything",
		      label);
	return true;
}

void config_check_tls_cluster(struct check *check, uint32_t index)
{
	const struct place place = { check, CONFIG_SCOPE_CLUSTER, index };

	if (client_check(&place, &check->config->clusters[index].broker_tls) &&
	    check->config->clusters[index].protocol == CONFIG_PULSAR)
		urls_check(check, index);
}

/* ---- routes --------------------------------------------------------------------------------- */

static void route_server_check(const struct place *place, const struct config_route *route)
{
	const struct config_listener *listener = &place->check->config->listeners[route->listener];
	bool is_set = server_check(place, &route->tls);
	char label[LABEL_BYTES];

	if (is_set && route->mode == CONFIG_MODE_PASS)
		FAULT(place->check, mark_of(place, "tls.cert_file"),
		      "%s: the route passes TLS through; write mode: terminate or reencrypt, or "
		      "remove tls",
		      label_of(place, "tls", label));
	if (!is_set && route->mode != CONFIG_MODE_PASS && listener->tls.cert_files.count == 0)
		FAULT(place->check, mark_of(place, "mode"),
		      "%s: there is no certificate to end TLS with; add tls: { cert_file: ..., "
		      "key_file: ... } to the listener, or to the route",
		      label_of(place, "mode", label));
}

/* Has a cluster, by `cluster` or `discovered`. */
static void route_cluster_check(const struct place *place, const struct config_route *route)
{
	struct check *check = place->check;
	int32_t index = route->cluster >= 0 ? route->cluster : route->discovered;
	const struct config_cluster *cluster = &check->config->clusters[index];
	bool speaks = config_speaks_tls(cluster);
	char label[LABEL_BYTES];

	label_of(place, "mode", label);
	if (config_tls_is_on(&route->broker_tls))
		FAULT(check, mark_of(place, "broker_tls.ca_file"),
		      "%s: brokers of a cluster are spoken TLS to as clusters.%s.broker_tls says; "
		      "remove it here",
		      label_of(place, "broker_tls", label), cluster->name);
	else if (route->mode == CONFIG_MODE_REENCRYPT && !speaks)
		FAULT(check, mark_of(place, "mode"),
		      "%s: reencrypt, and nobody is trusted to sign certificates of the brokers; "
		      "add broker_tls to clusters.%s, or write terminate",
		      label, cluster->name);
	else if (route->mode == CONFIG_MODE_TERMINATE && route->discovered >= 0)
		FAULT(check, mark_of(place, "mode"),
		      "%s: discovered leads to the TLS ports of brokers; write reencrypt or pass",
		      label);
	else if (route->mode == CONFIG_MODE_TERMINATE && speaks)
		FAULT(check, mark_of(place, "mode"),
		      "%s: terminate goes on in clear, and clusters.%s has broker_tls; write "
		      "reencrypt",
		      label, cluster->name);
}

static void route_client_check(const struct place *place, const struct config_route *route)
{
	bool is_on = client_check(place, &route->broker_tls);
	bool wants = route->mode == CONFIG_MODE_REENCRYPT;
	char label[LABEL_BYTES];

	if (is_on && !wants)
		FAULT(place->check, mark_of(place, "broker_tls.ca_file"),
		      "%s: no TLS begins here unless mode is reencrypt; write that, or remove "
		      "broker_tls",
		      label_of(place, "broker_tls", label));
	else if (route->cluster >= 0 || route->discovered >= 0)
		route_cluster_check(place, route);
	else if (wants && !is_on && route->target_count > 0)
		FAULT(place->check, mark_of(place, "mode"),
		      "%s: reencrypt, and nobody is trusted to sign certificates of the targets; "
		      "add broker_tls: { ca_file: ... } to the route",
		      label_of(place, "mode", label));
}

void config_check_tls_route(struct check *check, uint32_t index)
{
	const struct config_route *route = &check->config->routes[index];
	const struct place place = { check, CONFIG_SCOPE_ROUTE, index };

	route_server_check(&place, route);
	route_client_check(&place, route);
	if (!config_tls_is_on(&route->broker_tls) &&
	    is_set(check, CONFIG_SCOPE_ROUTE, index, "broker_tls.name"))
		FAULT(check, mark_of(&place, "broker_tls.name"),
		      "listeners[%u].routes[%u].broker_tls.name: goes with ca_file of the route; "
		      "add that, or remove it",
		      route->listener,
		      index - check->config->listeners[route->listener].route_first);
}
