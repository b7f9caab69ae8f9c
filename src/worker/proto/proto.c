/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto: what all brains share: the pools they lease from, and their beginning.
 */
#include <penstock/worker/proto.h>

#include "proto_pulsar_priv.h"

/* CONNECT with a token is about 1 KiB; only certificates-in-tokens need the big ones. */
#define KEEP_BIG_COUNT 256

int proto_pools_init(struct proto_pools *pools, uint32_t sessions, uint32_t books,
		     uint64_t lookups_max)
{
	*pools = (struct proto_pools){ .lookups_max = lookups_max };

	int ret = pool_init(&pools->keep_small, sizeof(struct pulsar_keep) + PULSAR_KEEP_SMALL,
			    sessions);

	if (ret == 0)
		ret = pool_init(&pools->keep_big, sizeof(struct pulsar_keep) + PROTO_FRAME_MAX,
				KEEP_BIG_COUNT);
	if (ret == 0)
		ret = pool_init(&pools->books, sizeof(struct pulsar_book), books);
	return ret;
}

void proto_pools_fini(struct proto_pools *pools)
{
	CHECK(pools->lookups_in_flight == 0);
	pool_fini(&pools->keep_small);
	pool_fini(&pools->keep_big);
	pool_fini(&pools->books);
}

void proto_begin(struct proto *proto, const struct proto_ops *ops)
{
	*proto = (struct proto){ .ops = ops, .kind = PROTO_KIND_NEW };
	if (ops != NULL)
		ops->begin(proto);
}

const char *proto_kind_name(enum proto_kind kind)
{
	static const char *const names[] = {
		[PROTO_KIND_NEW] = "new",	[PROTO_KIND_DATA] = "data",
		[PROTO_KIND_LOOKUP] = "lookup", [PROTO_KIND_FORWARD] = "forward",
		[PROTO_KIND_ROUTED] = "routed",
	};

	return names[kind];
}
