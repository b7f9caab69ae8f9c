/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * relay_end: reading a lane's source and writing its sink, whether TLS stands between or not. What
 * the calls answer means the same either way (tls.h), with one difference: a short read says
 * nothing about what is left in a socket with records in it.
 */
#pragma once

#include <penstock/net.h>
#include <penstock/tls.h>

#include "relay_priv.h"

static inline ssize_t relay_end_recv(const struct lane *lane, void *ret_bytes, size_t size)
{
	return UNLIKELY(lane->source_tls != NULL) ? tls_recv(lane->source_tls, ret_bytes, size)
						  : net_recv(lane->source, ret_bytes, size);
}

static inline ssize_t relay_end_peek(const struct lane *lane, void *ret_bytes, size_t size)
{
	return UNLIKELY(lane->source_tls != NULL) ? tls_peek(lane->source_tls, ret_bytes, size)
						  : net_peek(lane->source, ret_bytes, size);
}

static inline ssize_t relay_end_discard(const struct lane *lane, size_t len)
{
	return UNLIKELY(lane->source_tls != NULL) ? tls_discard(lane->source_tls, len)
						  : net_discard(lane->source, len);
}

/* After a read that left its source with fewer bytes than were asked for, or may have: is there no
 * telling without another one whether it is empty? */
static inline bool relay_end_must_read_on(const struct lane *lane)
{
	return UNLIKELY(lane->source_tls != NULL) && tls_must_read_on(lane->source_tls);
}

/* How a source that said -EAGAIN is waited for; `plain`: without TLS. */
static inline enum relay_status relay_end_wait(const struct lane *lane, enum relay_status plain)
{
	if (LIKELY(lane->source_tls == NULL))
		return plain;
	return tls_is_drained(lane->source_tls) ? RELAY_DRAINED : RELAY_WAIT_SOURCE;
}

static inline ssize_t relay_end_send(const struct lane *lane, const void *bytes, size_t len)
{
	return UNLIKELY(lane->sink_tls != NULL) ? tls_send(lane->sink_tls, bytes, len)
						: net_send(lane->sink, bytes, len);
}

static inline ssize_t relay_end_splice_in(const struct lane *lane, int pipe_write, size_t len)
{
	return UNLIKELY(lane->source_tls != NULL) ? tls_splice_in(lane->source_tls, pipe_write, len)
						  : net_splice_in(lane->source, pipe_write, len);
}

static inline ssize_t relay_end_splice_out(const struct lane *lane, int pipe_read, size_t len)
{
	return UNLIKELY(lane->sink_tls != NULL) ? tls_splice_out(lane->sink_tls, pipe_read, len)
						: net_splice_out(pipe_read, lane->sink, len);
}
