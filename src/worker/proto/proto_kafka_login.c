/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_login: authentication to the broker in the place of the client (docs/adr/0018):
 *
 *     client                       penstock                          broker
 *     its first request  (held)    ApiVersions, SaslHandshake,
 *                                  SaslAuthenticate, ...        <->
 *     ----------------------------------------------------------->   goes on
 *     a later one        (held)    the lifetime is nearly over:
 *                                  SaslHandshake, ...           <->  (KIP-368)
 *     ----------------------------------------------------------->   goes on
 *
 * A request of ours is noted among the client's, so that responses that are still to come go to the
 * client first. While we authenticate nothing of the client's may reach the broker, which would
 * take it for a token. Nobody authenticates again for a client that asks for nothing: brokers look
 * at the lifetime when a request comes, and take a SaslHandshake even later.
 */
#include <penstock/base/clock.h>
#include <penstock/base/rng.h>

#include "proto_kafka_priv.h"

/* Java authenticates again after 85 to 95 % of the lifetime, so that not all do so at once. */
#define AGAIN_PERCENT 85
#define AGAIN_SPREAD  10
#define LIFETIME_MOST (1000ll * 86400 * 365) /* ms */

/* false: a reload has taken the user away. */
static bool find_credential(const struct proto_context *context,
			    struct sasl_credential *ret_credential)
{
	const struct route *route = context->route;
	const struct config_clients *users =
		config_users(route->config, route->tokens, context->cluster);
	const struct config_client *client =
		users != NULL ? config_clients_named(users, context->user) : NULL;

	if (client == NULL)
		return false;
	ret_credential->user = span_str(client->first);
	ret_credential->password = span_str(client->second);
	return true;
}

static struct sasl_memo *memo_of(const struct proto_context *context)
{
	uint64_t hash = span_hash(context->user, context->cluster);

	return &context->pools->memos[hash % PROTO_MEMOS];
}

static bool is_due(const struct proto_kafka *kafka, const struct proto_context *context)
{
	switch ((enum kafka_login_state)kafka->login) {
	case KAFKA_LOGIN_NOT_YET:
		return context->user.len > 0;
	case KAFKA_LOGIN_UNDER_WAY:
		return true;
	case KAFKA_LOGIN_OVER:
		break;
	}
	return kafka->login_due_ns != 0 && context->now_ns >= kafka->login_due_ns;
}

static void begin(struct proto_kafka *kafka, struct proto_context *context,
		  struct proto_verdict *ret)
{
	const struct config_cluster *cluster = &context->route->config->clusters[context->cluster];
	const struct kafka_asked asked = { .version = KAFKA_LOGIN_REQUEST };
	struct sink *sink = &context->scratch;
	uint8_t random[SASL_RANDOM];

	kafka->auth = pool_get(&context->pools->logins);
	CHECK(kafka->auth != NULL); /* there is one for each session */
	*kafka->auth = (struct kafka_login){
		.is_known = kafka->login == KAFKA_LOGIN_OVER,
		.version = kafka->login_version,
	};
	rng_secret(random, sizeof(random));
	/* Their words are in the same order. */
	kafka_login_begin(kafka->auth, (enum sasl_mechanism)cluster->broker_sasl.mechanism, random);
	sink->len = 0;
	kafka_login_first(kafka->auth, sink);
	kafka->login = KAFKA_LOGIN_UNDER_WAY;
	proto_kafka_book_add(kafka, context, &asked);
	*ret = (struct proto_verdict){ .what = PROTO_EMIT, .bytes = sink_written(sink) };
}

bool proto_kafka_login_first(struct proto_kafka *kafka, struct proto_context *context,
			     struct proto_verdict *ret)
{
	/* One that drains takes no more requests: there is nothing to authenticate for. */
	if (!kafka->is_dialled || !is_due(kafka, context) || context->is_draining)
		return false;
	if (kafka->login == KAFKA_LOGIN_UNDER_WAY ||
	    !proto_kafka_book_has_room(kafka, context->pools))
		proto_kafka_hold(ret);
	else
		begin(kafka, context, ret);
	return true;
}

/* ---- what brokers say to it ----------------------------------------------------------------- */

/* The client gets no word of the broker's: who it is authenticated as is not its business. */
static void fail(struct proto_kafka *kafka, struct span bytes, const struct kafka_login_seen *seen,
		 struct proto_context *context, struct proto_verdict *ret)
{
	bool is_tls = seen->fault == KAFKA_LOGIN_UNREADABLE && kafka_is_tls_alert(bytes);

	context->login_fault = seen->fault;
	context->refused = seen->said;
	stat_add(context->stats, STAT_KAFKA_LOGINS_FAILED, 1);
	proto_kafka_login_end(kafka, context->pools);
	proto_kafka_refuse(is_tls ? CLOSE_BROKER_TLS : CLOSE_BROKER_AUTH_FAILED, ret);
}

static uint64_t due_ns(const struct proto_context *context, int64_t lifetime_ms)
{
	if (lifetime_ms <= 0)
		return 0;
	uint64_t spread = span_hash(context->user, context->now_ns);
	uint64_t ns =
		(uint64_t)(lifetime_ms < LIFETIME_MOST ? lifetime_ms : LIFETIME_MOST) * NS_PER_MS;

	return context->now_ns + ns / 100 * (AGAIN_PERCENT + spread % AGAIN_SPREAD);
}

static void finish(struct proto_kafka *kafka, struct proto_context *context, uint64_t n,
		   struct proto_verdict *ret)
{
	bool is_first = kafka->login_version == 0; /* of which no broker wants a second */

	kafka->login = KAFKA_LOGIN_OVER;
	kafka->login_version = kafka->auth->version;
	kafka->login_due_ns = due_ns(context, kafka->auth->lifetime_ms);
	stat_add(context->stats, is_first ? STAT_KAFKA_LOGINS : STAT_KAFKA_LOGINS_AGAIN, 1);
	proto_kafka_login_end(kafka, context->pools);
	proto_kafka_book_take(kafka, context);
	*ret = (struct proto_verdict){ .what = PROTO_DROP, .n = n };
}

void proto_kafka_login_answered(struct proto_kafka *kafka, struct span bytes,
				struct proto_context *context, struct proto_verdict *ret)
{
	struct sasl_credential credential;
	struct kafka_login_seen seen;
	struct sink *sink = &context->scratch;

	if (!context->can_reply) {
		proto_kafka_hold(ret);
		return;
	}
	if (!find_credential(context, &credential)) {
		proto_kafka_refuse(CLOSE_NO_BROKER_USER, ret);
		return;
	}
	sink->len = 0;
	switch (kafka_login_see(kafka->auth, &credential, bytes, memo_of(context), sink, &seen)) {
	case KAFKA_LOGIN_MORE:
		proto_kafka_need(kafka, PROTO_BROKER, seen.need, ret);
		return;
	case KAFKA_LOGIN_SAY:
		context->is_secret = true;
		*ret = (struct proto_verdict){ .what = PROTO_REPLY,
					       .n = seen.frame_size,
					       .bytes = sink_written(sink) };
		return;
	case KAFKA_LOGIN_DONE:
		finish(kafka, context, seen.frame_size, ret);
		return;
	case KAFKA_LOGIN_FAILED:
		fail(kafka, bytes, &seen, context, ret);
		return;
	}
}

void proto_kafka_login_end(struct proto_kafka *kafka, struct proto_pools *pools)
{
	if (kafka->auth == NULL)
		return;
	kafka_login_forget(kafka->auth);
	pool_put(&pools->logins, kafka->auth);
	kafka->auth = NULL;
}
