/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `penstock proxy`: every key of proxy_conf.def does what its row says and nothing else, keys that
 * guard something stop the start, and the command line wins. A row without a case here fails.
 */
#include <sys/stat.h>

#include "../../src/config/config_proxy.h"
#include "config_help.h"

/* Where the brokers are, so that everything else may be left out. */
#define ZK	"metadataStoreUrl=zk-base:2181\n"

/* What a key about TLS needs besides. */
#define PAIR	"tlsCertificateFilePath=/c\ntlsKeyFilePath=/k\n"
#define TLS	ZK PAIR "servicePortTls=6651\n"
#define WEB	ZK PAIR "webServicePortTls=8443\n"
#define CA	ZK "brokerClientTrustCertsFilePath=/ca\n"
#define BROKERS CA "tlsEnabledWithBroker=true\n"

/* Of `tls`, as it is by itself. */
#define TLS_REST                                                                            \
	"      unknown_name: default\n      require_name: false\n      client_auth: none\n" \
	"      tickets: true\n      min_version: 1.2\n      max_version: 1.3\n      ktls: auto\n      ktls_rekey: keep\n"

/* A proxy that knows clients by their certificates and shows brokers its own. */
#define CLASSES "org.apache.pulsar.broker.authentication.AuthenticationProvider"
#define PLUGINS "org.apache.pulsar.client.impl.auth.Authentication"
#define MUTUAL	TLS "tlsTrustCertsFilePath=/ca\nservicePort=\n"
#define KNOWING "authenticationEnabled=true\nauthenticationProviders=" CLASSES "Tls\n"
#define ROLE                                                                                     \
	MUTUAL KNOWING                                                                           \
		"tlsEnabledWithBroker=true\nbrokerClientTrustCertsFilePath=/ca\n"                \
		"tlsHostnameVerificationEnabled=true\nbrokerClientAuthenticationPlugin=" PLUGINS \
		"Tls\nbrokerClientAuthenticationParameters=tlsCertFile:/p,tlsKeyFile:/q\n"

struct row {
	enum proxy_key key;
	const char *value;
	/* The lines of the dump that are there now and were not before, each with its blanks. */
	const char *lines;
	const char *base; /* what else the file says; NULL: ZK */
};

#define ROW(key, value, lines)                      \
	{                                           \
		PROXY_KEY_##key, value, lines, NULL \
	}
#define ROW_ON(base, key, value, lines)             \
	{                                           \
		PROXY_KEY_##key, value, lines, base \
	}

/* Each with a value that is not the default of Java nor of penstock. */
static const struct row rows[] = {
	ROW(metadataStoreUrl, "zk:a,b:1/c", "        servers: \"a:2181,b:1/c\"\n"),
	ROW(zookeeperServers, "d", "        servers: \"d:2181\"\n"),
	ROW(configurationMetadataStoreUrl, "zk:e:1", "        global_servers: \"e:1\"\n"),
	ROW(configurationStoreServers, "f:1", "        global_servers: \"f:1\"\n"),
	ROW(globalZookeeperServers, "g", "        global_servers: \"g:2181\"\n"),
	ROW(metadataStoreSessionTimeoutMillis, "4500", "        session_timeout: 4500ms\n"),
	ROW(zookeeperSessionTimeoutMs, "5500", "        session_timeout: 5500ms\n"),
	ROW(metadataStoreCacheExpirySeconds, "7", "        resync: 7s\n"),
	ROW(zooKeeperCacheExpirySeconds, "8", "        resync: 8s\n"),
	ROW(brokerServiceURL, "pulsar://a:1, pulsar://b:2,c",
	    "      urls: [\"pulsar://a:1\", \"pulsar://b:2\", \"pulsar://c:6650\"]\n"),
	ROW(checkActiveBrokers, "true", "    check_active: true\n"),
	ROW(brokerProxyConnectTimeoutMs, "1234", "  connect: 1234ms\n"),
	ROW(brokerProxyReadTimeoutMs, "4321", "  idle: 4321ms\n"),
	ROW(brokerProxyAllowedHostNames, "a.b, *.c", "    hosts: [a.b, \"**.c\"]\n"),
	ROW(brokerProxyAllowedIPAddresses, "10.0.0.0/8",
	    "    hosts: [\"*\"]\n    networks: [\"10.0.0.0/8\"]\n"),
	ROW(brokerProxyAllowedTargetPorts, "1,2", "    ports: [1, 2]\n"),
	ROW(bindAddress, "127.0.0.9",
	    "    bind: \"127.0.0.9:6650\"\n  listen: \"127.0.0.9:8080\"\n"),
	ROW(servicePort, "6660", "    bind: \"0.0.0.0:6660\"\n"),
	ROW(webServicePort, "8081", "  listen: \"0.0.0.0:8081\"\n"),
	ROW(maxMessageSize, "1048576", "  max_frame: 1034KiB\n"),
	ROW(keepAliveIntervalSeconds, "12", "  hello: 12s\n"),
	ROW(haProxyProtocolEnabled, "true",
	    "    send_proxy_protocol: v1\n      mode: optional\n"
	    "      trusted: [\"0.0.0.0/0\", \"::/0\"]\n"),
	ROW(proxyZeroCopyModeEnabled, "false", "    splice: off\n"),
	ROW(maxConcurrentInboundConnections, "77", "  connections: 77\n"),
	ROW(maxConcurrentInboundConnectionsPerIp, "6", "  per_ip: 6\n"),
	ROW(maxConcurrentLookupRequests, "66", "  lookups: 66\n"),
	ROW(numIOThreads, "200", "  tls_memory: 6016MiB\n  workers: 200\n"),
	ROW(statusFilePath, "/x/y", "  status_file: /x/y\n"),
	ROW(enableProxyStatsEndpoints, "false", "  metrics: false\n"),
	ROW(clusterName, "east", "  cluster_name: east\n"),
	ROW_ON(ZK PAIR, servicePortTls, "6652",
	       "  - name: pulsar-tls\n    bind: \"0.0.0.0:6652\"\n      cert_file: [/c]\n"
	       "      key_file: [/k]\n" TLS_REST),
	ROW_ON(ZK PAIR, webServicePortTls, "8444",
	       "  - name: web-tls\n    bind: \"0.0.0.0:8444\"\n    forward: \"127.0.0.1:8080\"\n"
	       "      cert_file: [/c]\n      key_file: [/k]\n" TLS_REST),
	ROW_ON(TLS, tlsCertificateFilePath, "/other", "      cert_file: [/other]\n"),
	ROW_ON(TLS, tlsKeyFilePath, "/other", "      key_file: [/other]\n"),
	ROW_ON(TLS, tlsTrustCertsFilePath, "/ca",
	       "      client_auth: optional\n      client_ca_file: /ca\n"),
	ROW_ON(TLS "tlsTrustCertsFilePath=/ca\n", tlsRequireTrustedClientCertOnConnect, "true",
	       "      client_auth: require\n"),
	ROW_ON(TLS, tlsProtocols, "TLSv1.3", "      min_version: 1.3\n"),
	ROW_ON(TLS, tlsCiphers, "TLS_AES_128_GCM_SHA256, A",
	       "      ciphers: [TLS_AES_128_GCM_SHA256, A]\n"),
	ROW_ON(WEB, webServiceTlsProtocols, "tlsv1.2, TLSv1.1", "      max_version: 1.2\n"),
	ROW_ON(WEB, webServiceTlsCiphers, "A", "      ciphers: [A]\n"),
	ROW_ON(ROLE, forwardAuthorizationCredentials, "true", "        forward: true\n"),
	ROW(tlsCertRefreshCheckDurationSec, "0", "  refresh: 1s\n"),
	ROW_ON(CA, tlsEnabledWithBroker, "true",
	       "      ca_file: /ca\n      verify: ca\n      min_version: 1.2\n      max_version: 1.3\n      ktls: auto\n      ktls_rekey: keep\n"),
	ROW_ON(BROKERS, brokerServiceURLTLS, "pulsar+ssl://a:1,b",
	       "      urls: [\"pulsar+ssl://a:1\", \"pulsar+ssl://b:6651\"]\n"),
	ROW_ON(BROKERS, brokerClientTrustCertsFilePath, "/other", "      ca_file: /other\n"),
	ROW_ON(BROKERS "brokerClientKeyFilePath=/k\nbrokerClientCertificateFilePath=/c\n",
	       brokerClientCertificateFilePath, "/other", "      cert_file: /other\n"),
	ROW_ON(BROKERS "brokerClientKeyFilePath=/k\nbrokerClientCertificateFilePath=/c\n",
	       brokerClientKeyFilePath, "/other", "      key_file: /other\n"),
	ROW_ON(BROKERS, tlsHostnameVerificationEnabled, "true", "      verify: full\n"),
	ROW_ON(BROKERS, tlsAllowInsecureConnection, "true", "      verify: off\n"),
	ROW_ON(BROKERS, brokerClientTlsProtocols, "TLSv1.3", "      min_version: 1.3\n"),
	ROW_ON(BROKERS, brokerClientTlsCiphers, "A", "      ciphers: [A]\n"),
};

/* The line of a store would be there twice. */
static const char *base_of(const struct row *row)
{
	if (row->key == PROXY_KEY_metadataStoreUrl || row->key == PROXY_KEY_zookeeperServers)
		return "";
	return row->base != NULL ? row->base : ZK;
}

static bool has_line(const char *text, const char *line, size_t len)
{
	for (const char *end; *text != '\0'; text = end + 1) {
		end = strchr(text, '\n');
		if ((size_t)(end + 1 - text) == len && memcmp(text, line, len) == 0)
			return true;
	}
	return false;
}

/* Lines of `new` that are not in `old`. */
static char *difference(const char *old, const char *new)
{
	char *lines = calloc(1, strlen(new) + 1);
	size_t size = 0;

	assert_non_null(lines);
	for (const char *end; *new != '\0'; new = end + 1) {
		end = strchr(new, '\n');
		size_t len = (size_t)(end + 1 - new);

		if (has_line(old, new, len))
			continue;
		memcpy(lines + size, new, len);
		size += len;
	}
	return lines;
}

static struct outcome load(const char *text)
{
	struct config_proxy_args args = { .file = NULL };

	return help_load(text, &args);
}

static const struct row *row_of(enum proxy_key key)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].key == key)
			return &rows[i];
	return NULL;
}

/* Headings of sections that only come or go with their keys. */
static char *without_heads(char *lines)
{
	char *to = lines;

	for (char *from = lines, *end; *from != '\0'; from = end + 1) {
		end = strchr(from, '\n');
		if (end[-1] == ':')
			continue;
		memmove(to, from, (size_t)(end + 1 - from));
		to += end + 1 - from;
	}
	*to = '\0';
	return lines;
}

/* The dump of a text that has to load; the caller frees. */
static char *dump_of(const char *text)
{
	struct outcome outcome = load(text);

	if (outcome.config == NULL)
		fail_msg("%s\nof\n%s", outcome.said, text);
	char *dump = help_dump(outcome.config);

	help_free(&outcome);
	return dump;
}

static void row_check(const struct row *row)
{
	char text[1200];

	snprintf(text, sizeof(text), "%s%s=%s\n", base_of(row), config_proxy_rows[row->key].key,
		 row->value);
	char *base = dump_of(base_of(row)[0] != '\0' ? base_of(row) : ZK);
	char *dump = dump_of(text);
	char *lines = without_heads(difference(base, dump));

	if (strcmp(lines, row->lines) != 0)
		fail_msg("%s: expected\n%sgot\n%s", config_proxy_rows[row->key].key, row->lines,
			 lines);
	free(lines);
	free(dump);
	free(base);
}

static void test_honoured(void **state)
{
	struct outcome base = load(ZK);

	(void)state;
	assert_int_equal(base.errors + base.warnings, 0);
	help_free(&base);
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
		enum proxy_class class = config_proxy_rows[key].class;
		const struct row *mine = row_of(key);

		if (class != PROXY_SET && class != PROXY_CODE && class != PROXY_PART)
			continue;
		if (mine == NULL)
			fail_msg("%s is honoured and has no case here", config_proxy_rows[key].key);
		row_check(mine);
	}
}

/* A key at Java's default never complains. The two that open egress to everything do: Java's
 * default is what an attacker would choose. */
static void test_defaults_are_silent(void **state)
{
	(void)state;
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
		const struct proxy_row *row = &config_proxy_rows[key];
		char text[400];

		if (key == PROXY_KEY_brokerProxyAllowedHostNames ||
		    key == PROXY_KEY_brokerProxyAllowedIPAddresses)
			continue;
		snprintf(text, sizeof(text), "%s%s=%s\n", row->java[0] == '\0' ? "" : ZK, row->key,
			 row->java);
		if (row->java[0] == '\0')
			snprintf(text, sizeof(text), "%s=\n%s", row->key,
				 key == PROXY_KEY_metadataStoreUrl ? "zookeeperServers=z\n" : ZK);
		struct outcome outcome = load(text);

		if (outcome.errors + outcome.warnings > 0)
			fail_msg("%s", outcome.said);
		help_free(&outcome);
	}
}

/* Some value that is not the default. */
static const char *other_value(const struct proxy_row *row)
{
	return strcmp(row->java, "false") == 0 ? "true" : "/other";
}

static const struct proxy_row *row_named(const char *key)
{
	for (enum proxy_key i = 0; i < PROXY_KEY_COUNT; i++)
		if (strcmp(config_proxy_rows[i].key, key) == 0)
			return &config_proxy_rows[i];
	fail_msg("no row %s", key);
	return NULL;
}

/* The first of its parents, and of theirs. */
static void add_parents(char *text, size_t size, const struct proxy_row *row)
{
	while (row->parents != NULL && row->parents[0] != '\0') {
		char parent[100];
		size_t len = strlen(text);

		snprintf(parent, sizeof(parent), "%s", row->parents);
		parent[strcspn(parent, "|")] = '\0';
		snprintf(text + len, size - len, "%s=%s\n", parent,
			 strstr(parent, "Port") != NULL	    ? "6651"
			 : strstr(parent, "Plugin") != NULL ? "x"
							    : "true");
		row = row_named(parent);
	}
}

static void test_guards(void **state)
{
	uint32_t count = 0;

	(void)state;
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
		const struct proxy_row *row = &config_proxy_rows[key];
		char text[400], said[100];

		if (row->class != PROXY_GUARD)
			continue;
		count++;
		snprintf(text, sizeof(text), "%s=%s\n" ZK, row->key, other_value(row));
		if (row->is_inert) {
			/* Without its parent it has no effect in Java either. */
			struct outcome alone = load(text);

			assert_int_equal(alone.errors, 0);
			assert_int_equal(alone.warnings, 1);
			assert_non_null(strstr(alone.said, row->key));
			help_free(&alone);
		}
		add_parents(text, sizeof(text), row);
		struct outcome outcome = load(text);

		snprintf(said, sizeof(said), "proxy.conf:1:1: %s: ", row->key);
		assert_null(outcome.config);
		if (strstr(outcome.said, said) == NULL || strstr(outcome.said, "--ignore") == NULL)
			fail_msg("%s: %s", row->key, outcome.said);
		help_free(&outcome);
		/* Ignored by name: no word about it any more. */
		const char *ignore[2] = { row->key, "tls*" };
		struct config_proxy_args args = { .ignore = ignore, .ignore_count = 1 };

		snprintf(text, sizeof(text), "%s=%s\n" ZK, row->key, other_value(row));
		outcome = help_load(text, &args);
		assert_int_equal(outcome.errors + outcome.warnings, 0);
		help_free(&outcome);
	}
	assert_true(count > 30);
}

static void test_ignore(void **state)
{
	static const char text[] = ZK "authenticationEnabled=true\nauthenticationProviders=x\n"
				      "tokenPublicKey=y\nbrokerClientAuthenticationPlugin=p\n"
				      "brokerClientAuthenticationParameters=q\n";
	const char *ignore[] = { "authenticationEnabled" };
	struct config_proxy_args args = { .ignore = ignore, .ignore_count = 1 };
	struct outcome outcome = help_load(text, &args);

	(void)state;
	/* The parent covers what belongs to it. */
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	help_free(&outcome);
	outcome = load(text);
	assert_int_equal(outcome.errors, 5);
	assert_non_null(strstr(outcome.said, "it passes each client's own credentials"));
	help_free(&outcome);
	ignore[0] = "tls*";
	outcome = help_load(ZK "tlsEnabledWithBroker=true\ntlsHostnameVerificationEnabled=true\n",
			    &args);
	assert_int_equal(outcome.errors, 0);
	help_free(&outcome);
	/* An ignored key that would be honoured is as if it were not there. */
	ignore[0] = "servicePort";
	outcome = help_load(ZK "servicePort=1\n", &args);
	assert_int_equal(outcome.config->listeners[0].bind.port, 6650);
	help_free(&outcome);
	ignore[0] = "authenticationEnable";
	outcome = help_load(ZK, &args);
	assert_string_equal(outcome.said, "--ignore: there is no key authenticationEnable; did you "
					  "mean authenticationEnabled?\n");
	help_free(&outcome);
	ignore[0] = "qqqqqq";
	outcome = help_load(ZK, &args);
	assert_int_equal(outcome.errors, 1);
	help_free(&outcome);
}

/* Keys that need another one are as little heard without it as in Java. */
static void test_parts(void **state)
{
	uint32_t count = 0;

	(void)state;
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
		const struct proxy_row *row = &config_proxy_rows[key];
		char text[400], said[400];

		if (row->class != PROXY_PART)
			continue;
		count++;
		snprintf(text, sizeof(text), ZK "%s=%s\n", row->key, other_value(row));
		snprintf(said, sizeof(said),
			 "proxy.conf: warning: these keys have no effect here: %s; "
			 "penstock.yaml(5) says why\n",
			 row->key);
		struct outcome outcome = load(text);

		assert_string_equal(outcome.said, said);
		assert_int_equal(outcome.config->listener_count, 1);
		assert_int_equal(outcome.config->listeners[0].tls.cert_files.count, 0);
		assert_false(config_speaks_tls(&outcome.config->clusters[0]));
		help_free(&outcome);
	}
	assert_true(count > 15);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* What a file says after ZK, and what is said about it: all of it, or after a "..." a part. */
static const struct {
	const char *text, *said;
} tls_texts[] = {
	{ "servicePortTls=6651\n",
	  "proxy.conf:2:1: servicePortTls: TLS needs a certificate and its key; set "
	  "tlsCertificateFilePath and tlsKeyFilePath\n" },
	{ "servicePortTls=6651\ntlsKeyFilePath=/k\n",
	  "...servicePortTls: TLS needs a certificate and its key" },
	{ "servicePortTls=6651\ntlsCertificateFilePath=c\ntlsKeyFilePath=/k\n",
	  "...proxy.conf:3:1: tlsCertificateFilePath (listeners[1].tls.cert_file): 'c' " },
	{ "servicePortTls=x\n" PAIR, "...proxy.conf:2:1: servicePortTls (listeners[1].bind): " },
	{ "servicePortTls=6650\n" PAIR, "...0.0.0.0:6650 overlaps with 0.0.0.0:6650" },
	{ "webServicePortTls=8443\n",
	  "proxy.conf:2:1: webServicePortTls: TLS needs a certificate and its key; set "
	  "tlsCertificateFilePath and tlsKeyFilePath\n" },
	{ "servicePortTls=6651\n" PAIR "tlsRequireTrustedClientCertOnConnect=true\n",
	  "proxy.conf:5:1: tlsRequireTrustedClientCertOnConnect: nobody is trusted to sign "
	  "clients' certificates; set tlsTrustCertsFilePath\n" },
	{ "servicePortTls=6651\n" PAIR "tlsRequireTrustedClientCertOnConnect=true\n"
	  "tlsTrustCertsFilePath=/ca\ntlsAllowInsecureConnection=true\n",
	  "proxy.conf:7:1: warning: tlsAllowInsecureConnection: clients' certificates are checked "
	  "all the same, since tlsRequireTrustedClientCertOnConnect asks for trusted ones\n" },
	{ "servicePortTls=6651\n" PAIR "tlsAllowInsecureConnection=yes\n",
	  "proxy.conf:5:1: tlsAllowInsecureConnection: 'yes' is neither true nor false; write one "
	  "of them\n" },
	{ "servicePortTls=6651\n" PAIR "tlsProtocols=TLSv1.1,TLSv1\n",
	  "proxy.conf:5:1: warning: tlsProtocols: TLSv1.1 is not spoken here\n"
	  "proxy.conf:5:1: warning: tlsProtocols: TLSv1 is not spoken here\n"
	  "proxy.conf:5:1: tlsProtocols: names no version that is spoken here; write "
	  "TLSv1.3,TLSv1.2\n" },
	{ "servicePortTls=6651\n" PAIR "tlsProtocols=TLSv1.3,DTLS\n",
	  "proxy.conf:5:1: tlsProtocols: 'DTLS' is no version of TLS; write TLSv1.3,TLSv1.2\n" },
	{ "servicePortTls=6651\n" PAIR "tlsEnabledWithKeyStore=true\ntlsKeyStore=/j\n",
	  "...proxy.conf:5:1: tlsEnabledWithKeyStore: keystores are not read: make PEM files of "
	  "them (keytool -importkeystore -srckeystore A.jks -destkeystore A.p12 -deststoretype "
	  "pkcs12; openssl pkcs12 -in A.p12 -nodes -out A.pem), then set tlsCertificateFilePath, "
	  "tlsKeyFilePath and tlsTrustCertsFilePath; remove it, or start with --ignore "
	  "servicePortTls, which covers it\n" },
	/* Inert two generations up. */
	{ "tlsEnabledWithKeyStore=true\ntlsKeyStore=/j\n",
	  "proxy.conf: warning: these keys have no effect here: tlsEnabledWithKeyStore, "
	  "tlsKeyStore; penstock.yaml(5) says why\n" },
	{ "tlsCertRefreshCheckDurationSec=soon\n",
	  "proxy.conf:2:1: tlsCertRefreshCheckDurationSec: 'soon' is not a whole number; write "
	  "one\n" },
	{ "tlsCertRefreshCheckDurationSec=-1\n",
	  "...proxy.conf:2:1: tlsCertRefreshCheckDurationSec (certificates.refresh): " },
	{ "tlsEnabledWithBroker=maybe\n",
	  "proxy.conf:2:1: tlsEnabledWithBroker: 'maybe' is neither true nor false; write one of "
	  "them\n" },
	{ "tlsEnabledWithBroker=true\n",
	  "proxy.conf:2:1: warning: tlsEnabledWithBroker: a broker may show any certificate of "
	  "these authorities, whatever name it is for, as in the Java proxy; set "
	  "tlsHostnameVerificationEnabled=true\n" },
	{ "tlsEnabledWithBroker=true\ntlsHostnameVerificationEnabled=true\n", "" },
	{ "tlsEnabledWithBroker=true\ntlsAllowInsecureConnection=true\n",
	  "...broker_tls.verify: off: whoever is between this host and the brokers" },
	{ "tlsEnabledWithBroker=true\ntlsHostnameVerificationEnabled=true\n"
	  "brokerClientKeyFilePath=/k\n",
	  "proxy.conf:4:1: brokerClientKeyFilePath: a certificate goes with its key; set both "
	  "brokerClientCertificateFilePath and brokerClientKeyFilePath\n" },
	{ "tlsEnabledWithBroker=true\ntlsHostnameVerificationEnabled=true\n"
	  "brokerServiceURLTLS=pulsar://a\n",
	  "...proxy.conf:4:1: brokerServiceURLTLS: begin it with pulsar+ssl://\n" },
	{ "tlsEnabledWithBroker=true\ntlsHostnameVerificationEnabled=true\n"
	  "brokerServiceURL=pulsar://a\n",
	  "proxy.conf:4:1: warning: brokerServiceURL: has no effect with tlsEnabledWithBroker, as "
	  "in the Java proxy; set brokerServiceURLTLS\n" },
};

static void test_tls_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(tls_texts); i++) {
		const char *said = tls_texts[i].said;
		bool is_part = strncmp(said, "...", 3) == 0;
		char text[600];

		snprintf(text, sizeof(text), ZK "%s", tls_texts[i].text);
		struct outcome outcome = load(text);

		if (is_part ? strstr(outcome.said, said + 3) == NULL
			    : strcmp(outcome.said, said) != 0)
			fail_msg("%s\nsaid\n%s\nnot\n%s", text, outcome.said, said);
		help_free(&outcome);
	}
}

static void test_tls_listeners(void **state)
{
	struct outcome outcome = load(TLS "haProxyProtocolEnabled=true\nproxyZeroCopyModeEnabled="
					  "false\nwebServicePortTls=8443\nbindAddress=10.0.0.1\n");
	const struct config_listener *listeners = outcome.config->listeners;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(outcome.config->listener_count, 3);
	assert_string_equal(listeners[0].name, "pulsar");
	assert_string_equal(listeners[1].name, "pulsar-tls");
	assert_string_equal(listeners[2].name, "web-tls");
	assert_string_equal(addr_format(&listeners[1].bind, text), "10.0.0.1:6651");
	/* What is for Pulsar's clients is for both of their ports, and for no other. */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(listeners[i].proxy_mode,
				 i < 2 ? CONFIG_PROXY_OPTIONAL : CONFIG_PROXY_OFF);
		assert_int_equal(listeners[i].splice,
				 i < 2 ? CONFIG_SPLICE_OFF : CONFIG_SPLICE_AUTO);
		assert_int_equal(listeners[i].cluster, i < 2 ? 0 : -1);
		assert_int_equal(listeners[i].tls.cert_files.count, i > 0);
	}
	assert_string_equal(listeners[2].forward_host, "10.0.0.1");
	assert_int_equal(listeners[2].forward_port, 8080);
	help_free(&outcome);

	/* TLS only: the web server behind it is this host's own. */
	outcome = load(TLS "servicePort=\nwebServicePort=\nwebServicePortTls=8443\n");
	assert_int_equal(outcome.config->listener_count, 2);
	assert_string_equal(outcome.config->listeners[0].name, "pulsar-tls");
	assert_string_equal(addr_format(&outcome.config->web.listen, text), "127.0.0.1:8080");
	assert_string_equal(outcome.config->listeners[1].forward_host, "127.0.0.1");
	help_free(&outcome);

	struct config_proxy_args args = { .bind = "127.0.0.1:7", .web = "off" };

	outcome = help_load(TLS "servicePort=\nwebServicePortTls=8443\n", &args);
	assert_int_equal(outcome.config->listener_count, 2);
	assert_string_equal(addr_format(&outcome.config->listeners[0].bind, text), "127.0.0.1:7");
	assert_int_equal(outcome.config->listeners[1].bind.port, 6651);
	help_free(&outcome);

	args = (struct config_proxy_args){ .web = "[::]:81" };
	outcome = help_load(WEB, &args);
	assert_string_equal(outcome.config->listeners[1].forward_host, "::1");
	assert_int_equal(outcome.config->listeners[1].forward_port, 81);
	help_free(&outcome);
}

static void test_tls_brokers(void **state)
{
	struct outcome outcome =
		load("brokerServiceURL=pulsar://a\nbrokerServiceURLTLS=pulsar+ssl://b\n"
		     "tlsEnabledWithBroker=true\nbrokerClientTrustCertsFilePath=/ca\n"
		     "tlsHostnameVerificationEnabled=true\n");

	(void)state;
	assert_non_null(strstr(outcome.said, "proxy.conf:1:1: warning: brokerServiceURL: has no "
					     "effect with tlsEnabledWithBroker, as in the Java "
					     "proxy\n"));
	assert_int_equal(outcome.config->clusters[0].url_count, 1);
	assert_true(outcome.config->clusters[0].urls[0].is_tls);
	help_free(&outcome);
	/* Without TLS the other one is not heard. */
	outcome = load("brokerServiceURL=pulsar://a\nbrokerServiceURLTLS=pulsar+ssl://b\n");
	assert_int_equal(outcome.errors, 0);
	assert_false(outcome.config->clusters[0].urls[0].is_tls);
	help_free(&outcome);
	outcome = load("brokerServiceURL=pulsar://a\ntlsEnabledWithBroker=true\n");
	assert_int_equal(outcome.errors, 1);
	assert_non_null(strstr(outcome.said, "set metadataStoreUrl or brokerServiceURLTLS in"));
	help_free(&outcome);
	/* Asked for by name: everything crosses that network in the clear. */
	const char *ignore[] = { "tlsEnabledWithBroker" };
	struct config_proxy_args args = { .ignore = ignore, .ignore_count = 1 };

	outcome = help_load(BROKERS "tlsProvider=x\nbrokerClientTlsKeyStore=y\n", &args);
	assert_int_equal(outcome.errors, 0);
	assert_false(config_speaks_tls(&outcome.config->clusters[0]));
	help_free(&outcome);
}

static const struct config_role *role_of(struct outcome *outcome)
{
	if (outcome->config == NULL)
		fail_msg("%s", outcome->said);
	return &outcome->config->clusters[0].role;
}

static void test_role(void **state)
{
	static const char token[] = MUTUAL KNOWING "brokerClientAuthenticationPlugin=" PLUGINS
						   "Token\nbrokerClientAuthenticationParameters=";
	struct outcome outcome = load(ROLE);
	const struct config_role *role = role_of(&outcome);
	char cwd[512], text[1600], said[200];

	(void)state;
	assert_string_equal(outcome.said, "");
	assert_true(role->has_certificate && !role->is_forwarding && role->token_file == NULL);
	assert_int_equal(outcome.config->clusters[0].credentials, CONFIG_CREDENTIALS_ROLE);
	assert_string_equal(outcome.config->clusters[0].broker_tls.cert_file, "/p");
	assert_string_equal(outcome.config->clusters[0].broker_tls.key_file, "/q");
	assert_int_equal(outcome.config->listener_count, 1);
	assert_int_equal(outcome.config->listeners[0].tls.client_auth, CONFIG_CLIENT_AUTH_REQUIRE);
	help_free(&outcome);
	/* Java takes JSON too, and the last one counts. */
	outcome = load(ROLE "brokerClientAuthenticationParameters={\"tlsCertFile\": \"/r\", "
			    "\"tlsKeyFile\": \"/s\"}\n");
	(void)role_of(&outcome);
	assert_string_equal(outcome.config->clusters[0].broker_tls.cert_file, "/r");
	assert_string_equal(outcome.config->clusters[0].broker_tls.key_file, "/s");
	help_free(&outcome);
	/* A port without certificates would let nobody in. */
	outcome = load(ROLE "servicePort=6650\n");
	(void)role_of(&outcome);
	assert_int_equal(outcome.config->listener_count, 1);
	assert_string_equal(outcome.config->listeners[0].name, "pulsar-tls");
	assert_non_null(strstr(outcome.said, "servicePort: is not opened: clients are known by"));
	help_free(&outcome);

	help_write("token", "abc.def\n", 8);
	assert_int_equal(chmod("token", 0640), 0);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%sfile:%s%s/token\n", token, i == 0 ? "//" : "", cwd);
		outcome = load(text);
		role = role_of(&outcome);
		assert_false(role->has_certificate);
		assert_int_equal(role->data.len, 7);
		assert_non_null(strstr(role->token_file, "/token"));
		help_free(&outcome);
	}
	static const char *const bad[][2] = {
		{ "token:abc",
		  "brokerClientAuthenticationParameters: names no file with the token" },
		{ "abc", "brokerClientAuthenticationParameters: names no file with the token" },
		{ "", "brokerClientAuthenticationPlugin: names no file with the token" },
		{ "file:///nobody\nauthenticationProviders=" CLASSES "Token," CLASSES "Tls",
		  "authenticationEnabled: clusters.<name>.credentials: role where" },
		{ "file:///nobody\nbrokerClientAuthenticationPlugin=x",
		  "brokerClientAuthenticationPlugin: penstock has no credentials" },
		{ "file:///nobody\nservicePortTls=\nservicePort=6650",
		  "authenticationProviders: clients are known by their certificates, and there is" },
		{ "file:///nobody\ntlsTrustCertsFilePath=",
		  "authenticationProviders: nobody is trusted to sign clients' certificates" },
		{ "file:///nobody\nbrokerClientAuthenticationPlugin=" PLUGINS "Tls",
		  "brokerClientAuthenticationPlugin: a certificate is shown inside TLS" },
		{ "x:y\ntlsEnabledWithBroker=true\nbrokerClientAuthenticationPlugin=" PLUGINS "Tls",
		  "brokerClientAuthenticationParameters: names no certificate; write" },
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		snprintf(text, sizeof(text), "%s%s\n", token, bad[i][0]);
		snprintf(said, sizeof(said), ": %s", bad[i][1]);
		outcome = load(text);
		assert_null(outcome.config);
		if (strstr(outcome.said, said) == NULL)
			fail_msg("%s\nsaid\n%s\nnot\n%s", text, outcome.said, said);
		help_free(&outcome);
	}
	/* Ignored, it is what it was: credentials pass, and nobody is asked for a certificate. */
	const char *ignore[] = { "authenticationEnabled" };
	struct config_proxy_args args = { .ignore = ignore, .ignore_count = 1 };

	outcome = help_load(ROLE, &args);
	assert_int_equal(outcome.config->clusters[0].credentials, CONFIG_CREDENTIALS_PASS);
	help_free(&outcome);
}

/* Everything without effect, in one line. */
static void test_none(void **state)
{
	(void)state;
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++) {
		const struct proxy_row *row = &config_proxy_rows[key];
		char text[400], said[400];

		if (row->class != PROXY_NONE && row->class != PROXY_FINE)
			continue;
		snprintf(text, sizeof(text), ZK "%s=%s\n", row->key, other_value(row));
		snprintf(said, sizeof(said),
			 "proxy.conf: warning: these keys have no effect here: %s; "
			 "penstock.yaml(5) says why\n",
			 row->key);
		struct outcome outcome = load(text);

		assert_string_equal(outcome.said, row->class == PROXY_NONE ? said : "");
		assert_int_equal(outcome.errors, 0);
		help_free(&outcome);
	}
	struct outcome outcome =
		load(ZK "httpProxyTimeout=1\nwebSocketServiceEnabled=true\n"
			"brokerClient_x=1\nhttpReverseProxy.a.path=/\nqqqqqqqqq=1\n");

	assert_int_equal(outcome.warnings, 1);
	assert_non_null(strstr(outcome.said,
			       ": brokerClient_x, httpReverseProxy.a.path, qqqqqqqqq, "
			       "httpProxyTimeout, webSocketServiceEnabled; "));
	help_free(&outcome);
	outcome = load(ZK "servicePorts=1\n");
	assert_string_equal(outcome.said,
			    "proxy.conf:2:1: warning: servicePorts: unknown key, as to "
			    "the Java proxy; did you mean servicePort?\n");
	help_free(&outcome);
	outcome = load(ZK "servicePort=1\nservicePort=2\n");
	assert_string_equal(outcome.said, "proxy.conf:3:1: warning: servicePort: is there twice "
					  "(first at line 2); the last one counts, as in Java\n");
	assert_int_equal(outcome.config->listeners[0].bind.port, 2);
	help_free(&outcome);
}

/* ---- the command line ------------------------------------------------------------------------ */

static const char *local_of(struct outcome *outcome)
{
	return outcome->config->clusters[0].zookeeper_servers;
}

static const char *global_of(struct outcome *outcome)
{
	return outcome->config->clusters[0].zookeeper_global_servers;
}

static void test_no_file(void **state)
{
	struct config_proxy_args args = { .zookeeper = "zk-0,zk-1:2182",
					  .global_zookeeper = "gzk" };
	struct outcome outcome = help_load(NULL, &args);
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	const struct config *config = outcome.config;

	assert_string_equal(local_of(&outcome), "zk-0:2181,zk-1:2182");
	assert_string_equal(global_of(&outcome), "gzk:2181");
	assert_int_equal(config->cluster_count, 1);
	assert_int_equal(config->listener_count, 1);
	assert_string_equal(config->clusters[0].name, "pulsar");
	assert_string_equal(config->listeners[0].name, "pulsar");
	assert_int_equal(config->listeners[0].cluster, 0);
	assert_string_equal(addr_format(&config->listeners[0].bind, text), "0.0.0.0:6650");
	assert_string_equal(addr_format(&config->web.listen, text), "0.0.0.0:8080");
	assert_string_equal(addr_format(&config->admin.listen, text), "127.0.0.1:9180");
	assert_true(config->web.is_on && config->admin.is_on && config->web.has_metrics);
	assert_int_equal(config->limits.connections, 50000);
	assert_true(config->timeouts.hello_ns == 5 * NS_PER_S);
	assert_true(config->timeouts.idle_ns == CONFIG_OFF);
	assert_int_equal(config->egress.hosts.count + config->egress.networks.count, 0);
	/* What it prints is a penstock.yaml. */
	char *dump = help_dump(config);

	help_free(&outcome);
	outcome = help_load(dump, NULL);
	assert_int_equal(outcome.errors + outcome.warnings, 0);
	char *again = help_dump(outcome.config);

	assert_string_equal(dump, again);
	free(again);
	free(dump);
	help_free(&outcome);
}

static void test_addresses(void **state)
{
	struct config_proxy_args args = {
		.zookeeper = "z",
		.bind = "[::1]:7000",
		.web = "off",
		.admin = "unix:/x",
	};
	struct outcome outcome = help_load("bindAddress=10.0.0.1\nservicePort=1\n", &args);
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_string_equal(addr_format(&outcome.config->listeners[0].bind, text), "[::1]:7000");
	assert_false(outcome.config->web.is_on);
	assert_string_equal(outcome.config->admin.unix_path, "/x");
	help_free(&outcome);
	outcome = load(ZK "bindAddress=::1\nwebServicePort=\n");
	assert_string_equal(addr_format(&outcome.config->listeners[0].bind, text), "[::1]:6650");
	assert_false(outcome.config->web.is_on);
	help_free(&outcome);
	outcome = load(ZK "servicePort=\n");
	assert_string_equal(
		outcome.said,
		"proxy.conf:2:1: servicePort: is empty and there is no servicePortTls: nothing "
		"would be served; write servicePort=6650\n");
	help_free(&outcome);
	outcome = load(ZK "bindAddress=myhost\nwebServicePort=\n");
	assert_string_equal(outcome.said,
			    "proxy.conf:2:1: bindAddress (listeners[0].bind): 'myhost:6650' is a "
			    "name; write a literal address, 127.0.0.1:6650 or [::1]:6650\n");
	help_free(&outcome);
	outcome = load(ZK "servicePort=8080\n");
	assert_int_equal(outcome.errors, 1);
	assert_non_null(strstr(outcome.said, "web.listen: 0.0.0.0:8080 overlaps"));
	help_free(&outcome);
}

/* -md over -zk over the file; -cms over -cs over -gzk over the file. */
static void test_precedence(void **state)
{
	static const char file[] =
		"metadataStoreUrl=f1\nzookeeperServers=f2\nconfigurationMetadataStoreUrl=f3\n"
		"configurationStoreServers=f4\nglobalZookeeperServers=f5\n";
	struct config_proxy_args args = { .file = NULL };
	const char *const expected[][2] = { { "f1:2181", "f3:2181" },
					    { "zk:2181", "gzk:2181" },
					    { "md:2181", "cs:2181" },
					    { "md:2181", "cms:2181" } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		args.zookeeper = i >= 1 ? "zk" : NULL;
		args.metadata_store = i >= 2 ? "zk:md" : NULL;
		args.global_zookeeper = i >= 1 ? "gzk" : NULL;
		args.configuration_servers = i >= 2 ? "cs" : NULL;
		args.configuration_store = i >= 3 ? "cms" : NULL;
		struct outcome outcome = help_load(file, &args);

		assert_string_equal(local_of(&outcome), expected[i][0]);
		assert_string_equal(global_of(&outcome), expected[i][1]);
		help_free(&outcome);
	}
	struct outcome outcome = load("zookeeperServers=f2\nglobalZookeeperServers=f5\n");

	assert_string_equal(local_of(&outcome), "f2:2181");
	assert_string_equal(global_of(&outcome), "f5:2181");
	help_free(&outcome);
	outcome = load("zookeeperServers=f2\nconfigurationStoreServers=f4\n"
		       "globalZookeeperServers=f5\n");
	assert_string_equal(global_of(&outcome), "f4:2181");
	help_free(&outcome);
}

static void test_discovery(void **state)
{
	struct config_proxy_args args = { .file = NULL };
	struct outcome outcome = help_load(NULL, &args);

	(void)state;
	assert_string_equal(outcome.said,
			    "penstock proxy: nothing says where the brokers are; give "
			    "--zookeeper-servers HOST[:PORT],..., or set metadataStoreUrl or "
			    "brokerServiceURL in proxy.conf\n");
	help_free(&outcome);
	outcome = load(ZK "brokerServiceURL=pulsar://b\n");
	assert_int_equal(outcome.errors, 0);
	assert_non_null(strstr(outcome.said, "brokerServiceURL: wins over ZooKeeper"));
	assert_null(local_of(&outcome));
	help_free(&outcome);
	outcome = load("brokerServiceURL=pulsar+ssl://b:6651\n");
	assert_int_equal(outcome.errors, 1);
	assert_string_equal(outcome.said,
			    "proxy.conf:1:1: brokerServiceURL: begin it with pulsar://\n");
	help_free(&outcome);
	static const char *const others[] = { "oxia://x", "etcd:http://x", "rocksdb:/x",
					      "pulsar://x" };

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		args = (struct config_proxy_args){ .metadata_store = others[i] };
		outcome = help_load(NULL, &args);
		assert_int_equal(outcome.errors, 1);
		assert_non_null(strstr(outcome.said, "brokerServiceURL"));
		help_free(&outcome);
	}
}

static void test_overrides(void **state)
{
	const struct config_override overrides[] = {
		{ "limits.connections", "7" },
		{ "clusters.pulsar.lookup", "direct" },
		{ "listeners[0].splice", "off" },
		{ "listeners.pulsar.backlog", "9" },
		{ "egress.allow.networks", "[\"10.0.0.0/8\", 'fd00::/8']" },
		{ "egress.allow.hosts", "a, b" },
		{ "egress.allow.ports", "[]" },
		{ "egress.allow.ports", "1" },
		{ "state_dir", "/x" },
	};
	struct config_proxy_args args = { .zookeeper = "z",
					  .overrides = overrides,
					  .override_count = COUNT_OF(overrides) };
	struct outcome outcome = help_load("maxConcurrentInboundConnections=5\n", &args);
	const struct config *config = outcome.config;

	(void)state;
	assert_string_equal(outcome.said, "");
	assert_int_equal(config->limits.connections, 7);
	assert_int_equal(config->clusters[0].lookup, CONFIG_LOOKUP_DIRECT);
	assert_int_equal(config->listeners[0].splice, CONFIG_SPLICE_OFF);
	assert_int_equal(config->listeners[0].backlog, 9);
	assert_int_equal(config->egress.networks.count, 2);
	assert_string_equal(config->egress.hosts.at[1], "b");
	assert_int_equal(config->egress.ports.count, 1);
	assert_string_equal(config->state_dir, "/x");
	help_free(&outcome);
}

static void test_override_errors(void **state)
{
	static const char *const rows_bad[][3] = {
		{ "limits.conections", "7",
		  "--set: limits.conections: unknown key; did you mean limits.connections?\n" },
		{ "limits.connections", "x",
		  "--set: limits.connections: 'x' is not a whole number; write one from 1 to "
		  "10000000\n" },
		{ "clusters.east.lookup", "relay",
		  "--set: clusters.east.lookup: unknown key; penstock.yaml(5) lists them, with "
		  "clusters.NAME. or listeners.NAME. in front of theirs\n" },
		{ "listeners[1].bind", "0.0.0.0:1",
		  "--set: listeners[1].bind: unknown key; penstock.yaml(5) lists them, with "
		  "clusters.NAME. or listeners.NAME. in front of theirs\n" },
		{ "listeners[0].bnd", "0.0.0.0:1",
		  "--set: listeners[0].bnd: unknown key; did you mean bind?\n" },
		{ "", "",
		  "--set: : unknown key; penstock.yaml(5) lists them, with clusters.NAME. or "
		  "listeners.NAME. in front of theirs\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows_bad); i++) {
		struct config_override override = { rows_bad[i][0], rows_bad[i][1] };
		struct config_proxy_args args = { .zookeeper = "z",
						  .overrides = &override,
						  .override_count = 1 };
		struct outcome outcome = help_load(NULL, &args);

		assert_string_equal(outcome.said, rows_bad[i][2]);
		help_free(&outcome);
	}
	/* Where the brokers are may come from --set alone. */
	struct config_override urls = { "clusters.pulsar.discovery.urls", "pulsar://a:1" };
	struct config_proxy_args args = { .overrides = &urls, .override_count = 1 };
	struct outcome outcome = help_load(NULL, &args);

	assert_int_equal(outcome.errors, 0);
	assert_int_equal(outcome.config->clusters[0].url_count, 1);
	help_free(&outcome);
}

/* ---- values that need thought ---------------------------------------------------------------- */

static void test_egress(void **state)
{
	static const char *const texts[][2] = {
		{ "brokerProxyAllowedHostNames=*\n",
		  "    hosts: [\"*\"]\n    networks: [\"0.0.0.0/0\", \"::/0\"]\n" },
		{ "brokerProxyAllowedIPAddresses=*\n",
		  "    hosts: [\"*\"]\n    networks: [\"0.0.0.0/0\", \"::/0\"]\n" },
		{ "brokerProxyAllowedTargetPorts=*\n", "    ports: [\"*\"]\n" },
		{ "brokerProxyAllowedHostNames=a\nbrokerProxyAllowedIPAddresses=10.0.0.1\n",
		  "    hosts: [a]\n    networks: [\"10.0.0.1/32\"]\n" },
		{ "brokerProxyAllowedIPAddresses=10.0.0.0/255.255.0.0, "
		  "192.168.1.1-192.168.1.6,10.1.*,172.16-31.*.*,fd00::/8\n",
		  "    hosts: [\"*\"]\n    networks: [\"10.0.0.0/16\", \"192.168.1.1/32\", "
		  "\"192.168.1.2/31\", \"192.168.1.4/31\", \"192.168.1.6/32\", \"10.1.0.0/16\", "
		  "\"172.16.0.0/12\", \"fd00::/8\"]\n" },
	};
	struct outcome base = load(ZK);
	char *base_dump = help_dump(base.config);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		char text[300];

		snprintf(text, sizeof(text), ZK "%s", texts[i][0]);
		struct outcome outcome = load(text);
		char *dump = help_dump(outcome.config);
		char *lines = difference(base_dump, dump);

		assert_string_equal(lines, texts[i][1]);
		free(lines);
		free(dump);
		help_free(&outcome);
	}
	free(base_dump);
	help_free(&base);
	static const char *const bad[] = {
		"brokerProxyAllowedHostNames=pulsar-*.x\n",
		"brokerProxyAllowedHostNames=*x\n",
		"brokerProxyAllowedIPAddresses=10.*.1.1\n",
		"brokerProxyAllowedIPAddresses=10.0.0.0/255.0.255.0\n",
		"brokerProxyAllowedIPAddresses=10.0.0.9-10.0.0.1\n",
		"brokerProxyAllowedIPAddresses=example.com\n",
		"brokerProxyAllowedIPAddresses=10.0-1.0\n",
		"brokerProxyAllowedTargetPorts=6650-6651\n",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[300];

		snprintf(text, sizeof(text), ZK "%s", bad[i]);
		struct outcome outcome = load(text);

		assert_int_equal(outcome.errors, 1);
		assert_int_equal(strncmp(outcome.said, "proxy.conf:2:1: brokerProxyAllowed", 34),
				 0);
		help_free(&outcome);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "brokerProxyReadTimeoutMs=0\n", "" },
		{ "maxConcurrentInboundConnectionsPerIp=-1\n", "" },
		{ "maxConcurrentInboundConnections=0\n", "unlimited is not offered here" },
		{ "brokerProxyConnectTimeoutMs=0\n", "the longest, 600 s, is taken" },
		{ "keepAliveIntervalSeconds=0\n", "the longest, 3600 s, is taken" },
		{ "zookeeperSessionTimeoutMs=0\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[300];

		snprintf(text, sizeof(text), ZK "%s", cases[i].text);
		struct outcome outcome = load(text);

		assert_int_equal(outcome.errors, 0);
		assert_int_equal(outcome.warnings, cases[i].said[0] != '\0');
		assert_non_null(strstr(outcome.said, cases[i].said));
		assert_true(outcome.config->timeouts.idle_ns == CONFIG_OFF);
		assert_true(outcome.config->limits.per_ip == CONFIG_OFF);
		assert_int_equal(outcome.config->limits.connections, 50000);
		help_free(&outcome);
	}
	static const char *const bad[] = {
		"maxMessageSize=5 MiB\n",
		"servicePort=x\n",
		"keepAliveIntervalSeconds=-1\n",
		"checkActiveBrokers=yes\n",
		"brokerProxyReadTimeoutMs=99999999999\n",
		"numIOThreads=0\n",
		"statusFilePath=relative\n",
		"haProxyProtocolEnabled=1\n",
		"zookeeperSessionTimeoutMs=soon\n",
		"x\\u12g=1\n",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[300];

		snprintf(text, sizeof(text), ZK "%s", bad[i]);
		struct outcome outcome = load(text);

		assert_int_equal(outcome.errors, 1);
		assert_int_equal(strncmp(outcome.said, "proxy.conf:2:1: ", 16), 0);
		help_free(&outcome);
	}
}

static void test_old_names(void **state)
{
	struct outcome outcome = load(ZK "zookeeperSessionTimeoutMs=9000\n"
					 "metadataStoreSessionTimeoutMillis=8000\n"
					 "zooKeeperCacheExpirySeconds=-1\n"
					 "metadataStoreCacheExpirySeconds=7\n");

	(void)state;
	assert_true(outcome.config->clusters[0].zookeeper_session_ns == 9 * NS_PER_S);
	assert_true(outcome.config->clusters[0].zookeeper_resync_ns == 7 * NS_PER_S);
	help_free(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honoured),    cmocka_unit_test(test_defaults_are_silent),
		cmocka_unit_test(test_guards),	    cmocka_unit_test(test_parts),
		cmocka_unit_test(test_tls_texts),   cmocka_unit_test(test_tls_listeners),
		cmocka_unit_test(test_tls_brokers), cmocka_unit_test(test_role),
		cmocka_unit_test(test_ignore),	    cmocka_unit_test(test_none),
		cmocka_unit_test(test_no_file),	    cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_precedence),  cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_overrides),   cmocka_unit_test(test_override_errors),
		cmocka_unit_test(test_egress),	    cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_old_names),
	};

	return cmocka_run_group_tests(tests, help_setup, NULL);
}
