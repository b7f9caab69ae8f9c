/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The reader of frames; frames.h says what it promises. The reads of one turn are bounded, so that
 * a fast peer cannot hold up the clock of the run.
 */
#include "frames.h"

#include "load.h"
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	READ_BYTES = 128 * 1024,
	DROP_BYTES = 1024 * 1024,  /* at the most by one call */
	DROP_WORTH_IT = 16 * 1024, /* a shorter rest is cheaper to copy than a call of its own */
	READS_PER_TURN = 8,
	FRAME_BYTES_MAX = 128 << 20, /* Kafka's own limit is 100 MiB */
};

static uint8_t hot[DROP_BYTES]; /* read into by all; a frame that is whole in it is not copied */

static size_t keep_of(const struct frames *f)
{
	return f->keep_bytes == 0 ? FRAMES_KEEP_BYTES : f->keep_bytes;
}

static void make_room(struct frames *f, size_t want)
{
	if (want <= f->kept_room)
		return;
	f->kept = realloc(f->kept, want);
	if (f->kept == NULL)
		load_die("memory");
	f->kept_room = want;
}

static bool hand_out(struct frames *f, const struct frame *frame, frames_fn *take, void *owner)
{
	f->expect_long = frame->size >= keep_of(f) + DROP_WORTH_IT;
	f->kept_bytes = f->frame_bytes = f->seen_bytes = 0;
	return take(owner, frame);
}

static bool hand_out_kept(struct frames *f, frames_fn *take, void *owner)
{
	const struct frame frame = { .bytes = f->kept,
				     .have = f->kept_bytes,
				     .size = f->frame_bytes };

	return hand_out(f, &frame, take, owner);
}

static size_t frame_bytes_at(const uint8_t *size_field)
{
	struct wire_reader r = { .at = size_field, .left = FRAMES_SIZE_BYTES };

	return FRAMES_SIZE_BYTES + (size_t)wire_take_u32(&r);
}

/* Takes bytes for the frame under way; how many. */
static size_t gather(struct frames *f, const uint8_t *data, size_t size)
{
	size_t whole = f->frame_bytes == 0 ? FRAMES_SIZE_BYTES : f->frame_bytes;
	size_t taken = whole - f->seen_bytes < size ? whole - f->seen_bytes : size;
	size_t keep = whole < keep_of(f) ? whole : keep_of(f);

	if (f->kept_bytes < keep) {
		size_t copied = keep - f->kept_bytes < taken ? keep - f->kept_bytes : taken;

		make_room(f, keep);
		memcpy(f->kept + f->kept_bytes, data, copied);
		f->kept_bytes += copied;
	}
	f->seen_bytes += taken;
	if (f->frame_bytes == 0 && f->seen_bytes == FRAMES_SIZE_BYTES)
		f->frame_bytes = frame_bytes_at(f->kept);
	return taken;
}

static int feed(struct frames *f, const uint8_t *data, size_t size, frames_fn *take, void *owner)
{
	bool more = true;

	while (size > 0 && more) {
		size_t taken;

		if (f->seen_bytes == 0 && size >= FRAMES_SIZE_BYTES &&
		    frame_bytes_at(data) <= size) {
			taken = frame_bytes_at(data);
			more = hand_out(f, &(struct frame){ data, taken, taken }, take, owner);
		} else {
			taken = gather(f, data, size);
			if (f->frame_bytes > FRAME_BYTES_MAX)
				return -EPROTO;
			if (f->seen_bytes == f->frame_bytes)
				more = hand_out_kept(f, take, owner);
		}
		data += taken;
		size -= taken;
	}
	return more;
}

/* What is left of a long frame whose beginning is kept; 0: read on. */
static size_t droppable(const struct frames *f)
{
	size_t left = f->frame_bytes - f->seen_bytes;

	if (f->frame_bytes == 0 || f->kept_bytes < keep_of(f) || left < DROP_WORTH_IT)
		return 0;
	return left < DROP_BYTES ? left : DROP_BYTES;
}

static bool dropped(struct frames *f, size_t size, frames_fn *take, void *owner)
{
	f->seen_bytes += size;
	return f->seen_bytes < f->frame_bytes || hand_out_kept(f, take, owner);
}

int frames_read(struct frames *f, int fd, frames_fn *take, void *owner)
{
	for (int i = 0; i < READS_PER_TURN; i++) {
		size_t drop = droppable(f);
		size_t most = f->expect_long && keep_of(f) < READ_BYTES ? keep_of(f) : READ_BYTES;
		size_t want = drop > 0 ? drop : most;
		ssize_t n = recv(fd, hot, want, drop > 0 ? MSG_TRUNC : 0);

		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n <= 0)
			return n < 0 ? -errno : 0;

		int more = drop > 0 ? dropped(f, (size_t)n, take, owner)
				    : feed(f, hot, (size_t)n, take, owner);
		if (more < 0)
			return more;
		if (more == 0 || (size_t)n < want)
			return 1;
	}
	return 1;
}

void frames_reset(struct frames *f)
{
	f->kept_bytes = f->frame_bytes = f->seen_bytes = 0;
	f->expect_long = false;
}

void frames_free(struct frames *f)
{
	free(f->kept);
	*f = (struct frames){ 0 };
}
