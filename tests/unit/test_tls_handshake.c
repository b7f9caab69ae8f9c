/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * src/tls against OpenSSL: every version and suite in both roles, and what a handshake agrees on.
 */
#include <limits.h>

#include "tls_bench.h"

static struct pki_cert ca, other_ca, server, wild, rsa, ed, client, broker;
static struct tls *tls;
static SSL_CTX *ssl_client, *ssl_server;

static int set_up(void **state)
{
	(void)state;
	pki_open();
	ca = pki_issue("ca", &(struct pki_wish){ .common_name = "ca", .is_ca = true }, NULL, NULL);
	other_ca = pki_issue("other-ca",
			     &(struct pki_wish){ .common_name = "other-ca", .is_ca = true }, NULL,
			     NULL);
	server = pki_issue("server",
			   &(struct pki_wish){ .common_name = "gw",
					       .names = "DNS:gw.example.com,DNS:gw2.example.com" },
			   &ca, &ca);
	wild = pki_issue("wild",
			 &(struct pki_wish){ .common_name = "wild", .names = "DNS:*.example.com" },
			 &ca, &ca);
	rsa = pki_issue("rsa",
			&(struct pki_wish){ .common_name = "rsa",
					    .names = "DNS:rsa.example.net",
					    .key = "RSA" },
			&ca, &ca);
	ed = pki_issue("ed",
		       &(struct pki_wish){ .common_name = "ed",
					   .names = "DNS:ed.example.net",
					   .key = "ED25519" },
		       &ca, &ca);
	client = pki_issue("client",
			   &(struct pki_wish){ .common_name = "client-1",
					       .names = "DNS:c1.example.com,URI:spiffe://x/c1,"
							"IP:10.1.2.3,IP:2001:db8::1",
					       .usage = "clientAuth" },
			   &ca, NULL);
	broker = pki_issue("broker",
			   &(struct pki_wish){ .common_name = "broker",
					       .names = "DNS:broker-1.internal,DNS:*.b.internal,"
							"IP:127.0.0.1",
					       .usage = "serverAuth" },
			   &ca, NULL);
	assert_int_equal(tls_init(64 << 20), 0);
	assert_int_equal(tls_new(&tls, 8, 4, &bench_stats), 0);
	ssl_client = SSL_CTX_new(TLS_client_method());
	ssl_server = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(ssl_server, broker.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ssl_server, broker.key), 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(ssl_client);
	SSL_CTX_free(ssl_server);
	tls_free(tls);
	struct pki_cert *all[] = { &ca, &other_ca, &server, &wild, &rsa, &ed, &client, &broker };
	for (size_t i = 0; i < COUNT_OF(all); i++)
		pki_free(all[i]);
	pki_close();
	tls_fini();
	return 0;
}

/* ---- contexts ------------------------------------------------------------------------------- */

/* With the one certificate, unless the parameters have some. */
static struct tls_context *server_of(struct tls_server_params params, const struct pki_cert *cert)
{
	struct tls_certificate only = { .cert_file = NULL };
	if (params.certificate_count == 0) {
		only.cert_file = cert->cert_file;
		only.key_file = cert->key_file;
		params.certificates = &only;
		params.certificate_count = 1;
	}
	bench_hush();
	struct tls_context *context = tls_context_server(&params, &bench_report);
	if (context == NULL)
		fail_msg("%s", bench_said);
	return context;
}

static struct tls_context *client_of(struct tls_client_params params)
{
	bench_hush();
	if (params.ca_file == NULL)
		params.ca_file = ca.cert_file;
	struct tls_context *context = tls_context_client(&params, &bench_report);
	if (context == NULL)
		fail_msg("%s", bench_said);
	return context;
}

/* ---- every version and suite ---------------------------------------------------------------- */

static const struct {
	enum tls_version version;
	enum tls_cipher cipher;
	const char *openssl;
	bool is_rsa;
} suites[] = {
	{ TLS_1_3, TLS_AES_128_GCM, "TLS_AES_128_GCM_SHA256", false },
	{ TLS_1_3, TLS_AES_256_GCM, "TLS_AES_256_GCM_SHA384", false },
	{ TLS_1_3, TLS_CHACHA20_POLY1305, "TLS_CHACHA20_POLY1305_SHA256", true },
	{ TLS_1_2, TLS_AES_128_GCM, "ECDHE-ECDSA-AES128-GCM-SHA256", false },
	{ TLS_1_2, TLS_AES_256_GCM, "ECDHE-ECDSA-AES256-GCM-SHA384", false },
	{ TLS_1_2, TLS_CHACHA20_POLY1305, "ECDHE-ECDSA-CHACHA20-POLY1305", false },
	{ TLS_1_2, TLS_AES_128_GCM, "ECDHE-RSA-AES128-GCM-SHA256", true },
	{ TLS_1_2, TLS_AES_256_GCM, "ECDHE-RSA-AES256-GCM-SHA384", true },
	{ TLS_1_2, TLS_CHACHA20_POLY1305, "ECDHE-RSA-CHACHA20-POLY1305", true },
};

static void only_suite(SSL *ssl, size_t i)
{
	int version = suites[i].version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
	SSL_set_min_proto_version(ssl, version);
	SSL_set_max_proto_version(ssl, version);
	if (suites[i].version == TLS_1_3)
		assert_int_equal(SSL_set_ciphersuites(ssl, suites[i].openssl), 1);
	else
		assert_int_equal(SSL_set_cipher_list(ssl, suites[i].openssl), 1);
}

static void exchange(struct bench *bench)
{
	static uint8_t out[100000], in[100000];

	bench_fill(out, sizeof(out), 1);
	bench_peer_write(bench, out, 50000);
	bench_recv_all(bench, in, 50000, 65536);
	assert_memory_equal(in, out, 50000);

	assert_int_equal(tls_send(bench->end, out, sizeof(out)), sizeof(out));
	assert_int_equal(bench_peer_read(bench, in, sizeof(in)), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
}

static void check_result(struct bench *bench, size_t i)
{
	const struct tls_result *result = tls_result(bench->end);
	assert_int_equal(result->version, suites[i].version);
	assert_int_equal(result->cipher, suites[i].cipher);
	assert_false(result->is_resumed);
	assert_string_equal(SSL_get_cipher_name(bench->ssl), suites[i].openssl);
}

static void every_suite_as_server(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(suites); i++) {
		struct tls_context *context = server_of((struct tls_server_params){ 0 },
							suites[i].is_rsa ? &rsa : &server);
		struct bench bench;
		bench_begin(&bench, tls, context, ssl_client, NULL);
		only_suite(bench.ssl, i);
		bench_connect(&bench);
		check_result(&bench, i);
		bench_start(&bench);
		exchange(&bench);
		bench_end(&bench);
		tls_context_put(context);
	}
	assert_int_equal(bench_count(STAT_TLS_NO_SECRET), 0);
}

static void every_suite_as_client(void **state)
{
	(void)state;
	struct tls_context *context = client_of((struct tls_client_params){ 0 });
	SSL_CTX *rsa_server = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(rsa_server, rsa.cert);
	SSL_CTX_use_PrivateKey(rsa_server, rsa.key);
	for (size_t i = 0; i < COUNT_OF(suites); i++) {
		bool is_rsa = suites[i].is_rsa;
		struct bench bench;
		bench_begin(&bench, tls, context, is_rsa ? rsa_server : ssl_server,
			    is_rsa ? "rsa.example.net" : "broker-1.internal");
		only_suite(bench.ssl, i);
		bench_connect(&bench);
		check_result(&bench, i);
		bench_start(&bench);
		exchange(&bench);
		bench_end(&bench);
	}
	assert_int_equal(bench_count(STAT_TLS_NO_SECRET), 0);
	SSL_CTX_free(rsa_server);
	tls_context_put(context);
}

/* ---- which certificate, which protocol ------------------------------------------------------ */

static struct tls_context *three_certificates(struct tls_server_params params)
{
	static const char *const rsa_names[] = { "**.deep.example.org", "RSA.example.net" };
	static struct tls_certificate all[3];

	all[0] = (struct tls_certificate){ server.cert_file, server.key_file, NULL, NULL, 0 };
	all[1] = (struct tls_certificate){ wild.cert_file, wild.key_file, NULL, NULL, 0 };
	all[2] = (struct tls_certificate){ rsa.cert_file, rsa.key_file, NULL, rsa_names, 2 };
	params.certificates = all;
	params.certificate_count = 3;
	return server_of(params, NULL);
}

static void ask_for(SSL *ssl, const char *name)
{
	assert_int_equal(SSL_set_tlsext_host_name(ssl, (void *)(uintptr_t)name), 1);
}

static void expect_certificate(struct tls_context *context, const char *name,
			       const struct pki_cert *expected)
{
	struct bench bench;

	bench_begin(&bench, tls, context, ssl_client, NULL);
	if (name != NULL)
		ask_for(bench.ssl, name);
	bench_connect(&bench);
	X509 *shown = SSL_get1_peer_certificate(bench.ssl);
	assert_int_equal(X509_cmp(shown, expected->cert), 0);
	X509_free(shown);
	bench_end(&bench);
}

static void server_name_chooses_the_certificate(void **state)
{
	(void)state;
	struct tls_context *context = three_certificates((struct tls_server_params){ 0 });
	expect_certificate(context, "gw2.example.com", &server);
	expect_certificate(context, "GW.Example.Com", &server);
	expect_certificate(context, "else.example.com", &wild);
	expect_certificate(context, "a.b.example.com", &server); /* no such: the default */
	expect_certificate(context, "rsa.example.net", &rsa);
	expect_certificate(context, "x.y.deep.example.org", &rsa);
	expect_certificate(context, NULL, &server);
	tls_context_put(context);
}

static void server_name_is_in_the_result(void **state)
{
	(void)state;
	struct tls_context *context = three_certificates((struct tls_server_params){ 0 });
	struct bench bench;
	bench_begin(&bench, tls, context, ssl_client, NULL);
	ask_for(bench.ssl, "Else.EXAMPLE.com");
	bench_connect(&bench);
	assert_span(tls_result(bench.end)->server_name, "else.example.com");
	assert_false(tls_result(bench.end)->peer.has_certificate);
	bench_end(&bench);
	tls_context_put(context);
}

static void names_can_be_required(void **state)
{
	(void)state;
	struct tls_context *context = three_certificates((struct tls_server_params){
		.is_unknown_name_refused = true, .is_name_required = true });
	struct bench bench;

	bench_begin(&bench, tls, context, ssl_client, NULL);
	ask_for(bench.ssl, "evil.example.com.evil");
	bench_refused(&bench, TLS_FAIL_UNKNOWN_NAME, 112);
	bench_end(&bench);
	bench_begin(&bench, tls, context, ssl_client, NULL);
	bench_refused(&bench, TLS_FAIL_MISSING_NAME, 109);
	bench_end(&bench);
	bench_begin(&bench, tls, context, ssl_client, NULL);
	SSL_set_max_proto_version(bench.ssl, TLS1_2_VERSION);
	bench_refused(&bench, TLS_FAIL_MISSING_NAME, 40);
	bench_end(&bench);
	tls_context_put(context);
}

static void offer(SSL *ssl, const char *protocols)
{
	assert_int_equal(SSL_set_alpn_protos(ssl, (const uint8_t *)protocols,
					     (unsigned)strlen(protocols)),
			 0);
}

static void alpn_by_our_preference(void **state)
{
	static const char *const ours[] = { "pulsar", "kafka" };
	(void)state;
	struct tls_context *context =
		server_of((struct tls_server_params){ .common = { .alpn = ours, .alpn_count = 2 } },
			  &server);
	for (int max = TLS1_2_VERSION; max <= TLS1_3_VERSION; max++) {
		struct bench bench;
		const uint8_t *chosen;
		unsigned len;
		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, max);
		offer(bench.ssl, "\2h2\5kafka\6pulsar");
		bench_connect(&bench);
		SSL_get0_alpn_selected(bench.ssl, &chosen, &len);
		assert_span(span_of(chosen, len), "pulsar");
		assert_span(tls_result(bench.end)->alpn, "pulsar");
		struct span agreed;
		assert_true(tls_alpn(bench.end, &agreed));
		assert_span(agreed, "pulsar");
		bench_end(&bench);

		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, max);
		offer(bench.ssl, "\2h2\10http/1.1");
		bench_refused(&bench, TLS_FAIL_ALPN, 120);
		bench_end(&bench);

		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, max);
		bench_connect(&bench);
		assert_int_equal(tls_result(bench.end)->alpn.len, 0);
		assert_true(tls_alpn(bench.end, &agreed));
		assert_int_equal(agreed.len, 0);
		bench_end(&bench);
	}
	tls_context_put(context);
}

static int choose_kafka(SSL *ssl, const uint8_t **out, uint8_t *len, const uint8_t *in,
			unsigned in_len, void *arg)
{
	(void)ssl, (void)arg;
	assert_memory_equal(in, "\6pulsar\5kafka", in_len);
	*out = in + 8;
	*len = 5;
	return SSL_TLSEXT_ERR_OK;
}

static void alpn_as_client(void **state)
{
	static const char *const ours[] = { "pulsar", "kafka" };
	(void)state;
	struct tls_context *context = client_of(
		(struct tls_client_params){ .common = { .alpn = ours, .alpn_count = 2 } });
	struct bench bench;
	SSL_CTX_set_alpn_select_cb(ssl_server, choose_kafka, NULL);
	bench_begin(&bench, tls, context, ssl_server, "broker-1.internal");
	bench_connect(&bench);
	SSL_CTX_set_alpn_select_cb(ssl_server, NULL, NULL);
	assert_span(tls_result(bench.end)->alpn, "kafka");
	assert_string_equal(SSL_get_servername(bench.ssl, TLSEXT_NAMETYPE_host_name),
			    "broker-1.internal");
	bench_end(&bench);
	tls_context_put(context);
}

static uint8_t alpn_seen[64];
static size_t alpn_seen_len;

static int see_alpn(SSL *ssl, const uint8_t **out, uint8_t *len, const uint8_t *in, unsigned in_len,
		    void *arg)
{
	(void)ssl, (void)out, (void)len, (void)arg;
	assert_true(in_len <= sizeof(alpn_seen));
	memcpy(alpn_seen, in, in_len);
	alpn_seen_len = in_len;
	return SSL_TLSEXT_ERR_NOACK;
}

/* What somebody else has agreed on, and what of our list is offered then. Nobody has to choose. */
static void alpn_of_somebody_else(void **state)
{
	static const char *const ours[] = { "h2", "http/1.1" };
	static const struct {
		const char *agreed, *offered; /* NULL: not asked */
	} rows[] = {
		{ NULL, "\2h2\10http/1.1" },
		{ "h2", "\2h2" },
		{ "http/1.1", "\10http/1.1" },
		{ "h3", "" },
		{ "", "" },
	};
	(void)state;
	struct tls_context *context = client_of(
		(struct tls_client_params){ .common = { .alpn = ours, .alpn_count = 2 } });

	SSL_CTX_set_alpn_select_cb(ssl_server, see_alpn, NULL);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bench bench;

		alpn_seen_len = 0;
		bench_begin(&bench, tls, context, ssl_server, "broker-1.internal");
		if (rows[i].agreed != NULL)
			tls_offer_only(bench.end, span_str(rows[i].agreed));
		bench_connect(&bench);
		assert_span(span_of(alpn_seen, alpn_seen_len), rows[i].offered);
		assert_int_equal(tls_result(bench.end)->alpn.len, 0);
		bench_end(&bench);
	}
	SSL_CTX_set_alpn_select_cb(ssl_server, NULL, NULL);
	tls_context_put(context);
}

/* ---- versions ------------------------------------------------------------------------------- */

static void versions_have_bounds(void **state)
{
	(void)state;
	struct tls_context *new_only =
		server_of((struct tls_server_params){ .common = { .version_min = TLS_1_3 } },
			  &server);
	struct tls_context *old_only =
		server_of((struct tls_server_params){ .common = { .version_max = TLS_1_2 } },
			  &server);
	struct bench bench;

	bench_begin(&bench, tls, new_only, ssl_client, NULL);
	SSL_set_max_proto_version(bench.ssl, TLS1_2_VERSION);
	bench_refused(&bench, TLS_FAIL_VERSION, 70);
	bench_end(&bench);

	bench_begin(&bench, tls, old_only, ssl_client, NULL);
	bench_connect(&bench);
	assert_int_equal(tls_result(bench.end)->version, TLS_1_2);
	bench_end(&bench);

	bench_begin(&bench, tls, old_only, ssl_client, NULL);
	SSL_set_min_proto_version(bench.ssl, TLS1_3_VERSION);
	bench_refused(&bench, TLS_FAIL_VERSION, 70);
	bench_end(&bench);

	bench_begin(&bench, tls, old_only, ssl_client, NULL);
	SSL_set_security_level(bench.ssl, 0);
	SSL_set_min_proto_version(bench.ssl, TLS1_VERSION);
	SSL_set_max_proto_version(bench.ssl, TLS1_1_VERSION);
	bench_refused(&bench, TLS_FAIL_VERSION, 70);
	bench_end(&bench);
	tls_context_put(new_only);
	tls_context_put(old_only);
}

static void brokers_may_be_too_old(void **state)
{
	(void)state;
	struct tls_context *context =
		client_of((struct tls_client_params){ .common = { .version_min = TLS_1_3 } });
	struct bench bench;
	bench_begin(&bench, tls, context, ssl_server, "broker-1.internal");
	SSL_set_max_proto_version(bench.ssl, TLS1_2_VERSION);
	bench_shake(&bench);
	/* OpenSSL is the one to refuse. */
	assert_int_equal(bench.progress, TLS_FAILED);
	assert_int_equal(tls_why(bench.end), TLS_FAIL_PEER_ALERT);
	assert_int_equal(tls_why_alert(bench.end), 70);
	bench_end(&bench);
	tls_context_put(context);
}

static void no_cipher_in_common(void **state)
{
	(void)state;
	struct tls_context *context = server_of((struct tls_server_params){ 0 }, &server);
	struct bench bench;
	bench_begin(&bench, tls, context, ssl_client, NULL);
	SSL_set_max_proto_version(bench.ssl, TLS1_2_VERSION);
	assert_int_equal(SSL_set_cipher_list(bench.ssl, "ECDHE-ECDSA-AES128-SHA256"), 1);
	bench_refused(&bench, TLS_FAIL_NO_CIPHER, 40);
	bench_end(&bench);
	tls_context_put(context);
}

/* A key share for a group we do not have: HelloRetryRequest, and secrets all the same. */
static void hello_retry(void **state)
{
	(void)state;
	struct tls_context *context = server_of((struct tls_server_params){ 0 }, &server);
	for (size_t i = 0; i < 2; i++) {
		struct bench bench;
		bench_begin(&bench, tls, context, ssl_client, NULL);
		only_suite(bench.ssl, i);
		assert_int_equal(SSL_set1_groups_list(bench.ssl, "X448:P-256"), 1);
		bench_connect(&bench);
		bench_start(&bench);
		exchange(&bench);
		bench_end(&bench);
	}
	tls_context_put(context);

	context = client_of((struct tls_client_params){ 0 });
	struct bench bench;
	bench_begin(&bench, tls, context, ssl_server, "broker-1.internal");
	assert_int_equal(SSL_set1_groups_list(bench.ssl, "P-384"), 1);
	bench_connect(&bench);
	bench_start(&bench);
	exchange(&bench);
	bench_end(&bench);
	tls_context_put(context);
	assert_int_equal(bench_count(STAT_TLS_NO_SECRET), 0);
}

/* ---- client certificates -------------------------------------------------------------------- */

static void show(SSL *ssl, const struct pki_cert *cert)
{
	assert_int_equal(SSL_use_certificate(ssl, cert->cert), 1);
	assert_int_equal(SSL_use_PrivateKey(ssl, cert->key), 1);
}

static const int both_versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void client_certificate_is_read(void **state)
{
	(void)state;
	struct tls_context *context =
		server_of((struct tls_server_params){ .client_auth = TLS_CLIENT_AUTH_REQUIRE,
						      .client_ca_file = ca.cert_file },
			  &server);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;
		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &client);
		bench_connect(&bench);
		const struct tls_peer *peer = &tls_result(bench.end)->peer;
		assert_true(peer->has_certificate);
		assert_span(peer->subject, "CN=client-1,O=penstock");
		assert_span(peer->common_name, "client-1");
		assert_int_equal(peer->name_count, 4);
		assert_int_equal(peer->names[0].kind, TLS_NAME_DNS);
		assert_span(peer->names[0].text, "c1.example.com");
		assert_int_equal(peer->names[1].kind, TLS_NAME_URI);
		assert_span(peer->names[1].text, "spiffe://x/c1");
		assert_int_equal(peer->names[2].kind, TLS_NAME_IP);
		assert_span(peer->names[2].text, "10.1.2.3");
		assert_span(peer->names[3].text, "2001:db8::1");
		bench_start(&bench);
		exchange(&bench);
		bench_end(&bench);
	}
	tls_context_put(context);
}

static void client_certificate_may_be_denied(void **state)
{
	(void)state;
	struct tls_context *context =
		server_of((struct tls_server_params){ .client_auth = TLS_CLIENT_AUTH_OPTIONAL,
						      .client_ca_file = ca.cert_file },
			  &server);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;
		char byte;
		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		bench_connect(&bench);
		assert_false(tls_result(bench.end)->peer.has_certificate);
		tls_refuse(bench.end, TLS_FAIL_CERT_DENIED);
		assert_int_equal(tls_why_alert(bench.end), 49);
		ERR_clear_error();
		assert_true(SSL_read(bench.ssl, &byte, 1) <= 0);
		assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + 49);
		bench_end(&bench);
	}
	tls_context_put(context);
}

/* OpenSSL hears of it only when it reads, since TLS 1.3 clients are done before we are. */
static void client_is_refused(struct tls_context *context, int version, const struct pki_cert *cert,
			      enum tls_fail why, int alert)
{
	struct bench bench;
	char byte;

	bench_begin(&bench, tls, context, ssl_client, NULL);
	SSL_set_min_proto_version(bench.ssl, version);
	SSL_set_max_proto_version(bench.ssl, version);
	if (cert != NULL)
		show(bench.ssl, cert);
	bench_shake(&bench);
	if (bench.ssl_error == SSL_ERROR_NONE) {
		ERR_clear_error();
		bench.ssl_error = SSL_get_error(bench.ssl, SSL_read(bench.ssl, &byte, 1));
		bench.ssl_reason = ERR_peek_error();
	}
	bench_refused(&bench, why, alert);
	bench_end(&bench);
}

static void client_certificates_are_judged(void **state)
{
	(void)state;
	struct pki_cert expired =
		pki_issue("expired",
			  &(struct pki_wish){
				  .common_name = "expired", .from_s = -7200, .until_s = -3600 },
			  &ca, NULL);
	struct pki_cert early =
		pki_issue("early", &(struct pki_wish){ .common_name = "early", .from_s = 3600 },
			  &ca, NULL);
	struct pki_cert stranger =
		pki_issue("stranger", &(struct pki_wish){ .common_name = "stranger" }, &other_ca,
			  NULL);
	struct pki_cert own =
		pki_issue("own", &(struct pki_wish){ .common_name = "own" }, NULL, NULL);
	struct tls_context *context =
		server_of((struct tls_server_params){ .client_auth = TLS_CLIENT_AUTH_REQUIRE,
						      .client_ca_file = ca.cert_file },
			  &server);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		int version = both_versions[i];
		client_is_refused(context, version, NULL, TLS_FAIL_CERT_MISSING,
				  version == TLS1_3_VERSION ? 116 : 40);
		client_is_refused(context, version, &expired, TLS_FAIL_CERT_EXPIRED, 45);
		client_is_refused(context, version, &early, TLS_FAIL_CERT_EXPIRED, 45);
		client_is_refused(context, version, &stranger, TLS_FAIL_CERT_UNKNOWN_CA, 48);
		client_is_refused(context, version, &own, TLS_FAIL_CERT_UNKNOWN_CA, 48);
		client_is_refused(context, version, &broker, TLS_FAIL_CERT_USAGE, 43);
	}
	tls_context_put(context);
	pki_free(&expired);
	pki_free(&early);
	pki_free(&stranger);
	pki_free(&own);
}

static void client_certificates_are_revoked(void **state)
{
	char crl[128], stale[128], foreign[128];
	(void)state;
	struct pki_cert bad =
		pki_issue("bad", &(struct pki_wish){ .common_name = "bad" }, &ca, NULL);
	pki_revoke(crl, "ca", &ca, &bad, 86400);
	pki_revoke(stale, "stale", &ca, &bad, -3600);
	pki_revoke(foreign, "foreign", &other_ca, NULL, 86400);
	struct tls_server_params params = { .client_auth = TLS_CLIENT_AUTH_REQUIRE,
					    .client_ca_file = ca.cert_file,
					    .crl_file = crl };
	struct tls_context *context = server_of(params, &server);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;
		client_is_refused(context, both_versions[i], &bad, TLS_FAIL_CERT_REVOKED, 44);
		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &client);
		bench_connect(&bench);
		bench_end(&bench);
	}
	tls_context_put(context);
	/* A list that has run out, and one of somebody else, say nothing. */
	static const struct {
		bool is_stale;
		const char *said;
	} useless[] = { { true, "revocation list 1 is out of date" },
			{ false, "signed by nobody we trust" } };
	for (size_t i = 0; i < COUNT_OF(useless); i++) {
		struct tls_certificate only = { .cert_file = server.cert_file,
						.key_file = server.key_file };
		params.crl_file = useless[i].is_stale ? stale : foreign;
		params.certificates = &only;
		params.certificate_count = 1;
		bench_hush();
		assert_null(tls_context_server(&params, &bench_report));
		assert_non_null(strstr(bench_said, useless[i].said));
	}
	pki_free(&bad);
}

/* ---- brokers' certificates ------------------------------------------------------------------ */

static void broker_is(struct tls_context *context, const char *host, bool is_fine)
{
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;
		bench_begin(&bench, tls, context, ssl_server, host);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		if (is_fine)
			bench_connect(&bench);
		else
			bench_refused(&bench, TLS_FAIL_CERT_NAME, 42);
		bench_end(&bench);
	}
}

static void brokers_names_are_checked(void **state)
{
	(void)state;
	struct tls_context *context = client_of((struct tls_client_params){ 0 });
	broker_is(context, "broker-1.internal", true);
	broker_is(context, "BROKER-1.internal", true);
	broker_is(context, "x.b.internal", true);
	broker_is(context, "127.0.0.1", true);
	broker_is(context, "broker-2.internal", false);
	broker_is(context, "x.y.b.internal", false);
	broker_is(context, "b.internal", false);
	broker_is(context, "127.0.0.2", false);
	broker_is(context, "broker", false); /* the CN does not count beside names */
	tls_context_put(context);
	context = client_of((struct tls_client_params){ .is_name_unchecked = true });
	broker_is(context, "broker-2.internal", true);
	tls_context_put(context);
}

static void brokers_certificates_are_judged(void **state)
{
	(void)state;
	struct tls_context *context =
		client_of((struct tls_client_params){ .ca_file = other_ca.cert_file });
	struct tls_context *trusting =
		client_of((struct tls_client_params){ .is_peer_unchecked = true });
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;
		bench_begin(&bench, tls, context, ssl_server, "broker-1.internal");
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		bench_refused(&bench, TLS_FAIL_CERT_UNKNOWN_CA, 48);
		bench_end(&bench);

		bench_begin(&bench, tls, trusting, ssl_server, "anything");
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		bench_connect(&bench);
		bench_end(&bench);

		bench_begin(&bench, tls, trusting, ssl_server, "anything");
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &client);
		bench_connect(&bench);
		bench_end(&bench);
	}
	tls_context_put(context);
	tls_context_put(trusting);
}

static void broker_shows(struct tls_context *context, const struct pki_cert *shown,
			 enum tls_fail why, uint8_t alert)
{
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;
		bench_begin(&bench, tls, context, ssl_server, "broker-1.internal");
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		if (shown != NULL)
			show(bench.ssl, shown);
		if (why == TLS_FAIL_NONE)
			bench_connect(&bench);
		else
			bench_refused(&bench, why, alert);
		bench_end(&bench);
	}
}

static void brokers_certificates_end(void **state)
{
	(void)state;
	char crl[128], stale[128];
	struct pki_cert expired = pki_issue("spent",
					    &(struct pki_wish){ .names = "DNS:broker-1.internal",
								.from_s = -7200,
								.until_s = -60 },
					    &ca, NULL);
	struct pki_cert bad =
		pki_issue("lost", &(struct pki_wish){ .names = "DNS:broker-1.internal" }, &ca,
			  NULL);
	pki_revoke(crl, "brokers", &ca, &bad, 86400);
	pki_revoke(stale, "brokers-stale", &ca, &bad, -3600);
	struct tls_context *context = client_of((struct tls_client_params){ .crl_file = crl });
	broker_shows(context, NULL, TLS_FAIL_NONE, 0);
	broker_shows(context, &bad, TLS_FAIL_CERT_REVOKED, 44);
	broker_shows(context, &expired, TLS_FAIL_CERT_EXPIRED, 45);
	tls_context_put(context);
	bench_hush();
	assert_null(tls_context_client(&(struct tls_client_params){ .ca_file = ca.cert_file,
								    .crl_file = stale },
				       &bench_report));
	assert_non_null(strstr(bench_said, "revocation list 1 is out of date"));
	pki_free(&expired);
	pki_free(&bad);
}

static void we_show_brokers_a_certificate(void **state)
{
	(void)state;
	struct tls_context *context = client_of((struct tls_client_params){
		.cert_file = client.cert_file, .key_file = client.key_file });
	struct tls_context *rsa_context = client_of(
		(struct tls_client_params){ .cert_file = rsa.cert_file, .key_file = rsa.key_file });
	X509_STORE *store = SSL_CTX_get_cert_store(ssl_server);
	X509_STORE_add_cert(store, ca.cert);
	for (size_t i = 0; i < 4; i++) {
		bool is_rsa = i >= 2;
		struct bench bench;
		bench_begin(&bench, tls, is_rsa ? rsa_context : context, ssl_server,
			    "broker-1.internal");
		SSL_set_max_proto_version(bench.ssl, both_versions[i % 2]);
		SSL_set_verify(bench.ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		bench_connect(&bench);
		X509 *shown = SSL_get1_peer_certificate(bench.ssl);
		assert_int_equal(X509_cmp(shown, is_rsa ? rsa.cert : client.cert), 0);
		X509_free(shown);
		bench_start(&bench);
		exchange(&bench);
		bench_end(&bench);
	}
	tls_context_put(context);
	tls_context_put(rsa_context);
}

/* ---- resumption ----------------------------------------------------------------------------- */

static SSL_SESSION *last_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last_session);
	last_session = session;
	return 1;
}

static void forget_session(void)
{
	SSL_SESSION_free(last_session);
	last_session = NULL;
}

/* A handshake with the session kept, if there is one; was it resumed? */
static bool shake_again(struct tls_context *context, int version, const char *name)
{
	struct bench bench;
	char byte;
	bench_begin(&bench, tls, context, ssl_client, NULL);
	SSL_set_max_proto_version(bench.ssl, version);
	ask_for(bench.ssl, name);
	if (last_session != NULL)
		SSL_set_session(bench.ssl, last_session);
	bench_connect(&bench);
	bool is_resumed = tls_result(bench.end)->is_resumed;
	assert_int_equal(is_resumed, SSL_session_reused(bench.ssl));
	bench_start(&bench);
	exchange(&bench);
	(void)SSL_read(bench.ssl, &byte, 1);					/* the ticket */
	SSL_set_shutdown(bench.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else it is bad */
	bench_end(&bench);
	return is_resumed;
}

static void sessions_are_resumed(void **state)
{
	(void)state;
	struct tls_tickets *tickets = tls_tickets_new();
	struct tls_server_params params = { .tickets = tickets, .ticket_scope = "pulsar-tls" };
	struct tls_context *context = three_certificates(params);
	struct tls_context *reloaded = three_certificates(params);
	params.ticket_scope = "kafka-tls";
	struct tls_context *elsewhere = three_certificates(params);
	SSL_CTX_set_session_cache_mode(ssl_client, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ssl_client, keep_session);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		int version = both_versions[i];
		assert_false(shake_again(context, version, "gw.example.com"));
		assert_true(shake_again(context, version, "gw.example.com"));
		assert_true(shake_again(reloaded, version, "gw.example.com"));
		assert_false(shake_again(context, version, "gw2.example.com")); /* another name */
		forget_session();
		assert_false(shake_again(context, version, "gw2.example.com"));
		assert_false(shake_again(elsewhere, version, "gw2.example.com")); /* listener */
		forget_session();
		assert_false(shake_again(context, version, "gw2.example.com"));
		assert_true(shake_again(context, version, "gw2.example.com"));
		tls_tickets_rotate(tickets);
		assert_true(shake_again(context, version, "gw2.example.com"));
		for (int turns = 0; turns < 3; turns++)
			tls_tickets_rotate(tickets);
		assert_false(shake_again(context, version, "gw2.example.com"));
		forget_session();
	}
	SSL_CTX_sess_set_new_cb(ssl_client, NULL);
	SSL_CTX_set_session_cache_mode(ssl_client, SSL_SESS_CACHE_OFF);
	tls_context_put(context);
	tls_context_put(reloaded);
	tls_context_put(elsewhere);
	tls_tickets_free(tickets);
	assert_int_equal(bench_count(STAT_TLS_NO_SECRET), 0);
}

static bool broker_again(struct tls_context *context, SSL_CTX *peer, int version, const char *host)
{
	struct bench bench;
	uint8_t byte;
	bench_begin(&bench, tls, context, peer, host);
	SSL_set_max_proto_version(bench.ssl, version);
	bench_connect(&bench);
	bool is_resumed = tls_result(bench.end)->is_resumed;
	assert_int_equal(is_resumed, SSL_session_reused(bench.ssl));
	bench_start(&bench);
	assert_int_equal(tls_recv(bench.end, &byte, 1), -EAGAIN); /* takes the ticket */
	exchange(&bench);
	/* A server forgets a session that was cut. */
	SSL_set_shutdown(bench.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	bench_end(&bench);
	return is_resumed;
}

static void sessions_with_brokers_are_resumed(void **state)
{
	(void)state;
	SSL_CTX_set_session_id_context(ssl_server, (const uint8_t *)"b", 1);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct tls_context *context =
			client_of((struct tls_client_params){ .session_count = 8 });
		int version = both_versions[i];
		assert_false(broker_again(context, ssl_server, version, "broker-1.internal"));
		assert_true(broker_again(context, ssl_server, version, "broker-1.internal"));
		assert_true(broker_again(context, ssl_server, version, "broker-1.internal"));
		assert_false(broker_again(context, ssl_server, version, "x.b.internal"));
		assert_true(broker_again(context, ssl_server, version, "x.b.internal"));
		/* One it does not know any more is declined, and nothing is wrong with that. */
		if (version == TLS1_2_VERSION) {
			SSL_CTX_flush_sessions(ssl_server, LONG_MAX);
			assert_false(broker_again(context, ssl_server, version, "x.b.internal"));
			assert_true(broker_again(context, ssl_server, version, "x.b.internal"));
		}
		tls_context_put(context);
	}
}

static void no_session_is_kept_with_client_certificates(void **state)
{
	(void)state;
	struct tls_tickets *tickets = tls_tickets_new();
	struct tls_context *context =
		server_of((struct tls_server_params){ .client_auth = TLS_CLIENT_AUTH_OPTIONAL,
						      .client_ca_file = ca.cert_file,
						      .tickets = tickets },
			  &server);
	SSL_CTX_set_session_cache_mode(ssl_client, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ssl_client, keep_session);
	assert_false(shake_again(context, TLS1_3_VERSION, "gw.example.com"));
	assert_false(shake_again(context, TLS1_3_VERSION, "gw.example.com"));
	assert_null(last_session);
	SSL_CTX_sess_set_new_cb(ssl_client, NULL);
	SSL_CTX_set_session_cache_mode(ssl_client, SSL_SESS_CACHE_OFF);
	tls_context_put(context);
	tls_tickets_free(tickets);
}

/* ---- a stapled answer ----------------------------------------------------------------------- */

static void answers_are_stapled(void **state)
{
	char staple[128];
	(void)state;
	pki_staple(staple, "server", &ca, &server);
	const struct tls_certificate all[] = {
		{ .cert_file = wild.cert_file, .key_file = wild.key_file },
		{ .cert_file = server.cert_file, .key_file = server.key_file, .ocsp_file = staple },
	};
	struct tls_context *context =
		server_of((struct tls_server_params){ .certificates = all, .certificate_count = 2 },
			  NULL);
	for (size_t i = 0; i < 2 * COUNT_OF(both_versions); i++) {
		struct bench bench;
		const uint8_t *answer = NULL;
		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i % 2]);
		ask_for(bench.ssl, i < 2 ? "gw.example.com" : "other.example.com");
		SSL_set_tlsext_status_type(bench.ssl, TLSEXT_STATUSTYPE_ocsp);
		bench_connect(&bench);
		long size = SSL_get_tlsext_status_ocsp_resp(bench.ssl, &answer);
		assert_int_equal(size > 0, i == 0); /* in TLS 1.2, and for this one */
		bench_end(&bench);
	}
	tls_context_put(context);
}

/* ---- reload --------------------------------------------------------------------------------- */

static void connections_outlive_their_context(void **state)
{
	(void)state;
	struct tls_context *context = server_of((struct tls_server_params){ 0 }, &server);
	struct bench shaking, open;
	bench_begin(&open, tls, context, ssl_client, NULL);
	bench_connect(&open);
	bench_start(&open);
	bench_begin(&shaking, tls, context, ssl_client, NULL);
	bench_step_peer(&shaking);
	shaking.progress = tls_handshake(shaking.end);
	tls_context_put(context);
	bench_connect(&shaking);
	bench_start(&shaking);
	exchange(&shaking);
	exchange(&open);
	bench_end(&shaking);
	bench_end(&open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_suite_as_server),
		cmocka_unit_test(every_suite_as_client),
		cmocka_unit_test(server_name_chooses_the_certificate),
		cmocka_unit_test(server_name_is_in_the_result),
		cmocka_unit_test(names_can_be_required),
		cmocka_unit_test(alpn_by_our_preference),
		cmocka_unit_test(alpn_as_client),
		cmocka_unit_test(alpn_of_somebody_else),
		cmocka_unit_test(versions_have_bounds),
		cmocka_unit_test(brokers_may_be_too_old),
		cmocka_unit_test(no_cipher_in_common),
		cmocka_unit_test(hello_retry),
		cmocka_unit_test(client_certificate_is_read),
		cmocka_unit_test(client_certificate_may_be_denied),
		cmocka_unit_test(client_certificates_are_judged),
		cmocka_unit_test(client_certificates_are_revoked),
		cmocka_unit_test(brokers_names_are_checked),
		cmocka_unit_test(brokers_certificates_are_judged),
		cmocka_unit_test(brokers_certificates_end),
		cmocka_unit_test(we_show_brokers_a_certificate),
		cmocka_unit_test(sessions_are_resumed),
		cmocka_unit_test(sessions_with_brokers_are_resumed),
		cmocka_unit_test(no_session_is_kept_with_client_certificates),
		cmocka_unit_test(answers_are_stapled),
		cmocka_unit_test(connections_outlive_their_context),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
