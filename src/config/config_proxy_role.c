/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy_role: a Java proxy that knows its clients by their certificates and shows brokers a
 * credential of its own (docs/adr/0013) is role mode here.
 *
 *     authenticationEnabled=true
 *     authenticationProviders=...AuthenticationProviderTls              and no other
 *     brokerClientAuthenticationPlugin=...AuthenticationTls             or AuthenticationToken
 *     brokerClientAuthenticationParameters=tlsCertFile:/c,tlsKeyFile:/k  or file:///t
 */
#include "config_proxy.h"
#include "config_yaml.h"

static const char provider_tls[] =
	"org.apache.pulsar.broker.authentication.AuthenticationProviderTls";
static const char plugin_tls[] = "org.apache.pulsar.client.impl.auth.AuthenticationTls";
static const char plugin_token[] = "org.apache.pulsar.client.impl.auth.AuthenticationToken";

static const enum proxy_key plugin = PROXY_KEY_brokerClientAuthenticationPlugin;
static const enum proxy_key parameters = PROXY_KEY_brokerClientAuthenticationParameters;

static bool is_text(const struct proxy *proxy, enum proxy_key key, const char *text)
{
	const char *value = config_proxy_text(proxy, key);

	return value != NULL && strcmp(value, text) == 0;
}

bool config_proxy_is_of_role(enum proxy_key key)
{
	return key == PROXY_KEY_authenticationEnabled || key == PROXY_KEY_authenticationProviders ||
	       key == plugin || key == parameters;
}

bool config_proxy_is_role(const struct proxy *proxy)
{
	for (enum proxy_key key = 0; key < PROXY_KEY_COUNT; key++)
		if (config_proxy_is_of_role(key) && proxy->values[key].is_ignored)
			return false;
	return is_text(proxy, PROXY_KEY_authenticationEnabled, "true") &&
	       is_text(proxy, PROXY_KEY_authenticationProviders, provider_tls) &&
	       (is_text(proxy, plugin, plugin_tls) || is_text(proxy, plugin, plugin_token));
}

/* ---- the certificate ------------------------------------------------------------------------- */

/* What stands behind a name in {"name": "value"}, which is YAML too; NULL: nothing. */
static const char *json_value(struct proxy *proxy, struct span text, const char *name)
{
	struct config_errors ignored = { .out = NULL };
	yaml_document_t document;
	const char *value = NULL;

	if (!config_yaml_load(&ignored, proxy->file, text, true, &document))
		return NULL;
	const yaml_node_t *root = yaml_document_get_root_node(&document);

	for (yaml_node_pair_t *pair = root != NULL && root->type == YAML_MAPPING_NODE
					      ? root->data.mapping.pairs.start
					      : NULL;
	     pair != NULL && pair < root->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(&document, pair->key);
		const yaml_node_t *node = yaml_document_get_node(&document, pair->value);

		if (key->type == YAML_SCALAR_NODE && node->type == YAML_SCALAR_NODE &&
		    span_is(span_of(key->data.scalar.value, key->data.scalar.length), name))
			value = config_copy(proxy->read->config, span_of(node->data.scalar.value,
									 node->data.scalar.length));
	}
	yaml_document_delete(&document);
	return value;
}

/* What stands behind a name in "name:value,name:value"; NULL: nothing. */
static const char *list_value(struct proxy *proxy, struct span rest, const char *name)
{
	while (rest.len > 0) {
		size_t len = span_find(rest, ',');
		struct span item = span_of(rest.at, len);
		size_t colon = span_find(item, ':');

		if (colon < item.len && span_is(span_of(item.at, colon), name))
			return config_copy(proxy->read->config,
					   span_of(item.at + colon + 1, item.len - colon - 1));
		len += len < rest.len;
		rest = span_of(rest.at + len, rest.len - len);
	}
	return NULL;
}

static const char *parameter(struct proxy *proxy, const char *name)
{
	const char *text = config_proxy_text(proxy, parameters);

	if (text == NULL)
		return NULL;
	return text[0] == '{' ? json_value(proxy, span_str(text), name)
			      : list_value(proxy, span_str(text), name);
}

static bool cluster_set(struct proxy *proxy, enum proxy_key key, const char *path, const char *text)
{
	return config_proxy_set(proxy, key, CONFIG_SCOPE_CLUSTER, path, text);
}

static void certificate_set(struct proxy *proxy)
{
	const char *cert = parameter(proxy, "tlsCertFile");
	const char *key = parameter(proxy, "tlsKeyFile");

	if (!config_proxy_is_tls(proxy))
		config_proxy_error(
			proxy, plugin,
			"a certificate is shown inside TLS; set tlsEnabledWithBroker=true");
	else if (cert == NULL || key == NULL)
		config_proxy_error(
			proxy, config_proxy_text(proxy, parameters) != NULL ? parameters : plugin,
			"names no certificate; write "
			"brokerClientAuthenticationParameters=tlsCertFile:/FILE,tlsKeyFile:/FILE");
	else if (cluster_set(proxy, parameters, "broker_tls.cert_file", cert) &&
		 cluster_set(proxy, parameters, "broker_tls.key_file", key))
		cluster_set(proxy, plugin, "credentials.role.certificate", "true");
}

/* ---- the token ------------------------------------------------------------------------------- */

/* file:///path or file:/path */
static void token_set(struct proxy *proxy)
{
	const char *text = config_proxy_text(proxy, parameters);
	struct span file = span_str(text != NULL ? text : "");
	bool is_file = (span_starts(file, "file://") && span_skip(&file, strlen("file://"))) ||
		       (span_starts(file, "file:") && span_skip(&file, strlen("file:")));

	if (!is_file || file.len == 0)
		config_proxy_error(
			proxy, text != NULL ? parameters : plugin,
			"names no file with the token; write the token into one that only "
			"penstock may read, and "
			"brokerClientAuthenticationParameters=file:///FILE");
	else
		cluster_set(proxy, parameters, "credentials.role.token_file",
			    config_copy(proxy->read->config, file));
}

void config_proxy_role(struct proxy *proxy)
{
	const enum proxy_key forward = PROXY_KEY_forwardAuthorizationCredentials;
	bool is_forward = false;

	if (config_proxy_text(proxy, forward) != NULL &&
	    !config_proxy_bool(proxy, forward, &is_forward))
		return;
	if (!config_proxy_is_role(proxy))
		return;
	if (config_proxy_text(proxy, PROXY_KEY_servicePortTls) == NULL) {
		config_proxy_error(
			proxy, PROXY_KEY_authenticationProviders,
			"clients are known by their certificates, and there is no TLS port; "
			"set servicePortTls");
		return;
	}
	if (is_text(proxy, plugin, plugin_tls))
		certificate_set(proxy);
	else
		token_set(proxy);
	if (is_forward)
		cluster_set(proxy, forward, "credentials.role.forward", "true");
}
