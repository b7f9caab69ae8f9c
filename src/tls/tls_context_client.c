/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_context_client: how we speak TLS to brokers: whom we trust, what we show, what we resume.
 */
#include "tls_context_priv.h"

/* Where Debian's ca-certificates keeps all roots in one file. */
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

static bool read_trust(struct tls_trust *trust, const struct tls_client_params *params,
		       const struct tls_report *report)
{
	const char *ca_file = params->ca_file != NULL ? params->ca_file : SYSTEM_CAS;

	if (params->is_peer_unchecked)
		return true;
	return tls_file_read(&trust->cas, ca_file, report) &&
	       tls_cert_check_cas(&trust->cas, report) &&
	       (params->crl_file == NULL ||
		(tls_file_read(&trust->crls, params->crl_file, report) &&
		 tls_cert_check_crls(&trust->crls, report)));
}

static bool read_pair(struct tls_pair *pair, const struct tls_client_params *params,
		      const struct tls_report *report)
{
	if (params->cert_file == NULL)
		return true;
	return tls_pair_read(pair, params->cert_file, params->key_file, report);
}

struct tls_context *tls_context_client(const struct tls_client_params *params,
				       const struct tls_report *report)
{
	CHECK((params->cert_file == NULL) == (params->key_file == NULL));

	size_t text_bytes = params->cert_file != NULL ? strlen(params->cert_file) + 1 : 0;
	struct tls_context *context = tls_context_alloc(&params->common, false, 1, text_bytes);
	struct tls_trust trust = { .cas = { .name = NULL } };
	struct tls_pair pair = { .key = NULL };

	if (context == NULL) {
		tls_mistake(report, "out of memory");
		return NULL;
	}
	context->is_peer_unchecked = params->is_peer_unchecked;
	context->is_name_unchecked = params->is_name_unchecked || params->is_peer_unchecked;

	bool has_suites = tls_suite_choose(&params->common, report, context);
	bool has_trust = read_trust(&trust, params, report);
	bool has_pair = read_pair(&pair, params, report);
	bool ok = has_suites && has_trust && has_pair;

	if (ok && params->session_count > 0) {
		context->sessions = tls_sessions_new(params->session_count);
		ok = context->sessions != NULL;
	}
	ok = ok && tls_context_wolf_client(tls_context_add(context, &pair, params->cert_file),
					   &pair, &trust, params->is_peer_unchecked, report);
	tls_pair_forget(&pair);
	tls_file_forget(&trust.cas);
	tls_file_forget(&trust.crls);
	if (!ok) {
		tls_context_put(context);
		return NULL;
	}
	return context;
}
