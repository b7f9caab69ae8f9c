/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session_log: the access line of a connection, one at its end, and its row in /connections.
 */
#define _GNU_SOURCE
#include <penstock/base/log.h>

#include "session_priv.h"

#define ROLE_NS	 NS_PER_S
#define SAID_MAX 200 /* of a broker's words */

/* The second letter of the termination code: in which phase it ended. */
static char phase_letter(const struct session *session)
{
	switch ((enum session_state)session->state) {
	case SESSION_FREE: /* refused before it began */
	case SESSION_HEADER:
		return 'A';
	case SESSION_CLIENT_TLS:
		return 'T';
	case SESSION_HELLO:
		return 'H';
	case SESSION_DIAL:
		return session->dial.is_resolving ? 'R' : 'C';
	case SESSION_BROKER_TLS:
		return 'T';
	case SESSION_RELAY:
	case SESSION_ABORT:
		if (close_rows[session->reason].who == '-')
			return '-';
		return session->lane[0].sent_fin || session->lane[1].sent_fin ? 'X' : 'D';
	case SESSION_LINGER:
		return session->dial_ns != 0 ? 'D' : session->dial.started_ns != 0 ? 'C' : 'H';
	case SESSION_CLOSED:
		break;
	}
	return '?';
}

/* Is a line wanted for a connection that ended so? Then begins it with what every line has. */
static bool begin_line(const struct session_env *env, enum close_reason reason, uint64_t id,
		       uint16_t listener_id, enum proto_kind kind, struct log_line *line)
{
	enum config_access access = session_config(env)->log.access;

	if (access == CONFIG_ACCESS_OFF ||
	    (access == CONFIG_ACCESS_ERRORS && !close_rows[reason].is_error))
		return false;
	log_begin(line, LOG_LEVEL_INFO, "access");
	log_u64(line, "id", id);
	log_u64(line, "worker", env->worker);
	log_str(line, "listener", env->route->listener_name[listener_id]);
	log_str(line, "kind", proto_kind_name(kind));
	return true;
}

static void log_route(struct log_line *line, const struct session *session)
{
	uint32_t rule = session_rule(session);

	log_str(line, "sni", session->server_name != NULL ? session->server_name : "-");
	log_str(line, "route",
		rule != ROUTE_NO_RULE ? session_config(session->env)->routes[rule].label : "-");
}

void session_log_role(const struct session *session, const struct addr *broker, struct span said)
{
	struct session_env *env = session->env;
	char addr[ADDR_TEXT_MAX];

	if (env->refused_ns != 0 && env->now_ns - env->refused_ns < ROLE_NS)
		return;
	env->refused_ns = env->now_ns;
	log_warn("role_refused",
		 "cluster %s: broker %s does not let this proxy in for principal %s: \"%.*s\"; is "
		 "credentials.role good, its role in the brokers' proxyRoles, and the principal in "
		 "no proxyRoles?",
		 session_config(env)->clusters[session->cluster].name, addr_format(broker, addr),
		 session->principal != NULL ? session->principal : "-",
		 (int)(said.len < SAID_MAX ? said.len : SAID_MAX), (const char *)said.at);
}

/* What a broker says, without what is no text. */
static const char *show_said(struct span said, char text[static SAID_MAX + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < said.len && len < SAID_MAX; i++) {
		bool is_text = said.at[i] > ' ' && said.at[i] <= '~';

		if (is_text || (len > 0 && text[len - 1] != ' '))
			text[len++] = (char)(is_text ? said.at[i] : ' ');
	}
	text[len] = '\0';
	return text;
}

void session_log_login(const struct session *session, const struct addr *broker,
		       enum kafka_login_fault fault, struct span said)
{
	struct session_env *env = session->env;
	char addr[ADDR_TEXT_MAX], text[SAID_MAX + 1];

	if (env->refused_ns != 0 && env->now_ns - env->refused_ns < ROLE_NS)
		return;
	env->refused_ns = env->now_ns;
	log_warn(
		"broker_auth_failed",
		"cluster %s: broker %s, authenticated to as %s: %s%s%s; see clusters.%s.broker_sasl",
		session_config(env)->clusters[session->cluster].name, addr_format(broker, addr),
		session->user, kafka_login_fault_text(fault), said.len > 0 ? ": " : "",
		show_said(said, text), session_config(env)->clusters[session->cluster].name);
}

static void log_term(struct log_line *line, enum close_reason reason, char phase)
{
	const char term[3] = { close_rows[reason].who, phase, '\0' };

	log_str(line, "term", term);
	log_str(line, "reason", close_rows[reason].name);
}

static void log_amounts(struct log_line *line, const uint64_t bytes[LANES], uint64_t spliced,
			uint64_t dial_ns, uint64_t total_ns)
{
	log_u64(line, "bytes_to_broker", bytes[LANE_TO_BROKER]);
	log_u64(line, "bytes_to_client", bytes[LANE_TO_CLIENT]);
	log_u64(line, "spliced", spliced);
	log_ms(line, "connect_ms", dial_ns);
	log_ms(line, "total_ms", total_ns);
	log_end(line);
}

void session_log(const struct session *session)
{
	const struct session_env *env = session->env;
	const struct lane *lane = session->lane;
	const uint64_t bytes[LANES] = { lane[0].bytes, lane[1].bytes };
	char addr[ADDR_TEXT_MAX];
	struct log_line line;

	session_hint(session);
	if (!begin_line(env, session->reason, session->id, session->listener_id,
			session->proto.kind, &line))
		return;
	log_str(&line, "client", addr_format(&session->client, addr));
	if (!addr_equal(&session->peer, &session->client))
		log_str(&line, "peer", addr_format(&session->peer, addr));
	log_str(&line, "broker",
		session->broker.is_set ? addr_format(&session->broker, addr) : "-");
	if (session->is_routed || session->rule_id != SESSION_NO_RULE)
		log_route(&line, session);
	if (session->principal != NULL)
		log_str(&line, "principal", session->principal);
	if (session->user != NULL)
		log_str(&line, "user", session->user);
	log_term(&line, session->reason, phase_letter(session));
	log_amounts(&line, bytes, lane[0].spliced + lane[1].spliced, session->dial_ns,
		    env->now_ns - session->accepted_ns);
}

void session_log_refused(const struct session_env *env, const struct mail_handoff *handoff,
			 enum close_reason reason)
{
	const uint64_t bytes[LANES] = { 0, 0 };
	char addr[ADDR_TEXT_MAX];
	struct log_line line;

	if (!begin_line(env, reason, 0, handoff->listener_id, PROTO_KIND_NEW, &line))
		return;
	log_str(&line, "client", addr_format(&handoff->peer, addr));
	log_str(&line, "broker", "-");
	log_term(&line, reason, 'A');
	log_amounts(&line, bytes, 0, 0, env->now_ns - handoff->accepted_ns);
}

void session_log_row(const struct session *session, struct mail_row *ret_row)
{
	*ret_row = (struct mail_row){
		.id = session->id,
		.worker = (uint16_t)session->env->worker,
		.listener_id = session->listener_id,
		.rule_id = session->rule_id,
		.kind = proto_kind_name(session->proto.kind),
		.state = session_state_name((enum session_state)session->state),
		.client = session->client,
		.broker = session->broker,
		.age_ns = session->env->now_ns - session->accepted_ns,
		.bytes_to_broker = session->lane[LANE_TO_BROKER].bytes,
		.bytes_to_client = session->lane[LANE_TO_CLIENT].bytes,
		.spliced = session->lane[0].spliced + session->lane[1].spliced,
	};
}
