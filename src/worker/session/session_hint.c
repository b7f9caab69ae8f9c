/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_hint: what the access line cannot say in a word: what was wrong with a client or a
 * broker, and what helps. Every connection has its access line; each kind of hint comes once in a
 * while, with the client that was the first since then.
 */
#define _GNU_SOURCE
#include <penstock/base/log.h>
#include <penstock/wire/kafka.h>

#include "session_priv.h"

#define HINT_NS	 (60 * NS_PER_S)
#define WHAT_MAX 160

enum hint {
#define SESSION_HINT(NAME, event, text) HINT_##NAME,
#include "session_hint.def"
#undef SESSION_HINT
	HINTS,
};

_Static_assert(HINTS <= SESSION_HINTS, "a time for each");

static const struct {
	const char *event, *text;
} hints[HINTS] = {
#define SESSION_HINT(NAME, event_name, sentence) \
	[HINT_##NAME] = { .event = event_name, .text = sentence },
#include "session_hint.def"
#undef SESSION_HINT
};

/* Was SASL the last the client asked for? Who is let in asks for something. */
static bool is_after_sasl(const struct proto_kafka *kafka)
{
	return kafka->is_dialled && (kafka->last_key == KAFKA_SASL_HANDSHAKE ||
				     kafka->last_key == KAFKA_SASL_AUTHENTICATE);
}

static enum hint hint_of_kafka(const struct session *session)
{
	static const struct {
		enum close_reason reason;
		enum hint hint;
	} rows[] = {
		{ CLOSE_NOT_KAFKA_HTTP, HINT_KAFKA_HTTP },
		{ CLOSE_NOT_KAFKA_TLS, HINT_KAFKA_TLS },
		{ CLOSE_NOT_KAFKA_PULSAR, HINT_KAFKA_PULSAR },
		{ CLOSE_CLIENT_TLS_HELLO, HINT_KAFKA_PLAIN },
		{ CLOSE_BROKER_TLS, HINT_BROKER_TLS },
		{ CLOSE_BROKER_TLS_GONE, HINT_BROKER_PLAIN },
		{ CLOSE_BROKER_TLS_RESET, HINT_BROKER_PLAIN },
		{ CLOSE_BROKER_TLS_TIMEOUT, HINT_BROKER_PLAIN },
		{ CLOSE_FRAME_TOO_BIG, HINT_REQUEST_BIG },
		{ CLOSE_API_UNKNOWN, HINT_API_UNKNOWN },
		{ CLOSE_API_VERSION, HINT_API_VERSION },
		{ CLOSE_API_DENIED, HINT_API_DENIED },
		{ CLOSE_CLIENT_ID_DENIED, HINT_CLIENT_ID },
		{ CLOSE_NODE_UNKNOWN, HINT_NODE_UNKNOWN },
		{ CLOSE_NO_BROKER, HINT_NO_BROKER },
	};
	bool is_end = session->reason == CLOSE_BROKER_FIN || session->reason == CLOSE_BROKER_RST ||
		      session->reason == CLOSE_CLIENT_FIN || session->reason == CLOSE_CLIENT_RST;

	if (is_end)
		return is_after_sasl(session->proto.kafka) ? HINT_SASL : HINTS;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].reason == session->reason)
			return rows[i].hint;
	return HINTS;
}

/* The hint that goes with how it ended; HINTS: none. */
static enum hint hint_of(const struct session *session)
{
	struct addr addr;

	if (session->reason == CLOSE_SNI_MISSING)
		return HINT_SNI_MISSING;
	if (session->reason == CLOSE_CLIENT_TLS_MISSING_NAME)
		return HINT_NAME_MISSING;
	if (session->reason == CLOSE_NO_ROUTE && addr_parse_ip(session_server_name(session), &addr))
		return HINT_SNI_ADDRESS;
	return session->proto.kind == PROTO_KIND_KAFKA ? hint_of_kafka(session) : HINTS;
}

/* What there is to be said of the request, or the node, at hand. */
static void put_what(const struct session *session, enum hint which, int32_t node,
		     struct sink *sink)
{
	if (session->proto.kind != PROTO_KIND_KAFKA)
		return;
	const struct kafka_odd *odd = &session->proto.kafka->odd;
	const struct kafka_api *api = kafka_api(odd->key);

	switch ((int)which) {
	case HINT_REQUEST_BIG:
		sink_printf(sink, "a request of %u bytes: ", odd->size);
		break;
	case HINT_API_UNKNOWN:
	case HINT_API_VERSION:
	case HINT_API_DENIED:
		sink_printf(sink, "%s (key %d) version %d: ", api != NULL ? api->name : "a call",
			    odd->key, odd->version);
		break;
	case HINT_NODE_UNKNOWN:
	case HINT_NODE_NOWHERE:
		sink_printf(sink, "node %d: ", (int)node);
		break;
	default:
		break;
	}
}

static void say(const struct session *session, enum hint which, int32_t node)
{
	struct session_env *env = session->env;
	char client[ADDR_TEXT_MAX], broker[ADDR_TEXT_MAX];
	uint8_t what[WHAT_MAX];
	struct sink sink = sink_of(what, sizeof(what));

	if (which == HINTS ||
	    (env->hinted_ns[which] != 0 && env->now_ns - env->hinted_ns[which] < HINT_NS))
		return;
	env->hinted_ns[which] = env->now_ns;
	put_what(session, which, node, &sink);
	log_info(hints[which].event, "listener %s: client %s, broker %s: %.*s%s",
		 env->route->listener_name[session->listener_id],
		 addr_format(&session->client, client),
		 session->broker.is_set ? addr_format(&session->broker, broker) : "-",
		 (int)sink.len, (const char *)what, hints[which].text);
}

void session_hint(const struct session *session)
{
	say(session, hint_of(session), session->node);
}

void session_hint_denied(const struct session *session)
{
	say(session, HINT_API_DENIED, session->node);
}

void session_hint_nowhere(const struct session *session, int32_t node)
{
	say(session, HINT_NODE_NOWHERE, node);
}
