/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto: the brains: what a protocol wants done with the bytes of a connection. A brain sees bytes
 * and answers with a verdict; it never touches a socket, so that it can be tested byte by byte and
 * replayed. The session carries verdicts out (docs/ARCHITECTURE.md, "Life of a connection").
 *
 * Bytes come on channels: from the client, from its broker, and from side connections a brain has
 * asked for (to other brokers of the same cluster, on behalf of the same client).
 *
 * Rules of the game:
 *  - `see` gets the bytes not decided on yet, possibly none, possibly many frames;
 *  - NEED, HOLD, DIAL and ROUTE take nothing: the same bytes come again, with more behind them;
 *  - everything a verdict takes is gone: the next call begins behind it.
 * Thread:   worker
 * Memory:   struct proto is inside the session; what a brain needs for longer is leased from
 *           struct proto_pools and given back by `end`
 * Errors:   REFUSE with a close reason
 */
#pragma once

#include <penstock/base/pool.h>
#include <penstock/base/stat.h>
#include <penstock/route.h>
#include <penstock/wire/hello.h>

#define PROTO_ALL	UINT64_MAX
#define PROTO_SIDES	4     /* side connections of one session */
#define PROTO_FRAME_MAX 65536 /* a frame a brain wants to see whole; relay_read's limit */
#define PROTO_NOTES	2

enum proto_channel {
	PROTO_CLIENT,
	PROTO_BROKER,
	PROTO_SIDE, /* PROTO_SIDE + i: side connection i */
};

enum proto_what {
	PROTO_NEED, /* call again with at least `n` bytes; read at most `max` */
	PROTO_PASS, /* the next n bytes go on untouched; may exceed what is there */
	PROTO_DROP, /* the next n bytes go nowhere */
	PROTO_EMIT, /* take n bytes and send `bytes` on in their place; a side's go to the client */
	PROTO_REPLY,  /* take n bytes and send `bytes` back where they came from; only if can_reply
		       */
	PROTO_HOLD,   /* not now: call again when something else has moved */
	PROTO_DIAL,   /* client channel only: connect the broker end to `target` */
	PROTO_ROUTE,  /* the same, to where `rule` leads */
	PROTO_REFUSE, /* end the connection for `reason`, telling the client `bytes` */
};

struct proto_verdict {
	enum proto_what what;
	uint64_t n;
	size_t max;
	struct span bytes;
	struct span target; /* "host:port"; empty: any live broker of the cluster */
	uint32_t rule;	    /* of the snapshot the brain was shown */
	enum close_reason reason;
};

enum proto_kind {
	PROTO_KIND_NEW,
	PROTO_KIND_DATA,
	PROTO_KIND_LOOKUP,
	PROTO_KIND_FORWARD,
	PROTO_KIND_ROUTED, /* by server name, bytes untouched */
};

/* What several brains of a worker share. */
struct proto_pools {
	struct pool keep_small, keep_big; /* first frames to be replayed on side connections */
	struct pool books;		  /* outstanding requests */
	uint64_t lookups_in_flight;
	uint64_t lookups_max;
};

/* What a brain is told, and where it leaves notes, in one call. */
struct proto_context {
	const struct route *route;
	int32_t listener; /* its number in the configuration; -1: a reload took it away */
	uint32_t cluster;
	struct addr client;
	struct span principal; /* whom the client's verified certificate names; empty: nobody */
	uint64_t now_ns;
	uint32_t first_frame_max;
	uint32_t frame_max;
	bool can_reply;	     /* REPLY (client, broker) or EMIT (side) is possible now */
	struct sink scratch; /* EMIT, REPLY and REFUSE bytes are written here */
	struct proto_pools *pools;
	struct stat_block *stats;
	/* Notes for the session, spans into the bytes shown: */
	struct span seen_namespace;	  /* "tenant/namespace" of a lookup */
	struct span learned[PROTO_NOTES]; /* broker URLs in an answer */
	struct span server_name;	  /* of a ClientHello */
	struct span refused;		  /* what a broker says that does not take our credential */
	bool has_moved; /* something another channel may be holding for has changed */
};

struct pulsar_keep;
struct pulsar_book;

struct proto_pulsar {
	struct pulsar_keep *keep; /* the client's CONNECT, for side connections and challenges */
	struct pulsar_book *book; /* lookups without an answer yet */
	uint32_t frame_max;
	uint8_t phase;
	bool is_connected;   /* the broker has said CONNECTED */
	bool is_multi_round; /* it challenged before that: CONNECT alone cannot be replayed */
	uint8_t side_ready;  /* a bit per side connection that has said CONNECTED */
	bool is_role;	     /* brokers are shown our credential, not the client's */
	uint8_t challenges;  /* answered before CONNECTED */
};

struct proto_sni {
	struct hello_reader reader;
	uint16_t version; /* the client's highest; 0: not known (yet) */
	bool is_dialled;
};

struct proto {
	const struct proto_ops *ops;
	enum proto_kind kind;
	union {
		struct proto_pulsar pulsar;
		struct proto_sni sni;
	};
};

/* A question for another broker. */
struct proto_ask {
	uint32_t ticket;
	struct span target; /* "host:port" */
};

struct proto_ops {
	const char *name;
	void (*begin)(struct proto *proto);
	void (*end)(struct proto *proto, struct proto_context *context);
	void (*see)(struct proto *proto, enum proto_channel channel, struct span bytes,
		    struct proto_context *context, struct proto_verdict *ret);
	/* The broker end is connected. */
	void (*dialled)(struct proto *proto);
	/* What the client is told when the session ends for `reason`; nothing: no bytes. */
	void (*refuse)(struct proto *proto, enum close_reason reason, struct sink *sink);

	/* Side connections. All NULL where a protocol has none. */
	/* The next question without a side; false: none. Stays the next until ask_assign. */
	bool (*ask_next)(struct proto *proto, struct proto_ask *ret_ask);
	void (*ask_assign)(struct proto *proto, uint32_t ticket, uint32_t side);
	/* What is to be said first on a fresh side connection. */
	void (*side_greet)(struct proto *proto, uint32_t side, const struct proto_context *context,
			   struct sink *sink);
	/* What is to be said now; nothing: nothing. */
	void (*side_say)(struct proto *proto, uint32_t side, struct sink *sink);
	/* Is any answer awaited on it? */
	bool (*side_is_busy)(const struct proto *proto, uint32_t side);
	/* It is lost; `what`'s questions get an answer by answer_next. */
	void (*side_lost)(struct proto *proto, uint32_t side, struct proto_context *context);
	/* The question cannot be asked (no such broker, denied). */
	void (*ask_failed)(struct proto *proto, uint32_t ticket, struct proto_context *context);
	/* An answer of our own making for the client; false: none. */
	bool (*answer_next)(struct proto *proto, struct proto_context *context, struct sink *sink);
};

/* 0 or -ENOMEM. sessions: of this worker. */
MUST_USE int proto_pools_init(struct proto_pools *pools, uint32_t sessions, uint32_t books,
			      uint64_t lookups_max);
void proto_pools_fini(struct proto_pools *pools);

void proto_begin(struct proto *proto, const struct proto_ops *ops);
const char *proto_kind_name(enum proto_kind kind);

extern const struct proto_ops proto_pulsar_ops;
extern const struct proto_ops proto_sni_ops;
