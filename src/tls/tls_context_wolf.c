/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_context_wolf: a WOLFSSL_CTX with everything Debian's wolfSSL has on by default and we do not
 * want off: old versions, suites without encryption or forward secrecy, its session cache, and
 * fetching revocation lists from where a certificate says they are, in the middle of a handshake.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "tls_context_priv.h"
#include "tls_wolf.h"

/* What a peer may sign with, and we. */
#define SIGNATURES                                                                                    \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ED25519:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512" \
	":RSA+SHA256:RSA+SHA384:RSA+SHA512"

/* How long a ticket is good for, and so a session. */
#define SESSION_SECONDS 7200

static bool set_versions(WOLFSSL_CTX *ctx, const struct tls_context *context,
			 enum tls_version version_max)
{
	int min = context->version_min == TLS_1_3 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
	int groups[] = { WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1 };
	char list[512];
	struct sink suites = sink_of(list, sizeof(list));

	tls_suite_list(&suites, context->suites, context->version_min, version_max);
	sink_u8(&suites, 0);
	CHECK(!suites.full);
	return wolfSSL_CTX_set_groups(ctx, groups, COUNT_OF(groups)) == WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_SetMinVersion(ctx, min) == WOLFSSL_SUCCESS &&
	       (version_max == TLS_1_3 ||
		wolfSSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == WOLFSSL_SUCCESS) &&
	       wolfSSL_CTX_set_cipher_list(ctx, list) == WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == WOLFSSL_SUCCESS;
}

static bool set_pair(WOLFSSL_CTX *ctx, const struct tls_pair *pair)
{
	const struct tls_file *chain = &pair->chain, *key = &pair->key_der;

	if (chain->bytes == NULL)
		return true;
	wolfSSL_CTX_SetEccSignCb(ctx, tls_wolf_sign_ecdsa);
	wolfSSL_CTX_SetRsaSignCb(ctx, tls_wolf_sign_rsa);
	wolfSSL_CTX_SetRsaPssSignCb(ctx, tls_wolf_sign_rsa_pss);
	return wolfSSL_CTX_use_certificate_chain_buffer(ctx, chain->bytes, (long)chain->size) ==
		       WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_use_PrivateKey_buffer(ctx, key->bytes, (long)key->size,
						 WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS;
}

static bool set_trust(WOLFSSL_CTX *ctx, const struct tls_trust *trust,
		      const struct tls_report *report)
{
	const struct tls_file *cas = &trust->cas, *crls = &trust->crls;

	/* One that has expired must not take the others with it. */
	if (cas->bytes != NULL &&
	    wolfSSL_CTX_load_verify_buffer_ex(ctx, cas->bytes, (long)cas->size,
					      WOLFSSL_FILETYPE_PEM, 0,
					      WOLFSSL_LOAD_FLAG_IGNORE_ERR) != WOLFSSL_SUCCESS) {
		tls_mistake(report, "%s: holds no authority wolfSSL can use", cas->name);
		return false;
	}
	if (crls->bytes == NULL)
		return true;
	if (wolfSSL_CTX_EnableCRL(ctx, WOLFSSL_CRL_CHECKALL) != WOLFSSL_SUCCESS ||
	    wolfSSL_CTX_SetCRL_IOCb(ctx, NULL) != WOLFSSL_SUCCESS)
		return false;
	if (wolfSSL_CTX_LoadCRLBuffer(ctx, crls->bytes, (long)crls->size, WOLFSSL_FILETYPE_PEM) !=
	    WOLFSSL_SUCCESS) {
		tls_mistake(report,
			    "%s: a revocation list that is signed by nobody we trust, or "
			    "out of date",
			    crls->name);
		return false;
	}
	return true;
}

/* What all need. False: something wolfSSL refuses, for want of memory most likely. */
static bool set_up(WOLFSSL_CTX *ctx, const struct tls_identity *identity,
		   const struct tls_pair *pair, enum tls_version version_max)
{
	if (ctx == NULL)
		return false;
	wolfSSL_SetIORecv(ctx, tls_wolf_recv);
	wolfSSL_SetIOSend(ctx, tls_wolf_send);
	wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
	wolfSSL_CTX_set_timeout(ctx, SESSION_SECONDS);
	wolfSSL_CTX_SetEncryptKeysCb(ctx, tls_wolf_keys);
	(void)wolfSSL_CTX_SetDevId(ctx, TLS_RANDOM_DEVICE);
	/* Or it asks ten times again for what is not there yet. */
	(void)wolfSSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	return wolfSSL_CTX_SetMinRsaKey_Sz(ctx, 2048) == WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_SetMinEccKey_Sz(ctx, 256) == WOLFSSL_SUCCESS &&
	       set_versions(ctx, identity->context, version_max) && set_pair(ctx, pair);
}

static void refused(const struct tls_identity *identity, const struct tls_report *report)
{
	tls_mistake(report, "%s: wolfSSL cannot use it, or is out of memory",
		    identity->file != NULL ? identity->file : "TLS to brokers");
}

static void set_tickets(WOLFSSL_CTX *ctx, const struct tls_context *context)
{
	if (context->tickets == NULL) {
		(void)wolfSSL_CTX_no_ticket_TLSv13(ctx);
		(void)wolfSSL_CTX_NoTicketTLSv12(ctx);
		return;
	}
	(void)wolfSSL_CTX_set_TicketEncCb(ctx, tls_wolf_ticket);
	(void)wolfSSL_CTX_set_TicketHint(ctx, SESSION_SECONDS);
	(void)wolfSSL_CTX_set_num_tickets(ctx, 1);
}

static int verify_mode(enum tls_client_auth client_auth)
{
	switch (client_auth) {
	case TLS_CLIENT_AUTH_NONE:
		return WOLFSSL_VERIFY_NONE;
	case TLS_CLIENT_AUTH_OPTIONAL:
		return WOLFSSL_VERIFY_PEER;
	case TLS_CLIENT_AUTH_REQUIRE:
		break;
	}
	return WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

static WOLFSSL_CTX *new_server(const struct tls_identity *identity, const struct tls_pair *pair,
			       const struct tls_trust *trust, enum tls_version version_max,
			       const struct tls_report *report)
{
	const struct tls_context *context = identity->context;
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfTLS_server_method());
	bool ok = set_up(ctx, identity, pair, version_max);

	if (!ok)
		refused(identity, report);
	if (!ok || !set_trust(ctx, trust, report)) {
		wolfSSL_CTX_free(ctx);
		return NULL;
	}
	wolfSSL_CTX_set_verify(ctx, verify_mode(context->client_auth), tls_wolf_verify);
	set_tickets(ctx, context);
	return ctx;
}

/* wolfSSL staples only what it has checked itself, for which it must know the issuer, and ends the
 * handshake where it does not. Where client certificates are verified that would make the issuer
 * one of their authorities too: there it has to be one anyway. */
static bool can_staple(const struct tls_identity *identity, const struct tls_pair *pair,
		       const struct tls_trust *trust, const struct tls_report *report)
{
	bool is_asked = identity->context->client_auth != TLS_CLIENT_AUTH_NONE;
	struct span leaf = span_of(pair->leaf_der, pair->leaf_size);

	if (tls_cert_has_issuer(is_asked ? &trust->cas : &pair->chain, leaf))
		return true;
	tls_doubt(
		report,
		"%s: is not stapled, since the authority that has signed the certificate is not in "
		"%s; add it there",
		identity->staple.name, is_asked ? trust->cas.name : identity->file);
	return false;
}

/* In TLS 1.2 only, in a context apart: for TLS 1.3 wolfSSL 5.5.4 loses 900 bytes in every handshake
 * (TLSX_CSR_Parse frees neither the answer nor the certificate's names). */
static bool add_staple(struct tls_identity *identity, const struct tls_pair *pair,
		       const struct tls_trust *trust, const struct tls_report *report)
{
	const struct tls_context *context = identity->context;

	if (identity->staple.bytes == NULL || context->version_min > TLS_1_2 ||
	    !can_staple(identity, pair, trust, report))
		return true;
	identity->ctx_staple = new_server(identity, pair, trust, TLS_1_2, report);
	if (identity->ctx_staple == NULL)
		return false;
	if (context->client_auth == TLS_CLIENT_AUTH_NONE)
		(void)wolfSSL_CTX_load_verify_buffer_ex(identity->ctx_staple, pair->chain.bytes,
							(long)pair->chain.size,
							WOLFSSL_FILETYPE_PEM, 0,
							WOLFSSL_LOAD_FLAG_IGNORE_ERR);
	return wolfSSL_CTX_set_tlsext_status_cb(identity->ctx_staple, tls_wolf_staple) ==
	       WOLFSSL_SUCCESS;
}

bool tls_context_wolf_server(struct tls_identity *identity, const struct tls_pair *pair,
			     const struct tls_trust *trust, const struct tls_report *report)
{
	identity->ctx = new_server(identity, pair, trust, identity->context->version_max, report);
	return identity->ctx != NULL && add_staple(identity, pair, trust, report);
}

bool tls_context_wolf_client(struct tls_identity *identity, const struct tls_pair *pair,
			     const struct tls_trust *trust, bool is_peer_unchecked,
			     const struct tls_report *report)
{
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfTLS_client_method());

	identity->ctx = ctx;
	if (!set_up(ctx, identity, pair, identity->context->version_max)) {
		refused(identity, report);
		return false;
	}
	wolfSSL_CTX_set_verify(ctx, is_peer_unchecked ? WOLFSSL_VERIFY_NONE : WOLFSSL_VERIFY_PEER,
			       tls_wolf_verify);
	return set_trust(ctx, trust, report);
}

void tls_context_free_wolf(struct tls_identity *identity)
{
	wolfSSL_CTX_free(identity->ctx);
	wolfSSL_CTX_free(identity->ctx_staple);
}
