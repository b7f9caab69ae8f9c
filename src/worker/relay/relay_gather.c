/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_gather: a fast stream that runs in one direction is looked at every 50 us instead of being
 * waited for, as a network card holds its interrupts (ethtool -C rx-usecs). Woken for each segment,
 * a relay passes each one on by itself: three times the price of a byte, at a third of the speed
 * (ADR 0011). Whoever gets answers, or sends less than would come together in a look, is waited for
 * as ever: nobody's question is held up.
 */
#include "relay_priv.h"

/* So many turns make a stream, */
#define GATHER_TURNS  8
/* with so many bytes for each look that it would be given (80 MB/s); */
#define GATHER_BYTES  4096
/* so many looks in a row that found less, and it is none any more. */
#define GATHER_MISSES 3

static bool begin(struct lane *lane, uint64_t other_bytes, uint64_t now_ns)
{
	lane->gather = (struct relay_gather){
		.since_ns = now_ns,
		.since_bytes = lane->bytes,
		.last_bytes = lane->bytes,
		.other_bytes = other_bytes,
	};
	return false;
}

bool relay_gathers(const struct relay *relay, struct lane *lane, const struct lane *other,
		   uint64_t now_ns)
{
	struct relay_gather *gather = &lane->gather;
	uint64_t found = lane->bytes - gather->last_bytes;

	/* All of a brain's bytes have to be seen; a FIN that is known to be there is not worth a
	 * wait. */
	if (relay->is_eager || lane->pass != RELAY_ALL || lane->is_source_hup ||
	    other->bytes != gather->other_bytes || gather->since_ns == 0)
		return begin(lane, other->bytes, now_ns);
	gather->last_bytes = lane->bytes;
	if (gather->is_on) {
		gather->misses = found >= GATHER_BYTES ? 0 : gather->misses + 1;
		return gather->misses < GATHER_MISSES || begin(lane, other->bytes, now_ns);
	}
	if (++gather->turns < GATHER_TURNS)
		return false;
	uint64_t looks = 1 + (now_ns - gather->since_ns) / RELAY_GATHER_NS;
	bool is_fast = lane->bytes - gather->since_bytes >= looks * GATHER_BYTES;

	(void)begin(lane, other->bytes, now_ns);
	gather->is_on = is_fast;
	return is_fast;
}

void relay_gather(struct relay *relay, struct lane *lane, uint64_t now_ns)
{
	relay_queue_push(&relay->gathering, lane);
	/* One clock for all of them: one wake-up serves every stream. */
	if (relay->look_ns == 0)
		relay->look_ns = now_ns + RELAY_GATHER_NS;
}

struct lane *relay_gathered(struct relay *relay, uint64_t now_ns)
{
	if (LIKELY(relay->look_ns == 0) || now_ns < relay->look_ns)
		return NULL;

	struct lane *lane = relay_queue_pop(&relay->gathering);

	if (lane == NULL)
		relay->look_ns = 0;
	return lane;
}
