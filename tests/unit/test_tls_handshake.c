/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * src/tls against OpenSSL: every version and suite in both roles, and what a handshake agrees on.
 */
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

static struct tls_context *server_of(struct tls_server_params params, const struct pki_cert *cert)
{
	const struct tls_certificate only = { .cert_file = cert->cert_file,
					      .key_file = cert->key_file };
	bench_hush();
	if (params.certificate_count == 0) {
		params.certificates = &only;
		params.certificate_count = 1;
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_suite_as_server),
		cmocka_unit_test(every_suite_as_client),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
