/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the ways of mode stream have in common: load_stream.c has the plain ones and the loop,
 * load_stream_tls.c those inside TLS.
 */
#ifndef BENCH_LOAD_STREAM_H
#define BENCH_LOAD_STREAM_H

#include "load_channel.h"

enum {
	STREAM_COUNT_BYTES = sizeof(uint64_t),
	STREAM_ENDED = -1,
	STREAM_MARK = 'q', /* ends a stream upwards inside TLS; nothing else in it is one */
};

struct stream {
	struct load_channel channel;
	size_t chunk_at; /* up: bytes of the current chunk that are already written */
	uint64_t moved;	 /* up: bytes sent; down: received, with the sink's count in the end */
	uint8_t last[STREAM_COUNT_BYTES]; /* the last bytes received: in the end, the sink's count
					   */
	uint64_t answered;		  /* bytes received after the stop */
	bool is_chunk_begun;		  /* up, inside TLS: the socket did not take all of it */
	bool is_stopped;		  /* the other side knows */
};

struct streams {
	struct load *load;
	const struct stream_way *way;
	struct stream *all;
	uint8_t *chunk;
	int epoll_fd;
	uint32_t open;
};

/* The functions return 0, or an errno, or STREAM_ENDED. */
struct stream_way {
	uint32_t events;      /* to wait for until the stop */
	uint32_t stop_events; /* and after it */
	int (*start)(struct streams *s, struct stream *one);
	int (*move)(struct streams *s, struct stream *one);
	int (*stop)(struct streams *s, struct stream *one); /* again with each event after it */
	uint64_t (*bytes)(const struct stream *one);	    /* moved, the count excepted */
};

uint64_t stream_up_bytes(const struct stream *one);
uint64_t stream_down_bytes(const struct stream *one);

extern const struct stream_way stream_up_tls, stream_down_tls;

#endif
