/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_url: broker URLs as ZooKeeper and the configuration write them.
 */
#include <stdio.h>

#include "discovery_priv.h"

bool discovery_url_parse(const char *text, struct discovery_url *ret_url)
{
	static const struct {
		const char *prefix;
		bool is_tls, is_kafka;
	} schemes[] = {
		{ "pulsar://", false, false },
		{ "pulsar+ssl://", true, false },
		{ "kafka://", false, true },
		{ "kafka+ssl://", true, true },
	};
	struct span rest = span_str(text);
	struct discovery_url url = { .port = 0 };
	struct span host;
	size_t scheme = 0;

	while (scheme < COUNT_OF(schemes) && !span_starts(rest, schemes[scheme].prefix))
		scheme++;
	if (scheme == COUNT_OF(schemes) || !span_skip(&rest, strlen(schemes[scheme].prefix)))
		return false;
	if (rest.len > 0 && rest.at[rest.len - 1] == '/')
		rest.len--;
	if (!addr_split(rest, &host, &url.port) || !addr_is_host(host) ||
	    !span_to_str(host, url.host, sizeof(url.host)))
		return false;
	for (char *at = url.host; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	url.is_tls = schemes[scheme].is_tls;
	url.is_kafka = schemes[scheme].is_kafka;
	*ret_url = url;
	return true;
}

bool discovery_url_equal(const struct discovery_url *a, const struct discovery_url *b)
{
	return a->port == b->port && a->is_tls == b->is_tls && a->is_kafka == b->is_kafka &&
	       strcmp(a->host, b->host) == 0;
}

size_t discovery_url_format(const struct discovery_url *url, char text[static DISCOVERY_URL_MAX])
{
	bool is_v6 = strchr(url->host, ':') != NULL;

	text[0] = '\0';
	if (url->port == 0)
		return 0;
	int len = snprintf(text, DISCOVERY_URL_MAX, "%s%s://%s%s%s:%u",
			   url->is_kafka ? "kafka" : "pulsar", url->is_tls ? "+ssl" : "",
			   is_v6 ? "[" : "", url->host, is_v6 ? "]" : "", url->port);

	CHECK(len > 0 && len < DISCOVERY_URL_MAX);
	return (size_t)len;
}
