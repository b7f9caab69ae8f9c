/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy: the configuration of `penstock proxy`: one cluster, one listener and the web port,
 * from the command line of the Java proxy, its proxy.conf, and --set, in this order of strength:
 * --set, command line, file, defaults.
 */
#include "config_proxy.h"

/* The only cluster and the only listener. */
#define NAME "pulsar"

struct flag {
	const char *name, *value;
};

static struct config_mark flag_mark(const char *name)
{
	return (struct config_mark){ .file = name };
}

/* ---- where the brokers are
 * ----------------------------------------------------------------------- */

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
			   flag_mark(flags[i].name));
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
static void urls_set(struct proxy *proxy)
{
	static const char scheme[] = "pulsar://";
	const enum proxy_key key = PROXY_KEY_brokerServiceURL;
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

static void discovery_set(struct proxy *proxy)
{
	bool is_set_by_hand = false;

	for (uint32_t i = 0; i < proxy->args->override_count; i++)
		is_set_by_hand |=
			strncmp(proxy->args->overrides[i].path, "clusters." NAME ".discovery.",
				strlen("clusters." NAME ".discovery.")) == 0;
	if (config_proxy_text(proxy, PROXY_KEY_brokerServiceURL) != NULL) {
		urls_set(proxy);
		if (proxy->args->zookeeper != NULL || proxy->args->metadata_store != NULL ||
		    config_proxy_text(proxy, PROXY_KEY_metadataStoreUrl) != NULL ||
		    config_proxy_text(proxy, PROXY_KEY_zookeeperServers) != NULL)
			config_proxy_warn(proxy, PROXY_KEY_brokerServiceURL,
					  "wins over ZooKeeper, as in the Java proxy: brokers are "
					  "not discovered; remove it to discover them");
		return;
	}
	if (stores_set(proxy) || is_set_by_hand)
		return;
	config_mark_later(proxy->read, CONFIG_SCOPE_CLUSTER, 0);
	config_error(
		proxy->errors, proxy->file, 0, 0,
		"nothing says where the brokers are; give --zookeeper-servers HOST[:PORT],..., "
		"or set metadataStoreUrl or brokerServiceURL in proxy.conf");
}

/* ---- where clients connect to
 * -------------------------------------------------------------------- */

/* bindAddress and a port of the file, or the default port. */
static void port_set(struct proxy *proxy, enum proxy_key key, enum config_scope scope,
		     const char *path)
{
	const char *address = config_proxy_text(proxy, PROXY_KEY_bindAddress);
	const char *port = config_proxy_text(proxy, key);
	char text[HOST_MAX + 32];

	if (address == NULL)
		address = "0.0.0.0";
	if (port == NULL)
		port = config_proxy_rows[key].java;
	bool is_v6 = strchr(address, ':') != NULL && address[0] != '[';

	snprintf(text, sizeof(text), "%s%s%s:%s", is_v6 ? "[" : "", address, is_v6 ? "]" : "",
		 port);
	config_proxy_set(proxy, proxy->values[key].text != NULL ? key : PROXY_KEY_bindAddress,
			 scope, path, text);
}

static bool is_empty(const struct proxy *proxy, enum proxy_key key)
{
	return proxy->values[key].text != NULL && proxy->values[key].text[0] == '\0';
}

static void addresses_set(struct proxy *proxy)
{
	const struct config_proxy_args *args = proxy->args;
	struct config_read *read = proxy->read;

	if (args->bind != NULL)
		config_set(read, CONFIG_SCOPE_LISTENER, 0, "bind", args->bind, flag_mark("--bind"));
	else if (is_empty(proxy, PROXY_KEY_servicePort))
		config_proxy_error(proxy, PROXY_KEY_servicePort,
				   "is empty, and TLS ports are not in this version of penstock: "
				   "nothing would be served; write servicePort=6650");
	else
		port_set(proxy, PROXY_KEY_servicePort, CONFIG_SCOPE_LISTENER, "bind");
	if (args->web != NULL)
		config_set(read, CONFIG_SCOPE_TOP, 0, "web.listen", args->web, flag_mark("--web"));
	else if (!is_empty(proxy, PROXY_KEY_webServicePort))
		port_set(proxy, PROXY_KEY_webServicePort, CONFIG_SCOPE_TOP, "web.listen");
	if (args->admin != NULL)
		config_set(read, CONFIG_SCOPE_TOP, 0, "admin.listen", args->admin,
			   flag_mark("--admin"));
}

/* ---- all of it
 * ----------------------------------------------------------------------------------- */

struct config *config_load_proxy(const struct config_proxy_args *args, struct config_errors *errors)
{
	uint32_t before = errors->error_count;
	const char *file = args->file != NULL ? args->file : "penstock proxy";
	struct config_mark mark = { .file = file };
	struct config_read *read = config_read_new(errors);
	struct proxy proxy = { .args = args, .read = read, .errors = errors, .file = file };

	config_add_cluster(read, span_str(NAME), mark);
	config_add_listener(read, mark);
	config_set(read, CONFIG_SCOPE_LISTENER, 0, "name", NAME, mark);
	config_set(read, CONFIG_SCOPE_LISTENER, 0, "cluster", NAME, mark);
	/* There, so that what is wrong with it is said once. */
	*config_mark(read, CONFIG_SCOPE_LISTENER, 0, "bind") = mark;
	config_proxy_file(&proxy);
	config_proxy_keys(&proxy);
	config_proxy_egress(&proxy);
	discovery_set(&proxy);
	addresses_set(&proxy);
	read->alias = NULL;
	for (uint32_t i = 0; i < args->override_count; i++)
		config_override_read(read, &args->overrides[i]);
	config_check(read, file);
	return config_read_end(read, before);
}
