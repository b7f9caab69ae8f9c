/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_set: from the keys of a configuration to contexts.
 */
#include <stdlib.h>

#include <penstock/tls/peer.h>
#include <penstock/tls/set.h>

#include "tls_priv.h"

/* Sessions with brokers kept for resumption, for each cluster: brokers are few. */
#define SESSIONS 64

struct tls_set {
	uint32_t listener_count, cluster_count;
	struct tls_context **listeners, **clusters;
};

/* ---- what is wrong -------------------------------------------------------------------------- */

/* The sentence gets the key in front that named the file. */
struct place {
	struct config_errors *errors;
	char label[128];
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
			 "allow_clients: '%s' says no kind of name; write cn:, dns:, uri:, email: "
			 "or ip: in front of it",
			 tls->allow_clients.at[i]);
		say(place, true, sentence);
	}
	return ok;
}

static struct tls_context *context_of_listener(const struct config_listener *listener,
					       struct tls_tickets *tickets,
					       struct config_errors *errors)
{
	const struct config_tls_server *tls = &listener->tls;
	struct place place = { .errors = errors };
	struct tls_report report = { .say = say, .with = &place };
	struct tls_certificate *certificates = calloc(tls->cert_files.count, sizeof(*certificates));

	snprintf(place.label, sizeof(place.label), "listener %s: tls", listener->name);
	bool ok = are_rules_good(tls, &place);

	if (certificates == NULL) {
		say(&place, true, "out of memory");
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
			.alpn = tls->alpn.at,
			.alpn_count = tls->alpn.count,
			.ktls_send = ktls_of(tls->ktls),
			.ktls_recv = ktls_of(tls->ktls),
		},
		.certificates = certificates,
		.certificate_count = tls->cert_files.count,
		.is_unknown_name_refused = tls->unknown_name == CONFIG_UNKNOWN_NAME_REFUSE,
		.is_name_required = tls->is_name_required,
		.client_auth = client_auth_of(tls->client_auth),
		.client_ca_file = tls->client_ca_file,
		.crl_file = tls->crl_file,
		.tickets = tls->has_tickets ? tickets : NULL,
		.ticket_scope = listener->name,
	};
	struct tls_context *context = tls_context_server(&params, &report);

	free(certificates);
	if (!ok) { /* the files were looked at too: all mistakes at once */
		tls_context_put(context);
		return NULL;
	}
	return context;
}

static struct tls_context *context_of_cluster(const struct config_cluster *cluster,
					      struct config_errors *errors)
{
	const struct config_tls_client *tls = &cluster->broker_tls;
	struct place place = { .errors = errors };
	struct tls_report report = { .say = say, .with = &place };
	const struct tls_client_params params = {
		.common = {
			.version_min = version_of(tls->min_version),
			.version_max = version_of(tls->max_version),
			.ktls_send = ktls_of(tls->ktls),
			.ktls_recv = ktls_of(tls->ktls),
		},
		.ca_file = tls->ca_file,
		.crl_file = tls->crl_file,
		.cert_file = tls->cert_file,
		.key_file = tls->key_file,
		.is_name_unchecked = tls->verify != CONFIG_VERIFY_FULL,
		.is_peer_unchecked = tls->verify == CONFIG_VERIFY_OFF,
		.session_count = SESSIONS,
	};

	snprintf(place.label, sizeof(place.label), "cluster %s: broker_tls", cluster->name);
	return tls_context_client(&params, &report);
}

/* False: some of them could not be built. All are tried, so that all mistakes are told. */
static bool build(struct tls_set *set, const struct config *config, struct tls_tickets *tickets,
		  struct config_errors *errors)
{
	bool ok = true;

	for (uint32_t i = 0; i < set->listener_count; i++) {
		if (config->listeners[i].tls.cert_files.count == 0)
			continue;
		set->listeners[i] = context_of_listener(&config->listeners[i], tickets, errors);
		ok &= set->listeners[i] != NULL;
	}
	for (uint32_t i = 0; i < set->cluster_count; i++) {
		if (!config_speaks_tls(&config->clusters[i]))
			continue;
		set->clusters[i] = context_of_cluster(&config->clusters[i], errors);
		ok &= set->clusters[i] != NULL;
	}
	return ok;
}

struct tls_set *tls_set_new(const struct config *config, struct tls_tickets *tickets,
			    struct config_errors *errors)
{
	struct tls_set *set = calloc(1, sizeof(*set));

	if (set != NULL) {
		set->listener_count = config->listener_count;
		set->cluster_count = config->cluster_count;
		set->listeners = calloc(set->listener_count + 1u, sizeof(struct tls_context *));
		set->clusters = calloc(set->cluster_count + 1u, sizeof(struct tls_context *));
	}
	if (set == NULL || set->listeners == NULL || set->clusters == NULL) {
		config_error(errors, NULL, 0, 0, "out of memory");
		tls_set_free(set);
		return NULL;
	}
	if (!build(set, config, tickets, errors)) {
		tls_set_free(set);
		return NULL;
	}
	return set;
}

void tls_set_free(struct tls_set *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; set->listeners != NULL && i < set->listener_count; i++)
		tls_context_put(set->listeners[i]);
	for (uint32_t i = 0; set->clusters != NULL && i < set->cluster_count; i++)
		tls_context_put(set->clusters[i]);
	free(set->listeners);
	free(set->clusters);
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

bool tls_set_expiry(const struct tls_set *set, uint32_t index, const char **ret_file,
		    time_t *ret_when)
{
	for (uint32_t i = 0; i < set->listener_count + set->cluster_count; i++) {
		const struct tls_context *context =
			i < set->listener_count ? set->listeners[i]
						: set->clusters[i - set->listener_count];
		uint32_t own = 0;

		while (context != NULL && tls_context_expiry(context, own, ret_file, ret_when)) {
			if (index-- == 0)
				return true;
			own++;
		}
	}
	return false;
}
