/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_broker_json: a broker's own node. Three load managers write three forms (LoadReport,
 * LocalBrokerData, BrokerLookupData); the keys that matter here are the same in all of them, so the
 * form is not even looked at. Any key may be missing or null.
 */
#include <stdio.h>
#include <stdlib.h>

#include "discovery_json.h"

/* False only for a text that is not a URL of this kind; absent is fine. */
static bool read_url(const json_t *object, const char *key, bool is_tls,
		     struct discovery_url *ret_url, char why[static DISCOVERY_WHY_MAX])
{
	const json_t *value = json_object_get(object, key);
	struct discovery_url url;

	if (value == NULL || json_is_null(value))
		return true;
	const char *text = json_string_value(value);

	if (text == NULL) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "%s is not a text", key);
		return false;
	}
	if (!discovery_url_parse(text, &url) || url.is_tls != is_tls || url.is_kafka) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "%s \"%.100s\" is not %s://host:port", key,
			       text, is_tls ? "pulsar+ssl" : "pulsar");
		return false;
	}
	*ret_url = url;
	return true;
}

static void add_listener(struct discovery_broker *broker, const json_t *object, const char *key,
			 bool is_tls)
{
	char why[DISCOVERY_WHY_MAX];
	struct discovery_url url = { .port = 0 };

	if (broker->listener_count < DISCOVERY_LISTENERS_MAX &&
	    read_url(object, key, is_tls, &url, why) && url.port != 0)
		broker->listeners[broker->listener_count++] = url;
}

static bool read_listeners(const json_t *root, struct discovery_broker *broker)
{
	json_t *map = json_object_get(root, "advertisedListeners");
	const char *name;
	json_t *listener;

	if (!json_is_object(map) || json_object_size(map) == 0)
		return true;
	broker->listeners = calloc(DISCOVERY_LISTENERS_MAX, sizeof(*broker->listeners));
	if (broker->listeners == NULL)
		return false;
	json_object_foreach(map, name, listener)
	{
		add_listener(broker, listener, "brokerServiceUrl", false);
		add_listener(broker, listener, "brokerServiceUrlTls", true);
	}
	if (broker->listener_count == 0) {
		free(broker->listeners);
		broker->listeners = NULL;
	}
	return true;
}

static bool read_broker(const json_t *root, struct discovery_broker *broker,
			char why[static DISCOVERY_WHY_MAX])
{
	const char *manager = json_string_value(json_object_get(root, "loadManagerClassName"));

	(void)snprintf(why, DISCOVERY_WHY_MAX, "has no pulsarServiceUrl");
	bool is_good = read_url(root, "pulsarServiceUrl", false, &broker->plain, why);

	/* One bad URL beside a good one: that broker is still of use. */
	is_good = read_url(root, "pulsarServiceUrlTls", true, &broker->tls, why) && is_good;
	if (broker->plain.port == 0 && broker->tls.port == 0)
		return false;
	if (is_good)
		why[0] = '\0';
	broker->is_extensible = manager != NULL && strstr(manager, "ExtensibleLoadManager") != NULL;
	if (read_listeners(root, broker))
		return true;
	(void)snprintf(why, DISCOVERY_WHY_MAX, "cannot be read: out of memory");
	return false;
}

bool discovery_broker_json_parse(const char *id, const uint8_t *bytes, size_t len,
				 struct discovery_broker *ret_broker,
				 char why[static DISCOVERY_WHY_MAX])
{
	struct discovery_broker broker = { .node = -1 };

	if (!span_to_str(span_str(id), broker.id, sizeof(broker.id))) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "has too long a name");
		return false;
	}
	json_t *root = discovery_json_load(bytes, len, why);

	if (root == NULL)
		return false;
	bool is_good = read_broker(root, &broker, why);

	json_decref(root);
	if (!is_good) {
		free(broker.listeners);
		return false;
	}
	*ret_broker = broker;
	return true;
}
