/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_known: what a worker finds out about brokers by itself, ahead of the next snapshot:
 * which do not answer (they rest), which namespaces control has been told of (both direct-mapped
 * tables: a collision costs a retry or a message), and which URLs lookups named (shared by the
 * workers, mail/learned.h).
 */
#define _GNU_SOURCE
#include <penstock/wire/pulsar.h>

#include "session_priv.h"

#define ASK_AGAIN_NS (30 * NS_PER_S)

static struct session_rest *rest_slot(const struct session_env *env, const struct addr *addr)
{
	return &env->rests[addr_hash(addr) % SESSION_RESTS];
}

bool session_known_rests(const struct session_env *env, const struct addr *addr)
{
	const struct session_rest *rest = rest_slot(env, addr);

	return rest->until_ns > env->now_ns && addr_equal(&rest->addr, addr);
}

void session_known_rest(struct session_env *env, const struct addr *addr)
{
	*rest_slot(env, addr) = (struct session_rest){
		.addr = *addr,
		.until_ns = env->now_ns + SESSION_REST_NS,
	};
}

void session_known_works(struct session_env *env, const struct addr *addr)
{
	struct session_rest *rest = rest_slot(env, addr);

	if (rest->until_ns != 0 && addr_equal(&rest->addr, addr))
		rest->until_ns = 0;
}

static const char *cluster_name(const struct session *session)
{
	return session_config(session->env)->clusters[session->cluster].name;
}

bool session_known_learned(const struct session *session, struct span host, uint16_t port)
{
	const struct session_env *env = session->env;

	return mail_learned_has(env->office->learned, cluster_name(session), host, port,
				env->now_ns);
}

static void learn(struct session *session, struct span url)
{
	struct session_env *env = session->env;
	struct mail mail = { .kind = MAIL_LEARNED, .learned.cluster = session->cluster };
	struct span host_port, host;

	if (url.len == 0 || !pulsar_url_split(url, &host_port, &mail.learned.is_tls) ||
	    !addr_split(host_port, &host, &mail.learned.port) || !addr_is_host(host) ||
	    !span_to_str(host, mail.learned.host, sizeof(mail.learned.host)))
		return;
	if (!mail_learned_add(env->office->learned, cluster_name(session), host, mail.learned.port,
			      env->now_ns))
		return;
	if (!mail_send(&env->office->control, env->ring, &mail))
		stat_add(env->stats, STAT_MAIL_FULL, 1);
}

bool session_known_node(const struct session *session, int32_t node, uint64_t since_ns,
			struct mail_nodes_place *ret_place)
{
	const struct session_env *env = session->env;

	return mail_nodes_find(env->office->nodes, cluster_name(session), node, since_ns,
			       env->now_ns, ret_place);
}

/* Each snapshot is asked once, by the next request; the one it was dialled by not at all. Where a
 * rule says how nodes are called, addresses that brokers tell are none to judge by. Without a
 * broker there is nothing to judge, and on the session's way out maybe no cluster either. */
bool session_known_moved(struct session *session)
{
	const struct session_env *env = session->env;
	uint32_t version = (uint32_t)env->route->version;

	if (session->broker_fd < 0 || session->judged_version == version ||
	    session->node == SESSION_ANY_NODE)
		return session->is_moved;
	session->judged_version = version;
	session->is_moved = session_config(env)->clusters[session->cluster].node_host == NULL &&
			    route_is_another_node(env->route, session->cluster, session->node,
						  &session->broker);
	return session->is_moved;
}

void session_known_want_node(const struct session *session)
{
	struct session_env *env = session->env;
	struct mail mail = { .kind = MAIL_NODE_WANTED };

	mail.node_wanted.cluster = session->cluster;
	if (!mail_send(&env->office->control, env->ring, &mail))
		stat_add(env->stats, STAT_MAIL_FULL, 1);
}

static void learn_node(struct session *session, const struct proto_node *node)
{
	struct session_env *env = session->env;
	struct mail mail = { .kind = MAIL_NODE,
			     .node = { .cluster = session->cluster, .id = node->id } };
	struct mail_nodes_place *place = &mail.node.place;

	place->port = node->port;
	if (!span_to_str(node->host, place->host, sizeof(place->host)))
		return;
	if (!span_to_str(node->rack, place->rack, sizeof(place->rack)))
		place->rack[0] = '\0';
	if (!mail_nodes_add(env->office->nodes, cluster_name(session), node->id, place,
			    env->now_ns))
		return;
	if (!mail_send(&env->office->control, env->ring, &mail))
		stat_add(env->stats, STAT_MAIL_FULL, 1);
}

static void want_namespace(struct session *session, struct span name)
{
	struct session_env *env = session->env;
	uint64_t hash = span_hash(name, session->cluster);
	struct session_asked *asked = &env->asked[hash % SESSION_ASKED];
	struct mail mail = { .kind = MAIL_NAMESPACE, .namespace.cluster = session->cluster };

	if (asked->hash == hash && asked->until_ns > env->now_ns)
		return;
	if (!span_to_str(name, mail.namespace.name, sizeof(mail.namespace.name)))
		return;
	if (!mail_send(&env->office->control, env->ring, &mail)) {
		stat_add(env->stats, STAT_MAIL_FULL, 1);
		return;
	}
	*asked = (struct session_asked){ .hash = hash, .until_ns = env->now_ns + ASK_AGAIN_NS };
}

void session_known_notes(struct session *session, const struct proto_context *context)
{
	const struct config_cluster *cluster =
		&session_config(session->env)->clusters[session->cluster];

	/* Brokers found in ZooKeeper need no learning; a fixed URL knows only itself. */
	for (int i = 0; cluster->zookeeper_servers == NULL && i < PROTO_NOTES; i++)
		learn(session, context->learned[i]);
	for (uint32_t i = 0; i < context->nodes->count; i++)
		learn_node(session, &context->nodes->at[i]);
	if (context->seen_namespace.len > 0 && cluster->lookup == CONFIG_LOOKUP_DIRECT)
		want_namespace(session, context->seen_namespace);
}
