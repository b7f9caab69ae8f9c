/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discovery_bundle_json: who owns a bundle (NamespaceEphemeralData) and where bundles begin.
 */
#include <stdio.h>

#include "discovery_json.h"

static bool read_url(const json_t *root, const char *key, bool is_tls, struct discovery_url *url)
{
	const json_t *value = json_object_get(root, key);

	if (value == NULL || json_is_null(value))
		return true;
	return json_is_string(value) && discovery_url_parse(json_string_value(value), url) &&
	       !url->is_kafka && url->is_tls == is_tls;
}

bool discovery_bundle_json_owner(const uint8_t *bytes, size_t len,
				 struct discovery_owner *ret_owner,
				 char why[static DISCOVERY_WHY_MAX])
{
	struct discovery_owner owner = { .is_disabled = false };
	json_t *root = discovery_json_load(bytes, len, why);

	if (root == NULL)
		return false;
	const json_t *disabled = json_object_get(root, "disabled");
	bool is_good = read_url(root, "nativeUrl", false, &owner.plain) &&
		       read_url(root, "nativeUrlTls", true, &owner.tls) &&
		       (owner.plain.port != 0 || owner.tls.port != 0);

	/* Anything but a clear false counts as "being unloaded": then a broker is asked. */
	owner.is_disabled = disabled != NULL && !json_is_false(disabled);
	json_decref(root);
	if (!is_good) {
		(void)snprintf(why, DISCOVERY_WHY_MAX, "names no broker URL");
		return false;
	}
	*ret_owner = owner;
	return true;
}

/* Digits of `base` only, up to 32 bits. */
static bool read_number(struct span text, uint32_t base, uint32_t *ret_value)
{
	uint64_t value = 0;

	if (text.len == 0 || text.len > 10)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.at[i];
		uint32_t digit = byte >= '0' && byte <= '9'   ? byte - (uint32_t)'0'
				 : byte >= 'a' && byte <= 'f' ? byte - (uint32_t)'a' + 10
				 : byte >= 'A' && byte <= 'F' ? byte - (uint32_t)'A' + 10
							      : base;

		if (digit >= base)
			return false;
		value = value * base + digit;
	}
	if (value > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

/* As Java's Long.decode takes it, but for octal: nobody means that. */
static bool read_bound(struct span text, uint32_t *ret_value)
{
	if (span_starts(text, "0x") || span_starts(text, "0X"))
		return span_skip(&text, 2) && read_number(text, 16, ret_value);
	if (span_starts(text, "#"))
		return span_skip(&text, 1) && read_number(text, 16, ret_value);
	if (text.len > 1 && text.at[0] == '0')
		return false;
	return read_number(text, 10, ret_value);
}

static bool read_bounds(const json_t *list, uint32_t *ret_lows, uint32_t *ret_count)
{
	size_t size = json_array_size(list);
	uint32_t low = 0;

	if (size < 2 || size - 1 > DISCOVERY_BUNDLES_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		uint32_t value;

		if (text == NULL || !read_bound(span_str(text), &value) ||
		    (i == 0 ? value != 0 : value <= low))
			return false;
		low = value;
		if (i + 1 < size)
			ret_lows[i] = value;
		else if (value != UINT32_MAX)
			return false;
	}
	*ret_count = (uint32_t)(size - 1);
	return true;
}

enum discovery_bounds discovery_bundle_json_bounds(const uint8_t *bytes, size_t len,
						   uint32_t ret_lows[static DISCOVERY_BUNDLES_MAX],
						   uint32_t *ret_count,
						   char why[static DISCOVERY_WHY_MAX])
{
	json_t *root = discovery_json_load(bytes, len, why);

	if (root == NULL)
		return DISCOVERY_BOUNDS_BAD;
	const json_t *bundles = json_object_get(root, "bundles");
	const json_t *list = json_object_get(bundles, "boundaries");
	enum discovery_bounds ret = DISCOVERY_BOUNDS_OK;

	if (bundles == NULL || json_is_null(bundles))
		ret = DISCOVERY_BOUNDS_NONE;
	else if (!json_is_array(list) || !read_bounds(list, ret_lows, ret_count))
		ret = DISCOVERY_BOUNDS_BAD;
	json_decref(root);
	if (ret == DISCOVERY_BOUNDS_BAD)
		(void)snprintf(why, DISCOVERY_WHY_MAX,
			       "has no usable bundles.boundaries (2 to %d bounds, ascending)",
			       DISCOVERY_BUNDLES_MAX + 1);
	return ret;
}

bool discovery_bundle_json_range(const char *name, uint32_t *ret_low, uint32_t *ret_high)
{
	struct span rest = span_str(name);
	size_t middle = span_find(rest, '_');
	struct span head;
	uint32_t low, high;

	if (middle == rest.len || !span_take(&rest, middle, &head) || !span_skip(&rest, 1) ||
	    !span_starts(head, "0x") || !span_starts(rest, "0x") || !read_bound(head, &low) ||
	    !read_bound(rest, &high) || low >= high)
		return false;
	*ret_low = low;
	*ret_high = high;
	return true;
}
