/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_user: as whom a client's connection to its broker is authenticated (docs/adr/0018): the
 * first line of clusters.broker_sasl.users_file that fits its certificate. Chosen once, and kept by
 * name: a reload may bring another password, but no other user, to a connection there is. And which
 * certificate its broker is shown (broker_tls.clients_file).
 */
#include <penstock/tls/context.h>
#include <penstock/tls/peer.h>
#include <penstock/tls/set.h>

#include "session_priv.h"

static bool is_for(const struct config_client *client, const struct tls_peer *peer)
{
	const struct config_names rule = { .at = (const char **)(uintptr_t)&client->who,
					   .count = 1 };

	return config_client_is_any(client) || (peer != NULL && tls_peer_is_one_of(peer, &rule));
}

static void keep(struct session *session, const char *user)
{
	session->user = pool_get(&session->env->names);
	CHECK(session->user != NULL); /* there is one for each session there can be */
	bool is_whole = span_to_str(span_str(user), session->user, HOST_MAX);

	CHECK(is_whole); /* SASL_USER_MAX has been seen to */
}

/* Kept until the end, since a reload may come before the broker is dialled. */
static void choose_signer(struct session *session, const struct tls_peer *peer)
{
	struct tls_context *signer =
		tls_set_signer(session->env->route->tls, session->cluster, peer);

	if (signer != NULL)
		session->signer = tls_context_get(signer);
}

bool session_user_choose(struct session *session, const struct tls_peer *peer)
{
	const struct route *route = session->env->route;
	const struct config_clients *users;

	if (session->proto.ops != &proto_kafka_ops)
		return true;
	if (peer != NULL)
		choose_signer(session, peer);
	users = config_users(route->config, route->tokens, session->cluster);
	for (uint32_t i = 0; users != NULL && i < users->count; i++) {
		if (!is_for(&users->at[i], peer))
			continue;
		keep(session, users->at[i].first);
		return true;
	}
	return users == NULL;
}
