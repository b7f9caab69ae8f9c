/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_cert_trust: authorities, revocation lists and stapled answers, looked at before wolfSSL gets
 * them, which would say no more than a number.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "tls_priv.h"

/* "now" for X509_cmp_time is NULL. */
static bool is_past(const ASN1_TIME *when)
{
	return when != NULL && X509_cmp_time(when, NULL) < 0;
}

static BIO *bio_of(const struct tls_file *file)
{
	return BIO_new_mem_buf(file->bytes, (int)file->size);
}

/* Did a PEM reader stop because there was no more? */
static bool is_at_end(void)
{
	bool ret = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return ret;
}

static bool check_count(const struct tls_file *file, const char *what, int count, bool is_end,
			const struct tls_report *report)
{
	if (!is_end)
		tls_mistake(report, "%s: %s %d is broken", file->name, what, count + 1);
	else if (count == 0)
		tls_mistake(report, "%s: holds no %s in PEM form", file->name, what);
	return is_end && count > 0;
}

bool tls_cert_check_cas(const struct tls_file *file, const struct tls_report *report)
{
	BIO *bio = bio_of(file);
	int count = 0;

	if (bio == NULL)
		return false;
	for (X509 *cert; (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; count++) {
		if (is_past(X509_get0_notAfter(cert)))
			tls_doubt(report,
				  "%s: certificate %d has expired: nothing it signed is "
				  "trusted",
				  file->name, count + 1);
		if (X509_check_ca(cert) == 0)
			tls_doubt(report,
				  "%s: certificate %d is no authority: nothing it signed "
				  "is trusted",
				  file->name, count + 1);
		X509_free(cert);
	}
	BIO_free(bio);
	return check_count(file, "certificate", count, is_at_end(), report);
}

bool tls_cert_has_issuer(const struct tls_file *file, struct span leaf_der)
{
	const uint8_t *at = leaf_der.at;
	X509 *leaf = d2i_X509(NULL, &at, (long)leaf_der.len);
	BIO *bio = file->bytes != NULL ? bio_of(file) : NULL;
	bool is_there = false;

	for (X509 *cert; leaf != NULL && bio != NULL && !is_there &&
			 (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;) {
		is_there = X509_check_ca(cert) != 0 && X509_check_issued(cert, leaf) == X509_V_OK;
		X509_free(cert);
	}
	ERR_clear_error();
	BIO_free(bio);
	X509_free(leaf);
	return is_there;
}

bool tls_cert_check_crls(const struct tls_file *file, const struct tls_report *report)
{
	BIO *bio = bio_of(file);
	bool is_new = true;
	int count = 0;

	if (bio == NULL)
		return false;
	for (X509_CRL *crl; (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL; count++) {
		if (is_past(X509_CRL_get0_nextUpdate(crl))) {
			is_new = false;
			tls_mistake(report,
				    "%s: revocation list %d is out of date, so it cannot say who "
				    "is trusted; get the authority's new one",
				    file->name, count + 1);
		}
		X509_CRL_free(crl);
	}
	BIO_free(bio);
	return check_count(file, "revocation list", count, is_at_end(), report) && is_new;
}

/* Is there an answer about this certificate in it? The digest and the issuer in an OCSP CertID are
 * the responder's choice; the serial number is the certificate's. */
static bool is_about(OCSP_BASICRESP *basic, X509 *leaf, const struct tls_file *file,
		     const struct tls_report *report)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
		ASN1_INTEGER *serial = NULL;
		ASN1_GENERALIZEDTIME *next = NULL;
		OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single);

		if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) != 1 ||
		    ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) != 0)
			continue;

		int status = OCSP_single_get0_status(single, NULL, NULL, NULL, &next);

		if (status != V_OCSP_CERTSTATUS_GOOD)
			tls_doubt(report, "%s: says the certificate is %s", file->name,
				  OCSP_cert_status_str(status));
		if (is_past(next))
			tls_doubt(report, "%s: is out of date", file->name);
		return true;
	}
	return false;
}

bool tls_cert_check_staple(const struct tls_file *file, struct span leaf_der,
			   const struct tls_report *report)
{
	const uint8_t *at = file->bytes, *leaf_at = leaf_der.at;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)file->size);
	OCSP_BASICRESP *basic = response != NULL ? OCSP_response_get1_basic(response) : NULL;
	X509 *leaf = d2i_X509(NULL, &leaf_at, (long)leaf_der.len);
	bool ok = false;

	if (basic == NULL)
		tls_mistake(report, "%s: is no OCSP response in DER form", file->name);
	else if (leaf == NULL || !is_about(basic, leaf, file, report))
		tls_mistake(report, "%s: is not about its certificate", file->name);
	else
		ok = true;
	ERR_clear_error();
	X509_free(leaf);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return ok;
}
