/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy: the configuration of `penstock proxy`: one cluster, its listeners and the web port,
 * from the command line of the Java proxy, its proxy.conf, and --set, in this order of strength:
 * --set, command line, file, defaults.
 */
#include "config_proxy.h"

struct flag {
	const char *name, *value;
};

/* ---- where the brokers are ------------------------------------------------------------------- */

/* The first of the keys that has a text, or PROXY_KEY_COUNT. */
static enum proxy_key first_set(const struct proxy *proxy, const enum proxy_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (config_proxy_text(proxy, keys[i]) != NULL)
			return keys[i];
	return PROXY_KEY_COUNT;
}

/* A metadata store: the command line's in order of strength, then the file's. */
static bool store_set(struct proxy *proxy, const char *path, const struct flag *flags,
		      size_t flag_count, const enum proxy_key *keys, size_t key_count)
{
	for (size_t i = 0; i < flag_count; i++) {
		if (flags[i].value == NULL)
			continue;
		config_set(proxy->read, CONFIG_SCOPE_CLUSTER, 0, path, flags[i].value,
			   config_proxy_flag(flags[i].name));
		return true;
	}
	enum proxy_key key = first_set(proxy, keys, key_count);

	if (key == PROXY_KEY_COUNT)
		return false;
	config_proxy_set(proxy, key, CONFIG_SCOPE_CLUSTER, path, config_proxy_text(proxy, key));
	return true;
}

static bool stores_set(struct proxy *proxy)
{
	const struct config_proxy_args *args = proxy->args;
	const struct flag local_flags[] = {
		{ "--metadata-store", args->metadata_store },
		{ "--zookeeper-servers", args->zookeeper },
	};
	const struct flag global_flags[] = {
		{ "--configuration-metadata-store", args->configuration_store },
		{ "--configuration-store-servers", args->configuration_servers },
		{ "--global-zookeeper-servers", args->global_zookeeper },
	};
	static const enum proxy_key local_keys[] = {
		PROXY_KEY_metadataStoreUrl,
		PROXY_KEY_zookeeperServers,
	};
	static const enum proxy_key global_keys[] = {
		PROXY_KEY_configurationMetadataStoreUrl,
		PROXY_KEY_configurationStoreServers,
		PROXY_KEY_globalZookeeperServers,
	};

	if (!store_set(proxy, "discovery.zookeeper.servers", local_flags, COUNT_OF(local_flags),
		       local_keys, COUNT_OF(local_keys)))
		return false;
	store_set(proxy, "discovery.zookeeper.global_servers", global_flags, COUNT_OF(global_flags),
		  global_keys, COUNT_OF(global_keys));
	return true;
}

/* "pulsar://a:6650,b:6650" or "pulsar://a:6650,pulsar://b:6650" as a list of URLs. */
static void urls_set(struct proxy *proxy, enum proxy_key key, const char *scheme)
{
	struct span rest = span_str(config_proxy_text(proxy, key));
	char text[4096];
	struct sink list = sink_of(text, sizeof(text) - 1);

	for (bool is_last = false; !is_last;) {
		size_t len = span_find(rest, ',');
		struct span url = span_of(rest.at, len);

		is_last = len == rest.len;
		rest = is_last ? rest : span_of(rest.at + len + 1, rest.len - len - 1);
		while (url.len > 0 && url.at[0] == ' ')
			url = span_of(url.at + 1, url.len - 1);
		/* Only what follows the first may leave the scheme out. */
		if (list.len > 0 && span_find(url, '/') == url.len)
			sink_str(&list, scheme);
		else if (!span_starts(url, scheme)) {
			config_proxy_error(proxy, key, "begin it with %s", scheme);
			config_mark_told(proxy->read, CONFIG_SCOPE_CLUSTER, 0);
			return;
		}
		sink_span(&list, url);
		if (!is_last)
			sink_str(&list, ",");
	}
	if (list.full) {
		config_proxy_error(proxy, key, "is longer than %zu bytes; name fewer brokers",
				   sizeof(text));
		return;
	}
	text[list.len] = '\0';
	config_proxy_set(proxy, key, CONFIG_SCOPE_CLUSTER, "discovery.urls", text);
}

static bool has_store(const struct proxy *proxy)
{
	return proxy->args->zookeeper != NULL || proxy->args->metadata_store != NULL ||
	       config_proxy_text(proxy, PROXY_KEY_metadataStoreUrl) != NULL ||
	       config_proxy_text(proxy, PROXY_KEY_zookeeperServers) != NULL;
}

/* The URL of the kind that is spoken; false: there is none. */
static bool url_set(struct proxy *proxy)
{
	const enum proxy_key plain = PROXY_KEY_brokerServiceURL;
	bool is_tls = config_proxy_is_tls(proxy);
	enum proxy_key key = is_tls ? PROXY_KEY_brokerServiceURLTLS : plain;

	if (is_tls && config_proxy_text(proxy, plain) != NULL)
		config_proxy_warn(proxy, plain,
				  "has no effect with tlsEnabledWithBroker, as in the Java proxy%s",
				  config_proxy_text(proxy, key) == NULL
					  ? "; set brokerServiceURLTLS"
					  : "");
	if (config_proxy_text(proxy, key) == NULL)
		return false;
	urls_set(proxy, key, is_tls ? "pulsar+ssl://" : "pulsar://");
	if (has_store(proxy))
		config_proxy_warn(proxy, key,
				  "wins over ZooKeeper, as in the Java proxy: brokers are "
				  "not discovered; remove it to discover them");
	return true;
}

static void discovery_set(struct proxy *proxy)
{
	bool is_set_by_hand = false;

	for (uint32_t i = 0; i < proxy->args->override_count; i++)
		is_set_by_hand |= strncmp(proxy->args->overrides[i].path,
					  "clusters." CONFIG_PROXY_NAME ".discovery.",
					  strlen("clusters." CONFIG_PROXY_NAME ".discovery.")) == 0;
	if (url_set(proxy))
		return;
	if (stores_set(proxy) || is_set_by_hand)
		return;
	config_mark_told(proxy->read, CONFIG_SCOPE_CLUSTER, 0);
	config_error(
		proxy->errors, proxy->file, 0, 0,
		"nothing says where the brokers are; give --zookeeper-servers HOST[:PORT],..., "
		"or set metadataStoreUrl or %s in proxy.conf",
		config_proxy_is_tls(proxy) ? "brokerServiceURLTLS" : "brokerServiceURL");
}

/* ---- all of it ------------------------------------------------------------------------------- */

struct config *config_load_proxy(const struct config_proxy_args *args, struct config_errors *errors)
{
	uint32_t before = errors->error_count;
	const char *file = args->file != NULL ? args->file : "penstock proxy";
	struct config_mark mark = { .file = file };
	struct config_read *read = config_read_new(errors);
	struct proxy proxy = { .args = args, .read = read, .errors = errors, .file = file };

	config_add_cluster(read, span_str(CONFIG_PROXY_NAME), mark);
	config_proxy_file(&proxy);
	config_proxy_listeners(&proxy);
	config_proxy_keys(&proxy);
	config_proxy_egress(&proxy);
	config_proxy_tls_brokers(&proxy);
	config_proxy_role(&proxy);
	discovery_set(&proxy);
	config_proxy_addresses(&proxy);
	read->alias = NULL;
	for (uint32_t i = 0; i < args->override_count; i++)
		config_override_read(read, &args->overrides[i]);
	config_check(read, file);
	return config_read_end(read, before);
}
