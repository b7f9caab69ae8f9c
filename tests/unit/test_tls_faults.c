/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * src/tls when the other side, or memory, fails in the middle of a handshake: what is in the log
 * and what the peer is told.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include <openssl/core_names.h>

#include "../../src/tls/tls_end_priv.h"
#include "tls_bench.h"

#define MEMORY_MAX (64u << 20)

static struct pki_cert ca, server, client;
static struct tls *tls;
static struct tls_context *as_server, *as_client, *asking;
static SSL_CTX *ssl_client, *ssl_server;

static const int both_versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void show(SSL *ssl, const struct pki_cert *cert)
{
	assert_int_equal(SSL_use_certificate(ssl, cert->cert), 1);
	assert_int_equal(SSL_use_PrivateKey(ssl, cert->key), 1);
}

static int set_up(void **state)
{
	(void)state;
	pki_open();
	ca = pki_issue("ca", &(struct pki_wish){ .common_name = "ca", .is_ca = true }, NULL, NULL);
	server = pki_issue("server",
			   &(struct pki_wish){ .common_name = "b", .names = "DNS:b.internal" }, &ca,
			   NULL);
	client = pki_issue("client", &(struct pki_wish){ .common_name = "c" }, &ca, NULL);
	assert_int_equal(tls_init(MEMORY_MAX), 0);
	assert_int_equal(tls_new(&tls, 8, 4, &bench_stats), 0);

	const struct tls_certificate only = { .cert_file = server.cert_file,
					      .key_file = server.key_file };
	struct tls_server_params params = { .certificates = &only, .certificate_count = 1 };

	as_server = tls_context_server(&params, &bench_report);
	params.client_auth = TLS_CLIENT_AUTH_REQUIRE;
	params.client_ca_file = ca.cert_file;
	asking = tls_context_server(&params, &bench_report);
	as_client = tls_context_client(&(struct tls_client_params){ .ca_file = ca.cert_file },
				       &bench_report);
	assert_non_null(as_server);
	assert_non_null(asking);
	assert_non_null(as_client);
	ssl_client = SSL_CTX_new(TLS_client_method());
	ssl_server = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(ssl_server, server.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ssl_server, server.key), 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(ssl_client);
	SSL_CTX_free(ssl_server);
	tls_context_put(as_server);
	tls_context_put(asking);
	tls_context_put(as_client);
	tls_free(tls);
	pki_free(&ca);
	pki_free(&server);
	pki_free(&client);
	pki_close();
	tls_fini();
	return 0;
}

enum side { SERVER, ASKING, CLIENT };

static void begin(struct bench *bench, enum side side, int version)
{
	struct tls_context *const contexts[] = { as_server, asking, as_client };

	bench_begin(bench, tls, contexts[side], side == CLIENT ? ssl_server : ssl_client,
		    side == CLIENT ? "b.internal" : NULL);
	if (side == ASKING)
		show(bench->ssl, &client);
	SSL_set_min_proto_version(bench->ssl, version);
	SSL_set_max_proto_version(bench->ssl, version);
}

/* A TLS 1.3 client is done before we are: it hears what we say when it reads. */
static void hear(struct bench *bench)
{
	char byte;

	if (bench->ssl_error != SSL_ERROR_NONE || bench->progress != TLS_FAILED)
		return;
	ERR_clear_error();
	bench->ssl_error = SSL_get_error(bench->ssl, SSL_read(bench->ssl, &byte, 1));
	bench->ssl_reason = ERR_peek_error();
}

/* ---- memory --------------------------------------------------------------------------------- */

/* wolfSSL keeps a table for each key it has verified with twice, 807 KiB each, for 15 keys. */
static void fill_caches(enum side side, int version)
{
	for (int i = 0; i < 3; i++) {
		struct bench bench;

		begin(&bench, side, version);
		bench_connect(&bench);
		bench_end(&bench);
	}
}

/* Limits from nothing to enough: until then it is always the same that is said, whatever it was
 * that found no room, and nothing is left behind. */
static void memory_runs_out(enum side side, int version)
{
	struct tls_memory before, after;
	uint32_t refused = 0;

	fill_caches(side, version);
	tls_memory(&before);
	for (uint64_t room = 0;; room += 701) {
		struct bench bench;
		uint64_t refused_before = tls_memory_refused();

		assert_int_equal(tls_memory_init((size_t)(before.used + room)), 0);
		begin(&bench, side, version);
		bench_shake(&bench);
		hear(&bench);
		bool is_done = bench.progress == TLS_DONE;

		if (!is_done) {
			assert_int_equal(bench.progress, TLS_FAILED);
			if (tls_why(bench.end) != TLS_FAIL_NO_MEMORY)
				fail_msg("%u bytes: %s (%s)", (unsigned)room,
					 tls_fail_rows[tls_why(bench.end)].name,
					 tls_why_detail(bench.end));
			if (side != CLIENT && tls_why_alert(bench.end) != bench_heard(&bench))
				fail_msg("%u bytes: alert %d, heard %d", (unsigned)room,
					 tls_why_alert(bench.end), bench_heard(&bench));
			refused++;
		} else if (side == ASKING) {
			assert_true(tls_result(bench.end)->peer.has_certificate);
		}
		bench_end(&bench);
		tls_memory(&after);
		assert_int_equal(after.used, before.used);
		assert_true(after.most < before.used || after.used <= after.most);
		if (is_done && tls_memory_refused() == refused_before)
			break;
		assert_true(tls_memory_refused() > refused_before);
		assert_true(room < 1 << 20);
	}
	assert_true(refused > 40);
	assert_int_equal(tls_memory_init(MEMORY_MAX), 0);
}

static void memory_of_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		memory_runs_out(SERVER, both_versions[i]);
		memory_runs_out(ASKING, both_versions[i]);
	}
}

static void memory_of_clients(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(both_versions); i++)
		memory_runs_out(CLIENT, both_versions[i]);
}

/* ---- a peer that goes away ------------------------------------------------------------------- */

static void go_away(struct bench *bench, bool is_reset)
{
	const struct linger linger = { .l_onoff = 1 };

	if (is_reset)
		assert_int_equal(setsockopt(bench->peer_fd, SOL_SOCKET, SO_LINGER, &linger,
					    sizeof(linger)),
				 0);
	else
		assert_int_equal(shutdown(bench->peer_fd, SHUT_WR), 0);
	if (is_reset)
		net_close(bench->peer_fd, false);
}

/* After so many steps of the handshake. */
static void peer_goes_away(bool is_server, int version, int steps, bool is_reset)
{
	struct bench bench;

	begin(&bench, is_server ? SERVER : CLIENT, version);
	for (int i = 0; i < steps; i++) {
		if (is_server == (i % 2 == 0))
			bench_step_peer(&bench);
		else
			bench.progress = tls_handshake(bench.end);
		assert_int_equal(bench.progress, TLS_WANT_READ);
	}
	go_away(&bench, is_reset);
	bench_wait(bench.fd, POLLIN);
	bench.progress = tls_handshake(bench.end);
	assert_int_equal(bench.progress, TLS_FAILED);
	assert_int_equal(tls_why(bench.end), is_reset ? TLS_FAIL_RESET : TLS_FAIL_GONE);
	assert_int_equal(tls_why_alert(bench.end), 0);
	if (is_reset) /* it is closed */
		SSL_set_quiet_shutdown(bench.ssl, 1);
	tls_end_put(bench.end);
	SSL_free(bench.ssl);
	net_close(bench.fd, false);
	if (!is_reset)
		net_close(bench.peer_fd, false);
}

static void peers_go_away(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		for (int is_reset = 0; is_reset < 2; is_reset++) {
			/* A client before its hello, and with our flight in its hands. */
			peer_goes_away(true, both_versions[i], 0, is_reset);
			peer_goes_away(true, both_versions[i], 2, is_reset);
			/* A broker that was told hello, whether it has read it or not. */
			peer_goes_away(false, both_versions[i], 1, is_reset);
		}
	}
}

/* ---- a peer that proves nothing -------------------------------------------------------------- */

/* The public half of one key and the secret half of another. */
static EVP_PKEY *make_false_key(const struct pki_cert *cert)
{
	EVP_PKEY *other = pki_make_key(NULL), *made = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *mine = NULL, *others = NULL, *merged, only[2] = { OSSL_PARAM_END };

	assert_int_equal(EVP_PKEY_todata(cert->key, EVP_PKEY_PUBLIC_KEY, &mine), 1);
	assert_int_equal(EVP_PKEY_todata(other, EVP_PKEY_KEYPAIR, &others), 1);
	only[0] = *OSSL_PARAM_locate(others, OSSL_PKEY_PARAM_PRIV_KEY);
	only[1] = OSSL_PARAM_construct_end();
	merged = OSSL_PARAM_merge(mine, only);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_KEYPAIR, merged), 1);
	OSSL_PARAM_free(merged);
	OSSL_PARAM_free(mine);
	OSSL_PARAM_free(others);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(other);
	return made;
}

static void is_refused(struct bench *bench, enum tls_fail why, int alert)
{
	bench_shake(bench);
	hear(bench);
	bench_refused(bench, why, alert);
	bench_end(bench);
}

static void peers_without_their_key(void **state)
{
	struct pki_cert false_server = server, false_client = client;

	(void)state;
	false_server.key = make_false_key(&server);
	false_client.key = make_false_key(&client);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;

		begin(&bench, CLIENT, both_versions[i]);
		show(bench.ssl, &false_server);
		is_refused(&bench, TLS_FAIL_PROOF, 51);

		bench_begin(&bench, tls, asking, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &false_client);
		is_refused(&bench, TLS_FAIL_PROOF, 51);
	}
	EVP_PKEY_free(false_server.key);
	EVP_PKEY_free(false_client.key);
}

/* Whatever wolfSSL lets pass, who must be known and is not does not get in. */
static void nobody_is_taken_for_somebody(void **state)
{
	const struct tls_certificate only = { .cert_file = server.cert_file,
					      .key_file = server.key_file };
	struct tls_context *context =
		tls_context_server(&(struct tls_server_params){ .certificates = &only,
								.certificate_count = 1,
								.client_auth =
									TLS_CLIENT_AUTH_OPTIONAL,
								.client_ca_file = ca.cert_file },
				   &bench_report);

	(void)state;
	assert_non_null(context);
	context->client_auth = TLS_CLIENT_AUTH_REQUIRE; /* wolfSSL does not know */
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;

		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		is_refused(&bench, TLS_FAIL_CERT_MISSING,
			   both_versions[i] == TLS1_3_VERSION ? 116 : 40);
	}
	tls_context_put(context);
}

/* ---- certificates that are broken ------------------------------------------------------------ */

/* The same but for the last bit of its signature. */
static struct pki_cert break_signature(const struct pki_cert *cert)
{
	struct pki_cert made = *cert;
	uint8_t *der = NULL;
	int size = i2d_X509(cert->cert, &der);

	assert_true(size > 0);
	der[size - 1] ^= 1;

	const uint8_t *at = der;

	made.cert = d2i_X509(NULL, &at, size);
	assert_non_null(made.cert);
	OPENSSL_free(der);
	return made;
}

static void certificates_are_broken(void **state)
{
	struct pki_cert false_server = break_signature(&server);
	struct pki_cert false_client = break_signature(&client);
	struct pki_cert short_key = pki_issue("short",
					      &(struct pki_wish){ .common_name = "short",
								  .names = "DNS:b.internal",
								  .key = "RSA-1024" },
					      &ca, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;

		begin(&bench, CLIENT, both_versions[i]);
		show(bench.ssl, &false_server);
		is_refused(&bench, TLS_FAIL_CERT_BAD, 42);

		bench_begin(&bench, tls, asking, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &false_client);
		is_refused(&bench, TLS_FAIL_CERT_BAD, 42);

		bench_begin(&bench, tls, asking, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		SSL_set_security_level(bench.ssl, 0);
		show(bench.ssl, &short_key);
		is_refused(&bench, TLS_FAIL_CERT_BAD, 42);
	}
	X509_free(false_server.cert);
	X509_free(false_client.cert);
	pki_free(&short_key);
}

/* Two authorities, and a list of one of them: the other's certificates cannot be judged. */
static void no_list_for_a_certificate(void **state)
{
	char crl[128];
	struct pki_cert other_ca =
		pki_issue("other-ca",
			  &(struct pki_wish){ .common_name = "other-ca", .is_ca = true }, NULL,
			  &ca);
	struct pki_cert other =
		pki_issue("other", &(struct pki_wish){ .common_name = "other" }, &other_ca, NULL);
	const struct tls_certificate only = { .cert_file = server.cert_file,
					      .key_file = server.key_file };

	(void)state;
	pki_revoke(crl, "ca", &ca, NULL, 86400);

	struct tls_context *context = tls_context_server(
		&(struct tls_server_params){ .certificates = &only,
					     .certificate_count = 1,
					     .client_auth = TLS_CLIENT_AUTH_REQUIRE,
					     .client_ca_file = other_ca.cert_file,
					     .crl_file = crl },
		&bench_report);

	assert_non_null(context);
	for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
		struct bench bench;

		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &client);
		bench_connect(&bench);
		bench_end(&bench);

		bench_begin(&bench, tls, context, ssl_client, NULL);
		SSL_set_max_proto_version(bench.ssl, both_versions[i]);
		show(bench.ssl, &other);
		is_refused(&bench, TLS_FAIL_CERT_CRL, 46);
	}
	tls_context_put(context);
	pki_free(&other_ca);
	pki_free(&other);
}

/* ---- chains that must not be cut --------------------------------------------------------------
 */

/* A certificate that ends at this byte of TLS 1.3's message, modulo 512. */
static struct pki_cert issue_that_ends(size_t wanted)
{
	char name[60] = "";

	for (int tries = 0; tries < 2000; tries++) {
		char names[400];
		struct pki_wish wish = { .common_name = name, .names = names };

		/* Signatures differ in length by a byte or two. */
		memset(name, 'x', (size_t)(tries % 50));
		name[tries % 50] = '\0';
		(void)snprintf(
			names, sizeof(names), "DNS:b.internal,DNS:%s.internal",
			"a23456789.b23456789.c23456789.d23456789.e23456789.f23456789."
			"g23456789.h23456789.i23456789.j23456789.k23456789.l23456789.m23456789");

		struct pki_cert made = pki_issue("cut", &wish, &ca, &ca);

		if ((4 + 1 + 3 + 3 + (size_t)i2d_X509(made.cert, NULL) + 2) % 512 == wanted)
			return made;
		pki_free(&made);
	}
	fail_msg("no such certificate");
	return (struct pki_cert){ .cert = NULL };
}

static struct tls_context *server_with(const struct pki_cert *cert)
{
	const struct tls_certificate only = { .cert_file = cert->cert_file,
					      .key_file = cert->key_file };

	bench_hush();
	return tls_context_server(&(struct tls_server_params){ .certificates = &only,
							       .certificate_count = 1 },
				  &bench_report);
}

static void short_records(struct tls_context *context, int version, const char *groups, bool is_bad)
{
	struct bench bench;

	bench_begin(&bench, tls, context, ssl_client, NULL);
	SSL_set_min_proto_version(bench.ssl, version);
	SSL_set_max_proto_version(bench.ssl, version);
	SSL_set_tlsext_max_fragment_length(bench.ssl, TLSEXT_max_fragment_length_512);
	assert_int_equal(SSL_set1_groups_list(bench.ssl, groups), 1);
	if (is_bad) {
		is_refused(&bench, TLS_FAIL_NO_CIPHER, 40);
		return;
	}
	bench_connect(&bench);
	bench_start(&bench);
	bench_end(&bench);
}

/* A client asks for short records, and wolfSSL would write past its buffer while it cuts the chain
 * into them; in the first hello, or in the second. */
static void chains_that_must_not_be_cut(void **state)
{
	static const char *const groups[] = { "X25519:P-256", "X448:P-256" };

	(void)state;
	for (size_t end = 511; end <= 514; end++) {
		struct pki_cert cert = issue_that_ends(end % 512);
		struct tls_context *context = server_with(&cert);
		struct bench bench;

		assert_non_null(context);
		for (size_t i = 0; i < COUNT_OF(groups); i++)
			short_records(context, TLS1_3_VERSION, groups[i], end == 513);
		short_records(context, TLS1_2_VERSION, groups[0], false);
		/* With whole records nothing is wrong with it. */
		bench_begin(&bench, tls, context, ssl_client, NULL);
		bench_connect(&bench);
		bench_end(&bench);
		tls_context_put(context);
		pki_free(&cert);
	}
}

/* Nor is a longer one than there are records for. */
static void chains_have_a_bound(void **state)
{
	static char names[22000];
	size_t len = (size_t)snprintf(names, sizeof(names), "DNS:b.internal");

	(void)state;
	for (int i = 0; len + 32 < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, ",DNS:n%06d.internal", i);

	struct pki_cert cert =
		pki_issue("endless", &(struct pki_wish){ .common_name = "x", .names = names }, &ca,
			  &ca);

	assert_null(server_with(&cert));
	assert_non_null(strstr(bench_said, "bytes of certificates: 16000 are the most"));
	pki_free(&cert);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_in_pool(const struct pool *pool, const void *secret, size_t len)
{
	return memmem(pool->base, pool->size * pool->fresh, secret, len) != NULL;
}

static bool is_anywhere(const void *secret, size_t len)
{
	return is_in_pool(&tls->ends, secret, len) || is_in_pool(&tls->slots, secret, len) ||
	       is_in_pool(&tls->halves, secret, len) ||
	       memmem(tls->cipher, TLS_CIPHER_BYTES, secret, len) != NULL ||
	       memmem(tls->plain, TLS_PLAIN_BYTES, secret, len) != NULL;
}

/* In all that is ours, and used again for others. */
static void keys_are_wiped(void **state)
{
	(void)state;
	for (enum side side = SERVER; side <= CLIENT; side++) {
		for (size_t i = 0; i < COUNT_OF(both_versions); i++) {
			struct bench bench;

			begin(&bench, side, both_versions[i]);
			bench_connect(&bench);

			struct tls_flow rx = bench.end->rx, tx = bench.end->tx;
			size_t len = bench.end->suite->key_bytes;

			bench_start(&bench);
			assert_true(is_anywhere(rx.key, len) && is_anywhere(tx.key, len));
			assert_int_equal(rx.has_secret, both_versions[i] == TLS1_3_VERSION);
			bench_end(&bench);
			assert_false(is_anywhere(rx.key, len) || is_anywhere(tx.key, len));
			if (rx.has_secret)
				assert_false(is_anywhere(rx.secret, 32) ||
					     is_anywhere(tx.secret, 32));
		}
	}
}

/* A handshake that is given up has keys already, in TLS 1.3. */
static void keys_of_a_handshake_are_wiped(void **state)
{
	struct bench bench;

	(void)state;
	begin(&bench, SERVER, TLS1_3_VERSION);
	bench_step_peer(&bench);
	assert_int_equal(tls_handshake(bench.end), TLS_WANT_READ);

	struct tls_flow flow = bench.end->slot->transcript.flow;

	assert_true(is_anywhere(flow.key, 16));
	bench_end(&bench);
	assert_false(is_anywhere(flow.key, 16));
}

/* ---- brokers no library would make ----------------------------------------------------------- */

#define SERVER_RANDOM                                                                            \
	"\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37" \
	"\40"

/* TLS 1.2, and a suite. */
static void put_server_hello(struct sink *out, uint16_t suite)
{
	sink_bytes(out, "\26\3\3\0\52\2\0\0\46\3\3", 11);
	sink_bytes(out, SERVER_RANDOM, 32);
	sink_u8(out, 0);
	sink_u16(out, suite);
	sink_u8(out, 0);
}

/* What the broker is told; -1: nothing. */
static int alert_heard(int fd)
{
	uint8_t bytes[1024];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t at = 0; at + 7 <= n; at += 5 + (bytes[at + 3] << 8 | bytes[at + 4]))
		if (bytes[at] == TLS_TYPE_ALERT)
			return bytes[at + 6];
	return -1;
}

static void broker_answers(struct span answer, enum tls_fail why, int alert)
{
	struct bench bench;

	begin(&bench, CLIENT, TLS1_2_VERSION);
	assert_int_equal(tls_handshake(bench.end), TLS_WANT_READ);
	assert_int_equal(send(bench.peer_fd, answer.at, answer.len, 0), answer.len);
	bench_wait(bench.fd, POLLIN);
	bench.progress = tls_handshake(bench.end);
	if (bench.progress != TLS_FAILED || tls_why(bench.end) != why)
		fail_msg("progress %d, why %s (%s), alert %d", bench.progress,
			 tls_fail_rows[tls_why(bench.end)].name, tls_why_detail(bench.end),
			 tls_why_alert(bench.end));
	assert_int_equal(alert_heard(bench.peer_fd), alert);
	assert_int_equal(tls_why_alert(bench.end), alert);
	bench_end(&bench);
}

static void brokers_that_no_library_makes(void **state)
{
	uint8_t bytes[256];
	struct sink out = sink_of(bytes, sizeof(bytes));

	(void)state;
	put_server_hello(&out, 0xc009); /* ECDHE-ECDSA-AES128-SHA, which was not offered */
	sink_bytes(&out, "\26\3\3\0\7\13\0\0\3\0\0\0", 12);
	broker_answers(sink_written(&out), TLS_FAIL_NO_CIPHER, 40);

	out.len = 0;
	put_server_hello(&out, 0xc02b);
	sink_bytes(&out, "\26\3\3\0\7\13\0\0\3\0\0\0", 12); /* a chain without a certificate */
	broker_answers(sink_written(&out), TLS_FAIL_CERT_MISSING, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_servers),
		cmocka_unit_test(memory_of_clients),
		cmocka_unit_test(peers_go_away),
		cmocka_unit_test(peers_without_their_key),
		cmocka_unit_test(nobody_is_taken_for_somebody),
		cmocka_unit_test(certificates_are_broken),
		cmocka_unit_test(no_list_for_a_certificate),
		cmocka_unit_test(chains_that_must_not_be_cut),
		cmocka_unit_test(chains_have_a_bound),
		cmocka_unit_test(keys_are_wiped),
		cmocka_unit_test(keys_of_a_handshake_are_wiped),
		cmocka_unit_test(brokers_that_no_library_makes),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
