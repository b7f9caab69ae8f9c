/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_ask: asks a bootstrap broker of each Kafka cluster where all brokers are: at start, every
 * discovery.refresh, and when a client waits for a node that nobody has told of.
 *
 *     control_ask.c        when, and which broker: the next address at once where one fails
 *     control_ask_talk.c   one connection: dial, TLS, Metadata without topics, its answer
 *     control_ask_login.c  before that, where there is somebody to be: authentication
 *
 * Thread:   control; sockets are polled on its ring, nothing waits
 * Memory:   one connection per cluster, with an answer of at most CONTROL_ASK_ANSWER_MAX bytes
 * Errors:   the next broker; when all have failed, again later, for ever
 * See:      docs/adr/0019
 */
#pragma once

#include <penstock/base/addr.h>
#include <penstock/base/timer.h>
#include <penstock/tls.h>
#include <penstock/uring.h>
#include <penstock/wire/kafka_login.h>

#define CONTROL_ASK_METADATA   1 /* the version that is asked for */
#define CONTROL_ASK_ANSWER_MAX (1024 * 1024)
#define CONTROL_ASK_HANDSHAKES 4
#define CONTROL_ASK_WHY_MAX    192
#define CONTROL_ASK_ADDRS      4 /* of one name */

struct control;

enum control_ask_step {
	CONTROL_ASK_IDLE,
	CONTROL_ASK_NAME, /* being resolved */
	CONTROL_ASK_CONNECTING,
	CONTROL_ASK_TLS,
	CONTROL_ASK_SAYING,
	CONTROL_ASK_HEARING,
};

struct control_ask {
	struct control *control;
	char *cluster; /* NULL: not in use */
	enum control_ask_step step;
	struct timer timer; /* idle: the next round; else: this takes too long */

	/* The round. */
	uint32_t first, tried; /* of the places: where it began, how many so far */
	uint64_t begun_ns;
	char host[HOST_MAX];
	struct addr addrs[CONTROL_ASK_ADDRS];
	uint8_t addr_count, addr_next;

	/* The connection. */
	int fd; /* -1: none */
	struct uring_op op;
	struct timer again; /* a look at what no poll would tell of */
	struct tls_end *end;
	uint8_t question[KAFKA_LOGIN_SAY_MAX]; /* wiped once it is sent: it may be a password */
	size_t question_len, question_sent;
	bool is_login; /* what is said and heard is an authentication */
	struct kafka_login login;
	struct sasl_memo memo;
	uint8_t *answer;
	size_t answer_len, answer_size;

	/* What came of it. */
	uint64_t since_ns; /* that cluster is asked */
	uint64_t ended_ns; /* of the last round */
	uint64_t good_ns;  /* of the last good one; 0: none */
	uint64_t good_count, failed_count;
	uint32_t failures; /* in a row */
	uint64_t gap_ns;   /* between rounds that clients ask for */
	bool is_wanted;
	bool is_warned;
	char why[CONTROL_ASK_WHY_MAX]; /* of the last failure; empty after a good round */
};

/* ---- control_ask.c ---- */

/* Follows the configuration in force: clusters that are new are asked at once. */
void control_ask_apply(struct control *control);
void control_ask_fini(struct control *control);
/* Are the brokers of such a cluster asked at all? */
bool control_ask_is_for(const struct config_cluster *cluster);
/* A client waits for a node of this cluster. */
void control_ask_want(struct control *control, uint32_t cluster);
/* NULL: that cluster's brokers are not asked. */
const struct control_ask *control_ask_of(const struct control *control, uint32_t cluster);
/* From now on it takes too long after this time. */
void control_ask_hurry(struct control_ask *ask, uint64_t within_ns);
/* The present address, or the whole answer. */
void control_ask_failed(struct control_ask *ask, const char *why);
void control_ask_answered(struct control_ask *ask, struct span answer);

/* ---- control_ask_talk.c ---- */

/* The addresses of ask->host from addr_next on; false: none can be dialled, and `why` is set. */
MUST_USE bool control_ask_dial(struct control_ask *ask);
/* Closes. */
void control_ask_hang_up(struct control_ask *ask);

/* ---- control_ask_login.c ---- */

/* The first words of an authentication into the question; false: none is called for. */
MUST_USE bool control_ask_login_begin(struct control_ask *ask);
enum control_ask_heard {
	CONTROL_ASK_MORE,   /* of the answer */
	CONTROL_ASK_SAY,    /* the next words are in the question */
	CONTROL_ASK_DONE,   /* let in: the answer is empty again */
	CONTROL_ASK_FAILED, /* the address has been given up */
};
/* Looks at what has come in answer. */
enum control_ask_heard control_ask_login_hear(struct control_ask *ask);
