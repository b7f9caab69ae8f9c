/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_tls: what belongs together in the keys of TLS. The files themselves are read by
 * tls_set (src/tls/tls_set.c), at start, at a reload and by `penstock check`.
 */
#include "config_check.h"

/* The keys of one section that say nothing without another of its keys. */
static bool is_any_set(const struct check *check, enum config_scope scope, uint32_t index,
		       const char *const *paths, size_t count, const char **ret_path)
{
	for (size_t i = 0; i < count; i++) {
		*ret_path = paths[i];
		if (is_set(check, scope, index, paths[i]))
			return true;
	}
	return false;
}

/* ---- listeners ------------------------------------------------------------------------------ */

static void certificates_check(struct check *check, uint32_t index)
{
	const struct config_tls_server *tls = &check->config->listeners[index].tls;
	struct config_mark mark = where(check, CONFIG_SCOPE_LISTENER, index, "tls.key_file");

	if (tls->key_files.count != tls->cert_files.count)
		FAULT(check, mark,
		      "listeners[%u].tls: %u cert_file and %u key_file; name one key for each "
		      "certificate, in the same order",
		      index, tls->cert_files.count, tls->key_files.count);
	if (tls->ocsp_files.count > 0 && tls->ocsp_files.count != tls->cert_files.count)
		FAULT(check, where(check, CONFIG_SCOPE_LISTENER, index, "tls.ocsp_file"),
		      "listeners[%u].tls: %u cert_file and %u ocsp_file; name one answer for each "
		      "certificate, in the same order, or none",
		      index, tls->cert_files.count, tls->ocsp_files.count);
}

static void clients_check(struct check *check, uint32_t index)
{
	const enum config_scope scope = CONFIG_SCOPE_LISTENER;
	const struct config_tls_server *tls = &check->config->listeners[index].tls;
	bool is_asked = tls->client_auth != CONFIG_CLIENT_AUTH_NONE;

	if (is_asked && tls->client_ca_file == NULL)
		FAULT(check, where(check, scope, index, "tls.client_auth"),
		      "listeners[%u].tls.client_auth: nobody is trusted to sign clients' "
		      "certificates; add client_ca_file",
		      index);
	if (!is_asked && tls->client_ca_file != NULL)
		DOUBT(check, where(check, scope, index, "tls.client_ca_file"),
		      "listeners[%u].tls.client_ca_file: client_auth is none, so no client is "
		      "asked for a certificate; write require or optional",
		      index);
	if (!is_asked && tls->allow_clients.count > 0)
		FAULT(check, where(check, scope, index, "tls.allow_clients"),
		      "listeners[%u].tls.allow_clients: client_auth is none, so nobody would be let "
		      "in; write client_auth: require",
		      index);
	if (!is_asked && tls->crl_file != NULL)
		DOUBT(check, where(check, scope, index, "tls.crl_file"),
		      "listeners[%u].tls.crl_file: client_auth is none, so no certificate is "
		      "checked against it",
		      index);
}

void config_check_tls_listener(struct check *check, uint32_t index)
{
	static const char *const keys[] = {
		"tls.key_file",	   "tls.ocsp_file",	 "tls.unknown_name", "tls.require_name",
		"tls.client_auth", "tls.client_ca_file", "tls.crl_file",     "tls.allow_clients",
		"tls.alpn",	   "tls.tickets",	 "tls.min_version",  "tls.max_version",
		"tls.ktls",
	};
	const enum config_scope scope = CONFIG_SCOPE_LISTENER;
	const struct config_listener *listener = &check->config->listeners[index];
	const struct config_tls_server *tls = &listener->tls;
	const char *path;

	if (tls->cert_files.count == 0) {
		if (is_any_set(check, scope, index, keys, COUNT_OF(keys), &path))
			FAULT(check, where(check, scope, index, path),
			      "listeners[%u].%s: there is no certificate; add tls.cert_file and "
			      "tls.key_file",
			      index, path);
		return;
	}
	certificates_check(check, index);
	clients_check(check, index);
	if (tls->min_version > tls->max_version)
		FAULT(check, where(check, scope, index, "tls.min_version"),
		      "listeners[%u].tls: min_version is above max_version", index);
	if (listener->route_count > 0)
		FAULT(check, where(check, scope, index, "tls.cert_file"),
		      "listeners[%u].tls: routes pass TLS through in this version of penstock; put "
		      "what is to be terminated on a listener of its own",
		      index);
}

/* ---- clusters ------------------------------------------------------------------------------- */

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

void config_check_tls_cluster(struct check *check, uint32_t index)
{
	static const char *const keys[] = {
		"broker_tls.verify",   "broker_tls.cert_file",	 "broker_tls.key_file",
		"broker_tls.crl_file", "broker_tls.min_version", "broker_tls.max_version",
		"broker_tls.ktls",
	};
	const enum config_scope scope = CONFIG_SCOPE_CLUSTER;
	const struct config_cluster *cluster = &check->config->clusters[index];
	const struct config_tls_client *tls = &cluster->broker_tls;
	const char *path;

	if (!config_speaks_tls(cluster)) {
		if (is_any_set(check, scope, index, keys, COUNT_OF(keys), &path))
			FAULT(check, where(check, scope, index, path),
			      "clusters.%s.%s: nobody is trusted to sign brokers' certificates; "
			      "add broker_tls.ca_file",
			      cluster->name, path);
		return;
	}
	urls_check(check, index);
	if ((tls->cert_file == NULL) != (tls->key_file == NULL))
		FAULT(check, where(check, scope, index, "broker_tls.cert_file"),
		      "clusters.%s.broker_tls: a certificate goes with its key; name both cert_file "
		      "and key_file",
		      cluster->name);
	if (tls->min_version > tls->max_version)
		FAULT(check, where(check, scope, index, "broker_tls.min_version"),
		      "clusters.%s.broker_tls: min_version is above max_version", cluster->name);
	if (tls->verify == CONFIG_VERIFY_OFF)
		DOUBT(check, where(check, scope, index, "broker_tls.verify"),
		      "clusters.%s.broker_tls.verify: off: whoever is between this host and the "
		      "brokers can read and change everything",
		      cluster->name);
}
