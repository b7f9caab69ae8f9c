/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_priv: the Pulsar brain's own structures, and the seams between its files:
 *   proto_pulsar.c         the first frame, and what a connection is
 *   proto_pulsar_lookup.c  lookup connections, both directions
 *   proto_pulsar_side.c    redirects followed on side connections
 *   proto_pulsar_book.c    lookups waiting for an answer
 *   proto_pulsar_role.c    role mode: whose credentials brokers are shown
 */
#pragma once

#include <penstock/wire/pulsar.h>
#include <penstock/worker/proto.h>

#define PULSAR_TOTAL_MIN     6 /* commandSize and at least "08 type" */
#define PULSAR_KEEP_SMALL    2048
#define PULSAR_REDIRECTS_MAX 10 /* as the Java proxy's (LookupProxyHandler.java) */
#define PULSAR_BOOK_ENTRIES  64
#define PULSAR_BOOK_BYTES    14336

enum pulsar_phase {
	PULSAR_PHASE_FIRST,   /* waiting for the client's CONNECT */
	PULSAR_PHASE_DIALLED, /* the broker is connected, CONNECT not sent yet */
	PULSAR_PHASE_ROLE,    /* a data connection whose broker has not said CONNECTED to us yet */
	PULSAR_PHASE_DATA,    /* opaque both ways */
	PULSAR_PHASE_LOOKUP,
};

/* The client's CONNECT as it goes to brokers. Credentials: wiped when given back. */
struct pulsar_keep {
	uint32_t len;
	uint32_t size;
	uint8_t frame[];
};

enum pulsar_entry_state {
	PULSAR_ENTRY_FREE,
	PULSAR_ENTRY_AT_BROKER, /* sent to the connection's own broker */
	PULSAR_ENTRY_ASK,	/* redirected: wants a side connection */
	PULSAR_ENTRY_ASSIGNED,	/* has one, LOOKUP not sent on it yet */
	PULSAR_ENTRY_AT_SIDE,
	PULSAR_ENTRY_FAILED, /* owes the client a LOOKUP_RESPONSE Failed */
};

struct pulsar_entry {
	uint64_t request_id;
	uint16_t frame_at, frame_len;	/* the LOOKUP, in the book's bytes */
	uint16_t target_at, target_len; /* "host:port" it was redirected to */
	uint8_t state;
	uint8_t side;
	uint8_t redirects;
	bool is_authoritative; /* as the redirect said */
};

struct pulsar_book {
	uint32_t count;
	uint32_t used; /* of bytes; freed space inside comes back by compaction */
	struct pulsar_entry entries[PULSAR_BOOK_ENTRIES];
	uint8_t bytes[PULSAR_BOOK_BYTES];
};

/* ---- proto_pulsar_book.c ---- */

/* NULL: no room (full book: the caller holds; no book: *ret_is_exhausted). */
struct pulsar_entry *proto_pulsar_book_add(struct proto *proto, struct proto_context *context,
					   uint64_t request_id, struct span frame,
					   bool *ret_is_exhausted);
struct pulsar_entry *proto_pulsar_book_find(const struct proto *proto, uint64_t request_id,
					    enum pulsar_entry_state state);
struct pulsar_entry *proto_pulsar_book_first(const struct proto *proto,
					     enum pulsar_entry_state state, uint32_t side);
void proto_pulsar_book_remove(struct proto *proto, struct proto_context *context,
			      struct pulsar_entry *entry);
/* Keeps the redirect's target; false: no room for it. */
MUST_USE bool proto_pulsar_book_redirect(struct proto *proto, struct pulsar_entry *entry,
					 struct span target);
struct span proto_pulsar_book_frame(const struct proto *proto, const struct pulsar_entry *entry);
struct span proto_pulsar_book_target(const struct proto *proto, const struct pulsar_entry *entry);
void proto_pulsar_book_end(struct proto *proto, struct proto_context *context);

#define PULSAR_ANY_SIDE UINT32_MAX

/* ---- proto_pulsar_lookup.c ---- */

void proto_pulsar_lookup_client(struct proto *proto, struct span bytes,
				struct proto_context *context, struct proto_verdict *ret);
void proto_pulsar_lookup_broker(struct proto *proto, struct span bytes,
				struct proto_context *context, struct proto_verdict *ret);
/* The first whole frame, or a verdict (NEED, REFUSE, PASS of what need not be seen). */
enum pulsar_seen { PULSAR_SEEN_VERDICT, PULSAR_SEEN_HEAD };
enum pulsar_seen proto_pulsar_lookup_head(struct span bytes, uint32_t frame_max,
					  enum close_reason malformed, struct pulsar_head *ret_head,
					  struct proto_verdict *ret);
/* Is the whole frame there? Otherwise *ret says NEED, or PASS when it is too long to be looked at.
 */
bool proto_pulsar_lookup_whole(const struct pulsar_head *head, struct span bytes,
			       struct proto_verdict *ret);
/* The URL a client is sent back with, and notes for learning. */
struct span proto_pulsar_lookup_url(const struct pulsar_lookup_response *response,
				    struct proto_context *context);

/* ---- proto_pulsar_side.c ---- */

void proto_pulsar_side_see(struct proto *proto, uint32_t side, struct span bytes,
			   struct proto_context *context, struct proto_verdict *ret);
bool proto_pulsar_side_ask_next(struct proto *proto, struct proto_ask *ret_ask);
void proto_pulsar_side_ask_assign(struct proto *proto, uint32_t ticket, uint32_t side);
void proto_pulsar_side_greet(struct proto *proto, uint32_t side,
			     const struct proto_context *context, struct sink *sink);
void proto_pulsar_side_say(struct proto *proto, uint32_t side, struct sink *sink);
bool proto_pulsar_side_is_busy(const struct proto *proto, uint32_t side);
void proto_pulsar_side_lost(struct proto *proto, uint32_t side, struct proto_context *context);
void proto_pulsar_side_ask_failed(struct proto *proto, uint32_t ticket,
				  struct proto_context *context);
bool proto_pulsar_side_answer_next(struct proto *proto, struct proto_context *context,
				   struct sink *sink);

/* ---- proto_pulsar_role.c ---- */

/* May this client connect, and how? Sets proto->pulsar.is_role; CLOSE_NONE or why not. */
enum close_reason proto_pulsar_role_admit(struct proto *proto, const struct proto_context *context,
					  const struct pulsar_connect *connect);
/* The CONNECT for a broker, of the client's; sink->full: it cannot be made. */
void proto_pulsar_role_connect(const struct proto_context *context, struct span frame,
			       struct sink *sink);
/* A data connection until CONNECTED. */
void proto_pulsar_role_see(struct proto *proto, enum proto_channel channel, struct span bytes,
			   struct proto_context *context, struct proto_verdict *ret);
/* Answers a broker's AUTH_CHALLENGE with our credential. */
void proto_pulsar_role_challenged(struct proto *proto, struct span frame,
				  struct proto_context *context, struct proto_verdict *ret);
/* An ERROR before CONNECTED: the end, when it is about who we are. Anything else is not decided
 * here (false). */
MUST_USE bool proto_pulsar_role_error(struct span frame, struct proto_context *context,
				      struct proto_verdict *ret);
/* Do clients' own credentials go along, so that it is for them to renew them? */
bool proto_pulsar_role_is_forwarding(const struct proto_context *context);

/* ---- proto_pulsar.c ---- */

void proto_pulsar_forget(struct proto *proto, struct proto_context *context);

void proto_pulsar_need(struct proto_verdict *ret, size_t n);
void proto_pulsar_refuse(struct proto_verdict *ret, enum close_reason reason);
/* Replaces the credentials of the kept CONNECT by those of an AUTH_RESPONSE. */
void proto_pulsar_keep_refresh(struct proto *proto, struct proto_context *context,
			       struct span auth_data);
