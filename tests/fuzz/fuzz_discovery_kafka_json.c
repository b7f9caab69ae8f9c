/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A broker of Kafka in ZooKeeper: whatever is in it, one that comes out has one URL, of the kind
 * that was asked for, which writes and reads back as the same.
 */
#include "fuzz.h"

#include "../../src/control/discovery/discovery_json.h"

static void try_one(const struct discovery_wanted *wanted, const uint8_t *data, size_t size)
{
	struct discovery_broker broker;
	char why[DISCOVERY_WHY_MAX] = "";
	char text[DISCOVERY_URL_MAX];
	struct discovery_url back;

	if (!discovery_kafka_json_parse("7", wanted, data, size, &broker, why)) {
		CHECK(why[0] != '\0');
		return;
	}
	const struct discovery_url *url = wanted->is_tls ? &broker.tls : &broker.plain;

	CHECK(why[0] == '\0' && broker.node == 7 && broker.listeners == NULL);
	CHECK((wanted->is_tls ? broker.plain.port : broker.tls.port) == 0);
	CHECK(url->port != 0 && url->is_kafka && url->is_tls == wanted->is_tls);
	CHECK(addr_is_host(span_str(url->host)));
	CHECK(discovery_url_format(url, text) == strlen(text));
	CHECK(discovery_url_parse(text, &back) && discovery_url_equal(url, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct discovery_wanted wanted[] = {
		{ NULL, false }, { NULL, true }, { "CLIENT", false }, { "CLIENT", true }
	};

	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		try_one(&wanted[i], data, size);
	return 0;
}
