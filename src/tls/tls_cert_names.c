/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_cert_names: whose certificate it is. The chain has been verified by wolfSSL; what is compared
 * with names and shown to access rules is read here, from the same bytes.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls_priv.h"

static X509 *parse(struct span der)
{
	const uint8_t *at = der.at;
	X509 *cert = d2i_X509(NULL, &at, (long)der.len);

	ERR_clear_error();
	return cert;
}

/* Puts text into the store; false: no room, or a NUL in it, which no name has but a forged one. */
static bool store_text(struct sink *store, const void *text, size_t len, struct span *ret_text)
{
	if (len == 0 || memchr(text, 0, len) != NULL || store->size - store->len < len)
		return false;
	*ret_text = span_of(store->at + store->len, len);
	sink_bytes(store, text, len);
	return true;
}

/* ---- the subject ---------------------------------------------------------------------------- */

static void put_subject(struct tls_peer *peer, const X509_NAME *name, struct sink *store)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		long len = BIO_get_mem_data(bio, &text);

		if (len > 0 && !store_text(store, text, (size_t)len, &peer->subject))
			peer->is_cut = true;
	}
	BIO_free(bio);
}

/* Part `at` of the subject; false: no room, or none of its text. */
static bool store_part(struct sink *store, const X509_NAME *name, int at, struct span *ret_text)
{
	uint8_t *text = NULL;
	int len =
		ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	bool ok = len > 0 && store_text(store, text, (size_t)len, ret_text);

	OPENSSL_free(text);
	return ok;
}

/* The last one counts, as in Java's and OpenSSL's reading of the most specific. */
static void put_common_name(struct tls_peer *peer, const X509_NAME *name, struct sink *store)
{
	int last = -1;

	for (int i = -1; (i = X509_NAME_get_index_by_NID(name, NID_commonName, i)) >= 0;)
		last = i;
	if (last >= 0)
		(void)store_part(store, name, last, &peer->common_name);
}

static void put_units(struct tls_peer *peer, const X509_NAME *name, struct sink *store)
{
	struct span unit;

	for (int i = -1;
	     (i = X509_NAME_get_index_by_NID(name, NID_organizationalUnitName, i)) >= 0;) {
		if (peer->unit_count < TLS_PEER_UNITS && store_part(store, name, i, &unit))
			peer->units[peer->unit_count++] = unit;
		else
			peer->is_cut = true;
	}
}

/* ---- alternative names ---------------------------------------------------------------------- */

static bool store_ip(struct sink *store, const ASN1_OCTET_STRING *ip, struct span *ret_text)
{
	const uint8_t *bytes = ASN1_STRING_get0_data(ip);
	char text[ADDR_TEXT_MAX];
	struct addr addr = { .is_set = true };

	switch (ASN1_STRING_length(ip)) {
	case 4:
		addr.ip[10] = addr.ip[11] = 0xff;
		memcpy(addr.ip + 12, bytes, 4);
		break;
	case 16:
		memcpy(addr.ip, bytes, 16);
		break;
	default:
		return false;
	}
	(void)addr_format_ip(&addr, text);
	return store_text(store, text, strlen(text), ret_text);
}

static bool store_name(struct sink *store, const GENERAL_NAME *name, struct tls_peer_name *ret_name)
{
	const ASN1_IA5STRING *text;

	switch (name->type) {
	case GEN_DNS:
		ret_name->kind = TLS_NAME_DNS;
		text = name->d.dNSName;
		break;
	case GEN_URI:
		ret_name->kind = TLS_NAME_URI;
		text = name->d.uniformResourceIdentifier;
		break;
	case GEN_EMAIL:
		ret_name->kind = TLS_NAME_EMAIL;
		text = name->d.rfc822Name;
		break;
	case GEN_IPADD:
		ret_name->kind = TLS_NAME_IP;
		return store_ip(store, name->d.iPAddress, &ret_name->text);
	default:
		return false;
	}
	return store_text(store, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text),
			  &ret_name->text);
}

static void put_names(struct tls_peer *peer, X509 *cert, struct sink *store)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		struct tls_peer_name name;

		if (!store_name(store, sk_GENERAL_NAME_value(names, i), &name))
			continue;
		if (peer->name_count == TLS_PEER_NAMES) {
			peer->is_cut = true;
			break;
		}
		peer->names[peer->name_count++] = name;
	}
	GENERAL_NAMES_free(names);
}

bool tls_cert_peer(struct span der, struct tls_peer *ret_peer, struct sink *store)
{
	X509 *cert = parse(der);

	if (cert == NULL)
		return false;
	*ret_peer = (struct tls_peer){ .has_certificate = true };
	put_subject(ret_peer, X509_get_subject_name(cert), store);
	put_common_name(ret_peer, X509_get_subject_name(cert), store);
	put_names(ret_peer, cert, store);
	put_units(ret_peer, X509_get_subject_name(cert), store);
	ERR_clear_error();
	X509_free(cert);
	return true;
}

uint32_t tls_cert_dns_names(struct span der, struct sink *names)
{
	X509 *cert = parse(der);
	GENERAL_NAMES *all =
		cert != NULL ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
	uint32_t count = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		struct tls_peer_name text;

		if (name->type != GEN_DNS || !store_name(names, name, &text))
			continue;
		sink_u8(names, 0);
		count++;
	}
	ERR_clear_error();
	GENERAL_NAMES_free(all);
	X509_free(cert);
	return count;
}

bool tls_cert_is_for(struct span der, const char *host)
{
	X509 *cert = parse(der);

	if (cert == NULL)
		return false;

	struct addr addr;
	int ret;

	if (addr_parse_ip(span_str(host), &addr))
		ret = addr_is_v4(&addr) ? X509_check_ip(cert, addr.ip + 12, 4, 0)
					: X509_check_ip(cert, addr.ip, 16, 0);
	else
		ret = X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
	ERR_clear_error();
	X509_free(cert);
	return ret == 1;
}
