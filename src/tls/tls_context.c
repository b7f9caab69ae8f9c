/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_context: what both kinds of contexts have: references, texts of their own, and the choice of
 * certificate and protocol for a hello.
 */
#include <stdlib.h>

#include <penstock/route/sni.h>
#include <penstock/wire/hello.h>

#include "tls_context_priv.h"

struct tls_context *tls_context_alloc(const struct tls_common *common, bool is_server,
				      uint32_t identity_count, size_t text_bytes)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	if (context == NULL)
		return NULL;
	for (uint32_t i = 0; i < common->alpn_count; i++)
		text_bytes += strlen(common->alpn[i]) + 1;
	*context = (struct tls_context){
		.refs = 1,
		.is_server = is_server,
		.version_min = common->version_min != 0 ? common->version_min : TLS_1_2,
		.version_max = common->version_max != 0 ? common->version_max : TLS_1_3,
		.ktls_send = common->ktls_send,
		.ktls_recv = common->ktls_recv,
		.is_rekey_fatal = common->is_rekey_fatal,
		.alpn = calloc(common->alpn_count + 1, sizeof(*context->alpn)),
		.identities = calloc(identity_count, sizeof(*context->identities)),
		.texts = sink_of(malloc(text_bytes + 1), text_bytes + 1),
	};
	if (context->alpn == NULL || context->identities == NULL || context->texts.at == NULL) {
		tls_context_put(context);
		return NULL;
	}
	for (uint32_t i = 0; i < common->alpn_count; i++)
		context->alpn[context->alpn_count++] =
			span_str(tls_context_keep(context, common->alpn[i]));
	return context;
}

const char *tls_context_keep(struct tls_context *context, const char *text)
{
	const char *copy = (const char *)context->texts.at + context->texts.len;

	sink_bytes(&context->texts, text, strlen(text) + 1);
	CHECK(!context->texts.full);
	return copy;
}

struct tls_identity *tls_context_add(struct tls_context *context, struct tls_pair *pair,
				     const char *file)
{
	struct tls_identity *identity = &context->identities[context->identity_count++];

	*identity = (struct tls_identity){
		.context = context,
		.key = pair->key,
		.file = file != NULL ? tls_context_keep(context, file) : NULL,
		.expires = pair->expires,
		.uncuttable = pair->uncuttable,
	};
	pair->key = NULL;
	return identity;
}

struct tls_context *tls_context_get(struct tls_context *context)
{
	atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
	return context;
}

void tls_context_put(struct tls_context *context)
{
	/* The last one sees what all others did. */
	if (context == NULL ||
	    atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < context->identity_count; i++) {
		tls_context_free_wolf(&context->identities[i]);
		tls_pair_forget(&(struct tls_pair){ .key = context->identities[i].key });
		tls_file_forget(&context->identities[i].staple);
	}
	tls_sessions_free(context->sessions);
	free(context->identities);
	free(context->alpn);
	free(context->names);
	free(context->texts.at);
	free(context);
}

bool tls_context_expiry(const struct tls_context *context, uint32_t index, const char **ret_file,
			time_t *ret_when)
{
	if (index >= context->identity_count || context->identities[index].file == NULL)
		return false;
	*ret_file = context->identities[index].file;
	*ret_when = context->identities[index].expires;
	return true;
}

const struct tls_identity *tls_context_choose(const struct tls_context *context, struct span name,
					      enum tls_fail *ret_why)
{
	struct route_sni_match match = { .value = 0 };

	if (name.len == 0) {
		*ret_why = TLS_FAIL_MISSING_NAME;
		return context->is_name_required ? NULL : &context->identities[0];
	}
	if (route_sni_find(context->names, name, &match))
		return &context->identities[match.value];
	*ret_why = TLS_FAIL_UNKNOWN_NAME;
	return context->is_unknown_name_refused ? NULL : &context->identities[0];
}

static bool is_offered(struct span offered, struct span protocol)
{
	struct span each;

	while (hello_alpn_next(&offered, &each))
		if (span_equal(each, protocol))
			return true;
	return false;
}

bool tls_context_choose_alpn(const struct tls_context *context, struct span offered,
			     struct span *ret_alpn)
{
	*ret_alpn = span_of(NULL, 0);
	if (context->alpn_count == 0 || offered.len == 0)
		return true;
	for (uint32_t i = 0; i < context->alpn_count; i++) {
		if (is_offered(offered, context->alpn[i])) {
			*ret_alpn = context->alpn[i];
			return true;
		}
	}
	return false;
}
