/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_dial: connecting to a broker. A named broker is checked against the snapshot and the
 * egress rules, resolved by control if need be, and gets one deadline for everything. Any live
 * broker, or the places a route leads to: candidates in turn from a random start, a dead one
 * skipped at once and left to rest, since a broker that died stays in ZooKeeper for its session
 * time-out. Where there is nobody to dial yet, the client is held for timeouts.connect.
 */
#define _GNU_SOURCE
#include <errno.h>

#include <penstock/tls/set.h>
#include <penstock/wire/pulsar.h>

#include "session_priv.h"

#define AGAIN_NS      (NS_PER_S / 20) /* who has nobody to dial yet looks again */
#define NODE_AHEAD_NS (2 * NS_PER_S)  /* so long a word may be ahead of the snapshot */

static void try_next(struct session_dial *dial);

static struct session_env *env_of(const struct session_dial *dial)
{
	return dial->session->env;
}

static uint64_t connect_ns(const struct session_dial *dial)
{
	return session_config(env_of(dial))->timeouts.connect_ns;
}

/* ---- TLS ---- */

struct tls_context *session_dial_tls(const struct session_dial *dial)
{
	const struct session *session = dial->session;
	const struct route *route = env_of(dial)->route;
	uint32_t rule = session_rule(session);

	if (session->is_forward)
		return NULL;
	if (session->signer != NULL)
		return session->signer;
	if (!session->is_routed)
		return tls_set_cluster(route->tls, session->cluster);
	return rule != ROUTE_NO_RULE ? tls_set_route_target(route->tls, route->config, rule) : NULL;
}

/* The name that the broker's certificate is to be for. */
static struct span name_of(const struct session_dial *dial, struct span host)
{
	const struct session *session = dial->session;
	uint32_t rule = session_rule(session);

	if (!session->is_routed || rule == ROUTE_NO_RULE || session->server_name == NULL ||
	    session_config(env_of(dial))->routes[rule].name_source != CONFIG_NAME_CLIENT)
		return host;
	return session_server_name(session);
}

static void keep_host(struct session_dial *dial, struct span host)
{
	if (session_dial_tls(dial) == NULL)
		return;
	if (dial->host == NULL)
		dial->host = pool_get(&env_of(dial)->names);
	CHECK(dial->host != NULL); /* there is one for each dial there can be */
	bool is_whole = span_to_str(name_of(dial, host), dial->host, HOST_MAX);

	CHECK(is_whole); /* hosts are shorter, wherever they come from */
}

bool session_dial_is_as_meant(const struct session_dial *dial)
{
	return (dial->host != NULL) == (session_dial_tls(dial) != NULL);
}

void session_dial_forget(struct session_dial *dial)
{
	if (dial->host != NULL)
		pool_put(&env_of(dial)->names, dial->host);
	dial->host = NULL;
}

/* ---- ends ---- */

/* Ends the dial; a socket is handed on only when it is connected. */
static void finish(struct session_dial *dial, enum close_reason reason)
{
	struct session_env *env = env_of(dial);

	dial->is_resolving = false;
	uring_cancel(env->ring, &dial->op);
	timer_clear(&env->wheel, &dial->timer);
	if (reason != CLOSE_NONE && dial->fd >= 0) {
		net_close(dial->fd, false);
		dial->fd = -1;
	}
	if (reason != CLOSE_NONE)
		session_dial_forget(dial);
	dial->done(dial, reason);
}

void session_dial_cancel(struct session_dial *dial)
{
	struct session_env *env = env_of(dial);

	dial->is_resolving = false;
	uring_cancel(env->ring, &dial->op);
	timer_clear(&env->wheel, &dial->timer);
	if (dial->fd >= 0)
		net_close(dial->fd, false);
	dial->fd = -1;
	session_dial_forget(dial);
}

static enum close_reason reason_of(int err)
{
	switch (-err) {
	case ECONNREFUSED:
		return CLOSE_CONNECT_REFUSED;
	case ETIMEDOUT:
		return CLOSE_CONNECT_TIMEOUT;
	case EMFILE:
	case ENFILE:
		return CLOSE_EMFILE;
	case EADDRNOTAVAIL:
		return CLOSE_NO_PORTS;
	case ENOMEM:
	case ENOBUFS:
		return CLOSE_ENOMEM;
	default:
		return CLOSE_CONNECT_FAILED;
	}
}

/* The address in hand did not work. */
static void failed(struct session_dial *dial, int err)
{
	struct session_env *env = env_of(dial);
	enum close_reason reason = reason_of(err);

	dial->reason = reason;
	stat_add(env->stats, STAT_DIAL_FAILURES, 1);
	if (dial->fd >= 0) {
		uring_cancel(env->ring, &dial->op);
		net_close(dial->fd, false);
		dial->fd = -1;
	}
	/* Our own shortage says nothing about the broker. */
	if (reason == CLOSE_EMFILE || reason == CLOSE_NO_PORTS || reason == CLOSE_ENOMEM) {
		finish(dial, reason);
		return;
	}
	session_known_rest(env, &dial->addrs[dial->addr_next - 1]);
	try_next(dial);
}

static void on_writable(struct uring_op *op, int events)
{
	struct session_dial *dial = CONTAINER_OF(op, struct session_dial, op);
	int err = events < 0 ? events : 0;

	/* A connection that failed says so beside POLLOUT. */
	if (events > 0 && (events & (POLLERR | POLLHUP)) != 0)
		err = net_error(dial->fd);
	if (err < 0) {
		failed(dial, err);
		return;
	}
	session_known_works(env_of(dial), &dial->addrs[dial->addr_next - 1]);
	finish(dial, CLOSE_NONE);
}

/* The name in hand has no address that may be dialled. */
static void unresolved(struct session_dial *dial, enum close_reason reason)
{
	dial->is_resolving = false;
	dial->reason = reason;
	try_next(dial);
}

static void on_timer(struct timer *timer)
{
	struct session_dial *dial = CONTAINER_OF(timer, struct session_dial, timer);

	if (dial->is_resolving)
		unresolved(dial, CLOSE_DNS_TIMEOUT);
	else if (dial->way == SESSION_WAY_ONE)
		finish(dial, CLOSE_CONNECT_TIMEOUT);
	else
		failed(dial, -ETIMEDOUT); /* the next candidate gets its own time */
}

static void start_timer(struct session_dial *dial)
{
	timer_set(&env_of(dial)->wheel, &dial->timer, env_of(dial)->now_ns + connect_ns(dial),
		  on_timer);
}

/* True: under way, or failed() has gone on. */
static void connect_to(struct session_dial *dial, const struct addr *addr)
{
	struct session_env *env = env_of(dial);
	int ret = net_dial(addr, &dial->fd);

	stat_add(env->stats, STAT_DIALS, 1);
	if (ret < 0 && ret != -EINPROGRESS) {
		dial->fd = -1;
		failed(dial, ret);
		return;
	}
	if (dial->way != SESSION_WAY_ONE)
		start_timer(dial);
	uring_poll(env->ring, &dial->op, dial->fd, POLLOUT, on_writable);
}

/* The n-th candidate, counted from dial->start; false: there are no more. Asked of the snapshot of
 * this turn: the one of the last may be gone. */
static bool find_candidate(const struct session_dial *dial, uint32_t n,
			   struct route_place *ret_place)
{
	const struct session *session = dial->session;
	const struct route *route = session->env->route;
	const struct route_endpoint *endpoint;
	static const struct config_ports all_ports = { .is_any = true };
	uint32_t rule = session_rule(session);

	if (dial->way == SESSION_WAY_RULE)
		return rule != ROUTE_NO_RULE &&
		       route_rule_place(route, rule, session_server_name(session), dial->start, n,
					ret_place);
	if (!route_any(route, session->cluster, session_dial_tls(dial) != NULL ? &all_ports : NULL,
		       dial->start, n, &endpoint))
		return false;
	route_place(endpoint, ret_place);
	return true;
}

/* Those that do not rest in a first round, in a second round those that were passed over. */
static bool take_turn(struct session_dial *dial, const struct route_verdict *verdict)
{
	uint64_t bit = dial->candidate < 64 ? 1ull << dial->candidate : 0;
	bool rests = verdict->answer == ROUTE_DIAL &&
		     session_known_rests(env_of(dial), &verdict->addrs[0]);

	dial->candidate++;
	if ((dial->tried & bit) != 0 || rests != dial->takes_resting)
		return false;
	dial->tried |= bit;
	return true;
}

static bool next_candidate(struct session_dial *dial, struct route_place *ret_place)
{
	for (;;) {
		while (find_candidate(dial, dial->candidate, ret_place))
			if (take_turn(dial, &ret_place->verdict))
				return true;
		if (dial->takes_resting)
			return false;
		dial->takes_resting = true;
		dial->candidate = 0;
	}
}

static void resolve(struct session_dial *dial, struct span host);

static void take_addrs(struct session_dial *dial, const struct route_verdict *verdict)
{
	dial->addr_next = 0;
	dial->addr_count = verdict->addr_count;
	for (uint8_t i = 0; i < verdict->addr_count; i++)
		dial->addrs[i] = verdict->addrs[i];
}

/* False: it has waited long enough. */
static bool wait_a_while(struct session_dial *dial, timer_fn *again)
{
	struct session_env *env = env_of(dial);

	if (env->now_ns >= dial->started_ns + connect_ns(dial))
		return false;
	timer_set(&env->wheel, &dial->timer, env->now_ns + AGAIN_NS, again);
	return true;
}

static void on_early_timer(struct timer *timer)
{
	struct session_dial *dial = CONTAINER_OF(timer, struct session_dial, timer);

	dial->takes_resting = false;
	dial->candidate = 0;
	try_next(dial);
}

/* A client may come before the first list of brokers, or before any name on it has an address. */
static bool is_early(const struct session_dial *dial)
{
	return dial->reason == CLOSE_NONE &&
	       (dial->way == SESSION_WAY_ANY ||
		(dial->way == SESSION_WAY_RULE && session_rule(dial->session) != ROUTE_NO_RULE));
}

/* The next candidate's addresses; false: they are being asked for, or there are none, yet or any
 * more. */
static bool take_candidate(struct session_dial *dial)
{
	struct route_place place;

	while (dial->way != SESSION_WAY_ONE && next_candidate(dial, &place)) {
		dial->is_trusted = place.verdict.is_trusted;
		dial->port = place.port;
		keep_host(dial, span_str(place.host));
		if (place.verdict.answer == ROUTE_NEED_DNS) {
			resolve(dial, span_str(place.host));
			return false;
		}
		if (place.verdict.answer == ROUTE_DIAL) {
			take_addrs(dial, &place.verdict);
			return true;
		}
		stat_add(env_of(dial)->stats, STAT_TARGET_DENIED, 1);
		dial->reason = place.verdict.reason;
	}
	if (!is_early(dial) || !wait_a_while(dial, on_early_timer))
		finish(dial, dial->reason != CLOSE_NONE ? dial->reason : CLOSE_NO_BROKER);
	return false;
}

static void try_next(struct session_dial *dial)
{
	if (dial->addr_next == dial->addr_count && !take_candidate(dial))
		return;
	if (dial->reason != CLOSE_NONE)
		stat_add(env_of(dial)->stats, STAT_DIAL_RETRIES, 1);
	dial->addr_next++;
	connect_to(dial, &dial->addrs[dial->addr_next - 1]);
}

/* ---- names ---- */

/* What an answer belongs to:
 *     32 bits of the session's id | 3: which dial | 5: which candidate | 24: place in the pool
 * While a name was looked up its session may have ended or its candidate been given up: then the
 * answer is nobody's, and must not be taken for that of whoever came next. */
#define TICKET_PLACES	  (1u << 24)
#define TICKET_CANDIDATES 32

static uint64_t ticket_of(const struct session_dial *dial)
{
	const struct session *session = dial->session;
	uint32_t place = pool_index(&session->env->sessions, session);

	CHECK(place < TICKET_PLACES);
	return session->id << 32 | (uint64_t)dial->which << 29 |
	       (uint64_t)(dial->candidate % TICKET_CANDIDATES) << 24 | place;
}

static void resolve(struct session_dial *dial, struct span host)
{
	struct session_env *env = env_of(dial);
	struct mail mail = {
		.kind = MAIL_DNS_ASK,
		.dns_ask = { .ticket = ticket_of(dial), .worker = (uint16_t)env->worker },
	};

	if (!span_to_str(host, mail.dns_ask.host, sizeof(mail.dns_ask.host)) ||
	    !mail_send(&env->office->control, env->ring, &mail)) {
		stat_add(env->stats, STAT_MAIL_FULL, 1);
		finish(dial, CLOSE_DNS_FAILED);
		return;
	}
	stat_add(env->stats, STAT_DNS_ASKED, 1);
	dial->is_resolving = true;
	dial->addr_count = dial->addr_next = 0;
	start_timer(dial);
}

static void answered(struct session_dial *dial, const struct mail_dns_answer *answer)
{
	enum close_reason reason = CLOSE_DNS_FAILED;

	dial->is_resolving = false;
	for (uint8_t i = 0; i < answer->addr_count && dial->addr_count < ROUTE_ADDRS_MAX; i++) {
		struct addr addr = answer->addrs[i];
		enum close_reason denied = CLOSE_NONE;

		addr.port = dial->port;
		if (!dial->is_trusted)
			denied = route_addr_check(env_of(dial)->route, &addr);
		if (denied == CLOSE_NONE)
			dial->addrs[dial->addr_count++] = addr;
		else
			reason = denied;
	}
	if (dial->addr_count == 0) {
		if (reason != CLOSE_DNS_FAILED)
			stat_add(env_of(dial)->stats, STAT_TARGET_DENIED, 1);
		unresolved(dial, reason);
		return;
	}
	try_next(dial);
}

void session_dial_answer(struct session_env *env, const struct mail_dns_answer *answer)
{
	struct session *session = session_at(env, (uint32_t)(answer->ticket % TICKET_PLACES));
	uint32_t which = (uint32_t)(answer->ticket >> 29) & 7;

	if (session == NULL)
		return;
	struct session_dial *dial = &session->dial;

	if (which > 0) {
		struct session_side *side = session->sides[which - 1];

		if (side == NULL)
			return;
		dial = &side->dial;
	}
	if (dial->is_resolving && answer->ticket == ticket_of(dial))
		answered(dial, answer);
}

/* ---- beginning ---- */

/* A name the snapshot does not hold may have been learned a moment ago. */
static bool is_learned(const struct session_dial *dial, struct span target, struct span *ret_host,
		       uint16_t *ret_port)
{
	return addr_split(target, ret_host, ret_port) &&
	       session_known_learned(dial->session, *ret_host, *ret_port);
}

/* Of "host:port" or a broker's URL. */
static bool split_target(struct span target, struct span *ret_host, uint16_t *ret_port)
{
	struct span host_port;
	bool is_tls;

	if (!pulsar_url_split(target, &host_port, &is_tls))
		host_port = target;
	return addr_split(host_port, ret_host, ret_port);
}

/* What discovery or the configuration names. */
static void begin_endpoint(struct session_dial *dial, const struct route_endpoint *endpoint)
{
	dial->port = endpoint->port;
	dial->is_trusted = true;
	keep_host(dial, span_str(endpoint->host));
	if (endpoint->addr_count == 0) {
		resolve(dial, span_str(endpoint->host));
		return;
	}
	dial->addr_count = endpoint->addr_count;
	for (uint8_t i = 0; i < endpoint->addr_count; i++)
		dial->addrs[i] = endpoint->addrs[i];
	start_timer(dial);
	try_next(dial);
}

static void begin_named(struct session_dial *dial, struct span target)
{
	struct session_env *env = env_of(dial);
	bool is_tls = session_dial_tls(dial) != NULL;
	const struct route_endpoint *endpoint =
		is_tls ? route_tls_endpoint(env->route, dial->session->cluster, target) : NULL;
	struct route_verdict verdict;
	struct span host = span_of(NULL, 0);

	if (endpoint != NULL) {
		begin_endpoint(dial, endpoint);
		return;
	}
	route_target(env->route, dial->session->cluster, target, &verdict);
	if (verdict.answer == ROUTE_DENY && is_learned(dial, target, &host, &dial->port))
		verdict = (struct route_verdict){ .answer = ROUTE_NEED_DNS, .is_trusted = true };
	if (verdict.answer == ROUTE_DENY) {
		stat_add(env->stats, STAT_TARGET_DENIED, 1);
		finish(dial, verdict.reason);
		return;
	}
	dial->is_trusted = verdict.is_trusted;
	if (!split_target(target, &host, &dial->port)) {
		finish(dial, CLOSE_TARGET_SYNTAX_DENIED);
		return;
	}
	keep_host(dial, host);
	if (verdict.answer == ROUTE_NEED_DNS) {
		resolve(dial, host);
		return;
	}
	take_addrs(dial, &verdict);
	start_timer(dial);
	try_next(dial);
}

static void begin_candidates(struct session_dial *dial, enum session_way way)
{
	dial->way = (uint8_t)way;
	dial->start = (uint32_t)rng_next(&env_of(dial)->rng);
	try_next(dial);
}

void session_dial_begin(struct session_dial *dial, struct span target)
{
	dial->started_ns = env_of(dial)->now_ns;
	if (target.len > 0) {
		begin_named(dial, target);
		return;
	}
	begin_candidates(dial, SESSION_WAY_ANY);
}

void session_dial_forward(struct session_dial *dial, const struct route_endpoint *endpoint)
{
	dial->started_ns = env_of(dial)->now_ns;
	begin_endpoint(dial, endpoint);
}

void session_dial_rule(struct session_dial *dial)
{
	dial->started_ns = env_of(dial)->now_ns;
	begin_candidates(dial, SESSION_WAY_RULE);
}

/* ---- brokers of Kafka ---- */

static void look_for_node(struct session_dial *dial);

static void on_node_timer(struct timer *timer)
{
	look_for_node(CONTAINER_OF(timer, struct session_dial, timer));
}

/* A client may come before anything has told of its node, and after a while of that it will not
 * get better. */
static void wait_for_node(struct session_dial *dial)
{
	struct session_env *env = env_of(dial);

	if (env->now_ns == dial->started_ns)
		session_known_want_node(dial->session);
	if (!wait_a_while(dial, on_node_timer))
		finish(dial, CLOSE_NODE_UNKNOWN);
}

/* The rack of a node, as brokers have told it, else as it is in the name that the client came by,
 * which was made of what they had told before a restart; empty: neither says. */
static struct span rack_of(const struct session_dial *dial, const struct route_node *node)
{
	const struct session *session = dial->session;
	const struct config_kafka *kafka = session_kafka(session);

	if (node != NULL && node->rack != NULL)
		return span_str(node->rack);
	if (kafka == NULL)
		return span_of(NULL, 0);
	return config_kafka_rack_named(
		kafka, session_config(session->env)->clusters[session->cluster].name,
		session_server_name(session));
}

/* Where a node is by the rule of the configuration; without the rack it asks for, nobody is. */
static void begin_ruled_node(struct session_dial *dial, const struct route_node *node)
{
	struct session_env *env = env_of(dial);
	const struct config_cluster *cluster =
		&session_config(env)->clusters[dial->session->cluster];
	struct span template = span_str(cluster->node_host);
	struct span rack = rack_of(dial, node);
	char host[HOST_MAX];
	struct sink sink = sink_of(host, sizeof(host) - 1);
	struct route_endpoint ruled = { .host = host, .port = cluster->node_port };

	if (rack.len == 0 && config_kafka_has_rack(template)) {
		wait_for_node(dial);
		return;
	}
	config_kafka_host(template, cluster->name, dial->node, rack, &sink);
	if (sink.full) {
		finish(dial, CLOSE_NODE_UNKNOWN);
		return;
	}
	host[sink.len] = '\0';
	const struct route_endpoint *known =
		route_find(env->route, dial->session->cluster, span_str(host), ruled.port);

	begin_endpoint(dial, known != NULL ? known : &ruled);
}

/* Words later than this are ahead of the snapshot. */
static uint64_t ahead_since(const struct session_env *env, const struct route_node *node)
{
	uint64_t since_ns = env->now_ns > NODE_AHEAD_NS ? env->now_ns - NODE_AHEAD_NS : 0;

	if (node == NULL)
		return 0;
	return node->told_ns > since_ns ? node->told_ns : since_ns;
}

/* The snapshot is told what answers say within a tenth of a second; a client may be faster, and
 * where its node was there may be another one by now. */
static void look_for_node(struct session_dial *dial)
{
	struct session_env *env = env_of(dial);
	const struct session *session = dial->session;
	const struct route_node *node = route_node(env->route, session->cluster, dial->node);
	struct mail_nodes_place place;

	dial->session->judged_version = (uint32_t)env->route->version;
	if (session_config(env)->clusters[session->cluster].node_host != NULL) {
		begin_ruled_node(dial, node);
	} else if (session_known_node(session, dial->node, ahead_since(env, node), &place)) {
		const struct route_endpoint told = { .host = place.host, .port = place.port };
		const struct route_endpoint *known =
			route_find(env->route, session->cluster, span_str(place.host), place.port);

		begin_endpoint(dial, known != NULL ? known : &told);
	} else if (node != NULL) {
		begin_endpoint(dial,
			       &env->route->clusters[session->cluster].endpoints[node->endpoint]);
	} else {
		wait_for_node(dial);
	}
}

void session_dial_node(struct session_dial *dial, int32_t node)
{
	dial->started_ns = env_of(dial)->now_ns;
	dial->node = node;
	look_for_node(dial);
}
