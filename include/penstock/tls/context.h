/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls/context: certificates, trust and rules for one side of many handshakes, read from files once
 * and then never changed: a reload builds a new one, and connections keep the one they began with.
 * Complaints are sentences that begin with the file's name, for `penstock check`.
 * Thread:   building: control; ends hold references on any thread
 * Memory:   malloc, and tls.h's counted heap for what wolfSSL keeps; freed with the last reference
 * Errors:   NULL, and the report has been told why, once per mistake
 */
#pragma once

#include <time.h>

#include <penstock/tls.h>

/* Told of every mistake (the context will not be built) and of what is only doubtful. */
struct tls_report {
	void (*say)(void *with, bool is_error, const char *sentence);
	void *with;
};

enum tls_ktls { TLS_KTLS_OFF, TLS_KTLS_AUTO, TLS_KTLS_REQUIRE };

/* What both kinds of contexts have. */
struct tls_common {
	enum tls_version version_min, version_max; /* 0: TLS_1_2, TLS_1_3 */
	/* Cipher suites by either name of suite.def; the order is ours. None: all. */
	const char *const *suites;
	uint32_t suite_count;
	/* In the order of preference; none: the extension is neither sent nor answered. */
	const char *const *alpn;
	uint32_t alpn_count;
	enum tls_ktls ktls_send, ktls_recv;
	/* TLS 1.3 peers may change keys (Java does after 2^37 bytes), which kernels before 6.14
	 * cannot follow. AUTO then leaves TLS 1.3 to our own records, unless this says that such a
	 * connection may as well be closed (tls_rekey). */
	bool is_rekey_fatal;
};

struct tls_certificate {
	const char *cert_file; /* PEM: the certificate, then what leads to its root */
	const char *key_file;
	const char *ocsp_file; /* DER; NULL: nothing is stapled */
	/* Names as of route/sni.h it is for; none: its own DNS names. */
	const char *const *names;
	uint32_t name_count;
};

enum tls_client_auth { TLS_CLIENT_AUTH_NONE, TLS_CLIENT_AUTH_OPTIONAL, TLS_CLIENT_AUTH_REQUIRE };

struct tls_tickets;

struct tls_server_params {
	struct tls_common common;
	const struct tls_certificate *certificates; /* the first one is the default */
	uint32_t certificate_count;
	bool is_unknown_name_refused; /* else the default certificate is shown */
	bool is_name_required;
	enum tls_client_auth client_auth;
	const char *client_ca_file;
	const char *crl_file; /* NULL: revocation is not checked */
	/* NULL, or with client certificates: no session is resumed, since a ticket would carry an
	 * identity past its expiry and its revocation. */
	struct tls_tickets *tickets;
	const char *ticket_scope; /* tickets are good where this is the same: the listener's name */
};

struct tls_client_params {
	struct tls_common common;
	const char *ca_file; /* NULL: the system's */
	const char *crl_file;
	const char *cert_file, *key_file; /* NULL: none is sent */
	bool is_name_unchecked;
	bool is_peer_unchecked; /* any certificate will do */
	uint32_t session_count; /* sessions kept for resumption; 0: none */
};

/* NULL: the report says why. One reference is the caller's. */
struct tls_context *tls_context_server(const struct tls_server_params *params,
				       const struct tls_report *report);
struct tls_context *tls_context_client(const struct tls_client_params *params,
				       const struct tls_report *report);
struct tls_context *tls_context_get(struct tls_context *context);
void tls_context_put(struct tls_context *context);

/* Our own certificates, for an expiry metric: the file, and when the first of its chain runs out (a
 * root does not count); false past the last. */
bool tls_context_expiry(const struct tls_context *context, uint32_t index, const char **ret_file,
			time_t *ret_when);

/* ---- session tickets: tls_ticket.c ---------------------------------------------------------- */

/* The keys tickets are sealed with: one set for all workers and contexts that share it. Tickets of
 * the two keys before the present one are still taken. NULL: out of memory. */
struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets *tickets);
/* A new random key; the oldest is forgotten. Any thread, about once an hour. */
void tls_tickets_rotate(struct tls_tickets *tickets);
