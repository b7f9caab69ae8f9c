/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy_tls: the keys of proxy.conf about TLS with clients and with brokers. What they leave
 * open is closed here: a certificate is asked for in the words of the Java proxy, not ours.
 */
#include <unistd.h>

#include "config_proxy.h"

/* A key that is true; what is neither true nor false is an error. */
static bool is_true(struct proxy *proxy, enum proxy_key key)
{
	bool value;

	return config_proxy_text(proxy, key) != NULL && config_proxy_bool(proxy, key, &value) &&
	       value;
}

/* A key of one side of TLS, where there is something. */
struct side {
	struct proxy *proxy;
	enum config_scope scope;
	uint32_t index;
	const char *section; /* "tls" or "broker_tls" */
};

static bool side_set(const struct side *side, enum proxy_key key, const char *name,
		     const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.%s", side->section, name);
	return config_proxy_set_at(side->proxy, key, side->scope, side->index, path, text);
}

static bool side_set_text(const struct side *side, enum proxy_key key, const char *name)
{
	const char *text = config_proxy_text(side->proxy, key);

	return text == NULL || side_set(side, key, name, text);
}

/* ---- versions -------------------------------------------------------------------------------- */

/* What Java calls them. */
static const struct {
	const char *name;
	const char *ours; /* NULL: never spoken */
} versions[] = {
	{ "TLSv1.3", "1.3" }, { "TLSv1.2", "1.2" }, { "TLSv1.1", NULL },
	{ "TLSv1", NULL },    { "SSLv3", NULL },    { "SSLv2Hello", NULL },
};

/* The next item of a list with commas; false at the end. */
static bool next_item(struct span *rest, struct span *ret_item)
{
	while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == ','))
		*rest = span_of(rest->at + 1, rest->len - 1);
	if (rest->len == 0)
		return false;
	size_t len = span_find(*rest, ',');

	*ret_item = span_of(rest->at, len);
	*rest = span_of(rest->at + len, rest->len - len);
	while (ret_item->len > 0 && ret_item->at[ret_item->len - 1] == ' ')
		ret_item->len--;
	return true;
}

static const char *version_read(struct proxy *proxy, enum proxy_key key, struct span item)
{
	char shown[40];

	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		if (!span_equal_fold(item, span_str(versions[i].name)))
			continue;
		if (versions[i].ours == NULL)
			config_proxy_warn(proxy, key, "%s is not spoken here", versions[i].name);
		return versions[i].ours;
	}
	config_proxy_error(proxy, key, "'%s' is no version of TLS; write TLSv1.3,TLSv1.2",
			   config_show(item, shown, sizeof(shown)));
	return NULL;
}

static void versions_set(const struct side *side, enum proxy_key key)
{
	struct proxy *proxy = side->proxy;
	uint32_t errors = proxy->errors->error_count;
	const char *low = NULL, *high = NULL;
	struct span item;

	if (config_proxy_text(proxy, key) == NULL)
		return;
	struct span rest = span_str(config_proxy_text(proxy, key));

	while (next_item(&rest, &item)) {
		const char *version = version_read(proxy, key, item);

		if (version != NULL && (low == NULL || strcmp(version, low) < 0))
			low = version;
		if (version != NULL && (high == NULL || strcmp(version, high) > 0))
			high = version;
	}
	if (proxy->errors->error_count > errors)
		return;
	if (low == NULL) {
		config_proxy_error(proxy, key,
				   "names no version that is spoken here; write TLSv1.3,TLSv1.2");
		return;
	}
	side_set(side, key, "min_version", low);
	side_set(side, key, "max_version", high);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Java asks every client for a certificate. Not here where any one would do: nobody looks at it. */
static void clients_set(const struct side *side)
{
	const enum proxy_key trust = PROXY_KEY_tlsTrustCertsFilePath;
	const enum proxy_key require = PROXY_KEY_tlsRequireTrustedClientCertOnConnect;
	struct proxy *proxy = side->proxy;
	bool is_insecure = is_true(proxy, PROXY_KEY_tlsAllowInsecureConnection);
	bool is_role = config_proxy_is_role(proxy);
	bool is_needed = is_true(proxy, require) || is_role;

	if (is_needed && config_proxy_text(proxy, trust) == NULL) {
		config_proxy_error(proxy, is_role ? PROXY_KEY_authenticationProviders : require,
				   "nobody is trusted to sign clients' certificates; set "
				   "tlsTrustCertsFilePath");
		return;
	}
	if (is_needed && is_insecure)
		config_proxy_warn(proxy, PROXY_KEY_tlsAllowInsecureConnection,
				  "clients' certificates are checked all the same, since "
				  "tlsRequireTrustedClientCertOnConnect asks for trusted ones");
	if (!is_needed && (is_insecure || config_proxy_text(proxy, trust) == NULL))
		return;
	if (side_set_text(side, trust, "client_ca_file"))
		side_set(side, is_needed ? require : trust, "client_auth",
			 is_needed ? "require" : "optional");
}

void config_proxy_tls_listener(struct proxy *proxy, uint32_t index, enum proxy_key port,
			       enum proxy_key protocols, enum proxy_key ciphers)
{
	const enum proxy_key cert = PROXY_KEY_tlsCertificateFilePath;
	const enum proxy_key key = PROXY_KEY_tlsKeyFilePath;
	const struct side side = {
		.proxy = proxy, .scope = CONFIG_SCOPE_LISTENER, .index = index, .section = "tls"
	};

	/* A keystore is refused already. */
	if (config_proxy_text(proxy, cert) == NULL || config_proxy_text(proxy, key) == NULL) {
		if (!config_proxy_is_changed(proxy, PROXY_KEY_tlsEnabledWithKeyStore))
			config_proxy_error(proxy, port,
					   "TLS needs a certificate and its key; set "
					   "tlsCertificateFilePath and tlsKeyFilePath");
		return;
	}
	if (!side_set_text(&side, cert, "cert_file") || !side_set_text(&side, key, "key_file"))
		return;
	clients_set(&side);
	versions_set(&side, protocols);
	side_set_text(&side, ciphers, "ciphers");
}

/* ---- brokers --------------------------------------------------------------------------------- */

bool config_proxy_is_tls(struct proxy *proxy)
{
	const char *text = config_proxy_text(proxy, PROXY_KEY_tlsEnabledWithBroker);

	return text != NULL && span_equal_fold(span_str(text), span_str("true"));
}

/* Where distributions keep the public authorities in one file. */
const char *config_system_cas(void)
{
	static const char *const files[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
		"/etc/ssl/ca-bundle.pem",	      /* SUSE */
	};

	for (size_t i = 0; i < COUNT_OF(files); i++)
		if (access(files[i], R_OK) == 0)
			return files[i];
	return files[0];
}

static void verify_set(const struct side *side)
{
	const enum proxy_key trust = PROXY_KEY_brokerClientTrustCertsFilePath;
	const enum proxy_key insecure = PROXY_KEY_tlsAllowInsecureConnection;
	const enum proxy_key names = PROXY_KEY_tlsHostnameVerificationEnabled;
	struct proxy *proxy = side->proxy;
	bool is_named = is_true(proxy, names);

	if (is_true(proxy, insecure)) {
		side_set(side, insecure, "verify", "off"); /* config_check warns */
		return;
	}
	if (config_proxy_text(proxy, trust) != NULL)
		side_set_text(side, trust, "ca_file");
	else
		side_set(side, PROXY_KEY_tlsEnabledWithBroker, "ca_file", config_system_cas());
	side_set(side, names, "verify", is_named ? "full" : "ca");
	if (!is_named)
		config_proxy_warn(
			proxy, PROXY_KEY_tlsEnabledWithBroker,
			"a broker may show any certificate of these authorities, whatever "
			"name it is for, as in the Java proxy; set "
			"tlsHostnameVerificationEnabled=true");
}

void config_proxy_tls_brokers(struct proxy *proxy)
{
	const enum proxy_key cert = PROXY_KEY_brokerClientCertificateFilePath;
	const enum proxy_key key = PROXY_KEY_brokerClientKeyFilePath;
	const struct side side = { .proxy = proxy,
				   .scope = CONFIG_SCOPE_CLUSTER,
				   .section = "broker_tls" };

	if (!is_true(proxy, PROXY_KEY_tlsEnabledWithBroker))
		return;
	verify_set(&side);
	if ((config_proxy_text(proxy, cert) == NULL) != (config_proxy_text(proxy, key) == NULL)) {
		config_proxy_error(proxy, config_proxy_text(proxy, cert) != NULL ? cert : key,
				   "a certificate goes with its key; set both "
				   "brokerClientCertificateFilePath and brokerClientKeyFilePath");
	} else {
		side_set_text(&side, cert, "cert_file");
		side_set_text(&side, key, "key_file");
	}
	versions_set(&side, PROXY_KEY_brokerClientTlsProtocols);
	side_set_text(&side, PROXY_KEY_brokerClientTlsCiphers, "ciphers");
}
