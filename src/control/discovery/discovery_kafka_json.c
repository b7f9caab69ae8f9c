/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_kafka_json: a broker of Kafka as it registers itself in ZooKeeper (up to Kafka 3.9):
 *
 *     {"version": 5, "host": "kafka-1", "port": 9092, "rack": "a",
 *      "endpoints": ["CLIENT://kafka-1:9092", "SSL://[2001:db8::1]:9093"],
 *      "listener_security_protocol_map": {"CLIENT": "SASL_PLAINTEXT", "SSL": "SSL"}, ...}
 *
 * Version 1 has host and port alone. From version 2 on these are those of a plain listener, or null
 * and -1, whatever clients use: only endpoints count. The map came with version 4; before that a
 * listener was called after its protocol.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "discovery_json.h"

static bool take_id(const char *id, struct discovery_broker *broker)
{
	char text[16];
	uint64_t node;

	if (!span_to_u64(span_str(id), &node) || node > INT32_MAX)
		return false;
	(void)snprintf(text, sizeof(text), "%" PRIu64, node);
	broker->node = (int32_t)node;
	return strcmp(text, id) == 0 && span_to_str(span_str(id), broker->id, sizeof(broker->id));
}

/* What is spoken at a listener; NULL: nobody says. */
static const char *protocol_of(const json_t *root, struct span listener)
{
	static const char *const names[] = { "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL" };
	json_t *map = json_object_get(root, "listener_security_protocol_map");
	const char *name;
	json_t *protocol;

	json_object_foreach(map, name, protocol)
	{
		if (span_equal_fold(listener, span_str(name)))
			return json_string_value(protocol);
	}
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (span_equal_fold(listener, span_str(names[i])))
			return names[i];
	return NULL;
}

/* False: that is not spoken by us. */
static bool is_tls_protocol(const char *protocol, bool *ret_is_tls)
{
	struct span text = span_str(protocol == NULL ? "" : protocol);

	*ret_is_tls = span_equal_fold(text, span_str("SSL")) ||
		      span_equal_fold(text, span_str("SASL_SSL"));
	return *ret_is_tls || span_equal_fold(text, span_str("PLAINTEXT")) ||
	       span_equal_fold(text, span_str("SASL_PLAINTEXT"));
}

/* "NAME://host:port" in two. */
static bool split(const char *text, struct span *ret_name, struct span *ret_place)
{
	struct span rest = span_str(text);

	return span_take(&rest, span_find(rest, ':'), ret_name) && span_starts(rest, "://") &&
	       span_skip(&rest, strlen("://")) && ret_name->len > 0 && (*ret_place = rest).len > 0;
}

static bool set_place(struct span host, uint16_t port, struct discovery_url *ret_url)
{
	if (!addr_is_host(host) || !span_to_str(host, ret_url->host, sizeof(ret_url->host)))
		return false;
	for (char *at = ret_url->host; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	ret_url->port = port;
	ret_url->is_kafka = true;
	return true;
}

static bool read_place(struct span place, struct discovery_url *ret_url)
{
	struct span host;
	uint16_t port;

	return addr_split(place, &host, &port) && set_place(host, port, ret_url);
}

/* Is this the listener that is wanted? With one that is named but speaks something else it is. */
static bool is_it(const json_t *root, const struct discovery_wanted *wanted, struct span name)
{
	bool is_tls;

	if (wanted->listener != NULL)
		return span_equal_fold(name, span_str(wanted->listener));
	return is_tls_protocol(protocol_of(root, name), &is_tls) && is_tls == wanted->is_tls;
}

static bool check_protocol(const json_t *root, const struct discovery_wanted *wanted,
			   struct span name, char why[static DISCOVERY_WHY_MAX])
{
	const char *protocol = protocol_of(root, name);
	bool is_tls;

	/* Of a name that nobody explains we trust the configuration. */
	if (protocol == NULL)
		return true;
	if (is_tls_protocol(protocol, &is_tls) && is_tls == wanted->is_tls)
		return true;
	(void)snprintf(why, DISCOVERY_WHY_MAX, "has listener %.64s with %.32s, and the cluster %s",
		       wanted->listener, protocol,
		       wanted->is_tls ? "has broker_tls" : "has no broker_tls");
	return false;
}

static bool read_endpoints(const json_t *root, const struct discovery_wanted *wanted,
			   struct discovery_url *ret_url, char why[static DISCOVERY_WHY_MAX])
{
	const json_t *list = json_object_get(root, "endpoints");
	struct span name = { .at = NULL }, place;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text == NULL || !split(text, &name, &place) || !is_it(root, wanted, name))
			continue;
		if (!read_place(place, ret_url)) {
			(void)snprintf(why, DISCOVERY_WHY_MAX,
				       "endpoint \"%.150s\" is not LISTENER://host:port", text);
			return false;
		}
		return check_protocol(root, wanted, name, why);
	}
	if (wanted->listener != NULL)
		(void)snprintf(why, DISCOVERY_WHY_MAX, "has no listener %.64s", wanted->listener);
	else
		(void)snprintf(why, DISCOVERY_WHY_MAX, "has no listener with%s TLS",
			       wanted->is_tls ? "" : "out");
	return false;
}

/* One listener, and that is plain. */
static bool read_first_version(const json_t *root, const struct discovery_wanted *wanted,
			       struct discovery_url *ret_url, char why[static DISCOVERY_WHY_MAX])
{
	const char *host = json_string_value(json_object_get(root, "host"));
	json_int_t port = json_integer_value(json_object_get(root, "port"));
	bool is_named = wanted->listener == NULL ||
			span_equal_fold(span_str(wanted->listener), span_str("PLAINTEXT"));

	(void)snprintf(why, DISCOVERY_WHY_MAX, "is of version 1, whose one listener is PLAINTEXT");
	if (!is_named || wanted->is_tls)
		return false;
	(void)snprintf(why, DISCOVERY_WHY_MAX, "has no host and port");
	return host != NULL && port >= 1 && port <= UINT16_MAX &&
	       set_place(span_str(host), (uint16_t)port, ret_url);
}

/* One that is absent, too long or not a text is none: it only goes into names. */
static void read_rack(const json_t *root, struct discovery_broker *broker)
{
	const char *rack = json_string_value(json_object_get(root, "rack"));

	if (rack == NULL || !span_to_str(span_str(rack), broker->rack, sizeof(broker->rack)))
		broker->rack[0] = '\0';
}

static bool read_broker(const json_t *root, const struct discovery_wanted *wanted,
			struct discovery_broker *broker, char why[static DISCOVERY_WHY_MAX])
{
	json_int_t version = json_integer_value(json_object_get(root, "version"));
	struct discovery_url url = { .is_tls = wanted->is_tls };
	bool is_good = false;

	(void)snprintf(why, DISCOVERY_WHY_MAX, "has no version of a broker of Kafka");
	if (version == 1)
		is_good = read_first_version(root, wanted, &url, why);
	else if (version > 1)
		is_good = read_endpoints(root, wanted, &url, why);
	if (!is_good)
		return false;
	*(wanted->is_tls ? &broker->tls : &broker->plain) = url;
	read_rack(root, broker);
	why[0] = '\0';
	return true;
}

bool discovery_kafka_json_parse(const char *id, const struct discovery_wanted *wanted,
				const uint8_t *bytes, size_t len,
				struct discovery_broker *ret_broker,
				char why[static DISCOVERY_WHY_MAX])
{
	struct discovery_broker broker = { .node = -1 };

	if (!take_id(id, &broker)) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "is not called by a node id");
		return false;
	}
	json_t *root = discovery_json_load(bytes, len, why);

	if (root == NULL)
		return false;
	bool is_good = read_broker(root, wanted, &broker, why);

	json_decref(root);
	if (is_good)
		*ret_broker = broker;
	return is_good;
}
