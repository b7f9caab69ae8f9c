/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_pki: authorities, certificates, revocation lists and OCSP responses for tests, made when they
 * are wanted and written as files into a folder of its own.
 */
#pragma once

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "unit.h"

/* What a certificate is to be like. */
struct pki_wish {
	const char *common_name;
	const char *names;    /* "DNS:a.example.com,IP:127.0.0.1"; NULL: none */
	const char *usage;    /* "serverAuth", "clientAuth"; NULL: any */
	const char *key;      /* "P-256" (also if NULL), "P-384", "RSA", "RSA-1024", "ED25519" */
	long from_s, until_s; /* from now; until 0: a day */
	bool is_ca;
};

struct pki_cert {
	X509 *cert;
	EVP_PKEY *key;
	char cert_file[128], key_file[128];
};

static const char *pki_folder;
static long pki_serial;

static inline void pki_open(void)
{
	pki_folder = unit_folder();
}

static inline void pki_close(void)
{
	pki_folder = NULL;
}

static inline void pki_path(char path[static 128], const char *name, const char *ending)
{
	(void)snprintf(path, 128, "%s/%s.%s", pki_folder, name, ending);
}

static inline FILE *pki_create(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	(void)chmod(path, 0640);
	return file;
}

static inline EVP_PKEY *pki_make_key(const char *kind)
{
	if (kind == NULL)
		kind = "P-256";
	if (strcmp(kind, "RSA") == 0)
		return EVP_RSA_gen(2048);
	if (strcmp(kind, "RSA-1024") == 0)
		return EVP_RSA_gen(1024);
	if (strcmp(kind, "ED25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
}

static inline void pki_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

/* Files NAME.pem, with `chain` behind it, and NAME.key. `issuer` NULL: signs itself. */
static inline struct pki_cert pki_issue(const char *name, const struct pki_wish *wish,
					const struct pki_cert *issuer, const struct pki_cert *chain)
{
	struct pki_cert made = { .cert = X509_new(), .key = pki_make_key(wish->key) };
	X509_NAME *subject = X509_get_subject_name(made.cert);
	const struct pki_cert *signer = issuer != NULL ? issuer : &made;
	bool is_ed = EVP_PKEY_get_base_id(signer->key) == EVP_PKEY_ED25519;

	X509_set_version(made.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.cert), ++pki_serial);
	X509_gmtime_adj(X509_getm_notBefore(made.cert), wish->from_s);
	X509_gmtime_adj(X509_getm_notAfter(made.cert), wish->until_s != 0 ? wish->until_s : 86400);
	X509_set_pubkey(made.cert, made.key);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const uint8_t *)"penstock", -1, -1,
				   0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)wish->common_name,
				   -1, -1, 0);
	X509_set_issuer_name(made.cert, X509_get_subject_name(signer->cert));
	if (wish->is_ca) {
		pki_extend(made.cert, signer->cert, NID_basic_constraints, "critical,CA:TRUE");
		pki_extend(made.cert, signer->cert, NID_key_usage, "critical,keyCertSign,cRLSign");
		pki_extend(made.cert, signer->cert, NID_subject_key_identifier, "hash");
	}
	if (wish->names != NULL)
		pki_extend(made.cert, signer->cert, NID_subject_alt_name, wish->names);
	if (wish->usage != NULL)
		pki_extend(made.cert, signer->cert, NID_ext_key_usage, wish->usage);
	assert_true(X509_sign(made.cert, signer->key, is_ed ? NULL : EVP_sha256()) > 0);

	pki_path(made.cert_file, name, "pem");
	pki_path(made.key_file, name, "key");
	FILE *file = pki_create(made.cert_file);
	PEM_write_X509(file, made.cert);
	if (chain != NULL)
		PEM_write_X509(file, chain->cert);
	fclose(file);
	file = pki_create(made.key_file);
	PEM_write_PrivateKey(file, made.key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	return made;
}

static inline void pki_free(struct pki_cert *cert)
{
	X509_free(cert->cert);
	EVP_PKEY_free(cert->key);
}

/* NAME.crl, out of date if until_s is negative. */
static inline void pki_revoke(char path[static 128], const char *name,
			      const struct pki_cert *issuer, const struct pki_cert *revoked,
			      long until_s)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -86400 * 2);
	ASN1_TIME *next = X509_gmtime_adj(NULL, until_s);

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, next);
	if (revoked != NULL) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->cert));
		X509_REVOKED_set_revocationDate(entry, now);
		X509_CRL_add0_revoked(crl, entry);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
	pki_path(path, name, "crl");
	FILE *file = pki_create(path);
	PEM_write_X509_CRL(file, crl);
	fclose(file);
	X509_CRL_free(crl);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
}

/* NAME.ocsp: the certificate is good. */
static inline void pki_staple(char path[static 128], const char *name,
			      const struct pki_cert *issuer, const struct pki_cert *cert)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert->cert, issuer->cert);
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *next = X509_gmtime_adj(NULL, 86400);

	assert_non_null(
		OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, next));
	assert_int_equal(OCSP_basic_sign(basic, issuer->cert, issuer->key, EVP_sha256(), NULL, 0),
			 1);
	OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	pki_path(path, name, "ocsp");
	uint8_t *der = NULL;
	int size = i2d_OCSP_RESPONSE(response, &der);
	FILE *file = pki_create(path);
	assert_int_equal(fwrite(der, 1, (size_t)size, file), size);
	fclose(file);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
}
