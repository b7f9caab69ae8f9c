/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Bundle owners and bounds in ZooKeeper: bounds that come out begin at 0 and ascend, so that each
 * hash is in exactly one bundle; an owner has a URL.
 */
#include "fuzz.h"

#include "../../src/control/discovery/discovery_json.h"

static void check_bounds(const uint8_t *data, size_t size)
{
	uint32_t lows[DISCOVERY_BUNDLES_MAX];
	uint32_t count = 0;
	char why[DISCOVERY_WHY_MAX] = "";

	switch (discovery_bundle_json_bounds(data, size, lows, &count, why)) {
	case DISCOVERY_BOUNDS_OK:
		CHECK(count >= 1 && count <= DISCOVERY_BUNDLES_MAX && lows[0] == 0);
		for (uint32_t i = 1; i < count; i++)
			CHECK(lows[i] > lows[i - 1]);
		break;
	case DISCOVERY_BOUNDS_NONE:
		break;
	case DISCOVERY_BOUNDS_BAD:
		CHECK(why[0] != '\0');
		break;
	}
}

static void check_range(const uint8_t *data, size_t size)
{
	char name[64];
	uint32_t low, high;

	if (span_to_str(span_of(data, size), name, sizeof(name)) &&
	    discovery_bundle_json_range(name, &low, &high))
		CHECK(low < high);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct discovery_owner owner;
	char why[DISCOVERY_WHY_MAX] = "";

	if (discovery_bundle_json_owner(data, size, &owner, why))
		CHECK(owner.plain.port != 0 || owner.tls.port != 0);
	else
		CHECK(why[0] != '\0');
	check_bounds(data, size);
	check_range(data, size);
	return 0;
}
