/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_json: jansson behind a length and a depth limit. jansson's own depth limit is 2,048
 * levels of recursion; nothing Pulsar writes is deeper than ten.
 */
#include <stdio.h>

#include "discovery_json.h"

static bool is_too_deep(const uint8_t *bytes, size_t len)
{
	bool is_string = false;
	uint32_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = bytes[i];

		if (is_string) {
			if (byte == '\\')
				i++;
			else if (byte == '"')
				is_string = false;
		} else if (byte == '"') {
			is_string = true;
		} else if (byte == '[' || byte == '{') {
			if (++depth > DISCOVERY_JSON_DEPTH)
				return true;
		} else if ((byte == ']' || byte == '}') && depth > 0) {
			depth--;
		}
	}
	return false;
}

json_t *discovery_json_load(const uint8_t *bytes, size_t len, char why[static DISCOVERY_WHY_MAX])
{
	json_error_t error;

	if (len == 0 || len > DISCOVERY_JSON_MAX) {
		(void)snprintf(why, DISCOVERY_WHY_MAX,
			       len == 0 ? "is empty" : "is longer than 1 MiB");
		return NULL;
	}
	if (is_too_deep(bytes, len)) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "is nested deeper than %d",
			       DISCOVERY_JSON_DEPTH);
		return NULL;
	}
	json_t *root = json_loadb((const char *)bytes, len, 0, &error);

	if (root == NULL) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "is not JSON at byte %d: %.120s",
			       error.position, error.text);
		return NULL;
	}
	if (!json_is_object(root)) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "is not a JSON object");
		json_decref(root);
		return NULL;
	}
	return root;
}
