/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_priv: the two engines behind relay_move, and the figures that choose between them.
 */
#pragma once

#include <sys/types.h>

#include <penstock/worker/relay.h>

/* Promotion at 16, 32 or 64 KiB was measured equal; a read this long means a stream. */
#define RELAY_PROMOTE_BYTES 32768
/* A splice this short is an interactive chunk; so many in a row and copying is cheaper again. The
 * kernel's TLS gives one record at a time, and a full one of Java's in TLS 1.3 holds 16367 bytes,
 * not 16384. */
#define RELAY_SMALL_BYTES   16000
#define RELAY_SMALL_RUN	    4
/* Reads of one lane in one turn before the other ready lanes have theirs: enough to empty a receive
 * queue, or else its sender's queue fills and doubles the price of a byte (ADR 0007). */
#define RELAY_TURN_READS    16

/* Both: pass > 0, nothing held, no FIN seen. They count bytes and take them off pass. */
enum relay_status relay_copy(struct relay *relay, struct lane *lane);
enum relay_status relay_splice(struct relay *relay, struct lane *lane);
/* Sends what is in the pipe. RELAY_DECIDE: it is empty and given back. */
enum relay_status relay_splice_flush(struct relay *relay, struct lane *lane);

/* Bytes that reached the sink. */
void relay_count(struct relay *relay, struct lane *lane, size_t n, bool is_splice);
enum relay_status relay_source_failed(struct lane *lane, ssize_t err);
enum relay_status relay_sink_failed(struct lane *lane, ssize_t err);

static inline size_t relay_at_most(const struct lane *lane, size_t n)
{
	return lane->pass < n ? (size_t)lane->pass : n;
}

static inline void relay_took(struct lane *lane, size_t n)
{
	if (lane->pass != RELAY_ALL)
		lane->pass -= n;
}
