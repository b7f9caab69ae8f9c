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

#include <penstock/base/pace.h>
#include <penstock/base/pool.h>
#include <penstock/base/stat.h>
#include <penstock/route.h>
#include <penstock/wire/hello.h>
#include <penstock/wire/kafka_login.h>
#include <penstock/wire/kafka_rewrite.h>

#define PROTO_ALL	UINT64_MAX
#define PROTO_SIDES	4     /* side connections of one session */
#define PROTO_FRAME_MAX 65536 /* a frame a brain wants to see whole; relay_read's limit */
#define PROTO_NOTES	2
#define PROTO_MEMOS	64  /* keys of SCRAM that a worker remembers */
#define PROTO_NODES	256 /* brokers of Kafka noted in one call; the rest come again */

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
	PROTO_HOLD,   /* not now: call again when the other channel of the session has been looked
		       * at, whatever came of that, or at `until_ns` */
	PROTO_DIAL,   /* client channel only: connect the broker end to `target`; to the node
		       * of the listener where it is Kafka */
	PROTO_ROUTE,  /* the same, to where `rule` leads */
	PROTO_REFUSE, /* end the connection for `reason`, telling the client `bytes` */
};

struct proto_verdict {
	enum proto_what what;
	uint64_t n;
	size_t max;
	bool is_bulk;  /* of NEED: most likely they PASS, with many behind them: a look will do */
	bool is_begun; /* of NEED: a frame is half read, although nothing undecided is there */
	struct span bytes;
	struct span target; /* "host:port"; empty: any live broker of the cluster */
	uint32_t rule;	    /* of the snapshot the brain was shown */
	enum close_reason reason;
	uint64_t until_ns; /* of HOLD; 0: it waits for no time */
};

enum proto_kind {
	PROTO_KIND_NEW,
	PROTO_KIND_DATA,
	PROTO_KIND_LOOKUP,
	PROTO_KIND_FORWARD,
	PROTO_KIND_ROUTED, /* by server name, bytes untouched */
	PROTO_KIND_KAFKA,
};

/* What several brains of a worker share. */
struct proto_pools {
	struct pool keep_small, keep_big; /* first frames to be replayed on side connections */
	struct pool books;		  /* outstanding lookups */
	struct pool kafkas;		  /* what is known of connections to Kafka */
	struct pool chunks;		  /* outstanding requests of Kafka, 64 each */
	struct pool bulks;		  /* long responses of Kafka that must be seen whole */
	struct pool denials;		  /* answers to denied requests that are being read */
	struct pool logins;		  /* authentications to brokers of Kafka under way */
	struct sasl_memo *memos;	  /* PROTO_MEMOS of them, by user */
	uint64_t lookups_in_flight;
	uint64_t lookups_max;
};

/* How many of each there are. */
struct proto_pool_sizes {
	uint32_t sessions, books, chunks, bulks;
};

/* A broker of Kafka as an answer has named it; spans into the bytes shown. */
struct proto_node {
	int32_t id;
	uint16_t port;
	struct span host, rack; /* rack.at == NULL: not said */
};

struct proto_nodes {
	uint32_t count;
	struct proto_node at[PROTO_NODES];
};

/* What a brain is told, and where it leaves notes, in one call. */
struct proto_context {
	const struct route *route;
	int32_t listener; /* its number in the configuration; -1: a reload took it away */
	uint32_t cluster;
	struct addr client;
	struct span principal; /* whom the client's verified certificate names; empty: nobody */
	struct span user; /* as whom its broker is to know it; empty: that is not our business */
	uint64_t now_ns;
	uint32_t first_frame_max;
	uint32_t frame_max;
	const struct config_kafka *kafka; /* of the listener or the route; NULL: it is gone */
	bool can_reply; /* REPLY (client, broker) or EMIT (side) is possible now */
	bool is_draining;
	bool is_moved;	     /* its broker is not the one that is wanted, of Kafka */
	struct sink scratch; /* EMIT, REPLY and REFUSE bytes are written here */
	struct proto_pools *pools;
	struct stat_block *stats;
	struct stat_kafka_node
		*node;	  /* of the broker that is connected; NULL: none, or not Kafka */
	uint64_t spliced; /* bytes that have gone to the client that way since it came */
	/* Notes for the session, spans into the bytes shown: */
	struct span seen_namespace;	  /* "tenant/namespace" of a lookup */
	struct span learned[PROTO_NOTES]; /* broker URLs in an answer */
	struct span server_name;	  /* of a ClientHello */
	struct span refused;		  /* what a broker says that does not take our credential */
	enum kafka_login_fault login_fault; /* the same, of Kafka: why not */
	struct proto_nodes *nodes;	    /* brokers that the snapshot does not have like this */
	bool is_denied;	 /* a call that is denied was answered: proto_kafka.odd */
	bool is_nowhere; /* an answer names a broker that the listener has no port for: */
	int32_t nowhere; /* its node id */
	bool is_secret;	 /* what the verdict sends is a password, or as good as one */
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

#define PROTO_KAFKA_ASKED 8

/* A request that has no response yet. */
struct kafka_asked {
	int32_t correlation;
	int16_t key, version;
	uint32_t at_us; /* when it went by; from one round of the clock (71 minutes) to the next */
};

/* A request that was refused or denied, for the log. */
struct kafka_odd {
	int16_t key, version;
	uint32_t size;
};

struct kafka_chunk;
struct kafka_bulk;
struct kafka_denial;

enum kafka_login_state {
	KAFKA_LOGIN_NOT_YET,
	KAFKA_LOGIN_UNDER_WAY, /* nothing of the client goes on until it is over */
	KAFKA_LOGIN_OVER,
};

/* Leased: other connections need nothing like as much. */
struct proto_kafka {
	/* Requests without a response yet, oldest first: those in `asked`, a ring, then those in
	 * the chunks from `first` on, which are leased only when the ring is full. */
	struct kafka_asked asked[PROTO_KAFKA_ASKED];
	struct kafka_chunk *first, *last;
	uint32_t asked_count; /* of all */
	uint8_t ring_at, ring_count;

	uint8_t sasl; /* enum kafka_sasl */
	uint8_t tokens_left, tokens_unanswered;
	bool is_gssapi;	 /* what the tokens are of */
	uint8_t shown;	 /* enum kafka_sasl_shown: what the next token will say who the client is by
			  */
	bool is_allowed; /* it has said so, and may */
	uint8_t channels_bulky;	  /* a bit per channel: its last frame was long */
	uint8_t login;		  /* enum kafka_login_state */
	int16_t login_version;	  /* of SaslAuthenticate, once it is known */
	uint64_t login_due_ns;	  /* when to authenticate again; 0: never */
	struct kafka_login *auth; /* the authentication under way */
	bool is_dialled;
	bool is_streaming; /* `stream` is in the middle of a response */
	/* Of counting (proto_kafka_count.c): */
	bool is_counted;     /* the response at hand */
	bool is_fetch;	     /* it is one to Fetch, */
	bool is_fetch_last;  /* and so is the last frame that goes by, */
	uint64_t fetch_left; /* as are so many bytes, which no counter has yet */
	uint64_t spliced;    /* of the connection, when these began to go by */

	struct pace pace_requests, pace_in, pace_out;
	uint8_t channels_paced; /* a bit per channel that is being held back for these */

	int16_t last_key; /* of the last request that went by */
	uint32_t wanted;  /* bytes of the request at hand, before it is worth looking again */
	struct kafka_odd odd;
	uint64_t drop;		     /* bytes of an answered request that go nowhere */
	struct kafka_denial *denial; /* the request being answered item by item */
	struct kafka_creation
		creation; /* of the request that goes by as it is read; left == 0: none
			   */
	uint64_t
		pass_request; /* bytes of a request that go by, its beginning having been changed */
	uint64_t pass; /* bytes of a response that go by, its beginning having been written anew */
	struct kafka_bulk *bulk; /* the response being collected, or sent on */
	struct kafka_stream stream;
};

struct proto {
	const struct proto_ops *ops;
	enum proto_kind kind;
	union {
		struct proto_pulsar pulsar;
		struct proto_sni sni;
		struct proto_kafka *kafka;
	};
};

/* A question for another broker. */
struct proto_ask {
	uint32_t ticket;
	struct span target; /* "host:port" */
};

struct proto_ops {
	const char *name;
	void (*begin)(struct proto *proto, struct proto_pools *pools);
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

/* 0 or -ENOMEM. Sizes are those of one worker. */
MUST_USE int proto_pools_init(struct proto_pools *pools, const struct proto_pool_sizes *sizes,
			      uint64_t lookups_max);
void proto_pools_fini(struct proto_pools *pools);

void proto_begin(struct proto *proto, const struct proto_ops *ops, struct proto_pools *pools);
const char *proto_kind_name(enum proto_kind kind);

extern const struct proto_ops proto_pulsar_ops;
extern const struct proto_ops proto_sni_ops;
extern const struct proto_ops proto_kafka_ops;
