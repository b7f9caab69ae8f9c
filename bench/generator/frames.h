/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading frames of "u32 size, then that many bytes", the outer form of Pulsar and of Kafka, at
 * either end. Whole frames are handed out, of which only the beginning is kept: a long payload is
 * dropped by the kernel unread (MSG_TRUNC), so that generator and sink stay cheap.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAMES_SIZE_BYTES = 4,
	FRAMES_KEEP_BYTES = 4096, /* of each frame, unless more is asked for */
};

/* A complete frame: its first `have` bytes, of `size`, the size field among them. */
struct frame {
	const uint8_t *bytes;
	size_t have;
	size_t size;
};

/* False: read no further, and leave the reader alone, which may have been reset meanwhile. */
typedef bool frames_fn(void *owner, const struct frame *frame);

/* Zeroed at first. */
struct frames {
	size_t keep_bytes; /* 0: FRAMES_KEEP_BYTES; counts from the next frame on */

	/* the frame under way */
	uint8_t *kept;
	size_t kept_room;
	size_t kept_bytes;
	size_t frame_bytes; /* 0: its size field is not complete */
	size_t seen_bytes;
	bool expect_long; /* the one before it was: read only its beginning at first */
};

/* Reads what the socket has, up to a bound. Returns 1, or 0 at the end of the stream, or -errno;
 * also 1 when `take` said stop. EPROTO: these cannot be frames. */
int frames_read(struct frames *f, int fd, frames_fn *take, void *owner);
void frames_reset(struct frames *f); /* for a new connection */
void frames_free(struct frames *f);

#endif
