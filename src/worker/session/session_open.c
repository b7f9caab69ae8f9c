/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_open: from an accepted socket to a connected broker:
 *
 *   accept -> (PROXY header) -> first frame -> brain says DIAL or ROUTE -> dial -> relay
 *
 * A bare `forward` listener has no brain and goes from accept to dial. A route that ends TLS makes
 * the handshake out of the ClientHello it was chosen by, and then begins again with what is inside:
 * with the brain of what its cluster speaks, or with none.
 */
#define _GNU_SOURCE
#include <penstock/tls/set.h>
#include <penstock/wire/proxy.h>

#include "session_priv.h"

static void on_hello_timer(struct timer *timer)
{
	struct session *session = CONTAINER_OF(timer, struct session, timer);

	session_close_refuse(session, CLOSE_HELLO_TIMEOUT, span_of(NULL, 0));
}

void session_open_routed(struct session *session)
{
	struct session_env *env = session->env;

	if (!session->is_unrouted)
		return;
	session->is_unrouted = false;
	env->unrouted--;
	stat_sub(env->stats, STAT_UNROUTED, 1);
}

/* ---- connected ---- */

static enum config_send_proxy header_version(const struct session *session)
{
	const struct config *config = session_config(session->env);
	const struct config_listener *listener =
		session_listener(session->env, session->listener_id);
	uint32_t rule = session_rule(session);

	if (session->is_routed)
		return rule != ROUTE_NO_RULE ? config->routes[rule].send_proxy_protocol
					     : CONFIG_SEND_PROXY_OFF;
	if (session->is_forward)
		return listener != NULL ? listener->send_proxy_protocol : CONFIG_SEND_PROXY_OFF;
	return config->clusters[session->cluster].send_proxy_protocol;
}

void session_open_proxy_header(const struct session *session, struct sink *sink)
{
	enum config_send_proxy version = header_version(session);
	struct addr destination;

	if (version == CONFIG_SEND_PROXY_OFF)
		return;
	if (net_local_addr(session->client_fd, &destination) < 0)
		destination = session->client;
	if (version == CONFIG_SEND_PROXY_V1)
		proxy_write_v1(sink, &session->client, &destination);
	else
		proxy_write_v2(sink, &session->client, &destination);
}

static bool send_proxy_header(struct session *session)
{
	struct sink sink = sink_of(session->env->scratch, PROXY_WRITE_MAX);

	session_open_proxy_header(session, &sink);
	return sink.len == 0 || relay_emit(&session->env->relay, &session->lane[LANE_TO_BROKER],
					   sink_written(&sink), false);
}

/* Both ends are connected. A PROXY header may need a buffer: without one the lane waits for it and
 * comes back here. */
void session_open_connected(struct session *session)
{
	struct session_env *env = session->env;
	struct lane *to_broker = &session->lane[LANE_TO_BROKER];

	if (!relay_has_buf(&env->relay)) {
		session_lane_wait(session, LANE_TO_BROKER, RELAY_WAIT_BUFFER);
		return;
	}
	CHECK(send_proxy_header(session));
	session_move(session, SESSION_RELAY);
	session->reached_ns = env->now_ns;
	if (session->proto.ops != NULL) {
		session->proto.ops->dialled(&session->proto);
	} else {
		relay_pass(&env->relay, to_broker, RELAY_ALL);
		relay_pass(&env->relay, &session->lane[LANE_TO_CLIENT], RELAY_ALL);
	}
	session->active_ns = env->now_ns;
	if (env->is_draining)
		session_close_drain(session);
	session_close_schedule(session);
	/* A brain that sees the broker's frames may have something to say first (CONNECT, on its
	 * next look). */
	if (session->lane[LANE_TO_CLIENT].pass == RELAY_ALL)
		session_lane_wait(session, LANE_TO_CLIENT, RELAY_DRAINED);
	else
		session_lane_soon(session, LANE_TO_CLIENT);
	session_lane_run(session, LANE_TO_BROKER);
}

_Static_assert(SESSION_NO_RULE == STAT_KAFKA_NO_ROUTE, "they go from one into the other");

/* Only brokers that were there have a place: clients can make up server names. */
static void count_node(struct session *session)
{
	struct session_env *env = session->env;
	struct stat_kafka_node *node;

	if (session->proto.kind != PROTO_KIND_KAFKA)
		return;
	session->place = stat_kafka_place(env->office->places, session->listener_id,
					  session->rule_id, session->node);
	node = &env->stats->kafka.node[session->place];
	stat_count(&node->connections, 1);
	stat_count(&node->active, 1);
}

static void on_dialled(struct session_dial *dial, enum close_reason reason)
{
	struct session *session = dial->session;

	if (reason != CLOSE_NONE) {
		if (session->proto.kind == PROTO_KIND_KAFKA && session->node != SESSION_ANY_NODE)
			session_known_want_node(session); /* it may be elsewhere */
		session_close_refuse(session, reason, span_of(NULL, 0));
		return;
	}
	session->broker_fd = dial->fd;
	dial->fd = -1; /* the session's from here on */
	session->broker = dial->addrs[dial->addr_next - 1];
	session->dial_ns = session->env->now_ns - dial->started_ns;
	stat_dial(session->env->stats, session->dial_ns);
	count_node(session);
	if (session->user == NULL) /* else it keeps a buffer until its broker has let it in */
		session_open_routed(session);
	session->lane[LANE_TO_BROKER].sink = session->broker_fd;
	session->lane[LANE_TO_CLIENT].source = session->broker_fd;

	struct tls_context *context = session_dial_tls(&session->dial);

	if (!session_dial_is_as_meant(dial))
		session_close_refuse(session, CLOSE_LISTENER_GONE, span_of(NULL, 0));
	else if (context != NULL)
		session_tls_broker(session, context);
	else
		session_open_connected(session);
}

static void begin_dial(struct session *session)
{
	session_move(session, SESSION_DIAL);
	timer_clear(&session->env->wheel, &session->timer);
	session->dial = (struct session_dial){
		.session = session,
		.done = on_dialled,
		.op.generation = session->dial.op.generation,
		.fd = -1,
	};
}

void session_open_route(struct session *session, uint32_t rule)
{
	struct session_env *env = session->env;
	uint16_t id = env->route->rules[rule].id;
	struct tls_context *context = tls_set_route(env->route->tls, session_config(env), rule);

	if (!stat_route_enter(&env->office->routes[id],
			      session_config(env)->routes[rule].max_connections)) {
		session_close_refuse(session, CLOSE_CONN_LIMIT_ROUTE, span_of(NULL, 0));
		return;
	}
	session->rule_id = id;
	if (context != NULL) {
		session_tls_client(session, context);
		return;
	}
	begin_dial(session);
	session_dial_rule(&session->dial);
}

/* The brain of what the brokers of its cluster speak. */
static void begin_brain(struct session *session)
{
	const struct config_cluster *cluster =
		&session_config(session->env)->clusters[session->cluster];

	proto_begin(&session->proto,
		    cluster->protocol == CONFIG_KAFKA ? &proto_kafka_ops : &proto_pulsar_ops,
		    &session->env->protos);
}

void session_open_inside(struct session *session)
{
	uint32_t rule = session_rule(session);
	const struct config_route *route;

	if (!session->is_routed)
		return;
	CHECK(rule != ROUTE_NO_RULE); /* session_follow_config has seen to it */
	route = &session_config(session->env)->routes[rule];
	if (config_route_has_brain(route)) {
		session->is_routed = false; /* from here on as on a listener with this cluster */
		session->cluster = (uint32_t)route->cluster;
		begin_brain(session);
		return;
	}
	proto_begin(&session->proto, NULL, &session->env->protos);
	session->proto.kind = PROTO_KIND_ROUTED;
}

void session_open_dial(struct session *session, struct span target)
{
	const struct route *route = session->env->route;
	int32_t index = route->listener_of_id[session->listener_id];

	begin_dial(session);
	if (!session->is_forward && session->node != SESSION_ANY_NODE)
		session_dial_node(&session->dial, session->node);
	else if (!session->is_forward)
		session_dial_begin(&session->dial, target);
	else if (index >= 0 && route->forwards[index].host != NULL)
		session_dial_forward(&session->dial, &route->forwards[index]);
	else /* a reload made something else of the listener while the PROXY header came in */
		session_close(session, CLOSE_LISTENER_GONE, false);
}

/* ---- reading what comes before routing ---- */

static bool is_trusted(const struct config_listener *listener, const struct addr *peer)
{
	for (uint32_t i = 0; i < listener->proxy_trusted.count; i++)
		if (addr_in_cidr(peer, &listener->proxy_trusted.at[i]))
			return true;
	return false;
}

/* limits.per_ip counts the address the connection is on behalf of, not the load balancer's. */
static bool tally(struct session *session)
{
	uint64_t most = session_config(session->env)->limits.per_ip;

	if (most == CONFIG_OFF)
		return true;
	session->is_tallied = tally_add(session->env->office->per_ip, &session->client, most);
	return session->is_tallied;
}

/* Counted without a limit, too: a reload may set one. `listener` may be -1: gone. */
static bool enter(struct session *session, int32_t listener)
{
	struct session_env *env = session->env;
	uint64_t most = listener < 0 ? 0 : session_config(env)->listeners[listener].max_connections;

	session->is_entered = stat_route_enter(&env->office->gates[session->listener_id].count,
					       most > 0 ? most : UINT64_MAX);
	return session->is_entered;
}

/* Of the networks that the listener lets in; -1: a reload has taken it away. */
static bool is_allowed(const struct session *session, int32_t listener)
{
	const struct config *config = session_config(session->env);
	const struct config_cidrs *allow;

	if (listener < 0)
		return true; /* as it was let in when it came */
	allow = &config->listeners[listener].allow;
	for (uint32_t i = 0; i < allow->count; i++)
		if (addr_in_cidr(&session->client, &allow->at[i]))
			return true;
	return allow->count == 0;
}

/* The client is known: on to its first frame, or straight to where the listener forwards to. */
static void begin(struct session *session)
{
	struct session_env *env = session->env;
	int32_t listener = env->route->listener_of_id[session->listener_id];
	struct tls_context *context = NULL;

	if (!is_allowed(session, listener)) {
		session_close_refuse(session, CLOSE_ACL_CIDR, span_of(NULL, 0));
		return;
	}
	if (!tally(session)) {
		session_close_refuse(session, CLOSE_CONN_LIMIT_IP, span_of(NULL, 0));
		return;
	}
	if (!enter(session, listener)) {
		session_close_refuse(session, CLOSE_CONN_LIMIT_LISTENER, span_of(NULL, 0));
		return;
	}
	if (listener >= 0 && !session->is_routed)
		context = tls_set_listener(env->route->tls, (uint32_t)listener);
	if (context != NULL)
		session_tls_client(session, context);
	else if (!session_user_choose(session, NULL))
		session_close_refuse(session, CLOSE_NO_BROKER_USER, span_of(NULL, 0));
	else
		session_open_greeted(session);
}

/* The broker of Kafka that clients want which asked for this server name. */
static enum close_reason choose_named_node(struct session *session)
{
	const struct config *config = session_config(session->env);
	const struct config_kafka *kafka = session_kafka(session);
	struct span name = session_server_name(session);

	if (session->proto.ops != &proto_kafka_ops)
		return CLOSE_NONE;
	if (kafka == NULL)
		return CLOSE_LISTENER_GONE;
	if (kafka->mode != CONFIG_KAFKA_SNI)
		return CLOSE_NONE;
	switch (config_kafka_wanted(kafka, config->clusters[session->cluster].name, name,
				    &session->node)) {
	case CONFIG_KAFKA_NODE:
		return CLOSE_NONE;
	case CONFIG_KAFKA_ANY:
		session->node = SESSION_ANY_NODE;
		return CLOSE_NONE;
	case CONFIG_KAFKA_NOBODY:
		break;
	}
	return name.len == 0 ? CLOSE_SNI_MISSING : CLOSE_NO_ROUTE;
}

void session_open_greeted(struct session *session)
{
	struct session_env *env = session->env;

	if (session->state == SESSION_CLIENT_TLS) /* the first frame has its own time */
		timer_set(&env->wheel, &session->timer,
			  env->now_ns + session_config(env)->timeouts.hello_ns, on_hello_timer);
	if (session->is_forward) {
		session_open_dial(session, span_of(NULL, 0));
		return;
	}
	if (session->is_routed && session->rule_id != SESSION_NO_RULE) {
		begin_dial(session);
		session_dial_rule(&session->dial);
		return;
	}
	enum close_reason reason = choose_named_node(session);

	if (reason != CLOSE_NONE) {
		session_close_refuse(session, reason, span_of(NULL, 0));
		return;
	}
	session_move(session, SESSION_HELLO);
	session_lane_run(session, LANE_TO_BROKER);
}

/* Returns the bytes of header still needed in all, 0 when the session went on (or ended). */
static size_t see_header(struct session *session, const struct config_listener *listener)
{
	struct session_env *env = session->env;
	struct lane *lane = &session->lane[LANE_TO_BROKER];
	struct span bytes = relay_undecided(&env->relay, lane);
	struct proxy_header header = { .size = 0 };
	size_t need = 1;

	if (bytes.len == 0)
		return 1;
	enum wire wire = proxy_read(bytes, &header, &need);

	if (wire == WIRE_MORE)
		return need;
	if (wire == WIRE_BAD) {
		bool is_other = need == 0 && !proxy_may_begin(bytes);

		if (is_other && listener->proxy_mode == CONFIG_PROXY_OPTIONAL)
			begin(session);
		else
			session_close_refuse(session,
					     is_other ? CLOSE_PROXY_MISSING : CLOSE_PROXY_MALFORMED,
					     span_of(NULL, 0));
		return 0;
	}
	if (!header.is_local && header.source.is_set)
		session->client = header.source;
	relay_drop(&env->relay, lane, header.size);
	begin(session);
	return 0;
}

void session_open_header(struct session *session)
{
	const struct config_listener *listener =
		session_listener(session->env, session->listener_id);
	struct lane *lane = &session->lane[LANE_TO_BROKER];
	size_t need = 1;

	if (listener == NULL) {
		session_close(session, CLOSE_LISTENER_GONE, false);
		return;
	}
	for (;;) {
		/* A forward listener may have bulk behind its header: not read further than
		 * needed, so that the stream can be spliced from its first byte. */
		size_t max = session->is_forward ? need : RELAY_BUF_BYTES;

		switch (relay_read(&session->env->relay, lane, need, max)) {
		case RELAY_DECIDE:
			need = see_header(session, listener);
			if (need == 0)
				return;
			continue;
		case RELAY_WAIT_SOURCE:
		case RELAY_DRAINED:
			session_lane_wait(session, LANE_TO_BROKER, RELAY_WAIT_SOURCE);
			return;
		case RELAY_WAIT_BUFFER:
			session_lane_wait(session, LANE_TO_BROKER, RELAY_WAIT_BUFFER);
			return;
		case RELAY_FIN:
			session_close(session, CLOSE_CLIENT_GONE, false);
			return;
		case RELAY_SOURCE_LOST:
			session_close(session, CLOSE_CLIENT_RST, false);
			return;
		case RELAY_WAIT_SINK:
		case RELAY_AGAIN:
		case RELAY_SINK_LOST:
			session_close(session, CLOSE_BUG, true);
			return;
		}
	}
}

/* ---- accepted ---- */

static void init_session(struct session_env *env, struct session *session, int fd,
			 uint16_t listener_id, const struct addr *peer, uint64_t accepted_ns)
{
	struct uring_op dial_op = { .generation = session->dial.op.generation };
	struct lane lanes[LANES] = { session->lane[0], session->lane[1] };

	*session = (struct session){
		.env = env,
		.id = ++env->next_id * env->office->worker_count + env->worker,
		.accepted_ns = accepted_ns,
		.active_ns = accepted_ns,
		.client_fd = fd,
		.broker_fd = -1,
		.listener_id = listener_id,
		.peer = *peer,
		.client = *peer,
		.rule_id = SESSION_NO_RULE,
		.place = SESSION_NO_PLACE,
		.is_unrouted = true,
		.node = SESSION_ANY_NODE,
		.dial = { .session = session, .op = dial_op, .fd = -1 },
	};
	session->lane[0].op.generation = lanes[0].op.generation;
	session->lane[1].op.generation = lanes[1].op.generation;
	relay_lane_init(&session->lane[LANE_TO_BROKER], fd, -1, false);
	relay_lane_init(&session->lane[LANE_TO_CLIENT], -1, fd, true);
}

/* The broker of Kafka that clients want which came by this port. false: it is no port of the
 * listener, by the configuration of this turn, since a reload has changed them. */
static bool choose_node(struct session *session, const struct config_listener *listener)
{
	uint16_t own = listener->bind.port; /* 0: any, as chosen by the kernel */
	struct addr local;

	if (session->proto.ops != &proto_kafka_ops ||
	    listener->kafka.mode != CONFIG_KAFKA_PORT || /* names say it, whatever the port */
	    net_local_addr(session->client_fd, &local) < 0 ||
	    config_kafka_node_at(&listener->kafka, local.port, &session->node))
		return true;
	return own == 0 || own == local.port;
}

/* What the listener speaks. */
static void choose_brain(struct session *session)
{
	if (session->is_forward) {
		proto_begin(&session->proto, NULL, &session->env->protos);
		session->proto.kind = PROTO_KIND_FORWARD;
	} else if (session->is_routed) {
		proto_begin(&session->proto, &proto_sni_ops, &session->env->protos);
	} else {
		begin_brain(session);
	}
}

bool session_open(struct session_env *env, int fd, uint16_t listener_id, const struct addr *peer,
		  uint64_t accepted_ns)
{
	const struct config_listener *listener = session_listener(env, listener_id);
	struct session *session = listener != NULL ? pool_get(&env->sessions) : NULL;

	if (session == NULL)
		return false;
	init_session(env, session, fd, listener_id, peer, accepted_ns);
	env->unrouted++;
	stat_add(env->stats, STAT_UNROUTED, 1);
	stat_add(env->stats, STAT_SESSIONS_IN_USE, 1);
	session->is_forward = listener->forward_host != NULL;
	session->is_routed = listener->route_count > 0;
	session->cluster = listener->cluster < 0 ? 0 : (uint32_t)listener->cluster;
	for (int i = 0; i < LANES; i++)
		session->lane[i].is_splice_off = listener->splice == CONFIG_SPLICE_OFF;
	choose_brain(session);

	bool wants_header =
		listener->proxy_mode == CONFIG_PROXY_REQUIRED ||
		(listener->proxy_mode == CONFIG_PROXY_OPTIONAL && is_trusted(listener, peer));

	timer_set(&env->wheel, &session->timer,
		  env->now_ns + session_config(env)->timeouts.hello_ns, on_hello_timer);
	if (!choose_node(session, listener)) {
		session_close(session, CLOSE_LISTENER_GONE, true); /* as if nobody were there */
	} else if (wants_header) {
		session_move(session, SESSION_HEADER);
		if (is_trusted(listener, peer))
			session_open_header(session);
		else
			session_close_refuse(session, CLOSE_PROXY_UNTRUSTED, span_of(NULL, 0));
	} else {
		begin(session);
	}
	return true;
}
