/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_set: from the keys of a configuration to contexts.
 */
#include <stdlib.h>

#include <penstock/base/clock.h>
#include <penstock/tls/peer.h>
#include <penstock/tls/set.h>

#include "tls_priv.h"

/* Sessions with brokers kept for resumption, for each cluster: brokers are few. */
#define SESSIONS    64

#define SIGNERS_MAX 64 /* of a cluster; each context has its own copy of the CAs */

/* Certificates for brokers, by client. */
struct signers {
	struct config_clients *lines;
	struct tls_context *contexts[SIGNERS_MAX]; /* of each line */
};

struct tls_set {
	uint32_t listener_count, cluster_count, route_count;
	struct tls_context **listeners, **clusters;
	struct signers *signers;			     /* of each cluster */
	struct tls_context **route_servers, **route_clients; /* NULL: none of the route's own */
	struct tls_expiry *expiries;			     /* by file, then by time */
	uint32_t expiry_count, expiry_room;
};

/* ---- what is wrong -------------------------------------------------------------------------- */

/* The sentence gets the key in front that named the file. */
struct place {
	struct config_errors *errors;
	char label[400];
};

static void say(void *with, bool is_error, const char *sentence)
{
	const struct place *place = with;

	if (is_error)
		config_error(place->errors, NULL, 0, 0, "%s: %s", place->label, sentence);
	else
		config_warn(place->errors, NULL, 0, 0, "%s: %s", place->label, sentence);
}

/* ---- words of the configuration ------------------------------------------------------------- */

static enum tls_ktls ktls_of(enum config_ktls ktls)
{
	switch (ktls) {
	case CONFIG_KTLS_OFF:
		return TLS_KTLS_OFF;
	case CONFIG_KTLS_AUTO:
		return TLS_KTLS_AUTO;
	case CONFIG_KTLS_REQUIRE:
		break;
	}
	return TLS_KTLS_REQUIRE;
}

static enum tls_version version_of(enum config_tls_version version)
{
	return version == CONFIG_TLS_1_2 ? TLS_1_2 : TLS_1_3;
}

static enum tls_client_auth client_auth_of(enum config_client_auth client_auth)
{
	switch (client_auth) {
	case CONFIG_CLIENT_AUTH_NONE:
		return TLS_CLIENT_AUTH_NONE;
	case CONFIG_CLIENT_AUTH_OPTIONAL:
		return TLS_CLIENT_AUTH_OPTIONAL;
	case CONFIG_CLIENT_AUTH_REQUIRE:
		break;
	}
	return TLS_CLIENT_AUTH_REQUIRE;
}

/* ---- contexts ------------------------------------------------------------------------------- */

static bool are_rules_good(const struct config_tls_server *tls, struct place *place)
{
	char sentence[320];
	bool ok = true;

	for (uint32_t i = 0; i < tls->allow_clients.count; i++) {
		if (tls_peer_rule_is_good(tls->allow_clients.at[i]))
			continue;
		ok = false;
		snprintf(sentence, sizeof(sentence),
			 "allow_clients: '%s' says no kind of name; write cn:, ou:, dns:, uri:, "
			 "email: or ip: in front of it",
			 tls->allow_clients.at[i]);
		say(place, true, sentence);
	}
	return ok;
}

/* No mistake in the file, but nobody would get through. */
static void check_kernel(enum config_ktls ktls, struct place *place)
{
	if (ktls == CONFIG_KTLS_REQUIRE && tls_features()->err != 0)
		say(place, false,
		    "ktls: require, and this kernel has no TLS, so every connection will fail; try "
		    "modprobe tls, or write auto");
}

/* `scope`: whose tickets they are. */
static struct tls_context *context_of_server(const struct config_tls_server *tls, const char *scope,
					     struct tls_tickets *tickets, struct place *place)
{
	struct tls_report report = { .say = say, .with = place };
	struct tls_certificate *certificates = calloc(tls->cert_files.count, sizeof(*certificates));
	bool ok = are_rules_good(tls, place);

	check_kernel(tls->ktls, place);
	if (certificates == NULL) {
		say(place, true, "out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < tls->cert_files.count; i++)
		certificates[i] = (struct tls_certificate){
			.cert_file = tls->cert_files.at[i],
			.key_file = tls->key_files.at[i],
			.ocsp_file = tls->ocsp_files.count > 0 ? tls->ocsp_files.at[i] : NULL,
		};

	const struct tls_server_params params = {
		.common = {
			.version_min = version_of(tls->min_version),
			.version_max = version_of(tls->max_version),
			.suites = tls->ciphers.at,
			.suite_count = tls->ciphers.count,
			.alpn = tls->alpn.at,
			.alpn_count = tls->alpn.count,
			.ktls_send = ktls_of(tls->ktls),
			.ktls_recv = ktls_of(tls->ktls),
			.is_rekey_fatal = tls->ktls_rekey == CONFIG_KTLS_REKEY_CLOSE,
		},
		.certificates = certificates,
		.certificate_count = tls->cert_files.count,
		.is_unknown_name_refused = tls->unknown_name == CONFIG_UNKNOWN_NAME_REFUSE,
		.is_name_required = tls->is_name_required,
		.client_auth = client_auth_of(tls->client_auth),
		.client_ca_file = tls->client_ca_file,
		.crl_file = tls->crl_file,
		.tickets = tls->has_tickets ? tickets : NULL,
		.ticket_scope = scope,
	};
	struct tls_context *context = tls_context_server(&params, &report);

	free(certificates);
	if (!ok) { /* the files were looked at too: all mistakes at once */
		tls_context_put(context);
		return NULL;
	}
	return context;
}

static struct tls_context *context_of_client(const struct config_tls_client *tls,
					     struct place *place)
{
	struct tls_report report = { .say = say, .with = place };
	const struct tls_client_params params = {
		.common = {
			.version_min = version_of(tls->min_version),
			.version_max = version_of(tls->max_version),
			.suites = tls->ciphers.at,
			.suite_count = tls->ciphers.count,
			.alpn = tls->alpn.at,
			.alpn_count = tls->alpn.count,
			.ktls_send = ktls_of(tls->ktls),
			.ktls_recv = ktls_of(tls->ktls),
			.is_rekey_fatal = tls->ktls_rekey == CONFIG_KTLS_REKEY_CLOSE,
		},
		.ca_file = tls->ca_file,
		.crl_file = tls->crl_file,
		.cert_file = tls->cert_file,
		.key_file = tls->key_file,
		.is_name_unchecked = tls->verify != CONFIG_VERIFY_FULL,
		.is_peer_unchecked = tls->verify == CONFIG_VERIFY_OFF,
		.session_count = SESSIONS,
	};

	check_kernel(tls->ktls, place);
	return tls_context_client(&params, &report);
}

/* ---- when they run out ---------------------------------------------------------------------- */

/* False: out of memory. */
static bool add_expiries(struct tls_set *set, const struct tls_context *context, const char *place)
{
	struct tls_expiry expiry = { .file = NULL };

	for (uint32_t i = 0; tls_context_expiry(context, i, &expiry.file, &expiry.when); i++) {
		if (set->expiry_count == set->expiry_room) {
			uint32_t room = set->expiry_room > 0 ? 2 * set->expiry_room : 16;
			void *at = realloc(set->expiries, room * sizeof(*set->expiries));

			if (at == NULL)
				return false;
			set->expiries = at;
			set->expiry_room = room;
		}
		expiry.place = strdup(place);
		if (expiry.place == NULL)
			return false;
		set->expiries[set->expiry_count++] = expiry;
	}
	return true;
}

static int compare_expiries(const void *a, const void *b)
{
	const struct tls_expiry *first = a, *second = b;
	int order = strcmp(first->file, second->file);

	return order != 0 ? order : (first->when > second->when) - (first->when < second->when);
}

void tls_expiry_text(const struct tls_expiry *expiry, time_t now, char *ret_text, size_t size)
{
	char date[32];
	struct tm tm;
	long long days = ((long long)expiry->when - (long long)now) / 86400;

	strftime(date, sizeof(date), "%F %T UTC", gmtime_r(&expiry->when, &tm));
	if (expiry->when < now)
		(void)snprintf(ret_text, size, "expired on %s", date);
	else
		(void)snprintf(ret_text, size, "runs out on %s, in %lld day%s", date, days,
			       days == 1 ? "" : "s");
}

/* What has run out already has been told of when the file was read. */
static void warn_of(const struct tls_set *set, const struct config *config,
		    struct config_errors *errors)
{
	time_t now = time(NULL);
	char text[80];

	for (uint32_t i = 0; i < set->expiry_count; i++) {
		const struct tls_expiry *expiry = &set->expiries[i];

		if (expiry->when < now || !tls_expiry_is_near(config, expiry->when, now))
			continue;
		tls_expiry_text(expiry, now, text, sizeof(text));
		config_warn(errors, NULL, 0, 0, "%s: %s: %s", expiry->place, expiry->file, text);
	}
}

bool tls_expiry_is_near(const struct config *config, time_t when, time_t now)
{
	uint64_t before_ns = config->certificates.warn_before_ns;

	return before_ns != CONFIG_OFF && when < now + (time_t)(before_ns / NS_PER_S);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* NULL comes from what has been said already. */
static bool take(struct tls_set *set, struct tls_context **at, struct tls_context *context,
		 const struct place *place)
{
	*at = context;
	if (context == NULL)
		return false;
	if (add_expiries(set, context, place->label))
		return true;
	config_error(place->errors, NULL, 0, 0, "out of memory");
	return false;
}

/* A line of broker_tls.clients_file. */
static bool build_signer(struct tls_set *set, struct signers *signers, uint32_t line,
			 const struct config_cluster *cluster, struct config_errors *errors)
{
	const struct config_client *client = &signers->lines->at[line];
	struct config_tls_client tls = cluster->broker_tls;
	struct place place = { .errors = errors };

	tls.cert_file = client->first;
	tls.key_file = client->second;
	(void)snprintf(place.label, sizeof(place.label),
		       "cluster %s: broker_tls.clients_file, line %u", cluster->name, client->line);
	return take(set, &signers->contexts[line], context_of_client(&tls, &place), &place);
}

static bool build_signers(struct tls_set *set, uint32_t index, const struct config_cluster *cluster,
			  struct config_errors *errors)
{
	struct signers *signers = &set->signers[index];
	uint32_t line;
	const char *path = cluster->broker_clients_file;
	const char *why =
		path != NULL ? config_clients_read(path, false, &signers->lines, &line) : NULL;
	bool ok = why == NULL;

	if (why == NULL && path != NULL && signers->lines->count > SIGNERS_MAX) {
		why = "there are more than 64 lines";
		line = signers->lines->at[SIGNERS_MAX].line;
	}
	if (why != NULL) {
		config_error(errors, path, line, 0, "cluster %s: broker_tls.clients_file: %s",
			     cluster->name, why);
		return false;
	}
	for (uint32_t i = 0; path != NULL && i < signers->lines->count; i++)
		ok &= build_signer(set, signers, i, cluster, errors);
	return ok;
}

static bool build_route(struct tls_set *set, uint32_t index, const struct config *config,
			struct tls_tickets *tickets, struct config_errors *errors)
{
	const struct config_route *route = &config->routes[index];
	const char *listener = config->listeners[route->listener].name;
	struct place place = { .errors = errors };
	char scope[400];
	bool ok = true;

	(void)snprintf(scope, sizeof(scope), "%s/%s", listener, route->label);
	if (route->tls.cert_files.count > 0) {
		(void)snprintf(place.label, sizeof(place.label), "listener %s: route %s: tls",
			       listener, route->label);
		ok = take(set, &set->route_servers[index],
			  context_of_server(&route->tls, scope, tickets, &place), &place);
	}
	if (route->mode == CONFIG_MODE_REENCRYPT && config_tls_is_on(&route->broker_tls)) {
		(void)snprintf(place.label, sizeof(place.label),
			       "listener %s: route %s: broker_tls", listener, route->label);
		ok &= take(set, &set->route_clients[index],
			   context_of_client(&route->broker_tls, &place), &place);
	}
	return ok;
}

/* False: some of them could not be built. All are tried, so that all mistakes are told. */
static bool build(struct tls_set *set, const struct config *config, struct tls_tickets *tickets,
		  struct config_errors *errors)
{
	struct place place = { .errors = errors };
	bool ok = true;

	for (uint32_t i = 0; i < set->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		if (listener->tls.cert_files.count == 0)
			continue;
		(void)snprintf(place.label, sizeof(place.label), "listener %s: tls",
			       listener->name);
		ok &= take(set, &set->listeners[i],
			   context_of_server(&listener->tls, listener->name, tickets, &place),
			   &place);
	}
	for (uint32_t i = 0; i < set->route_count; i++)
		ok &= build_route(set, i, config, tickets, errors);
	for (uint32_t i = 0; i < set->cluster_count; i++) {
		const struct config_cluster *cluster = &config->clusters[i];

		if (!config_speaks_tls(cluster))
			continue;
		(void)snprintf(place.label, sizeof(place.label), "cluster %s: broker_tls",
			       cluster->name);
		ok &= take(set, &set->clusters[i], context_of_client(&cluster->broker_tls, &place),
			   &place);
		ok &= build_signers(set, i, cluster, errors);
	}
	if (set->expiry_count > 1)
		qsort(set->expiries, set->expiry_count, sizeof(*set->expiries), compare_expiries);
	return ok;
}

/* False: out of memory. */
static bool make_room(struct tls_set *set, const struct config *config)
{
	set->listener_count = config->listener_count;
	set->cluster_count = config->cluster_count;
	set->route_count = config->route_count;
	set->listeners = calloc(set->listener_count + 1u, sizeof(struct tls_context *));
	set->clusters = calloc(set->cluster_count + 1u, sizeof(struct tls_context *));
	set->signers = calloc(set->cluster_count + 1u, sizeof(*set->signers));
	set->route_servers = calloc(set->route_count + 1u, sizeof(struct tls_context *));
	set->route_clients = calloc(set->route_count + 1u, sizeof(struct tls_context *));
	return set->listeners != NULL && set->clusters != NULL && set->signers != NULL &&
	       set->route_servers != NULL && set->route_clients != NULL;
}

struct tls_set *tls_set_new(const struct config *config, struct tls_tickets *tickets,
			    struct config_errors *errors)
{
	struct tls_set *set = calloc(1, sizeof(*set));

	if (set == NULL || !make_room(set, config)) {
		config_error(errors, NULL, 0, 0, "out of memory");
		tls_set_free(set);
		return NULL;
	}
	bool ok = build(set, config, tickets, errors);

	warn_of(set, config, errors);
	if (!ok) {
		tls_set_free(set);
		return NULL;
	}
	return set;
}

static void put_all(struct tls_context **contexts, uint32_t count)
{
	for (uint32_t i = 0; contexts != NULL && i < count; i++)
		tls_context_put(contexts[i]);
	free(contexts);
}

void tls_set_free(struct tls_set *set)
{
	if (set == NULL)
		return;
	put_all(set->listeners, set->listener_count);
	put_all(set->clusters, set->cluster_count);
	for (uint32_t i = 0; set->signers != NULL && i < set->cluster_count; i++) {
		for (uint32_t line = 0; line < SIGNERS_MAX; line++)
			tls_context_put(set->signers[i].contexts[line]);
		config_clients_free(set->signers[i].lines);
	}
	free(set->signers);
	put_all(set->route_servers, set->route_count);
	put_all(set->route_clients, set->route_count);
	for (uint32_t i = 0; i < set->expiry_count; i++)
		free(set->expiries[i].place);
	free(set->expiries);
	free(set);
}

/* ---- asking --------------------------------------------------------------------------------- */

struct tls_context *tls_set_listener(const struct tls_set *set, uint32_t listener)
{
	return set != NULL ? set->listeners[listener] : NULL;
}

struct tls_context *tls_set_cluster(const struct tls_set *set, uint32_t cluster)
{
	return set != NULL && cluster < set->cluster_count ? set->clusters[cluster] : NULL;
}

struct tls_context *tls_set_signer(const struct tls_set *set, uint32_t cluster,
				   const struct tls_peer *peer)
{
	const struct signers *signers;

	if (set == NULL || cluster >= set->cluster_count)
		return NULL;
	signers = &set->signers[cluster];
	for (uint32_t i = 0; signers->lines != NULL && i < signers->lines->count; i++) {
		const struct config_names rule = {
			.at = (const char **)(uintptr_t)&signers->lines->at[i].who, .count = 1
		};

		if (config_client_is_any(&signers->lines->at[i]) || tls_peer_is_one_of(peer, &rule))
			return signers->contexts[i];
	}
	return NULL;
}

/* Where a route ends or begins TLS there is a context, or there would be no set: without one, what
 * was to be secret would go on in clear. */
struct tls_context *tls_set_route(const struct tls_set *set, const struct config *config,
				  uint32_t route)
{
	const struct config_route *of = &config->routes[route];
	struct tls_context *context;

	if (of->mode == CONFIG_MODE_PASS)
		return NULL;
	CHECK(set != NULL);
	context = set->route_servers[route];
	if (context == NULL)
		context = set->listeners[of->listener];
	CHECK(context != NULL);
	return context;
}

struct tls_context *tls_set_route_target(const struct tls_set *set, const struct config *config,
					 uint32_t route)
{
	const struct config_route *of = &config->routes[route];
	int32_t cluster = of->cluster >= 0 ? of->cluster : of->discovered;
	struct tls_context *context;

	if (of->mode != CONFIG_MODE_REENCRYPT)
		return NULL;
	CHECK(set != NULL);
	context = cluster >= 0 ? set->clusters[cluster] : set->route_clients[route];
	CHECK(context != NULL);
	return context;
}

const struct tls_expiry *tls_set_expiries(const struct tls_set *set, uint32_t *ret_count)
{
	*ret_count = set != NULL ? set->expiry_count : 0;
	return set != NULL ? set->expiries : NULL;
}
