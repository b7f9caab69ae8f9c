/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A broker's node in ZooKeeper: whatever is in it, a broker that comes out has a main URL, and
 * every URL of it writes and reads back as the same.
 */
#include "fuzz.h"

#include "../../src/control/discovery/discovery_json.h"

static void check_url(const struct discovery_url *url, bool is_tls)
{
	char text[DISCOVERY_URL_MAX];
	struct discovery_url back;

	if (url->port == 0)
		return;
	CHECK(url->is_tls == is_tls && addr_is_host(span_str(url->host)));
	CHECK(discovery_url_format(url, text) == strlen(text));
	CHECK(discovery_url_parse(text, &back) && discovery_url_equal(url, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct discovery_broker broker;
	char why[DISCOVERY_WHY_MAX] = "";

	if (!discovery_broker_json_parse("b1:8080", data, size, &broker, why)) {
		CHECK(why[0] != '\0');
		return 0;
	}
	CHECK(broker.plain.port != 0 || broker.tls.port != 0);
	check_url(&broker.plain, false);
	check_url(&broker.tls, true);
	CHECK(broker.listener_count <= DISCOVERY_LISTENERS_MAX);
	CHECK((broker.listener_count > 0) == (broker.listeners != NULL));
	for (uint32_t i = 0; i < broker.listener_count; i++) {
		CHECK(broker.listeners[i].port != 0);
		check_url(&broker.listeners[i], broker.listeners[i].is_tls);
	}
	free(broker.listeners);
	return 0;
}
