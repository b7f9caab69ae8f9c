/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_role: role mode (docs/adr/0013): the proxy's own credential, which must be there and
 * be one, and the listeners, where every client must have been verified. The token is read here, so
 * that a reload reads it again and `penstock check` says what is wrong with it.
 */
#include "config_check.h"

static const enum config_scope SCOPE = CONFIG_SCOPE_CLUSTER;
static const char TOKEN_FILE[] = "credentials.role.token_file";

static struct config_role *role_of(struct check *check, uint32_t index)
{
	return &check->config->clusters[index].role;
}

/* ---- the token ------------------------------------------------------------------------------ */

static void token_take(struct check *check, uint32_t index)
{
	const char *cluster = check->config->clusters[index].name;
	struct config_role *role = role_of(check, index);
	uint8_t bytes[CONFIG_TOKEN_MAX + 1];
	size_t len = 0;
	bool is_open = false;
	const char *why = config_token_read(role->token_file, bytes, &len, &is_open);

	if (why != NULL) {
		FAULT(check, where(check, SCOPE, index, TOKEN_FILE),
		      "clusters.%s.%s: %s: %s; write the token into it, in one line", cluster,
		      TOKEN_FILE, role->token_file, why);
	} else {
		uint8_t *copy = config_alloc(check->config, len);

		memcpy(copy, bytes, len);
		role->method = "token";
		role->data = span_of(copy, len);
	}
	if (is_open)
		FAULT(check, where(check, SCOPE, index, TOKEN_FILE),
		      "clusters.%s.%s: %s: everybody may read this token: chmod 640 (a Secret of "
		      "Kubernetes: defaultMode: 0440)",
		      cluster, TOKEN_FILE, role->token_file);
	explicit_bzero(bytes, sizeof(bytes));
}

/* ---- what goes with what -------------------------------------------------------------------- */

static void credential_check(struct check *check, uint32_t index)
{
	const struct config_cluster *cluster = &check->config->clusters[index];
	struct config_role *role = role_of(check, index);

	if (role->has_certificate && role->token_file != NULL)
		FAULT(check, where(check, SCOPE, index, TOKEN_FILE),
		      "clusters.%s.credentials.role: has both token_file and certificate; keep one",
		      cluster->name);
	else if (!role->has_certificate && role->token_file == NULL)
		FAULT(check, where(check, SCOPE, index, "credentials"),
		      "clusters.%s.credentials: role mode without a credential of our own; write "
		      "role: { token_file: /etc/penstock/proxy.jwt } or role: { certificate: true }",
		      cluster->name);
	if (role->has_certificate) {
		role->method = "tls";
		role->data = span_of("", 0);
	}
	if (role->has_certificate && cluster->broker_tls.cert_file == NULL)
		FAULT(check, where(check, SCOPE, index, "credentials.role.certificate"),
		      "clusters.%s.credentials.role.certificate: there is none to show; add "
		      "broker_tls.cert_file and broker_tls.key_file",
		      cluster->name);
	if (role->token_file != NULL && !config_speaks_tls(cluster))
		DOUBT(check, where(check, SCOPE, index, TOKEN_FILE),
		      "clusters.%s.credentials.role: brokers are spoken to in clear, so whoever is "
		      "between can read the token and be this proxy; add broker_tls",
		      cluster->name);
}

/* Without a verified certificate there is no principal, and every client would be refused. */
static void listeners_check(struct check *check, uint32_t index)
{
	const struct config *config = check->config;

	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (listener->cluster == (int32_t)index &&
		    (listener->tls.cert_files.count == 0 ||
		     listener->tls.client_auth != CONFIG_CLIENT_AUTH_REQUIRE))
			FAULT(check, where(check, CONFIG_SCOPE_LISTENER, i, "cluster"),
			      "listeners[%u].cluster: clusters.%s.credentials is role, which knows "
			      "clients by their certificate; add tls: { client_auth: require, "
			      "client_ca_file: ... }",
			      i, config->clusters[index].name);
	}
}

static void routes_check(struct check *check, uint32_t index)
{
	const struct config *config = check->config;

	for (uint32_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		if (config_route_has_brain(route) && route->cluster == (int32_t)index &&
		    config_route_server(config, route)->client_auth != CONFIG_CLIENT_AUTH_REQUIRE)
			FAULT(check, where(check, CONFIG_SCOPE_ROUTE, i, "cluster"),
			      "listeners[%u].routes[%u].cluster: clusters.%s.credentials is role, "
			      "which knows clients by their certificate; add tls: { client_auth: "
			      "require, client_ca_file: ... } to the listener, or to the route",
			      route->listener, i - config->listeners[route->listener].route_first,
			      config->clusters[index].name);
	}
}

void config_check_role(struct check *check, uint32_t index)
{
	struct config_cluster *cluster = &check->config->clusters[index];
	struct config_role *role = &cluster->role;

	/* By --set there are only the keys themselves. */
	if (role->token_file != NULL || role->has_certificate || role->is_forwarding)
		cluster->credentials = CONFIG_CREDENTIALS_ROLE;
	if (cluster->credentials != CONFIG_CREDENTIALS_ROLE)
		return;
	credential_check(check, index);
	listeners_check(check, index);
	routes_check(check, index);
	if (role->token_file != NULL)
		token_take(check, index);
}
