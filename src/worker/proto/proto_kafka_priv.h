/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_priv: the Kafka brain's own structures, and the seams between its files:
 *   proto_kafka.c           the brain as the session knows it
 *   proto_kafka_request.c   what clients send
 *   proto_kafka_policy.c    which requests may pass, and what is said to those that may not
 *   proto_kafka_deny.c      the same, where the answer repeats what was asked for
 *   proto_kafka_creation.c  Metadata of clients that may not create topics
 *   proto_kafka_book.c      requests that have no response yet
 *   proto_kafka_response.c  what brokers send
 *   proto_kafka_long.c      responses that must be seen whole and are longer than a buffer
 *   proto_kafka_sasl.c      tokens without a header
 *   proto_kafka_user.c      who clients say they are
 *   proto_kafka_login.c     authentication to the broker in the place of the client
 *   proto_kafka_names.c     brokers' addresses into the names clients know
 *   proto_kafka_count.c     what is counted for each API
 *   proto_kafka_pace.c      how fast a connection may be
 */
#pragma once

#include <penstock/wire/kafka_answer.h>
#include <penstock/wire/kafka_refusal.h>
#include <penstock/wire/kafka_sasl.h>
#include <penstock/worker/proto.h>

#define KAFKA_CHUNK_ASKED 64
#define KAFKA_ASKED_MAX	  1024		 /* requests of one connection without a response */
#define KAFKA_BULK_BYTES  (1024 * 1024u) /* of a response, and as many for what becomes of it */
#define KAFKA_BULKY	  32768 /* after a frame so long the next one is taken to be like it, */
#define KAFKA_PEEK	  512	/* and little more is read of it than is wanted */
#define KAFKA_JOIN	  4096	/* so short a rest goes out with what was written anew before it */

/* ---- proto_kafka.c: verdicts ---- */

/* At least n bytes of the frame at hand. */
void proto_kafka_need(const struct proto_kafka *kafka, enum proto_channel channel, uint64_t n,
		      struct proto_verdict *ret);
void proto_kafka_pass(uint64_t n, struct proto_verdict *ret);
void proto_kafka_hold(struct proto_verdict *ret);
void proto_kafka_refuse(enum close_reason reason, struct proto_verdict *ret);
/* true: WIRE_OK. Otherwise *ret wants more, or refuses. */
bool proto_kafka_is_read(const struct proto_kafka *kafka, enum proto_channel channel,
			 enum wire wire, const struct kafka_why *why, struct proto_verdict *ret);
/* A frame of this size goes by on the channel. */
void proto_kafka_note_size(struct proto_kafka *kafka, enum proto_channel channel, uint64_t size);

/* ---- proto_kafka_request.c, proto_kafka_response.c ---- */

void proto_kafka_request_see(struct proto_kafka *kafka, struct span bytes,
			     struct proto_context *context, struct proto_verdict *ret);
void proto_kafka_response_see(struct proto_kafka *kafka, struct span bytes,
			      struct proto_context *context, struct proto_verdict *ret);

/* ---- proto_kafka_policy.c ---- */

enum kafka_fate { KAFKA_FATE_PASS, KAFKA_FATE_ANSWER, KAFKA_FATE_DENY, KAFKA_FATE_REFUSE };
/* ANSWER: the response is in the sink. DENY: proto_kafka_deny.c has one. REFUSE: for *ret_reason.
 */
enum kafka_fate proto_kafka_policy(const struct kafka_policy *policy,
				   const struct kafka_request *request, struct sink *sink,
				   enum close_reason *ret_reason);

/* ---- proto_kafka_deny.c ---- */

#define KAFKA_DENIALS 32 /* of a worker at one time; one more ends its connection */

struct kafka_denial {
	struct kafka_refusal refusal;
	struct sink answer;
	uint8_t bytes[PROTO_FRAME_MAX];
};

/* Nothing is awaited from the broker, and the request is next. */
void proto_kafka_deny_begin(struct proto_kafka *kafka, const struct kafka_request *request,
			    struct span bytes, struct proto_context *context,
			    struct proto_verdict *ret);
/* With kafka->denial. */
void proto_kafka_deny_see(struct proto_kafka *kafka, struct span bytes,
			  struct proto_context *context, struct proto_verdict *ret);
void proto_kafka_deny_end(struct proto_kafka *kafka, struct proto_pools *pools);

/* ---- proto_kafka_creation.c ---- */

/* Is it a request that could create topics, of a client that may not? */
bool proto_kafka_creation_matters(const struct proto_context *context,
				  const struct kafka_request *request);
/* Of such a request. false: *ret refuses it, or wants more of it. */
bool proto_kafka_creation_may(const struct proto_kafka *kafka, const struct kafka_request *request,
			      struct span bytes, struct proto_verdict *ret);
/* It is next, may go by, and has been noted. */
void proto_kafka_creation_begin(struct proto_kafka *kafka, const struct kafka_request *request,
				struct span bytes, struct proto_context *context,
				struct proto_verdict *ret);
/* With kafka->creation.left. */
void proto_kafka_creation_see(struct proto_kafka *kafka, struct span bytes,
			      struct proto_context *context, struct proto_verdict *ret);

/* ---- proto_kafka_book.c ---- */

struct kafka_chunk {
	struct kafka_chunk *next;
	uint32_t from, to;
	struct kafka_asked asked[KAFKA_CHUNK_ASKED];
};

bool proto_kafka_book_has_room(const struct proto_kafka *kafka, const struct proto_pools *pools);
void proto_kafka_book_add(struct proto_kafka *kafka, struct proto_context *context,
			  const struct kafka_asked *asked);
/* The oldest, or NULL. */
const struct kafka_asked *proto_kafka_book_first(const struct proto_kafka *kafka);
void proto_kafka_book_take(struct proto_kafka *kafka, struct proto_context *context);
void proto_kafka_book_end(struct proto_kafka *kafka, struct proto_context *context);

/* ---- proto_kafka_long.c ---- */

struct kafka_bulk {
	uint64_t frame_size;
	uint32_t need;	  /* of `in`, before it is worth looking again */
	uint32_t filled;  /* of `in` */
	uint32_t written; /* of `out` */
	uint32_t out_sent, in_sent;
	bool is_sending;
	uint8_t in[KAFKA_BULK_BYTES];
	uint8_t out[KAFKA_BULK_BYTES];
};

/* Begins to collect the response at hand, of which at least `need` bytes must be seen. false: *ret
 * refuses. */
bool proto_kafka_long_begin(struct proto_kafka *kafka, struct proto_context *context,
			    uint64_t frame_size, uint64_t need, struct proto_verdict *ret);
/* With kafka->bulk. false: the response is through, and *ret is not set. */
bool proto_kafka_long_see(struct proto_kafka *kafka, struct span bytes,
			  struct proto_context *context, struct proto_verdict *ret);
void proto_kafka_long_end(struct proto_kafka *kafka, struct proto_pools *pools);

/* ---- proto_kafka_sasl.c ---- */

enum kafka_sasl {
	KAFKA_SASL_NONE,
	KAFKA_SASL_ASKED, /* SaslHandshake v0 is under way: what comes next depends on its answer */
	KAFKA_SASL_COUNTED, /* so many tokens, each with an answer */
	KAFKA_SASL_OPEN,    /* tokens until a request comes */
};

/* A request has gone by. */
void proto_kafka_sasl_asked(struct proto_kafka *kafka, const struct kafka_request *request,
			    struct span mechanism);
/* The answer to SaslHandshake v0 has come. */
void proto_kafka_sasl_answered(struct proto_kafka *kafka, int16_t error);
/* Is what the client sends next a token? MORE, or nothing: *ret says so. */
enum kafka_sasl_next { KAFKA_SASL_TOKEN, KAFKA_SASL_REQUEST, KAFKA_SASL_VERDICT };
enum kafka_sasl_next proto_kafka_sasl_client(const struct proto_kafka *kafka, struct span bytes,
					     uint64_t *ret_size, struct proto_verdict *ret);
void proto_kafka_sasl_token_sent(struct proto_kafka *kafka);
/* May a broker send a token now? */
bool proto_kafka_sasl_awaits(const struct proto_kafka *kafka);
void proto_kafka_sasl_token_came(struct proto_kafka *kafka);

/* ---- proto_kafka_user.c ---- */

enum kafka_user_fate {
	KAFKA_USER_PASS,
	KAFKA_USER_ANSWER,  /* the answer is in context->scratch */
	KAFKA_USER_VERDICT, /* *ret says it */
};
/* May this request go on, by the users a listener allows? *ret_mechanism: of a SaslHandshake. */
enum kafka_user_fate proto_kafka_user_request(const struct proto_kafka *kafka, struct span bytes,
					      const struct kafka_request *request,
					      struct proto_context *context,
					      struct span *ret_mechanism,
					      struct proto_verdict *ret);
/* A token of so many bytes, size field included, without a header. true: it may go on. */
bool proto_kafka_user_token(const struct proto_kafka *kafka, struct span bytes, uint64_t size,
			    struct proto_context *context, struct proto_verdict *ret);
/* A request, or a token (NULL), goes on. */
void proto_kafka_user_sent(struct proto_kafka *kafka, const struct proto_context *context,
			   const struct kafka_request *request, struct span mechanism);

/* ---- proto_kafka_login.c ---- */

#define KAFKA_LOGIN_REQUEST (-1) /* the version a request of ours is noted with */

/* Is its answer for us? Clients' requests of such a version have been refused. */
static inline bool proto_kafka_is_ours(const struct kafka_asked *asked)
{
	return asked->version == KAFKA_LOGIN_REQUEST;
}

/* Before the client's next request, of which something is there: false: it may go on. True: *ret
 * begins to authenticate, or waits. */
bool proto_kafka_login_first(struct proto_kafka *kafka, struct proto_context *context,
			     struct proto_verdict *ret);
/* The broker's answer to a request of ours is next. */
void proto_kafka_login_answered(struct proto_kafka *kafka, struct span bytes,
				struct proto_context *context, struct proto_verdict *ret);
void proto_kafka_login_end(struct proto_kafka *kafka, struct proto_pools *pools);

/* ---- proto_kafka_names.c ---- */

struct kafka_naming {
	struct proto_context *context;
	uint8_t host[HOST_MAX];
};
struct kafka_names proto_kafka_names(struct kafka_naming *naming, struct proto_context *context);

/* ---- proto_kafka_count.c ---- */

void proto_kafka_count_request(struct proto_context *context, const struct kafka_request *request);
void proto_kafka_count_denied(struct proto_context *context, int16_t key);
/* The response to `asked` has begun. */
void proto_kafka_count_response(struct proto_kafka *kafka, const struct proto_context *context,
				const struct kafka_asked *asked, uint64_t size);
/* The response at hand goes by among others. */
void proto_kafka_count_passed(struct proto_kafka *kafka, uint64_t size);
/* What becomes of the response at hand, or of a piece of it. */
void proto_kafka_count_verdict(struct proto_kafka *kafka, struct proto_context *context,
			       const struct proto_verdict *verdict);
/* All that was to go by until now is through. */
void proto_kafka_count_through(struct proto_kafka *kafka, struct proto_context *context);
void proto_kafka_count_end(struct proto_kafka *kafka, struct proto_context *context);

/* ---- proto_kafka_pace.c ---- */

/* true: *ret holds the channel's next frame back, for a time. Changes nothing. */
bool proto_kafka_pace_waits(const struct proto_kafka *kafka, enum proto_channel channel,
			    const struct proto_context *context, struct proto_verdict *ret);
/* The same before anything of the frame has been read. */
bool proto_kafka_pace_rests(const struct proto_kafka *kafka, enum proto_channel channel,
			    struct span bytes, const struct proto_context *context,
			    struct proto_verdict *ret);
/* With a rate no more is read than the frame that is to begin with `bytes`. */
void proto_kafka_pace_read(enum proto_channel channel, struct span bytes,
			   const struct proto_context *context, struct proto_verdict *ret);
/* A request or a response of this size goes. */
void proto_kafka_pace_take(struct proto_kafka *kafka, enum proto_channel channel,
			   const struct proto_context *context, uint64_t size);
/* What has become of the channel: counts it when it begins to be held back. */
void proto_kafka_pace_note(struct proto_kafka *kafka, enum proto_channel channel,
			   struct proto_context *context, const struct proto_verdict *verdict);
