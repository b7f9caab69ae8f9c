/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_proxy_listen: where `penstock proxy` listens: bindAddress with servicePort,
 * servicePortTls, webServicePort and webServicePortTls.
 *
 *     pulsar      servicePort         the cluster
 *     pulsar-tls  servicePortTls      the cluster, TLS ends here
 *     web.listen  webServicePort      /status.html and /metrics
 *     web-tls     webServicePortTls   TLS ends here, the rest is web.listen's
 */
#include "config_proxy.h"

#define ADDRESS_SIZE (HOST_MAX + 32)

/* Empty is Java's way to say "none". */
static bool is_empty(const struct proxy *proxy, enum proxy_key key)
{
	return proxy->values[key].text != NULL && proxy->values[key].text[0] == '\0';
}

static const char *bind_address(const struct proxy *proxy)
{
	const char *address = config_proxy_text(proxy, PROXY_KEY_bindAddress);

	return address != NULL ? address : "0.0.0.0";
}

/* `address` and a port of the file, or the default port. */
static const char *address_of(const struct proxy *proxy, enum proxy_key key, const char *address,
			      char *ret_text)
{
	const char *port = config_proxy_text(proxy, key);
	bool is_v6 = strchr(address, ':') != NULL && address[0] != '[';

	if (port == NULL)
		port = config_proxy_rows[key].java;
	snprintf(ret_text, ADDRESS_SIZE, "%s%s%s:%s", is_v6 ? "[" : "", address, is_v6 ? "]" : "",
		 port);
	return ret_text;
}

static void port_set(struct proxy *proxy, enum proxy_key key, enum config_scope scope,
		     uint32_t index, const char *path)
{
	char text[ADDRESS_SIZE];

	config_proxy_set_at(proxy, proxy->values[key].text != NULL ? key : PROXY_KEY_bindAddress,
			    scope, index, path, address_of(proxy, key, bind_address(proxy), text));
}

static uint32_t listener_add(struct proxy *proxy, const char *name)
{
	struct config_mark mark = { .file = proxy->file };
	uint32_t index = proxy->read->config->listener_count;

	config_add_listener(proxy->read, mark);
	config_set(proxy->read, CONFIG_SCOPE_LISTENER, index, "name", name, mark);
	/* There, so that what is wrong with it is said once. */
	*config_mark(proxy->read, CONFIG_SCOPE_LISTENER, index, "bind") = mark;
	return index;
}

static void pulsar_add(struct proxy *proxy, const char *name)
{
	uint32_t index = listener_add(proxy, name);

	config_set(proxy->read, CONFIG_SCOPE_LISTENER, index, "cluster", CONFIG_PROXY_NAME,
		   config_proxy_flag(proxy->file));
	proxy->listener_count++;
}

static bool has_tls(const struct proxy *proxy)
{
	return config_proxy_text(proxy, PROXY_KEY_servicePortTls) != NULL;
}

/* In role mode nobody could come in there: there is no certificate to be known by. */
static bool has_plain(const struct proxy *proxy)
{
	if (config_proxy_is_role(proxy) && has_tls(proxy))
		return false;
	return proxy->args->bind != NULL || !is_empty(proxy, PROXY_KEY_servicePort);
}

void config_proxy_listeners(struct proxy *proxy)
{
	if (has_plain(proxy) || !has_tls(proxy))
		pulsar_add(proxy, CONFIG_PROXY_NAME);
	if (has_tls(proxy))
		pulsar_add(proxy, CONFIG_PROXY_NAME "-tls");
	if (config_proxy_is_role(proxy) && has_tls(proxy) &&
	    !is_empty(proxy, PROXY_KEY_servicePort))
		config_proxy_warn(proxy, PROXY_KEY_servicePort,
				  "is not opened: clients are known by their certificates "
				  "(authenticationProviders), and have none there; leave it empty");
}

static void pulsar_set(struct proxy *proxy)
{
	const enum proxy_key plain = PROXY_KEY_servicePort, tls = PROXY_KEY_servicePortTls;

	if (proxy->args->bind != NULL && has_plain(proxy))
		config_set(proxy->read, CONFIG_SCOPE_LISTENER, 0, "bind", proxy->args->bind,
			   config_proxy_flag("--bind"));
	else if (has_plain(proxy))
		port_set(proxy, plain, CONFIG_SCOPE_LISTENER, 0, "bind");
	else if (!has_tls(proxy))
		config_proxy_error(proxy, plain,
				   "is empty and there is no servicePortTls: nothing would be "
				   "served; write servicePort=6650");
	if (!has_tls(proxy))
		return;
	uint32_t index = proxy->listener_count - 1;

	port_set(proxy, tls, CONFIG_SCOPE_LISTENER, index, "bind");
	config_proxy_tls_listener(proxy, index, tls, PROXY_KEY_tlsProtocols, PROXY_KEY_tlsCiphers);
}

/* ---- the web port ---------------------------------------------------------------------------- */

static bool has_web_tls(const struct proxy *proxy)
{
	return config_proxy_text(proxy, PROXY_KEY_webServicePortTls) != NULL &&
	       (proxy->args->web == NULL || strcmp(proxy->args->web, "off") != 0);
}

static void web_set(struct proxy *proxy)
{
	const enum proxy_key key = PROXY_KEY_webServicePort;
	char text[ADDRESS_SIZE];

	if (proxy->args->web != NULL)
		config_set(proxy->read, CONFIG_SCOPE_TOP, 0, "web.listen", proxy->args->web,
			   config_proxy_flag("--web"));
	else if (!is_empty(proxy, key))
		port_set(proxy, key, CONFIG_SCOPE_TOP, 0, "web.listen");
	else if (has_web_tls(proxy)) /* for web-tls alone */
		config_proxy_set(proxy, key, CONFIG_SCOPE_TOP, "web.listen",
				 address_of(proxy, key, "127.0.0.1", text));
}

/* Where web.listen is to be reached from here. */
static const char *web_address(const struct proxy *proxy, char *ret_text)
{
	struct addr web = proxy->read->config->web.listen;

	if (addr_kind(&web) == ADDR_UNSPECIFIED && addr_is_v4(&web))
		web = addr_v4(0x7f000001, web.port);
	else if (addr_kind(&web) == ADDR_UNSPECIFIED)
		web.ip[sizeof(web.ip) - 1] = 1;
	return addr_format(&web, ret_text);
}

static void web_tls_set(struct proxy *proxy)
{
	const enum proxy_key key = PROXY_KEY_webServicePortTls;
	char text[ADDR_TEXT_MAX];

	if (!has_web_tls(proxy) || !proxy->read->config->web.is_on)
		return;
	uint32_t index = listener_add(proxy, "web-tls");

	port_set(proxy, key, CONFIG_SCOPE_LISTENER, index, "bind");
	config_proxy_set_at(proxy, key, CONFIG_SCOPE_LISTENER, index, "forward",
			    web_address(proxy, text));
	config_proxy_tls_listener(proxy, index, key, PROXY_KEY_webServiceTlsProtocols,
				  PROXY_KEY_webServiceTlsCiphers);
}

void config_proxy_addresses(struct proxy *proxy)
{
	pulsar_set(proxy);
	web_set(proxy);
	web_tls_set(proxy);
	if (proxy->args->admin != NULL)
		config_set(proxy->read, CONFIG_SCOPE_TOP, 0, "admin.listen", proxy->args->admin,
			   config_proxy_flag("--admin"));
}
