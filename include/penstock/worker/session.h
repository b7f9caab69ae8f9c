/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session: one client's life on one worker: accepted, (PROXY header read,) first frame understood,
 * broker dialled, bytes relayed, ended. The two ends are client and broker; the two directions are
 * lanes. Brains (proto.h) decide, lanes (relay.h) move bytes, the session carries out and keeps
 * time. Thread:   worker Memory:   a fixed pool; an idle relayed session holds no buffer and no
 * pipe Errors:   end in session_close with a reason of close.def, counted once See:
 * docs/ARCHITECTURE.md, "Life of a connection"
 */
#pragma once

#include <penstock/base/rng.h>
#include <penstock/base/timer.h>
#include <penstock/mail.h>
#include <penstock/tls.h>
#include <penstock/worker/proto.h>
#include <penstock/worker/relay.h>

enum session_state {
#define SESSION_STATE(NAME, name, next) SESSION_##NAME,
#include <penstock/worker/session.def>
#undef SESSION_STATE
};

struct session;
struct session_dial;

/* Called when a dial has ended: CLOSE_NONE and dial->fd, or why not. */
typedef void session_dialled_fn(struct session_dial *dial, enum close_reason reason);

enum session_way {
	SESSION_WAY_ONE,  /* the broker the client named, or what a listener forwards to */
	SESSION_WAY_ANY,  /* any live broker of the cluster, */
	SESSION_WAY_RULE, /* the places of session->rule_id: candidates in turn */
};

/* Connecting to one broker: its name resolved, its addresses tried, the next candidate taken. */
struct session_dial {
	struct session *session;
	session_dialled_fn *done;
	struct uring_op op;
	struct timer timer;
	uint64_t started_ns;
	int fd;
	uint32_t start, candidate; /* round robin over the candidates */
	uint64_t tried;		   /* a bit per candidate, of the first 64 */
	int32_t node;		   /* of Kafka, that is waited for */
	uint16_t port;
	char *host;    /* whom TLS is to be spoken to: HOST_MAX bytes of env->names; NULL: nobody */
	uint8_t which; /* 0: the session's own; 1 + i: side connection i */
	uint8_t addr_count, addr_next;
	uint8_t way;	 /* enum session_way */
	bool is_trusted; /* the deny-set does not apply to its addresses */
	bool is_resolving;
	bool takes_resting;	  /* second round: brokers that rest are better than none */
	enum close_reason reason; /* of the last failure */
	struct addr addrs[ROUTE_ADDRS_MAX];
};

/* A connection to another broker of the same cluster, for lookups redirected there. */
struct session_side {
	struct session *session;
	uint32_t index;
	uint16_t port;
	int fd;		     /* -1: not connected yet */
	struct tls_end *tls; /* NULL: plain */
	bool is_open;	     /* connected, and TLS agreed on where it is spoken */
	bool is_greeted;     /* CONNECT is on its way */
	struct session_dial dial;
	struct lane rx, tx; /* rx: its source is the side's socket; tx: its sink is */
	struct timer timer;
	char host[HOST_MAX];
};

struct session {
	struct session_env *env;
	struct timer timer;
	struct lane lane[LANES];
	struct proto proto;
	uint64_t id;
	uint64_t accepted_ns;
	uint64_t active_ns;	  /* when bytes last moved */
	uint64_t frame_ns[LANES]; /* since when a frame has been incomplete; 0: none is */
	uint64_t login_ns; /* since when we have been authenticating to its broker; 0: we are not */
	uint64_t dial_ns;  /* how long connecting took */
	uint64_t reached_ns; /* when its broker was reached, TLS included */
	uint64_t abort_ns;   /* when to stop waiting in ABORT */
	uint64_t hold_ns;    /* when its held lanes are to look again; 0: they wait for no time */
	int client_fd, broker_fd;
	uint32_t cluster;
	struct tls_end *client_tls, *broker_tls; /* NULL: that end is plain */
	struct tls_context *signer; /* how brokers are shown this client; NULL: as most */
	char *server_name;	    /* HOST_MAX bytes of env->names; NULL: none is known */
	char *principal;	    /* the same: whom the client's verified certificate names */
	char *user;		    /* the same: as whom its broker of Kafka is to know it */
	int32_t node;		    /* of Kafka, that the client wants; SESSION_ANY_NODE */
	uint32_t judged_version;    /* of the last snapshot asked whether its broker is that node */
	uint16_t listener_id;
	uint16_t rule_id; /* of the route it was counted for; SESSION_NO_RULE: none */
	uint16_t place; /* where its broker is counted (stat_kafka.h); SESSION_NO_PLACE: nowhere */
	uint8_t state;
	uint8_t reason;	    /* enum close_reason, once known */
	uint8_t held;	    /* a bit per lane: its brain said HOLD */
	uint8_t keeps;	    /* the same: and it is counted in env->kept */
	uint8_t abort_lane; /* whose source was lost */
	bool is_unrouted;
	bool is_forward;
	bool is_routed;	 /* by server name, and nothing but bytes: it has no cluster */
	bool is_tallied; /* counted in office->per_ip */
	bool is_entered; /* counted in office->gates */
	bool is_draining;
	bool is_silent; /* the client waits for TLS: nothing may be said to it in clear */
	bool is_drain_due;
	bool is_moved;			       /* its broker is another one than the client wants */
	bool is_tending;		       /* session_side_tend is at work */
	bool is_client_reset, is_broker_reset; /* learned while sending */
	struct addr peer;		       /* who connected to us */
	struct addr client; /* who that is on behalf of: PROXY header, else peer */
	struct addr broker;
	struct session_side *sides[PROTO_SIDES];
	struct session_dial dial;
};

#define SESSION_NO_RULE	 UINT16_MAX
#define SESSION_NO_PLACE UINT16_MAX
#define SESSION_ANY_NODE (-1)

#define SESSION_RESTS	 256 /* direct-mapped tables of a worker */
#define SESSION_ASKED	 256
#define SESSION_HINTS	 20

/* A broker that did not answer: others go first for a while. */
struct session_rest {
	struct addr addr;
	uint64_t until_ns;
};

/* A namespace control was told about. */
struct session_asked {
	uint64_t hash;
	uint64_t until_ns;
};

/* What the sessions of a worker share. */
struct session_env {
	struct uring *ring;
	const struct route *route; /* of this turn */
	struct mail_office *office;
	struct stat_block *stats;
	uint32_t worker;
	uint64_t now_ns; /* of this turn */
	uint64_t next_id;
	struct rng rng;
	struct timer_wheel wheel;
	struct relay relay;
	struct relay_queue
		again; /* lanes that used up their share of the turn, or were asked to run */
	struct tls *tls;
	struct relay_queue slotless; /* lanes whose TLS handshake waits for another to end */
	struct relay_queue shaking;  /* lanes whose TLS handshake waits for the client */
	struct timer slot_timer;     /* set while one is in `slotless` */
	uint64_t shaken_ns;	     /* the turn that `shaken` counts steps of handshakes in */
	uint32_t shaken;
	struct proto_pools protos;
	struct pool sessions, sides, names;
	uint32_t unrouted;
	uint32_t kept;		   /* lanes that are held with bytes in a buffer */
	uint8_t *scratch;	   /* SESSION_SCRATCH bytes for verdicts */
	struct proto_nodes *nodes; /* where brains leave notes */
	struct session_rest *rests;
	struct session_asked *asked;
	uint64_t hinted_ns[SESSION_HINTS]; /* when a kind of trouble was last explained */
	uint64_t refused_ns;	/* when a broker that refused our own credential was last told of */
	uint64_t drain_ends_ns; /* the spread is over */
	bool is_draining;
};

#define SESSION_SCRATCH (2 * PROTO_FRAME_MAX)

/* ---- session.c ---- */

/* 0 or -ENOMEM. The ring is set later, on the worker's thread. */
MUST_USE int session_env_init(struct session_env *env, const struct config *config,
			      struct mail_office *office, uint32_t worker);
void session_env_fini(struct session_env *env);
/* A snapshot of another configuration came: sessions follow their cluster to its new index, by
 * name; those whose cluster is gone and still needed end. env->route is the new one. */
void session_follow_config(struct session_env *env, const struct route *old);
/* Lanes whose turn has come, and those waiting for a buffer. At most one round. */
void session_run_queued(struct session_env *env);
bool session_has_queued(const struct session_env *env);
const char *session_state_name(enum session_state state);
void session_move(struct session *session, enum session_state state);
/* The session at an index of the pool, or NULL when it is free. */
struct session *session_at(struct session_env *env, uint32_t index);

/* ---- session_open.c ---- */

/* Takes an accepted socket over. False: no session to be had; the socket is still the caller's. */
MUST_USE bool session_open(struct session_env *env, int fd, uint16_t listener_id,
			   const struct addr *peer, uint64_t accepted_ns);
/* Reads on in the PROXY header. */
void session_open_header(struct session *session);
/* TLS that its route ends is agreed on: what is inside has the brain of its cluster, or none. Does
 * nothing where there is no route. */
void session_open_inside(struct session *session);
/* The client is known, and TLS with it agreed on if its listener speaks it. */
void session_open_greeted(struct session *session);
/* The brain (or a forward listener) knows where to: connects the broker end. */
void session_open_dial(struct session *session, struct span target);
/* The same, to where a rule leads, if that has room for one more; after the handshake with the
 * client if the rule ends TLS. */
void session_open_route(struct session *session, uint32_t rule);

/* It waits for nothing any more with a buffer in its hand (limits.unrouted). */
void session_open_routed(struct session *session);
/* The broker end is connected: relays, as soon as there is a buffer for what goes first. */
void session_open_connected(struct session *session);
/* The PROXY header for a broker, when the configuration asks for one. */
void session_open_proxy_header(const struct session *session, struct sink *sink);

/* ---- session_dial.c ---- */

/* Begins; `done` may be called before this returns. Empty target: any live broker. */
void session_dial_begin(struct session_dial *dial, struct span target);
void session_dial_forward(struct session_dial *dial, const struct route_endpoint *endpoint);
void session_dial_rule(struct session_dial *dial);
/* A broker of Kafka by its id; waits a while for one that nobody has told of yet. */
void session_dial_node(struct session_dial *dial, int32_t node);
void session_dial_cancel(struct session_dial *dial);
/* How TLS is spoken to brokers of the session's cluster, or to where its route leads; NULL: it is
 * not. */
struct tls_context *session_dial_tls(const struct session_dial *dial);
/* Was the dial meant for TLS, and is its cluster still what it was then? A reload may have come
 * between. */
bool session_dial_is_as_meant(const struct session_dial *dial);
/* Gives dial->host back. */
void session_dial_forget(struct session_dial *dial);
void session_dial_answer(struct session_env *env, const struct mail_dns_answer *answer);

/* ---- session_known.c: what a worker knows about brokers beyond the snapshot ---- */

bool session_known_rests(const struct session_env *env, const struct addr *addr);
void session_known_rest(struct session_env *env, const struct addr *addr);
void session_known_works(struct session_env *env, const struct addr *addr);
bool session_known_learned(const struct session *session, struct span host, uint16_t port);
/* Somebody waits for a node of this cluster, or it is not where it was: control may be able to find
 * out. */
void session_known_want_node(const struct session *session);
/* Where a broker of Kafka is, if that was told later than at since_ns. */
MUST_USE bool session_known_node(const struct session *session, int32_t node, uint64_t since_ns,
				 struct mail_nodes_place *ret_place);
/* Is its broker another one than its client wants, by now? */
bool session_known_moved(struct session *session);
/* Takes the notes a brain left: tells control, remembers. */
void session_known_notes(struct session *session, const struct proto_context *context);

/* ---- session_lane.c ---- */

/* Moves what can be moved on the lane, then arms what it waits for. The session may be gone
 * afterwards. */
void session_lane_run(struct session *session, enum lane_id id);
/* Arms what the lane waits for: source, sink or buffer. */
void session_lane_wait(struct session *session, enum lane_id id, enum relay_status status);
/* Queues the lane to run soon: in this turn's round of queued lanes or the next. */
void session_lane_soon(struct session *session, enum lane_id id);
void session_lane_resume_held(struct session *session);
/* The name is kept for routing and for the log. */
void session_lane_keep_name(struct session *session, struct span name);
void session_lane_context(struct session *session, struct proto_context *ret_context);
/* Gives up what both lanes wait for. */
void session_lane_stop(struct session *session);

/* ---- session_side.c ---- */

/* Gives redirected lookups their side connections and sends what can be sent. */
void session_side_tend(struct session *session);
void session_side_close_all(struct session *session);
/* A lane of a side connection has waited for a buffer, and there is one. */
void session_side_run(struct lane *lane);

/* ---- session_tls.c ---- */

/* Speaks TLS with the client, whose bytes read so far (behind a PROXY header) are its beginning;
 * then the session goes on with session_open_greeted. */
void session_tls_client(struct session *session, struct tls_context *context);
/* Speaks TLS with the connected broker, which dial->host names; then session_open_connected. */
void session_tls_broker(struct session *session, struct tls_context *context);
/* Before its handshake with a broker: an end offers the protocol the client has agreed on, where it
 * was asked for one. */
void session_tls_offer(struct session *session, struct tls_end *end);
/* Goes on with the handshake of CLIENT_TLS or BROKER_TLS when a socket is ready. */
void session_tls_go_on(struct session *session);
/* A step of a handshake. After TLS_WANT_SLOT the lane is queued and runs when it is its turn; after
 * TLS_DONE comes session_tls_start. */
enum tls_progress session_tls_step(struct session_env *env, struct tls_end *end, struct lane *lane);
/* False: as TLS_FAILED. */
MUST_USE bool session_tls_start(struct session_env *env, struct tls_end *end);
/* Why TLS with that end failed. */
enum close_reason session_tls_reason(const struct tls_end *end, bool is_client);
/* Says goodbye (without `reset`), closes the socket, gives the end back. Either may be none. */
void session_tls_close(struct session_env *env, struct tls_end **end, int *fd, bool reset);

/* ---- session_close.c ---- */

/* Tells the client why, in its protocol, and lets it read that; then closes. */
void session_close_refuse(struct session *session, enum close_reason reason, struct span bytes);
/* One end was lost: delivers what was read from it, then resets the other. */
void session_close_abort(struct session *session, enum lane_id lane, enum close_reason reason);
/* Ends the session now. With `reset` both ends get RST, the broker first. */
void session_close(struct session *session, enum close_reason reason, bool reset);
/* Goes on with ABORT and LINGER when a socket is ready. */
void session_close_go_on(struct session *session);
/* The worker drains. A lookup connection, or one of Kafka's, whose broker is reached has its moment
 * before env->drain_ends_ns: it ends then, or when what it has asked is answered, but not before
 * its client has greeted the broker and had its first answer. Nothing is done to others. Said of
 * each when the drain begins, and of those that come later when they are connected. */
void session_close_drain(struct session *session);
/* (Re)starts the timer of a relayed session for whatever is due first. */
void session_close_schedule(struct session *session);

/* ---- session_hint.c ---- */

/* Says in the log what was wrong and what helps, for the reason the session ends for. */
void session_hint(const struct session *session);
/* A call that is denied was answered in the broker's place, and the connection goes on. */
void session_hint_denied(const struct session *session);
/* Clients were told of a broker that its listener has no port for. */
void session_hint_nowhere(const struct session *session, int32_t node);

/* ---- session_user.c ---- */

/* As whom the client's broker is to know it, where penstock authenticates to brokers; `peer`: its
 * verified certificate, or NULL. False: no line is for it. */
MUST_USE bool session_user_choose(struct session *session, const struct tls_peer *peer);

/* ---- session_log.c ---- */

/* A broker did not take our own credential, or not for this client; what it said. */
void session_log_role(const struct session *session, const struct addr *broker, struct span said);
/* The same, of Kafka. */
void session_log_login(const struct session *session, const struct addr *broker,
		       enum kafka_login_fault fault, struct span said);
void session_log(const struct session *session);
/* The line of a connection that was refused before it became a session (id 0). */
void session_log_refused(const struct session_env *env, const struct mail_handoff *handoff,
			 enum close_reason reason);
void session_log_row(const struct session *session, struct mail_row *ret_row);
