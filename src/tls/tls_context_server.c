/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_context_server: a listener's context: its certificates and the names each is for, who may
 * show a client certificate, and what is checked before any of it is used.
 */
#include <stdlib.h>

#include <penstock/route/sni.h>

#include "tls_context_priv.h"

/* While it is being built. */
struct building {
	const struct tls_server_params *params;
	const struct tls_report *report;
	struct tls_context *context;
	struct tls_trust trust;
	/* Names one after the other, each with its end, and whose. */
	struct sink names;
	uint32_t *owners;
	uint32_t name_count;
	bool is_wrong;
};

static size_t text_bytes(const struct tls_server_params *params)
{
	size_t bytes = params->ticket_scope != NULL ? strlen(params->ticket_scope) + 1 : 1;

	for (uint32_t i = 0; i < params->certificate_count; i++)
		bytes += strlen(params->certificates[i].cert_file) + 1;
	return bytes;
}

static bool read_trust(struct building *building)
{
	const struct tls_server_params *params = building->params;
	struct tls_trust *trust = &building->trust;

	if (params->client_auth == TLS_CLIENT_AUTH_NONE)
		return true;
	return tls_file_read(&trust->cas, params->client_ca_file, building->report) &&
	       tls_cert_check_cas(&trust->cas, building->report) &&
	       (params->crl_file == NULL ||
		(tls_file_read(&trust->crls, params->crl_file, building->report) &&
		 tls_cert_check_crls(&trust->crls, building->report)));
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool more_names(struct building *building, uint32_t owner, size_t bytes, uint32_t count)
{
	uint8_t *at = realloc(building->names.at, building->names.len + bytes);
	uint32_t *owners = at == NULL ? NULL
				      : realloc(building->owners,
						(building->name_count + count) * sizeof(*owners));

	if (at != NULL) {
		building->names.at = at;
		building->names.size = building->names.len + bytes;
	}
	if (owners == NULL)
		return false;
	building->owners = owners;
	for (uint32_t i = 0; i < count; i++)
		owners[building->name_count++] = owner;
	return true;
}

static bool add_own_names(struct building *building, uint32_t index, struct span leaf_der)
{
	/* A name in the certificate takes two bytes besides its text. */
	uint8_t *texts = malloc(leaf_der.len);
	struct sink sink = sink_of(texts, leaf_der.len);
	uint32_t count = texts != NULL ? tls_cert_dns_names(leaf_der, &sink) : 0;
	bool ok = texts != NULL && (count == 0 || more_names(building, index, sink.len, count));

	if (ok)
		sink_span(&building->names, sink_written(&sink));
	free(texts);
	return ok;
}

static bool add_names(struct building *building, uint32_t index, struct span leaf_der)
{
	const struct tls_certificate *certificate = &building->params->certificates[index];

	if (certificate->name_count == 0)
		return add_own_names(building, index, leaf_der);
	for (uint32_t i = 0; i < certificate->name_count; i++) {
		size_t bytes = strlen(certificate->names[i]) + 1;

		if (!more_names(building, index, bytes, 1))
			return false;
		sink_bytes(&building->names, certificate->names[i], bytes);
	}
	return true;
}

static void put_name(struct building *building, const char *name, uint32_t owner)
{
	struct tls_context *context = building->context;
	const struct tls_certificate *certificate = &building->params->certificates[owner];
	uint32_t value = 0;

	switch (route_sni_put(context->names, span_str(name), owner, &value)) {
	case ROUTE_SNI_DONE:
		return;
	case ROUTE_SNI_TAKEN:
		if (value != owner)
			tls_doubt(building->report, "%s: %s is shown for %s: it comes first",
				  certificate->cert_file, context->identities[value].file, name);
		return;
	case ROUTE_SNI_BAD:
		break;
	}
	/* A name in a certificate may be anything; one in the configuration is meant. */
	tls_report_say(building->report, certificate->name_count > 0,
		       "%s: %s is no server name: clients cannot ask for it",
		       certificate->cert_file, name);
	building->is_wrong |= certificate->name_count > 0;
}

static bool put_names(struct building *building)
{
	struct tls_context *context = building->context;
	const char *name = (const char *)building->names.at;
	void *at = malloc(route_sni_size(building->name_count, building->names.len));

	if (at == NULL)
		return false;
	context->names = route_sni_init(at, building->name_count, building->names.len);
	for (uint32_t i = 0; i < building->name_count; i++, name += strlen(name) + 1)
		put_name(building, name, building->owners[i]);
	return true;
}

/* ---- certificates --------------------------------------------------------------------------- */

static bool read_staple(struct building *building, struct tls_identity *identity,
			const struct tls_certificate *certificate, struct span leaf_der)
{
	if (certificate->ocsp_file == NULL)
		return true;
	return tls_file_read(&identity->staple, certificate->ocsp_file, building->report) &&
	       tls_cert_check_staple(&identity->staple, leaf_der, building->report);
}

static bool add_certificate(struct building *building, uint32_t index)
{
	const struct tls_certificate *certificate = &building->params->certificates[index];
	struct tls_pair pair;

	if (!tls_pair_read(&pair, certificate->cert_file, certificate->key_file, building->report))
		return false;

	struct span leaf_der = span_of(pair.leaf_der, pair.leaf_size);
	struct tls_identity *identity =
		tls_context_add(building->context, &pair, certificate->cert_file);
	bool ok = add_names(building, index, leaf_der) &&
		  read_staple(building, identity, certificate, leaf_der) &&
		  tls_context_wolf_server(identity, &pair, &building->trust, building->report);

	tls_pair_forget(&pair);
	return ok;
}

static void take_rules(struct tls_context *context, const struct tls_server_params *params)
{
	context->is_unknown_name_refused = params->is_unknown_name_refused;
	context->is_name_required = params->is_name_required;
	context->client_auth = params->client_auth;
	if (params->client_auth == TLS_CLIENT_AUTH_NONE)
		context->tickets = params->tickets;
	context->ticket_scope =
		tls_context_keep(context, params->ticket_scope != NULL ? params->ticket_scope : "");
}

struct tls_context *tls_context_server(const struct tls_server_params *params,
				       const struct tls_report *report)
{
	struct building building = { .params = params, .report = report };

	CHECK(params->certificate_count > 0);
	CHECK(params->client_auth == TLS_CLIENT_AUTH_NONE || params->client_ca_file != NULL);
	building.context = tls_context_alloc(&params->common, true, params->certificate_count,
					     text_bytes(params));
	if (building.context == NULL) {
		tls_mistake(report, "out of memory");
		return NULL;
	}
	take_rules(building.context, params);

	/* All certificates are read whatever is wrong with one, so that all is said at once. */
	building.is_wrong = !tls_suite_choose(&params->common, report, building.context);
	building.is_wrong |= !read_trust(&building);
	for (uint32_t i = 0; i < params->certificate_count; i++)
		building.is_wrong |= !add_certificate(&building, i);
	building.is_wrong |= !building.is_wrong && !put_names(&building);

	free(building.names.at);
	free(building.owners);
	tls_file_forget(&building.trust.cas);
	tls_file_forget(&building.trust.crls);
	if (building.is_wrong) {
		tls_context_put(building.context);
		return NULL;
	}
	return building.context;
}
