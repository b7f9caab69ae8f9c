/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_cert: a certificate of our own, what leads to its root, and its key: read, compared, and put
 * into the form wolfSSL takes. All that can be wrong is said with the file's name.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "tls_priv.h"

/* In one record, whatever a broker puts in front (certificate_request_context). */
#define CHAIN_MAX (TLS_PLAIN_MAX - 384)

static BIO *bio_of(const struct tls_file *file)
{
	return BIO_new_mem_buf(file->bytes, (int)file->size);
}

/* What a memory BIO holds, as a file of its own. */
static bool take_bio(struct tls_file *file, const char *name, BIO *bio)
{
	char *bytes = NULL;
	long size = BIO_get_mem_data(bio, &bytes);

	*file = (struct tls_file){ .name = name };
	if (size <= 0)
		return false;
	file->bytes = malloc((size_t)size);
	if (file->bytes == NULL)
		return false;
	memcpy(file->bytes, bytes, (size_t)size);
	file->size = (size_t)size;
	return true;
}

static time_t time_of(const ASN1_TIME *asn1)
{
	struct tm tm;

	return ASN1_TIME_to_tm(asn1, &tm) == 1 ? timegm(&tm) : 0;
}

/* ---- the chain ------------------------------------------------------------------------------ */

static void check_dates(struct tls_pair *pair, const char *name, X509 *leaf,
			const struct tls_report *report)
{
	char date[32];
	time_t begins = time_of(X509_get0_notBefore(leaf)), now = time(NULL);
	struct tm tm;

	if (pair->expires < now) {
		strftime(date, sizeof(date), "%F %T UTC", gmtime_r(&pair->expires, &tm));
		tls_doubt(report, "%s: expired on %s", name, date);
	} else if (begins > now) {
		strftime(date, sizeof(date), "%F %T UTC", gmtime_r(&begins, &tm));
		tls_doubt(report, "%s: is not valid before %s", name, date);
	}
}

/* The chain is as good as the first of it to run out. A root does not count: peers have their own.
 */
static void note_expiry(struct tls_pair *pair, int index, X509 *cert)
{
	time_t when = time_of(X509_get0_notAfter(cert));
	bool is_root = index > 1 && X509_check_issued(cert, cert) == X509_V_OK;

	if (index == 1 || (!is_root && when < pair->expires))
		pair->expires = when;
}

static void check_order(const char *name, int index, X509 *below, X509 *above,
			const struct tls_report *report)
{
	if (below != NULL && X509_check_issued(above, below) != X509_V_OK)
		tls_doubt(report,
			  "%s: certificate %d does not sign certificate %d: peers may not "
			  "find their way to the root",
			  name, index, index - 1);
}

/* Where a certificate ends in TLS 1.3's message: head, context and length in front, and each with
 * its length and an empty list of extensions (RFC 8446 4.4.2). wolfSSL (5.5.4, AddCertExt) writes
 * past its buffer when one byte of that list is all that is left for the next record: a client that
 * asks for short ones (RFC 6066 4) can bring that about, and no chain may be longer than the
 * longest. */
static void note_end(struct tls_pair *pair, X509 *cert, size_t *at)
{
	/* By the code in the extension; the last two are wolfSSL's own. */
	static const uint16_t lengths[] = { 512, 1024, 2048, 4096, 8192, 256 };

	if (*at == 0)
		*at = 4 + 1 + 3;
	*at += 3 + (size_t)i2d_X509(cert, NULL) + 2;
	for (uint32_t code = 1; code <= COUNT_OF(lengths); code++)
		if (*at % lengths[code - 1] == 1)
			pair->uncuttable |= (uint8_t)(1u << code);
}

static bool write_leaf(struct tls_pair *pair, X509 *leaf)
{
	int size = i2d_X509(leaf, &pair->leaf_der);

	pair->leaf_size = size > 0 ? (size_t)size : 0;
	return size > 0;
}

/* Rewrites the certificates one after the other; the first is *ret_leaf, the caller's to free. */
static bool copy_chain(struct tls_pair *pair, const struct tls_file *file, BIO *in, BIO *out,
		       X509 **ret_leaf, const struct tls_report *report)
{
	X509 *below = NULL;
	bool ok = true;
	size_t end = 0;
	int count = 0;

	for (X509 *cert; (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL; below = cert) {
		count++;
		note_expiry(pair, count, cert);
		note_end(pair, cert, &end);
		check_order(file->name, count, below, cert, report);
		if (count == 1)
			*ret_leaf = cert;
		else if (count > 2)
			X509_free(below);
		ok = ok && PEM_write_bio_X509(out, cert) == 1;
	}
	if (count > 1)
		X509_free(below);

	bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	if (count == 0 || !is_at_end)
		tls_mistake(report,
			    count == 0 && is_at_end ? "%s: holds no certificate in PEM form"
						    : "%s: certificate %d is broken",
			    file->name, count + 1);
	if (end > CHAIN_MAX)
		tls_mistake(report, "%s: %zu bytes of certificates: %d are the most", file->name,
			    end, CHAIN_MAX);
	return ok && count > 0 && end <= CHAIN_MAX && is_at_end && write_leaf(pair, *ret_leaf);
}

static bool read_chain(struct tls_pair *pair, const char *name, X509 **ret_leaf,
		       const struct tls_report *report)
{
	struct tls_file file;

	if (!tls_file_read(&file, name, report))
		return false;

	BIO *in = bio_of(&file), *out = BIO_new(BIO_s_mem());
	bool ok = in != NULL && out != NULL && copy_chain(pair, &file, in, out, ret_leaf, report) &&
		  take_bio(&pair->chain, name, out);

	BIO_free(in);
	BIO_free(out);
	tls_file_forget(&file);
	return ok;
}

/* ---- the key -------------------------------------------------------------------------------- */

/* Called for an encrypted key only: there is nobody to ask. */
static int no_password(char *buf, int size, int is_write, void *was_asked)
{
	(void)buf, (void)size, (void)is_write;
	*(bool *)was_asked = true;
	return -1;
}

static bool check_key(EVP_PKEY *key, const char *name, const struct tls_report *report)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		if (EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 4096)
			return true;
		tls_mistake(report, "%s: an RSA key of %d bits: 2048 to 4096 are taken", name,
			    EVP_PKEY_get_bits(key));
		return false;
	case EVP_PKEY_EC:
	case EVP_PKEY_ED25519:
		return true;
	default:
		tls_mistake(report, "%s: not an ECDSA, Ed25519 or RSA key", name);
		return false;
	}
}

static bool write_key(struct tls_pair *pair, const char *name)
{
	BIO *out = BIO_new(BIO_s_secmem());
	bool ok = out != NULL && i2d_PrivateKey_bio(out, pair->key) == 1 &&
		  take_bio(&pair->key_der, name, out);

	BIO_free(out);
	return ok;
}

static bool read_key(struct tls_pair *pair, const char *name, const struct tls_report *report)
{
	struct tls_file file;
	bool was_asked = false;

	if (!tls_file_read_key(&file, name, report))
		return false;

	BIO *in = bio_of(&file);

	if (in != NULL)
		pair->key = PEM_read_bio_PrivateKey(in, NULL, no_password, &was_asked);
	BIO_free(in);
	ERR_clear_error();
	tls_file_forget(&file);
	if (pair->key == NULL) {
		tls_mistake(report,
			    was_asked ? "%s: is encrypted, and there is nobody to ask for "
					"the password: store it without"
				      : "%s: holds no private key in PEM form",
			    name);
		return false;
	}
	return check_key(pair->key, name, report) && write_key(pair, name);
}

bool tls_pair_read(struct tls_pair *pair, const char *cert_file, const char *key_file,
		   const struct tls_report *report)
{
	X509 *leaf = NULL;

	*pair = (struct tls_pair){ .key = NULL };

	/* Both are read even if the first one is wrong: all mistakes at once. */
	bool has_chain = read_chain(pair, cert_file, &leaf, report);
	bool has_key = read_key(pair, key_file, report);
	bool ok = has_chain && has_key;

	if (has_chain)
		check_dates(pair, cert_file, leaf, report);
	if (ok && X509_check_private_key(leaf, pair->key) != 1) {
		tls_mistake(report, "%s: is not the key of %s", key_file, cert_file);
		ok = false;
	}
	ERR_clear_error();
	X509_free(leaf);
	if (!ok)
		tls_pair_forget(pair);
	return ok;
}

void tls_pair_forget(struct tls_pair *pair)
{
	EVP_PKEY_free(pair->key);
	OPENSSL_free(pair->leaf_der);
	tls_file_forget(&pair->chain);
	tls_file_forget(&pair->key_der);
	pair->key = NULL;
	pair->leaf_der = NULL;
}
