/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto: what all brains share: the pools they lease from, and their beginning.
 */
#include <errno.h>
#include <stdlib.h>

#include <penstock/worker/proto.h>

#include "proto_kafka_priv.h"
#include "proto_pulsar_priv.h"

/* CONNECT with a token is about 1 KiB; only certificates-in-tokens need the big ones. */
#define KEEP_BIG_COUNT 256

int proto_pools_init(struct proto_pools *pools, const struct proto_pool_sizes *sizes,
		     uint64_t lookups_max)
{
	*pools = (struct proto_pools){ .lookups_max = lookups_max };

	int ret = pool_init(&pools->keep_small, sizeof(struct pulsar_keep) + PULSAR_KEEP_SMALL,
			    sizes->sessions);

	if (ret == 0)
		ret = pool_init(&pools->keep_big, sizeof(struct pulsar_keep) + PROTO_FRAME_MAX,
				KEEP_BIG_COUNT);
	if (ret == 0)
		ret = pool_init(&pools->books, sizeof(struct pulsar_book), sizes->books);
	if (ret == 0)
		ret = pool_init(&pools->kafkas, sizeof(struct proto_kafka), sizes->sessions);
	if (ret == 0)
		ret = pool_init(&pools->chunks, sizeof(struct kafka_chunk), sizes->chunks);
	if (ret == 0)
		ret = pool_init(&pools->bulks, sizeof(struct kafka_bulk), sizes->bulks);
	if (ret == 0)
		ret = pool_init(&pools->denials, sizeof(struct kafka_denial), KAFKA_DENIALS);
	if (ret == 0)
		ret = pool_init(&pools->logins, sizeof(struct kafka_login), sizes->sessions);
	if (ret == 0) {
		pools->memos = calloc(PROTO_MEMOS, sizeof(*pools->memos));
		ret = pools->memos != NULL ? 0 : -ENOMEM;
	}
	return ret;
}

void proto_pools_fini(struct proto_pools *pools)
{
	CHECK(pools->lookups_in_flight == 0);
	pool_fini(&pools->keep_small);
	pool_fini(&pools->keep_big);
	pool_fini(&pools->books);
	pool_fini(&pools->kafkas);
	pool_fini(&pools->chunks);
	pool_fini(&pools->bulks);
	pool_fini(&pools->denials);
	pool_fini(&pools->logins);
	for (uint32_t i = 0; pools->memos != NULL && i < PROTO_MEMOS; i++)
		sasl_memo_forget(&pools->memos[i]);
	free(pools->memos);
}

void proto_begin(struct proto *proto, const struct proto_ops *ops, struct proto_pools *pools)
{
	*proto = (struct proto){ .ops = ops, .kind = PROTO_KIND_NEW };
	if (ops != NULL)
		ops->begin(proto, pools);
}

const char *proto_kind_name(enum proto_kind kind)
{
	static const char *const names[] = {
		[PROTO_KIND_NEW] = "new",	[PROTO_KIND_DATA] = "data",
		[PROTO_KIND_LOOKUP] = "lookup", [PROTO_KIND_FORWARD] = "forward",
		[PROTO_KIND_ROUTED] = "routed", [PROTO_KIND_KAFKA] = "kafka",
	};

	return names[kind];
}
