/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_check_sasl: authentication to brokers of Kafka in the place of clients: the users, who
 * must be such as can be said, and the listeners, whose clients must be told apart where lines are
 * for some of them; and authentication of penstock itself, which asks brokers where all are.
 */
#include <penstock/wire/sasl.h>

#include "config_check.h"

static const enum config_scope SCOPE = CONFIG_SCOPE_CLUSTER;
static const char FILE_KEY[] = "broker_sasl.users_file";

/* ---- the users ------------------------------------------------------------------------------ */

static const char *user_check(const struct config_client *client)
{
	struct span user = span_str(client->first), password = span_str(client->second);

	if (user.len > SASL_USER_MAX || password.len > SASL_PASSWORD_MAX)
		return "a user has at most 255 letters, a password 1023";
	if (!sasl_is_text(user) || !sasl_is_text(password))
		return "a user or a password that is not ASCII would have to be prepared (RFC "
		       "4013), which this program does not do";
	return NULL;
}

/* Who is authenticated again is known by the user's name alone. */
static bool has_other_password(const struct config_clients *users, uint32_t index)
{
	const struct config_client *client = &users->at[index];
	const struct config_client *first = config_clients_named(users, span_str(client->first));

	return strcmp(first->second, client->second) != 0;
}

const char *config_sasl_users_read(const struct config_broker_sasl *sasl,
				   struct config_clients **ret_users, uint32_t *ret_line)
{
	struct config_clients *users = NULL;
	const char *why = config_clients_read(sasl->users_file, true, &users, ret_line);

	if (why != NULL)
		return why;
	for (uint32_t i = 0; i < users->count && why == NULL; i++) {
		why = user_check(&users->at[i]);
		if (why == NULL && has_other_password(users, i))
			why = "this user has another password further up";
		*ret_line = users->at[i].line;
	}
	if (why == NULL)
		*ret_users = users;
	else
		config_clients_free(users);
	return why;
}

const char *config_sasl_asker_read(const struct config_ask_sasl *sasl,
				   struct config_clients **ret_users)
{
	uint8_t bytes[CONFIG_TOKEN_MAX + 1];
	size_t len = 0;
	struct config_clients *users = NULL;
	const char *why = config_password_read(sasl->password_file, bytes, &len);

	if (why == NULL && memchr(bytes, '\0', len) != NULL)
		why = "holds a byte 0";
	if (why == NULL && (users = config_clients_of(sasl->user, span_of(bytes, len))) == NULL)
		why = "out of memory";
	explicit_bzero(bytes, sizeof(bytes));
	if (why == NULL)
		why = user_check(&users->at[0]);
	if (why == NULL)
		*ret_users = users;
	else
		config_clients_free(users);
	return why;
}

static void users_take(struct check *check, uint32_t index)
{
	struct config_cluster *cluster = &check->config->clusters[index];
	uint32_t line;
	const char *why =
		config_sasl_users_read(&cluster->broker_sasl, &cluster->broker_sasl.users, &line);
	char at[24] = "";

	if (why == NULL)
		return;
	if (line > 0)
		snprintf(at, sizeof(at), "line %u: ", line);
	FAULT(check, where(check, SCOPE, index, FILE_KEY), "clusters.%s.%s: %s: %s%s",
	      cluster->name, FILE_KEY, cluster->broker_sasl.users_file, at, why);
}

/* ---- what goes with what -------------------------------------------------------------------- */

static void listeners_check(struct check *check, uint32_t index)
{
	const struct config *config = check->config;
	const struct config_clients *users = config->clusters[index].broker_sasl.users;

	if (users == NULL || config_clients_any(users) != NULL)
		return;
	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (listener->cluster == (int32_t)index &&
		    (listener->tls.cert_files.count == 0 ||
		     listener->tls.client_auth == CONFIG_CLIENT_AUTH_NONE))
			FAULT(check, where(check, CONFIG_SCOPE_LISTENER, i, "cluster"),
			      "listeners[%u].cluster: clusters.%s.%s goes by clients' certificates, "
			      "and this listener asks for none; add tls: { client_auth: require, "
			      "client_ca_file: ... }, or a line for everybody: * USER PASSWORD",
			      i, config->clusters[index].name, FILE_KEY);
	}
}

static void routes_check(struct check *check, uint32_t index)
{
	const struct config *config = check->config;
	const struct config_clients *users = config->clusters[index].broker_sasl.users;

	if (users == NULL || config_clients_any(users) != NULL)
		return;
	for (uint32_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		if (config_route_has_brain(route) && route->cluster == (int32_t)index &&
		    config_route_server(config, route)->client_auth == CONFIG_CLIENT_AUTH_NONE)
			FAULT(check, where(check, CONFIG_SCOPE_ROUTE, i, "cluster"),
			      "listeners[%u].routes[%u].cluster: clusters.%s.%s goes by clients' "
			      "certificates, and this route asks for none; add tls: { client_auth: "
			      "require, client_ca_file: ... } to the listener, or to the route, or a "
			      "line for everybody: * USER PASSWORD",
			      route->listener, i - config->listeners[route->listener].route_first,
			      config->clusters[index].name, FILE_KEY);
	}
}

static void users_check(struct check *check, uint32_t index)
{
	const struct config_cluster *cluster = &check->config->clusters[index];

	if (cluster->broker_sasl.users_file == NULL) {
		if (cluster->broker_sasl.mechanism != CONFIG_SASL_PLAIN) /* which a dump says */
			FAULT(check, where(check, SCOPE, index, "broker_sasl.mechanism"),
			      "clusters.%s.broker_sasl: as whom? add users_file, with a line WHO "
			      "USER PASSWORD for each kind of client",
			      cluster->name);
		return;
	}
	users_take(check, index);
	listeners_check(check, index);
	routes_check(check, index);
	if (!config_speaks_tls(cluster))
		DOUBT(check, where(check, SCOPE, index, FILE_KEY),
		      "clusters.%s.broker_sasl: brokers are spoken to in clear, so whoever is between "
		      "can %s; add broker_tls",
		      cluster->name,
		      cluster->broker_sasl.mechanism == CONFIG_SASL_PLAIN
			      ? "read the passwords"
			      : "go on with what has been authenticated");
}

/* ---- penstock's own ------------------------------------------------------------------------- */

/* What keeps brokers from being asked at all; NULL: nothing does. */
static const char *unasked_by(const struct config_cluster *cluster)
{
	if (cluster->zookeeper_servers != NULL)
		return "ZooKeeper says where brokers are";
	if (cluster->node_host != NULL)
		return "discovery.nodes says where brokers are";
	return cluster->refresh_ns == CONFIG_OFF ? "discovery.refresh is off" : NULL;
}

static void asker_check(struct check *check, uint32_t index)
{
	struct config_cluster *cluster = &check->config->clusters[index];
	struct config_ask_sasl *sasl = &cluster->ask_sasl;
	bool has_user = sasl->user != NULL, has_file = sasl->password_file != NULL;
	const char *unasked = unasked_by(cluster);

	if (!has_user && !has_file && sasl->mechanism == CONFIG_SASL_PLAIN)
		return;
	const char *key = has_user ? "user" : has_file ? "password_file" : "mechanism";
	char path[40];

	snprintf(path, sizeof(path), "discovery.sasl.%s", key);
	struct config_mark mark = where(check, SCOPE, index, path);

	if (unasked != NULL) {
		FAULT(check, mark,
		      "clusters.%s.discovery.sasl: nobody is asked, since %s; that goes with "
		      "bootstrap and refresh alone",
		      cluster->name, unasked);
	} else if (!has_user || !has_file) {
		FAULT(check, mark, "clusters.%s.discovery.sasl: as whom? add %s", cluster->name,
		      has_user	 ? "password_file, a file with the password alone"
		      : has_file ? "user"
				 : "user, and password_file, a file with the password alone");
	} else {
		const char *why = config_sasl_asker_read(sasl, &sasl->users);

		if (why != NULL)
			FAULT(check, where(check, SCOPE, index, "discovery.sasl.password_file"),
			      "clusters.%s.discovery.sasl.password_file: %s: %s", cluster->name,
			      sasl->password_file, why);
		if (sasl->mechanism == CONFIG_SASL_PLAIN && !config_speaks_tls(cluster))
			DOUBT(check, mark,
			      "clusters.%s.discovery.sasl: brokers are spoken to in clear, so "
			      "whoever is between can read the password; add broker_tls, or write "
			      "mechanism: SCRAM-SHA-256",
			      cluster->name);
	}
}

void config_check_sasl(struct check *check, uint32_t index)
{
	if (check->config->clusters[index].protocol != CONFIG_KAFKA)
		return;
	users_check(check, index);
	asker_check(check, index);
}
